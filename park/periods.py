"""Which hour, day, month or year each bucket belongs to, for arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from park.calendar import BUCKET_US, Grain, from_us, period, periods, to_us

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray


def period_starts(grain: Grain, bucket_us: NDArray[np.int64], tz: ZoneInfo) -> NDArray[np.int64]:
    """Return the start (microseconds since 1970) of the period that holds each bucket."""
    if len(bucket_us) == 0:
        return bucket_us
    # Whole years, so that the table of starts is computed once and shared by all points.
    first = period("year", from_us(int(bucket_us.min())), tz).start
    last = period("year", from_us(int(bucket_us.max())), tz).end
    starts = _starts(grain, to_us(first), to_us(last), tz)
    return starts[np.searchsorted(starts, bucket_us, side="right") - 1]


@lru_cache(maxsize=64)
def _starts(grain: Grain, first_us: int, last_us: int, tz: ZoneInfo) -> NDArray[np.int64]:
    found = [to_us(p.start) for p in periods(grain, from_us(first_us), from_us(last_us), tz)]
    starts = np.array(found, np.int64)
    if np.any(starts % BUCKET_US):
        msg = f"{tz.key} shifts inside a 15-minute bucket"
        raise ValueError(msg)
    return starts
