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


@dataclass(frozen=True, slots=True)
class Curve:
    """One installation's consumption as a rising curve, in the point's unit (multiplier applied).

    Attributes:
        t_us: instants of the believed readings, rising strictly, shape (n,).
        total: what has passed since an arbitrary origin, non-decreasing, shape (n,).
        step: class of the step that ends at each reading; the first has none, shape (n,).
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
        dial_step: a drop of at most this (in dial units) is jitter of the last digit, and counts as no movement.

    Returns:
        The curve. Where nothing is odd, `total` is `value × multiplier`, so that results do not depend on where
        the window of readings began.
    """
    limit = np.inf if rate_limit_per_h is None else rate_limit_per_h / multiplier / US_PER_HOUR
    delta = np.diff(value)
    if not (np.any(delta < 0) or np.any(delta > limit * np.diff(t_us))):
        n = len(t_us)
        return Curve(t_us, value * multiplier, np.zeros(n, np.int16), np.zeros(n), 0)
    return _odd_curve(t_us, value, modulus, multiplier, limit, dial_step)


def _odd_curve(
    t_us: Instants, value: Amounts, modulus: float | None, multiplier: float, limit: float, dial_step: float
) -> Curve:
    """Walk reading by reading: only windows in which something is odd come here."""
    keep: list[int] = [0]
    shift: list[float] = [0.0]
    step: list[int] = [0]
    held: list[float] = [0.0]
    offset = 0.0
    level = float(value[0])  # the dial as it was last believed; a dip does not lower it
    k = 1
    n = len(t_us)
    while k < n:
        last = keep[-1]
        delta = float(value[k]) - level
        room = limit * float(t_us[k] - t_us[last])
        kind, counted, aside = Step.ADVANCE, delta, 0.0
        if -dial_step <= delta < 0:
            keep.append(k)
            shift.append(offset - delta)
            step.append(int(Step.DIP))
            held.append(0.0)
            k += 1
            continue
        if delta < 0:
            back = _returns(value, k, level)
            wrapped = modulus is not None and _wraps(level, float(value[k]), modulus, room)
            if wrapped and modulus is not None and (back is None or not _leaps(t_us, value, k, back, limit, modulus)):
                kind, counted = Step.ROLLOVER, delta + modulus
            elif back is not None:
                k = back
                kind, counted = Step.GLITCH, float(value[k]) - level
                delta = counted
                if delta > limit * float(t_us[k] - t_us[last]):
                    continue
            else:
                kind, counted, aside = Step.HELD_RESET, 0.0, max(float(value[k]), 0.0)
        elif delta > room:
            after = _falls_back(t_us, value, k, level, float(t_us[last]), limit)
            if after is not None:
                k = after
                kind, counted = Step.GLITCH, float(value[k]) - level
                delta = counted
            else:
                kind, counted, aside = Step.HELD_IMPLAUSIBLE, 0.0, delta
        offset += counted - delta
        level = float(value[k])
        keep.append(k)
        shift.append(offset)
        step.append(int(kind))
        held.append(aside * multiplier)
        k += 1
    chosen = np.array(keep, np.int64)
    total = (value[chosen] + np.array(shift)) * multiplier
    return Curve(t_us[chosen], total, np.array(step, np.int16), np.array(held), n - len(keep))


def _wraps(before: float, after: float, modulus: float, room: float) -> bool:
    """A rollover starts in the dial's last tenth, ends in its first half, and moves no faster than it can."""
    return before > 0.9 * modulus and after < 0.5 * modulus and after + modulus - before <= room


def _returns(value: Amounts, k: int, level: float) -> int | None:
    """Find the reading that shows the drop at `k` to have been a glitch: it stands at or above the level before."""
    for j in range(k + 1, min(k + 1 + GLITCH_READINGS, len(value))):
        if value[j] >= level:
            return j
    return None


def _leaps(t_us: Instants, value: Amounts, k: int, back: int, limit: float, modulus: float) -> bool:
    """Tell whether the way back from a drop is a leap that no meter makes, and so the drop no rollover.

    After a rollover a dial can stand as high as before only by climbing all the way round.
    """
    climb = np.diff(value[k : back + 1])
    return bool(np.any(climb > np.minimum(limit * np.diff(t_us[k : back + 1]), 0.5 * modulus)))


def _falls_back(t_us: Instants, value: Amounts, k: int, level: float, since_us: float, limit: float) -> int | None:
    """Find the reading that shows the jump at `k` to have been a spike: it continues from the level before."""
    for j in range(k + 1, min(k + 1 + GLITCH_READINGS, len(value))):
        if 0 <= value[j] - level <= limit * (t_us[j] - since_us):
            return j
    return None
