"""What the live board shows, read as the tenant's own database role.

The functions expect a connection of `store.browse.acting_as`; what the role does not see does not exist for them.
Quantities are in the unit of their point; None is unknown, which is not zero.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from store.pool import connected
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import date, datetime

    from store.pool import Connection

_T = TypeVar("_T")
CHANNELS: Final = ("greenpark_dirty", "greenpark_standing")
"""What ingest says (firm ids, comma separated), and what streams says (a park id)."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A park as the role sees it; `whole` is False where it sees only firms of it."""

    park_id: int
    code: str
    name_zh: str
    name_en: str
    time_zone: str
    whole: bool


@dataclass(frozen=True, slots=True)
class BoardFirm:
    """A firm's names."""

    firm_id: int
    code: str
    name_zh: str
    name_en: str
    industrial: bool


@dataclass(frozen=True, slots=True)
class BoardPoint:
    """A point, whom it stands under, and the time of its newest reading."""

    point_id: int
    firm_id: int
    edge_id: int | None
    code: str
    name_zh: str
    name_en: str
    kind: str
    carrier: str
    direction: str
    unit: str
    interval_s: int
    role: str
    parent_id: int | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class BoardAmount:
    """What a point moved in the running day or month."""

    point_id: int
    grain: str
    measured: float | None
    estimated: float | None
    measured_s: float
    estimated_s: float
    held: float


@dataclass(frozen=True, slots=True)
class BoardBalance:
    """The balance of a node of the meter graph in the running day or month, in the unit of its point."""

    point_id: int
    grain: str
    supply: float | None
    load: float | None
    loss: float | None
    unaccounted: float | None
    coverage: float
    unknown: list[str]


@dataclass(frozen=True, slots=True)
class LoadBucket:
    """Mean power of the points of one series in one bucket, while they are covered.

    Attributes:
        power: sum of the points' weighted mean rates per hour; None: none is known.
        estimated_s, covered_s: summed over the points.
        points: how many are known.
        full: how many are covered from end to end.
    """

    bucket: datetime
    series: int
    power: float | None
    estimated_s: float
    covered_s: float
    points: int
    full: int


@dataclass(frozen=True, slots=True)
class Covered:
    """Covered seconds of all points in one hour (`firm_id` None), or of one firm's (`period` None)."""

    period: datetime | None
    firm_id: int | None
    measured_s: float
    estimated_s: float


@dataclass(frozen=True, slots=True)
class BoardEdge:
    """A gateway and what it last said of itself; None: never reported."""

    edge_id: int
    firm_id: int
    code: str
    online: bool | None
    at: datetime | None
    received: datetime | None
    buffered_batches: int | None
    buffered_bytes: int | None
    clock_offset_ms: int | None


@dataclass(frozen=True, slots=True)
class BoardValue:
    """A value of an indicator."""

    indicator_id: str
    grain: str
    period: datetime
    numerator: float | None
    denominator: float | None
    value: float | None
    unit: str
    coverage: float
    reason: str | None
    closed: bool
    revision: int
    estimated_share: float | None
    computed: datetime | None


@dataclass(frozen=True, slots=True)
class BoardStanding:
    """A standing with the target as its pack says it (`target`: empty where the pack is not kept).

    Attributes:
        unit: of value, target_value, required and projection; None: as the target or its indicator says.
        projection_low, projection_high: the interval around the projection.
        needed_rate: % a year by which the value must move from here to the target.
        miss_week: Monday of the week in which the target is or will be missed for good.
    """

    standing_id: int
    firm_id: int | None
    scope: str
    scope_id: int
    pack_id: str
    pack_version: int
    target_id: str
    as_of: datetime
    state: str
    reason: str | None
    sentence_zh: str
    sentence_en: str
    unit: str | None
    value: float | None
    target_value: float | None
    required: float | None
    projection: float | None
    projection_low: float | None
    projection_high: float | None
    needed_rate: float | None
    miss_week: date | None
    target: dict[str, Any]
    pack_zh: str | None
    pack_en: str | None


@dataclass(frozen=True, slots=True)
class BoardEpisode:
    """An episode that is not over; `total` counts all such."""

    episode_id: int
    firm_id: int | None
    scope: str
    scope_id: int
    state: str
    severity: str
    began: datetime
    opened: datetime | None
    title_zh: str
    title_en: str
    total: int


async def subject(connection: Connection, park_id: int | None) -> Subject | None:
    """Return a park that the role sees; without an id the first of them."""
    row = await connection.fetchrow(queries("board")["subject"], park_id)
    return None if row is None else Subject(**dict(row))


