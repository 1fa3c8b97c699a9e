"""Indicators evaluated as ratios whose numerator and denominator are kept.

What the points of one firm moved in one period goes in, a `Ratio` comes out, with the factors and points it rests on.
A park's ratio is the sum of its firms' numerators over the sum of their denominators, never a mean of ratios. What
cannot be divided is undefined and says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from park.errors import FactorError, IndicatorError, UnitError
from park.factors import choose
from park.indicators import Scope
from park.reasons import Undefined
from park.units import conversion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from park.factors import Factor, FactorRegistry
    from park.indicators import Indicator, Term
    from park.points import Direction


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


@dataclass(frozen=True, slots=True)
class Product:
    """What a denominator counts: only the same unit and code may be added over firms."""

    unit: str
    code: str | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A firm that is not in a park's sum, and why."""

    subject_id: int | None
    reason: Undefined


@dataclass(frozen=True, slots=True)
class Ratio:
    """A value with everything it was made of. What is known is kept even where the value is undefined.

    Attributes:
        subject_id: point, firm or park, as the caller numbers them.
        denominator: None where it is unknown, and always for an indicator without one.
        divides: whether the indicator has a denominator.
        coverage: of a firm, that of its worst-covered point; of a park, the mean over its firms, those left out as 0.
        estimated_share: how much of the time was estimated, largest over the points (firm), mean over firms (park).
        ignored: points of an input carrier whose direction does not count.
        detail: what was wrong, where the reason alone does not tell.
    """

    indicator_id: str
    subject_id: int | None
    numerator: float | None
    denominator: float | None
    divides: bool
    scale: float
    unit: str
    reason: Undefined | None
    coverage: float
    estimated_share: float
    factors: tuple[Factor, ...] = ()
    points: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()
    product: Product | None = None
    left_out: tuple[LeftOut, ...] = ()
    detail: str = ""

    @property
    def value(self) -> float | None:
        """Return `scale × numerator / denominator`, None if undefined."""
        if self.reason is not None or self.numerator is None:
            return None
        if not self.divides:
            return self.scale * self.numerator
        return None if not self.denominator else self.scale * self.numerator / self.denominator

    @property
    def status(self) -> Literal["ok", "undefined"]:
        """Tell whether there is a value."""
        return "ok" if self.reason is None else "undefined"

    def lineage(self) -> dict[str, object]:
        """Return what the value rests on, as plain data that can be stored as JSON."""
        return {
            "factors": [{"id": f.id, "value": f.value, "verified": f.verified, "note": f.note} for f in self.factors],
            "points": list(self.points),
            "ignored_points": list(self.ignored),
            "left_out": [{"id": left.subject_id, "reason": left.reason.value} for left in self.left_out],
            "product": None if self.product is None else {"unit": self.product.unit, "code": self.product.code},
            "estimated_share": self.estimated_share,
            "detail": self.detail,
        }


@dataclass(slots=True)
class _Side:
    """Numerator or denominator while it is being summed."""

    total: float = 0.0
    reason: Undefined | None = None
    detail: str = ""
    counted: list[Amount] = field(default_factory=list)
    ignored: list[int] = field(default_factory=list)
    factors: dict[str, Factor] = field(default_factory=dict)
    products: set[Product] = field(default_factory=set)

    def fail(self, reason: Undefined, detail: str = "") -> None:
        """Keep the first reason: later ones usually follow from it."""
        if self.reason is None:
            self.reason, self.detail = reason, detail


def evaluate(
    indicator: Indicator,
    amounts: Sequence[Amount],
    factors: FactorRegistry,
    *,
    on: date,
    region: str = "CN-CQ",
    subject_id: int | None = None,
) -> Ratio:
    """Evaluate an indicator for one firm and one period.

    Of `amounts` those of other carriers are passed over. `on` is the first day of the period and decides the factors:
    a period must not reach into the next calendar year. `region` is where the firm stands, for regional factors.
    """
    return _ratio(indicator, amounts, factors, on, region, subject_id, of_point=False)


