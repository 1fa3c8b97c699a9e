"""The arithmetic of declines: years multiply, they do not add.

Declines and rates are fractions here (0.16, not 16 %); a rise is a negative decline.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


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
