"""Steps of the wall clock, seen against the monotonic clock.

A step moves the device time of readings; it is reported, and nothing is corrected here. NTP's slewing (at most 500 ppm)
stays far below the threshold between two looks a second apart.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a machine, in seconds: Unix time, which may step, and one that only runs on."""

    wall_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        return int(self.wall_s() * 1000)


@dataclass(frozen=True, slots=True)
class Watch:
    """What the clocks said at the last look; `offset_s` is wall minus monotonic."""

    offset_s: float


def look(watch: Watch | None, wall_s: float, monotonic_s: float, threshold_s: float = 0.5) -> tuple[Watch, float]:
    """Look at both clocks.

    Returns:
        The watch to keep, and by how many seconds the wall clock stepped since the last look; 0: it did not.
    """
    offset_s = wall_s - monotonic_s
    if watch is None:
        return Watch(offset_s), 0.0
    step_s = offset_s - watch.offset_s
    return Watch(offset_s), step_s if abs(step_s) >= threshold_s else 0.0


def next_tick(now_s: float, interval_s: float, last_tick_s: float | None = None) -> float:
    """Return when to poll next: the next multiple of the interval in Unix seconds.

    A sleep that ends a little early must not poll the same tick twice, hence `last_tick_s`; a clock that was set back
    by more than one interval starts on its new grid.
    """
    tick = (now_s // interval_s + 1) * interval_s
    if last_tick_s is not None and abs(tick - last_tick_s) < interval_s / 2:
        tick += interval_s
    return tick
