"""An indicator held against a target: ahead, on pace, at risk, off, or undefined with the reason.

Pure: the ratios, the time and the target come in. Nothing is judged from what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  (dataclass fields are read at run time)
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from park import pace
from park.calendar import to_us
from park.reasons import SENTENCES, Undefined
from park.targets import Comparator, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from park.ratios import Ratio

MARGIN: Final = 0.02
"""Relative distance from the target beyond which a value is ahead, or off."""
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
    """One target's standing at one instant.

    Attributes:
        reason: why it is undefined, None otherwise.
        value: the indicator now, in the target's unit (for a decline: the level of the indicator).
        target_value: what must be reached at the end: the threshold, or the level after the decline.
        required: what must hold now: the threshold, or the path's value at this instant.
        projection: the value at the end, if things go on as they do.
        progress: share of the way that is done, of a decline only.
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


_WORDS: Final[dict[State, tuple[str, str]]] = {
    State.AHEAD: ("超前", "ahead"),
    State.ON_PACE: ("正常", "on pace"),
    State.AT_RISK: ("有风险", "at risk"),
    State.OFF: ("未达进度", "off"),
    State.UNDEFINED: ("无法判断", "undefined"),
}
_SIGNS: Final = {Comparator.GE: "≥", Comparator.GT: ">", Comparator.LE: "≤", Comparator.LT: "<"}
_SHAPE_REASONS: Final[Mapping[Comparator, Undefined]] = {
    Comparator.TRACK_ONLY: Undefined.NO_NUMBER,
    Comparator.QUALITATIVE: Undefined.NO_NUMBER,
}


def undefined(target: Target, reason: Undefined, as_of: datetime, **known: float | None) -> Standing:
    """Return an undefined standing; `known` numbers are kept beside the reason."""
    to_us(as_of)
    zh, en = SENTENCES[reason]
    return Standing(
        State.UNDEFINED,
        reason,
        f"{target.name_zh}：{_WORDS[State.UNDEFINED][0]}，{zh}",
        f"{target.name_en}: undefined, because {en}",
        as_of,
        **known,
    )


def unjudgeable(target: Target) -> Undefined | None:
    """Return why the target cannot be judged whatever the data, or None.

    What only the plan or the park can mend (no number, no baseline) goes before what we cannot compute yet.
    """
    if target.value is None:
        return Undefined.NO_NUMBER
    if target.comparator is Comparator.CUMULATIVE_DECLINE:
        if target.base_value is None or target.base_year is None:
            return Undefined.NO_BASELINE
        if not 0 < target.value < 100 or target.base_value <= 0:
            return Undefined.IMPOSSIBLE_TARGET
    elif target.comparator not in _SIGNS:
        return _SHAPE_REASONS.get(target.comparator, Undefined.NOT_JUDGED)
    return Undefined.NO_INDICATOR if target.indicator is None else None


def threshold(
    target: Target, so_far: Ratio, trailing: Ratio, *, trailing_days: float, remaining_days: float, as_of: datetime
) -> Standing:
    """Judge a target of the form "at least" or "at most" for the year that `as_of` lies in.

    The projection is a ratio of sums: the year so far, plus the last `trailing_days` going on for the rest of the
    year. With no rest, it is the year so far; `trailing` is not looked at then.

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
    goal = target.value
    if reason is not None or goal is None:
        return undefined(target, reason or Undefined.NO_NUMBER, as_of, value=so_far.value, target_value=goal)
    value = so_far.value
    if so_far.reason is not None or value is None:
        return undefined(target, so_far.reason or Undefined.NO_DATA, as_of, target_value=goal, required=goal)
    if not so_far.divides:
        # A yearly total is held against its share of the year, which is another rule than this one.
        return undefined(target, Undefined.NOT_JUDGED, as_of, value=value, target_value=goal)
    projection = _projected(so_far, trailing, max(remaining_days, 0.0) / trailing_days)
    if isinstance(projection, Undefined):
        return undefined(target, projection, as_of, value=value, target_value=goal, required=goal)
    up = target.comparator in {Comparator.GE, Comparator.GT}
    strict = target.comparator in {Comparator.GT, Comparator.LT}
    state = _state(_gain(value, goal, up=up), _gain(projection, goal, up=up), strict=strict)
    sign, unit = _SIGNS[target.comparator], target.unit
    return Standing(
        state,
        None,
        f"{target.name_zh}：本年至今 {_number(value)} {unit}，预计全年 {_number(projection)} {unit}，"
        f"目标 {sign} {_number(goal)} {unit}（{target.target_year} 年）：{_WORDS[state][0]}",
        f"{target.name_en}: {_number(value)} {unit} this year so far, {_number(projection)} {unit} projected for the "
        f"year, target {sign} {_number(goal)} {unit} ({target.target_year}): {_WORDS[state][1]}",
        as_of,
        value=value,
        target_value=goal,
        required=goal,
        projection=projection,
    )


def decline(target: Target, now: Ratio, *, elapsed_years: float, as_of: datetime) -> Standing:
    """Judge a cumulative decline against the geometric path from the base year's level to the target's.

    Args:
        target: a cumulative decline, its baseline in the unit of `now`.
        now: the intensity of the newest full year (or trailing twelve months), in constant prices.
        elapsed_years: time since the end of the base year at the end of `now`'s period.
        as_of: when this is judged.

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
    value = now.value
    if now.reason is not None or value is None:
        return undefined(target, now.reason or Undefined.NO_DATA, as_of, target_value=goal)
    if elapsed_years <= 0:
        return undefined(target, Undefined.NOT_STARTED, as_of, value=value, target_value=goal)
    if value <= 0:
        # An intensity of zero or less (more exported than bought) has no place on a geometric path.
        return undefined(target, Undefined.IMPLAUSIBLE, as_of, value=value, target_value=goal)
    elapsed = min(elapsed_years, float(years))
    so_far = 1 - value / base
    required = pace.path_value(base, share, elapsed, years)
    try:
        projection = pace.path_value(base, so_far, years, elapsed)
    except OverflowError:
        return undefined(target, Undefined.IMPLAUSIBLE, as_of, value=value, target_value=goal, required=required)
    state = _state(_gain(value, required, up=False), _gain(projection, goal, up=False), strict=False)
    done = pace.progress(so_far, share)
    return Standing(
        state,
        None,
        f"{target.name_zh}：较 {target.base_year} 年累计下降 {_number(100 * so_far)} %，"
        f"目标 {_number(target.value)} %（{target.target_year} 年），完成进度 {_number(100 * done)} %，"
        f"时间进度 {_number(100 * elapsed / years)} %：{_WORDS[state][0]}",
        f"{target.name_en}: {_number(100 * so_far)} % below {target.base_year}, target {_number(target.value)} % by "
        f"{target.target_year}, {_number(100 * done)} % of the way in {_number(100 * elapsed / years)} % of the time: "
        f"{_WORDS[state][1]}",
        as_of,
        value=value,
        target_value=goal,
        required=required,
        projection=projection,
        progress=done,
    )


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


def _number(value: float) -> str:
    """Format with two decimals, or four significant digits where that shows more."""
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.4g}"
