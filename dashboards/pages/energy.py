"""Energy: what comes in, where it goes, what nobody can account for, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page, quoted
from dashboards.words import GOOD, KW, KWH, M3, NOTICE, PERCENT, TCE, TONNE, WARN, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("能源", "Energy")
ABOUT: Final = Text("能源收支、不明差额、品种与峰值。", "Balance, unaccounted shares, carriers, peak.")
_CARRIERS: Final = "'electricity', 'natural_gas', 'steam', 'heat'"
_CLEAN: Final = ("clean_energy_share", "renewable_energy_share")
_SHARE_STEPS: Final = ((None, GOOD), (3, NOTICE), (8, WARN))


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "energy")

    def by_firm(zh: str, en: str, carrier: str, unit: str) -> object:
        return page.series(
            Text(zh, en),
            Text(
                "最大的十二家企业与其他企业之和；估算为灰色，未结束的时段为浅蓝，没有数据的时段为空白。",
                "The twelve largest firms and the rest; estimates are grey, a running period pale, unknown a gap.",
            ),
            "usage_by_firm",
            unit=unit,
            style="bars",
            carriers=f"'{carrier}'",
            directions="'in'",
        )

    panels = [
        page.stat(
            Text("综合能耗（当量值）", "Energy, equivalent value"),
            Text(
                "所选范围内已结束时段的综合能耗，以及之前同长时段的数值。",
                "Comprehensive energy of the range's finished periods, beside the same length before it.",
            ),
            "totals",
            "energy energy_before",
            size=(8, 8),
        ),
        page.table(
            Text("能源品种", "Carriers"),
            Text(
                "各品种的购入与输出，实测与估算分列。",
                "What crossed the firms' boundaries by carrier; measured and estimated stand apart.",
            ),
            "carriers",
            "carrier direction unit measured estimated estimated_share firms points",
            size=(16, 8),
        ),
        page.series(
            Text("清洁能源占比", "Clean and renewable energy"),
            Text(
                "园区（或企业）清洁能源与可再生能源占比，未结束和含估算的时段单独标出。",
                "Shares of the park (or the firm); running periods and those with estimates are marked.",
            ),
            "indicators_of_subject",
            unit=PERCENT,
            bounds=(0, 100),
            indicators=quoted(*_CLEAN),
            scale="1",
            named=_CLEAN,
        ),
        page.series(
            Text("综合能耗（当量值）", "Energy by firm, equivalent value"),
            Text(
                "最大的十二家企业与其他企业之和；未结束的时段为浅蓝，缺数据的时段为空白。",
                "The twelve largest firms and the rest; a running period is pale, unknown is a gap.",
            ),
            "indicator_by_firm",
            unit=TCE,
            style="bars",
            indicators="'comprehensive_energy_equivalent'",
            scale="0.001",
        ),
        by_firm("电力", "Electricity", "electricity", KWH),
        by_firm("天然气", "Natural gas", "natural_gas", M3),
        by_firm("蒸汽", "Steam", "steam", TONNE),
        page.series(
            Text("分时电量", "Electricity by tariff class"),
            Text(
                "按电价时段（尖、峰、平、谷）划分的外购电量，来自完整的日。",
                "Bought electricity by class of the tariff, from whole days.",
            ),
            "tariff",
            unit=KWH,
            style="bars",
        ),
        page.series(
            Text("15 分钟负荷（最近一天）", "Load, 15 minutes, last day"),
            Text(
                "所选范围最后一天的平均用电功率；数据不完整的时段为空白。",
                "Mean electric power of each firm in the last day of the range; incomplete quarters are gaps.",
            ),
            "load",
            unit=KW,
            style="bars",
        ),
        page.series(
            Text("日峰值与平均功率", "Peak and mean of each day"),
            Text(
                "最多最近 14 天每日最高小时平均功率与日平均功率，仅取完整的小时。",
                "Highest hourly mean power of each day beside its mean, from whole hours, at most 14 days.",
            ),
            "peaks",
            unit=KW,
        ),
        page.bars(
            Text("日负荷曲线", "Load by hour of the day"),
            Text(
                "最多最近 14 天各时刻的平均功率，工作日与周末对比。",
                "Mean power by hour over at most the last 14 days: Monday to Friday beside weekends.",
            ),
            "profile",
            "hour workday weekend",
            by="hour",
            unit=KW,
        ),
        page.series(
            Text("不明差额占比", "Unaccounted share"),
            Text(
                "输入量中既非下级计量也非已知损耗的占比，取最大的十个节点；数据不全时为空白。",
                "What went into a node and is neither at its children nor a known loss; the ten largest nodes.",
            ),
            "unaccounted",
            unit=PERCENT,
            steps=_SHARE_STEPS,
            carriers=_CARRIERS,
        ),
        page.table(
            Text("能源平衡（最近一月）", "Balance, newest month"),
            Text(
                "计量网络各节点最近一月的收支，差额占比最大的在前；缺数据的计量点逐一列出。",
                "Every node of the meter graph in its newest month, the largest unaccounted share first.",
            ),
            "balances",
            "firm firm_code point carrier month supply load loss unaccounted unaccounted_share coverage unknown",
            size=(24, 9),
            carriers=_CARRIERS,
        ),
    ]
    return page.board("energy", TITLE, ABOUT, panels, since="now-30d")
