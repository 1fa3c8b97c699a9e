"""Target packs: the targets of one plan as data, each with the place in the plan that it was read from.

A pack keeps what the plan says, the odd included: a target may have no number, no baseline, or contradict another of
the same plan; then both are kept and name each other. `park.oddities` names such things; nothing is mended in silence.
Packs stand in `data/targets/`, one file per plan; a park may bring its own (`park.definition`).
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

import msgspec

from park import datafile
from park.errors import DataFileError, IndicatorError
from park.indicators import Better, load_catalogue

Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]


class Comparator(StrEnum):
    """How a value is held against the target's number. Stored: never rename."""

    GE = "ge"
    """At least, at the end of the target year."""
    GT = "gt"
    LE = "le"
    LT = "lt"
    ABOUT = "about"
    BETWEEN = "between"
    """From `value` to `upper`; more of something good is no miss."""
    HOLD = "hold"
    """Never on the wrong side of the number, in any period."""
    CUMULATIVE_DECLINE = "cumulative_decline"
    """Lower than in the base year by so many percent, as the product of the years between."""
    CUMULATIVE = "cumulative"
    """So many over the whole plan: the sum of its years, which plans print as 【】."""
    PER_YEAR = "per_year"
    """Growth of so many percent, or so many, in each year; `average`: in the mean of the years."""
    BETTER_THAN_REFERENCE = "better_than_reference"
    """Better than a series of somebody else, such as the national average."""
    QUOTA = "quota"
    """No more than what a higher level assigns."""
    RANK = "rank"
    """Among the first so many."""
    QUALITATIVE = "qualitative"
    """Done or not; a person says which."""
    TRACK_ONLY = "track_only"
    """The plan names it without a number."""


NUMBERLESS = frozenset({Comparator.QUALITATIVE, Comparator.TRACK_ONLY})
"""Comparators that need no number."""
ASSIGNED = frozenset({Comparator.QUOTA, Comparator.BETTER_THAN_REFERENCE, Comparator.RANK})
"""Comparators whose number may come from outside the plan."""
LEVELS = frozenset({Comparator.GE, Comparator.GT, Comparator.LE, Comparator.LT, Comparator.ABOUT, Comparator.BETWEEN})
"""Comparators of a level at the end of the target year."""


UNITS = {
    ("亿元/km2", "10^4CNY/m2"): 0.01,
    ("tce", "kgce"): 1000.0,
    ("t", "kgCO2"): 1000.0,
    ("万元/亩", "10^4CNY/m2"): 3 / 2000,
}
"""Plans print other units than the catalogue has: so many of the latter is one of the former."""


class Population(StrEnum):
    """Whose sum a target speaks of."""

    INDUSTRY = "industry"
    """All industrial firms."""
    ABOVE_SCALE_INDUSTRY = "above_scale_industry"
    """规上: industrial firms above designated size."""
    KEY_ENERGY_USERS = "key_energy_users"
    PARK = "park"
    SECTOR = "sector"
    """One industry or cluster, named by the target."""
    DISTRICT = "district"
    """All of a district, with what is not industry."""
    CITY = "city"
    NATION = "nation"


class Theme(StrEnum):
    """What kind of row of the plan a target is."""

    GREEN = "green"
    DUTY = "duty"
    """A green duty without a number."""
    CONTEXT = "context"
    """Economy, research, digitalisation: shown beside, seldom computed."""


class Kind(StrEnum):
    """What a pack was read from."""

    PLAN = "plan"
    """A plan of the park or its district: its duties."""
    REFERENCE = "reference"
    """What a higher level asks of everyone; never silently a park's own target."""
    OWN = "own"
    """A park's own file."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Where in the plan a target stands: chapter or table, lines of the plan's text, and the figure as printed."""

    chapter: str
    lines: tuple[int, ...] = ()
    as_printed: str = ""


