"""Marking indicators: what the platform says of each firm and day against what the simulators say that it truly is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cli.score.marks import buckets_of
from park.calendar import BUCKET_US, Period, from_us, period, periods, to_us
from park.indicators import Scope, load_catalogue
from park.units import conversion
from simulators.indicators import TRUTHS, Firm, judged, source
from simulators.indicators import Expected as TrueIndicator
from simulators.reported import REPORTED, Books
from simulators.truth import Expected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from simulators.truth import Truth

MIN_COVERAGE: Final = 0.5
"""Of a day, that a value needs of each of its points; written down once more, as the truth's formulas are."""


@dataclass(frozen=True, slots=True)
class IndicatorMarks:
    """Indicators of firms, by day and by whole month, against what the simulators say that they truly are.

    Attributes:
        compared: values and reasons; `values` of them are numbers from complete inputs, of `lacking` some input is
            missing.
        error_max: largest relative error beyond what the dials' resolution explains, where inputs are complete.
        undefined_wrong: undefined, defined, or undefined for another reason than the truth gives.
        worst: which value has the largest error.
        wrong: the first of those that are wrongly defined or undefined.
        judged: indicators that were compared.
        not_judged: indicators of firms, days and months that the simulators do not know, or nobody can.
    """

    compared: int
    error_max: float
    undefined_wrong: int
    worst: str
    values: int = 0
    lacking: int = 0
    wrong: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()


def mark_indicators(truth: Truth, held: Sequence[Mapping[str, Any]], tz: ZoneInfo) -> IndicatorMarks:
    """Compare the values of firms, by day and by whole month, with what the simulators say they truly are.

    Where all inputs of a period are known the value, or the reason for none, has to be the truth's. Where some are
    missing it has to be undefined if too little is left, and with the right reason. That a firm has no meter for an
    indicator is said of its year.
    """
    have = {(row["firm"], row["indicator_id"], row["grain"], row["period"]): row for row in held}
    first, last = from_us(int(truth.bucket_us[0])), from_us(int(truth.bucket_us[-1]) + BUCKET_US)
    days = [day for day in periods("day", first, last, tz) if day.start >= first and day.end <= last]
    months = [month for month in periods("month", first, last, tz) if month.start >= first and month.end <= last]
    asked = [i for i in load_catalogue().indicators if Scope.FIRM in i.scopes and {"day", "month"} & {*i.grains}]
    by: dict[str, list[int]] = {i.id: [0, 0] for i in asked if i.id in TRUTHS or i.id in REPORTED}
    wrong, worst, error_max, lacking = list[str](), "", 0.0, 0
    for firm in sorted({point.firm for point in truth.points}):
        rows = [k for k, p in enumerate(truth.points) if p.firm == firm and p.kind != "gauge"]
        for span in [*days, *months]:
            inside = (truth.bucket_us >= to_us(span.start)) & (truth.bucket_us < to_us(span.end))
            true_firm = _firm(truth, rows, inside, span, tz)
            formulas = dict(TRUTHS)
            if span.grain == "month":
                told = books(truth, firm, span, tz)
                formulas |= {name: _told(formula, told) for name, formula in REPORTED.items()}
            year = period("year", span.start, tz).start
            for indicator_id, counts in by.items():
                if indicator_id not in formulas:
                    continue
                right = judged(formulas[indicator_id], true_firm)
                row = have.get((firm, indicator_id, span.grain, span.start))
                if row is None and right.reason in _SAID_ONCE:
                    row = have.get((firm, indicator_id, "year", year))
                    if row is not None and row["reason"] in {*_SAID_ONCE, "months_missing"}:
                        counts[0] += 1
                        continue
                accepted = _accepted(truth, right, inside, quarters=indicator_id in _OF_QUARTERS)
                if accepted is None:
                    continue  # what the platform cannot know is not held against it here
                name = f"{firm} {indicator_id} {span.grain} {span.start.astimezone(tz):%Y-%m-%d}"
                counts[0] += 1
                lacking += not accepted.whole
                if row is None or row["reason"] not in accepted.reasons:
                    said = "nothing" if row is None else row["reason"] or row["value"]
                    wrong.append(f"{name}: {said}, not {' or '.join(map(str, accepted.reasons))}")
                elif accepted.whole and right.value is not None:
                    counts[1] += 1
                    error = max(0.0, abs(row["value"] - right.value) - right.bound) / max(abs(right.value), 1e-12)
                    if error > error_max:
                        error_max, worst = error, name
    return IndicatorMarks(
        compared=sum(counts[0] for counts in by.values()),
        values=sum(counts[1] for counts in by.values()),
        lacking=lacking,
        error_max=error_max,
        undefined_wrong=len(wrong),
        worst=worst,
        wrong=tuple(wrong[:20]),
        judged=tuple(sorted(i for i, counts in by.items() if counts[0])),
        not_judged=tuple(sorted(i.id for i in asked if not by.get(i.id, [0])[0])),
    )


