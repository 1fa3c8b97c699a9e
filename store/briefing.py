"""What digests and charts say of a time that has passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.queries import queries

if TYPE_CHECKING:
    from datetime import datetime

    from store.pool import Connection

    Value = tuple[datetime, float | None]


@dataclass(frozen=True, slots=True)
class EpisodeLine:
    """An episode in a list. `fresh`: opened in the period; otherwise before it."""

    episode_id: int
    rule_id: str
    state: str
    severity: str
    began: datetime
    opened: datetime
    ended: datetime | None
    title_zh: str
    title_en: str
    firm: str | None
    firm_zh: str | None
    firm_en: str | None
    fresh: bool


@dataclass(frozen=True, slots=True)
class StandingLine:
    """How the subject stands against one target now."""

    target_id: str
    state: str
    sentence_zh: str
    sentence_en: str


@dataclass(frozen=True, slots=True)
class DayValue:
    """An indicator's value of one day."""

    indicator_id: str
    period: datetime
    value: float | None
    unit: str
    coverage: float
    closed: bool


@dataclass(frozen=True, slots=True)
class FirmLine:
    """How many episodes a firm had."""

    code: str
    name_zh: str
    name_en: str
    opened: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class Briefing:
    """All that a digest tells of [start, end), of a firm or of a park with all its firms.

    Attributes:
        before: how many episodes the period of the same length before it had.
        coverage: share of the time that is measured; None: nothing was.
        undelivered: messages that were given up; 0 in a firm's briefing.
    """

    start: datetime
    end: datetime
    episodes: tuple[EpisodeLine, ...]
    opened: int
    before: int
    standings: tuple[StandingLine, ...]
    days: tuple[DayValue, ...]
    firms: tuple[FirmLine, ...]
    coverage: float | None
    undelivered: int


async def recent_indicator(
    connection: Connection, scope: str, scope_id: int, indicator_id: str, grain: str, until: datetime, most: int
) -> list[Value]:
    """Return the newest values of an indicator, oldest first."""
    rows = await connection.fetch(
        queries("briefing")["recent_indicator"], scope, scope_id, indicator_id, grain, until, most
    )
    return [(row["t"], row["value"]) for row in rows]


async def recent_use(connection: Connection, point_id: int, until: datetime, most: int) -> list[Value]:
    """Return what a point moved per hour in its newest quarter hours, oldest first."""
    rows = await connection.fetch(queries("briefing")["recent_use"], point_id, until, most)
    return [(row["t"], row["value"]) for row in rows]


async def briefing(
    connection: Connection, *, park_id: int, firm_id: int | None, start: datetime, end: datetime, days_from: datetime
) -> Briefing:
    """Gather what a digest tells.

    Args:
        connection: to the store.
        park_id: the park.
        firm_id: only this firm; None: the park with all its firms.
        start: where the period begins.
        end: where it ends, excluded.
        days_from: from when on day values of indicators are wanted.
    """
    sql = queries("briefing")
    scope, scope_id = ("park", park_id) if firm_id is None else ("firm", firm_id)
    lines = await connection.fetch(sql["episodes_of_period"], park_id, firm_id, start, end)
    standings = await connection.fetch(sql["standings_now"], park_id, firm_id)
    days = await connection.fetch(sql["indicators_of_days"], scope, scope_id, days_from, end)
    firms = await connection.fetch(sql["firms_with_alerts"], park_id, start, end, 10) if firm_id is None else []
    return Briefing(
        start=start,
        end=end,
        episodes=tuple(EpisodeLine(**dict(row)) for row in lines),
        opened=await connection.fetchval(sql["opened_in"], park_id, firm_id, start, end),
        before=await connection.fetchval(sql["opened_in"], park_id, firm_id, start - (end - start), start),
        standings=tuple(StandingLine(**dict(row)) for row in standings),
        days=tuple(DayValue(**dict(row)) for row in days),
        firms=tuple(FirmLine(**dict(row)) for row in firms),
        coverage=await connection.fetchval(sql["coverage"], park_id, firm_id, start, end),
        undelivered=0 if firm_id is not None else await connection.fetchval(sql["undelivered"], park_id, start, end),
    )
