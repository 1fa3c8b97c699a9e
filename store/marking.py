"""What the platform holds about a whole park, as arrays, for a comparison with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.copying import fetch_columns
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class HeldReadings:
    """Stored readings, ordered by point and time."""

    point_id: NDArray[Any]
    t_us: NDArray[Any]
    value: NDArray[Any]
    quality: NDArray[Any]


@dataclass(frozen=True, slots=True)
class HeldLedger:
    """Ledger rows; NaN stands for null."""

    point_id: NDArray[Any]
    bucket_us: NDArray[Any]
    measured: NDArray[Any]
    estimated: NDArray[Any]
    measured_s: NDArray[Any]
    estimated_s: NDArray[Any]
    held: NDArray[Any]
    flags: NDArray[Any]


async def point_ids(connection: Connection, park: str) -> dict[tuple[str, str], int]:
    """Return the id of each `(firm, point)` of a park."""
    rows = await connection.fetch(queries("marking")["points"], park)
    return {(row["firm"], row["point"]): row["point_id"] for row in rows}


async def readings(connection: Connection, ids: Sequence[int]) -> HeldReadings:
    """Return every reading of some points."""
    types = ("int4", "timestamptz", "float8", "int2")
    return HeldReadings(*await fetch_columns(connection, queries("marking")["readings"], types, list(ids)))


async def ledger(connection: Connection, ids: Sequence[int], start: datetime, end: datetime) -> HeldLedger:
    """Return the ledger of some points in `[start, end)`."""
    types = ("int4", "timestamptz", "float8", "float8", "float4", "float4", "float8", "int2")
    return HeldLedger(*await fetch_columns(connection, queries("marking")["ledger"], types, list(ids), start, end))


async def indicators(connection: Connection, park: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return the firms' indicator values of days that start in `[start, end)`, and of all months and years."""
    return [dict(row) for row in await connection.fetch(queries("marking")["indicators"], park, start, end)]


async def values(
    connection: Connection, park: str, firm: str, indicator_ids: Sequence[str], grains: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a firm's values of some indicators and grains, undefined ones with their reason."""
    given = (park, firm, list(indicator_ids), list(grains))
    return [dict(row) for row in await connection.fetch(queries("marking")["values"], *given)]


async def episodes(connection: Connection, park: str) -> list[dict[str, Any]]:
    """Return every episode that was ever open."""
    return [dict(row) for row in await connection.fetch(queries("marking")["episodes"], park)]


async def strays(connection: Connection, park: str) -> int:
    """Return how many messages about one firm went to another."""
    return int(await connection.fetchval(queries("marking")["strays"], park))


async def conflicts_and_quarantined(connection: Connection, ids: Sequence[int]) -> tuple[int, int]:
    """Return how many second values were kept aside, and how many messages are in quarantine."""
    row = await connection.fetchrow(queries("marking")["counts"], list(ids))
    return row["conflicts"], row["quarantined"]


async def pending(connection: Connection) -> int:
    """Return how much computation waits."""
    return int(await connection.fetchval(queries("marking")["pending"]))


async def committed_batches(connection: Connection, park: str) -> int:
    """Return how many batches of a park are stored."""
    return int(await connection.fetchval(queries("marking")["committed"], park))


async def pending_alerts(connection: Connection) -> int:
    """Return how many stretches wait for the alert rules."""
    return int(await connection.fetchval(queries("marking")["pending_alerts"]))


async def audience(connection: Connection, park: str) -> list[tuple[int, int | None, str | None]]:
    """Return the park and each of its firms: park, firm and the firm's code, both None for the park itself."""
    rows = await connection.fetch(queries("marking")["audience"], park)
    return [(row["park_id"], row["firm_id"], row["code"]) for row in rows]
