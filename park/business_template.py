"""A table to fill in, with one example row of each kind, in Chinese or English."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, Literal

from park.business import KINDS, Destination, InputKind, PriceBasis, WasteCategory
from park.business_words import (
    CATEGORY_WORDS,
    COLUMNS,
    DESTINATION_WORDS,
    FINALITY_WORDS,
    KEY_WORDS,
    PRICE_WORDS,
    UNIT_WORDS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Language = Literal["zh-CN", "en"]
_EXAMPLES: Final[dict[InputKind, tuple[str, str, str]]] = {
    # kind: key, amount, unit
    InputKind.PRODUCTION: ("", "12000", "piece"),
    InputKind.OUTPUT_VALUE: ("", "5200", "10^4CNY"),
    InputKind.VALUE_ADDED: ("", "1300", "10^4CNY"),
    InputKind.LAND_AREA: ("", "42000", "m2"),
    InputKind.STAFF: ("", "380", "person"),
    InputKind.SOLID_WASTE: (f"{WasteCategory.GENERAL}/{Destination.UTILISED}", "85", "t"),
    InputKind.STOCK_OPENING: ("coal", "120", "t"),
    InputKind.STOCK_CLOSING: ("coal", "90", "t"),
    InputKind.ENERGY_PURCHASED: ("coal", "400", "t"),
    InputKind.ENERGY_SOLD: ("steam", "60", "t"),
    InputKind.FEEDSTOCK: ("natural_gas", "1000", "m3"),
    InputKind.GREEN_POWER: ("certificate", "500", "MWh"),
    InputKind.POLLUTANT: ("so2", "0.2", "t"),
    InputKind.PROCESS_MATERIAL: ("limestone", "900", "t"),
}


def template(language: Language, *, firm: str, product: str, period: str) -> str:
    """Return a CSV table with a heading and one example of each kind; it is taken as it is."""
    chinese = language == "zh-CN"
    heading = [words[0] if chinese else column for column, words in COLUMNS.items()]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(heading)
    for kind, (key, amount, unit) in _EXAMPLES.items():
        priced = KINDS[kind].priced
        bases: Sequence[tuple[str, str]] = (
            ((PriceBasis.CURRENT, ""), (PriceBasis.CONSTANT, "2020")) if priced else (("", ""),)
        )
        for basis, year in bases:
            row = {
                "firm": firm,
                "period": period,
                "kind": KINDS[kind].name_zh if chinese else kind.value,
                "key": product if kind is InputKind.PRODUCTION else _chinese_key(key) if chinese else key,
                "amount": amount,
                "unit": _word(UNIT_WORDS, unit) if chinese else unit,
                "price_basis": _word(PRICE_WORDS, basis) if chinese else basis,
                "price_year": year,
                "finality": _word(FINALITY_WORDS, "final") if chinese else "final",
                "workshop": "",
                "reason": "",
            }
            writer.writerow([row[column] for column in COLUMNS])
    return out.getvalue()


def _chinese_key(key: str) -> str:
    category, slash, destination = key.partition("/")
    if slash:
        return f"{_word(CATEGORY_WORDS, category)}/{_word(DESTINATION_WORDS, destination)}"
    return _word(KEY_WORDS, key)


def _word(words: Mapping[str, str], meaning: str) -> str:
    """Return the first word of a meaning, the meaning itself where there is none."""
    return next((word for word, means in words.items() if means == meaning and not word.isascii()), meaning)
