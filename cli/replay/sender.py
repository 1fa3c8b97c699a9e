"""Batches to the broker, as an edge sends them, until the watermark says that the database has them all.

The boot names what the file says, and `seq` the chunk, so the watermark of an earlier run tells what need not be sent,
and what is sent twice is recognised.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cli.errors import BrokerAwayError, BrokerRefusedError
from cli.mqtt import Session, linked
from cli.replay.errors import SendError
from park.errors import PayloadError
from park.wire import MSGPACK, Channel, Committed, decode_committed, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.mqtt import Link
    from cli.replay.rows import Readings
    from ingest.inbox import Address
    from park.wire import Topic

_RETAINED_S: Final = 1.0
_LOOK_S: Final = 0.5
_LONGEST_WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast, and how patiently.

    Attributes:
        window: batches under way at most, from when they are sent until the watermark covers them: it bounds what
            waits at the broker for an ingest that is away.
        resend_after_s: a batch that is not covered for so long is sent again.
        stall_s: nothing covered for so long is an error.
    """

    window: int = 16
    resend_after_s: float = 15.0
    stall_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What a run did, in readings.

    Attributes:
        sent: published now, each counted once.
        covered: not published, because the watermark had them.
    """

    sent: int
    covered: int


class Sender:
    """Sends the chunks of a file.

    Args:
        address: the broker, and whom to be there.
        topic: the edge's data topic.
        readings: what to send.
        boot: see `boot_of`.
        known: what the database itself said to have of this boot. Without a database it is None, and then the
            broker's retained watermark counts.
        on_covered: told of readings that are found to be in the database.
        now_ms: our clock.
    """

    def __init__(
        self,
        address: Address,
        topic: Topic,
        readings: Readings,
        boot: str,
        *,
        known: Committed | None,
        on_covered: Callable[[int], None] = lambda _: None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        ca_file: str | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._address = address
        self._topic = topic
        self._readings = readings
        self._boot = boot
        self._ask_broker = known is None
        self._on_covered = on_covered
        self._now_ms = now_ms
        self._ca_file = ca_file
        self._pace = pace or Pace()
        self._left = dict.fromkeys(range(readings.chunks))
        self._flights: dict[int, float] = {}
        self._published: set[int] = set()
        self._changed = asyncio.Event()
        self._progress_s = time.monotonic()
        if known is not None:
            self._cover(known)

    async def run(self) -> Sent:
        """Send until everything is covered.

        Raises:
            BrokerAwayError: nobody answers at the first attempt.
            BrokerRefusedError: the log-in is refused.
            SendError: the broker refuses the readings, or nobody confirms them.
        """
        failures = 0
        self._progress_s = time.monotonic()
        while self._left:
            # A name of its own for each connection: two runs at once must not end each other's.
            session = Session(f"replay-{secrets.token_hex(6)}", ca_file=self._ca_file)
            try:
                async with linked(self._address, session) as link:
                    failures = 0
                    await self._converse(link)
            except BrokerAwayError as error:
                if not self._published and not failures:
                    raise
                failures += 1
                self._complain_if_stalled(str(error))
                await asyncio.sleep(min(0.2 * 2.0**failures, _LONGEST_WAIT_S) * random.uniform(0.5, 1.0))
            self._flights.clear()
        sizes = {chunk: self._readings.size(chunk) for chunk in range(self._readings.chunks)}
        sent = sum(sizes[chunk] for chunk in self._published)
        return Sent(sent, sum(sizes.values()) - sent)

    async def _converse(self, link: Link) -> None:
        committed = str(self._topic.to(Channel.COMMITTED))
        if await link.subscribe(committed) >= 0x80:
            raise SendError(f"the broker refuses a subscription to {committed}: {self._advice()}")
        listening = asyncio.create_task(self._listen(link), name="replay watermark")
        try:
            if self._ask_broker:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RETAINED_S):
                        await self._changed.wait()
            await self._push(link)
        except BrokerRefusedError as error:
            raise SendError(f"{error}: {self._advice()}") from None
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _advice(self) -> str:
        return f"log in as {self._topic.user!r}, the edge's own user, or as one that may publish for it"

    async def _listen(self, link: Link) -> None:
        while True:
            message = await link.messages.get()
            # The database's own word stands above what the broker kept, perhaps of another database.
            if message.retained and not self._ask_broker:
                continue
            with suppress(PayloadError):
                self._cover(decode_committed(message.payload))
            self._changed.set()

    def _cover(self, committed: Committed) -> None:
        covered = [chunk for chunk in self._left if committed.covers(self._boot, chunk)]
        for chunk in covered:
            del self._left[chunk]
            self._flights.pop(chunk, None)
        if covered:
            self._progress_s = time.monotonic()
            self._on_covered(sum(self._readings.size(chunk) for chunk in covered))

    async def _push(self, link: Link) -> None:
        while self._left:
            chunk = self._next()
            if chunk is None:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._changed.wait()
                if link.lost.is_set():
                    raise BrokerAwayError("the connection to the broker is lost")
                self._complain_if_stalled("")
                continue
            self._flights[chunk] = time.monotonic()
            self._published.add(chunk)
            batch = self._readings.batch(chunk, self._boot, self._now_ms())
            heard = await link.publish(str(self._topic), encode(batch, MSGPACK), content_type=MSGPACK)
            if not heard:
                # Ingest has never subscribed: the broker has dropped it, and would drop the others.
                self._flights.pop(chunk, None)
                self._complain_if_stalled("nobody is subscribed")
                await asyncio.sleep(_LOOK_S)

    def _next(self) -> int | None:
        """Return what to send now: what is overdue, else what comes next while the window has room."""
        overdue_s = time.monotonic() - self._pace.resend_after_s
        for chunk, sent_s in self._flights.items():
            if sent_s < overdue_s:
                return chunk
        if len(self._flights) >= self._pace.window:
            return None
        return next((chunk for chunk in self._left if chunk not in self._flights), None)

    def _complain_if_stalled(self, why: str) -> None:
        waited_s = time.monotonic() - self._progress_s
        if waited_s > self._pace.stall_s:
            raise SendError(
                f"{len(self._left)} of {self._readings.chunks} batches are not confirmed, none for {waited_s:.0f} s"
                f"{f' ({why})' if why else ''}: see that `greenpark run ingest` runs on this broker, then run the same"
                " command again; it goes on where the database is"
            )
