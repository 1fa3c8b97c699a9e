"""Target packs: the targets of one plan as data, each with the place in the plan that it was read from.

A pack keeps what the plan says, the odd included: a target may have no number, no baseline, or contradict itself.
`odd` names such things; nothing is mended in silence. Packs stand in `data/targets/`, one file per plan and version.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Annotated

import msgspec

from park import datafile
from park.errors import DataFileError, IndicatorError
from park.indicators import load_catalogue


class Comparator(StrEnum):
    """How a value is held against the target's number."""

    GE = "ge"
    """At least, at the end of the target year."""
    GT = "gt"
    LE = "le"
    LT = "lt"
    ABOUT = "about"
    HOLD = "hold"
    """Never below, in any period."""
    CUMULATIVE_DECLINE = "cumulative_decline"
    """Lower than in the base year by so many percent, as the product of the years between."""
    PER_YEAR = "per_year"
    BETTER_THAN_REFERENCE = "better_than_reference"
    QUALITATIVE = "qualitative"
    TRACK_ONLY = "track_only"
    """The plan names it without a number."""


class Population(StrEnum):
    """Whose sum a target speaks of."""

    INDUSTRY = "industry"
    """All industrial firms."""
    ABOVE_SCALE_INDUSTRY = "above_scale_industry"
    """规上: industrial firms above designated size."""
    PARK = "park"


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Where in the plan a target stands: chapter or table, lines of the plan's text, and the figure as printed."""

    chapter: str
    lines: tuple[int, ...] = ()
    as_printed: str = ""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One target.

    Attributes:
        indicator: id in the catalogue; None: what it needs is not known to us yet.
        value: the number, in `unit`; of a cumulative decline the decline itself, so 16 and not -16. None: the plan
            gives none.
        base_value: level of the indicator in `base_year`; None: neither the plan nor the park has given one.
        binding: 约束性 or 限制性; otherwise expectational, 预期性.
        scope: whose sum it speaks of.
        notes: what a reader must know of its meaning, such as the price basis of a denominator.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
    indicator: str | None = None
    name_zh: str
    name_en: str
    comparator: Comparator
    value: float | None = None
    unit: str
    base_value: float | None = None
    base_year: int | None = None
    target_year: int
    binding: bool
    scope: Population
    source: Source
    notes: str = ""


class TargetPack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The targets of one plan. A changed number is a new version: standings name the version they were judged by."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
    version: Annotated[int, msgspec.Meta(ge=1)]
    name_zh: str
    name_en: str
    document: str
    issuer: str
    region: str
    base_year: int
    target_year: int
    targets: tuple[Target, ...]

    def by_id(self, target_id: str) -> Target | None:
        """Return one target, or None."""
        return next((target for target in self.targets if target.id == target_id), None)


def pack_ids() -> tuple[str, ...]:
    """Return the ids of the packs that the package carries."""
    files = (datafile.folder() / "targets").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


@cache
def load_pack(pack_id: str) -> TargetPack:
    """Read one of the package's packs, or raise `DataFileError` naming the known ones or the wrong field."""
    if pack_id not in pack_ids():
        raise DataFileError(f"{pack_id}.toml", "", f"no such target pack; known are {', '.join(pack_ids())}")
    file = f"{pack_id}.toml"
    pack = parse_pack((datafile.folder() / "targets" / file).read_text(encoding="utf-8"), file)
    if pack.id != pack_id:
        raise DataFileError(file, "id", f"{pack.id!r} differs from the file's name")
    return pack


def parse_pack(text: str, file: str) -> TargetPack:
    """Parse and check a pack, or raise `DataFileError` naming the field. What is only odd is left to `odd`."""
    pack = datafile.parse(text, file, TargetPack)
    ids = [target.id for target in pack.targets]
    for n, target in enumerate(pack.targets):
        at = f"targets[{n}]"
        if ids.index(target.id) != n:
            raise DataFileError(file, f"{at}.id", f"{target.id!r} is used twice")
        if target.indicator is not None:
            try:
                load_catalogue().by_id(target.indicator)
            except IndicatorError as error:
                raise DataFileError(file, f"{at}.indicator", str(error)) from None
        if target.base_value is not None and target.base_year is None:
            raise DataFileError(file, f"{at}.base_year", "a base value needs the year it belongs to")
        if target.base_year is not None and target.base_year >= target.target_year:
            raise DataFileError(file, f"{at}.base_year", f"{target.base_year} is not before {target.target_year}")
        if target.comparator is Comparator.CUMULATIVE_DECLINE and target.base_year is None:
            raise DataFileError(file, f"{at}.base_year", "a cumulative decline needs the year it is counted from")
        for name in ("value", "base_value"):
            number = getattr(target, name)
            if number is not None and not abs(number) < float("inf"):
                raise DataFileError(file, f"{at}.{name}", f"{number}: a finite number is expected")
    return pack


def odd(pack: TargetPack) -> list[str]:
    """Return what a person should look at, one line per finding; the pack is used as it is all the same."""
    found: list[str] = []
    for target in pack.targets:
        found.extend(f"{pack.id}: {target.id}: {line}" for line in _odd_lines(target))
    return found


def _odd_lines(target: Target) -> list[str]:
    lines: list[str] = []
    value, base = target.value, target.base_value
    if value is None:
        if target.comparator not in {Comparator.TRACK_ONLY, Comparator.QUALITATIVE}:
            lines.append("no number in the plan: it can only be tracked")
        elif target.binding:
            lines.append("binding, but the plan gives no number")
    if target.indicator is None:
        lines.append("no indicator computes it yet")
    if base == 0:
        lines.append("the base value is zero: nothing can be relative to it")
    if target.comparator is Comparator.CUMULATIVE_DECLINE:
        if base is None:
            lines.append(f"no baseline: the level of {target.base_year} must be entered before it can be judged")
        if value is not None and value < 0:
            lines.append(f"a decline of {value:g} % is a rise: the sign is in the word, store {-value:g}")
        elif value is not None and value >= 100:
            lines.append(f"a decline of {value:g} % leaves nothing")
    elif value is not None and base is not None:
        if target.comparator in {Comparator.GE, Comparator.GT} and value < base:
            lines.append(f"the target {value:g} is below the baseline {base:g} of {target.base_year}")
        if target.comparator in {Comparator.LE, Comparator.LT} and value > base:
            lines.append(f"the limit {value:g} is above the baseline {base:g} of {target.base_year}")
    if target.unit == "%" and value is not None and abs(value) > 100:
        lines.append(f"{value:g} % is more than the whole")
    return lines
