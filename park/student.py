"""Student's t and Fisher's F without a statistics package: tail probabilities and quantiles.

Both follow from the regularised incomplete beta function, here by its continued fraction (Abramowitz and Stegun,
26.5.8, evaluated after Lentz); relative error below 1e-12 for the degrees of freedom that regressions have.
"""

from __future__ import annotations

import math
from typing import Final

_TINY: Final = 1e-300
_STEPS: Final = 500


def two_sided_p(t: float, df: float) -> float:
    """Return the probability of a |t| at least this large, with `df` degrees of freedom."""
    if math.isinf(t):
        return 0.0
    return incomplete_beta(df / 2, 0.5, df / (df + t * t))


def quantile(confidence: float, df: float) -> float:
    """Return the t that a share `confidence` of values does not exceed in size: 0.95 and 10 give 2.228.

    Raises:
        ValueError: `confidence` is not between 0 and 1, or `df` is not positive.
    """
    if not 0 < confidence < 1 or df <= 0:
        raise ValueError(f"confidence {confidence} and {df} degrees of freedom give no quantile")
    low, high = 0.0, 1.0
    while two_sided_p(high, df) > 1 - confidence:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if two_sided_p(middle, df) > 1 - confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def f_tail(f: float, between: float, within: float) -> float:
    """Return the probability of an F at least this large, with so many degrees of freedom above and below."""
    if math.isinf(f):
        return 0.0
    return incomplete_beta(within / 2, between / 2, within / (within + between * f)) if f > 0 else 1.0


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function `I_x(a, b)`."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1.0 / _safe(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, _STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _safe(1 + term * d)
            c = _safe(1 + term / c)
            step = c * d
            total *= step
        if abs(step - 1) < 1e-15:
            break
    return total


def _safe(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
