"""Tables of business inputs as spreadsheets write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from park.business import Finality, InputKind, PriceBasis
from park.business_csv import Row, RowError, read_rows
from park.business_words import COLUMNS, KIND_WORDS, UNIT_WORDS
from park.errors import DataFileError
from park.units import unit

TODAY = date(2026, 5, 20)


@dataclass(frozen=True)
class Firm:
    code: str
    uscc: str | None = None
    products: tuple[str, ...] = ()
    workshops: tuple[str, ...] = ()


FIRMS = (Firm("f01", "91500000MA5U000001", ("car",), ("paint",)), Firm("f02"))
CHINESE = """企业,报告期,指标,项目,数值,单位,价格,基年,数据性质,车间,原因
f01,2026年3月,工业增加值,,"1,234.5",万元,现价,,快报,,
f01,2026-03,增加值,,1100,万元,不变价,2020,最终,,
91500000MA5U000001,2026-03,产品产量,car,12 000,辆,,,,,
f02,2026Q1,固废,一般工业固废.炉渣/综合利用,3.5,吨,,,,,年中更正
f02,2026-03,期末库存,原煤,20,吨,,,,,
f02,2026-03,污染物排放量,二氧化硫,0.2,吨,,,,,
f01,2026-03,产量,car,撤回,辆,,,,paint,
"""
ENGLISH = """firm,period,kind,key,amount,unit,price_basis,price_year,finality,workshop,reason
f01,2026-03,value_added,,1234.5,10^4CNY,current,,provisional,,
f01,2026-03,value_added,,1100,10^4CNY,constant,2020,final,,
f01,2026-03,production,car,12000,piece,,,,,
f02,2026Q1,solid_waste,general.炉渣/utilised,3.5,t,,,,,年中更正
f02,2026-03,stock_closing,coal,20,t,,,,,
f02,2026-03,pollutant,so2,0.2,t,,,,,
f01,2026-03,production,car,withdrawn,piece,,,,paint,
"""
ENGLISH = ENGLISH.replace("炉渣", "slag")
CHINESE = CHINESE.replace("炉渣", "slag")


def read(text: str | bytes, file: str = "a.csv") -> tuple[list[Row], list[RowError]]:
    data = text.encode() if isinstance(text, str) else text
    return read_rows(data, file, FIRMS, author="li", reason="", today=TODAY)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_a_chinese_table_reads_the_same_in_every_encoding(encoding: str) -> None:
    """What Excel and WPS save (GBK, UTF-8 with and without a mark, UTF-16) is read without being told which it is."""
    rows, errors = read(CHINESE.encode(encoding))
    assert errors == []
    assert [row.found.name for row in rows] == [row.found.name for row in read(CHINESE)[0]]


def test_chinese_and_english_say_the_same() -> None:
    """Headings, kinds, carriers, destinations, units and price bases mean the same in both languages."""
    chinese, english = read(CHINESE), read(ENGLISH)
    assert chinese[1] == english[1] == []
    assert [(row.firm, row.found.name, row.found.amount, row.found.unit) for row in chinese[0]] == [
        (row.firm, row.found.name, row.found.amount, row.found.unit) for row in english[0]
    ]
    first, constant, cars, slag, *_, taken_back = (row.found for row in chinese[0])
    assert (first.amount, first.finality, first.name.price_basis) == (1234.5, Finality.PROVISIONAL, PriceBasis.CURRENT)
    assert (constant.name.price_year, constant.finality) == (2020, Finality.FINAL)
    assert (cars.amount, cars.unit, cars.name.key) == (12000.0, "piece", "car")
    assert (slag.name.key, slag.reason) == ("general.slag/utilised", "年中更正")
    assert (taken_back.amount, taken_back.name.workshop) == (None, "paint")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_part_columns_too(delimiter: str) -> None:
    """The heading shows what parts the columns."""
    rows, errors = read(ENGLISH.replace(",", delimiter))
    assert (len(rows), errors) == (7, [])


def test_a_wrong_row_names_file_row_and_column_and_stops_no_other() -> None:
    """Every bad row is told in the words of the file's own heading; the good ones are read."""
    table = """企业,报告期,指标,项目,数值,单位,价格
f09,2026-03,从业人员,,10,人,
f01,2026-13,从业人员,,10,人,
f01,2026-03,利润,,10,人,
f01,2026-03,产量,bus,10,辆,
f01,2026-03,从业人员,,十,人,
f01,2026-03,从业人员,,"1,5",人,
f01,2026-03,从业人员,,,人,
f01,2026-03,用地面积,,10,斤,
f01,2026-03,增加值,,10,万元,
f01,2026-05,增加值,,10,万元,现价
f01,2026-03,从业人员,,10,人,,x

f01,2026-04,从业人员,,88,,
"""
    rows, errors = read(table, "staff.csv")
    assert [(row.number, row.found.amount, row.found.unit) for row in rows] == [(14, 88.0, "person")]
    assert [(error.number, error.field) for error in errors] == [
        (2, "企业"), (3, "报告期"), (4, "指标"), (5, "项目"), (6, "数值"), (7, "数值"), (8, "数值"), (9, "单位"),
        (10, "价格"), (11, "报告期"), (12, "row"),
    ]  # fmt: skip
    assert str(errors[0]).startswith("staff.csv: row 2: 企业: no firm 'f09'")


def test_two_rows_of_one_file_that_disagree_are_an_error() -> None:
    """Neither the first nor the last silently wins: the second is refused and names the first."""
    table = "firm,period,kind,amount\nf01,2026-03,staff,10\nf01,2026年3月,从业人员,11\nf01,2026-03,staff,10\n"
    rows, errors = read(table)
    assert [row.number for row in rows] == [2, 4]
    assert [(error.number, error.field) for error in errors] == [(3, "amount")]
    assert "row 2" in errors[0].message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "columns are missing"),
        (b"\x00\x01binary", "no text"),
        (b"firm,period\n", "kind \\(指标\\), amount"),
        (b"firm,period,kind,amount,price of eggs\n", "unknown heading 'price of eggs'"),
        ("firm,企业,period,kind,amount\n".encode(), "the same column"),
        (b'firm,period,kind,amount\n"f01,2026-03\n', "not CSV"),
        (b"firm,\xff\xff\n", "neither UTF-8 nor GB 18030"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_says_why(data: bytes, said: str) -> None:
    """Encoding, heading and form are told once, with the file's name."""
    with pytest.raises(DataFileError, match=said) as refused:
        read(data, "x.csv")
    assert refused.value.file == "x.csv"


def test_a_row_remembers_the_file_it_came_from() -> None:
    """The source names file, fingerprint and row, so that the same file is known again, and another is not."""
    table = "firm,period,kind,amount\nf01,2026-03,staff,10\n"
    [row], [again], [other] = read(table)[0], read(table)[0], read(table.replace("10", "11"))[0]
    assert row.found.source == again.found.source
    assert row.found.source.startswith("file a.csv ")
    assert row.found.source.endswith(" row 2")
    assert row.found.source != other.found.source


def test_every_word_leads_to_something_that_exists() -> None:
    """No kind or unit word of the tables is a dead end, and no heading stands for two columns."""
    for kind in KIND_WORDS.values():
        InputKind(kind)
    for symbol in UNIT_WORDS.values():
        unit(symbol)
    words = [word for column, words in COLUMNS.items() for word in (column, *words)]
    assert len(words) == len(set(words))
