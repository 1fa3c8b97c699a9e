"""The catalogue of indicators: what is divided by what, as data (`data/indicators.toml`).

A new indicator of this form needs no code; `park.ratios` evaluates it.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import msgspec

from park import datafile
from park.calendar import Grain  # noqa: TC001  (msgspec resolves annotations at run time)
from park.errors import DataFileError, IndicatorError, UnitError
from park.factors import Basis, FactorKind  # noqa: TC001
from park.points import Direction  # noqa: TC001
from park.units import CARRIERS, check_carrier_unit, unit

FILE = "indicators.toml"
PRODUCT = "product"


class Better(StrEnum):
    """Which way an indicator is to go."""

    LOWER = "lower"
    HIGHER = "higher"


class Scope(StrEnum):
    """What an indicator is computed for."""

    POINT = "point"
    FIRM = "firm"
    PARK = "park"


class Conversion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which factor turns the carriers of a term into its unit."""

    kind: FactorKind
    basis: Basis
    purpose: str = "general"


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the points of some carriers moved, weighted by direction; a direction without a weight is not counted.

    Attributes:
        unit: unit of the sum; None for products, which are summed only in the one unit they share.
        factor: converts the carriers to `unit`; None: they are in units of the same dimension.
        required: without a point of these carriers the side is undefined, although its other terms have some.
    """

    carriers: tuple[str, ...]
    weights: dict[Direction, float]
    unit: str | None = None
    factor: Conversion | None = None
    required: bool = False


class Indicator(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One indicator: `scale × Σ numerator / Σ denominator`, or the numerator alone.

    Attributes:
        formula: the formula as the source writes it.
        unit: unit of the value; `{product}` stands for the unit of the product.
        min_coverage: share of the elapsed seconds that every point must cover, or the value is undefined.
        share: the value is a percentage of a whole; outside 0 to 100 it is undefined.
        absent_numerator_is_zero: a subject without any point of the numerator moves none, and has a value.
    """

    id: str
    name_zh: str
    name_en: str
    formula: str
    unit: str
    better: Better
    grains: tuple[Grain, ...]
    scopes: tuple[Scope, ...]
    source: str
    numerator: tuple[Term, ...]
    denominator: tuple[Term, ...] = ()
    scale: float = 1.0
    min_coverage: float = 0.5
    share: bool = False
    absent_numerator_is_zero: bool = False
    notes: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the carriers that the indicator reads, sorted."""
        return tuple(sorted({carrier for term in self.numerator + self.denominator for carrier in term.carriers}))


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All indicators, and the version of the file they came from."""

    version: int
    indicators: tuple[Indicator, ...]

    def by_id(self, indicator_id: str) -> Indicator:
        """Return one indicator, or raise `IndicatorError` naming the known ones."""
        for indicator in self.indicators:
            if indicator.id == indicator_id:
                return indicator
        known = ", ".join(indicator.id for indicator in self.indicators)
        raise IndicatorError(f"no indicator {indicator_id!r}; known are {known}")


@cache
def load_catalogue() -> Catalogue:
    """Read the catalogue that the package carries, or raise `DataFileError`."""
    return parse_catalogue((datafile.folder() / FILE).read_text(encoding="utf-8"), FILE)


def parse_catalogue(text: str, file: str) -> Catalogue:
    """Parse and check a catalogue, or raise `DataFileError` naming the field."""
    catalogue = datafile.parse(text, file, Catalogue)
    ids = [indicator.id for indicator in catalogue.indicators]
    for n, indicator in enumerate(catalogue.indicators):
        at = f"indicators[{n}]"
        if ids.index(indicator.id) != n:
            raise DataFileError(file, f"{at}.id", f"{indicator.id!r} is used twice")
        if not 0 <= indicator.min_coverage <= 1:
            raise DataFileError(
                file, f"{at}.min_coverage", f"{indicator.min_coverage}: a share from 0 to 1 is expected"
            )
        if not indicator.numerator:
            raise DataFileError(file, f"{at}.numerator", "at least one term is needed")
        for side in ("numerator", "denominator"):
            for k, term in enumerate(getattr(indicator, side)):
                _check_term(file, f"{at}.{side}[{k}]", term)
    return catalogue


def _check_term(file: str, at: str, term: Term) -> None:
    for carrier in term.carriers:
        if carrier not in CARRIERS:
            raise DataFileError(file, f"{at}.carriers", f"unknown carrier {carrier!r}; see park/units.py")
        if term.unit is None and carrier != PRODUCT:
            raise DataFileError(file, f"{at}.unit", f"{carrier} needs a unit; only products are summed as they are")
    if not term.carriers or not term.weights:
        raise DataFileError(file, at, "a term needs carriers and weights")
    if term.unit is not None and term.factor is None:
        try:
            unit(term.unit)
            for carrier in term.carriers:
                check_carrier_unit(carrier, term.unit)
        except UnitError as error:
            raise DataFileError(file, f"{at}.unit", str(error)) from None
