"""What a park document says about targets is checked before anything of it is applied."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from park.definition import ParkDefinition, check_definition, dump_definition, load_definition
from park.errors import DataFileError
from park.following import TargetSetting, with_setting
from park.targets import Kind, TargetPack, load_pack
from simulators.parks import park, parks

REUSE = ("tongliang-district-2025", "industrial-water-reuse")
ENERGY = ("qijiang-district-2025", "energy-per-value-added")
_REUSE = load_pack(REUSE[0]).by_id(REUSE[1])
assert _REUSE is not None
OWN = TargetPack(
    id="our-own",
    version=1,
    kind=Kind.OWN,
    name_zh="自定",
    name_en="Own",
    document="minutes",
    issuer="office",
    region="CN-CQ",
    base_year=2025,
    target_year=2027,
    targets=(msgspec.structs.replace(_REUSE, id="ours", target_year=2027),),
)


def document(**more: Any) -> ParkDefinition:
    plain = {"target_packs": [REUSE[0], ENERGY[0]]}
    return ParkDefinition(code="p", name_zh="园", name_en="Park", **(plain | more))


def test_a_parks_own_pack_and_settings_survive_its_document() -> None:
    """Written as YAML and read again, pack and settings are what they were."""
    said = TargetSetting(pack=ENERGY[0], target=ENERGY[1], base_value=0.9, source="yearbook")
    own = TargetSetting(pack="our-own", target="ours", value=85.0, source="minutes")
    made = document(own_target_packs=[OWN], target_settings=[said, own])
    assert load_definition(dump_definition(made), "park.yaml") == made


def test_a_setting_replaces_only_what_it_says() -> None:
    """The plan's comparator, source and everything else stay."""
    assert _REUSE is not None
    changed = with_setting(_REUSE, value=92.0, base_year=2020, base_value=85.0)
    assert (changed.value, changed.base_year, changed.base_value) == (92.0, 2020, 85.0)
    assert msgspec.structs.replace(changed, value=90.0, base_year=None, base_value=None) == _REUSE
    assert with_setting(_REUSE) == _REUSE


@pytest.mark.parametrize(
    ("code", "pack_id"),
    [
        ("tongliang-hightech", "tongliang-hightech-2027"),
        ("chongqing-hightech", "chongqing-hightech-2025"),
        ("qianjiang-hightech", "qianjiang-hightech-2020"),
        ("qijiang", "qijiang-district-2025"),
    ],
)
def test_each_simulated_park_follows_its_real_plan(code: str, pack_id: str) -> None:
    """Four parks are named after plans, and each answers for the targets of its own."""
    assert code in parks()
    assert park(code, 1).definition.target_packs[0] == pack_id


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"target_packs": ["nothing"]}, "target_packs[0]"),
        ({"target_settings": [TargetSetting(pack="x", target="y", value=1, source="s")]}, "target_settings[0].pack"),
        (
            {"target_settings": [TargetSetting(pack=ENERGY[0], target="y", value=1, source="s")]},
            "target_settings[0].target",
        ),
        ({"target_settings": [TargetSetting(pack=ENERGY[0], target=ENERGY[1], source="s")]}, "target_settings[0]"),
        (
            {"target_settings": [TargetSetting(pack=ENERGY[0], target=ENERGY[1], value=1, source=" ")]},
            "target_settings[0].source",
        ),
        ({"own_target_packs": [msgspec.structs.replace(OWN, id=ENERGY[0])]}, "own_target_packs[0].id"),
        ({"own_target_packs": [msgspec.structs.replace(OWN, kind=Kind.PLAN)]}, "own_target_packs[0].kind"),
    ],
)
def test_a_document_that_says_something_wrong_about_targets_is_named_with_its_field(
    more: dict[str, Any], field: str
) -> None:
    """A pack or target that is not there, a number without a source, an id that is taken."""
    with pytest.raises(DataFileError) as caught:
        check_definition(document(**more), "park.yaml")
    assert caught.value.field == field
