"""What alert rules look at over event time, typed; and who has what to evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.copying import fetch_columns
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Waiting:
    """A park's firms with something to evaluate; `park` tells whether the park itself has."""

    park_id: int
    firm_ids: list[int]
    park: bool


@dataclass(frozen=True, slots=True)
class IndicatorValue:
    """A closed value of an indicator."""

    scope_id: int
    indicator_id: str
    period: datetime
    value: float | None
    numerator: float | None
    denominator: float | None
    coverage: float
    closed: bool
    revision: int
    run_id: int


async def waiting(connection: Connection, limit: int) -> list[Waiting]:
    """Return who has marks, longest waiting first, by park."""
    found: dict[int, Waiting] = {}
    for row in await connection.fetch(queries("alert_inputs")["waiting"], limit):
        entry = found.setdefault(row["park_id"], Waiting(row["park_id"], [], park=False))
        if row["firm_id"] is None:
            found[row["park_id"]] = Waiting(entry.park_id, entry.firm_ids, park=True)
        else:
            entry.firm_ids.append(row["firm_id"])
    return list(found.values())


async def lock_firms(connection: Connection, firm_ids: Collection[int]) -> list[int]:
    """Reserve firms until the transaction ends; return those that nobody else has."""
    rows = await connection.fetch(queries("alert_inputs")["lock_firms"], sorted(firm_ids))
    return [row["firm_id"] for row in rows]


async def lock_park(connection: Connection, park_id: int) -> bool:
    """Reserve a park itself until the transaction ends."""
    return bool(await connection.fetchval(queries("alert_inputs")["lock_park"], park_id))


async def take_firms(connection: Connection, firm_ids: Collection[int]) -> dict[int, datetime]:
    """Take the marks of firms away; return from when on each must be evaluated."""
    rows = await connection.fetch(queries("alert_inputs")["take_firms"], list(firm_ids))
    return {row["firm_id"]: row["t_from"] for row in rows}


async def take_park(connection: Connection, park_id: int) -> datetime | None:
    """Take a park's own marks away; return from when on it must be evaluated, None: it had none."""
    found: datetime | None = await connection.fetchval(queries("alert_inputs")["take_park"], park_id)
    return found


async def mark(connection: Connection, firm_ids: Collection[int], t_from: datetime) -> None:
    """Have firms evaluated again from an instant on."""
    await connection.execute(queries("alert_inputs")["mark"], list(firm_ids), t_from)


async def mark_parks(connection: Connection, park_ids: Collection[int], t_from: datetime) -> None:
    """Have parks themselves evaluated again from an instant on."""
    await connection.execute(queries("alert_inputs")["mark_parks"], list(park_ids), t_from)


async def waiting_marks(connection: Connection) -> int:
    """Return how many marks wait."""
    return int(await connection.fetchval(queries("alert_inputs")["waiting_marks"]))


async def progress(connection: Connection, firm_ids: Collection[int]) -> dict[int, datetime]:
    """Return up to when each firm was evaluated; those never evaluated are left out."""
    rows = await connection.fetch(queries("alert_inputs")["progress"], list(firm_ids))
    return {row["firm_id"]: row["evaluated"] for row in rows}


async def set_progress(connection: Connection, evaluated: Mapping[int, datetime]) -> None:
    """Note up to when firms have been evaluated."""
    await connection.execute(queries("alert_inputs")["set_progress"], list(evaluated), list(evaluated.values()))


async def rows(connection: Connection, name: str, *given: Any) -> list[Any]:
    """Return the rows of one of the small queries of `alert_inputs.sql`."""
    found: list[Any] = await connection.fetch(queries("alert_inputs")[name], *given)
    return found


async def ledger(connection: Connection, ids: Sequence[int], start: datetime, end: datetime) -> list[NDArray[Any]]:
    """Return point, bucket, measured, estimated, seconds of both, held and flags of buckets in `[start, end)`."""
    types = ("int4", "timestamptz", "float8", "float8", "float4", "float4", "float8", "int2")
    return await fetch_columns(connection, queries("alert_inputs")["ledger"], types, list(ids), start, end)


async def hours(connection: Connection, ids: Sequence[int], start: datetime, end: datetime) -> list[NDArray[Any]]:
    """Return point, hour, measured and estimated together, seconds of each, flags of hours in `[start, end)`."""
    types = ("int4", "timestamptz", "float8", "float4", "float4", "int2")
    return await fetch_columns(connection, queries("alert_inputs")["hours"], types, list(ids), start, end)


async def arrivals(connection: Connection, ids: Sequence[int], after: datetime, until: datetime) -> list[NDArray[Any]]:
    """Return point, bucket, newest reading, when its first batch was sent, and that batch."""
    types = ("int4", "timestamptz", "timestamptz", "timestamptz", "int8")
    return await fetch_columns(connection, queries("alert_inputs")["arrivals"], types, list(ids), after, until)


async def gauge_readings(
    connection: Connection, ids: Sequence[int], after: datetime, until: datetime
) -> list[NDArray[Any]]:
    """Return point, instant, value and quality of raw readings in `(after, until]`."""
    types = ("int4", "timestamptz", "float8", "int2")
    return await fetch_columns(connection, queries("alert_inputs")["gauge_readings"], types, list(ids), after, until)


async def before(connection: Connection, ids: Sequence[int], at: datetime) -> dict[int, datetime]:
    """Return the newest reading at or before an instant of each point that has one."""
    found = await connection.fetch(queries("alert_inputs")["before"], list(ids), at)
    return {row["point_id"]: row["t"] for row in found}


async def indicators(
    connection: Connection, scope: str, ids: Sequence[int], indicator_id: str, grain: str, since: datetime
) -> list[IndicatorValue]:
    """Return an indicator's closed values of periods that start at or after `since`."""
    found = await connection.fetch(queries("alert_inputs")["indicators"], scope, list(ids), indicator_id, grain, since)
    return [IndicatorValue(**dict(row)) for row in found]


async def set_limit(
    connection: Connection,
    point_id: int,
    kind: str,
    value: float,
    *,
    source_zh: str = "",
    source_en: str = "",
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> None:
    """Register a limit of one point, or change the one of the same beginning."""
    await connection.execute(
        queries("alert_inputs")["set_limit"], point_id, kind, value, source_zh, source_en, valid_from, valid_to
    )
