"""Messages that could not be taken: held with the reason, until somebody replays or discards them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from park.wire import MAX_PAYLOAD_BYTES
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store.pool import Connection

State = Literal["held", "replayed", "discarded"]


class Held(NamedTuple):
    """A message to hold. park_id and firm_id are None where they are not known."""

    park_id: int | None
    firm_id: int | None
    topic: str
    content_type: str | None
    payload: bytes
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message in quarantine; the payload is empty in lists."""

    quarantine_id: int
    received: datetime
    park_id: int | None
    firm_id: int | None
    topic: str
    content_type: str | None
    reason: str
    detail: str
    times_seen: int
    state: State
    resolved: datetime | None
    payload_bytes: int
    payload: bytes = b""


async def hold(connection: Connection, messages: Sequence[Held]) -> None:
    """Put messages into quarantine; one that is there already is counted.

    Texts are made storable, and a payload above the wire's limit is cut: it can never be taken, only looked at.
    """
    if not messages:
        return
    rows: dict[bytes, tuple[Held, int]] = {}
    for message in messages:
        clean = message._replace(
            topic=storable(message.topic),
            content_type=None if message.content_type is None else storable(message.content_type),
            payload=message.payload[: MAX_PAYLOAD_BYTES + 1],
            detail=storable(message.detail)[:2_000],
        )
        fingerprint = _fingerprint(message)
        rows[fingerprint] = (clean, rows[fingerprint][1] + 1 if fingerprint in rows else 1)
    held = [message for message, _ in rows.values()]
    columns = [list(column) for column in zip(*held, strict=True)]
    await connection.execute(queries("quarantine")["hold"], *columns, list(rows), [times for _, times in rows.values()])


def storable(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold: NUL and unpaired surrogates become escapes."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def _fingerprint(message: Held) -> bytes:
    digest = hashlib.sha256()
    for part in (message.topic, message.content_type or ""):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    digest.update(message.payload)
    return digest.digest()


async def list_held(
    connection: Connection,
    *,
    state: State | None = "held",
    reason: str | None = None,
    topic_prefix: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[HeldMessage]:
    """Return messages without their payloads, oldest first; page on with `after` = the last id seen."""
    rows = await connection.fetch(queries("quarantine")["listed"], state, reason, topic_prefix, after, limit)
    return [HeldMessage(**dict(row)) for row in rows]


async def held_message(connection: Connection, quarantine_id: int) -> HeldMessage | None:
    """Return one message with its payload."""
    row = await connection.fetchrow(queries("quarantine")["one"], quarantine_id)
    return None if row is None else HeldMessage(**dict(row))


async def resolve(connection: Connection, quarantine_id: int, state: State) -> None:
    """Say what became of a message."""
    await connection.execute(queries("quarantine")["resolve"], quarantine_id, state)


async def held_counts(connection: Connection) -> dict[str, int]:
    """Return how many messages are held, by reason."""
    return {row["reason"]: row["messages"] for row in await connection.fetch(queries("quarantine")["counts"])}
