"""Target packs: what the plans say, checked when it is read, and the odd said aloud."""

from __future__ import annotations

import msgspec
import pytest

from park.errors import DataFileError
from park.indicators import load_catalogue
from park.oddities import odd
from park.targets import NUMBERLESS, Comparator, Kind, Population, TargetPack, Theme, load_pack, pack_ids, parse_pack

# Counted by hand in the plans, table by table: targets with a printed number, green ones first.
#   Tongliang High-tech Zone: 4 in one sentence; 11 of economy and innovation.
#   Chongqing High-tech Zone: none green; 6 rows of table 1, 9 numbers of its three bases.
#   Qianjiang High-tech Zone: energy twice (text and table), solid waste, land; 22 other rows of 专栏1 and 4 second
#       numbers in them, 15 of chapter 3, 28 of chapter 4, 14 of chapter 5, 3 of infrastructure.
#   Tongliang District: 4 rows of 附表1; its 12 other rows with a number, 28 of the text.
#   Qijiang District: 6 rows of 表1, 9 of the text; 25 other rows, 9 differing texts, 12 of industries, 12 of clusters,
#       15 others of the text.
BY_HAND = {
    "tongliang-hightech-2027": (4, 11),
    "chongqing-hightech-2025": (0, 6 + 9),
    "qianjiang-hightech-2020": (4, 22 + 4 + 15 + 28 + 14 + 3),
    "tongliang-district-2025": (4, 12 + 28),
    "qijiang-district-2025": (6 + 9, 25 + 9 + 12 + 12 + 15),
}


@pytest.mark.parametrize("pack_id", BY_HAND)
def test_every_number_of_the_plan_is_a_target(pack_id: str) -> None:
    """Each pack has as many targets with a printed number as its plan, counted by hand."""
    numbers = [target for target in load_pack(pack_id).targets if target.numeric]
    green = [target for target in numbers if target.theme is not Theme.CONTEXT]
    assert (len(green), len(numbers) - len(green)) == BY_HAND[pack_id]


def test_every_pack_loads_by_its_files_name_and_each_target_tells_where_it_stands() -> None:
    """Five plans and four references; every target of a plan names the lines it was read from."""
    kinds = [load_pack(pack_id).kind for pack_id in pack_ids()]
    assert (kinds.count(Kind.PLAN), kinds.count(Kind.REFERENCE)) == (5, 4)
    for pack_id in pack_ids():
        pack = load_pack(pack_id)
        assert pack.id == pack_id
        assert pack.verified is (pack.kind is Kind.PLAN)
        for target in pack.targets:
            assert target.source.chapter
            assert target.source.as_printed
            assert (target.source.lines != ()) is (pack.kind is Kind.PLAN)
            assert (target.value is None) >= (target.comparator in NUMBERLESS)


@pytest.mark.parametrize(
    ("pack_id", "one", "other"),
    [
        ("qianjiang-hightech-2020", "energy-per-value-added", "energy-per-value-added-table"),
        ("qianjiang-hightech-2020", "value-added-rate-label", "value-added-rate"),
        ("qijiang-district-2025", "park-concentration", "park-concentration-text"),
        ("qijiang-district-2025", "clean-energy-share", "clean-energy-share-text"),
        ("qijiang-district-2025", "value-added", "value-added-doubled"),
        ("tongliang-district-2025", "energy-per-gdp", "energy-per-gdp-text"),
    ],
)
def test_where_a_plan_contradicts_itself_both_stand_and_name_each_other(pack_id: str, one: str, other: str) -> None:
    """Text and table differ in comparator or number; neither is dropped, and one line tells of it."""
    pack = load_pack(pack_id)
    first, second = pack.by_id(one), pack.by_id(other)
    assert first is not None
    assert second is not None
    assert (first.comparator, first.value) != (second.comparator, second.value)
    assert other in first.conflicts_with
    assert one in second.conflicts_with
    assert sum("contradicts itself" in line and one in line and other in line for line in odd(pack)) == 1


def test_exactly_0_6_meets_qianjiangs_text_and_misses_its_table() -> None:
    """不超过 is at most, 低于 is below: the same 0.6 under two comparators, over the same baseline of 0.84."""
    pack = load_pack("qianjiang-hightech-2020")
    text, table = pack.by_id("energy-per-value-added"), pack.by_id("energy-per-value-added-table")
    assert text is not None
    assert table is not None
    assert (text.comparator, table.comparator) == (Comparator.LE, Comparator.LT)
    assert text.value == table.value == 0.6
    assert text.base_value == table.base_value == 0.84


