"""Conversion factors: what one unit of a carrier is worth in standard coal or in CO2.

The values stand in `data/factors*.toml`, each with its validity, purpose and source. A factor is chosen by purpose,
never by "the latest wins"; it is superseded, never overwritten, so that an old result can be computed again.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from enum import StrEnum
from functools import cache, cached_property
from math import isclose
from typing import TYPE_CHECKING, Final

import msgspec

from park import datafile
from park.errors import AmbiguousFactorError, DataFileError, NoFactorError, UnitError
from park.units import check_carrier_unit, conversion

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES: Final = ("factors.toml", "factors-more.toml", "factors-co2.toml")


class FactorKind(StrEnum):
    """What a factor converts to."""

    TO_STANDARD_COAL = "to_standard_coal"
    """Standard coal, 1 kgce = 29 307.6 kJ."""
    TO_CO2 = "to_co2"


class Basis(StrEnum):
    """What is counted. Values of two bases are never added or compared."""

    EQUIVALENT = "equivalent"
    """当量值: the heat that the carrier itself holds."""
    EQUAL = "equal"
    """等价值: the primary energy that was spent to make it."""
    DIRECT = "direct"
    """What burning it on site gives off: scope 1."""
    PURCHASED = "purchased"
    """What making it elsewhere gave off: scope 2."""
    PROCESS = "process"
    """What a raw material gives off in the process: scope 1."""


BASES: Final = {
    FactorKind.TO_STANDARD_COAL: frozenset({Basis.EQUIVALENT, Basis.EQUAL}),
    FactorKind.TO_CO2: frozenset({Basis.DIRECT, Basis.PURCHASED, Basis.PROCESS}),
}
_RESULTS: Final = {FactorKind.TO_STANDARD_COAL: "kgce", FactorKind.TO_CO2: "kgCO2"}
_CO2_PER_C: Final = 44 / 12


class Combustion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a fuel's CO2 factor is made of: net calorific value × carbon content × oxidised share × 44/12.

    GB/T 32150 and the 32151 series.

    Attributes:
        ncv_gj: GJ per `unit` of the factor.
        carbon_t_per_tj: tonnes of carbon per TJ.
        oxidised: share of the carbon that burns.
    """

    ncv_gj: float
    carbon_t_per_tj: float
    oxidised: float

    @property
    def t_co2(self) -> float:
        """Return tonnes of CO2 per unit of the fuel."""
        return self.ncv_gj * self.carbon_t_per_tj / 1e3 * self.oxidised * _CO2_PER_C


