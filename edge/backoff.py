"""Waits between attempts: exponential, with full jitter, so that a whole park does not come back in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Backoff:
    """The n-th wait is drawn evenly from 0 to min(base × 2ⁿ, most), both in seconds."""

    def __init__(self, base_s: float, most_s: float, uniform: Callable[[float, float], float]) -> None:
        self._base_s = base_s
        self._most_s = most_s
        self._uniform = uniform
        self._attempt = 0

    def next(self) -> float:
        """Return the next wait in seconds."""
        ceiling = min(self._base_s * 2.0 ** min(self._attempt, 32), self._most_s)
        self._attempt += 1
        return self._uniform(0.0, ceiling)

    def reset(self) -> None:
        """Start from the shortest again: the last attempt worked."""
        self._attempt = 0
