"""Simulated time: the wall clock, or one that runs faster."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns microseconds since 1970 in simulated time."""


def wall_clock() -> int:
    """Return the machine's time."""
    return time.time_ns() // 1000


def fast_clock(start_us: int, factor: float, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> Clock:
    """Return a clock that starts now at `start_us` and runs `factor` times as fast as the wall clock."""
    began_ns = monotonic_ns()

    def now() -> int:
        return start_us + int((monotonic_ns() - began_ns) * factor) // 1000

    return now