@pytest.mark.parametrize("pack_id", ["tongliang-hightech-2027", "qianjiang-hightech-2020", "chongqing-hightech-2025"])
def test_no_number_for_water_reuse_is_borrowed(pack_id: str) -> None:
    """Three plans set no number for water reuse: whatever they say of it has none."""
    water = [t for t in load_pack(pack_id).targets if t.indicator == "water_reuse_rate" or "water-re" in t.id]
    assert all(target.value is None for target in water)


def test_the_binding_rows_are_those_the_plans_label() -> None:
    """Qijiang binds by five rows, Tongliang District by three that have no number; two plans label none."""
    bound = {p: [t for t in load_pack(p).targets if t.binding] for p in BY_HAND}
    assert {p: len(found) for p, found in bound.items()} == {
        "tongliang-hightech-2027": 0,
        "chongqing-hightech-2025": 0,
        "qianjiang-hightech-2020": 0,
        "tongliang-district-2025": 3,
        "qijiang-district-2025": 5,
    }
    assert all(target.value is None for target in bound["tongliang-district-2025"])
    assert all(target.binding is None for target in load_pack("qianjiang-hightech-2020").targets)


def test_words_for_numbers_ranges_and_milestones_are_kept() -> None:
    """All of it, twice as much, 1-3 of them, and what is wanted in 2022 on the way to 2025."""
    all_of_it = load_pack("tongliang-hightech-2027").by_id("hazardous-waste-safe-disposal")
    assert all_of_it is not None
    assert (all_of_it.comparator, all_of_it.value, all_of_it.implied, all_of_it.numeric) == ("hold", 100, True, False)
    centres = load_pack("tongliang-district-2025").by_id("innovation-centres-municipal")
    assert centres is not None
    assert (centres.comparator, centres.value, centres.upper) == ("between", 1, 3)
    output = load_pack("chongqing-hightech-2025").by_id("industrial-output")
    assert output is not None
    assert [(m.year, m.value) for m in output.milestones] == [(2022, 350)]
    assert (output.base_value, output.value) == (254.8, 500)


def test_trap_24_a_reversed_direction_is_said_and_no_carried_pack_has_one() -> None:
    """At least, of something that should fall, is odd; so is at most, of something that should rise."""
    reversed_ = with_target(indicator="energy_per_product", comparator=Comparator.GE)
    assert any("direction is reversed" in line and "lower is better" in line for line in odd(reversed_))
    assert any("direction is reversed" in line for line in odd(with_target(comparator=Comparator.LE)))
    assert not any("direction" in line for pack_id in pack_ids() for line in odd(load_pack(pack_id)))


def test_tongliang_wants_at_least_90_percent_water_reuse_and_does_not_bind() -> None:
    """The reuse row of the plan's table is expectational, and is computed."""
    target = load_pack("tongliang-district-2025").by_id("industrial-water-reuse")
    assert target is not None
    assert (target.comparator, target.value, target.unit) == (Comparator.GE, 90.0, "%")
    assert (target.binding, target.target_year, target.base_value) == (False, 2025, None)
    assert target.indicator is not None
    assert load_catalogue().by_id(target.indicator).unit == "%"
    assert target.source.lines == (968,)


@pytest.mark.parametrize(("target_id", "value"), [("energy-per-value-added", 16.0), ("water-per-value-added", 20.0)])
def test_qijiang_binds_to_cumulative_declines_without_a_baseline(target_id: str, value: float) -> None:
    """The declines are stored without the plan's double minus, over 2020 to 2025, and have no base value."""
    target = load_pack("qijiang-district-2025").by_id(target_id)
    assert target is not None
    assert (target.comparator, target.value) == (Comparator.CUMULATIVE_DECLINE, value)
    assert (target.base_year, target.base_value, target.target_year) == (2020, None, 2025)
    assert (target.binding, target.scope) == (True, Population.ABOVE_SCALE_INDUSTRY)
    assert target.source.as_printed == f"【-{value:g}】"


@pytest.mark.parametrize(
    ("pack_id", "target_id", "said"),
    [
        ("qijiang-district-2025", "energy-per-value-added", "no baseline: the level of 2020"),
        ("qijiang-district-2025", "green-industry-share", "impossible as written"),
        ("qianjiang-hightech-2020", "value-added-rate", "the target 25 is below the baseline 36.6"),
        ("qianjiang-hightech-2020", "foreign-capital", "the base value is zero"),
        ("qianjiang-hightech-2020", "qidi-rd", "2022 lies outside the plan"),
        ("qianjiang-hightech-2020", "output-intensity", "over the land of firms in production"),
        ("tongliang-district-2025", "co2-per-gdp", "binding, but the plan gives no number"),
        ("tongliang-district-2025", "energy-per-gdp", "printed as a percentage"),
        ("tongliang-hightech-2027", "hazardous-waste-safe-disposal", "said in words"),
        ("chongqing-industry-2025", "", "not read from the document itself"),
    ],
)
def test_what_is_odd_about_the_carried_packs_is_said(pack_id: str, target_id: str, said: str) -> None:
    """A target below its baseline, one that cannot be met, a zero base, a number in words: each has its line."""
    lines = [line for line in odd(load_pack(pack_id)) if line.startswith(f"{pack_id}: {target_id}")]
    assert any(said in line for line in lines), lines


