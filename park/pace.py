"""The arithmetic of declines: years multiply, they do not add.

Declines and rates are fractions here (0.16, not 16 %); a rise is a negative decline.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from park.targets import Target


def cumulative_decline(yearly: Iterable[float]) -> float:
    """Return `1 − Π(1 − K_t)`."""
    return 1.0 - math.prod(1.0 - rate for rate in yearly)


def yearly_rate(decline: float, years: float) -> float:
    """Return the constant yearly rate `1 − (1 − K)^(1/n)` that gives `decline` after so many years."""
    return 1.0 - math.pow(1.0 - decline, 1.0 / years)


def path_value(base: float, decline: float, elapsed: float, years: float) -> float:
    """Return where the geometric path from `base` stands after `elapsed` of `years`: `base × (1 − K)^(t/n)`."""
    return base * math.pow(1.0 - decline, elapsed / years)


def progress(decline_so_far: float, decline: float) -> float:
    """Return how much of the way is done, `ln(1 − K_so_far) / ln(1 − K)`; negative after a rise."""
    return math.log1p(-decline_so_far) / math.log1p(-decline)


def remaining_yearly_rate(decline_so_far: float, decline: float, remaining: float) -> float:
    """Return the yearly rate needed from here: `1 − ((1 − K) / (1 − K_so_far))^(1/remaining)`."""
    return 1.0 - math.pow((1.0 - decline) / (1.0 - decline_so_far), 1.0 / remaining)


def needed_rate(value: float, goal: float, years: float) -> float | None:
    """Return the yearly fall that takes `value` to `goal`; negative: a rise. None: no time left or no such path."""
    if years <= 0 or value <= 0 or goal <= 0:
        return None
    # Within the last weeks a small gap is an absurd yearly rate.
    exponent = math.log(goal / value) / years
    return 1.0 - math.exp(exponent) if exponent < math.log(1e6) else None


def crossing(value: float, rate: float, required: float, required_rate: float) -> float | None:
    """Return after how many years a falling `value` is no longer below what is required; None: never.

    Both fall by their yearly rates. 0: it is above already.
    """
    if value >= required:
        return 0.0
    faster = math.log1p(-rate) - math.log1p(-required_rate)
    return None if faster <= 0 else math.log(required / value) / faster


def goal_in(target: Target, year: int) -> float | None:
    """Return what a level target wants at the end of a year.

    The plan's milestone of that year or the next one; else the geometric path from the base value to the number (the
    straight line where one of them is not positive), which is an interpolation and not the plan's; without a base
    value, or after the target year, the number itself.
    """
    if target.value is None or year >= target.target_year:
        return target.value
    for milestone in target.milestones:
        if year <= milestone.year:
            return milestone.value
    base, start = target.base_value, target.base_year
    if target.milestones:
        base, start = target.milestones[-1].value, target.milestones[-1].year
    if base is None or start is None:
        return target.value
    part = min(max((year - start) / (target.target_year - start), 0.0), 1.0)
    if base > 0 and target.value > 0:
        return base * math.pow(target.value / base, part)
    return base + part * (target.value - base)
