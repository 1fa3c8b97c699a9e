"""What a tenant may read, page by page, as the tenant's own database role.

`acting_as` opens a read-only transaction and takes the role on inside it; all functions here expect its connection.
What the role does not see does not exist: the functions answer None or leave rows out, never "forbidden".
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

import store.episode_actions
from park.calendar import BUCKET_S, period
from park.calendar import zone as time_zone_named
from park.errors import UnitError
from park.points import Kind
from park.units import consumed_unit
from store.answers import (
    ConsumptionItem,
    EdgeItem,
    EpisodeItem,
    FirmItem,
    IndicatorItem,
    Newest,
    ParkItem,
    PointItem,
    ReadingItem,
    StandingItem,
    TransitionItem,
)
from store.errors import StoreError, UnreachableError
from store.migrations import check_schema
from store.pool import probe
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from park.calendar import Grain
    from store.pool import Connection, Pool

_T = TypeVar("_T")

# A connection that the server has cut may also fail inside the driver, whose state machine is between two states.
_GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
)


class NoSuchRoleError(StoreError):
    """A token acts as a role that is no tenant of this server, or that our log-in may not take on."""

    def __init__(self, role: str) -> None:
        """Name the role and the way to mend it."""
        super().__init__(f"role {role!r} cannot be acted as; make the tenant again, or let an administrator grant it")
        self.role = role


class TooSlowError(StoreError):
    """A query took longer than it may; ask for less at once."""


@asynccontextmanager
async def acquired(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection that works; one that a restart of the server has broken is replaced.

    Raises:
        UnreachableError: the database does not answer, or no connection came free in time.
        TooSlowError: a query inside the block ran into its time limit.
    """
    connection = await _working(pool)
    try:
        yield connection
    except asyncpg.QueryCanceledError as error:
        msg = "the query took too long"
        raise TooSlowError(msg) from error
    except _GONE as error:
        msg = f"the database went away: {error or type(error).__name__}"
        raise UnreachableError(msg) from error
    finally:
        # Giving back resets the session; where that fails, the pool has thrown the connection away already.
        with suppress(OSError, asyncpg.PostgresError, *_GONE):
            await pool.release(connection, timeout=5)


async def _forget(pool: Pool, connection: Connection) -> None:
    # A connection that the server has cut may have left the pool by itself, and then refuses every call.
    with suppress(asyncpg.InterfaceError):
        connection.terminate()
    with suppress(OSError, asyncpg.PostgresError, *_GONE):
        await pool.release(connection)


async def _working(pool: Pool) -> Connection:
    # After a restart every idle connection may be dead; each failed probe makes the pool forget one.
    for attempt in range(pool.get_max_size() + 1):
        try:
            connection = await pool.acquire(timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            msg = f"the database does not answer: {error or type(error).__name__}"
            raise UnreachableError(msg) from error
        try:
            await connection.fetchval(queries("browse")["alive"])
        except (OSError, asyncpg.PostgresError, *_GONE) as error:
            await _forget(pool, connection)
            if attempt == pool.get_max_size():
                msg = f"the database does not answer: {error or type(error).__name__}"
                raise UnreachableError(msg) from error
        except BaseException:
            # Cancelled in the middle: a connection that is never given back would block the pool's end for ever.
            await _forget(pool, connection)
            raise
        else:
            return connection
    raise AssertionError  # pragma: no cover - the loop returns or raises


@asynccontextmanager
async def acting_as(pool: Pool, role: str) -> AsyncIterator[Connection]:
    """Lend a connection inside a read-only transaction that has taken on the tenant's role.

    Raises:
        NoSuchRoleError: the role is no tenant, or our log-in may not take it on.
        UnreachableError, TooSlowError: see `acquired`.
    """
    async with acquired(pool) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await _take_on(connection, role)
        yield connection


async def _take_on(connection: Connection, role: str) -> None:
    sql = queries("browse")
    # A token that names the service or a superuser would see everything: only tenants are acted as.
    if not await connection.fetchval(sql["is_tenant"], role):
        raise NoSuchRoleError(role)
    try:
        await connection.fetchval(sql["act_as"], role)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError) as error:
        raise NoSuchRoleError(role) from error


