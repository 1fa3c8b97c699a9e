"""Standings of targets that are not one year's end: held in every period, counted, per year, ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from park import sentences
from park.projection import Method
from park.reasons import Undefined
from park.standing import Standing, State, effective, judged, monday, undefined, unjudgeable
from park.targets import Comparator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from park.ratios import Ratio
    from park.targets import Target


def hold(target: Target, periods: Sequence[tuple[datetime, Ratio]], running: Ratio, *, as_of: datetime) -> Standing:
    """Judge "never below" (or above): one period on the wrong side is a miss that the year cannot mend.

    `periods` are the year's finished ones, each with its start; `running` is the one that is going on. A finished
    period without a value leaves it undefined: what was not seen may have been a breach.

    Raises:
        ValueError: the target is not one to hold.
    """
    _check(target, Comparator.HOLD)
    reason = unjudgeable(target)
    goal = target.value
    if reason is not None or goal is None:
        return undefined(target, reason or Undefined.NO_NUMBER, as_of, value=running.value)
    upward = effective(target).upward
    values = [(start, ratio.value) for start, ratio in periods]
    broken = [
        (start, value)
        for start, value in values
        if value is not None and judged(value, value, goal, upward=upward) in {State.AT_RISK, State.OFF}
    ]
    known: dict[str, Any] = {"target_value": goal, "required": goal}
    if broken:
        start, value = broken[0]
        zh = f"{start:%Y-%m-%d} 起的时段为 {sentences.number(value)} {target.unit}，须始终"
        en = f"{sentences.number(value)} {target.unit} in the period from {start:%Y-%m-%d}, to be held"
        said = _said(target, State.OFF, zh, en)
        now = running.value if running.value is not None else values[-1][1]
        return Standing(State.OFF, None, *said, as_of, value=now, projection=now, miss_week=monday(start, 0), **known)
    silent = next((ratio.reason for _, ratio in periods if ratio.value is None), None)
    value_now = running.value
    if silent is not None or (running.reason is not None and not periods):
        return undefined(target, silent or running.reason or Undefined.NO_DATA, as_of, value=value_now, **known)
    worst = [value for _, value in values if value is not None]
    now = value_now if value_now is not None else worst[-1]
    least = (min if upward else max)([*worst, now])
    state = judged(least, now, goal, upward=upward)
    zh = f"本年最低 {sentences.number(least)} {target.unit}，现为 {sentences.number(now)} {target.unit}，须始终"
    en = f"{sentences.number(least)} {target.unit} at worst this year, {sentences.number(now)} now, to be held"
    missed = monday(as_of, 0) if state in {State.AT_RISK, State.OFF} else None
    said = _said(target, state, zh if upward else zh.replace("最低", "最高"), en)
    return Standing(
        state, None, *said, as_of, value=now, projection=now, method=Method.CLOSED, miss_week=missed, **known
    )


def per_year(
    target: Target, yearly: Mapping[int, float], *, year: int, projected: float | None, as_of: datetime
) -> Standing:
    """Judge so much in each year, or in the mean of the years (`average`).

    Args:
        target: in `%`: growth over the year before; in another unit: the amount of each year.
        yearly: finished years. Growth needs the year before the first, too.
        year: the running one.
        projected: value of the running year at its end; None: not known.
        as_of: when this is judged.

    Raises:
        ValueError: the target is not one per year.
    """
    _check(target, Comparator.PER_YEAR)
    reason = unjudgeable(target)
    goal = target.value
    if reason is not None or goal is None:
        return undefined(target, reason or Undefined.NO_NUMBER, as_of)
    values = dict(yearly) | ({} if projected is None else {year: projected})
    first = (target.base_year or min(values, default=year)) + 1
    rates: dict[int, float] = {}
    for at in range(first, year + 1):
        if target.unit != "%":
            found = values.get(at)
        elif values.get(at - 1, 0.0) > 0 and at in values:
            found = 100 * (values[at] / values[at - 1] - 1)
        else:
            found = None
        if found is None:
            return undefined(target, Undefined.NO_DATA, as_of, target_value=goal)
        rates[at] = found
    if not rates:
        return undefined(target, Undefined.NOT_STARTED, as_of, target_value=goal)
    growth = [1 + rate / 100 for rate in rates.values()]
    if target.average and target.unit == "%":
        product = 1.0
        for factor in growth:
            product *= factor
        mean = 100 * (product ** (1 / len(growth)) - 1)
        state = judged(mean, mean, goal, upward=True)
        value = mean
    elif target.average:
        value = sum(rates.values()) / len(rates)
        state = judged(value, value, goal, upward=True)
    else:
        value = rates[year]
        before = [rate for at, rate in rates.items() if at < year]
        state = judged(value, value, goal, upward=True)
        # A year that fell short stays short.
        if any(judged(rate, rate, goal, upward=True) in {State.AT_RISK, State.OFF} for rate in before):
            state = State.OFF
    zh = f"{'年均' if target.average else f'{year} 年'} {sentences.number(value)} {target.unit}，每年"
    en = f"{sentences.number(value)} {target.unit} {'a year in the mean' if target.average else f'in {year}'}, a year"
    said = _said(target, state, zh, en)
    return Standing(state, None, *said, as_of, value=value, target_value=goal, required=goal, projection=value)


def cumulative(target: Target, so_far: float | None, *, elapsed_years: float, as_of: datetime) -> Standing:
    """Judge a sum over the whole plan (【】) against the straight line from nothing to its number.

    Args:
        target: its base year is the last before the plan.
        so_far: what has been added since the end of the base year; None: unknown.
        elapsed_years: time since then.
        as_of: when this is judged.

    Raises:
        ValueError: the target is no sum over the plan.
    """
    _check(target, Comparator.CUMULATIVE)
    reason = unjudgeable(target)
    goal, start = target.value, target.base_year
    if reason is None and start is None:
        reason = Undefined.NO_BASELINE
    if reason is not None or goal is None or start is None:
        return undefined(target, reason or Undefined.NO_NUMBER, as_of, value=so_far)
    if so_far is None or elapsed_years <= 0:
        why = Undefined.NO_DATA if so_far is None else Undefined.NOT_STARTED
        return undefined(target, why, as_of, value=so_far, target_value=goal)
    years = float(target.target_year - start)
    elapsed = min(elapsed_years, years)
    required, ends = goal * elapsed / years, so_far * years / elapsed
    state = judged(so_far, ends, required if elapsed < years else goal, upward=True)
    if elapsed < years:
        state = judged(so_far / required if required > 0 else 1.0, ends / goal, 1.0, upward=True)
    zh = f"累计 {sentences.number(so_far)} {target.unit}，至今应有 {sentences.number(required)} {target.unit}，期末"
    en = f"{sentences.number(so_far)} {target.unit} so far, {sentences.number(required)} due by now, by the end"
    said = _said(target, state, zh, en)
    return Standing(
        state,
        None,
        *said,
        as_of,
        value=so_far,
        target_value=goal,
        required=required,
        projection=ends,
        plan_end=ends,
        progress=so_far / goal if goal else None,
        elapsed=elapsed / years,
        method=Method.LINEAR,
    )


def rank(target: Target, position: int | None, *, as_of: datetime) -> Standing:
    """Judge "among the first so many" by the newest published position.

    Raises:
        ValueError: the target is no rank.
    """
    _check(target, Comparator.RANK)
    if target.value is None:
        return undefined(target, Undefined.NO_NUMBER, as_of, value=position)
    if position is None:
        return undefined(target, Undefined.NO_DATA, as_of, target_value=target.value)
    # Places are whole: none is "narrowly" missed, and the first place is always ahead.
    if position > target.value:
        state = State.OFF
    else:
        state = State.AHEAD if position < target.value or position == 1 else State.ON_PACE
    said = _said(target, state, f"第 {position} 位", f"place {position}")
    value = float(position)
    return Standing(
        state, None, *said, as_of, value=value, target_value=target.value, required=target.value, projection=value
    )


def _check(target: Target, comparator: Comparator) -> None:
    if target.comparator is not comparator:
        raise ValueError(f"{target.id} is {target.comparator.value}, not {comparator.value}")


def _said(target: Target, state: State, zh: str, en: str) -> tuple[str, str]:
    words = sentences.WORDS[state.value]
    goal = f"{sentences.sign_of(target)} {sentences.number(target.value or 0.0)} {target.unit}".rstrip()
    return (
        f"{target.name_zh}：{zh}（目标 {goal}，{target.target_year} 年）：{words[0]}",
        f"{target.name_en}: {en} (target {goal}, {target.target_year}): {words[1]}",
    )
