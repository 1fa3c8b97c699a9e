"""The running total of each true flow of one firm, and what deliberate changes of the truth (a leak, a stop) add to it.

Totals count from the park's origin in millionths of the flow's unit; inside a bucket they rise linearly, in whole
milliseconds, which is the finest that the wire can say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import BUCKET_US
from simulators.errors import SimulatedTime, UnknownName
from simulators.quantities import MICRO, quantities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from simulators.firms import Profile

    Micro = NDArray[np.int64]

_BUCKET_MS: Final = BUCKET_US // 1000
_MS_PER_H: Final = 3_600_000
_BLOCK: Final = 96 * 14
_DAY_MS: Final = 86_400_000
_LOCAL_MS: Final = 8 * 3_600_000


@dataclass(frozen=True, slots=True)
class Effect:
    """A deliberate change of one true flow during `[start_us, end_us)`.

    While it lasts, `share` of `source` (of the flow itself by default) and `rate_per_h` are added to the flow: a share
    of −1 stops it, 0.08 makes it 8 % larger. With `hours` it lasts only between these local hours of each day, such
    as `(22, 6)` for the night.
    """

    flow: str
    start_us: int
    end_us: int | None = None
    share: float = 0.0
    rate_per_h: float = 0.0
    source: str | None = None
    hours: tuple[int, int] | None = None

    def ended(self, at_us: int) -> Effect:
        """Return the same effect, over at `at_us`."""
        return replace(self, end_us=at_us)


class Totals:
    """Running totals of one firm, worked out when first asked for and kept.

    Args:
        profile, scale, seed, firm: as in `simulators.quantities.quantities`.
        origin_us: where totals are zero; must be the start of a bucket.
    """

    def __init__(self, profile: Profile, scale: float, seed: int, firm: str, origin_us: int) -> None:
        self._profile, self._scale, self._seed, self._firm = profile, scale, seed, firm
        self.origin_us = origin_us
        self._first = origin_us // BUCKET_US
        self._known = 0
        self._quantity: dict[str, Micro] = {}
        self._before: dict[str, Micro] = {}

    @property
    def flows(self) -> list[str]:
        """Return the names of the flows."""
        self._reach(1)
        return list(self._quantity)

    def buckets(self, flow: str, first: int, count: int, effects: Sequence[Effect] = ()) -> Micro:
        """Return the true quantity per bucket from bucket number `first` on, shape (count,)."""
        edges = (first + np.arange(count + 1, dtype=np.int64)) * BUCKET_US
        return np.diff(self.at(flow, edges, effects))

    def at(self, flow: str, t_us: Micro, effects: Sequence[Effect] = ()) -> Micro:
        """Return the totals at rising or unordered instants `t_us`, same shape."""
        total = self._plain(flow, t_us)
        for effect in effects:
            if effect.flow == flow:
                total = total + self._added(effect, t_us)
        return total

    def now(self, flow: str, t_us: int, effects: Sequence[Effect] = ()) -> int:
        """Return the total at one instant; cheap enough for every poll of a meter."""
        ms = t_us // 1000 - self.origin_us // 1000
        where, inside = divmod(ms, _BUCKET_MS)
        if ms < 0:
            self._too_early()
        self._reach(where + 1)
        quantity, before = self._columns(flow)
        total = int(before[where]) + int(quantity[where]) * inside // _BUCKET_MS
        at = None
        for effect in effects:
            if effect.flow == flow:
                at = np.array([t_us], np.int64) if at is None else at
                total += int(self._added(effect, at)[0])
        return total

    def _plain(self, flow: str, t_us: Micro) -> Micro:
        ms = t_us // 1000 - self.origin_us // 1000
        if ms.size == 0:
            return np.zeros(ms.shape, np.int64)
        if int(ms.min()) < 0:
            self._too_early()
        where = ms // _BUCKET_MS
        self._reach(int(where.max()) + 1)
        quantity, before = self._columns(flow)
        total: Micro = before[where] + quantity[where] * (ms - where * _BUCKET_MS) // _BUCKET_MS
        return total

    def _added(self, effect: Effect, t_us: Micro) -> Micro:
        """Return what the effect has added by each instant."""
        added = np.zeros(t_us.shape, np.int64)
        latest = int(t_us.max()) if t_us.size else effect.start_us
        for start, end in _spans(effect, latest):
            until = np.clip(t_us, start, max(start, end))
            if effect.share != 0.0:
                source = effect.source or effect.flow
                moved = self._plain(source, until) - self._plain(source, np.array([start], np.int64))
                added += np.rint(moved * effect.share).astype(np.int64)
            if effect.rate_per_h != 0.0:
                per_h = round(effect.rate_per_h * MICRO)
                added += per_h * ((until - start) // 1000) // _MS_PER_H
        return added

    def _columns(self, flow: str) -> tuple[Micro, Micro]:
        try:
            return self._quantity[flow], self._before[flow]
        except KeyError:
            raise UnknownName("flow", flow, self._quantity) from None

    def _reach(self, count: int) -> None:
        """Extend the columns to at least `count` buckets."""
        if count <= self._known:
            return
        more = -(-(count - self._known) // _BLOCK) * _BLOCK
        fresh = quantities(self._profile, self._scale, self._seed, self._firm, self._first + self._known, more)
        for name, values in fresh.items():
            old = self._quantity.get(name, np.zeros(0, np.int64))
            joined = np.concatenate([old, values])
            self._quantity[name] = joined
            self._before[name] = np.concatenate([np.zeros(1, np.int64), np.cumsum(joined)])
        self._known += more

    def _too_early(self) -> None:
        msg = "the simulated meters were not yet installed then; ask for times from the park's origin on"
        raise SimulatedTime(msg)


def _spans(effect: Effect, latest_us: int) -> list[tuple[int, int]]:
    """Return the stretches `[start, end)` in which the effect acts, up to `latest_us`."""
    end = latest_us if effect.end_us is None else min(latest_us, effect.end_us)
    if effect.hours is None:
        return [(effect.start_us, end)] if end > effect.start_us else []
    a, b = effect.hours
    length_ms = ((b - a) % 24 or 24) * _MS_PER_H
    day = (effect.start_us // 1000 + _LOCAL_MS) // _DAY_MS - 1
    spans = list[tuple[int, int]]()
    while (start_ms := day * _DAY_MS - _LOCAL_MS + a * _MS_PER_H) * 1000 < end:
        start, stop = max(start_ms * 1000, effect.start_us), min((start_ms + length_ms) * 1000, end)
        if stop > start:
            spans.append((start, stop))
        day += 1
    return spans
