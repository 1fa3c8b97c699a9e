"""What people do about episodes: take on, hand over, put off, remark; and maintenance windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.episodes import acknowledge as take_on
from store.errors import EpisodeStateError, UnknownNameError
from store.queries import queries

if TYPE_CHECKING:
    from datetime import datetime

    from store.pool import Connection

_FINISHED = frozenset({"resolved", "retracted"})


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said about an episode."""

    comment_id: int
    at: datetime
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A time in which rules do not look; None narrows nothing."""

    maintenance_id: int
    park: str
    firm: str | None
    point: str | None
    rule_id: str | None
    t_from: datetime
    t_to: datetime
    reason: str
    author: str


async def _locked(connection: Connection, episode_id: int, *, unfinished: bool) -> None:
    row = await connection.fetchrow(queries("episode_actions")["locked"], episode_id)
    if row is None:
        raise UnknownNameError("episode", str(episode_id))
    if unfinished and row["state"] in _FINISHED:
        raise EpisodeStateError(episode_id, row["state"])


async def acknowledge(connection: Connection, episode_id: int, by: str, note: str | None, at: datetime) -> bool:
    """Take an open episode on; False if somebody already had. What was put off is taken up again.

    Raises:
        UnknownNameError: no such episode.
        EpisodeStateError: it is not open (pending, or over).
    """
    async with connection.transaction():
        taken = await take_on(connection, episode_id, by, note, at)
        if taken:
            await connection.execute(queries("episode_actions")["note_acknowledged"], episode_id, by, at)
    return taken


async def assign(connection: Connection, episode_id: int, to: str | None, by: str, at: datetime) -> None:
    """Hand an episode to somebody, or (None) to nobody.

    Raises:
        UnknownNameError: no such episode.
        EpisodeStateError: it is over.
    """
    sql = queries("episode_actions")
    async with connection.transaction():
        await _locked(connection, episode_id, unfinished=True)
        await connection.execute(sql["assign"], episode_id, to)
        await connection.execute(sql["remark"], episode_id, at, by, f"assigned to {to}" if to else "assigned to nobody")


async def snooze(connection: Connection, episode_id: int, until: datetime | None, by: str, at: datetime) -> None:
    """Put an episode off: nobody above hears of it before; None takes it up again.

    Raises:
        UnknownNameError: no such episode.
        EpisodeStateError: it is over.
    """
    sql = queries("episode_actions")
    note = "no longer put off" if until is None else f"put off until {until.isoformat()}"
    async with connection.transaction():
        await _locked(connection, episode_id, unfinished=True)
        await connection.execute(sql["snooze"], episode_id, until)
        await connection.execute(sql["remark"], episode_id, at, by, note)


async def comment(connection: Connection, episode_id: int, text: str, by: str, at: datetime) -> int:
    """Say something about an episode, also about one that is over; raises `UnknownNameError`."""
    async with connection.transaction():
        await _locked(connection, episode_id, unfinished=False)
        comment_id: int = await connection.fetchval(queries("episode_actions")["comment"], episode_id, at, by, text)
    return comment_id


async def comments(connection: Connection, episode_id: int) -> list[Comment]:
    """Return what was said about an episode, oldest first."""
    rows = await connection.fetch(queries("episode_actions")["comments"], episode_id)
    return [Comment(**dict(row)) for row in rows]


async def begin_maintenance(
    connection: Connection,
    park: str,
    *,
    firm: str | None = None,
    point: str | None = None,
    rule_id: str | None = None,
    t_from: datetime,
    t_to: datetime,
    reason: str,
    author: str,
) -> int:
    """Have rules not look in `[t_from, t_to)`; also what was told of it is judged again. Returns its number.

    Raises:
        UnknownNameError: no such park, firm or point.
    """
    sql = queries("episode_actions")
    async with connection.transaction():
        row = await connection.fetchrow(sql["place"], park, firm, point)
        if row is None:
            raise UnknownNameError("park", park)
        if firm is not None and row["firm_id"] is None:
            raise UnknownNameError("firm", firm)
        if point is not None and row["point_id"] is None:
            raise UnknownNameError("point", f"{firm}/{point}")
        number: int = await connection.fetchval(
            sql["begin_maintenance"],
            row["park_id"],
            row["firm_id"],
            row["point_id"],
            rule_id,
            t_from,
            t_to,
            reason,
            author,
        )
        await connection.execute(sql["mark_again"], row["park_id"], row["firm_id"], t_from)
    return number


async def end_maintenance(connection: Connection, maintenance_id: int, by: str, at: datetime) -> bool:
    """End a maintenance window now; False if it is over already, or never was."""
    sql = queries("episode_actions")
    async with connection.transaction():
        row = await connection.fetchrow(sql["end_maintenance"], maintenance_id, at, by)
        if row is not None:
            await connection.execute(sql["mark_again"], row["park_id"], row["firm_id"], min(row["t_from"], at))
    return row is not None


async def maintenance(
    connection: Connection, park: str | None, now: datetime, *, over: bool = False
) -> list[Maintenance]:
    """Return maintenance windows of a park or of all, those that are over as well if asked."""
    rows = await connection.fetch(queries("episode_actions")["maintenance"], park, over, now)
    return [Maintenance(**dict(row)) for row in rows]
