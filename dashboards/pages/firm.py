"""Firm: one firm's own page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import KGCE, KW, KWH, M3, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("企业", "Firm")
ABOUT: Final = Text(
    "单个企业的消耗、强度、基准、需量与对标。",
    "Consumption, intensity, baseline, demand and benchmarks of one firm.",
)


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "firm")
    apart = Text(
        "估算为灰色，未结束的时段为浅蓝，没有数据的时段为空白。",
        "Estimates are grey, a running period is pale, unknown is a gap.",
    )
    panels = [
        page.table(
            Text("企业概况", "About the firm"),
            Text("企业的行业、状态与标识。", "Industry, status and flags of the firm."),
            "about",
            "firm firm_code industry firm_status uscc points flags",
            size=(24, 3),
        ),
        page.series(
            Text("用电", "Electricity"), apart, "electricity", unit=KWH, style="bars",
            carriers="'electricity'", directions="'in'",
        ),
        page.series(
            Text("车间用电", "Electricity of workshops"), apart, "electricity", unit=KWH, style="bars",
            carriers="'electricity'", directions="'internal'",
        ),
        page.series(
            Text("天然气", "Natural gas"), apart, "electricity", unit=M3, style="bars",
            carriers="'natural_gas'", directions="'in', 'internal'",
        ),
        page.series(
            Text("取水", "Water"), apart, "electricity", unit=M3, style="bars",
            carriers="'fresh_water', 'reclaimed_water', 'rain_water'", directions="'in'",
        ),
        page.table(
            Text("按品种与车间的消耗", "Consumption by carrier and workshop"),
            Text(
                "所选范围各计量点的消耗，实测与估算分列。",
                "What each point moved in the range; estimates stand apart.",
            ),
            "carriers",
            "carrier direction workshop point unit measured estimated estimated_share",
            size=(24, 9),
        ),
        page.series(
            Text("单位产品能耗", "Energy per product"),
            Text(
                "每日或每月单位产品综合能耗，未结束和含估算的时段单独标出。",
                "By day or month; running periods and those with estimates are marked.",
            ),
            "intensity",
            indicator="'energy_per_product'",
        ),
        page.series(
            Text("综合能耗", "Energy"),
            Text(
                "每日或每月综合能耗（当量值），未结束和含估算的时段单独标出。",
                "Equivalent value; running periods and those with estimates are marked.",
            ),
            "intensity",
            unit=KGCE,
            indicator="'comprehensive_energy_equivalent'",
            legend=False,
        ),
        page.series(
            Text("基准与实际", "Baseline and actual"),
            Text(
                "实际能耗与能源基准的预期；被排除的时段为空白。",
                "What was used beside what the baseline expected; periods left out are gaps.",
            ),
            "baseline",
        ),
        page.series(
            Text("累积偏差（CUSUM）", "CUSUM"),
            Text(
                "超出基准的能耗累计，上升表示比预期用得多。",
                "Running sum of what was used beyond the baseline: rising is more than expected.",
            ),
            "cusum",
            named=("comprehensive_energy_equivalent", "electricity_use"),
        ),
        page.table(
            Text("能源基准", "Baselines"),
            Text(
                "企业的能源基准、拟合优度与是否可用。",
                "The firm's energy baselines, how well they fit, and whether they may be used.",
            ),
            "baselines",
            "indicator grain base_from base_to valid_from valid_to usable r_squared cv_rmse_percent failed_gates "
            "made_for",
            size=(24, 5),
        ),
        page.series(
            Text("15 分钟负荷（最近一天）", "Load, 15 minutes, last day"),
            Text(
                "所选范围最后一天各电表的平均功率；不完整的时段为空白。",
                "Mean power at each meter in the last day of the range; incomplete quarters are gaps.",
            ),
            "load",
            unit=KW,
        ),
        page.series(
            Text("最大需量", "Maximum demand"),
            Text(
                "每日或每月 15 分钟平均功率的最大值，未结束和含估算的时段单独标出。",
                "Highest mean power of 15 minutes; running periods and those with estimates are marked.",
            ),
            "intensity",
            unit=KW,
            indicator="'maximum_demand'",
        ),
        page.series(
            Text("负荷率与功率因数", "Load factor and power factor"),
            Text(
                "每日或每月的负荷率（%）与功率因数（×100），未结束的时段单独标出。",
                "Load factor in % and power factor times 100; running periods are marked.",
            ),
            "factors_of_load",
            bounds=(0, 100),
            named=("load_factor", "power_factor"),
        ),
        page.series(
            Text("分时电量", "Electricity by tariff class"),
            Text(
                "按电价时段划分的外购电量，来自完整的日。",
                "Bought electricity by class of the tariff, from whole days.",
            ),
            "tariff",
            unit=KWH,
            style="bars",
        ),
        page.table(
            Text("指标（本月）", "Indicators, this month"),
            Text(
                "本月各指标与上月、上年同月的比较。",
                "Every indicator this month beside the month before and a year before.",
            ),
            "indicators",
            "indicator value unit provisional month_before year_before coverage reason",
            size=(24, 9),
        ),
        page.table(
            Text("对标（本年）", "Benchmarks, this year"),
            Text("与园区内可见企业相比的位置。", "The firm beside the firms of the park that the viewer may see."),
            "benchmarks",
            "indicator value unit median lowest highest place firms",
            size=(24, 7),
        ),
    ]  # fmt: skip
    return page.board("firm", TITLE, ABOUT, panels, since="now-30d", one_firm=True)
