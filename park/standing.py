"""An indicator held against a target: ahead, on pace, at risk, off, or undefined with the reason.

Pure: the ratios, the time and the target come in. Nothing is judged from what is missing. Levels at a year's end and
cumulative declines are judged here; what is held in every period, counted, ranked or per year in `park.verdicts`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from park import pace, sentences
from park.calendar import to_us
from park.projection import CONFIDENCE, Method
from park.reasons import SENTENCES, Undefined
from park.targets import ASSIGNED, LEVELS, Comparator, Target

if TYPE_CHECKING:
    from park.projection import Projection
    from park.ratios import Ratio

MARGIN: Final = 0.02
"""Relative distance from the target beyond which a value is ahead, or off."""
ABOUT: Final = 0.05
"""By how much "about" may be missed."""
_EXACT: Final = 1e-9
"""A value that misses by rounding alone meets its target."""


class State(StrEnum):
    """How a target stands. Stored: never rename."""

    AHEAD = "ahead"
    """Current value and projection are both better than the target by at least the margin."""
    ON_PACE = "on_pace"
    """The projection meets the target."""
    AT_RISK = "at_risk"
    """The projection misses by less than the margin, or the current value still meets what is required."""
    OFF = "off"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Standing:
    """One target's standing at one instant. Numbers are in the indicator's unit.

    Attributes:
        reason: why it is undefined, None otherwise.
        value: the indicator now (for a decline: the level of the indicator).
        target_value: what must be reached at the end: the threshold, or the level after the decline.
        required: what must hold now: the threshold, or the path's value at this instant.
        projection: the value at the end, if things go on as they do: of the running year for a level, of the plan for a
            decline; `projection_low` to `projection_high` with `confidence`.
        year_end, plan_end: the same for the running year and for the target year.
        progress: share of the way that is done; negative where it went backwards.
        elapsed: share of the time from base year to target year that has gone.
        base_value: level it is judged from.
        needed_rate: percent a year by which the value must fall (negative: rise) from here on.
        needed_rest: what the rest of the running year must average; of a plain sum, what is left.
        miss_week: Monday of the week in which the target goes out of reach, or a decline falls behind its path.
    """

    state: State
    reason: Undefined | None
    sentence_zh: str
    sentence_en: str
    as_of: datetime
    value: float | None = None
    target_value: float | None = None
    required: float | None = None
    projection: float | None = None
    progress: float | None = None
    elapsed: float | None = None
    base_value: float | None = None
    projection_low: float | None = None
    projection_high: float | None = None
    year_end: float | None = None
    year_end_low: float | None = None
    year_end_high: float | None = None
    plan_end: float | None = None
    plan_end_low: float | None = None
    plan_end_high: float | None = None
    confidence: float | None = None
    method: Method | None = None
    needed_rate: float | None = None
    needed_rest: float | None = None
    miss_week: date | None = None


def undefined(target: Target, reason: Undefined, as_of: datetime, **known: Any) -> Standing:
    """Return an undefined standing; `known` numbers are kept beside the reason."""
    to_us(as_of)
    zh, en = SENTENCES[reason]
    said = sentences.undefined(target, zh, en)
    return Standing(State.UNDEFINED, reason, *said, as_of, **known)


def effective(target: Target) -> Target:
    """Return the target as the plain comparison that decides it.

    A quota is a limit, a reference something to be better than, a range its lower number, and about is `ABOUT` short of
    it; the number that a higher level gives must stand in `value` already.
    """
    value, upward = target.value, target.upward
    comparator: Comparator
    if target.comparator is Comparator.QUOTA:
        comparator = Comparator.LE
    elif target.comparator is Comparator.BETTER_THAN_REFERENCE:
        comparator = Comparator.GT if upward else Comparator.LT
    elif target.comparator is Comparator.ABOUT and value is not None:
        comparator = Comparator.GE if upward else Comparator.LE
        value -= (ABOUT if upward else -ABOUT) * abs(value)
    elif target.comparator is Comparator.BETWEEN:
        comparator = Comparator.GE
    elif target.comparator is Comparator.HOLD:
        comparator = Comparator.GE if upward else Comparator.LE
    else:
        return target
    return msgspec.structs.replace(target, comparator=comparator, value=value, upper=None)


def unjudgeable(target: Target) -> Undefined | None:
    """Return why the target cannot be judged whatever the data, or None.

    What only the plan or the park can mend (no number, no baseline) goes before what we cannot compute yet.
    """
    if target.value is None or target.comparator in {Comparator.TRACK_ONLY, Comparator.QUALITATIVE}:
        return Undefined.NO_NUMBER
    if target.ceiling is not None and target.value >= target.ceiling:
        return Undefined.IMPOSSIBLE_TARGET
    if target.comparator is Comparator.CUMULATIVE_DECLINE:
        if target.base_value is None or target.base_year is None:
            return Undefined.NO_BASELINE
        if not 0 < target.value < 100 or target.base_value <= 0:
            return Undefined.IMPOSSIBLE_TARGET
    if target.indicator is None or target.computed_in is None:
        return Undefined.NO_INDICATOR
    return None


def threshold(
    target: Target,
    so_far: Ratio,
    trailing: Ratio,
    *,
    trailing_days: float,
    remaining_days: float,
    as_of: datetime,
    year: int | None = None,
    projected: Projection | None = None,
) -> Standing:
    """Judge a target for a level at a year's end, such as "at least", for the year that `as_of` lies in.

    The projection is a ratio of sums: the year so far, plus the last `trailing_days` going on for the rest of the
    year. With no rest, it is the year so far; `trailing` is not looked at then. `projected`, where it is known, stands
    in its place and brings the interval. `year` is the one that is judged, None: the target year. A year before that
    wants the plan's milestone, or what the path from the base value wants (`pace.goal_in`); a year after it wants the
    target still.

    Raises:
        ValueError: `trailing_days` is not positive, or the target is no threshold.
        CalendarError: `as_of` has no zone.
    """
    to_us(as_of)
    if trailing_days <= 0:
        raise ValueError(f"trailing_days is {trailing_days}; it must be positive")
    if target.comparator is Comparator.CUMULATIVE_DECLINE:
        raise ValueError(f"{target.id} is a decline; use `decline`")
    reason = unjudgeable(target)
    goal = pace.goal_in(effective(target), target.target_year if year is None else year)
    if reason is None and target.comparator not in LEVELS | ASSIGNED - {Comparator.RANK}:
        reason = Undefined.NOT_JUDGED
    if reason is not None or goal is None:
        return undefined(target, reason or Undefined.NO_NUMBER, as_of, value=so_far.value, target_value=target.value)
    known: dict[str, Any] = {"target_value": target.value, "base_value": target.base_value}
    value = so_far.value
    if so_far.reason is not None or value is None:
        return undefined(target, so_far.reason or Undefined.NO_DATA, as_of, required=goal, **known)
    if not so_far.divides and projected is None:
        # A yearly total is held against what the whole year will be: without a projection there is none.
        return undefined(target, Undefined.NOT_JUDGED, as_of, value=value, **known)
    ends: float | Undefined
    if projected is None:
        ends = _projected(so_far, trailing, max(remaining_days, 0.0) / trailing_days)
    else:
        ends = projected.value
    if isinstance(ends, Undefined):
        return undefined(target, ends, as_of, value=value, required=goal, **known)
    plain = effective(target)
    up, strict = plain.upward, plain.comparator in {Comparator.GT, Comparator.LT}
    # What has been used of a total so far says nothing by itself: only the whole year does.
    now = value if so_far.divides else ends
    state = _state(_gain(now, goal, up=up), _gain(ends, goal, up=up), strict=strict)
    low, high = (None, None) if projected is None else (projected.low, projected.high)
    found = Standing(
        state,
        None,
        *sentences.level(target, state.value, value, ends, low, high, goal, year),
        as_of,
        value=value,
        required=goal,
        projection=ends,
        progress=_progress(target, ends),
        projection_low=low,
        projection_high=high,
        year_end=ends,
        year_end_low=low,
        year_end_high=high,
        confidence=None if low is None or projected is None else projected.confidence,
        method=Method.TRAILING if projected is None else projected.method,
        **known,
    )
    return _towards_plan_end(target, found, year, max(remaining_days, 0.0))


def decline(
    target: Target,
    now: Ratio,
    *,
    elapsed_years: float,
    as_of: datetime,
    low: float | None = None,
    high: float | None = None,
) -> Standing:
    """Judge a cumulative decline against the geometric path from the base year's level to the target's.

    Args:
        target: a cumulative decline, its baseline in the unit of `now`.
        now: the intensity of the newest full year (or trailing twelve months), in constant prices.
        elapsed_years: time since the end of the base year at the end of `now`'s period.
        as_of: when this is judged.
        low: lower end of the interval of `now`, where it is a projected year; carried along the path.
        high: upper end of it.

    Raises:
        ValueError: the target is no decline.
        CalendarError: `as_of` has no zone.
    """
    to_us(as_of)
    if target.comparator is not Comparator.CUMULATIVE_DECLINE:
        raise ValueError(f"{target.id} is a threshold; use `threshold`")
    reason = unjudgeable(target)
    if reason is not None or target.value is None or target.base_value is None or target.base_year is None:
        return undefined(target, reason or Undefined.NO_NUMBER, as_of, value=now.value)
    share, base, years = target.value / 100, target.base_value, target.target_year - target.base_year
    goal = base * (1 - share)
    known: dict[str, Any] = {"target_value": goal, "base_value": base}
    value = now.value
    if now.reason is not None or value is None:
        return undefined(target, now.reason or Undefined.NO_DATA, as_of, **known)
    if elapsed_years <= 0:
        return undefined(target, Undefined.NOT_STARTED, as_of, value=value, **known)
    if value <= 0:
        # An intensity of zero or less (more exported than bought) has no place on a geometric path.
        return undefined(target, Undefined.IMPLAUSIBLE, as_of, value=value, **known)
    elapsed = min(elapsed_years, float(years))
    so_far = 1 - value / base
    required = pace.path_value(base, share, elapsed, years)
    try:
        ends = pace.path_value(base, so_far, years, elapsed)
        bounds = [_carried(base, bound, elapsed, years) for bound in (low, high)]
    except OverflowError:
        return undefined(target, Undefined.IMPLAUSIBLE, as_of, value=value, required=required, **known)
    state = _state(_gain(value, required, up=False), _gain(ends, goal, up=False), strict=False)
    done = pace.progress(so_far, share)
    left = years - elapsed
    needed = None if left <= 0 else pace.needed_rate(value, goal, left)
    behind = pace.crossing(value, pace.yearly_rate(so_far, elapsed), required, pace.yearly_rate(share, years))
    misses = ends > goal * (1 + _EXACT)
    return Standing(
        state,
        None,
        *sentences.decline(target, state.value, so_far, done, elapsed / years, needed),
        as_of,
        value=value,
        required=required,
        projection=ends,
        progress=done,
        elapsed=elapsed / years,
        projection_low=bounds[0],
        projection_high=bounds[1],
        year_end=value if low is not None else None,
        year_end_low=low,
        year_end_high=high,
        plan_end=ends,
        plan_end_low=bounds[0],
        plan_end_high=bounds[1],
        confidence=None if low is None else CONFIDENCE,
        method=Method.PATH,
        needed_rate=None if needed is None else 100 * needed,
        miss_week=monday(as_of, 52.1775 * behind) if misses and behind is not None else None,
        **known,
    )


def _carried(base: float, bound: float | None, elapsed: float, years: float) -> float | None:
    if bound is None or bound <= 0:
        return None
    return pace.path_value(base, 1 - bound / base, years, elapsed)


def monday(as_of: datetime, weeks: float) -> date:
    """Return the Monday of the week that lies so many weeks after an instant, in the instant's own zone."""
    day = (as_of + timedelta(weeks=min(weeks, 5_000.0))).date()
    return day - timedelta(days=day.weekday())


