"""The senders of a benchmark: simulated edges that keep the wire contract, each over its own connection.

Every reading is a function of its edge, batch and place, so nothing that was sent needs to be kept to be sent again.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge.buffer import new_boot
from park.wire import MSGPACK, Channel, Committed, Topic, decode_committed, parse_topic
from simulators.load import LoadPlan, Payloads
from simulators.mqtt import Publisher, length, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from park.definition import ParkDefinition

_EDGE: Final = "gw1"
_TURN_S: Final = 0.005
_PING_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Who sends what: each round, every edge sends each of its points once, `size` readings to a message.

    Attributes:
        size: readings per message; divides `points`.
    """

    edges: int
    points: int
    size: int

    @property
    def park(self) -> str:
        """Return the park's code; parks of other sizes may stand beside it."""
        return f"bench{self.size}"

    @property
    def parts(self) -> int:
        """Return an edge's messages in a round."""
        return self.points // self.size

    @property
    def messages(self) -> int:
        """Return all messages of a round."""
        return self.edges * self.parts

    @property
    def users(self) -> list[tuple[str, str, str]]:
        """Return (park, firm, edge) of every edge; each belongs to a firm of its own."""
        return [(self.park, self._plan.address(edge).firm, _EDGE) for edge in range(self.edges)]

    @property
    def _plan(self) -> LoadPlan:
        # One "edge" of the plan for each message of a round: `Payloads` makes one payload for each.
        return LoadPlan(self.messages, self.size, 1.0, 1.0, park=self.park, firms=self.edges)

    def payloads(self, boot: str) -> Payloads:
        """Return the maker of payloads; its edge `part * edges + edge` is a part of an edge's round."""
        return Payloads(self._plan, boot)

    def definition(self, valid_from: datetime) -> ParkDefinition:
        """Return the park, with all points of a firm at one edge."""
        replace = msgspec.structs.replace
        park = self._plan.definition(valid_from)
        firms = [
            replace(firm, edges=[_EDGE], points=[replace(point, edge=_EDGE) for point in firm.points])
            for firm in park.firms
        ]
        return replace(park, firms=firms)


