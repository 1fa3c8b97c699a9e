"""Park today: what needs me now, in one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import BAD, GOOD, KGCE, KW, KWH, NOTICE, PERCENT, SECONDS, UNKNOWN, WARN, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("今日园区", "Park today")
ABOUT: Final = Text("现在需要我处理什么：目标、告警、负荷、用水与数据质量。", "What needs me now.")


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "today")
    panels = [
        page.stat(
            Text("目标进展", "Standing"),
            Text("当前各目标按状态计数。", "How many targets stand in each state now."),
            "standings_count",
            "off at_risk on_pace undefined",
            size=(7, 4),
            steps=((None, UNKNOWN),),
        ),
        page.stat(
            Text("未结束告警", "Open alerts"),
            Text(
                "未处理和已确认、尚未结束的告警，按级别计数。",
                "Alerts that are open or taken on and not over, by severity.",
            ),
            "open_episodes_count",
            "critical major minor",
            size=(5, 4),
        ),
        page.stat(
            Text("当前负荷", "Load now"),
            Text(
                "最近一个完整 15 分钟的外购电平均功率，以及它距今多久。",
                "Mean power bought in the newest whole 15 minutes, and how long ago that was.",
            ),
            "power_now",
            "power age",
            size=(4, 4),
        ),
        page.stat(
            Text("数据覆盖率（24 小时）", "Data coverage, 24 hours"),
            Text(
                "过去 24 个整点小时中，有实测或估算数据的时间占比；其余为缺失，不是零。",
                "Share of the last 24 whole hours that is measured or estimated; the rest is missing, not zero.",
            ),
            "coverage",
            "measured estimated",
            size=(5, 4),
            steps=((None, BAD), (80, WARN), (95, GOOD)),
        )
        .unit(PERCENT)
        .decimals(1),
        page.stat(
            Text("最新读数", "Newest reading"),
            Text("所选企业最新一次读数距现在多久。", "How old the newest reading of the chosen firms is."),
            "newest_reading",
            "age",
            size=(3, 4),
            steps=((None, GOOD), (1800, NOTICE), (3600, BAD)),
        ).unit(SECONDS),
        page.table(
            Text("目标进展明细", "Standing against targets"),
            Text(
                "每个目标的当前状态，最需要关注的在前；无法判定的写明原因。",
                "The state of each target now, the worst first; what is undefined says why.",
            ),
            "standings",
            "subject firm_code target target_code state value target_value projection unit sentence as_of",
            size=(14, 9),
        ),
        page.table(
            Text("未结束告警明细", "Open alerts in full"),
            Text("尚未结束的告警，最严重的在前。", "Alerts that are not over, the most severe first."),
            "episodes",
            "severity state title subject firm_code began lasting",
            size=(10, 9),
        ),
        page.series(
            Text("15 分钟负荷（最近一天）", "Load, 15 minutes, last day"),
            Text(
                "所选范围最后一天内各企业的平均用电功率；数据不完整的时段为空白。",
                "Mean electric power of each firm in the last day of the range; incomplete quarters are gaps.",
            ),
            "load",
            unit=KW,
            style="bars",
        ),
        page.series(
            Text("各企业用电", "Electricity by firm"),
            Text(
                "各企业外购电量，实测、估算、暂计分开；没有数据的时段为空白。",
                "Bought electricity of each firm; estimates and the running period stand apart, unknown is a gap.",
            ),
            "usage_by_firm",
            unit=KWH,
            style="bars",
            carriers="'electricity'",
            directions="'in'",
        ),
        page.series(
            Text("工业用水重复利用率", "Water reuse rate"),
            Text(
                "园区和所选企业每日的重复利用率，与规划目标（虚线）比较。",
                "Daily reuse rate of the park and the largest chosen firms beside the plans' targets (dashed).",
            ),
            "indicator",
            unit=PERCENT,
            bounds=(0, 100),
            against=page.query("indicator_targets", "time_series", "B", indicator="'water_reuse_rate'"),
            indicator="'water_reuse_rate'",
            scopes="'park', 'firm'",
        ),
        page.series(
            Text("新水取用", "Fresh water"),
            Text(
                "各企业新水取用量，实测、估算、暂计分开；没有数据的时段为空白。",
                "Fresh water of each firm; estimates and the running period stand apart, unknown is a gap.",
            ),
            "usage_by_firm",
            unit="m3",
            style="bars",
            carriers="'fresh_water'",
            directions="'in'",
        ),
        page.series(
            Text("综合能耗（日，当量值）", "Energy, daily, equivalent value"),
            Text(
                "园区和所选企业每日综合能耗（当量值，千克标准煤）；无法计算的日子为空白。",
                "Comprehensive energy of the park and the largest chosen firms by day; undefined days are gaps.",
            ),
            "indicator",
            unit=KGCE,
            indicator="'comprehensive_energy_equivalent'",
            scopes="'park', 'firm'",
        ),
        page.table(
            Text("各企业数据（24 小时）", "Data by firm, 24 hours"),
            Text(
                "过去 24 个整点小时中各企业数据的实测、估算、缺失占比，以及没有读数的计量点，缺失最多的在前。",
                "Measured, estimated and missing shares of the last 24 whole hours, the most missing first.",
            ),
            "coverage_by_firm",
            "firm firm_code measured_share estimated_share missing_share points silent newest",
        ),
    ]
    return page.board("today", TITLE, ABOUT, panels)
