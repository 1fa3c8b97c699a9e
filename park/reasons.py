"""Why a number is undefined: codes for machines, a sentence in two languages for people."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Undefined(StrEnum):
    """Why an indicator or a standing has no value. Stored: never rename."""

    NO_POINTS = "no_points"
    NO_DATA = "no_data"
    COVERAGE_TOO_LOW = "coverage_too_low"
    NO_FACTOR = "no_factor"
    WRONG_UNIT = "wrong_unit"
    UNLIKE_PRODUCTS = "unlike_products"
    NO_PRODUCTION = "no_production"
    ZERO_DENOMINATOR = "zero_denominator"
    IMPLAUSIBLE = "implausible"
    NO_INDICATOR = "no_indicator"
    NO_NUMBER = "no_number"
    NO_BASELINE = "no_baseline"
    NOT_STARTED = "not_started"
    IMPOSSIBLE_TARGET = "impossible_target"
    NOT_JUDGED = "not_judged"
    NOT_REPORTED = "not_reported"
    REPORTED_COARSER = "reported_coarser"
    MONTHS_MISSING = "months_missing"
    NO_DEFLATOR = "no_deflator"
    UNLIKE_PRICES = "unlike_prices"
    MIXED_SERIES = "mixed_series"
    NOT_FOR_TREND = "not_for_trend"
    OTHER_SOURCE = "other_source"


SENTENCES: Final[dict[Undefined, tuple[str, str]]] = {
    Undefined.NO_POINTS: ("没有所需的计量点", "no meter measures what this needs"),
    Undefined.NO_DATA: ("计量点在该时段没有数据", "the meters sent nothing in this period"),
    Undefined.COVERAGE_TOO_LOW: ("数据覆盖率过低", "too little of the period is covered by readings"),
    Undefined.NO_FACTOR: ("缺少适用的折算系数", "no conversion factor holds for a carrier on this day"),
    Undefined.WRONG_UNIT: ("计量点的单位与能源品种不符", "a point's unit does not measure its carrier"),
    Undefined.UNLIKE_PRODUCTS: ("产品种类或单位不同，不能相加", "products of unlike kinds or units cannot be added"),
    Undefined.NO_PRODUCTION: ("该时段没有产量", "nothing was produced in this period"),
    Undefined.ZERO_DENOMINATOR: ("分母不为正数", "the denominator is not positive"),
    Undefined.IMPLAUSIBLE: ("比率超出可能范围，请检查计量", "the share lies outside 0 to 100 %: check the meters"),
    Undefined.NO_INDICATOR: ("尚缺计算该指标所需的数据", "this indicator cannot be computed yet"),
    Undefined.NO_NUMBER: ("规划未给出数值，仅作跟踪", "the plan gives no number; it is only tracked"),
    Undefined.NO_BASELINE: ("尚无基期值", "no baseline yet"),
    Undefined.NOT_STARTED: ("目标期尚未开始", "the target's period has not begun"),
    Undefined.IMPOSSIBLE_TARGET: ("目标值按原文无法成立", "the target is impossible as it is written"),
    Undefined.NOT_JUDGED: ("该类目标尚不支持评判", "targets of this kind are not judged yet"),
    Undefined.NOT_REPORTED: ("企业尚未填报所需数据", "the firm has not reported what this needs"),
    Undefined.REPORTED_COARSER: (
        "填报数据的周期较长，不向更短周期分摊",
        "this is reported for longer periods and is not spread over shorter ones",
    ),
    Undefined.MONTHS_MISSING: ("缺少部分月份的填报数据", "months of this period are not reported"),
    Undefined.NO_DEFLATOR: (
        "缺少不变价数据或价格指数，不以现价代替",
        "no constant-price value and no deflator; the current price does not stand in for it",
    ),
    Undefined.UNLIKE_PRICES: (
        "不变价基年不同，不能相加或比较",
        "constant prices of unlike base years are not put together",
    ),
    Undefined.MIXED_SERIES: (
        "折算口径或系数版本不同，不能放在同一趋势中",
        "one trend cannot hold two bases or editions",
    ),
    Undefined.NOT_FOR_TREND: (
        "现价指标仅供展示，不能用于跨年比较",
        "at current prices it may be shown, not compared over years",
    ),
    Undefined.OTHER_SOURCE: ("该产品的产量以另一来源为准", "this product's production comes from its other source"),
}
"""Chinese and English; each stands behind "undefined, because"."""