async def firms(connection: Connection, park_id: int, firm_id: int | None = None) -> list[BoardFirm]:
    """Return the firms of a park by id."""
    return await _rows(connection, BoardFirm, "firms", park_id, firm_id)


async def points(connection: Connection, park_id: int, firm_id: int | None, at: datetime) -> list[BoardPoint]:
    """Return points by id, with whom they stand under at an instant."""
    return await _rows(connection, BoardPoint, "points", park_id, firm_id, at)


async def amounts(
    connection: Connection, point_ids: Sequence[int], day: datetime, month: datetime
) -> list[BoardAmount]:
    """Return what points moved in a day and a month, named by their starts."""
    return await _rows(connection, BoardAmount, "amounts", list(point_ids), day, month)


async def balances(
    connection: Connection, point_ids: Sequence[int], day: datetime, month: datetime
) -> list[BoardBalance]:
    """Return the balances of those points that are nodes."""
    return await _rows(connection, BoardBalance, "balances", list(point_ids), day, month)


async def load(connection: Connection, members: Sequence[tuple[int, float, int]], since: datetime) -> list[LoadBucket]:
    """Return mean power by bucket and series; `members` are `(point_id, factor, series)`."""
    columns = [list(column) for column in zip(*members, strict=True)] or [[], [], []]
    return await _rows(connection, LoadBucket, "load", *columns, since)


async def coverage(connection: Connection, point_ids: Sequence[int], start: datetime, end: datetime) -> list[Covered]:
    """Return what is covered of the hours that start in `[start, end)`, by hour and by firm."""
    return await _rows(connection, Covered, "coverage", list(point_ids), start, end)


async def edges(connection: Connection, park_id: int, firm_id: int | None) -> list[BoardEdge]:
    """Return gateways by id."""
    return await _rows(connection, BoardEdge, "edges", park_id, firm_id)


async def quarantined(connection: Connection, park_id: int, firm_id: int | None) -> int:
    """Return how many messages wait in quarantine."""
    return int(await connection.fetchval(queries("board")["quarantined"], park_id, firm_id))


async def indicators(
    connection: Connection,
    scope: str,
    scope_id: int,
    *,
    days: tuple[datetime, datetime],
    month: datetime,
    year: datetime,
) -> list[BoardValue]:
    """Return a subject's values for two days, a month and a year, named by their starts."""
    return await _rows(connection, BoardValue, "indicators", scope, scope_id, *days, month, year)


async def standings(connection: Connection, park_id: int, firm_id: int | None) -> list[BoardStanding]:
    """Return the standings that hold."""
    return await _rows(connection, BoardStanding, "standings", park_id, firm_id)


async def episodes(connection: Connection, park_id: int, firm_id: int | None, limit: int) -> list[BoardEpisode]:
    """Return episodes that are not over, the gravest first."""
    return await _rows(connection, BoardEpisode, "episodes", park_id, firm_id, limit)


async def heard(url: str, ping_s: float, on_quiet: Callable[[], None]) -> AsyncIterator[tuple[str, str]]:
    """Yield `(channel, payload)` of what ingest and streams say, for as long as the connection lives.

    Args:
        url: of the database.
        ping_s: after so long without a word the connection is tried.
        on_quiet: called after each successful try, and once when it listens.

    Raises:
        UnreachableError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError: the connection is gone.
    """
    waiting: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue(1000)

    def note(item: tuple[str, str] | None) -> None:
        # A full queue says "something changed" often enough already; the poll catches what this leaves out.
        if not waiting.full():
            waiting.put_nowait(item)

    async with connected(url, application="greenpark api listener") as connection:
        connection.add_termination_listener(lambda *_: note(None))
        for channel in CHANNELS:
            await connection.add_listener(channel, lambda _c, _pid, name, payload: note((name, payload)))
        on_quiet()
        while True:
            try:
                async with asyncio.timeout(ping_s):
                    item = await waiting.get()
            except TimeoutError:
                await connection.fetchval(queries("board")["listening"], timeout=ping_s)
                on_quiet()
                continue
            if item is None or connection.is_closed():
                raise asyncpg.ConnectionDoesNotExistError("the listening connection was closed")
            yield item


async def _rows(connection: Connection, kind: type[_T], name: str, *arguments: object) -> list[_T]:
    return [kind(**dict(row)) for row in await connection.fetch(queries("board")[name], *arguments)]
