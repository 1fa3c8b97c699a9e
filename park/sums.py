"""Sums of one side of an indicator for one period: what points moved, and what a firm reported.

A sum that lacks one of its parts is not the sum: it is undefined, and says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from park.business import InputKind
from park.errors import FactorError, UnitError
from park.reasons import Undefined
from park.wiring import Product, Side, coefficient, factor_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from park.factors import Factor, FactorRegistry
    from park.figures import Figure
    from park.indicators import Reported, Term
    from park.points import Direction

    Figures = Mapping[Reported, Sequence[Figure]]


@dataclass(frozen=True, slots=True)
class Amount:
    """What one point moved in one period.

    Attributes:
        quantity: measured and estimated together, in `unit`; None: unknown, which is not zero.
        measured_s, estimated_s: seconds covered of either sort.
        elapsed_s: seconds of the period so far; of a period that has ended, its length.
        product: code of the product that a product counter counts.
    """

    point_id: int
    carrier: str
    direction: Direction
    unit: str
    quantity: float | None
    measured_s: float
    estimated_s: float
    elapsed_s: float
    product: str | None = None
    made_of: tuple[int, ...] = ()
    """Points that a derived quantity was worked out of, where it is more than `point_id`."""

    @property
    def known(self) -> float | None:
        """Return the quantity, or None where there is no finite one."""
        return self.quantity if self.quantity is not None and math.isfinite(self.quantity) else None

    @property
    def measured_share(self) -> float:
        """Return the share of the elapsed time that was measured, 0 to 1."""
        return 0.0 if self.known is None or self.elapsed_s <= 0 else min(self.measured_s / self.elapsed_s, 1.0)

    @property
    def estimated_share(self) -> float:
        """Return the share of the elapsed time that was estimated, 0 to 1."""
        if self.known is None or self.elapsed_s <= 0:
            return 0.0
        return min(self.estimated_s / self.elapsed_s, 1.0 - self.measured_share)


@dataclass(slots=True)
class Sum:
    """Numerator or denominator while it is being summed."""

    total: float = 0.0
    reason: Undefined | None = None
    detail: str = ""
    counted: list[Amount] = field(default_factory=list)
    ignored: tuple[int, ...] = ()
    factors: dict[str, Factor] = field(default_factory=dict)
    products: set[Product] = field(default_factory=set)
    figures: list[Figure] = field(default_factory=list)
    unreported: list[str] = field(default_factory=list)

    def fail(self, reason: Undefined, detail: str = "") -> None:
        """Keep the first reason: later ones usually follow from it."""
        if self.reason is None:
            self.reason, self.detail = reason, detail


def metered(side: Side, amounts: Sequence[Amount]) -> Sum:
    """Sum what the points of a side moved."""
    found = Sum(
        reason=side.reason,
        detail=side.detail,
        counted=[amounts[k] for k, _ in side.parts],
        ignored=side.ignored,
        factors={factor.id: factor for factor in side.factors},
        products=set(side.products),
    )
    known = [(amounts[k].known, weight) for k, weight in side.parts]
    found.total = math.fsum(weight * quantity for quantity, weight in known if quantity is not None)
    if known and all(quantity is None for quantity, _ in known):
        found.fail(Undefined.NO_DATA)
    elif any(quantity is None for quantity, _ in known):
        # A sum that lacks one of its parts is not the sum.
        silent = ", ".join(str(amount.point_id) for amount in found.counted if amount.known is None)
        found.fail(Undefined.COVERAGE_TOO_LOW, f"no data from point {silent}")
    return found


def with_reports(
    side: Sum, terms: tuple[Term, ...], figures: Figures, factors: FactorRegistry, on: date, region: str
) -> Sum:
    """Add what the firm reported."""
    parts = [side.total]
    asked = False
    for term in terms:
        if term.reported is None:
            continue
        asked = True
        there = [f for f in figures.get(term.reported, ()) if f.reason is not Undefined.OTHER_SOURCE]
        if term.optional and all(figure.reason is Undefined.NOT_REPORTED for figure in there):
            side.unreported.append(" ".join([term.reported.kind, *term.reported.keys]))
            continue
        if not there:
            side.fail(Undefined.NOT_REPORTED, " ".join([term.reported.kind, *term.reported.keys]))
        for figure in there:
            if figure.amount is None:
                side.fail(
                    figure.reason or Undefined.NOT_REPORTED, f"{figure.kind} {figure.key} {figure.detail}".strip()
                )
                continue
            side.figures.append(figure)
            parts.append(term.weight * figure.amount * _worth(side, term, figure, factors, on, region))
    if len(side.products) > 1:
        side.fail(Undefined.UNLIKE_PRODUCTS)
    if len({figure.price_year for figure in side.figures} - {None}) > 1:
        side.fail(Undefined.UNLIKE_PRICES)
    if not side.counted and not side.figures:
        side.fail(Undefined.NOT_REPORTED if asked and all(t.reported for t in terms) else Undefined.NO_POINTS)
    side.total = math.fsum(parts)
    return side


def _worth(side: Sum, term: Term, figure: Figure, factors: FactorRegistry, on: date, region: str) -> float:
    """Return by what a reported amount is multiplied; what cannot be converted leaves the side undefined."""
    # A certificate or a contract is worth the electricity that it stands for.
    carrier = "electricity" if figure.kind is InputKind.GREEN_POWER else figure.key
    try:
        factor = factor_of(term, carrier, factors, on=on, region=region)
        if factor is not None:
            side.factors[factor.id] = factor
        elif term.unit is None:
            side.products.add(Product(figure.unit, figure.key))
        return coefficient(term, figure.unit, factor)
    except FactorError as error:
        side.fail(Undefined.NO_FACTOR, str(error))
    except UnitError as error:
        side.fail(Undefined.WRONG_UNIT, f"{figure.kind} {figure.key}: {error}")
    return 0.0