@asynccontextmanager
async def writing_as(pool: Pool, role: str) -> AsyncIterator[Connection]:
    """Lend a connection inside a transaction that has taken on the tenant's role; see `as_ourselves`.

    The tenant's role says what may be touched, and may write nothing itself.

    Raises:
        NoSuchRoleError, UnreachableError, TooSlowError: see `acting_as`.
    """
    async with acquired(pool) as connection, connection.transaction():
        await connection.execute(queries("browse")["read_write"])
        await _take_on(connection, role)
        yield connection


async def as_ourselves(connection: Connection) -> None:
    """Lay the tenant's role down, to write what it was found that the tenant may have written."""
    await connection.fetchval(queries("browse")["act_as_ourselves"])


async def check_ready(pool: Pool) -> None:
    """Raise a `StoreError` that says what is missing, unless the database answers and has our schema."""
    async with acquired(pool) as connection:
        await probe(connection)
        await check_schema(connection)


async def parks(connection: Connection, *, after: int, limit: int) -> list[ParkItem]:
    """Return parks by id, those after `after`."""
    return await _rows(connection, ParkItem, "parks", after, limit)


async def park(connection: Connection, park_id: int) -> ParkItem | None:
    """Return one park."""
    return await _row(connection, ParkItem, "park", park_id)


async def firms(connection: Connection, park_id: int | None, *, after: int, limit: int) -> list[FirmItem]:
    """Return firms by id, those after `after`."""
    return await _rows(connection, FirmItem, "firms", park_id, after, limit)


async def firm(connection: Connection, firm_id: int) -> FirmItem | None:
    """Return one firm."""
    return await _row(connection, FirmItem, "firm", firm_id)


async def points(
    connection: Connection, firm_id: int | None, carrier: str | None, *, after: int, limit: int
) -> list[PointItem]:
    """Return points by id, those after `after`."""
    rows = await connection.fetch(queries("browse")["points"], firm_id, carrier, after, limit)
    return [_point(row) for row in rows]


async def point(connection: Connection, point_id: int) -> PointItem | None:
    """Return one point."""
    row = await connection.fetchrow(queries("browse")["point"], point_id)
    return None if row is None else _point(row)


def _point(row: Any) -> PointItem:
    fields = dict(row)
    t, value, quality, stored = (fields.pop(f"newest_{name}") for name in ("t", "value", "quality", "stored"))
    return PointItem(**fields, newest=None if t is None else Newest(t, value, quality, stored))


async def invisible_points(connection: Connection, point_ids: Sequence[int]) -> list[int]:
    """Return those of the points that the role does not see."""
    return [row["point_id"] for row in await connection.fetch(queries("browse")["invisible_points"], list(point_ids))]


async def readings(
    connection: Connection, point_id: int, start: datetime, end: datetime, *, after: datetime, limit: int
) -> list[ReadingItem]:
    """Return raw readings in `[start, end)` by time, those after `after`."""
    return await _rows(connection, ReadingItem, "readings", point_id, start, end, after, limit)


async def consumption(
    connection: Connection,
    point_ids: Sequence[int],
    grain: Grain | None,
    start: datetime,
    end: datetime,
    *,
    after: tuple[datetime, int],
    limit: int,
    now: datetime,
) -> list[ConsumptionItem]:
    """Return consumption of periods that start in `[start, end)`, by period and point, those after `after`.

    Args:
        connection: acting as a tenant.
        point_ids: the points.
        grain: None for 15-minute buckets.
        start: first instant at which a period may start.
        end: instant before which it must start.
        after: period and point of the row before the first.
        limit: rows at most.
        now: what of a period has passed by then can be missing; the rest is not yet due.
    """
    arguments = (list(point_ids), start, end, *after, limit)
    if grain is None:
        rows = await connection.fetch(queries("browse")["buckets"], *arguments)
    else:
        rows = await connection.fetch(queries("browse")["periods"], *arguments, grain)
    return [_consumption(dict(row), grain, now) for row in rows]


