"""Where a year will end if things go on as they do, how sure that is, and when it is too late.

Assumptions, and what follows from them:
- Whole weeks are the unit, so that a week's rhythm does not matter. Weeks that are not wholly known are left out.
- With a year of history the rest of the year is last year's rest, grown as the last weeks have grown over the same
  weeks a year before (`LAST_YEAR`). Otherwise it goes on as the mean of the last four weeks (`TRAILING`); seasons are
  then not foreseen, and the interval does not know of them.
- The interval comes from how weeks have differed from that: numerator minus ratio times denominator (the linearised
  ratio of sums), their variance raised for what a week hands on to the next, added up over the rest and over the weeks
  that the level was taken from, with Student's t. A change of kind (a new line, a new tariff) is outside it.
The share of simulated years that end within the interval is tested (`tests/park/test_projection.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from park.student import quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE: Final = 0.8
WEEKS: Final = 52
_LEVEL: Final = 4
_GROWTH: Final = 12
_SPREAD: Final = 26
_LEAST: Final = 4
"""Fewer weeks than this give no interval."""
_t = cache(quantile)


class Method(StrEnum):
    """How a projection was made. Stored: never rename."""

    CLOSED = "closed"
    """The period has ended: the value itself."""
    LAST_YEAR = "last_year"
    TRAILING = "trailing"
    PATH = "geometric_path"
    """A decline goes on at its yearly rate since the base year."""
    LINEAR = "linear"
    """A count goes on as it has since the plan began."""


@dataclass(frozen=True, slots=True)
class Weeks:
    """Sums of the whole weeks that end with yesterday, oldest first; NaN where a week is not wholly known.

    Attributes:
        denominator: zeros for an indicator without one.
    """

    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Return which weeks are known."""
        return np.isfinite(self.numerator) & np.isfinite(self.denominator)


@dataclass(frozen=True, slots=True)
class Projection:
    """A year's value as it is expected, in the indicator's unit.

    Attributes:
        low, high: the interval, None where too few weeks are known.
        rest_numerator, rest_denominator: sums of the rest of the year.
        rest_weeks: how long it is.
    """

    value: float
    low: float | None
    high: float | None
    method: Method
    rest_numerator: float
    rest_denominator: float
    rest_weeks: float
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class _Rest:
    numerator: float
    denominator: float
    method: Method
    residual_n: NDArray[np.float64]
    residual_d: NDArray[np.float64]
    level_weeks: int


def project(
    numerator: float,
    denominator: float,
    weeks: Weeks,
    *,
    rest_days: float,
    scale: float = 1.0,
    divides: bool = True,
    confidence: float = CONFIDENCE,
) -> Projection | None:
    """Project a year from its sums so far and the weeks behind it; None where no week is known or nothing divides."""
    if rest_days <= 0:
        value = _value(numerator, denominator, scale, divides=divides)
        return None if value is None else Projection(value, value, value, Method.CLOSED, 0.0, 0.0, 0.0, confidence)
    horizon = rest_days / 7
    rest = _like_last_year(weeks, horizon, divides=divides) or _trailing(weeks, horizon)
    if rest is None:
        return None
    total_n, total_d = numerator + rest.numerator, denominator + rest.denominator
    value = _value(total_n, total_d, scale, divides=divides)
    if value is None:
        return None
    ratio = total_n / total_d if divides else 0.0
    half = _half_width(rest.residual_n - ratio * rest.residual_d, horizon, rest.level_weeks, confidence)
    low = high = None
    if half is not None:
        half *= abs(scale) / (total_d if divides else 1.0)
        low, high = value - half, value + half
    return Projection(value, low, high, rest.method, rest.numerator, rest.denominator, horizon, confidence)


