"""Latency as a reader sees it: how old is a reading when a query first shows it?"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg

from cli.demo.scene import utc_now
from store.overview import latest_times

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from store.pool import Pool

PERIOD_S: Final = 0.1
AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
)
"""What a query raises while the database is being started again."""
_RECENT: Final = 2000


@dataclass(slots=True)
class Probe:
    """Asks for the newest reading of every point ten times a second.

    What it measures is the age at which a reading was *seen*, so it is up to one period above the truth, never below.

    Attributes:
        ages_s: age of every newest reading when it was first seen, since the start.
        recent_s: the last of them.
    """

    park_id: int
    since: datetime
    ages_s: list[float] = field(default_factory=list)
    recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    async def run(self, pool: Pool) -> None:
        """Measure until cancelled."""
        seen: dict[int, datetime] = {}
        while True:
            with suppress(*AWAY):
                async with pool.acquire() as connection:
                    while True:
                        self._note(seen, await latest_times(connection, self.park_id, self.since), utc_now())
                        await asyncio.sleep(PERIOD_S)
            await asyncio.sleep(PERIOD_S)

    def _note(self, seen: dict[int, datetime], found: dict[int, datetime], now: datetime) -> None:
        for point_id, t in found.items():
            if seen.get(point_id) != t:
                seen[point_id] = t
                age_s = (now - t).total_seconds()
                self.ages_s.append(age_s)
                self.recent_s.append(age_s)


def p99(values: Iterable[float]) -> float | None:
    """Return the 99th percentile (nearest rank), None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 99 // 100) - 1)] if ordered else None
