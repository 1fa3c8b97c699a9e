"""Water: what is drawn, used again, lost and discharged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page, quoted
from dashboards.words import GOOD, M3, NOTICE, PERCENT, WARN, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("水", "Water")
ABOUT: Final = Text(
    "用水平衡、三类重复利用、夜间漏损与排放。",
    "Balance, the three reuse systems, leakage nights, discharge.",
)
_WATER: Final = (
    "'fresh_water', 'reclaimed_water', 'recycled_water', 'recirculated_water', 'cascaded_water', 'wastewater'"
)

_SYSTEMS: Final = (
    "water_circulating_rate",
    "water_cascade_rate",
    "water_treated_reuse_rate",
    "cooling_recirculation_rate",
)


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "water")
    apart = Text(
        "估算为灰色，未结束的时段为浅蓝，没有数据的时段为空白。",
        "Estimates are grey, a running period is pale, unknown is a gap.",
    )
    panels = [
        page.stat(
            Text("用水", "Water"),
            Text(
                "所选范围的重复利用率（分子之和除以分母之和）、新水与废水排放。",
                "Reuse rate of the range as a ratio of sums, fresh water and discharge.",
            ),
            "totals",
            "reuse fresh fresh_estimated discharge",
            size=(24, 4),
        ),
        page.series(
            Text("工业用水重复利用率", "Water reuse rate"),
            Text(
                "园区和用水量最大的所选企业每日的重复利用率，与规划目标（虚线）比较。",
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
            Text("三类重复利用", "The three reuse systems"), apart, "usage_by_carrier", unit=M3, style="bars",
            carriers="'recirculated_water', 'direct_recirculated_water', 'cascaded_water', 'recycled_water'",
            directions="'in', 'internal'",
        ),
        page.series(
            Text("各系统重复利用率", "Reuse by system"),
            Text(
                "园区（或企业）循环、串联与处理回用各占用水的比例，以及冷却水循环率。",
                "Shares of circulating, cascaded and treated water of the park (or the firm), and the cooling rate.",
            ),
            "indicators_of_subject",
            unit=PERCENT,
            bounds=(0, 100),
            indicators=quoted(*_SYSTEMS),
            scale="1",
            named=_SYSTEMS,
        ),
        page.series(
            Text("取水", "Intake"), apart, "usage_by_carrier", unit=M3, style="bars",
            carriers="'fresh_water', 'reclaimed_water', 'rain_water'", directions="'in'",
        ),
        page.series(
            Text("废水排放", "Discharge"), apart, "usage_by_firm", unit=M3, style="bars",
            carriers="'wastewater'", directions="'out'",
        ),
        page.series(
            Text("夜间最小流量", "Lowest flow at night"),
            Text(
                "最多最近 14 夜 1 时至 5 时新水的最低小时用量，取最大的十家企业：从不停止的流量可能是漏水。",
                "Lowest hourly fresh water between 1 and 5 o'clock by firm: what never stops may be a leak.",
            ),
            "night",
            unit=M3,
        ),
        page.series(
            Text("不明差额占比", "Unaccounted share"),
            Text(
                "水计量网络各节点输入量中无法解释的占比；数据不全时为空白。",
                "What went into a node of the water meters and nobody can account for; unknown is a gap.",
            ),
            "unaccounted",
            unit=PERCENT,
            steps=((None, GOOD), (5, NOTICE), (12, WARN)),
            carriers=_WATER,
        ),
        page.table(
            Text("各企业用水", "Water by firm"),
            Text(
                "所选范围内各企业的取水、重复利用与排放。",
                "What each firm drew, used again and discharged in the range.",
            ),
            "firms",
            "firm firm_code fresh other_sources reused discharge estimated_share",
        ),
        page.table(
            Text("水平衡（最近一月）", "Balance, newest month"),
            Text(
                "水计量网络各节点最近一月的收支，差额占比最大的在前。",
                "Every node of the water meters in its newest month, the largest unaccounted share first.",
            ),
            "balances",
            "firm firm_code point carrier month supply load loss unaccounted unaccounted_share coverage unknown",
            size=(24, 9),
            carriers=_WATER,
        ),
    ]  # fmt: skip
    return page.board("water", TITLE, ABOUT, panels, since="now-30d")
