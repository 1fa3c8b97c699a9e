"""The catalogue of indicators: what is divided by what, as data (`data/indicators.toml`).

A new indicator of this form needs no code; `park.ratios` evaluates it for one period, `park.evaluation` for many.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from park import datafile
from park.business import KINDS, InputKind, PriceBasis, waste_of
from park.calendar import Grain  # noqa: TC001  (msgspec resolves annotations at run time)
from park.errors import BusinessInputError, DataFileError, IndicatorError, UnitError
from park.factors import Basis, FactorKind  # noqa: TC001
from park.points import Direction  # noqa: TC001
from park.units import CARRIERS, check_carrier_unit, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES: Final = ("indicators.toml", "indicators-reported.toml")
LISTS: Final = "carriers.toml"
PRODUCT = "product"
DERIVED: Final = {"max_demand": "power", "demand_hours": "energy", "valid_hours": "count", "compliant_hours": "count"}
"""What is worked out of buckets or readings and enters a term like a carrier; the dimension of each."""


class Better(StrEnum):
    """Which way an indicator is to go."""

    LOWER = "lower"
    HIGHER = "higher"


class Scope(StrEnum):
    """What an indicator is computed for."""

    POINT = "point"
    FIRM = "firm"
    PARK = "park"


class Form(StrEnum):
    """How numerator and denominator make the value."""

    RATIO = "ratio"
    """`scale × numerator / denominator`, or the numerator alone."""
    COSINE = "cosine"
    """`scale × numerator / √(numerator² + denominator²)`: active over apparent energy."""
    CLOSURE = "closure"
    """`scale × |denominator - numerator| / denominator`: what a balance leaves open."""


class Conversion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which factor turns the carriers of a term into its unit."""

    kind: FactorKind
    basis: Basis
    purpose: str = "general"
    edition: str = ""