def evaluate_point(
    indicator: Indicator, amount: Amount, factors: FactorRegistry, *, on: date, region: str = "CN-CQ"
) -> Ratio:
    """Evaluate an indicator for what passed one point, whichever its direction.

    Raises:
        IndicatorError: the indicator is not for single points.
    """
    if Scope.POINT not in indicator.scopes:
        raise IndicatorError(f"{indicator.id} is not for single points but for {', '.join(indicator.scopes)}")
    return _ratio(indicator, (amount,), factors, on, region, amount.point_id, of_point=True)


def park_ratio(
    indicator: Indicator,
    ratios: Iterable[Ratio],
    *,
    excluded: Collection[int] = (),
    subject_id: int | None = None,
) -> Ratio:
    """Put firms together as the ratio of sums.

    A firm that lacks its numerator or denominator is left out, named, and lowers the coverage. Unlike products make
    the whole undefined; a product without a code is like none of another firm. `ratios` are of one period, one per
    firm; `excluded` names firms that do not belong into the sum at all, such as a park's hospital.

    Raises:
        IndicatorError: a ratio is of another indicator (an equal and an equivalent value, for instance).
    """
    members = [ratio for ratio in ratios if ratio.subject_id not in excluded]
    for ratio in members:
        if ratio.indicator_id != indicator.id:
            raise IndicatorError(f"a ratio of {ratio.indicator_id} cannot be added to {indicator.id}")
    inside = [ratio for ratio in members if ratio.reason is None]
    left_out = tuple(LeftOut(r.subject_id, r.reason) for r in members if r.reason is not None)
    reasons = {left.reason for left in left_out}
    products = {ratio.product for ratio in inside} - {None}
    unlike = len(products) > 1 or (len(inside) > 1 and any(p is not None and p.code is None for p in products))
    reason: Undefined | None = None
    if unlike or Undefined.UNLIKE_PRODUCTS in reasons:
        reason = Undefined.UNLIKE_PRODUCTS
    elif not inside:
        reason = reasons.pop() if len(reasons) == 1 else Undefined.NO_DATA
    coverage = sum(r.coverage for r in inside) / len(members) if members else 0.0
    divides = bool(indicator.denominator)
    return _finish(
        indicator,
        Ratio(
            indicator_id=indicator.id,
            subject_id=subject_id,
            numerator=math.fsum(r.numerator for r in inside if r.numerator is not None) if inside else None,
            denominator=math.fsum(r.denominator for r in inside if r.denominator is not None)
            if divides and inside and not unlike
            else None,
            divides=divides,
            scale=indicator.scale,
            unit=_unit(indicator, next(iter(products)) if len(products) == 1 else None),
            reason=reason,
            coverage=coverage,
            estimated_share=sum(r.estimated_share for r in inside) / len(inside) if inside else 0.0,
            factors=_ordered({f.id: f for r in inside for f in r.factors}),
            points=tuple(sorted({p for r in inside for p in r.points})),
            ignored=tuple(sorted({p for r in inside for p in r.ignored})),
            product=next(iter(products)) if len(products) == 1 else None,
            left_out=left_out,
        ),
    )


def _ratio(
    indicator: Indicator,
    amounts: Sequence[Amount],
    factors: FactorRegistry,
    on: date,
    region: str,
    subject_id: int | None,
    *,
    of_point: bool,
) -> Ratio:
    above = _side(indicator.numerator, amounts, factors, on, region, of_point=of_point)
    below = _side(indicator.denominator, amounts, factors, on, region, of_point=of_point)
    if above.reason is Undefined.NO_POINTS and indicator.absent_numerator_is_zero:
        above.reason = None
    divides = bool(indicator.denominator)
    counted = {amount.point_id: amount for amount in above.counted + below.counted}
    product = next(iter(below.products)) if len(below.products) == 1 else None
    worst = above if above.reason is not None else below
    return _finish(
        indicator,
        Ratio(
            indicator_id=indicator.id,
            subject_id=subject_id,
            numerator=above.total if above.reason is None else None,
            denominator=below.total if divides and below.reason is None else None,
            divides=divides,
            scale=indicator.scale,
            unit=_unit(indicator, product),
            reason=above.reason or (below.reason if divides else None),
            coverage=min((a.measured_share + a.estimated_share for a in counted.values()), default=0.0),
            estimated_share=max((a.estimated_share for a in counted.values()), default=0.0),
            factors=_ordered(above.factors | below.factors),
            points=tuple(sorted(counted)),
            ignored=tuple(sorted({*above.ignored, *below.ignored})),
            product=product,
            detail=worst.detail,
        ),
    )


