"""Typed queries for somebody who watches a whole park: the demonstration, reports, scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.queries import queries

if TYPE_CHECKING:
    from datetime import datetime

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Counts:
    """What has happened in a park since an instant."""

    quarantined: int
    conflicts: int
    indicators: int
    standings: int
    opened: int
    delivered: int


async def newest_batch(connection: Connection) -> int:
    """Return the id of the newest batch."""
    return int(await connection.fetchval(queries("overview")["newest_batch"]))


async def stored_since(connection: Connection, batch_id: int, park_id: int, oldest: datetime) -> tuple[int, int]:
    """Return how many readings came in later batches than `batch_id`, and how many of them stand twice."""
    row = await connection.fetchrow(queries("overview")["stored_since"], batch_id, park_id, oldest)
    return row["stored"], row["doubled"]


async def arrived(connection: Connection, park_id: int, window_s: float, after_batch: int) -> tuple[int, float]:
    """Return the readings in later batches than `after_batch`, and how many per second within the last seconds."""
    row = await connection.fetchrow(queries("overview")["arrived"], park_id, window_s, after_batch)
    return row["readings"], row["rate_per_s"]


async def counts(connection: Connection, park_id: int, since: datetime) -> Counts:
    """Count what has happened in a park since an instant."""
    return Counts(**dict(await connection.fetchrow(queries("overview")["counts"], park_id, since)))


async def waited_s(connection: Connection, park_id: int, since: datetime) -> list[float]:
    """Return the age of the oldest live reading of each computation when its indicators were written."""
    return [row["waited_s"] for row in await connection.fetch(queries("overview")["waited"], park_id, since)]


async def latest_times(connection: Connection, park_id: int, since: datetime) -> dict[int, datetime]:
    """Return the time of each point's newest reading."""
    rows = await connection.fetch(queries("overview")["latest"], park_id, since)
    return {row["point_id"]: row["t"] for row in rows}


async def newest_indicators(connection: Connection, park_id: int, grain: str, since: datetime) -> list[dict[str, Any]]:
    """Return the newest value of each indicator of the park and its firms."""
    return [dict(row) for row in await connection.fetch(queries("overview")["indicators"], park_id, grain, since)]


async def standings(connection: Connection, park_id: int) -> list[dict[str, Any]]:
    """Return the current standings, the park's first."""
    return [dict(row) for row in await connection.fetch(queries("overview")["standings"], park_id)]


async def episodes(connection: Connection, park_id: int, since: datetime, limit: int) -> list[dict[str, Any]]:
    """Return unfinished episodes and those that changed since an instant, newest first."""
    return [dict(row) for row in await connection.fetch(queries("overview")["episodes"], park_id, since, limit)]
