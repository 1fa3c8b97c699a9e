"""The words that tables of business inputs use for columns, kinds, keys and units, in Chinese and English."""

from __future__ import annotations

from typing import Final

from park.business import KINDS, Destination, Finality, PriceBasis, WasteCategory

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "firm": ("企业", "企业编码", "企业代码", "统一社会信用代码", "uscc"),
    "period": ("报告期", "期间", "时间"),
    "kind": ("指标", "类别"),
    "key": ("项目", "产品", "产品编码", "品种"),
    "amount": ("数值", "数量", "value"),
    "unit": ("单位", "计量单位"),
    "price_basis": ("价格", "价格口径", "price"),
    "price_year": ("基年", "不变价基年", "base_year"),
    "finality": ("数据性质", "性质"),
    "workshop": ("车间", "生产单元"),
    "reason": ("原因", "修改原因"),
}
"""Each column's English name, and its Chinese ones; templates use the first."""
REQUIRED: Final = ("firm", "period", "kind", "amount")

KIND_WORDS: Final[dict[str, str]] = {
    **{spec.name_zh: kind.value for kind, spec in KINDS.items()},
    **{spec.name_en: kind.value for kind, spec in KINDS.items()},
    "产量": "production",
    "总产值": "output_value",
    "产值": "output_value",
    "增加值": "value_added",
    "用地": "land_area",
    "占地面积": "land_area",
    "职工人数": "staff",
    "从业人员平均人数": "staff",
    "固体废物": "solid_waste",
    "固废": "solid_waste",
}
CATEGORY_WORDS: Final[dict[str, str]] = {
    "一般": WasteCategory.GENERAL,
    "一般固废": WasteCategory.GENERAL,
    "一般工业固废": WasteCategory.GENERAL,
    "一般工业固体废物": WasteCategory.GENERAL,
    "危废": WasteCategory.HAZARDOUS,
    "危险废物": WasteCategory.HAZARDOUS,
}
DESTINATION_WORDS: Final[dict[str, str]] = {
    "产生": Destination.GENERATED,
    "产生量": Destination.GENERATED,
    "综合利用": Destination.UTILISED,
    "综合利用量": Destination.UTILISED,
    "综合利用往年贮存量": Destination.UTILISED_FROM_STOCK,
    "处置": Destination.DISPOSED,
    "处置量": Destination.DISPOSED,
    "贮存": Destination.STORED,
    "贮存量": Destination.STORED,
    "倾倒丢弃": Destination.DISCARDED,
    "倾倒丢弃量": Destination.DISCARDED,
}
KEY_WORDS: Final[dict[str, str]] = {
    "电力": "electricity",
    "天然气": "natural_gas",
    "柴油": "diesel",
    "原煤": "coal",
    "煤炭": "coal",
    "蒸汽": "steam",
    "热力": "heat",
    "压缩空气": "compressed_air",
    "新水": "fresh_water",
    "二氧化硫": "so2",
    "氮氧化物": "nox",
    "颗粒物": "particulate",
    "化学需氧量": "cod",
    "氨氮": "ammonia_nitrogen",
    "绿证": "certificate",
    "绿电合同": "contract",
}
UNIT_WORDS: Final[dict[str, str]] = {
    "元": "CNY",
    "万元": "10^4CNY",
    "亿元": "10^8CNY",
    "yuan": "CNY",
    "吨": "t",
    "千克": "kg",
    "公斤": "kg",
    "克": "g",
    **dict.fromkeys(("件", "台", "辆", "套", "个", "片", "只", "块", "支", "pcs", "pieces"), "piece"),
    "人": "person",
    "persons": "person",
    "平方米": "m2",
    "m²": "m2",
    "万平方米": "10^4m2",
    "公顷": "hm2",
    "ha": "hm2",
    "亩": "mu",
    "平方公里": "km2",
    "平方千米": "km2",
    "立方米": "m3",
    "m³": "m3",
    "万立方米": "10^4m3",
    "千瓦时": "kWh",
    "度": "kWh",
    "兆瓦时": "MWh",
    "吉焦": "GJ",
}
PRICE_WORDS: Final[dict[str, str]] = {
    "现价": PriceBasis.CURRENT,
    "当年价": PriceBasis.CURRENT,
    "当年价格": PriceBasis.CURRENT,
    "不变价": PriceBasis.CONSTANT,
    "不变价格": PriceBasis.CONSTANT,
    "可比价": PriceBasis.CONSTANT,
}
FINALITY_WORDS: Final[dict[str, str]] = {
    "快报": Finality.PROVISIONAL,
    "初步": Finality.PROVISIONAL,
    "预计": Finality.PROVISIONAL,
    "最终": Finality.FINAL,
    "正式": Finality.FINAL,
    "年报": Finality.FINAL,
}
WITHDRAWN_WORDS: Final = ("withdrawn", "撤回", "撤销")


def key_of(text: str) -> str:
    """Return a key from its word in either language; waste is `category/destination`, each in either language."""
    category, slash, destination = text.partition("/")
    if not slash:
        return KEY_WORDS.get(text, text)
    kind, dot, detail = category.strip().partition(".")
    destination = destination.strip()
    return f"{CATEGORY_WORDS.get(kind, kind)}{dot}{detail}/{DESTINATION_WORDS.get(destination, destination)}"
