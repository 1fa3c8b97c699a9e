"""How far the ledger has got: what a measurement of its freshness reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store.pool import Connection


async def covered(connection: Connection, point_ids: Sequence[int], since: datetime) -> dict[tuple[str, int], float]:
    """Return the seconds that are covered, by (grain or `bucket`, point); buckets from `since` on."""
    rows = await connection.fetch(queries("freshness")["covered"], list(point_ids), since)
    return {(row["grain"], row["point_id"]): row["seconds"] for row in rows}


async def waited(connection: Connection, since: datetime, *, parks: bool) -> list[float]:
    """Return how old the oldest live reading of each run was when it was done."""
    return [row["waited_s"] for row in await connection.fetch(queries("freshness")["waited"], since, parks)]
