"""Carbon and emissions: greenhouse gases with the factors they rest on; stacks and outfalls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import KGCE, TONNE, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("碳与排放", "Carbon and emissions")
ABOUT: Final = Text(
    "温室气体、所用折算系数及来源、污染物排放。",
    "Greenhouse gases, factors in use, stacks and outfalls.",
)


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "carbon")
    apart = Text(
        "估算为灰色，未结束的时段为浅蓝，没有有效数据的时段为空白。",
        "Estimates are grey, a running period is pale, a time without valid data is a gap.",
    )
    panels = [
        page.series(
            Text("综合能耗（等价值）", "Energy, equal value"),
            Text(
                "园区和能耗最大的所选企业的综合能耗（等价值）；未结束的时段单独标出。",
                "Comprehensive energy of the park and the largest chosen firms, equal value.",
            ),
            "indicator",
            unit=KGCE,
            indicator="'comprehensive_energy_equal'",
            scopes="'park', 'firm'",
        ),
        page.table(
            Text("所用折算系数", "Factors in use"),
            Text(
                "本年各企业指标所依据的折算系数。",
                "Conversion factors that this year's values of the firms rest on.",
            ),
            "factors",
            "factor value verified note firms indicators",
        ),
        page.series(
            Text("大气污染物", "To the air"), apart, "usage_by_carrier", unit=TONNE, style="bars",
            carriers="'so2', 'nox', 'particulate', 'vocs'", directions="'out'",
        ),
        page.series(
            Text("水污染物", "To the water"), apart, "usage_by_carrier", unit=TONNE, style="bars",
            carriers="'cod', 'ammonia_nitrogen', 'total_nitrogen', 'total_phosphorus'", directions="'out'",
        ),
        page.table(
            Text("监测设备", "Analysers"),
            Text(
                "排口分析仪的最新读数；标记为无效的读数不显示数值。",
                "Newest readings; what the analyser marks as invalid shows no value.",
            ),
            "gauges",
            "firm firm_code point carrier value unit valid age",
        ),
        page.table(
            Text("排放量与有效数据占比", "Amounts and valid data"),
            Text(
                "所选范围各排口的排放量，以及有效数据覆盖的时间占比。",
                "What left each outlet, and the share of the range with valid data.",
            ),
            "validity",
            "firm firm_code point carrier unit measured estimated measured_share",
        ),
    ]  # fmt: skip
    return page.board("carbon", TITLE, ABOUT, panels, since="now-30d")
