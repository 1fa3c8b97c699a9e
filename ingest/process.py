"""One ingest worker: take, decode, commit, acknowledge, tell.

Several lanes do this side by side, each with a connection of its own: while one commits, another decodes. Workers may
be added and killed at any time; what was not acknowledged comes again, and is recognised if it had been committed.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from ingest import metrics
from ingest.commit import Arrival, Outcome, Writer
from ingest.decode import MENDABLE, Readings, Rejected, decode
from ingest.directory import Directory
from ingest.inbox import Inbox
from ingest.watermarks import Watermarks
from store.errors import UnreachableError
from store.migrations import check_schema
from store.pool import connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.decode import Decoded
    from ingest.link import Message
    from ingest.settings import IngestSettings

log = structlog.get_logger()

_QUIET_S = 2.0
_QUIET_TURNS = 20
_DECODED_A_TURN = 500
"""Messages decoded before other tasks get their turn."""


async def run(settings: IngestSettings, *, stop: asyncio.Event) -> None:
    """Run one worker until `stop` is set.

    Waits for a database or a broker that is away, at the start as well as later.

    Raises:
        SettingsError: a setting is wrong.
        BrokerError: the broker refuses us at the first attempt.
        SchemaError: the database is not at this program's migration.
    """
    worker = Worker(settings)
    work = asyncio.create_task(worker.run(), name="ingest-worker")
    stopping = asyncio.create_task(stop.wait(), name="ingest-stop")
    try:
        await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        for task in (work, stopping):
            task.cancel()
        await asyncio.gather(work, stopping, return_exceptions=True)


async def retire(settings: IngestSettings) -> bool:
    """Take a worker that will not come back out of the group: store what the broker keeps for it, then be forgotten.

    Needed because the broker goes on dealing messages to a worker that is away, until its session expires. The worker
    itself must not be running. False if the broker knew no such worker.

    Raises: as `run`.
    """
    worker = Worker(settings, leaving=True)
    work = asyncio.create_task(worker.run(), name="ingest-worker")
    drained = asyncio.create_task(worker.drain(), name="ingest-drain")
    try:
        await asyncio.wait((work, drained), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        return drained.result()
    finally:
        for task in (work, drained):
            task.cancel()
        await asyncio.gather(work, drained, return_exceptions=True)


class Worker:
    """The parts of a worker and how they go together."""

    def __init__(self, settings: IngestSettings, *, leaving: bool = False) -> None:
        self._settings = settings
        self._chance = random.Random()
        name = f"greenpark ingest {settings.worker}"
        self._name = name
        self._inbox = Inbox(settings, self._chance, leaving=leaving)
        self._directory = Directory(settings.database_url, name=name)
        self._watermarks = Watermarks(
            self._inbox.publish,
            self._directory.address,
            settings.watermark_interval_s,
        )
        self._summary = Outcome()
        self._messages = 0

    async def run(self) -> None:
        """Work until cancelled."""
        await self._await_database()
        async with AsyncExitStack() as stack:
            stack.callback(self._directory.close)
            try:
                async with asyncio.TaskGroup() as tasks:
                    for lane in range(self._settings.lanes):
                        tasks.create_task(self._lane(), name=f"ingest-lane-{lane}")
                    tasks.create_task(self._watermarks.run(), name="ingest-watermarks")
                    tasks.create_task(self._renew(), name="ingest-registry")
                    tasks.create_task(self._summarise(), name="ingest-summary")
                    tasks.create_task(self._inbox.run(), name="ingest-inbox")
            except BaseExceptionGroup as group:
                # One failure is what the caller can act on; the others are its echo.
                raise group.exceptions[0] from None

    async def drain(self) -> bool:
        """Wait until nothing has come for a while and all is acknowledged, then end the session at the broker.

        False if the broker had kept no session.
        """
        quiet = 0
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(_QUIET_S / _QUIET_TURNS)
            busy = not self._inbox.connected or self._inbox.unacked[0] > 0 or self._watermarks.pending > 0
            quiet = 0 if busy else quiet + 1
        self._inbox.end_session()
        return self._inbox.resumed

    async def _await_database(self) -> None:
        failures = 0
        while True:
            try:
                async with connected(self._settings.database_url, application=self._name) as connection:
                    await check_schema(connection)
                await self._directory.refresh()
            except UnreachableError as error:
                _heed_cancellation(error)
                failures += 1
                wait_s = min(0.2 * 2 ** min(failures, 6), 5.0) * self._chance.uniform(0.5, 1.0)
                log.warning("database_away", error=str(error), next_try_s=round(wait_s, 2))
                await asyncio.sleep(wait_s)
            else:
                return

    async def _lane(self) -> None:
        settings = self._settings
        writer = Writer(
            settings.database_url, self._chance, transaction_limit_s=settings.transaction_limit_s, name=self._name
        )
        try:
            while True:
                messages = await self._inbox.take(settings.max_messages, settings.linger_s)
                arrivals = await self._decode(messages)
                outcome = await writer.write(arrivals, self._directory.registry.firm_of)
                self._inbox.ack(messages)
                self._watermarks.note(outcome.watermarks)
                self._account(messages, arrivals, outcome, writer)
        finally:
            await writer.close()

    async def _decode(self, messages: Sequence[Message]) -> list[Arrival]:
        arrivals: list[Arrival] = []
        registry = self._directory.registry
        for n, message in enumerate(messages, start=1):
            arrivals.append(self._decoded(message.topic, message.payload, message.content_type))
            if n % _DECODED_A_TURN == 0:
                await asyncio.sleep(0)
        unknown = [n for n, arrival in enumerate(arrivals) if _mendable(arrival.decoded)]
        if unknown:
            # One cheap question for each transaction at most, however many unknown points there are.
            await self._renewed()
            # Another lane may have renewed it meanwhile: what counts is whether it is another than we began with.
            if self._directory.registry is not registry:
                for n in unknown:
                    arrival = arrivals[n]
                    arrivals[n] = self._decoded(arrival.topic, arrival.payload, arrival.content_type)
        return arrivals

    def _decoded(self, topic: str, payload: bytes, content_type: str | None) -> Arrival:
        decoded = decode(
            topic,
            payload,
            content_type,
            self._directory.registry,
            time.time_ns() // 1_000_000,
            future_limit_ms=int(self._settings.future_limit_s * 1_000),
        )
        return Arrival(topic, payload, content_type, decoded)

    async def _renewed(self) -> None:
        """Renew the registry before somebody is called unknown; waits while the database is away."""
        while True:
            try:
                await self._directory.refresh()
            except UnreachableError as error:
                _heed_cancellation(error)
                log.warning("registry_unreachable", error=str(error))
                await asyncio.sleep(self._chance.uniform(0.5, 1.5))
            else:
                return

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._settings.registry_interval_s)
            await self._renewed()

    def _account(
        self, messages: Sequence[Message], arrivals: Sequence[Arrival], outcome: Outcome, writer: Writer
    ) -> None:
        now = time.time()
        lag_s = now - messages[0].received
        metrics.MESSAGES.inc(len(messages))
        metrics.READINGS.inc(outcome.readings)
        metrics.DUPLICATES.inc(outcome.duplicates)
        metrics.CONFLICTS.inc(outcome.conflicts)
        metrics.COLLISIONS.inc(outcome.collisions)
        for reason, count in outcome.quarantined.items():
            metrics.QUARANTINED.labels(reason.value).inc(count)
        for duration_s in writer.transactions_s:
            metrics.TRANSACTION_S.observe(duration_s)
        metrics.TRANSACTION_MESSAGES.observe(len(messages))
        metrics.TRANSACTION_READINGS.observe(outcome.readings)
        metrics.LAG_S.observe(max(lag_s, 0.0))
        sent = next((d.sent_ms for a in reversed(arrivals) if isinstance(d := a.decoded, Readings) and d.sent_ms), None)
        if sent is not None:
            metrics.SENT_LAG_S.set(now - sent / 1_000)
        log.debug(
            "committed",
            messages=len(messages),
            batches=outcome.batches,
            readings=outcome.readings,
            duplicates=outcome.duplicates,
            conflicts=outcome.conflicts,
            quarantined=sum(outcome.quarantined.values()),
            transactions=len(writer.transactions_s),
            transaction_s=round(sum(writer.transactions_s), 4),
            lag_s=round(lag_s, 4),
        )
        writer.transactions_s.clear()
        outcome.watermarks = []
        self._summary.add(outcome)
        self._messages += len(messages)

    async def _summarise(self) -> None:
        next_log = time.monotonic() + self._settings.summary_interval_s
        published = 0
        while True:
            await asyncio.sleep(1.0)
            unacked, unacked_bytes = self._inbox.unacked
            metrics.UNACKED_MESSAGES.set(unacked)
            metrics.UNACKED_BYTES.set(unacked_bytes)
            metrics.CONNECTED.set(self._inbox.connected)
            metrics.EDGES.set(len(self._directory.registry.topics))
            metrics.WATERMARKS_PENDING.set(self._watermarks.pending)
            metrics.WATERMARKS.inc(self._watermarks.published - published)
            published = self._watermarks.published
            if time.monotonic() >= next_log:
                next_log += self._settings.summary_interval_s
                summary, self._summary = self._summary, Outcome()
                messages, self._messages = self._messages, 0
                log.info(
                    "ingest_summary",
                    messages=messages,
                    readings=summary.readings,
                    duplicates=summary.duplicates,
                    conflicts=summary.conflicts,
                    quarantined={reason.value: count for reason, count in summary.quarantined.items()},
                    unacked=unacked,
                    connected=self._inbox.connected,
                )


def _heed_cancellation(error: Exception) -> None:
    """Go on with a cancellation that came out as the failure of a dying connection."""
    if (task := asyncio.current_task()) is not None and task.cancelling():
        raise asyncio.CancelledError from error


def _mendable(decoded: Decoded) -> bool:
    why = decoded if isinstance(decoded, Rejected) else decoded.rejected if isinstance(decoded, Readings) else None
    return why is not None and why.reason in MENDABLE