@dataclass(frozen=True, slots=True)
class Timing:
    """When readings are taken: round `r`, message `k` of `n` at `start_ms + (r + k/n · spread) · interval_ms`."""

    start_ms: float
    interval_ms: float
    spread: bool = True

    def ms(self, rounds: NDArray[np.int64], place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the times of messages at a place in [0, 1) of their round."""
        part = place if self.spread else np.zeros_like(place)
        return self.start_ms + (rounds.astype(np.float64) + part) * self.interval_ms


class Senders:
    """All edges of a shape, connected.

    Attributes:
        sent: distinct messages sent so far; each edge has sent `seq` 0, 1, 2 … without a hole.
        acknowledged: messages that the broker has taken, repetitions included.
        again: messages sent once more.
        covered, marks: by edge, how many of its batches are committed, and its newest watermark.
    """

    def __init__(self, shape: Shape, timing: Timing, boot: str) -> None:
        self.shape, self.timing, self.boot = shape, timing, boot
        self.sent = self.acknowledged = self.again = 0
        self.covered = np.zeros(shape.edges, np.int64)
        self.marks: list[Committed] = [Committed(boot, 0)] * shape.edges
        self._payloads = shape.payloads(boot)
        self._order = np.arange(shape.messages)
        self._edge_of = self._order % shape.edges
        self._part_of = self._order // shape.edges
        self._firms = {firm: edge for edge, (_, firm, _) in enumerate(shape.users)}
        self._heads = [text(str(Topic(*user, Channel.DATA))) for user in shape.users]
        content = b"\x03" + text(MSGPACK)
        self._properties = length(len(content)) + content
        self._links: list[Publisher] = []
        self._pings: asyncio.Task[None] | None = None

    async def open(self, port: int, passwords: Sequence[str]) -> None:
        """Connect every edge, and subscribe to its watermarks.

        Raises:
            LoadError: the broker refuses one.
        """
        loop = asyncio.get_running_loop()
        for user, password in zip(self.shape.users, passwords, strict=True):
            _, link = await loop.create_connection(self._publisher("/".join(user), password), "127.0.0.1", port)
            self._links.append(link)
            await link.connected()
            link.subscribe(str(Topic(*user, Channel.COMMITTED)))
        self._pings = asyncio.create_task(self._keep_alive(), name="bench pings")

    def close(self) -> None:
        """Close every connection."""
        if self._pings is not None:
            self._pings.cancel()
        for link in self._links:
            link.close()

    @property
    def outstanding(self) -> int:
        """Messages that no watermark covers yet."""
        return self.sent - int(self.covered.sum())

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker has not taken yet."""
        return sum(link.unacknowledged for link in self._links)

    def send_to(self, count: int) -> None:
        """Send on until `count` messages have been sent in all."""
        first = self.sent
        if count > first:
            self._send(np.arange(first, count))
            self.sent = count

    async def as_fast_as_taken(self, window: int, until: Callable[[], bool]) -> None:
        """Send whenever fewer than `window` messages are not covered."""
        chunk = max(1, min(self.shape.messages, window // 8, 500))
        while not until():
            while self.outstanding + chunk <= window:
                self.send_to(self.sent + chunk)
                await asyncio.sleep(0)
            await asyncio.sleep(_TURN_S)

    async def paced(self, until: Callable[[], bool], *, most_unacknowledged: int = 1_000_000) -> float:
        """Send each message when its readings are due; return how far we fell behind at most, in seconds.

        Beyond `most_unacknowledged` messages that the broker has not taken, what is due waits.
        """
        per_ms = self.shape.messages / self.timing.interval_ms
        behind_s = 0.0
        while not until():
            due = int((time.time() * 1000 - self.timing.start_ms) * per_ms)
            while self.sent < due and self.unacknowledged < most_unacknowledged and not until():
                self.send_to(min(due, self.sent + 500))
                await asyncio.sleep(0)
            late_ms = time.time() * 1000 - self.timing.start_ms - self.sent / per_ms
            behind_s = max(behind_s, late_ms / 1000)
            await asyncio.sleep(_TURN_S)
        return behind_s

    def skip_to(self, count: int) -> None:
        """Count messages as made that are not sent yet: they are for `send_again`."""
        self.sent = max(self.sent, count)

    def send_again(self, edge: int, seqs: NDArray[np.int64]) -> None:
        """Send batches of an edge once more, as they were."""
        self._send(seqs // self.shape.parts * self.shape.messages + seqs % self.shape.parts * self.shape.edges + edge)
        self.again += len(seqs)

    def due_ms(self, edge: int, seqs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when the readings of an edge's batches were taken."""
        shape = self.shape
        place = (seqs % shape.parts * shape.edges + edge) / shape.messages
        return self.timing.ms(seqs // shape.parts, place)

    def batches_of(self, edge: int) -> int:
        """Return how many batches an edge has sent."""
        rounds, rest = divmod(self.sent, self.shape.messages)
        return rounds * self.shape.parts + int(np.count_nonzero(self._edge_of[:rest] == edge))

    def _send(self, numbers: NDArray[np.int64]) -> None:
        """Send messages by their number, counted from 0 over all rounds."""
        shape = self.shape
        rounds, order = np.divmod(numbers, shape.messages)
        edges, parts = self._edge_of[order], self._part_of[order]
        due_ms = np.rint(self.timing.ms(rounds, order / shape.messages)).astype(np.int64)
        payloads = self._payloads.build(order, rounds * shape.parts + parts, due_ms, int(time.time() * 1000))
        links, heads, properties = self._links, self._heads, self._properties
        for edge, payload in zip(edges.tolist(), payloads, strict=True):
            links[edge].publish(heads[edge], properties + payload, 0)
        for edge in set(edges.tolist()):
            links[edge].flush()

    def _publisher(self, user: str, password: str) -> Callable[[], Publisher]:
        return lambda: Publisher(f"bench-{user}", user, password, self._on_acknowledged, self._on_watermark)

    def _on_acknowledged(self, _tag: int) -> None:
        self.acknowledged += 1

    def _on_watermark(self, topic: str, payload: bytes) -> None:
        watermark = decode_committed(payload)
        if watermark.boot == self.boot:
            edge = self._firms[parse_topic(topic).firm]
            extent = watermark.floor + sum(after - first for first, after in watermark.ranges)
            if extent > self.covered[edge]:
                self.covered[edge], self.marks[edge] = extent, watermark

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            for link in self._links:
                link.ping()


def fresh_boot(random: bytes) -> str:
    """Return a name for one run of the senders."""
    return new_boot(int(time.time() * 1000), random)
