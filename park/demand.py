"""Power from energy: means of quarter hours, maximum demand, load factor, power factor, and what is left to use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import BUCKET_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUCKETS_PER_H: Final = 3600 / BUCKET_S


def mean_power_kw(energy_kwh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean power of quarter hours in which so much passed, same shape: 131.25 kWh are 525 kW."""
    return energy_kwh * BUCKETS_PER_H


def maximum_demand_kw(energy_kwh: NDArray[np.float64]) -> float | None:
    """Return the highest quarter-hour mean, blocks of 15 minutes; None if none is known.

    Args:
        energy_kwh: of each quarter hour; NaN: not covered whole, and passed over.
    """
    known = energy_kwh[~np.isnan(energy_kwh)]
    return float(mean_power_kw(known).max()) if len(known) else None


def load_factor(energy_kwh: float, demand_kw: float, hours: float) -> float | None:
    """Return mean over maximum power, 0 to 1; None where nothing was drawn."""
    return energy_kwh / (demand_kw * hours) if demand_kw > 0 and hours > 0 else None


def power_factor(active_kwh: float, reactive_kvarh: float) -> float | None:
    """Return cos φ = P / √(P² + Q²) over a period; None where neither passed."""
    apparent = math.hypot(active_kwh, reactive_kvarh)
    return active_kwh / apparent if apparent > 0 else None


def allowed_power_kw(limit_kw: float, energy_kwh: float, elapsed_s: float, window_s: float = BUCKET_S) -> float | None:
    """Return the mean power that may be drawn for the rest of a window so that its mean stays at the limit.

    `(D × T − E) / (T − t)`; negative if the limit is passed already, None at the window's end.
    """
    left_h = (window_s - elapsed_s) / 3600
    return (limit_kw * window_s / 3600 - energy_kwh) / left_h if left_h > 0 else None
