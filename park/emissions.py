"""Pollutants of stacks and outfalls: mass, reference conditions, and which hours count.

Only hourly means of enough valid data are held against a limit (HJ 75-2017, HJ 356-2019). A single value, a marked
one and a substituted one never exceed anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALID_HOUR_S: Final = 45 * 60.0
"""Valid data that an hour needs."""
VALID_DAY_H: Final = 20
"""Valid hours that a day needs."""
MAX_O2: Final = 20.0
"""From here on, percent, a correction divides by almost nothing: air, not flue gas."""
_AIR_O2: Final = 21.0
_MOLAR_L: Final = 22.4
_NO2_PER_NO: Final = 46.005 / 30.006
_US_PER_H: Final = 3_600_000_000


class Mark(IntEnum):
    """What a value of a monitor is."""

    MEASURED = 0
    SUBSTITUTED = 1
    INVALID = 2
    """Marked: calibration, maintenance, fault."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Hourly means, shape (n,) each; the mean of an hour that is not valid is NaN.

    Attributes:
        start_us: start of each hour, microseconds since 1970.
        valid_s, substituted_s, invalid_s: seconds of each sort.
    """

    start_us: NDArray[np.int64]
    mean: NDArray[np.float64]
    valid_s: NDArray[np.float64]
    substituted_s: NDArray[np.float64]
    invalid_s: NDArray[np.float64]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Return which hours may be held against a limit."""
        return ~np.isnan(self.mean)


@dataclass(frozen=True, slots=True)
class Compliance:
    """Hours held against a limit."""

    valid: int
    compliant: int

    @property
    def exceeded(self) -> int:
        """Return the valid hours above the limit."""
        return self.valid - self.compliant

    @property
    def rate(self) -> float | None:
        """Return the share of valid hours within the limit, None without a valid hour."""
        return self.compliant / self.valid if self.valid else None


def gas_mass_kg(mg_per_m3: float, volume_m3: float) -> float:
    """Return the mass in a volume of flue gas, both dry and at standard conditions."""
    return mg_per_m3 * volume_m3 * 1e-6


def water_mass_kg(mg_per_l: float, volume_m3: float) -> float:
    """Return the mass in a volume of wastewater."""
    return mg_per_l * volume_m3 * 1e-3


def flow_weighted_mean(concentration: NDArray[np.float64], volume: NDArray[np.float64]) -> float | None:
    """Return `Σ C Q / Σ Q`, the daily mean of an outfall; None where nothing flowed."""
    flowed = float(volume.sum())
    return float((concentration * volume).sum()) / flowed if flowed > 0 else None


def at_reference_oxygen(concentration: float, o2: float, reference_o2: float) -> float | None:
    """Return a concentration converted to the reference oxygen, `C × (21 − O2_ref) / (21 − O2)`, percent by volume.

    None from 20 % on: near 21 % the correction has no meaning, the plant is airing.
    """
    if o2 >= MAX_O2:
        return None
    return concentration * (_AIR_O2 - reference_o2) / (_AIR_O2 - o2)


def dry_standard(concentration: float, *, temperature_degc: float, pressure_pa: float, moisture: float = 0.0) -> float:
    """Return a concentration in dry gas at 0 °C and 101 325 Pa.

    Args:
        concentration: in wet gas at stack conditions.
        temperature_degc: of the stack gas.
        pressure_pa: absolute, atmospheric plus static.
        moisture: share of water by volume, 0 to 1.
    """
    return concentration * (101_325 / pressure_pa) * ((273 + temperature_degc) / 273) / (1 - moisture)


def mg_per_m3(ppm: float, molar_mass: float) -> float:
    """Return parts per million by volume in mg/m³ at 0 °C: `ppm × M / 22.4`."""
    return ppm * molar_mass / _MOLAR_L


def nox_as_no2(no: float, no2: float) -> float:
    """Return nitrogen oxides as NO2, mg/m³ all of them."""
    return no * _NO2_PER_NO + no2


def hourly_means(
    t_us: NDArray[np.int64], value: NDArray[np.float64], mark: NDArray[np.integer], interval_s: float
) -> Hours:
    """Return the hourly means of a monitor's values.

    Args:
        t_us: the start of what each value stands for, microseconds since 1970, rising.
        value: concentrations, same shape.
        mark: `Mark`, same shape.
        interval_s: how long each value stands for; an hour or a part of one.
    """
    if len(t_us) == 0:
        nothing = np.zeros(0)
        return Hours(np.zeros(0, np.int64), nothing, nothing, nothing, nothing)
    hour = t_us // _US_PER_H
    starts, of = np.unique(hour, return_inverse=True)
    n = len(starts)
    seconds = {m: np.minimum(np.bincount(of[mark == m], minlength=n) * interval_s, 3600.0) for m in Mark}
    measured = mark == Mark.MEASURED
    total = np.bincount(of[measured], value[measured], n)
    count = np.bincount(of[measured], minlength=n)
    valid = seconds[Mark.MEASURED] >= VALID_HOUR_S
    mean = np.where(valid, total / np.maximum(count, 1), np.nan)
    return Hours(starts * _US_PER_H, mean, *(seconds[m] for m in Mark))


def held_against(hours: Hours, limit: float) -> Compliance:
    """Count the valid hours, and those within an hourly limit in the unit of the means."""
    means = hours.mean[hours.valid]
    return Compliance(len(means), int((means <= limit).sum()))


def daily_mean(hours: Hours) -> float | None:
    """Return the mean of a day's valid hours, None if there are fewer than 20."""
    means = hours.mean[hours.valid]
    return float(means.mean()) if len(means) >= VALID_DAY_H else None
