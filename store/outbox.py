"""Messages on their way to recipients.

A message is claimed for a lease, sent outside any transaction, and marked. A worker that dies in between leaves it to
be sent again under the same key. What quiet hours or the recipient's limit hold back ends in a summary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, time

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Message:
    """One claimed message, and what its recipient wishes. `attempts` counts this one.

    Attributes:
        held_reason: why it was held back before, None if it was not.
        sent_last_hour: how many messages of episodes the recipient was sent in the hour before.
        summary_due: when the recipient's next summary comes; None: nothing is held back.
        follows_held: whether an earlier message of the same episode is held back.
    """

    outbox_id: int
    recipient_id: int
    episode_id: int | None
    kind: str
    severity: str
    dedupe_key: str
    body: dict[str, Any]
    attempts: int
    created: datetime
    held_reason: str | None
    channel: str
    address: str = field(repr=False)
    locale: str
    quiet_from: time | None
    quiet_to: time | None
    quiet_min_severity: str
    hourly_limit: int
    time_zone: str
    sent_last_hour: int
    summary_due: datetime | None
    follows_held: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A message that is held back."""

    outbox_id: int
    dedupe_key: str
    episode_id: int | None
    severity: str
    body: dict[str, Any]
    held_reason: str
    held_until: datetime
    created: datetime


@dataclass(frozen=True, slots=True)
class HeldFor:
    """A recipient for whom messages are held back."""

    recipient_id: int
    locale: str
    quiet_from: time | None
    quiet_to: time | None
    quiet_min_severity: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Expired:
    """A message that was given up, and the last reason why it had not arrived."""

    recipient_id: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, and since when the oldest of it does."""

    waiting: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message."""

    outbox_id: int
    state: str
    attempts: int
    last_error: str | None


async def enqueue(
    connection: Connection,
    *,
    episode_id: int,
    transition_id: int | None,
    recipient_id: int,
    dedupe_key: str,
    body: dict[str, Any],
    due: datetime,
    expires: datetime,
    kind: str = "episode",
) -> int | None:
    """Put a message about an episode into the outbox, in the caller's transaction; return its id.

    A key that is there already changes nothing and returns None.

    Raises:
        asyncpg.CheckViolationError, asyncpg.ForeignKeyViolationError: the recipient is another firm's or park's.
    """
    found: int | None = await connection.fetchval(
        queries("outbox")["enqueue"],
        episode_id,
        transition_id,
        recipient_id,
        kind,
        dedupe_key,
        body,
        due,
        expires,
    )
    return found


async def enqueue_other(
    connection: Connection,
    *,
    recipient_id: int,
    kind: str,
    severity: str,
    dedupe_key: str,
    body: dict[str, Any],
    due: datetime,
    expires: datetime,
) -> int | None:
    """Put a message of no single episode into the outbox; return its id, None if its key was there already."""
    found: int | None = await connection.fetchval(
        queries("outbox")["enqueue_other"], recipient_id, kind, severity, dedupe_key, body, due, expires
    )
    return found


async def about(connection: Connection, episode_id: int) -> tuple[str, bool]:
    """Return how severe an episode is, and whether nobody is to be told of it (a maintenance window)."""
    row = await connection.fetchrow(queries("outbox")["about"], episode_id)
    return row["severity"], row["quiet"]


async def told(connection: Connection, episode_id: int) -> set[int]:
    """Return who has a message of an episode."""
    return {row["recipient_id"] for row in await connection.fetch(queries("outbox")["told"], episode_id)}


async def claim(
    connection: Connection, now: datetime, *, limit: int, lease_s: float, busy: Collection[int] = ()
) -> list[Message]:
    """Take at most `limit` due messages, one per recipient and none of the `busy` ones, for `lease_s` seconds."""
    rows = await connection.fetch(queries("outbox")["claim"], now, limit, lease_s, list(busy))
    return [Message(**dict(row)) for row in rows]


async def hold(
    connection: Connection,
    outbox_id: int,
    *,
    until: datetime,
    reason: str,
    severities: Sequence[str],
    now: datetime,
) -> int:
    """Hold a claimed message back, with whatever of these severities is due to the same recipient; return how many."""
    done: str = await connection.execute(queries("outbox")["hold"], outbox_id, until, reason, list(severities), now)
    return int(done.rpartition(" ")[2])


async def recipients_with_held(connection: Connection, now: datetime) -> list[int]:
    """Return the recipients for whom a summary is due."""
    rows = await connection.fetch(queries("outbox")["recipients_with_held"], now)
    return [row["recipient_id"] for row in rows]


async def lock_held(connection: Connection, recipient_id: int) -> tuple[HeldFor, list[Held]] | None:
    """Reserve what is held back for a recipient until the transaction ends; None: another worker has it."""
    row = await connection.fetchrow(queries("outbox")["lock_recipient"], recipient_id)
    if row is None:
        return None
    rows = await connection.fetch(queries("outbox")["held"], recipient_id)
    return HeldFor(**dict(row)), [Held(**dict(row)) for row in rows]


async def postpone(connection: Connection, outbox_ids: Sequence[int], until: datetime) -> None:
    """Hold messages back until later."""
    await connection.execute(queries("outbox")["postpone"], list(outbox_ids), until)


async def release(connection: Connection, outbox_id: int, due: datetime) -> None:
    """Let a held message go after all."""
    await connection.execute(queries("outbox")["release"], outbox_id, due)


async def mark_summarised(connection: Connection, outbox_ids: Sequence[int], summary_id: int) -> None:
    """Note which summary tells of held messages instead."""
    await connection.execute(queries("outbox")["summarised"], list(outbox_ids), summary_id)


async def mark_delivered(connection: Connection, outbox_id: int, at: datetime) -> None:
    """Note that the receiver took it."""
    await connection.execute(queries("outbox")["delivered"], outbox_id, at)


async def mark_retry(connection: Connection, outbox_id: int, next_attempt: datetime, error: str) -> None:
    """Note why it failed and when to try again."""
    await connection.execute(queries("outbox")["retry"], outbox_id, next_attempt, error)


async def mark_refused(connection: Connection, outbox_id: int, error: str) -> None:
    """Note that the receiver will never take it."""
    await connection.execute(queries("outbox")["refused"], outbox_id, error)


async def expire(connection: Connection, now: datetime) -> list[Expired]:
    """Give up what is past its time and return it."""
    return [Expired(**dict(row)) for row in await connection.fetch(queries("outbox")["expire"], now)]


async def backlog(connection: Connection) -> Backlog:
    """Return what waits."""
    return Backlog(**dict(await connection.fetchrow(queries("outbox")["backlog"])))


async def fate(connection: Connection, outbox_id: int) -> Fate:
    """Return what became of a message."""
    return Fate(**dict(await connection.fetchrow(queries("outbox")["fate"], outbox_id)))
