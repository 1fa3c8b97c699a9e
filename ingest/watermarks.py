"""Telling edges what the database has: the committed watermark, down to `…/committed`.

Every transaction's watermarks come here, also where nothing was new: an edge that sends again has missed the answer.
They are published at most once per edge and interval, the newest boot's retained. What could not be published stays
until it can. A worker never publishes less than it has published before; of two workers one may for a moment tell of
less than the other has told, which only makes an edge wait, or send again and be told.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from ingest.errors import NotConnectedError
from park.wire import Channel, Committed, Topic, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from store.edge_states import Watermark

MAX_RANGES: Final = 500
"""Ranges in one message; an edge keeps what is not named a little longer."""


class Publish(Protocol):
    """`Inbox.publish`."""

    async def __call__(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish, or raise `NotConnectedError`."""


def message_of(watermark: Watermark) -> Committed:
    """Return the wire's form of a watermark."""
    return Committed(watermark.boot, watermark.floor, list(watermark.ranges[:MAX_RANGES]))


def extent(watermark: Watermark) -> int:
    """Return how many batches a watermark covers: of two of the same boot, the larger contains the smaller."""
    return watermark.floor + sum(after - first for first, after in watermark.ranges)


class Watermarks:
    """What is to be told, and the task that tells it.

    Args:
        publish: how to.
        address: edge id to (park, firm, edge).
        interval_s: at most one message per edge in this time.
    """

    def __init__(
        self, publish: Publish, address: Callable[[int], tuple[str, str, str] | None], interval_s: float
    ) -> None:
        self._publish = publish
        self._address = address
        self._interval_s = interval_s
        self._pending: dict[tuple[int, str], Watermark] = {}
        self._told: dict[int, tuple[str, int]] = {}
        self._some = asyncio.Event()
        self.published = 0

    @property
    def pending(self) -> int:
        """How many watermarks are not published yet."""
        return len(self._pending)

    def note(self, watermarks: Iterable[Watermark]) -> None:
        """Have these published soon; of one boot the widest counts."""
        for watermark in watermarks:
            key = watermark.edge_id, watermark.boot
            known = self._pending.get(key)
            if known is None or extent(known) <= extent(watermark):
                self._pending[key] = watermark
        if self._pending:
            self._some.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            # Older boots first, so that the newest is what a broker without retained order shows last.
            ready = sorted(self._pending.values(), key=lambda watermark: watermark.newest)
            self._pending.clear()
            results = await asyncio.gather(*map(self._tell, ready))
            self.note(watermark for watermark, told in zip(ready, results, strict=True) if not told)
            await asyncio.sleep(self._interval_s)

    async def _tell(self, watermark: Watermark) -> bool:
        address = self._address(watermark.edge_id)
        if address is None:  # the edge was taken out of the registry
            return True
        boot, size = self._told.get(watermark.edge_id, ("", 0))
        if boot == watermark.boot and size > extent(watermark):
            return True
        try:
            await self._publish(
                str(Topic(*address, Channel.COMMITTED)), encode(message_of(watermark)), retain=watermark.newest
            )
        except NotConnectedError:
            return False
        self.published += 1
        if watermark.newest:
            self._told[watermark.edge_id] = watermark.boot, extent(watermark)
        return True
