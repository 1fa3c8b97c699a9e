"""Buckets of many registers at once, where nothing is odd: the same as `park.buckets.consumption` for each of them.

Almost every stretch of readings only rises, comes from one meter, and no faster than it can. Those stretches are cut
into buckets together; anything else goes the careful way, point by point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from park.buckets import MIN_GAP_US, Buckets
from park.calendar import BUCKET_S, BUCKET_US, to_us
from park.gaps import PROFILED_US, Gaps
from park.points import Kind, Quality
from park.registers import US_PER_HOUR, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from park.points import Installation, Point
    from park.registers import Amounts, Flags, Instants

_US_PER_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one point needs computed: `count` buckets from `first_us` on, from the readings `[start, end)`."""

    point: Point
    installations: Sequence[Installation]
    start: int
    end: int
    first_us: int
    count: int


def plain(stretches: Sequence[Stretch], t_us: Instants, value: Amounts, quality: Flags) -> NDArray[np.bool_]:
    """Tell for each stretch whether nothing in it is odd; readings of one stretch stand together, by time."""
    found = np.zeros(len(stretches), bool)
    limit = np.zeros(len(stretches))
    for k, stretch in enumerate(stretches):
        if stretch.point.kind is Kind.REGISTER and len(stretch.installations) == 1 and stretch.end > stretch.start:
            [meter] = stretch.installations
            found[k] = (
                to_us(meter.valid_from) <= t_us[stretch.start]
                and meter.first_reading is None
                and (
                    meter.valid_to is None
                    or (meter.last_reading is None and to_us(meter.valid_to) > t_us[stretch.end - 1])
                )
            )
            per_h = stretch.point.rate_limit_per_h
            limit[k] = np.inf if per_h is None else per_h / meter.multiplier / US_PER_HOUR
    chosen = np.flatnonzero(found)
    if len(chosen) == 0:
        return found
    rows, owner = _rows([stretches[k] for k in chosen.tolist()])
    t, v = t_us[rows], value[rows]
    same = owner[1:] == owner[:-1]
    rise = np.diff(v)
    room = np.multiply(limit[chosen][owner[1:]], np.diff(t), where=same, out=np.full(len(rise), np.inf))
    odd = same & ((rise < 0) | (rise > room) | np.isnan(rise))
    found[chosen[owner[1:][odd]]] = False
    found[chosen[owner[quality[rows] >= Quality.BAD]]] = False
    return found


def plain_consumption(
    stretches: Sequence[Stretch], t_us: Instants, value: Amounts
) -> tuple[NDArray[np.int64], Buckets]:
    """Compute the buckets of stretches in which nothing is odd; return the stretch of each bucket too, shape (n,)."""
    counts = np.array([s.count for s in stretches], np.int64)
    starts = np.array([s.first_us for s in stretches], np.int64)
    base = np.cumsum(counts) - counts
    multiplier = np.array([s.installations[0].multiplier for s in stretches])
    most_us = np.array([max(int(1.5 * s.point.interval_s * _US_PER_S), MIN_GAP_US) for s in stretches], np.int64)
    rows, owner = _rows(stretches)
    t, total = t_us[rows], value[rows] * multiplier[owner]
    seg = np.flatnonzero(owner[1:] == owner[:-1])
    t0, t1, of = t[seg], t[seg + 1], owner[seg]
    amount = total[seg + 1] - total[seg]
    inside = (t1 > starts[of]) & (t0 < starts[of] + counts[of] * BUCKET_US)
    t0, t1, of, amount = t0[inside], t1[inside], of[inside], amount[inside]
    gap = (t0 // BUCKET_US != (t1 - 1) // BUCKET_US) & (t1 - t0 > most_us[of])
    long = np.flatnonzero(gap & (t1 - t0 > PROFILED_US))
    whose = of[long]
    gaps = Gaps(t0[long], t1[long], amount[long], whose, base[whose], starts[whose], counts[whose])
    n = int(counts.sum())
    sums = {}
    flags = np.zeros(n, np.int16)
    for name, chosen in (("measured", ~gap), ("estimated", gap)):
        a, b, own = t0[chosen], t1[chosen], of[chosen]
        first = np.maximum((a - starts[own]) // BUCKET_US, 0)
        pieces = np.minimum((b - 1 - starts[own]) // BUCKET_US, counts[own] - 1) - first + 1
        piece = np.repeat(np.arange(len(a)), pieces)
        nth = first[piece] + np.arange(len(piece)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        left = starts[own][piece] + nth * BUCKET_US
        width = (np.minimum(b[piece], left + BUCKET_US) - np.maximum(a[piece], left)).astype(np.float64)
        where = base[own][piece] + nth
        share, seconds = amount[chosen][piece] * (width / (b - a)[piece]), width / _US_PER_S
        sums[name], sums[name + "_s"] = np.bincount(where, share, n), np.bincount(where, seconds, n)
        if name == "estimated":
            flags[where] = int(Step.GAP)
    owner_of = np.repeat(np.arange(len(stretches)), counts)
    start_us = starts[owner_of] + (np.arange(n) - base[owner_of]) * BUCKET_US
    measured_s = np.minimum(sums["measured_s"], BUCKET_S)
    return owner_of, Buckets(
        start_us=start_us,
        measured=np.where(sums["measured_s"] > 0, sums["measured"], np.nan),
        estimated=np.where(sums["estimated_s"] > 0, sums["estimated"], np.nan),
        measured_s=measured_s,
        estimated_s=np.minimum(sums["estimated_s"], BUCKET_S - measured_s),
        held=np.zeros(n),
        flags=flags,
        gaps=gaps,
    )


def _rows(stretches: Sequence[Stretch]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of all readings of the stretches, and the stretch of each."""
    lengths = np.array([s.end - s.start for s in stretches], np.int64)
    owner = np.repeat(np.arange(len(stretches)), lengths)
    before = np.cumsum(lengths) - lengths
    first = np.array([s.start for s in stretches], np.int64)
    return np.arange(len(owner)) - before[owner] + first[owner], owner
