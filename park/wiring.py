"""What of a firm's points enters an indicator, and with which coefficient: everything that needs no quantity.

`park.ratios` uses it for one period with exact sums, `park.evaluation` for many periods at once; so both mean the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from park.errors import FactorError, UnitError
from park.factors import choose
from park.reasons import Undefined
from park.units import conversion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from park.factors import Factor, FactorRegistry
    from park.indicators import Term
    from park.points import Direction


class Source(Protocol):
    """Where a quantity comes from: a point of a firm, as the registry describes it."""

    @property
    def point_id(self) -> int:
        """Its number; several sources may share one (what is derived from a point)."""

    @property
    def carrier(self) -> str:
        """What it measures."""

    @property
    def direction(self) -> Direction:
        """Where that goes."""

    @property
    def unit(self) -> str:
        """In which unit."""

    @property
    def product(self) -> str | None:
        """What a product counter counts."""


@dataclass(frozen=True, slots=True)
class Product:
    """What a denominator counts: only the same unit and code may be added over firms."""

    unit: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Side:
    """Numerator or denominator before any quantity is known.

    Attributes:
        parts: (index of the source, coefficient); a source that two terms count stands twice.
        reason: why the side is undefined whatever the quantities, None if it is not.
        factors: the factors behind the coefficients, by id.
        ignored: points of a counted carrier whose direction does not count.
    """

    parts: tuple[tuple[int, float], ...]
    reason: Undefined | None
    detail: str
    factors: tuple[Factor, ...]
    products: tuple[Product, ...]
    ignored: tuple[int, ...]


def wire(
    terms: Sequence[Term],
    sources: Sequence[Source],
    registry: FactorRegistry,
    *,
    on: date,
    region: str,
    of_point: bool = False,
) -> Side:
    """Return the side of an indicator that these terms make of these sources.

    Args:
        terms: those that are reported are passed over.
        sources: what a firm has; other carriers are passed over.
        registry: of factors.
        on: the day that decides the factors.
        region: where the firm stands, for regional factors.
        of_point: count whatever the direction: the side is for a single point.
    """
    parts: list[tuple[int, float]] = []
    factors: dict[str, Factor] = {}
    products: dict[Product, None] = {}
    ignored: list[int] = []
    failed: list[tuple[Undefined, str]] = []
    for term in terms:
        counted = False
        for k, source in enumerate(sources):
            if source.carrier not in term.carriers:
                continue
            weight = 1.0 if of_point else term.weights.get(source.direction)
            if weight is None:
                ignored.append(source.point_id)
                continue
            counted = True
            try:
                factor = factor_of(term, source.carrier, registry, on=on, region=region)
                if factor is not None:
                    factors[factor.id] = factor
                elif term.unit is None:
                    products[Product(source.unit, source.product)] = None
                parts.append((k, weight * coefficient(term, source.unit, factor)))
            except FactorError as error:
                failed.append((Undefined.NO_FACTOR, str(error)))
                parts.append((k, 0.0))
            except UnitError as error:
                failed.append((Undefined.WRONG_UNIT, f"point {source.point_id}: {error}"))
                parts.append((k, 0.0))
        if term.required and not counted:
            failed.append((Undefined.NO_POINTS, f"no point of {' or '.join(term.carriers)}"))
    if len(products) > 1:
        failed.append((Undefined.UNLIKE_PRODUCTS, ""))
    reason, detail = failed[0] if failed else (None, "")
    return Side(
        tuple(parts), reason, detail, tuple(factors[f] for f in sorted(factors)), tuple(products), tuple(ignored)
    )


def factor_of(term: Term, carrier: str, registry: FactorRegistry, *, on: date, region: str) -> Factor | None:
    """Return the factor that a term asks for, None if it asks for none; raises `FactorError` if none holds."""
    wanted = term.factor
    if wanted is None:
        return None
    return choose(registry, wanted.kind, carrier, wanted.basis, wanted.purpose, region, on, wanted.edition)


def coefficient(term: Term, unit: str, factor: Factor | None) -> float:
    """Return by what a quantity in `unit` is multiplied to be in the term's unit; raises `UnitError`."""
    if factor is None:
        return 1.0 if term.unit is None else conversion(unit, term.unit)
    return factor.convert(1.0, unit) * (1.0 if term.unit is None else conversion(factor.result_unit, term.unit))
