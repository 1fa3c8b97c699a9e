"""Meters at a point: who stands there, exchanged or corrected, dated, with author and reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

from park.calendar import EPOCH
from park.errors import MeterError
from park.meters import corrected, installed_at, replaced
from park.points import Installation
from store.edits import mark, point_named
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.edits import NamedPoint
    from store.pool import Connection

_FIELDS = (
    "serial",
    "modulus",
    "multiplier",
    "valid_from",
    "valid_to",
    "first_reading",
    "last_reading",
    "resolution",
)
_SAME_INSTANT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class MeterChange:
    """One change of a point's installations; `before` and `after` are lists of installations."""

    kind: str
    at: datetime
    author: str
    reason: str
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    made: datetime


async def meters(connection: Connection, point_id: int) -> list[Installation]:
    """Return the meters of a point, oldest first."""
    return [Installation(**dict(row)) for row in await connection.fetch(queries("meters")["of_point"], point_id)]


async def changes(connection: Connection, point_id: int) -> list[MeterChange]:
    """Return how a point's meters came to be what they are, oldest first."""
    return [MeterChange(**dict(row)) for row in await connection.fetch(queries("meters")["changes"], point_id)]


async def replace_meter(
    connection: Connection,
    point: NamedPoint,
    fresh: Installation,
    last_reading: float | None,
    author: str,
    reason: str,
) -> list[Installation]:
    """Put up another meter at `fresh.valid_from`, however long ago, and have everything since computed again.

    Raises:
        MeterError: it cannot have stood there.
    """
    async with connection.transaction():
        await connection.fetchval(queries("meters")["lock_point"], point.point_id)
        before = await meters(connection, point.point_id)
        after = replaced(before, fresh, last_reading)
        cause = f"meter replaced by {author}: {reason}"
        await _write(connection, point, ("replace", fresh.valid_from, author, reason, None), before, after, cause)
    return await meters(connection, point.point_id)


async def correct_multiplier(
    connection: Connection, point: NamedPoint, multiplier: float, since: datetime | None, author: str, reason: str
) -> list[Installation]:
    """Correct a multiplier, from `since` on or for all of the newest meter's time, and have it computed again.

    Within a meter's time the change happens at the last reading up to `since`: there the dial is known.

    Raises:
        MeterError: no meter stands there then, or it has this multiplier.
    """
    sql = queries("meters")
    async with connection.transaction():
        await connection.fetchval(sql["lock_point"], point.point_id)
        before = await meters(connection, point.point_id)
        meter = None if since is None else installed_at(before, since)
        dial = None
        if since is not None and meter is not None and since != meter.valid_from:
            row = await connection.fetchrow(sql["dial_at"], point.point_id, since, meter.valid_from)
            # Without a reading up to then, all of this meter's readings come after.
            since, dial = (meter.valid_from, None) if row is None else (row["t"], row["value"])
        after = corrected(before, multiplier, since, dial)
        at = since or before[-1].valid_from
        cause = f"multiplier corrected by {author}: {reason}"
        await _write(connection, point, ("correct_multiplier", at, author, reason, None), before, after, cause)
    return await meters(connection, point.point_id)


async def apply_swap_events(connection: Connection) -> int:
    """Put up the meters that edges reported as exchanged; return how many reports were looked at.

    A report counts when it names the new serial and both readings; modulus and multiplier are the old meter's where
    it does not say. What cannot be believed changes nothing and is kept as refused, with the reason.
    """
    sql = queries("meters")
    async with connection.transaction():
        events = await connection.fetch(sql["swap_events"])
        for event in events:
            point = await point_named(connection, event["name"])
            await connection.fetchval(sql["lock_point"], point.point_id)
            before = await meters(connection, point.point_id)
            author, at = f"edge {event['edge']}", event["at"]
            try:
                after = reported(before, at, event["body"])
            except MeterError as error:
                about = ("event_refused", at, author, str(error), event["event_id"])
                await _write(connection, point, about, before, before, "")
            else:
                about = ("event", at, author, "reported by the edge", event["event_id"])
                await _write(connection, point, about, before, after, f"meter swap reported by {author}")
    return len(events)


def reported(before: Sequence[Installation], at: datetime, body: dict[str, Any]) -> list[Installation]:
    """Return the installations after a reported exchange; the same ones if it is known already.

    Raises:
        MeterError: the report lacks something, or contradicts what is known.
    """
    serial, first, last = (
        body.get("new_serial") or body.get("serial"),
        body.get("first_reading"),
        body.get("last_reading"),
    )
    if not isinstance(serial, str) or not _number(first) or not _number(last):
        raise MeterError("the report needs new_serial, first_reading and last_reading; use `greenpark meter replace`")
    if any(meter.serial == serial and abs(meter.valid_from - at) <= _SAME_INSTANT for meter in before):
        return list(before)
    old = installed_at(before, at)
    if old is None:
        raise MeterError("no meter stood there then")
    if body.get("old_serial") not in {None, old.serial}:
        raise MeterError(f"the report takes down {body['old_serial']}, but {old.serial} stood there")
    modulus, multiplier = body.get("modulus", old.modulus), body.get("multiplier", old.multiplier)
    if not _number(multiplier) or not (modulus is None or _number(modulus)):
        raise MeterError("modulus and multiplier are numbers")
    fresh = Installation(0, serial, modulus, float(multiplier), at, None, float(first), None, old.resolution)
    return replaced(before, fresh, float(last))


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


async def _write(
    connection: Connection,
    point: NamedPoint,
    about: tuple[str, datetime, str, str, int | None],
    before: Sequence[Installation],
    after: Sequence[Installation],
    cause: str,
) -> None:
    """Write what differs, record it, and mark what it touches."""
    sql = queries("meters")
    gone = [meter for meter in before if meter not in after]
    fresh = [meter for meter in after if meter not in before]
    await connection.execute(sql["delete"], [meter.installation_id for meter in gone])
    await connection.executemany(
        sql["insert"], [(point.point_id, *(getattr(meter, name) for name in _FIELDS)) for meter in fresh]
    )
    owner = (point.park_id, point.firm_id, point.point_id)
    await connection.execute(sql["record"], *owner, *about, _plain(before), _plain(after))
    if fresh:
        newest = await connection.fetchval(sql["last_reading"], point.point_id) or EPOCH
        ends = [meter.valid_to for meter in (*gone, *fresh)]
        # A meter that is only closed changes nothing before its end.
        since = min(meter.valid_from for meter in fresh if not _only_closed(meter, before))
        until = max(newest, since) if None in ends else min(max(e for e in ends if e is not None), max(newest, since))
        await mark(connection, point.firm_id, point.point_id, since, max(until, since), cause)


def _only_closed(meter: Installation, before: Sequence[Installation]) -> bool:
    same = ("serial", "modulus", "multiplier", "valid_from", "first_reading", "resolution")
    return any(all(getattr(meter, name) == getattr(old, name) for name in same) for old in before)


def _plain(found: Sequence[Installation]) -> list[dict[str, Any]]:
    return [
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(meter).items() if v is not None}
        for meter in found
    ]
