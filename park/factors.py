"""Conversion factors: what one unit of a carrier is worth in standard coal (later: in CO2).

The values stand in `data/factors.toml`, each with its validity, purpose and source. A factor is chosen by purpose,
never by "the latest wins"; it is superseded, never overwritten, so that an old result can be computed again.
"""

from __future__ import annotations

from datetime import date  # noqa: TC003  (msgspec resolves annotations at run time)
from enum import StrEnum
from functools import cache

import msgspec

from park import datafile
from park.errors import AmbiguousFactorError, DataFileError, NoFactorError, UnitError
from park.units import check_carrier_unit, conversion

FILE = "factors.toml"


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


class Factor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One factor: `value` result units per `unit` of the carrier, on `[valid_from, valid_to)`.

    Attributes:
        purpose: `general`, or the calculation that needs a value of its own (`statistics`).
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
    valid_to: date | None = None
    yearly: bool = False
    superseded_by: str | None = None
    stands_in_for: int | None = None

    def convert(self, quantity: float, unit: str) -> float:
        """Return `quantity` (in `unit`) in the result unit; `UnitError` if the unit measures something else."""
        return quantity * conversion(unit, self.unit) * self.value

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


class FactorRegistry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All factors, and the version of the file they came from."""

    version: int
    factors: tuple[Factor, ...]

    def by_id(self, factor_id: str) -> Factor:
        """Return one factor, superseded or not, or raise `NoFactorError`."""
        for factor in self.factors:
            if factor.id == factor_id:
                return factor
        raise NoFactorError("", f"no factor {factor_id!r}; see data/{FILE}")


def choose(
    registry: FactorRegistry, kind: FactorKind, carrier: str, basis: Basis, purpose: str, region: str, on: date
) -> Factor:
    """Return the one factor that holds.

    The most specific region wins (`CN-CQ` before `CN`). Superseded factors are passed over. A yearly factor whose
    year has not been published yet is replaced by the last known one, marked with `stands_in_for`.

    Raises:
        NoFactorError: none holds; the message tells what the registry has for this carrier.
        AmbiguousFactorError: several hold.
    """
    alike = [
        factor
        for factor in registry.factors
        if (factor.kind, factor.carrier, factor.basis, factor.purpose) == (kind, carrier, basis, purpose)
        and factor.superseded_by is None
    ]
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
    known = ", ".join(f"{f.id} from {f.valid_from}" for f in registry.factors if f.carrier == carrier) or "none at all"
    raise NoFactorError(
        carrier,
        f"no factor {kind} for {carrier} ({basis}, {purpose}, {region}) holds on {on}; the registry has {known}",
    )


def _regions(region: str) -> list[str]:
    """Return the region and what it lies in, the narrowest first."""
    parts = region.split("-")
    return ["-".join(parts[:n]) for n in range(len(parts), 0, -1)]


@cache
def load_factors() -> FactorRegistry:
    """Read the registry that the package carries, or raise `DataFileError`."""
    return parse_factors((datafile.folder() / FILE).read_text(encoding="utf-8"), FILE)


def parse_factors(text: str, file: str) -> FactorRegistry:
    """Parse and check a registry, or raise `DataFileError` naming the field."""
    registry = datafile.parse(text, file, FactorRegistry)
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
    if (a.kind, a.carrier, a.basis, a.purpose, a.region) != (b.kind, b.carrier, b.basis, b.purpose, b.region):
        return False
    return a.covers(b.valid_from) or b.covers(a.valid_from)