def _side(
    terms: tuple[Term, ...],
    amounts: Sequence[Amount],
    factors: FactorRegistry,
    on: date,
    region: str,
    *,
    of_point: bool,
) -> _Side:
    side = _Side()
    parts: list[float] = []
    for term in terms:
        found = [amount for amount in amounts if amount.carrier in term.carriers]
        for amount in found:
            weight = 1.0 if of_point else term.weights.get(amount.direction)
            if weight is None:
                side.ignored.append(amount.point_id)
                continue
            side.counted.append(amount)
            if amount.known is not None:
                parts.append(weight * _converted(side, term, amount, amount.known, factors, on, region))
        if term.required and not any(of_point or amount.direction in term.weights for amount in found):
            side.fail(Undefined.NO_POINTS, f"no point of {' or '.join(term.carriers)}")
    if not side.counted:
        side.fail(Undefined.NO_POINTS)
    elif all(amount.known is None for amount in side.counted):
        side.fail(Undefined.NO_DATA)
    elif any(amount.known is None for amount in side.counted):
        # A sum that lacks one of its parts is not the sum.
        silent = ", ".join(str(amount.point_id) for amount in side.counted if amount.known is None)
        side.fail(Undefined.COVERAGE_TOO_LOW, f"no data from point {silent}")
    if len(side.products) > 1:
        side.fail(Undefined.UNLIKE_PRODUCTS)
    side.total = math.fsum(parts)
    return side


def _converted(
    side: _Side, term: Term, amount: Amount, quantity: float, factors: FactorRegistry, on: date, region: str
) -> float:
    try:
        if term.factor is not None:
            wanted = term.factor
            factor = choose(factors, wanted.kind, amount.carrier, wanted.basis, wanted.purpose, region, on)
            side.factors[factor.id] = factor
            return factor.convert(quantity, amount.unit)
        if term.unit is not None:
            return quantity * conversion(amount.unit, term.unit)
        side.products.add(Product(amount.unit, amount.product))
    except FactorError as error:
        side.fail(Undefined.NO_FACTOR, str(error))
    except UnitError as error:
        side.fail(Undefined.WRONG_UNIT, f"point {amount.point_id}: {error}")
    return quantity


def _finish(indicator: Indicator, ratio: Ratio) -> Ratio:
    """Give the ratio the reason that only its finished sums show, if it has none yet."""
    reason = ratio.reason
    if reason is None and ratio.coverage < indicator.min_coverage:
        reason = Undefined.COVERAGE_TOO_LOW
    if reason is None and ratio.divides and (ratio.denominator is None or ratio.denominator <= 0):
        reason = Undefined.NO_PRODUCTION if ratio.product is not None else Undefined.ZERO_DENOMINATOR
    if reason is None and indicator.share and not -1e-9 <= (ratio.value or 0.0) <= 100 + 1e-9:
        reason = Undefined.IMPLAUSIBLE
    return ratio if reason is ratio.reason else replace(ratio, reason=reason)


def _ordered(factors: dict[str, Factor]) -> tuple[Factor, ...]:
    return tuple(factors[factor_id] for factor_id in sorted(factors))


def _unit(indicator: Indicator, product: Product | None) -> str:
    return indicator.unit.replace("{product}", "product" if product is None else product.unit)