def test_an_unknown_pack_is_refused_with_the_known_ones() -> None:
    """A pack that is not there, or a path in its place, gets a clear answer."""
    for wrong in ("tongliang", "../factors"):
        with pytest.raises(DataFileError, match="known are chongqing-hightech-2025"):
            load_pack(wrong)


def test_a_pack_survives_storing_as_json() -> None:
    """What is stored beside a standing is the whole pack."""
    for pack_id in pack_ids():
        pack = load_pack(pack_id)
        assert msgspec.json.decode(msgspec.json.encode(pack), type=TargetPack) == pack


GOOD = """
id = "mine"
version = 1
name_zh = "我"
name_en = "Mine"
document = "d"
issuer = "i"
region = "CN-CQ"
base_year = 2020
target_year = 2025
[[targets]]
id = "t"
indicator = "water_reuse_rate"
name_zh = "目标"
name_en = "Target"
comparator = "ge"
value = 90
unit = "%"
target_year = 2025
binding = true
scope = "industry"
source = { chapter = "1" }
"""


def with_target(**changes: object) -> TargetPack:
    pack = parse_pack(GOOD, "mine.toml")
    return msgspec.structs.replace(pack, targets=(msgspec.structs.replace(pack.targets[0], **changes),))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD.replace("90", '"ninety"'), "targets[0].value"),
        (GOOD.replace("90", "inf"), "targets[0].value"),
        (GOOD.replace('"ge"', '"at least"'), "targets[0].comparator"),
        (GOOD.replace("water_reuse_rate", "water_reuse"), "targets[0].indicator"),
        (GOOD.replace("chapter", "page"), "targets[0].source"),
        (GOOD.replace('unit = "%"\n', ""), "targets[0]"),
        (GOOD + "base_value = 5.0\n", "targets[0].base_year"),
        (GOOD + "base_year = 2025\n", "targets[0].base_year"),
        (GOOD.replace('"ge"', '"cumulative_decline"'), "targets[0].base_year"),
        (GOOD.replace('id = "t"', 'id = "T 1"'), "targets[0].id"),
        (GOOD.replace("version = 1", "version = 0"), "version"),
        (GOOD + GOOD[GOOD.index("[[targets]]") :], "targets[1].id"),
        (GOOD.replace("[[targets]]", "[[target]]"), ""),
        ("id = ", ""),
    ],
)
def test_a_wrong_pack_is_named_with_its_field(text: str, field: str) -> None:
    """Whatever is wrong in a pack is reported with the file and the field, and nothing of it is loaded."""
    with pytest.raises(DataFileError) as caught:
        parse_pack(text, "mine.toml")
    assert (caught.value.file, caught.value.field) == ("mine.toml", field)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"comparator": Comparator.CUMULATIVE_DECLINE, "base_year": 2020, "base_value": 1.0, "value": -16.0},
            "store 16",
        ),
        ({"comparator": Comparator.CUMULATIVE_DECLINE, "base_year": 2020, "value": 16.0}, "no baseline"),
        ({"comparator": Comparator.CUMULATIVE_DECLINE, "base_year": 2020, "value": 100.0}, "leaves nothing"),
        ({"base_value": 95.0, "base_year": 2020}, "below the baseline 95 of 2020"),
        ({"comparator": Comparator.LE, "base_value": 80.0, "base_year": 2020}, "above the baseline 80 of 2020"),
        ({"base_value": 0.0, "base_year": 2020}, "base value is zero"),
        ({"value": None}, "no number in the plan"),
        ({"value": None, "comparator": Comparator.TRACK_ONLY}, "binding, but"),
        ({"value": 120.0}, "more than the whole"),
        ({"indicator": None}, "no indicator computes it yet"),
        ({"ceiling": 80.0}, "impossible as written"),
        ({"base_value": 90.0, "base_year": 2020}, "nothing is to change"),
        ({"comparator": Comparator.QUOTA, "value": None}, "a higher level sets it"),
    ],
)
def test_odd_targets_are_said_and_still_load(changes: dict[str, object], said: str) -> None:
    """What is odd but possible is told to a person and left as the plan has it."""
    lines = odd(with_target(**changes))
    assert any(said in line and line.startswith("mine: t: ") for line in lines), lines


def test_a_plain_target_is_not_odd() -> None:
    """A target above its baseline gives no line."""
    assert odd(with_target(base_value=80.0, base_year=2020)) == []
