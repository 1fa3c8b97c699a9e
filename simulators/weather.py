"""Weather of Chongqing: outdoor temperature and sunshine per 15-minute bucket, shared by all firms of a park.

Monthly means follow the city's climate: mild winters under low cloud, hot and sunny July and August. The shapes over
day and year come from tables that are computed once, so that a window never depends on where it begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from simulators.noise import key, normal, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOTS: Final = 96
LOCAL_SHIFT: Final = 32
"""Buckets from UTC to local time (UTC+8)."""
_MEAN_C: Final = (8.0, 10.3, 14.6, 19.4, 23.2, 26.0, 29.6, 29.5, 24.9, 19.2, 14.4, 9.3)
_CLEAR: Final = (0.16, 0.20, 0.30, 0.38, 0.42, 0.44, 0.58, 0.60, 0.40, 0.24, 0.19, 0.15)
_DAYLIGHT_H: Final = (10.4, 11.1, 12.0, 12.9, 13.6, 14.0, 13.8, 13.2, 12.4, 11.5, 10.6, 10.2)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_MEMORY: Final = (1.0, 0.8, 0.6, 0.4, 0.2)


@dataclass(frozen=True, slots=True)
class Weather:
    """Per bucket, shape (n,): outdoor temperature in °C, and irradiance as a share of its clear-sky maximum."""

    temperature_degc: NDArray[np.float64]
    irradiance: NDArray[np.float64]


def local_day(bucket: int) -> int:
    """Return the local day (days since 1970-01-01) that holds a bucket (15-minute intervals since 1970, UTC)."""
    return (bucket + LOCAL_SHIFT) // SLOTS


def calendar_day(day: int) -> date:
    """Return the date of a local day number."""
    return date.fromordinal(_EPOCH_ORDINAL + day)


@cache
def _daily_c() -> NDArray[np.float64]:
    """Mean temperature of each of 366 days of a year, linear between the middles of the months."""
    middles = np.array([-16.0, *(15.2 + 30.5 * m for m in range(12)), 381.2])
    return np.asarray(np.interp(np.arange(366.0), middles, [_MEAN_C[-1], *_MEAN_C, _MEAN_C[0]]), np.float64)


@cache
def _diurnal_c() -> NDArray[np.float64]:
    """Deviation from the day's mean by slot: coolest near 05:00, warmest near 15:00."""
    return np.array([3.6 * math.cos(2 * math.pi * (slot / 4 - 15.0) / 24) for slot in range(SLOTS)])


@cache
def _sun() -> NDArray[np.float64]:
    """Clear-sky irradiance by month and slot, shape (12, 96), highest at 12:50 local time (106.5° E)."""
    table = np.zeros((12, SLOTS))
    for month, length_h in enumerate(_DAYLIGHT_H):
        for slot in range(SLOTS):
            x = (slot / 4 + 0.125 - 12.9 + length_h / 2) / length_h
            if 0.0 < x < 1.0:
                table[month, slot] = math.sin(math.pi * x) ** 1.3 * (0.72 + 0.28 * (length_h - 10) / 4)
    return table


def weather(seed: int, first: int, count: int) -> Weather:
    """Return the weather of `count` buckets from bucket number `first` on."""
    buckets = np.arange(first + LOCAL_SHIFT, first + LOCAL_SHIFT + count)
    slot = buckets % SLOTS
    first_day = local_day(first)
    days = local_day(first + count - 1) - first_day + 1 if count else 0
    dates = [calendar_day(first_day + d) for d in range(days)]
    spell = _smooth(normal(key(seed, "weather", "temperature"), first_day - 4, days + 4))
    mean = _daily_c()[[d.timetuple().tm_yday - 1 for d in dates]] + 2.4 * spell if days else np.zeros(0)
    months = np.array([d.month - 1 for d in dates], np.int64)
    luck = uniform(key(seed, "weather", "clouds"), first_day, days)
    clear = np.minimum(1.0, np.array(_CLEAR)[months] * (0.25 + 1.5 * luck)) if days else np.zeros(0)
    flicker = 1.0 + 0.15 * normal(key(seed, "weather", "flicker"), first, count)
    of_day = buckets // SLOTS - first_day
    irradiance = _sun()[months[of_day], slot] * clear[of_day] * np.maximum(0.0, flicker)
    return Weather(mean[of_day] + _diurnal_c()[slot], irradiance)


def _smooth(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh each day with the four before it, to variance 1; shortens by four."""
    n = len(white) - 4
    total = np.zeros(n)
    for lag, weight in enumerate(_MEMORY):
        total += weight * white[4 - lag : 4 - lag + n]
    return total / float(np.sqrt(sum(w * w for w in _MEMORY)))
