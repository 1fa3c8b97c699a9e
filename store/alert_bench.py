"""A park with a quiet past for the benchmark of alerts, written directly: no edge sends, no ledger computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store.pool import Connection


async def run(connection: Connection, name: str, *given: Any) -> None:
    """Run one of the statements of `alert_bench.sql`."""
    await connection.execute(queries("alert_bench")[name], *given)


async def lay(connection: Connection, firms: int, points: int, first: datetime, last: datetime) -> list[int]:
    """Write a park whose firms have a quiet past of hours in `[first, last)`; return the firms."""
    for name, given in (
        ("lay_park", (firms, points)),
        ("lay_parents", ()),
        ("lay_hours", (first, last)),
        ("all_online", (last,)),
        ("progress_all", (last,)),
        ("analyze", ()),
    ):
        await run(connection, name, *given)
    return [row["firm_id"] for row in await connection.fetch(queries("alert_bench")["firm_ids"])]


async def pass_time(
    connection: Connection, start: datetime, end: datetime, *, hour_from: datetime | None, dark: Sequence[int] = ()
) -> None:
    """Write the quarter hours in `[start, end)` of all points but those of dark firms, and mark all firms."""
    await run(connection, "lay_buckets", start, end, list(dark))
    if hour_from is not None:
        await run(connection, "lay_hours", hour_from, end)
    await run(connection, "set_latest", end, list(dark))
    await run(connection, "mark_all", start)


async def episodes(connection: Connection) -> list[tuple[str, str, int, int]]:
    """Return rule, scope, number of episodes, and how many points the largest of them covers."""
    return [tuple(row) for row in await connection.fetch(queries("alert_bench")["episodes"])]
