"""Typed questions of `greenpark replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from store.copying import fetch_columns
from store.edge_states import watermark_of
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from store.edge_states import Watermark
    from store.pool import Connection


class Waiting(NamedTuple):
    """Stretches that wait for the processors, and whether a processor is connected."""

    dirty: int
    streams: bool


class Month(NamedTuple):
    """One month of the ledger; `period` is the instant at which it starts."""

    point_id: int
    period: datetime
    measured: float | None
    estimated: float | None


class Held(NamedTuple):
    """Messages in quarantine for one reason."""

    reason: str
    messages: int
    detail: str


async def readings_of_point(
    connection: Connection, point_id: int, first: datetime, last: datetime
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return times (microseconds since 1970) and values of a point in `[first, last]`, in order of time."""
    t_us, value = await fetch_columns(
        connection, queries("replay")["readings_of_point"], ("timestamptz", "float8"), point_id, first, last
    )
    return t_us, value


async def watermark(connection: Connection, edge_id: int, boot: str) -> Watermark | None:
    """Return what of one boot is stored or given up; None if nothing ever came."""
    row = await connection.fetchrow(queries("replay")["watermark"], edge_id, boot)
    return None if row is None else watermark_of(row["edge_id"], row["boot"], row["committed"], newest=False)


async def waiting(connection: Connection, firm_id: int, point_ids: Sequence[int]) -> Waiting:
    """Return what of some points of a firm waits to be computed."""
    row = await connection.fetchrow(queries("replay")["waiting"], firm_id, list(point_ids))
    return Waiting(row["dirty"], row["streams"])


async def months(connection: Connection, point_ids: Sequence[int], first: datetime, after: datetime) -> list[Month]:
    """Return the ledger's months that begin in `[first, after)`."""
    rows = await connection.fetch(queries("replay")["months"], list(point_ids), first, after)
    return [Month(**dict(row)) for row in rows]


async def held(connection: Connection, topic: str) -> list[Held]:
    """Return what of a topic is in quarantine, the most frequent reason first."""
    return [Held(**dict(row)) for row in await connection.fetch(queries("replay")["held"], topic)]
