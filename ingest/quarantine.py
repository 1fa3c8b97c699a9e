"""Quarantined messages looked at and, once their cause is mended, taken after all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from ingest.commit import Arrival, is_data_error, store
from ingest.decode import Readings, Registry, Rejected, decode
from ingest.errors import NotHeldError
from store import quarantine, registry
from store.quarantine import HeldMessage, list_held
from store.readings import open_staging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from store.pool import Connection

__all__ = ["HeldMessage", "Replayed", "discard", "list_held", "replay", "replay_all", "show"]

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Replayed:
    """What replaying one message did.

    Attributes:
        held: whether something in it is still wrong; `detail` says what.
        readings: newly stored, also when the message stays held because others in it are wrong.
        conflicts: readings kept aside because the stored one differs.
    """

    quarantine_id: int
    held: bool
    readings: int
    conflicts: int
    detail: str


async def show(connection: Connection, quarantine_id: int) -> HeldMessage:
    """Return a message with its payload, or raise `NotHeldError`."""
    message = await quarantine.held_message(connection, quarantine_id)
    if message is None:
        raise NotHeldError(quarantine_id, None)
    return message


async def discard(connection: Connection, quarantine_id: int) -> None:
    """Mark a held message as of no use, or raise `NotHeldError`; it is kept."""
    message = await show(connection, quarantine_id)
    if message.state != "held":
        raise NotHeldError(quarantine_id, message.state)
    await quarantine.resolve(connection, quarantine_id, "discarded")


async def replay(
    connection: Connection, quarantine_ids: Sequence[int], *, now_ms: int, future_limit_s: float = 600.0
) -> list[Replayed]:
    """Take held messages as if they came now, each in a transaction of its own.

    What is stored already changes nothing, so a replay may be repeated.

    Raises:
        NotHeldError: an id is not there, or its message is not held; those before it have been replayed.
    """
    await open_staging(connection)
    known = Registry(await registry.edges(connection))
    done = []
    for quarantine_id in quarantine_ids:
        message = await show(connection, quarantine_id)
        if message.state != "held":
            raise NotHeldError(quarantine_id, message.state)
        done.append(await _replay(connection, message, known, now_ms, int(future_limit_s * 1_000)))
    return done


async def replay_all(
    connection: Connection, *, now_ms: int, reason: str | None = None, topic_prefix: str | None = None
) -> AsyncIterator[Replayed]:
    """Replay every held message that fits, oldest first."""
    after = 0
    while page := await list_held(connection, reason=reason, topic_prefix=topic_prefix, after=after, limit=_PAGE):
        after = page[-1].quarantine_id
        for done in await replay(connection, [message.quarantine_id for message in page], now_ms=now_ms):
            yield done


async def _replay(
    connection: Connection, message: HeldMessage, known: Registry, now_ms: int, future_limit_ms: int
) -> Replayed:
    decoded = decode(
        message.topic, message.payload, message.content_type, known, now_ms, future_limit_ms=future_limit_ms
    )
    if isinstance(decoded, Rejected):
        return Replayed(message.quarantine_id, held=True, readings=0, conflicts=0, detail=decoded.detail)
    complaint = None
    if isinstance(decoded, Readings):
        complaint = decoded.rejected
        # It is in quarantine already: do not count it again.
        decoded = decoded._replace(rejected=None)
    arrival = Arrival(message.topic, message.payload, message.content_type, decoded)
    try:
        async with connection.transaction():
            outcome = await store(connection, [arrival], known.firm_of, replay=True)
            if complaint is None:
                await quarantine.resolve(connection, message.quarantine_id, "replayed")
    except (asyncpg.PostgresError, ValueError) as error:
        if not is_data_error(error, attempt=1):
            raise
        return Replayed(message.quarantine_id, held=True, readings=0, conflicts=0, detail=str(error))
    detail = "" if complaint is None else complaint.detail
    return Replayed(message.quarantine_id, complaint is not None, outcome.readings, outcome.conflicts, detail)
