"""Carbon and emissions: greenhouse gases with the factors they rest on; stacks and outfalls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page, quoted
from dashboards.words import PERCENT, TCO2, TONNE, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("碳与排放", "Carbon and emissions")
ABOUT: Final = Text(
    "温室气体、所用折算系数及来源、污染物排放。",
    "Greenhouse gases, factors in use, stacks and outfalls.",
)

_SCOPES: Final = ("co2_scope_1", "co2_scope_2_location")
_PER_ENERGY: Final = ("co2_per_tce", "zero_carbon_park_energy_carbon")
_AIR: Final = ("so2_discharge", "nox_discharge", "particulate_discharge", "vocs_discharge")
_OUTFALL: Final = ("cod_discharge", "ammonia_nitrogen_discharge")


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "carbon")
    daily = Text(
        "所选企业之和，未结束的时段为浅蓝，缺数据的时段为空白。",
        "Sum of the chosen firms; a running period is pale, unknown is a gap.",
    )
    panels = [
        page.stat(
            Text("二氧化碳", "CO2"),
            Text(
                "所选范围内已结束时段、所选企业的二氧化碳排放，范围二另列全国平均口径。",
                "CO2 of the chosen firms over the range's finished periods; scope 2 also at the national average.",
            ),
            "scopes",
            "scope_1 scope_2 scope_2_national",
            size=(24, 4),
        ),
        page.series(
            Text("按范围", "By scope"), daily, "indicators_summed", unit=TCO2, style="bars",
            indicators=quoted(*_SCOPES), scale="0.001", named=_SCOPES,
        ),
        page.series(
            Text("按企业（范围一和范围二）", "By firm, scopes 1 and 2"),
            Text(
                "最大的十二家企业与其他企业之和；未结束的时段为浅蓝，缺数据的时段为空白。",
                "The twelve largest firms and the rest; a running period is pale, unknown is a gap.",
            ),
            "indicator_by_firm", unit=TCO2, style="bars", indicators=quoted(*_SCOPES), scale="0.001",
        ),
        page.series(
            Text("单位能耗碳排放", "CO2 per unit of energy"),
            Text(
                "园区（或企业）每吨标准煤能耗的二氧化碳，两种口径。",
                "CO2 per tce of the park (or the firm), by two rules.",
            ),
            "indicators_of_subject",
            unit="suffix: tCO2/tce",
            indicators=quoted(*_PER_ENERGY), scale="1", named=_PER_ENERGY,
        ),
        page.table(
            Text("所用折算系数", "Factors in use"),
            Text(
                "本年各企业指标所依据的折算系数。",
                "Conversion factors that this year's values of the firms rest on.",
            ),
            "factors",
            "factor factor_source value verified note firms indicators",
        ),
        page.series(
            Text("大气污染物", "To the air"), daily, "indicators_summed", unit=TONNE, style="bars",
            indicators=quoted(*_AIR), scale="0.001", named=_AIR,
        ),
        page.series(
            Text("水污染物", "To the water"), daily, "indicators_summed", unit=TONNE, style="bars",
            indicators=quoted(*_OUTFALL), scale="0.001", named=_OUTFALL,
        ),
        page.series(
            Text("小时均值达标率", "Valid hourly means within the limit"),
            Text(
                "园区和所选企业有效小时均值达标的比例；无效数据既不算达标也不算超标。",
                "Share of valid hourly means within the permit's limit; invalid data count for neither side.",
            ),
            "indicator", unit=PERCENT, bounds=(0, 100), indicator="'emission_compliance_rate'", scopes="'park', 'firm'",
        ),
        page.table(
            Text("监测设备", "Analysers"),
            Text(
                "排口分析仪的最新读数；标记为无效的读数不显示数值。",
                "Newest readings; what the analyser marks as invalid shows no value.",
            ),
            "gauges",
            "firm firm_code point carrier value unit limit valid age",
        ),
        page.table(
            Text("排放量与有效数据占比", "Amounts and valid data"),
            Text(
                "所选范围各排口的计量值，以及有效数据覆盖的时间占比。",
                "What was measured at each outlet, and the share of the range with valid data.",
            ),
            "validity",
            "firm firm_code point carrier unit measured estimated measured_share",
            size=(24, 8),
        ),
    ]  # fmt: skip
    return page.board("carbon", TITLE, ABOUT, panels, since="now-30d")
