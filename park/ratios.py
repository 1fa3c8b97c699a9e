"""Indicators evaluated as ratios whose numerator and denominator are kept.

What the points of one firm moved in one period goes in, a `Ratio` comes out, with the factors and points it rests on.
A park's ratio is the sum of its firms' numerators over the sum of their denominators, never a mean of ratios. What
cannot be divided is undefined and says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from park.errors import IndicatorError
from park.indicators import Form, Scope
from park.reasons import Undefined
from park.sums import Amount, Sum, metered, with_reports
from park.wiring import Product, wire

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from park.factors import Factor, FactorRegistry
    from park.figures import Figure
    from park.indicators import Indicator, Reported, Term

    Figures = Mapping[Reported, Sequence[Figure]]

__all__ = ["Amount", "LeftOut", "Product", "Ratio", "evaluate", "evaluate_point", "finished", "park_ratio", "quotient"]


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
        form: how numerator and denominator make the value.
        price_year: base year of the constant prices in it; None: none, or current ones.
        figures: what was reported and counts in it.
        unreported: what could have been reported, was not, and counts as none.
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
    form: Form = Form.RATIO
    price_year: int | None = None
    figures: tuple[Figure, ...] = ()
    unreported: tuple[str, ...] = ()

    @property
    def value(self) -> float | None:
        """Return the value, `scale × numerator / denominator` for most, None if undefined."""
        if self.reason is not None or self.numerator is None:
            return None
        if not self.divides:
            return self.scale * self.numerator
        if self.denominator is None:
            return None
        found = quotient(self.form, self.numerator, self.denominator)
        return None if found is None else self.scale * found

    @property
    def verified(self) -> bool:
        """Tell whether every factor in it was compared with its source."""
        return all(factor.verified for factor in self.factors)

    @property
    def until(self) -> date | None:
        """Return the day before which what was reported ends, None if nothing was."""
        return min((figure.until for figure in self.figures), default=None)

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
            "verified": self.verified,
        } | self._reported()

    def _reported(self) -> dict[str, object]:
        """Return what was reported, if anything could have been."""
        found: dict[str, object] = {}
        if self.figures:
            found["reported"] = [figure.lineage() for figure in self.figures]
            found["until"] = None if self.until is None else self.until.isoformat()
        if self.price_year is not None:
            found["price_year"] = self.price_year
        if self.unreported:
            found["unreported"] = list(self.unreported)
        return found


def quotient(form: Form, numerator: float, denominator: float) -> float | None:
    """Return what a form makes of its two sums, without the scale; None where nothing can be divided."""
    if form is Form.COSINE:
        apparent = math.hypot(numerator, denominator)
        return numerator / apparent if apparent > 0 else None
    if denominator <= 0:
        return None
    if form is Form.CLOSURE:
        return abs(denominator - numerator) / denominator
    return numerator / denominator


def evaluate(
    indicator: Indicator,
    amounts: Sequence[Amount],
    factors: FactorRegistry,
    *,
    on: date,
    region: str = "CN-CQ",
    subject_id: int | None = None,
    figures: Figures | None = None,
) -> Ratio:
    """Evaluate an indicator for one firm and one period.

    Of `amounts` those of other carriers are passed over. `on` is the first day of the period and decides the factors:
    a period must not reach into the next calendar year. `region` is where the firm stands, for regional factors.
    `figures` is what the firm reported for the same period, see `park.reports`; where that ends earlier (a year that is
    not fully reported yet), the amounts have to end there too.
    """
    return _ratio(indicator, amounts, factors, on, region, subject_id, figures or {}, of_point=False)


def evaluate_point(
    indicator: Indicator, amount: Amount, factors: FactorRegistry, *, on: date, region: str = "CN-CQ"
) -> Ratio:
    """Evaluate an indicator for what passed one point, whichever its direction.

    Raises:
        IndicatorError: the indicator is not for single points.
    """
    if Scope.POINT not in indicator.scopes:
        raise IndicatorError(f"{indicator.id} is not for single points but for {', '.join(indicator.scopes)}")
    return _ratio(indicator, (amount,), factors, on, region, amount.point_id, {}, of_point=True)


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
    years = {ratio.price_year for ratio in inside} - {None}
    unlike = len(products) > 1 or (len(inside) > 1 and any(p is not None and p.code is None for p in products))
    reason: Undefined | None = None
    if unlike or Undefined.UNLIKE_PRODUCTS in reasons:
        reason = Undefined.UNLIKE_PRODUCTS
    elif len(years) > 1:
        reason = Undefined.UNLIKE_PRICES
    elif not inside:
        reason = reasons.pop() if len(reasons) == 1 else Undefined.NO_DATA
    coverage = sum(r.coverage for r in inside) / len(members) if members else 0.0
    divides = bool(indicator.denominator)
    return finished(
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
            form=indicator.form,
            price_year=next(iter(years)) if len(years) == 1 else None,
        ),
    )


def _ratio(
    indicator: Indicator,
    amounts: Sequence[Amount],
    factors: FactorRegistry,
    on: date,
    region: str,
    subject_id: int | None,
    figures: Figures,
    *,
    of_point: bool,
) -> Ratio:
    def side(terms: tuple[Term, ...]) -> Sum:
        found = metered(wire(terms, amounts, factors, on=on, region=region, of_point=of_point), amounts)
        return with_reports(found, terms, figures, factors, on, region)

    above, below = side(indicator.numerator), side(indicator.denominator)
    absent = above.reason is Undefined.NO_POINTS and indicator.absent_numerator_is_zero and bool(amounts)
    if absent:
        above.reason = None
    divides = bool(indicator.denominator)
    counted = above.counted + below.counted
    product = next(iter(below.products)) if len(below.products) == 1 else None
    worst = above if above.reason is not None else below
    reported = tuple(dict.fromkeys(above.figures + below.figures))
    # What rests on nothing that is metered is covered by what was reported, or needs nothing.
    whole = 1.0 if reported or (absent and not divides) else 0.0
    years = {figure.price_year for figure in reported} - {None}
    return finished(
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
            coverage=min((a.measured_share + a.estimated_share for a in counted), default=whole),
            estimated_share=max((a.estimated_share for a in counted), default=0.0),
            factors=_ordered(above.factors | below.factors),
            points=tuple(sorted({point for a in counted for point in a.made_of or (a.point_id,)})),
            ignored=tuple(sorted({*above.ignored, *below.ignored})),
            product=product,
            detail=worst.detail,
            form=indicator.form,
            price_year=next(iter(years)) if len(years) == 1 else None,
            figures=reported,
            unreported=tuple(dict.fromkeys(above.unreported + below.unreported)),
        ),
    )


def finished(indicator: Indicator, ratio: Ratio) -> Ratio:
    """Give the ratio the reason that only its finished sums show, if it has none yet."""
    reason = ratio.reason
    if reason is None and ratio.coverage < indicator.min_coverage:
        reason = Undefined.COVERAGE_TOO_LOW
    if reason is None and ratio.divides and _undivided(ratio):
        reason = Undefined.NO_PRODUCTION if ratio.product is not None else Undefined.ZERO_DENOMINATOR
    if reason is None and indicator.share and not -1e-9 <= (ratio.value or 0.0) <= 100 + 1e-9:
        reason = Undefined.IMPLAUSIBLE
    return ratio if reason is ratio.reason else replace(ratio, reason=reason)


def _undivided(ratio: Ratio) -> bool:
    """Tell whether the sums cannot be divided."""
    if ratio.numerator is None or ratio.denominator is None:
        return True
    return quotient(ratio.form, ratio.numerator, ratio.denominator) is None


def _ordered(factors: dict[str, Factor]) -> tuple[Factor, ...]:
    return tuple(factors[factor_id] for factor_id in sorted(factors))


def _unit(indicator: Indicator, product: Product | None) -> str:
    return indicator.unit.replace("{product}", "product" if product is None else product.unit)