class Factor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One factor: `value` result units per `unit` of the carrier, on `[valid_from, valid_to)`.

    Attributes:
        purpose: `general`, or the calculation that needs a value of its own (`statistics`, `location_provincial`).
        edition: which edition of a standard or guide has this value; empty: all have it.
        combustion: of a fuel's CO2 factor, what `value` follows from.
        region: `CN`, or a part of it after ISO 3166-2 (`CN-CQ`); a part without its own value uses the whole's.
        yearly: one value is published for each year; the last known one stands in until the next is.
        verified: whether the value was compared with the text of its source.
        stands_in_for: the year without an own value for which `choose` returned this one.
    """

    id: str
    kind: FactorKind
    carrier: str
    unit: str
    value: float
    result_unit: str
    basis: Basis
    region: str
    valid_from: date
    source: str
    verified: bool
    purpose: str = "general"
    edition: str = ""
    combustion: Combustion | None = None
    valid_to: date | None = None
    yearly: bool = False
    superseded_by: str | None = None
    stands_in_for: int | None = None

    def convert(self, quantity: float, unit: str) -> float:
        """Return `quantity` (in `unit`) in the result unit; `UnitError` if the unit measures something else."""
        return quantity * conversion(unit, self.unit) * self.value

    @property
    def series(self) -> tuple[str, ...]:
        """Return what two values must share to stand in one trend: all but the region, the day and the value."""
        return (self.kind, self.carrier, self.basis, self.purpose, self.edition)

    @property
    def note(self) -> str:
        """Return what a reader of a number made with this factor must know, or an empty string."""
        notes = []
        if self.stands_in_for is not None:
            notes.append(f"no value for {self.stands_in_for} is known, that of {self.valid_from.year} stands in")
        if not self.verified:
            notes.append("not compared with its source")
        return "; ".join(notes)

    def covers(self, on: date) -> bool:
        """Tell whether the factor holds on this day."""
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)


class FactorRegistry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """All factors, and the version of the file they came from."""

    version: int
    factors: tuple[Factor, ...]

    @cached_property
    def of_carrier(self) -> Mapping[tuple[FactorKind, str], tuple[Factor, ...]]:
        """Return the factors that are not superseded, by what they convert and to what."""
        found: dict[tuple[FactorKind, str], list[Factor]] = {}
        for factor in self.factors:
            if factor.superseded_by is None:
                found.setdefault((factor.kind, factor.carrier), []).append(factor)
        return {key: tuple(factors) for key, factors in found.items()}

    @cached_property
    def turns(self) -> tuple[date, ...]:
        """Return the days on which a choice may change: between two of them every choice is the same."""
        ends = {end for f in self.factors for end in (f.valid_from, f.valid_to) if end is not None}
        # A value that stands in for a year names that year.
        years = {date(year, 1, 1) for year in range(min(ends).year, 2101)} if ends else set()
        return tuple(sorted(ends | years))

    def era(self, on: date) -> int:
        """Return the number of the stretch between two turns that holds a day."""
        return bisect_right(self.turns, on)

    def by_id(self, factor_id: str) -> Factor:
        """Return one factor, superseded or not, or raise `NoFactorError`."""
        try:
            return self._ids[factor_id]
        except KeyError:
            raise NoFactorError("", f"no factor {factor_id!r}; see data/{FILES[0]}") from None

    @cached_property
    def _ids(self) -> Mapping[str, Factor]:
        return {factor.id: factor for factor in self.factors}


def choose(
    registry: FactorRegistry,
    kind: FactorKind,
    carrier: str,
    basis: Basis,
    purpose: str,
    region: str,
    on: date,
    edition: str = "",
) -> Factor:
    """Return the one factor that holds.

    The most specific region wins (`CN-CQ` before `CN`). Superseded factors are passed over. A yearly factor whose
    year has not been published yet is replaced by the last known one, marked with `stands_in_for`. A value of the
    edition asked for goes before one that all editions share; where editions differ and none is asked for, none holds.

    Raises:
        NoFactorError: none holds; the message tells what the registry has for this carrier.
        AmbiguousFactorError: several hold.
    """
    alike = [
        factor
        for factor in registry.of_carrier.get((kind, carrier), ())
        if (factor.basis, factor.purpose) == (basis, purpose) and factor.edition in {edition, ""}
    ]
    if any(factor.edition == edition for factor in alike):
        alike = [factor for factor in alike if factor.edition == edition]
    for place in _regions(region):
        local = [factor for factor in alike if factor.region == place]
        holding = [factor for factor in local if factor.covers(on)]
        if len(holding) > 1:
            names = ", ".join(factor.id for factor in holding)
            raise AmbiguousFactorError(
                carrier, f"{names} all hold on {on} for {carrier} ({basis}, {purpose}, {place}): supersede all but one"
            )
        if holding:
            return holding[0]
        past = [factor for factor in local if factor.yearly and factor.valid_to is not None and factor.valid_to <= on]
        if past:
            last = max(past, key=lambda factor: factor.valid_from)
            return msgspec.structs.replace(last, stands_in_for=on.year)
    known = [f"{f.id} from {f.valid_from}" for f in registry.factors if (f.kind, f.carrier) == (kind, carrier)]
    asked = ", ".join(filter(None, (basis, purpose, region, edition and f"edition {edition}")))
    raise NoFactorError(
        carrier,
        f"no factor {kind} for {carrier} ({asked}) holds on {on}; the registry has {', '.join(known) or 'none at all'}",
    )


def _regions(region: str) -> list[str]:
    """Return the region and what it lies in, the narrowest first."""
    parts = region.split("-")
    return ["-".join(parts[:n]) for n in range(len(parts), 0, -1)]


@cache
def load_factors() -> FactorRegistry:
    """Read the registry that the package carries, or raise `DataFileError`."""
    parts = [parse_factors((datafile.folder() / file).read_text(encoding="utf-8"), file) for file in FILES]
    whole = FactorRegistry(max(part.version for part in parts), tuple(f for part in parts for f in part.factors))
    return checked(whole, ", ".join(FILES))


def parse_factors(text: str, file: str) -> FactorRegistry:
    """Parse and check a registry, or raise `DataFileError` naming the field."""
    return checked(datafile.parse(text, file, FactorRegistry), file)


def checked(registry: FactorRegistry, file: str) -> FactorRegistry:
    """Return the registry, or raise `DataFileError` naming the file and the first field that is wrong."""
    ids = [factor.id for factor in registry.factors]
    for n, factor in enumerate(registry.factors):
        at = f"factors[{n}]"
        if ids.index(factor.id) != n:
            raise DataFileError(file, f"{at}.id", f"{factor.id!r} is used twice")
        try:
            check_carrier_unit(factor.carrier, factor.unit)
        except UnitError as error:
            raise DataFileError(file, f"{at}.unit", str(error)) from None
        if not 0 < factor.value < float("inf"):
            raise DataFileError(file, f"{at}.value", f"{factor.value}: a positive number is expected")
        if factor.basis not in BASES[factor.kind]:
            raise DataFileError(file, f"{at}.basis", f"{factor.basis} is not a basis of {factor.kind}")
        try:
            conversion(factor.result_unit, _RESULTS[factor.kind])
        except UnitError as error:
            raise DataFileError(file, f"{at}.result_unit", str(error)) from None
        if factor.combustion is not None:
            made = factor.combustion.t_co2 * conversion("tCO2", factor.result_unit)
            if not isclose(factor.value, made, rel_tol=1e-6):
                raise DataFileError(file, f"{at}.value", f"{factor.value} is not {made:.8g}, which its parts give")
        if factor.valid_to is not None and factor.valid_to <= factor.valid_from:
            raise DataFileError(file, f"{at}.valid_to", f"{factor.valid_to} is not after {factor.valid_from}")
        if factor.superseded_by is not None and factor.superseded_by not in ids:
            raise DataFileError(file, f"{at}.superseded_by", f"no factor {factor.superseded_by!r}")
        if factor.stands_in_for is not None:
            raise DataFileError(file, f"{at}.stands_in_for", "is set when a factor is chosen, not in a file")
        for other in registry.factors[:n]:
            if _clash(factor, other):
                raise DataFileError(file, f"{at}.valid_from", f"{factor.id} overlaps {other.id}: supersede one")
    return registry


def _clash(a: Factor, b: Factor) -> bool:
    if a.superseded_by is not None or b.superseded_by is not None:
        return False
    if (a.series, a.region) != (b.series, b.region):
        return False
    return a.covers(b.valid_from) or b.covers(a.valid_from)
