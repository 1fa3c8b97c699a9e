"""Which targets a park follows: packs of its own, and what it says about targets of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from park.errors import DataFileError
from park.targets import Kind, TargetPack, check_pack, load_pack, pack_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from park.targets import Target


class TargetSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a park says about a target of a plan: the base year's level, or a number that was assigned to it later.

    Attributes:
        source: the document that says so; a number without one is nobody's.
    """

    pack: str
    target: str
    source: str
    value: float | None = None
    base_year: int | None = None
    base_value: float | None = None


def check_following(
    packs: Sequence[str], own: Sequence[TargetPack], settings: Sequence[TargetSetting], file: str
) -> None:
    """Check what a park document says about targets; raises `DataFileError` naming the field."""
    of = {pack.id: pack for pack in own}
    for p, pack in enumerate(own):
        at = f"own_target_packs[{p}]"
        if pack.id in pack_ids() or [other.id for other in own].index(pack.id) != p:
            raise DataFileError(file, f"{at}.id", f"{pack.id!r} is another pack's id")
        if pack.kind is not Kind.OWN:
            raise DataFileError(file, f"{at}.kind", f"a park's own pack is of kind {Kind.OWN.value!r}")
        check_pack(pack, file, f"{at}.")
    for p, pack_id in enumerate(packs):
        if pack_id not in {*of, *pack_ids()}:
            raise DataFileError(file, f"target_packs[{p}]", f"no target pack {pack_id!r}; see `greenpark targets list`")
    for s, setting in enumerate(settings):
        at = f"target_settings[{s}]"
        if setting.pack not in {*of, *packs}:
            raise DataFileError(file, f"{at}.pack", f"this park does not follow {setting.pack!r}")
        target = (of.get(setting.pack) or load_pack(setting.pack)).by_id(setting.target)
        if target is None:
            raise DataFileError(file, f"{at}.target", f"no target {setting.target!r} in {setting.pack}")
        if any((other.pack, other.target) == (setting.pack, setting.target) for other in settings[:s]):
            raise DataFileError(file, at, f"{setting.pack}/{setting.target} is set twice")
        if not setting.source.strip():
            raise DataFileError(file, f"{at}.source", "the document that says so is needed")
        if setting.value is None and setting.base_value is None:
            raise DataFileError(file, at, "a value or a base_value is needed")
        if setting.base_value is not None and setting.base_year is None and target.base_year is None:
            raise DataFileError(file, f"{at}.base_year", "a base value needs the year it belongs to")


def with_setting(
    target: Target, *, value: float | None = None, base_year: int | None = None, base_value: float | None = None
) -> Target:
    """Return the target as a park's own number has it; what is None stays the plan's."""
    changes: dict[str, object] = {}
    if value is not None:
        changes["value"] = value
    if base_year is not None:
        changes["base_year"] = base_year
    if base_value is not None:
        changes["base_value"] = base_value
    return msgspec.structs.replace(target, **changes)
