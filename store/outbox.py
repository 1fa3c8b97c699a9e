"""Recipients, and messages on their way to them.

A message is claimed for a lease, sent outside any transaction, and marked. A worker that dies in between leaves it to
be sent again under the same key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from store.errors import UnknownNameError
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class RecipientRow:
    """Somebody who is told; `firm_id` None: a manager of the whole park. The address may hold a secret."""

    recipient_id: int
    park_id: int
    firm_id: int | None
    name: str
    channel: str
    address: str = field(repr=False)
    locale: str
    min_severity: str


@dataclass(frozen=True, slots=True)
class Message:
    """One claimed message. `attempts` counts this one."""

    outbox_id: int
    recipient_id: int
    episode_id: int
    dedupe_key: str
    body: dict[str, Any]
    attempts: int
    created: datetime
    channel: str
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, and since when the oldest of it does."""

    waiting: int
    oldest: datetime | None


async def recipients(connection: Connection, park_id: int) -> list[RecipientRow]:
    """Return everybody who is told anything of a park."""
    return [RecipientRow(**dict(row)) for row in await connection.fetch(queries("outbox")["recipients"], park_id)]


async def add_recipient(
    connection: Connection,
    *,
    park_id: int,
    firm_id: int | None,
    name: str,
    channel: str,
    address: str,
    locale: str = "zh-CN",
    min_severity: str = "info",
) -> int:
    """Add somebody, or change name, language and severity of who has this address already; return the id."""
    recipient_id: int = await connection.fetchval(
        queries("outbox")["add_recipient"], park_id, firm_id, name, channel, address, locale, min_severity
    )
    return recipient_id


@dataclass(frozen=True, slots=True)
class NamedRecipient:
    """Somebody who is told, with the codes of park and firm. The address may hold a secret."""

    recipient_id: int
    park: str
    firm: str | None
    name: str
    channel: str
    address: str = field(repr=False)
    locale: str
    min_severity: str


async def list_recipients(connection: Connection, park: str | None = None) -> list[NamedRecipient]:
    """Return who is told anything of a park (by code) or of all."""
    rows = await connection.fetch(queries("outbox")["recipients_listed"], park)
    return [NamedRecipient(**dict(row)) for row in rows]


async def remove_recipient(connection: Connection, recipient_id: int) -> int:
    """Tell somebody nothing more and forget the address; return how many waiting messages that gave up.

    What was sent stays on record.

    Raises:
        UnknownNameError: no such recipient, or removed before.
    """
    sql = queries("outbox")
    async with connection.transaction():
        if await connection.fetchval(sql["remove_recipient"], recipient_id) is None:
            raise UnknownNameError("recipient", str(recipient_id))
        return len(await connection.fetch(sql["expire_of_recipient"], recipient_id))


async def enqueue(
    connection: Connection,
    *,
    episode_id: int,
    transition_id: int,
    recipient_id: int,
    dedupe_key: str,
    body: dict[str, Any],
    due: datetime,
    expires: datetime,
) -> None:
    """Put a message into the outbox, in the caller's transaction; a key that is there already changes nothing."""
    await connection.execute(
        queries("outbox")["enqueue"], episode_id, transition_id, recipient_id, dedupe_key, body, due, expires
    )


async def claim(
    connection: Connection, now: datetime, *, limit: int, lease_s: float, busy: Collection[int] = ()
) -> list[Message]:
    """Take at most `limit` due messages, one per recipient and none of the `busy` ones, for `lease_s` seconds."""
    rows = await connection.fetch(queries("outbox")["claim"], now, limit, lease_s, list(busy))
    return [Message(**dict(row)) for row in rows]


async def mark_delivered(connection: Connection, outbox_id: int, at: datetime) -> None:
    """Note that the receiver took it."""
    await connection.execute(queries("outbox")["delivered"], outbox_id, at)


async def mark_retry(connection: Connection, outbox_id: int, next_attempt: datetime, error: str) -> None:
    """Note why it failed and when to try again."""
    await connection.execute(queries("outbox")["retry"], outbox_id, next_attempt, error)


async def mark_refused(connection: Connection, outbox_id: int, error: str) -> None:
    """Note that the receiver will never take it."""
    await connection.execute(queries("outbox")["refused"], outbox_id, error)


async def expire(connection: Connection, now: datetime) -> int:
    """Give up what is past its time and return how many messages that were."""
    return len(await connection.fetch(queries("outbox")["expire"], now))


async def backlog(connection: Connection) -> Backlog:
    """Return what waits."""
    return Backlog(**dict(await connection.fetchrow(queries("outbox")["backlog"])))