def _consumption(fields: dict[str, Any], grain: Grain | None, now: datetime) -> ConsumptionItem:
    tz = time_zone_named(fields.pop("time_zone"))
    seconds = float(BUCKET_S) if grain is None else period(grain, fields["period"], tz).seconds
    passed = min(max((now - fields["period"]).total_seconds(), 0.0), seconds)
    missing_s = max(passed - fields["measured_s"] - fields["estimated_s"], 0.0)
    if fields.pop("kind") == Kind.GAUGE:
        fields["unit"] = _integrated(fields["unit"])
    return ConsumptionItem(**fields, seconds=seconds, missing_s=missing_s, provisional=passed < seconds)


def _integrated(unit: str) -> str:
    try:
        return consumed_unit(unit)
    except UnitError:
        return f"{unit}·h"


async def indicator_values(
    connection: Connection,
    indicator_id: str,
    grain: str,
    start: datetime,
    end: datetime,
    *,
    scope: str | None,
    scope_id: int | None,
    after: tuple[datetime, str, int],
    limit: int,
) -> list[IndicatorItem]:
    """Return values of one indicator by period and subject, those after `after`."""
    arguments = (indicator_id, grain, start, end, scope, scope_id, *after, limit)
    return await _rows(connection, IndicatorItem, "indicator_values", *arguments)


async def indicator_revisions(
    connection: Connection,
    indicator_id: str,
    grain: str,
    start: datetime,
    end: datetime,
    *,
    scope: str,
    scope_id: int,
    after: tuple[datetime, int],
    limit: int,
) -> list[IndicatorItem]:
    """Return what was published before of one subject, by period and revision, those after `after`."""
    arguments = (indicator_id, grain, start, end, scope, scope_id, *after, limit)
    return await _rows(connection, IndicatorItem, "indicator_revisions", *arguments)


async def standings(
    connection: Connection,
    *,
    history: bool,
    scope: str | None,
    scope_id: int | None,
    pack_id: str | None,
    state: str | None,
    after: int,
    limit: int,
) -> list[StandingItem]:
    """Return standings by id, those after `after`; with `history` also those that no longer hold."""
    arguments = (history, scope, scope_id, pack_id, state, after, limit)
    return await _rows(connection, StandingItem, "standings", *arguments)


async def episodes(
    connection: Connection,
    *,
    state: str | None,
    severity: str | None,
    firm_id: int | None,
    before: tuple[datetime, int],
    limit: int,
) -> list[EpisodeItem]:
    """Return episodes, newest first, those before `before` (began, episode_id)."""
    return await _rows(connection, EpisodeItem, "episodes", state, severity, firm_id, *before, limit)


async def episode(connection: Connection, episode_id: int) -> EpisodeItem | None:
    """Return one episode."""
    return await _row(connection, EpisodeItem, "episode", episode_id)


async def transitions(connection: Connection, episode_id: int, *, after: int, limit: int) -> list[TransitionItem]:
    """Return the steps of an episode in order, those after `after`."""
    return await _rows(connection, TransitionItem, "transitions", episode_id, after, limit)


async def edges(
    connection: Connection, firm_id: int | None, *, online: bool | None, after: int, limit: int
) -> list[EdgeItem]:
    """Return edges by id, those after `after`; one that never reported counts as offline."""
    return await _rows(connection, EdgeItem, "edges", firm_id, online, after, limit)


async def acknowledge(
    pool: Pool, role: str, episode_id: int, *, by: str, note: str | None, at: datetime
) -> EpisodeItem | None:
    """Acknowledge an open episode that the role sees; return it as it then is, None if the role does not see it.

    Raises:
        EpisodeStateError: it is not open and was not acknowledged before.
    """
    async with writing_as(pool, role) as connection:
        if await episode(connection, episode_id) is None:
            return None
        await as_ourselves(connection)
        await store.episode_actions.acknowledge(connection, episode_id, by, note, at)
        return await episode(connection, episode_id)


async def _rows(connection: Connection, kind: type[_T], name: str, *arguments: object) -> list[_T]:
    return [kind(**dict(row)) for row in await connection.fetch(queries("browse")[name], *arguments)]


async def _row(connection: Connection, kind: type[_T], name: str, *arguments: object) -> _T | None:
    row = await connection.fetchrow(queries("browse")[name], *arguments)
    return None if row is None else kind(**dict(row))
