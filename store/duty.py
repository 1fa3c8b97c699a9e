"""On-call calendars, escalation and digests: who is told at which hour, and of what besides an episode's beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.errors import UnknownNameError, UnsuitableError
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, time

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class RotationRow:
    """Who takes turns from a day on. `members` are recipients in order, without those who were removed."""

    oncall_id: int
    code: str
    valid_from: date
    handover: time
    turn_days: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StandInRow:
    """Somebody takes a calendar's duty in [starts, ends)."""

    oncall_id: int
    starts: datetime
    ends: datetime
    recipient_id: int


@dataclass(frozen=True, slots=True)
class StepRow:
    """One rung of the ladder: whom to tell of an episode that nobody acknowledged for so long."""

    step_id: int
    park: str
    min_severity: str
    after_s: int
    recipient_id: int | None
    name: str | None
    calendar: str | None


@dataclass(frozen=True, slots=True)
class TakenStep:
    """An episode and the step that has come due for it. `told`: names of the park's people who have heard of it."""

    episode_id: int
    park_id: int
    firm_id: int | None
    severity: str
    began: datetime
    title_zh: str
    title_en: str
    park_code: str
    park_zh: str
    park_en: str
    time_zone: str
    step_id: int
    after_s: float
    recipient_id: int | None
    oncall_id: int | None
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A digest that a recipient gets. `weekday`: 1 is Monday; only the weekly one looks at it."""

    recipient_id: int
    kind: str
    at: time
    weekday: int
    since: datetime
    park_id: int
    firm_id: int | None
    locale: str
    time_zone: str
    park_code: str
    park_zh: str
    park_en: str
    firm_code: str | None
    firm_zh: str | None
    firm_en: str | None


async def rotations(connection: Connection, park_id: int) -> list[RotationRow]:
    """Return the rotations of all calendars of a park, by calendar and day."""
    rows = await connection.fetch(queries("duty")["rotations"], park_id)
    return [RotationRow(**dict(row) | {"members": tuple(row["members"])}) for row in rows]


async def stand_ins(connection: Connection, park_id: int, after: datetime) -> list[StandInRow]:
    """Return who stands in at some time after an instant, oldest entry first."""
    rows = await connection.fetch(queries("duty")["stand_ins"], park_id, after)
    return [StandInRow(**dict(row)) for row in rows]


async def set_rotation(
    connection: Connection,
    park_id: int,
    code: str,
    *,
    valid_from: date,
    handover: time,
    turn_days: int,
    members: Sequence[int],
) -> int:
    """Have members take turns in a calendar from a day on, making the calendar if need be; return its id.

    Raises:
        UnknownNameError: a member is no recipient.
        UnsuitableError: a member is not a manager of this park.
    """
    sql = queries("duty")
    async with connection.transaction():
        await _check_managers(connection, park_id, members)
        oncall_id: int = await connection.fetchval(sql["add_oncall"], park_id, code)
        await connection.execute(sql["set_rotation"], oncall_id, valid_from, handover, turn_days, list(members))
    return oncall_id


async def add_stand_in(
    connection: Connection, park_id: int, code: str, *, starts: datetime, ends: datetime, recipient_id: int
) -> int:
    """Let somebody stand in and return the entry's id.

    Raises:
        UnknownNameError: no such calendar or recipient.
        UnsuitableError: the recipient is not a manager of this park.
    """
    sql = queries("duty")
    await _check_managers(connection, park_id, [recipient_id])
    for row in await connection.fetch(sql["oncall_calendars"], park_id):
        if row["code"] == code:
            found: int = await connection.fetchval(sql["add_stand_in"], row["oncall_id"], starts, ends, recipient_id)
            return found
    raise UnknownNameError("calendar", code)


async def _check_managers(connection: Connection, park_id: int, recipient_ids: Sequence[int]) -> None:
    rows = await connection.fetch(queries("duty")["managers_among"], list(recipient_ids), park_id)
    managers = {row["recipient_id"] for row in rows}
    for recipient_id in recipient_ids:
        if recipient_id not in managers:
            msg = f"recipient {recipient_id} is no manager of this park; `greenpark recipient list` shows who is"
            raise UnsuitableError(msg)


async def add_step(
    connection: Connection,
    park_id: int,
    *,
    min_severity: str,
    after_s: int,
    recipient_id: int | None = None,
    calendar: str | None = None,
) -> int:
    """Add a rung to a park's ladder, for one recipient or whoever a calendar has on duty; return its id.

    Raises:
        UnknownNameError: no such calendar.
        UnsuitableError: the recipient is not a manager of this park.
    """
    sql = queries("duty")
    oncall_id = None
    if calendar is not None:
        found = {row["code"]: row["oncall_id"] for row in await connection.fetch(sql["oncall_calendars"], park_id)}
        if calendar not in found:
            raise UnknownNameError("calendar", calendar)
        oncall_id = found[calendar]
    if recipient_id is not None:
        await _check_managers(connection, park_id, [recipient_id])
    step_id: int = await connection.fetchval(sql["add_step"], park_id, min_severity, after_s, recipient_id, oncall_id)
    return step_id


async def remove_step(connection: Connection, step_id: int) -> None:
    """Take a rung out; raises `UnknownNameError` if there is none."""
    if await connection.fetchval(queries("duty")["remove_step"], step_id) is None:
        raise UnknownNameError("step", str(step_id))


async def steps(connection: Connection, park: str | None = None) -> list[StepRow]:
    """Return the ladder of a park (by code) or of all."""
    return [StepRow(**dict(row)) for row in await connection.fetch(queries("duty")["steps"], park)]


async def take_steps(connection: Connection, now: datetime) -> list[TakenStep]:
    """Take every step that is due, each once for ever, in the caller's transaction."""
    sql = queries("duty")
    found = []
    for row in await connection.fetch(sql["take_steps"], now):
        taken = await connection.fetchrow(sql["taken"], row["episode_id"], row["step_id"])
        found.append(TakenStep(**dict(taken) | {"told": tuple(taken["told"])}))
    return found


async def opening(connection: Connection, episode_id: int, locale: str) -> tuple[dict[str, Any], int | None] | None:
    """Return the message that told of an episode's opening, in the language if there is one, and its transition."""
    row = await connection.fetchrow(queries("duty")["opening"], episode_id, locale)
    return None if row is None else (row["body"], row["transition_id"])


async def subscribe(connection: Connection, recipient_id: int, kind: str, at: time, weekday: int) -> None:
    """Have somebody get a digest; raises `UnknownNameError` if there is no such recipient."""
    if await connection.fetchval(queries("duty")["subscribe"], recipient_id, kind, at, weekday) is None:
        raise UnknownNameError("recipient", str(recipient_id))


async def unsubscribe(connection: Connection, recipient_id: int, kind: str | None = None) -> list[str]:
    """End a digest of somebody (None: all) and return which were ended."""
    return [row["kind"] for row in await connection.fetch(queries("duty")["unsubscribe"], recipient_id, kind)]


async def subscriptions(connection: Connection) -> list[Subscription]:
    """Return every digest that somebody gets."""
    return [Subscription(**dict(row)) for row in await connection.fetch(queries("duty")["subscriptions"])]


async def digest_known(connection: Connection, key: str) -> bool:
    """Tell whether a digest is in the outbox already, so that it need not be composed."""
    return bool(await connection.fetchval(queries("duty")["digest_known"], key))