class Milestone(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the plan wants on the way, in a year before the target year."""

    year: int
    value: float


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One target.

    Attributes:
        indicator: id in the catalogue; None: what it needs is not computed.
        value: the number, in `unit`; of a cumulative decline the decline itself, so 16 and not -16. None: the plan
            gives none.
        upper: the greater number of a range.
        implied: the plan says the number in words, such as 全部 (all) or 翻番 (double).
        base_value: level of the indicator in `base_year`; None: neither the plan nor the park has given one.
        binding: True: 约束性 or 限制性; False: 预期性, expectational; None: the plan does not say.
        better: which way is good, where neither the comparator nor the indicator tells.
        reference: whose series, quota or ranking it is held against.
        average: of a rate per year, that it is meant as the mean of the years.
        conflicts_with: targets of the same pack that say something else of the same thing.
        ceiling: the most that the plan's own totals allow; a target beyond it cannot be met.
        oddity: what a reader of the plan finds odd in it.
        notes: what a reader must know of its meaning, such as the price basis of a denominator.
    """

    id: Id
    name_zh: str
    name_en: str
    comparator: Comparator
    unit: str
    target_year: int
    scope: Population
    source: Source
    theme: Theme = Theme.GREEN
    indicator: str | None = None
    value: float | None = None
    upper: float | None = None
    implied: bool = False
    base_value: float | None = None
    base_year: int | None = None
    milestones: tuple[Milestone, ...] = ()
    binding: bool | None = None
    better: Better | None = None
    reference: str = ""
    average: bool = False
    conflicts_with: tuple[str, ...] = ()
    ceiling: float | None = None
    oddity: str = ""
    notes: str = ""

    @property
    def numeric(self) -> bool:
        """Whether the plan prints a number."""
        return self.value is not None and not self.implied

    @property
    def computed_in(self) -> tuple[str, float] | None:
        """Return the indicator's unit and how many of it one unit of a level is; None: they do not convert.

        A decline, a growth and a rank are judged by the indicator whatever its unit.
        """
        if self.indicator is None:
            return None
        unit = load_catalogue().by_id(self.indicator).unit
        relative = self.comparator in {Comparator.CUMULATIVE_DECLINE, Comparator.RANK}
        relative = relative or (self.comparator is Comparator.PER_YEAR and self.unit == "%")
        per_product = "{product}" in unit and self.unit.startswith(unit.partition("{product}")[0])
        if (
            unit == self.unit
            or relative
            or per_product
            or (self.comparator is Comparator.PER_YEAR and self.unit == "%")
        ):
            return unit, 1.0
        factor = UNITS.get((self.unit, unit))
        return None if factor is None else (unit, factor)

    def computed(self) -> Target:
        """Return the target in its indicator's unit; one that does not convert, or has no indicator, as it is."""
        found = self.computed_in
        if found is None or found[1] == 1.0:
            return self

        def scaled(number: float | None) -> float | None:
            return None if number is None else found[1] * number

        return msgspec.structs.replace(
            self,
            unit=found[0],
            value=scaled(self.value),
            upper=scaled(self.upper),
            base_value=scaled(self.base_value),
            ceiling=scaled(self.ceiling),
            milestones=tuple(Milestone(year=m.year, value=found[1] * m.value) for m in self.milestones),
        )

    @property
    def upward(self) -> bool:
        """Whether more is better: said by the comparator, else by the indicator, else by the target itself."""
        if self.comparator in {Comparator.GE, Comparator.GT, Comparator.BETWEEN, Comparator.CUMULATIVE}:
            return True
        if self.comparator in {Comparator.LE, Comparator.LT, Comparator.CUMULATIVE_DECLINE, Comparator.QUOTA}:
            return False
        if self.comparator is Comparator.RANK:
            return False
        if self.better is None and self.indicator is not None:
            return load_catalogue().by_id(self.indicator).better is Better.HIGHER
        return self.better is not Better.LOWER


class TargetPack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The targets of one plan. A changed number is a new version: standings name the version they were judged by.

    Attributes:
        verified: False: quoted from somebody else's account of the document, not from its text.
    """

    id: Id
    version: Annotated[int, msgspec.Meta(ge=1)]
    name_zh: str
    name_en: str
    document: str
    issuer: str
    region: str
    base_year: int
    target_year: int
    targets: tuple[Target, ...]
    kind: Kind = Kind.PLAN
    verified: bool = True
    notes: str = ""

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
    """Parse and check a pack (TOML), or raise `DataFileError` naming the field.

    Beside `[[targets]]` a file may have `[context]` with `rows`, one line each; those with a base value
    have the pack's base year. A target without a target year has its pack's.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataFileError(file, "", f"not TOML: {error}") from None
    rows = raw.pop("context", {}).get("rows", ())
    if rows:
        raw["targets"] = [*raw.get("targets", ()), *(_context(raw, row) for row in rows)]
    return read_pack(raw, file)


def _context(pack: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    based = "base_value" in row and "base_year" in pack
    return {"theme": Theme.CONTEXT.value} | ({"base_year": pack["base_year"]} if based else {}) | row


def read_pack(raw: dict[str, Any], file: str) -> TargetPack:
    """Check a pack that was read already, such as one in a park document; raises as `parse_pack` does."""
    if "targets" in raw and "target_year" in raw:
        year = {"target_year": raw["target_year"]}
        raw = raw | {"targets": [year | t if isinstance(t, dict) else t for t in raw["targets"]]}
    try:
        pack = msgspec.convert(raw, TargetPack)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        raise DataFileError(file, place.strip("`").removeprefix("$."), message) from None
    check_pack(pack, file)
    return pack


def check_pack(pack: TargetPack, file: str, place: str = "") -> None:
    """Check what types cannot; raises `DataFileError`, `place` before its field. `park.oddities` has the rest."""
    ids = [target.id for target in pack.targets]
    for n, target in enumerate(pack.targets):
        at = f"{place}targets[{n}]"
        if ids.index(target.id) != n:
            raise DataFileError(file, f"{at}.id", f"{target.id!r} is used twice")
        if target.indicator is not None:
            try:
                load_catalogue().by_id(target.indicator)
            except IndicatorError as error:
                raise DataFileError(file, f"{at}.indicator", str(error)) from None
        _check_numbers(file, at, target)
        for other in target.conflicts_with:
            if other not in ids or other == target.id:
                raise DataFileError(file, f"{at}.conflicts_with", f"no other target {other!r} in this pack")
            if target.id not in pack.targets[ids.index(other)].conflicts_with:
                raise DataFileError(file, f"{at}.conflicts_with", f"{other!r} does not name {target.id!r} in return")


def _check_numbers(file: str, at: str, target: Target) -> None:
    if target.base_value is not None and target.base_year is None:
        raise DataFileError(file, f"{at}.base_year", "a base value needs the year it belongs to")
    if target.base_year is not None and target.base_year >= target.target_year:
        raise DataFileError(file, f"{at}.base_year", f"{target.base_year} is not before {target.target_year}")
    if target.comparator is Comparator.CUMULATIVE_DECLINE and target.base_year is None:
        raise DataFileError(file, f"{at}.base_year", "a cumulative decline needs the year it is counted from")
    for name in ("value", "upper", "base_value", "ceiling"):
        number = getattr(target, name)
        if number is not None and not abs(number) < float("inf"):
            raise DataFileError(file, f"{at}.{name}", f"{number}: a finite number is expected")
    if (target.upper is not None) != (target.comparator is Comparator.BETWEEN):
        raise DataFileError(file, f"{at}.upper", "a range, and nothing else, has an upper number")
    if target.upper is not None and (target.value is None or target.upper <= target.value):
        raise DataFileError(file, f"{at}.upper", f"{target.upper:g} is not above the range's lower number")
    years = [milestone.year for milestone in target.milestones]
    if years != sorted(set(years)) or any(year >= target.target_year for year in years):
        raise DataFileError(file, f"{at}.milestones", f"years that rise to before {target.target_year} are expected")
