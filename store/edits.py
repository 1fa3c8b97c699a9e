"""What people decided about the ledger: made, revoked, and never forgotten. Readings are not touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from park.calendar import BUCKET_S, from_us, to_us
from store.errors import EditError, UnknownNameError
from store.queries import queries

if TYPE_CHECKING:
    from store.pool import Connection

_BUCKET = timedelta(seconds=BUCKET_S)


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """A point by the codes that people know it by."""

    point_id: int
    firm_id: int
    park_id: int
    code: str
    kind: str
    unit: str
    time_zone: str
    park: str
    firm: str

    @property
    def name(self) -> str:
        """Return `PARK/FIRM/POINT`."""
        return f"{self.park}/{self.firm}/{self.code}"


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A quantity that waits for a decision, in the bucket in which its step ends."""

    point: str
    unit: str
    bucket: datetime
    held: float
    flags: int
    revision: int
    run_id: int


@dataclass(frozen=True, slots=True)
class EditRow:
    """A decision as it was made, and its revocation if there was one."""

    edit_id: int
    kind: str
    version: int
    t_from: datetime
    t_to: datetime
    held: float | None
    quantity: float
    author: str
    reason: str
    made: datetime
    revoked: datetime | None
    revoked_by: str | None
    revoked_reason: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """A decision that was just made."""

    edit_id: int
    version: int
    quantity: float


async def point_named(connection: Connection, name: str) -> NamedPoint:
    """Return the point `PARK/FIRM/POINT`, or raise `UnknownNameError`."""
    parts = name.split("/", 2)
    row = await connection.fetchrow(queries("edits")["point_named"], *parts) if len(parts) == 3 else None
    if row is None:
        raise UnknownNameError("point", name)
    return NamedPoint(**dict(row))


async def held(connection: Connection, park: str | None, firm: str | None, limit: int) -> list[HeldRow]:
    """Return what waits for a decision, oldest first."""
    return [HeldRow(**dict(row)) for row in await connection.fetch(queries("edits")["held"], park, firm, limit)]


async def decide(
    connection: Connection, point: NamedPoint, at: datetime, kind: str, value: float | None, author: str, reason: str
) -> Made:
    """Decide about what is held in the bucket of `at`: accept it, reject it, or replace it by a value.

    Raises:
        EditError: nothing is held there, or the value is negative.
    """
    bucket = from_us(to_us(at) // (BUCKET_S * 1_000_000) * BUCKET_S * 1_000_000)
    async with connection.transaction():
        quantity = await connection.fetchval(queries("edits")["held_in"], point.point_id, bucket)
        if not quantity:
            raise EditError(f"{point.name} holds nothing at {bucket:%Y-%m-%dT%H:%MZ}; see `greenpark ledger held`")
        counted = {"accept": quantity, "reject": 0.0}.get(kind, value)
        return await _add(connection, point, kind, (bucket, bucket + _BUCKET), quantity, counted, author, reason)


async def set_quantity(
    connection: Connection, point: NamedPoint, span: tuple[datetime, datetime], value: float, author: str, reason: str
) -> Made:
    """Say what the buckets `[from, to)` count, whatever was read.

    Raises:
        EditError: the range is empty or does not lie on quarter hours, or the value is negative.
    """
    us = BUCKET_S * 1_000_000
    if span[0] >= span[1] or any(to_us(t) % us for t in span):
        raise EditError("a range begins and ends on a quarter of an hour, and ends after it begins")
    async with connection.transaction():
        return await _add(connection, point, "manual", span, None, value, author, reason)


async def _add(
    connection: Connection,
    point: NamedPoint,
    kind: str,
    span: tuple[datetime, datetime],
    quantity: float | None,
    counted: float | None,
    author: str,
    reason: str,
) -> Made:
    if counted is None or not 0 <= counted < float("inf"):
        raise EditError("give a value that is a number and not negative")
    if not author.strip() or not reason.strip():
        raise EditError("a decision needs an author and a reason")
    owner = (point.park_id, point.firm_id, point.point_id)
    row = await connection.fetchrow(
        queries("edits")["add"], *owner, kind, *span, quantity, counted, author.strip(), reason.strip()
    )
    cause = f"edit {row['edit_id']} by {author.strip()}: {reason.strip()}"
    await mark(connection, point.firm_id, point.point_id, span[0], span[1] - timedelta(microseconds=1), cause)
    return Made(row["edit_id"], row["version"], counted)


async def revoke(connection: Connection, edit_id: int, author: str, reason: str) -> None:
    """Take a decision back; what it was stays in the history.

    Raises:
        EditError: there is no such decision, or it was revoked before.
    """
    sql = queries("edits")
    async with connection.transaction():
        row = await connection.fetchrow(sql["revoke"], edit_id, author, reason)
        if row is None:
            raise EditError(f"no decision {edit_id} holds: unknown, or revoked before")
        cause = f"edit {edit_id} revoked by {author}: {reason}"
        last = row["t_to"] - timedelta(microseconds=1)
        await mark(connection, row["firm_id"], row["point_id"], row["t_from"], last, cause)


async def history(connection: Connection, point_id: int) -> list[EditRow]:
    """Return all decisions about a point, revoked ones too, in the order in which they were made."""
    return [EditRow(**dict(row)) for row in await connection.fetch(queries("edits")["history"], point_id)]


async def mark(
    connection: Connection, firm_id: int, point_id: int, t_from: datetime, t_to: datetime, cause: str
) -> None:
    """Have a stretch of a point computed again, and wake whoever computes."""
    await connection.execute(queries("edits")["mark"], firm_id, point_id, t_from, t_to, cause)