def _towards_plan_end(target: Target, found: Standing, year: int | None, remaining_days: float) -> Standing:
    """Add what the running year means for the plan's end: its value, the way left and the yearly rate needed."""
    last = target.target_year
    judged = last if year is None else year
    start, base = target.base_year, target.base_value
    elapsed = None if start is None else min(max((judged - start) / (last - start), 0.0), 1.0)
    ends = (found.projection, found.projection_low, found.projection_high)
    if judged < last and base is not None and start is not None and judged > start and base > 0:
        years = (last - start) / (judged - start)
        ends = tuple(None if x is None or x <= 0 else base * (x / base) ** years for x in ends)  # type: ignore[assignment]
    left = last - judged + remaining_days / 365.2425
    needed = None
    if found.value is not None and target.value is not None and judged < last:
        needed = pace.needed_rate(found.value, target.value, left)
    return replace(
        found,
        elapsed=elapsed,
        plan_end=ends[0],
        plan_end_low=ends[1],
        plan_end_high=ends[2],
        needed_rate=None if needed is None else 100 * needed,
    )


def _progress(target: Target, value: float) -> float | None:
    """Return the share of the way from the base value to the target; of a way of no length, None."""
    if target.base_value is None or target.value is None or target.base_value == target.value:
        return None
    return (value - target.base_value) / (target.value - target.base_value)


