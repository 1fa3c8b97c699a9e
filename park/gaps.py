"""How a gap's total is shared out over the gap: as the same weekdays and hours of the weeks before it went.

A register that was not read lost the course, not the quantity. The weeks before the gap tell the course best: a plant
that rests on Sunday night rested in the gap too. Only whole buckets that were measured tell; where a bucket of the gap
has none in the four weeks before, or they all stood still, the gap is shared out by time. Either way it is estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import BUCKET_S, BUCKET_US, from_us

if TYPE_CHECKING:
    from datetime import tzinfo

    from numpy.typing import NDArray

    from park.registers import Amounts, Instants

WEEKS: Final = 4
"""So many weeks before a gap tell its course."""
WEEK_US: Final = 7 * 86_400 * 1_000_000
PROFILED_US: Final = 3_600 * 1_000_000
"""Shorter gaps are shared out by time: within an hour a profile of quarter hours tells little."""
WHOLE_S: Final = BUCKET_S - 1.0
"""A bucket measured for at least so long tells its quarter hour."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Gaps that cross buckets, with the window of buckets that each was computed for; shape (n,) each.

    Attributes:
        t0_us, t1_us: the readings on both sides.
        amount: what passed between them, in the point's unit.
        owner: number of the stretch of readings.
        at, first_us, count: where that stretch's buckets begin among all of them, when they begin, and how many.
    """

    t0_us: Instants
    t1_us: Instants
    amount: Amounts
    owner: NDArray[np.int64]
    at: NDArray[np.int64]
    first_us: Instants
    count: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.t0_us)


def no_gaps() -> Gaps:
    """Return none."""
    none = np.zeros(0, np.int64)
    return Gaps(none, none, np.zeros(0), none, none, none, none)


def joined(parts: list[Gaps]) -> Gaps:
    """Return the gaps of several meters of one point."""
    return Gaps(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in Gaps.__slots__})


def weights(
    t0_us: int, t1_us: int, source_us: Instants, source: Amounts, tz: tzinfo
) -> tuple[Instants, Amounts] | None:
    """Return the buckets that a gap touches and which share of its total each gets; None: share it out by time.

    Args:
        t0_us: the gap's begin, microseconds since 1970.
        t1_us: its end.
        source_us: starts of buckets measured whole, rising; those outside the weeks before the gap do not matter.
        source: what passed in each, same shape.
        tz: the park's zone: a week before is the same time of the clock, whatever the clock did between.
    """
    starts = np.arange(t0_us // BUCKET_US * BUCKET_US, t1_us, BUCKET_US, dtype=np.int64)
    typical = np.zeros(len(starts))
    found = np.zeros(len(starts), np.int64)
    if len(source_us) == 0:
        return None
    # The nearest week whose bucket ends before the gap begins, and those before it.
    nearest = -(-(starts + BUCKET_US - t0_us) // WEEK_US)
    for back in range(WEEKS):
        then = _same_clock(starts, (nearest + back) * WEEK_US, tz)
        at = np.minimum(np.searchsorted(source_us, then), len(source_us) - 1)
        there = (source_us[at] == then) & (then >= t0_us - WEEKS * WEEK_US) & (then + BUCKET_US <= t0_us)
        typical += np.where(there, source[at], 0.0)
        found += there
    if np.any(found == 0):
        return None
    width = np.minimum(starts + BUCKET_US, t1_us) - np.maximum(starts, t0_us)
    course = typical / found * (width / BUCKET_US)
    total = course.sum()
    if not total > 0:
        return None
    return starts, course / total


def _same_clock(starts: Instants, back_us: Instants, tz: tzinfo) -> Instants:
    """Return the buckets that many weeks earlier at the same time of the clock."""
    then = starts - back_us
    if len(then) == 0:
        return then
    return then + _offsets_us(starts, tz) - _offsets_us(then, tz)


def _offsets_us(instants: Instants, tz: tzinfo) -> Instants:
    hours, place = np.unique(instants // (BUCKET_US * 2), return_inverse=True)
    table = [_offset_us(int(hour) * BUCKET_US * 2, tz) for hour in hours]
    return np.array(table, np.int64)[place]


def _offset_us(instant_us: int, tz: tzinfo) -> int:
    offset = from_us(instant_us).astimezone(tz).utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) * 1_000_000


def shared_out(estimated: Amounts, gaps: Gaps, k: int, starts: Instants, share: Amounts) -> None:
    """Put gap `k` of `estimated`, shared out by time, where its shares say; in place. Its total stays the same."""
    t0, t1, amount = int(gaps.t0_us[k]), int(gaps.t1_us[k]), float(gaps.amount[k])
    where = (starts - gaps.first_us[k]) // BUCKET_US
    inside = (where >= 0) & (where < gaps.count[k])
    place = gaps.at[k] + where[inside]
    width = (np.minimum(starts + BUCKET_US, t1) - np.maximum(starts, t0))[inside].astype(np.float64)
    by_time = amount * (width / (t1 - t0))
    # What other gaps put into the same bucket stays; rounding never makes it less than nothing.
    estimated[place] = np.maximum(estimated[place] - by_time, 0.0) + amount * share[inside]
