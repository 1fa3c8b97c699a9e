"""Typed access to emission limits and the concentrations held against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.copying import fetch_columns
from store.ledger import Readings
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from park.definition import LimitDefinition
    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Limit:
    """What an outlet's permit allows its hourly means, on `[valid_from, valid_to)`, in the point's unit."""

    firm_id: int
    point_id: int
    interval_s: int
    label: str
    valid_from: date
    valid_to: date
    hourly: float


async def set_limits(connection: Connection, point_id: int, wanted: Sequence[LimitDefinition]) -> bool:
    """Bring a point's limits to what a document says; return whether they changed."""
    sql = queries("emissions")
    new = [(limit.valid_from, limit.valid_to, limit.hourly, limit.source) for limit in wanted]
    old = [tuple(row) for row in await connection.fetch(sql["limits_of_point"], point_id)]
    if sorted(new) == old:
        return False
    await connection.execute(sql["delete_limits"], point_id)
    await connection.executemany(sql["insert_limit"], [(point_id, *fields) for fields in new])
    return True


async def limits(connection: Connection, firm_ids: Sequence[int]) -> list[Limit]:
    """Return the limits of some firms' outlets."""
    rows = await connection.fetch(queries("emissions")["limits_of_firms"], list(firm_ids))
    return [Limit(**dict(row)) for row in rows]


async def concentrations(connection: Connection, point_ids: Sequence[int], start: datetime, end: datetime) -> Readings:
    """Return what was read at some points in `[start, end]`, by point and time."""
    types = ("int4", "timestamptz", "float8", "int2")
    found = await fetch_columns(connection, queries("emissions")["concentrations"], types, list(point_ids), start, end)
    return Readings(*found)


async def stored_hours(
    connection: Connection, wanted: Sequence[tuple[int, datetime, datetime]], grain: str
) -> list[tuple[int, datetime, float, float]]:
    """Return firm, period, valid and compliant hours of the periods of a grain in `(firm, start, end)`."""
    if not wanted:
        return []
    ids, starts, ends = ([row[k] for row in wanted] for k in range(3))
    rows = await connection.fetch(queries("emissions")["stored_hours"], ids, starts, ends, grain)
    return [tuple(row) for row in rows]