def _projected(so_far: Ratio, trailing: Ratio, times: float) -> float | Undefined:
    """Return the year's ratio if the trailing period repeats `times` times, or why there is none."""
    if times == 0:
        return so_far.value if so_far.value is not None else Undefined.NO_DATA
    # A trailing month that produced nothing still has sums: it adds its zero.
    if trailing.reason not in {None, Undefined.NO_PRODUCTION, Undefined.ZERO_DENOMINATOR}:
        return trailing.reason or Undefined.NO_DATA
    if trailing.numerator is None or trailing.denominator is None:
        return Undefined.NO_DATA
    if trailing.product != so_far.product:
        return Undefined.UNLIKE_PRODUCTS
    below = (so_far.denominator or 0.0) + times * trailing.denominator
    if below <= 0:
        return Undefined.ZERO_DENOMINATOR
    return so_far.scale * ((so_far.numerator or 0.0) + times * trailing.numerator) / below


def _gain(value: float, goal: float, *, up: bool) -> float:
    """Return by how much `value` is better than `goal`, relative to it (absolute where the goal is zero)."""
    return (value - goal if up else goal - value) / (abs(goal) or 1.0)


def _state(now: float, projected: float, *, strict: bool) -> State:
    def meets(gain: float) -> bool:
        return gain > _EXACT if strict else gain >= -_EXACT

    if now >= MARGIN - _EXACT and projected >= MARGIN - _EXACT:
        return State.AHEAD
    if meets(projected):
        return State.ON_PACE
    if projected > -MARGIN + _EXACT or meets(now):
        return State.AT_RISK
    return State.OFF


def judged(value: float, projected: float, goal: float, *, upward: bool, strict: bool = False) -> State:
    """Return the state of a value now and at the end against one number."""
    return _state(_gain(value, goal, up=upward), _gain(projected, goal, up=upward), strict=strict)
