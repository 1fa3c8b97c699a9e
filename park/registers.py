"""What each step of a cumulative register means.

A register's reading is believed, a drop is not: it is a rollover, a glitch confirmed from both sides, or it is held
for a person. Nothing is zeroed to make it look well, and no import register ever moves backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Instants = NDArray[np.int64]
    Amounts = NDArray[np.float64]
    Flags = NDArray[np.int16]

US_PER_HOUR: Final = 3_600_000_000
GLITCH_READINGS: Final = 8
"""A drop must be taken back within so many readings to be a glitch and not the start of a new life."""
STILL_US: Final = 7 * 24 * US_PER_HOUR
"""A value that stood still catches up for at most so long: what the physical limit allows for a week, no more."""


class Step(IntFlag):
    """Why a step counts as it does; in a bucket, the union over its steps. Stored: never renumber."""

    ADVANCE = 0
    ROLLOVER = 1
    GLITCH = 2
    HELD_RESET = 4
    HELD_IMPLAUSIBLE = 8
    GAP = 16
    SWAP = 32
    DIP = 64
    FROZEN = 128
    EDITED = 256


@dataclass(frozen=True, slots=True)
class Curve:
    """One installation's consumption as a rising curve, in the point's unit (multiplier applied).

    Attributes:
        t_us: instants of the believed readings, rising strictly, shape (n,).
        total: what has passed since an arbitrary origin, non-decreasing, shape (n,).
        step: class of the step that ends at each reading; the first has none, shape (n,). FROZEN marks a step that
            begins where a value last moved and ends where it caught up: its sum is known, its course is not.
        held: quantity of each step that is held for a person, 0 elsewhere, shape (n,).
        dropped: how many readings were not believed.
    """

    t_us: Instants
    total: Amounts
    step: Flags
    held: Amounts
    dropped: int


def curve(
    t_us: Instants,
    value: Amounts,
    *,
    modulus: float | None,
    multiplier: float,
    rate_limit_per_h: float | None,
    dial_step: float = 0.0,
) -> Curve:
    """Classify each step of one installation's readings.

    Args:
        t_us: instants, rising strictly, microseconds since 1970.
        value: dial values, same shape.
        modulus: the dial's modulus, None if it never rolls over.
        multiplier: CT × PT.
        rate_limit_per_h: physical limit after the multiplier, in the point's unit per hour; None: none known.
        dial_step: the dial's resolution. A drop of at most this is jitter of the last digit, and a rise may exceed the
            limit by as much, because a dial moves in whole steps.

    Returns:
        The curve. Where nothing is odd, `total` is `value × multiplier`, so that results do not depend on where
        the window of readings began.
    """
    limit = np.inf if rate_limit_per_h is None else rate_limit_per_h / multiplier / US_PER_HOUR
    delta = np.diff(value)
    odd = (delta < 0) | (delta > limit * np.diff(t_us) + _slack(value[1:], dial_step))
    if not odd.any():
        n = len(t_us)
        return Curve(t_us, value * multiplier, np.zeros(n, np.int16), np.zeros(n), 0)
    return _Walk(t_us, value, modulus, limit, dial_step).walked(np.flatnonzero(odd) + 1, multiplier)


def _slack(value: Amounts | float, dial_step: float) -> Amounts | float:
    """A dial moves in whole steps, and its value is a rounded float."""
    return dial_step * 1.001 + 1e-12 * np.abs(value)


@dataclass(frozen=True, slots=True)
class _Walk:
    """One installation's readings in which something is odd, walked from one odd place to the next."""

    t_us: Instants
    value: Amounts
    modulus: float | None
    limit: float
    dial_step: float

    def walked(self, odd: Instants, multiplier: float) -> Curve:
        """Walk. `odd` are the readings that end a drop or a rise above the limit."""
        value, n = self.value, len(self.value)
        kept = np.ones(n, bool)
        shift, held, step = np.zeros(n), np.zeros(n), np.zeros(n, np.int16)
        still, anchor = self._still(), 0  # a stretch is not followed back over a reading that was decided on
        level, offset, last, k = float(value[0]), 0.0, 0, 1  # level: the dial as last believed; no dip lowers it
        while k < n:
            if level == value[last] and last == k - 1:
                # Nothing to decide until shortly before the next odd reading, which may show a rise to be a spike.
                at = int(np.searchsorted(odd, k))
                ahead = (int(odd[at]) if at < len(odd) else n + GLITCH_READINGS) - GLITCH_READINGS
                if ahead > k:
                    ahead = min(ahead, n)
                    shift[k:ahead] = offset
                    last, k = ahead - 1, ahead
                    level = float(value[last])
                    continue
            since = max(int(still[last]), anchor)
            j, kind, counted, aside = self._decide(k, last, level, since)
            if kind & Step.FROZEN:
                kept[since + 1 : last + 1] = False
            kept[last + 1 : j] = False
            if kind == Step.DIP:
                shift[j] = offset + level - value[j]
            else:
                offset += counted - (float(value[j]) - level)
                level = float(value[j])
                shift[j] = offset
            step[j], held[j] = int(kind), aside * multiplier
            anchor = j if kind else anchor
            last, k = j, j + 1
        total = np.maximum.accumulate((value[kept] + shift[kept]) * multiplier)
        return Curve(self.t_us[kept], total, step[kept], held[kept], n - int(kept.sum()))

    def _still(self) -> Instants:
        """Return for each reading the first one of its stretch of equal values, at most `STILL_US` before."""
        n = len(self.value)
        moved = np.concatenate([[True], np.diff(self.value) != 0])
        first = np.maximum.accumulate(np.where(moved, np.arange(n), 0))
        return np.maximum(first, np.searchsorted(self.t_us, self.t_us - STILL_US))

    def _decide(self, k: int, last: int, level: float, still: int) -> tuple[int, Step, float, float]:
        """Return the reading that is believed next, its class, what it counts, and what is held (dial units)."""
        value, delta = self.value, float(self.value[k]) - level
        slack = float(_slack(value[k], self.dial_step))
        if delta < 0:
            return self._fallen(k, last, level, still, slack)
        spike = self._spike(k, level, float(self.t_us[last]), slack, k + 1 + GLITCH_READINGS)
        if spike is not None:
            return spike, Step.GLITCH, float(value[spike]) - level, 0.0
        if delta <= self._room(last, k) + slack:
            return k, Step.ADVANCE, delta, 0.0
        # A dip ends a stretch that stood still: only equal values do.
        if still < last and level == value[last] and delta <= self._room(still, k) + slack:
            return k, Step.FROZEN, delta, 0.0
        return k, Step.HELD_IMPLAUSIBLE, 0.0, delta

    def _fallen(self, k: int, last: int, level: float, still: int, slack: float) -> tuple[int, Step, float, float]:
        value, delta = self.value, float(self.value[k]) - level
        back = _returns(value, k, level)
        if delta >= -slack:
            if back is not None or k + 1 + GLITCH_READINGS > len(value):
                return k, Step.DIP, 0.0, 0.0
            # It stays one step lower: that is where the dial stands, and nothing ran backwards.
            return k, Step.DIP | Step.GLITCH, 0.0, 0.0
        if self.modulus is not None and _wraps(level, float(value[k]), self.modulus):
            passed = delta + self.modulus
            round_once = back is None or not _leaps(self.t_us, value, k, back, self.limit, self.modulus)
            if round_once and passed <= self._room(last, k) + slack:
                return k, Step.ROLLOVER, passed, 0.0
            if round_once and still < last and level == value[last] and passed <= self._room(still, k) + slack:
                return k, Step.ROLLOVER | Step.FROZEN, passed, 0.0
        if back is None:
            return k, Step.HELD_RESET, 0.0, max(float(value[k]), 0.0)
        until = k + 1 + GLITCH_READINGS
        for j in range(back, min(until, len(value))):
            rise = float(value[j]) - level
            if 0 <= rise <= self._room(last, j) + slack:
                spike = self._spike(j, level, float(self.t_us[last]), slack, until)
                found = j if spike is None else spike
                return found, Step.GLITCH, float(value[found]) - level, 0.0
        return back, Step.HELD_IMPLAUSIBLE | Step.GLITCH, 0.0, float(value[back]) - level

    def _room(self, a: int, b: int) -> float:
        """Return how far the dial can have moved between two readings."""
        return self.limit * float(self.t_us[b] - self.t_us[a])

    def _spike(self, k: int, level: float, since_us: float, slack: float, until: int) -> int | None:
        """Find the reading that shows the rise at `k` to have been a spike: it goes on from the level before.

        What falls back must stay below for as long as a glitch may last, or it was itself the odd one.
        """
        top = float(self.value[k])
        for j in range(k + 1, min(until, len(self.value))):
            found = float(self.value[j])
            if not level <= found < top - slack:
                continue
            after = self.value[j + 1 : until]
            if found - level > self.limit * (float(self.t_us[j]) - since_us) + slack:
                continue
            before = float(self.value[j - 1])
            if self.modulus is not None and top - level < 0.5 * self.modulus and _wraps(before, found, self.modulus):
                return None
            implausible = top - level > self.limit * (float(self.t_us[k]) - since_us) + slack
            if implausible or not np.any(after >= top - slack):
                return j
        return None


def _wraps(before: float, after: float, modulus: float) -> bool:
    """A rollover starts in the dial's last tenth and ends in its first half."""
    return before > 0.9 * modulus and after < 0.5 * modulus


def _returns(value: Amounts, k: int, level: float) -> int | None:
    """Find the reading that shows the drop at `k` to have been a glitch: it stands at or above the level before."""
    later = np.flatnonzero(value[k + 1 : k + 1 + GLITCH_READINGS] >= level)
    return k + 1 + int(later[0]) if len(later) else None


def _leaps(t_us: Instants, value: Amounts, k: int, back: int, limit: float, modulus: float) -> bool:
    """Tell whether the way back from a drop is a leap that no meter makes, and so the drop no rollover.

    After a rollover a dial can stand as high as before only by climbing all the way round.
    """
    climb = np.diff(value[k : back + 1])
    return bool(np.any(climb > np.minimum(limit * np.diff(t_us[k : back + 1]), 0.5 * modulus)))