def _like_last_year(weeks: Weeks, horizon: float, *, divides: bool) -> _Rest | None:
    count = len(weeks.numerator)
    ahead = math.ceil(horizon)
    if count < WEEKS + _LEAST or ahead > WEEKS:
        return None
    known = weeks.known
    then = slice(count - WEEKS, count - WEEKS + ahead)
    paired = known[WEEKS:] & known[:-WEEKS]
    recent = np.flatnonzero(paired[-_GROWTH:]) + max(len(paired) - _GROWTH, 0)
    if not known[then].all() or len(recent) < _LEAST:
        return None
    share = np.ones(ahead)
    share[-1] = horizon - (ahead - 1)
    sums: list[float] = []
    residuals: list[NDArray[np.float64]] = []
    for column in (weeks.numerator, weeks.denominator) if divides else (weeks.numerator,):
        before, now = column[:-WEEKS], column[WEEKS:]
        if before[recent].sum() <= 0:
            return None
        growth = now[recent].sum() / before[recent].sum()
        sums.append(float(growth * (column[then] * share).sum()))
        residuals.append((now - growth * before)[paired][-_SPREAD:])
    if not divides:
        sums.append(0.0)
        residuals.append(np.zeros_like(residuals[0]))
    return _Rest(sums[0], sums[1], Method.LAST_YEAR, residuals[0], residuals[1], len(recent))


def _trailing(weeks: Weeks, horizon: float) -> _Rest | None:
    known = weeks.known
    recent = np.flatnonzero(known[-2 * _LEVEL :]) + max(len(known) - 2 * _LEVEL, 0)
    recent = recent[-_LEVEL:]
    if len(recent) == 0:
        return None
    columns = (weeks.numerator, weeks.denominator)
    spread = [column[known][-_SPREAD:] for column in columns]
    return _Rest(
        float(horizon * weeks.numerator[recent].mean()),
        float(horizon * weeks.denominator[recent].mean()),
        Method.TRAILING,
        spread[0] - spread[0].mean(),
        spread[1] - spread[1].mean(),
        len(recent),
    )


def _half_width(residual: NDArray[np.float64], horizon: float, level_weeks: int, confidence: float) -> float | None:
    count = len(residual)
    if count < _LEAST:
        return None
    centred = residual - residual.mean()
    variance = float(centred @ centred) / (count - 1)
    if variance == 0:
        return 0.0
    persistence = 0.0
    if count >= 2 * _LEAST:
        found = float(centred[1:] @ centred[:-1]) / float(centred @ centred)
        # What few weeks show of it is too small by about this much (Kendall).
        persistence = min(max(found + (1 + 3 * found) / count, 0.0), 0.8)
    variance *= (1 + persistence) / (1 - persistence)
    return _t(confidence, count - 1) * math.sqrt(variance * (horizon + horizon**2 / level_weeks))


def _value(numerator: float, denominator: float, scale: float, *, divides: bool) -> float | None:
    if not divides:
        return scale * numerator
    return None if denominator <= 0 else scale * numerator / denominator


def needed_rest(
    numerator: float, denominator: float, projection: Projection, goal: float, *, scale: float, divides: bool
) -> float | None:
    """Return what the rest of the year must average for the year to end at `goal`; of a plain sum, what is left.

    The rest makes as much as it is projected to make. None where nothing is left.
    """
    if projection.rest_weeks <= 0:
        return None
    if not divides:
        return goal - scale * numerator
    if projection.rest_denominator <= 0:
        return None
    total = denominator + projection.rest_denominator
    return (goal * total - scale * numerator) / projection.rest_denominator


def lost_after(
    numerator: float,
    denominator: float,
    projection: Projection,
    weeks: Weeks,
    goal: float,
    *,
    upward: bool,
    scale: float,
    divides: bool,
) -> float | None:
    """Return after how many weeks `goal` is out of reach if things go on as projected; None: it will be met.

    Out of reach: what the rest must average is better than the best of the last half year's weeks. Of a plain sum with
    a limit: when it is used up. At the latest when the year ends.
    """
    missed = projection.value < goal if upward else projection.value > goal
    if not missed:
        return None
    ends = projection.rest_weeks
    if not divides:
        rate = scale * projection.rest_numerator / ends if ends > 0 else 0.0
        if upward or rate <= 0:
            return ends
        return min(max((goal - scale * numerator) / rate, 0.0), ends)
    known = weeks.known & (weeks.denominator > 0)
    if not known.any() or projection.rest_denominator <= 0:
        return ends
    ratios = scale * weeks.numerator[known][-_SPREAD:] / weeks.denominator[known][-_SPREAD:]
    best = float(ratios.max() if upward else ratios.min())
    total = denominator + projection.rest_denominator
    for week in range(math.ceil(ends)):
        gone = week / ends
        left = projection.rest_denominator * (1 - gone)
        needed = (goal * total - scale * (numerator + gone * projection.rest_numerator)) / left
        if needed > best if upward else needed < best:
            return float(week)
    return ends