def _told(formula: Callable[[Firm, Books], float], told: Books) -> Callable[[Firm], float]:
    return lambda firm: formula(firm, told)


def books(truth: Truth, firm: str, month: Period, tz: ZoneInfo) -> Books:
    """Return what a firm reported of a month: the last report of each name."""
    first = month.start.astimezone(tz).date()
    mine = [one for one in truth.reports if one.firm == firm and one.grain == "month" and one.start == first]
    industry = next(row.industry for row in truth.park.firms if row.code == firm)
    fitting = [d for d in truth.deflators if d.year == first.year and d.industry in {"*", industry}]
    return Books(
        first.year,
        {(one.kind, one.key, one.price_basis, one.price_year): one.amount for one in mine},
        {d.base_year: d.value for d in sorted(fitting, key=lambda d: d.industry != "*")},
        frozenset(p.product for p in truth.points if p.firm == firm and p.carrier == "product" and p.product),
    )


def _firm(truth: Truth, rows: Sequence[int], inside: NDArray[np.bool_], day: Period, tz: ZoneInfo) -> Firm:
    sources = []
    bought = np.zeros(int(inside.sum()))
    steps = 0.0
    for k in rows:
        p = truth.points[k]
        one = source(k, p.carrier, p.direction, p.unit, p.product, float(truth.quantity[k, inside].sum()), p.step)
        sources.append(one)
        if p.carrier == "electricity" and p.direction == "in":
            bought += truth.quantity[k, inside] * conversion(p.unit, "kWh")
            steps += 2 * one.step
    bought_at_all = any(s.carrier == "electricity" and s.direction == "in" for s in sources)
    return Firm(
        sources,
        day.seconds / 3600,
        day.start.astimezone(tz).year,
        float(bought.max()) if bought_at_all and len(bought) else None,
        steps,
    )


_OF_QUARTERS: Final = {"maximum_demand", "load_factor"}
_STRUCTURAL: Final = {"no_points", "unlike_products", "no_factor", "not_reported", "no_deflator"}
"""Reasons that no reading can change."""
_SAID_ONCE: Final = {"no_points", "not_reported"}
"""Reasons that the platform gives for a year, and not for each of its periods."""


@dataclass(frozen=True, slots=True)
class _Accepted:
    """Which reasons are right (None: a value), and whether the inputs are whole, so that the value must be."""

    reasons: tuple[str | None, ...]
    whole: bool


def _accepted(truth: Truth, right: TrueIndicator, inside: NDArray[np.bool_], *, quarters: bool) -> _Accepted | None:
    """Return what the platform may say of an indicator on a day; None where nobody can tell."""
    shares, silent = [], 0
    for k in right.rows:
        marks = truth.expected[k, inside]
        if _knowable(marks):
            shares.append(1.0)
            continue
        if np.any(marks > Expected.MISSING) or Expected.ESTIMATED in {int(marks[0]), int(marks[-1])}:
            return None  # what passed in a gap over midnight is shared out between two days
        shares.append(float(np.mean(marks != Expected.MISSING)))
        silent += bool(np.all(marks == Expected.MISSING))
    least = min(shares, default=1.0)
    if least == 1.0:
        if quarters and not _every_quarter(truth, right.rows, inside):
            return None
        return _Accepted((right.reason,), whole=True)
    fixed = (right.reason,) if right.reason in _STRUCTURAL else ()
    if silent:
        # All meters of a side silent, or some of them: of a quotient each side has its own.
        return _Accepted(("no_data", "coverage_too_low", *fixed), whole=False)
    if abs(least - MIN_COVERAGE) < _NEAR or quarters:
        return None
    if least < MIN_COVERAGE:
        return _Accepted(("coverage_too_low", *fixed), whole=False)
    # Part of the day is not known: a value, of what is, unless something else forbids it.
    return _Accepted((right.reason, None), whole=False)


_NEAR: Final = 0.03
"""So near to the least coverage a reading more or less decides."""


def _every_quarter(truth: Truth, rows: Iterable[int], inside: NDArray[np.bool_]) -> bool:
    """Tell whether each quarter of an hour was measured by itself: an estimate flattens the peak."""
    return all(
        bool(np.all(truth.expected[k, inside] == Expected.MEASURED))
        and buckets_of(truth.points[k].kind, truth.points[k].interval_s) == 1
        for k in rows
    )


def _knowable(expected: NDArray[np.uint8]) -> bool:
    """Tell whether a day's sum can be known: nothing is missing, and no gap reaches over midnight."""
    return bool(
        np.all(expected < Expected.MISSING) or np.all(expected[expected >= Expected.MISSING] == Expected.KNOWN)
    ) and (expected[0] == expected[-1] == Expected.MEASURED)
