"""From the outbox to the receivers.

A message is claimed for a lease, sent outside any transaction, then marked. A worker that dies in between leaves it to
be sent again under the same key (at least once; the receiver that keeps keys has it once). Each recipient has at most
one message under way in a worker, and they are sent side by side, so a slow receiver keeps nobody else waiting. What
quiet hours or a recipient's limit hold back goes to `alerts.summary`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from alerts import metrics
from alerts.errors import ChannelError, RefusedError
from alerts.notices import channel_works
from alerts.pacing import Hold, verdict
from store import outbox, recipients

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from alerts.channels import Channel
    from alerts.settings import AlertsSettings
    from store.outbox import Message
    from store.pool import Connection, Pool

    Clock = Callable[[], datetime]
    Chance = Callable[[], float]
    """A number from 0 up to 1."""

_log = structlog.get_logger()


def pause_s(attempts: int, chance: float, *, first_s: float, longest_s: float) -> float:
    """Return how long to wait after the `attempts`-th failure: doubling, bounded, and spread over its upper half.

    The spread (`chance` from 0 to 1) keeps messages that failed together from coming back together.
    """
    whole_s = min(first_s * 2.0 ** min(attempts - 1, 60), longest_s)
    return whole_s * (0.5 + 0.5 * chance)


async def rung_within(bell: asyncio.Event, seconds: float) -> None:
    """Wait until the bell rings, at most so long.

    `asyncio.wait_for` would lose a cancellation that comes in the same turn of the loop as the bell (Python 3.11), and
    its caller would go on for ever.
    """
    ringing = asyncio.create_task(bell.wait(), name="bell")
    try:
        await asyncio.wait({ringing}, timeout=seconds)
    finally:
        ringing.cancel()


class Delivery:
    """Sends due messages, a bounded number at a time.

    Args:
        pool: of the store.
        channels: by name, as `recipient.channel` names them.
        settings: limits and times.
        clock: returns now, UTC.
        chance: returns a random number from 0 to 1.
    """

    def __init__(
        self, pool: Pool, channels: Mapping[str, Channel], settings: AlertsSettings, clock: Clock, chance: Chance
    ) -> None:
        """Keep what the work needs; nothing is opened here."""
        self._pool = pool
        self._channels = channels
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._busy: set[int] = set()

    async def run(self, rung: asyncio.Event) -> None:
        """Deliver until cancelled. `rung` is set when there may be something due, also by a message that is done.

        Raises:
            asyncpg errors and OSError: the database went away; what was under way is cancelled, its lease will end.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                rung.clear()
                for message in await self._claim(rung):
                    self._busy.add(message.recipient_id)
                    group.create_task(self._deliver(message, rung), name=f"deliver {message.outbox_id}")
                await rung_within(rung, self._settings.deliver_every_s)

    async def _claim(self, rung: asyncio.Event) -> list[Message]:
        now = self._clock()
        async with self._pool.acquire() as connection:
            await self._expire(connection, now)
            waiting = await outbox.backlog(connection)
            free = self._settings.in_flight - len(self._busy)
            lease_s = self._settings.send_timeout_s + self._settings.lease_margin_s
            found = (
                await outbox.claim(connection, now, limit=free, lease_s=lease_s, busy=self._busy)
                if free > 0 and waiting.waiting
                else []
            )
            wanted = []
            for message in found:
                hold = verdict(message, now, summary_every_s=self._settings.summary_every_s)
                if hold is None:
                    wanted.append(message)
                else:
                    await self._hold(connection, message, hold, now)
                    rung.set()  # there may be another one for the same recipient that may go
        metrics.WAITING.set(waiting.waiting)
        metrics.OLDEST_WAITING_SECONDS.set(
            0 if waiting.oldest is None else max((now - waiting.oldest).total_seconds(), 0)
        )
        return wanted

    async def _expire(self, connection: Connection, now: datetime) -> None:
        """Give up what is past its time; where the receiver was at fault, that is a failing channel."""
        gone = await outbox.expire(connection, now)
        if not gone:
            return
        for one in gone:
            if one.last_error is not None:
                await recipients.note_failure(connection, one.recipient_id, now, one.last_error, refused=True)
        metrics.EXPIRED.inc(len(gone))
        _log.error("messages_expired", count=len(gone), advice="see last_error in the outbox")

    async def _hold(self, connection: Connection, message: Message, hold: Hold, now: datetime) -> None:
        count = await outbox.hold(
            connection, message.outbox_id, until=hold.until, reason=hold.reason, severities=hold.severities, now=now
        )
        metrics.HELD.labels(hold.reason).inc(count)
        _log.debug(
            "messages_held", recipient_id=message.recipient_id, reason=hold.reason, count=count, until=str(hold.until)
        )

    async def _deliver(self, message: Message, rung: asyncio.Event) -> None:
        """Send one message and note what became of it."""
        started = time.perf_counter()
        try:
            failure = await self._send(message)
            seconds = time.perf_counter() - started
            async with self._pool.acquire() as connection, connection.transaction():
                result = await self._note(connection, message, failure)
        finally:
            # Not before it is noted: the next message to the same recipient counts this one.
            self._busy.discard(message.recipient_id)
        rung.set()
        known = message.channel if message.channel in self._channels else "unknown"
        metrics.SENT.labels(known, result).inc()
        metrics.SEND_SECONDS.labels(known).observe(seconds)
        _log.debug(
            "message_sent",
            result=result,
            key=message.dedupe_key,
            channel=message.channel,
            recipient_id=message.recipient_id,
            attempts=message.attempts,
            seconds=round(seconds, 3),
            error=None if failure is None else str(failure),
        )

    async def _note(self, connection: Connection, message: Message, failure: ChannelError | None) -> str:
        now = self._clock()
        if failure is None:
            await outbox.mark_delivered(connection, message.outbox_id, now)
            failed_since = await recipients.note_success(connection, message.recipient_id)
            if failed_since is not None:
                await channel_works(connection, self._settings, message.recipient_id, failed_since, now)
            return "delivered"
        refused = isinstance(failure, RefusedError)
        await recipients.note_failure(connection, message.recipient_id, now, str(failure), refused=refused)
        if refused:
            await outbox.mark_refused(connection, message.outbox_id, str(failure))
            return "refused"
        await outbox.mark_retry(connection, message.outbox_id, self._again(message, failure), str(failure))
        return "failed"

    async def _send(self, message: Message) -> ChannelError | None:
        channel = self._channels.get(message.channel)
        if channel is None:
            known = ", ".join(sorted(self._channels))
            return ChannelError(f"no channel {message.channel!r} here; known are {known}")
        try:
            await channel.send(message.address, message.body, key=message.dedupe_key)
        except ChannelError as error:
            return error
        return None

    def _again(self, message: Message, failure: ChannelError) -> datetime:
        wait_s = pause_s(
            message.attempts,
            self._chance(),
            first_s=self._settings.backoff_s,
            longest_s=self._settings.backoff_max_s,
        )
        return self._clock() + timedelta(seconds=max(wait_s, min(failure.retry_after_s or 0.0, 3600.0)))
