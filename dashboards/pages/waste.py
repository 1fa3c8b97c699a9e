"""Solid waste: what arises, what is used again, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import PERCENT, TONNE, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("固体废物", "Solid waste")
ABOUT: Final = Text("产生、综合利用与处置。", "What arises, what is used, what is disposed of.")
_MONTH: Final = "'month'"
_KIND: Final = "'solid_waste'"


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "waste")
    reported = Text(
        "企业按月填报的去向；企业标为暂报的单独标出，一般固废与危险废物不相加。",
        "What became of it, as firms report by month; what they call provisional stands apart.",
    )
    panels = [
        page.stat(
            Text("本年", "This year"),
            Text(
                "园区（或企业）本年的综合利用率与处置率，缺填报时不显示。",
                "Rates of the park (or the firm) this year; what is not reported shows nothing.",
            ),
            "rates",
            "utilisation utilised_or_disposed hazardous_disposal",
            size=(24, 4),
        ),
        page.series(
            Text("一般工业固体废物去向", "General waste by destination"),
            reported,
            "destinations",
            unit=TONNE,
            style="bars",
            category="'general'",
            kind=_KIND,
        ),
        page.series(
            Text("危险废物去向", "Hazardous waste by destination"), reported, "destinations", unit=TONNE, style="bars",
            category="'hazardous'", kind=_KIND,
        ),
        page.series(
            Text("综合利用率", "Utilisation rate"),
            Text(
                "园区和产生量最大的所选企业每月的综合利用率，与规划目标（虚线）比较。",
                "Monthly rate of the park and the largest chosen firms beside the plans' targets (dashed).",
            ),
            "indicator",
            unit=PERCENT,
            bounds=(0, 100),
            against=page.query(
                "indicator_targets", "time_series", "B", indicator="'solid_waste_utilisation_rate'"
            ),
            indicator="'solid_waste_utilisation_rate'",
            scopes="'park', 'firm'",
            day_grain=_MONTH,
        ),
        page.series(
            Text("计量的固体废物", "Weighed waste"),
            Text(
                "有衡器计量的固体废物；估算为灰色，未结束的时段为浅蓝，没有数据的时段为空白。",
                "Waste that is weighed; estimates are grey, a running period is pale, unknown is a gap.",
            ),
            "usage_by_firm",
            unit=TONNE,
            style="bars",
            carriers="'solid_waste'",
            directions="'out', 'internal'",
        ),
        page.table(
            Text("各企业", "By firm"),
            Text(
                "所选范围内各企业填报的产生、利用与处置量。",
                "What each firm reported over the range, general and hazardous apart.",
            ),
            "firms",
            "firm firm_code category generated utilised disposed remaining provisional",
            size=(24, 9),
            kind=_KIND,
        ),
    ]  # fmt: skip
    return page.board("waste", TITLE, ABOUT, panels, since="now-365d")
