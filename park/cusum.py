"""Cumulative sums of what a baseline does not explain, and the alarm that they raise.

`S_t = Σ(E_t − Ê_t)` shows by its slope how consumption has changed; the two-sided alarm form forgets small deviations
and tells that a change is more than chance (Page, 1954).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

K: Final = 0.5
"""Slack in standard errors: half of the shift that is to be found soonest."""
PERIODS_PER_FALSE_ALARM: Final = 370.0
"""About a year of days; with k = 0.5 and independent residuals the threshold is then 4.8, within the usual 4 to 5."""
CAP: Final = 2.0
"""The alarm form stops counting at so many thresholds, so that it ends soon after its cause does."""
_MOST_ALIKE: Final = 0.9


@dataclass(frozen=True, slots=True)
class AlarmForm:
    """The two sums per period, shape (n,): consumption above, and below what is expected."""

    plus: Floats
    minus: Floats

    def state(self, h: float) -> list[str | None]:
        """Return `over`, `under` or None for each period; where both hold, the larger one."""
        found: list[str | None] = []
        for plus, minus in zip(self.plus.tolist(), self.minus.tolist(), strict=True):
            found.append(None if max(plus, minus) <= h else ("over" if plus >= minus else "under"))
        return found


def running_sum(residual: Floats) -> Floats:
    """Return `S_t`; a period without a residual (NaN) leaves the sum as it is."""
    return np.cumsum(np.nan_to_num(residual))


def alarm_form(z: Floats, *, h: float, k: float = K, cap: float = CAP) -> AlarmForm:
    """Return `C⁺ = max(0, C⁺ + z − k)` and `C⁻ = max(0, C⁻ − z − k)`, each at most `cap × h`.

    Args:
        z: residuals in standard errors; NaN leaves both sums as they are.
        h: the threshold that an alarm exceeds.
        k: slack.
        cap: in thresholds; infinity for the sums as the textbooks have them, equal until the cap is reached.
    """
    plus, minus = np.zeros(len(z)), np.zeros(len(z))
    above = below = 0.0
    for n, value in enumerate(z.tolist()):
        if not math.isnan(value):
            above = min(max(0.0, above + value - k), cap * h)
            below = min(max(0.0, below - value - k), cap * h)
        plus[n], minus[n] = above, below
    return AlarmForm(plus, minus)


def threshold(autocorrelation: float, *, periods: float = PERIODS_PER_FALSE_ALARM, k: float = K) -> float:
    """Return the `h` at which pure chance raises one alarm in so many periods, on either side.

    Siegmund's approximation of the average run length, `(e^x − 1 − x) / 2k²` with `x = 2kb`, for independent residuals;
    residuals that resemble their predecessors wander further, by `v = (1 + ρ) / (1 − ρ)`, which scales variance and
    run length. `b = h + v (1.166 + 0.3 √ρ)`: the first number is Siegmund's, the second was fitted to simulated run
    lengths of 100 to 1000 periods with ρ up to 0.9. A negative ρ counts as none.

    Raises:
        ValueError: `periods` or `k` is not positive.
    """
    if periods <= 0 or k <= 0:
        raise ValueError(f"periods {periods} and slack {k} must be positive")
    rho = min(max(autocorrelation, 0.0), _MOST_ALIKE)
    v = (1 + rho) / (1 - rho)
    # Two sides alarm twice as often as one.
    wanted = 2 * periods * 2 * k * k / v
    low, high = 0.0, 700.0
    for _ in range(200):
        x = (low + high) / 2
        if math.expm1(x) - x < wanted:
            low = x
        else:
            high = x
    return max(low * v / (2 * k) - v * (1.166 + 0.3 * math.sqrt(rho)), k)


def lag_one(residual: Floats) -> float:
    """Return how much residuals resemble their predecessors, −1 to 1; pairs with a NaN do not count. 0 if unknown."""
    mean = np.nanmean(residual) if np.any(~np.isnan(residual)) else 0.0
    centred = residual - mean
    pairs = ~np.isnan(centred[1:]) & ~np.isnan(centred[:-1])
    square = float(np.nansum(centred**2))
    if not pairs.any() or square == 0:
        return 0.0
    # The sum of squares runs over all n residuals, that of products over the pairs: the usual, slightly cautious form.
    share = float(np.sum(centred[1:][pairs] * centred[:-1][pairs])) / square
    return min(max(share, -1.0), 1.0)
