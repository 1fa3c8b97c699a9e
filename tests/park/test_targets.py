"""Target packs: what the plans say, checked when it is read, and the odd said aloud."""

from __future__ import annotations

import msgspec
import pytest

from park.errors import DataFileError
from park.indicators import load_catalogue
from park.oddities import odd
from park.targets import Comparator, Population, TargetPack, load_pack, pack_ids, parse_pack


def test_the_first_two_packs_are_carried() -> None:
    """Both packs load by the id that is their file's name."""
    assert {"tongliang-district-2025", "qijiang-district-2025"} <= set(pack_ids())
    for pack_id in pack_ids():
        pack = load_pack(pack_id)
        assert pack.id == pack_id
        assert pack.targets


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


def test_what_is_odd_about_the_carried_packs_is_said() -> None:
    """Tongliang's target has nothing odd; Qijiang's both lack a baseline and an indicator."""
    assert odd(load_pack("tongliang-district-2025")) == []
    lines = odd(load_pack("qijiang-district-2025"))
    assert sum("no baseline: the level of 2020" in line for line in lines) == 2
    assert all(line.startswith("qijiang-district-2025: ") for line in lines)


def test_an_unknown_pack_is_refused_with_the_known_ones() -> None:
    """A pack that is not there, or a path in its place, gets a clear answer."""
    for wrong in ("tongliang", "../factors"):
        with pytest.raises(DataFileError, match="known are qijiang-district-2025"):
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
    ],
)
def test_odd_targets_are_said_and_still_load(changes: dict[str, object], said: str) -> None:
    """What is odd but possible is told to a person and left as the plan has it."""
    lines = odd(with_target(**changes))
    assert any(said in line and line.startswith("mine: t: ") for line in lines), lines


def test_a_plain_target_is_not_odd() -> None:
    """A target above its baseline gives no line."""
    assert odd(with_target(base_value=80.0, base_year=2020)) == []