class Reported(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a firm reports; see `park.business`.

    Attributes:
        price: of a value: constant prices of the plan's base year, or current ones.
        keys: carriers, instruments, or `category/destination` of waste; empty: whatever was reported of the kind.
    """

    kind: InputKind
    price: PriceBasis | None = None
    keys: tuple[str, ...] = ()


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a sum: what the points of some carriers moved, weighted by direction, or what a firm reports.

    Attributes:
        carriers: a direction without a weight is not counted.
        reported: instead of carriers.
        weight: of what is reported.
        unit: unit of the sum; None for products, which are summed only in the one unit they share.
        factor: converts the carriers to `unit`; None: they are in units of the same dimension.
        required: without a point of these carriers the side is undefined, although its other terms have some.
        optional: what was never reported counts as none; what was reported in part leaves the side undefined.
    """

    carriers: tuple[str, ...] = ()
    weights: dict[Direction, float] = {}
    reported: Reported | None = None
    weight: float = 1.0
    unit: str | None = None
    factor: Conversion | None = None
    required: bool = False
    optional: bool = False


class Indicator(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One indicator: `scale × Σ numerator / Σ denominator`, or the numerator alone.

    Attributes:
        formula: the formula as the source writes it.
        unit: unit of the value; `{product}` stands for the unit of the product.
        min_coverage: share of the elapsed seconds that every point must cover, or the value is undefined.
        share: the value is a percentage of a whole; outside 0 to 100 it is undefined.
        absent_numerator_is_zero: a subject without any point of the numerator moves none, and has a value.
        trend: may be compared over years; a value at current prices may be shown, never compared.
        absolute: the indicator of absolute use that stands beside an intensity.
        live: is computed for single buckets too.
        everyone: a firm without what it needs is missing from a park's sum and lowers its coverage; otherwise such a
            firm has no part in it, as one without a stack has none in what stacks give off.
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
    form: Form = Form.RATIO
    scale: float = 1.0
    min_coverage: float = 0.5
    share: bool = False
    absent_numerator_is_zero: bool = False
    trend: bool = True
    absolute: str | None = None
    live: bool = False
    everyone: bool = True
    notes: str = ""

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Return the carriers that the indicator reads, sorted."""
        return tuple(sorted({carrier for term in self.numerator + self.denominator for carrier in term.carriers}))

    @cached_property
    def reports(self) -> tuple[Reported, ...]:
        """Return what the indicator needs a firm to report."""
        found = [term.reported for term in self.numerator + self.denominator if term.reported is not None]
        return tuple(dict.fromkeys(found))

    @cached_property
    def free(self) -> bool:
        """Tell whether a firm that reports nothing has a value all the same: all that is reported is optional."""
        terms = [term for term in self.numerator + self.denominator if term.reported is not None]
        return bool(terms) and all(term.optional for term in terms)


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """All indicators, and the version of the file they came from."""

    version: int
    indicators: tuple[Indicator, ...]

    def by_id(self, indicator_id: str) -> Indicator:
        """Return one indicator, or raise `IndicatorError` naming the known ones."""
        found = self._ids.get(indicator_id)
        if found is None:
            raise IndicatorError(f"no indicator {indicator_id!r}; known are {', '.join(self._ids)}")
        return found

    @cached_property
    def _ids(self) -> Mapping[str, Indicator]:
        return {indicator.id: indicator for indicator in self.indicators}


class CarrierLists(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Named lists of carriers that terms refer to as `@name`: what counts as energy, clean, renewable."""

    version: int
    lists: dict[str, tuple[str, ...]]


@cache
def load_lists() -> Mapping[str, tuple[str, ...]]:
    """Read the lists of carriers that the package carries, or raise `DataFileError`."""
    return parse_lists((datafile.folder() / LISTS).read_text(encoding="utf-8"), LISTS)


def parse_lists(text: str, file: str) -> Mapping[str, tuple[str, ...]]:
    """Parse and check lists of carriers, or raise `DataFileError` naming the field."""
    found = datafile.parse(text, file, CarrierLists).lists
    for name, carriers in found.items():
        for carrier in carriers:
            if carrier not in CARRIERS:
                raise DataFileError(file, f"lists.{name}", f"unknown carrier {carrier!r}; see park/units.py")
    return found


@cache
def load_catalogue() -> Catalogue:
    """Read the catalogue that the package carries, or raise `DataFileError`."""
    return catalogue_with(load_lists())


def catalogue_with(lists: Mapping[str, tuple[str, ...]]) -> Catalogue:
    """Read the package's catalogue with lists of carriers of the caller's own (what a plan calls clean, say)."""
    parts = [parse_catalogue((datafile.folder() / f).read_text(encoding="utf-8"), f, lists) for f in FILES]
    whole = Catalogue(max(part.version for part in parts), tuple(i for part in parts for i in part.indicators))
    return _checked(whole, ", ".join(FILES))


def parse_catalogue(text: str, file: str, lists: Mapping[str, tuple[str, ...]] | None = None) -> Catalogue:
    """Parse and check a catalogue, or raise `DataFileError` naming the field."""
    catalogue = datafile.parse(text, file, Catalogue)
    return _checked(_expanded(catalogue, file, load_lists() if lists is None else lists), file)


def _expanded(catalogue: Catalogue, file: str, lists: Mapping[str, tuple[str, ...]]) -> Catalogue:
    """Put the carriers of a list in the place of its name."""

    def expanded(term: Term, at: str) -> Term:
        found: list[str] = []
        for name in term.carriers:
            if name.startswith("@") and name[1:] not in lists:
                known = ", ".join(f"@{each}" for each in sorted(lists))
                raise DataFileError(file, f"{at}.carriers", f"no list {name!r}; known are {known}")
            found += lists[name[1:]] if name.startswith("@") else (name,)
        return msgspec.structs.replace(term, carriers=tuple(dict.fromkeys(found)))

    def side(terms: tuple[Term, ...], at: str) -> tuple[Term, ...]:
        return tuple(expanded(term, f"{at}[{k}]") for k, term in enumerate(terms))

    return Catalogue(
        catalogue.version,
        tuple(
            msgspec.structs.replace(
                indicator,
                numerator=side(indicator.numerator, f"indicators[{n}].numerator"),
                denominator=side(indicator.denominator, f"indicators[{n}].denominator"),
            )
            for n, indicator in enumerate(catalogue.indicators)
        ),
    )


def _checked(catalogue: Catalogue, file: str) -> Catalogue:
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
        if indicator.form is not Form.RATIO and not indicator.denominator:
            raise DataFileError(file, f"{at}.form", f"{indicator.form} needs a denominator")
        if indicator.reports and set(indicator.grains) & {"hour", "day"}:
            raise DataFileError(file, f"{at}.grains", "what is reported is not spread over days: month and year only")
        for side in ("numerator", "denominator"):
            for k, term in enumerate(getattr(indicator, side)):
                _check_term(file, f"{at}.{side}[{k}]", term)
    return catalogue


def _check_term(file: str, at: str, term: Term) -> None:
    if term.reported is not None:
        _check_reported(file, at, term, term.reported)
        return
    for carrier in term.carriers:
        if carrier not in CARRIERS and carrier not in DERIVED:
            raise DataFileError(file, f"{at}.carriers", f"unknown carrier {carrier!r}; see park/units.py")
        if term.unit is None and carrier != PRODUCT:
            raise DataFileError(file, f"{at}.unit", f"{carrier} needs a unit; only products are summed as they are")
    if not term.carriers or not term.weights:
        raise DataFileError(file, at, "a term needs carriers and weights")
    if term.unit is not None and term.factor is None:
        try:
            unit(term.unit)
            for carrier in term.carriers:
                _check_unit(carrier, term.unit)
        except UnitError as error:
            raise DataFileError(file, f"{at}.unit", str(error)) from None


def _check_unit(carrier: str, symbol: str) -> None:
    if carrier not in DERIVED:
        check_carrier_unit(carrier, symbol)
    elif unit(symbol).dimension != DERIVED[carrier]:
        raise UnitError(f"{carrier} is measured as {DERIVED[carrier]}, but {symbol} measures {unit(symbol).dimension}")


def _check_reported(file: str, at: str, term: Term, wanted: Reported) -> None:
    if term.carriers or term.weights:
        raise DataFileError(file, at, "a term has carriers with weights, or what is reported, not both")
    if KINDS[wanted.kind].priced != (wanted.price is not None):
        raise DataFileError(file, f"{at}.reported.price", f"{wanted.kind}: only values need a price basis")
    if term.unit is None and wanted.kind is not InputKind.PRODUCTION:
        raise DataFileError(file, f"{at}.unit", f"{wanted.kind} needs a unit; only products are summed as they are")
    if wanted.kind is InputKind.SOLID_WASTE:
        for key in wanted.keys:
            try:
                waste_of(key)
            except BusinessInputError as error:
                raise DataFileError(file, f"{at}.reported.keys", str(error)) from None
