"""Open-loop load: thousands of edges from one process, at a pace that the platform cannot slow down.

Each edge sends one batch of all its points every interval; the edges are spread evenly over the interval. Payloads are
templates into which times and values are written for many edges at once, so that generating is never the bottleneck.
Latency counts from the time a batch was due, not from when it could be sent.
"""

from __future__ import annotations

import asyncio
import resource
import struct
import time
from array import array
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec
import numpy as np

from edge.buffer import new_boot
from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
from park.points import Direction, Kind
from park.wire import JSON, MAX_READINGS, MSGPACK, Batch, Channel, Topic, decode_committed, encode, parse_topic
from simulators.errors import LoadError, SimulatorError
from simulators.mqtt import Publisher, length, text
from simulators.noise import key, raw, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_SLICE_S: Final = 0.02
_CARRIERS: Final = (
    ("electricity", "kWh", Direction.IN),
    ("electricity", "kWh", Direction.INTERNAL),
    ("natural_gas", "m3", Direction.IN),
    ("fresh_water", "m3", Direction.IN),
    ("recirculated_water", "m3", Direction.INTERNAL),
    ("recycled_water", "m3", Direction.INTERNAL),
    ("wastewater", "m3", Direction.OUT),
    ("product", "piece", Direction.OUT),
)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What is offered: `edges × points` readings every `interval_s` for `seconds`.

    Attributes:
        park: code of the park; `definition()` sets it up.
        firms: over how many firms the edges are spread; None: one each.
        connections: how many MQTT connections share the edges.
        encoding: of the payloads.
        seed: names the values.
    """

    edges: int
    points: int
    interval_s: float
    seconds: float
    park: str = "load"
    firms: int | None = None
    connections: int = 4
    encoding: Literal["json", "msgpack"] = "msgpack"
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if min(self.edges, self.points, self.connections) < 1 or self.interval_s <= 0 or self.seconds <= 0:
            msg = "edges, points, connections, interval and seconds must be positive"
            raise SimulatorError(msg)
        if self.points > MAX_READINGS:
            msg = f"at most {MAX_READINGS} points per edge fit into a batch"
            raise SimulatorError(msg)

    @property
    def readings_per_s(self) -> float:
        """Return the rate that is offered."""
        return self.edges * self.points / self.interval_s

    def address(self, edge: int) -> Topic:
        """Return an edge's address."""
        firms = self.firms or self.edges
        return Topic(self.park, f"f{edge % firms + 1:05d}", f"gw{edge // firms + 1}", Channel.DATA)

    def codes(self, edge: int) -> list[str]:
        """Return the codes of an edge's points, unique within its firm."""
        gateway = edge // (self.firms or self.edges) + 1
        return [f"L{gateway}-{p + 1:03d}" for p in range(self.points)]

    @property
    def content_type(self) -> str:
        """Return the MIME type of the payloads."""
        return MSGPACK if self.encoding == "msgpack" else JSON

    def definition(self, valid_from: datetime) -> ParkDefinition:
        """Return the park document for this load; installations begin at `valid_from`."""
        edges: dict[str, list[int]] = {}
        for edge in range(self.edges):
            edges.setdefault(self.address(edge).firm, []).append(edge)
        return ParkDefinition(
            code=self.park,
            name_zh="压力测试园区",
            name_en="Load test",
            firms=[
                FirmDefinition(
                    code=firm,
                    name_zh=f"压测企业 {firm}",
                    name_en=f"Load {firm}",
                    industry="C3990 其他电子设备制造",
                    edges=[self.address(edge).edge for edge in own],
                    points=[
                        _point(code, p, self.address(edge).edge, valid_from)
                        for edge in own
                        for p, code in enumerate(self.codes(edge))
                    ],
                )
                for firm, own in edges.items()
            ],
        )


def _point(code: str, number: int, edge: str, valid_from: datetime) -> PointDefinition:
    carrier, unit, direction = _CARRIERS[number % len(_CARRIERS)]
    return PointDefinition(
        code=code,
        name_zh=f"计量点 {code}",
        name_en=f"Point {code}",
        kind=Kind.REGISTER,
        carrier=carrier,
        unit=unit,
        edge=edge,
        direction=direction,
        product="load" if carrier == "product" else None,
        installations=[InstallationDefinition(serial=f"LOAD-{code}", valid_from=valid_from)],
    )


class Payloads:
    """The payloads of all edges: registers that rise, made for many edges at once.

    With MessagePack every number has a fixed width, so a batch is a row of bytes in which only seq, times and values
    change; with JSON each batch is encoded by itself.
    """

    def __init__(self, plan: LoadPlan, boot: str) -> None:
        self.plan, self.boot = plan, boot
        size = (plan.edges, plan.points)
        luck = uniform(key(plan.seed, plan.park, "level"), 0, plan.edges * plan.points).reshape(size)
        self._level = np.round(luck * 500_000.0, 2)
        self._per_s = np.round(0.01 + luck * 2.0, 2)
        self._codes = [plan.codes(edge) for edge in range(plan.edges)]
        self._rows: NDArray[np.uint8] | None = None
        if plan.encoding == "msgpack":
            self._template()

    def build(
        self, edges: NDArray[np.int64], seq: int | NDArray[np.int64], due_ms: NDArray[np.int64], sent_ms: int
    ) -> list[bytes]:
        """Return one payload for each of `edges`.

        Args:
            edges: numbers of edges, shape (n,).
            seq: of the batch, the same for all or one each, shape (n,).
            due_ms: time of the readings of each edge, shape (n,).
            sent_ms: time of sending.
        """
        seqs = np.broadcast_to(np.asarray(seq, np.int64), edges.shape)
        passed = (seqs * self.plan.interval_s)[:, np.newaxis]
        value = np.round(self._level[edges] + self._per_s[edges] * passed, 2)
        if self._rows is None:
            return self._json(edges, seqs, due_ms, sent_ms, value)
        rows = self._rows[edges]
        rows[:, self._at_seq : self._at_seq + 8] = seqs.astype(">u8").view(np.uint8).reshape(-1, 8)
        rows[:, self._at_sent : self._at_sent + 8] = np.frombuffer(struct.pack(">Q", sent_ms), np.uint8)
        n, points = len(edges), self.plan.points
        times = np.repeat(due_ms.astype(">u8"), points).view(np.uint8).reshape(n, points, 8)
        rows[:, self._at_t : self._at_t + 9 * points].reshape(n, points, 9)[:, :, 1:] = times
        floats = value.astype(">f8").view(np.uint8).reshape(n, points, 8)
        rows[:, self._at_v : self._at_v + 9 * points].reshape(n, points, 9)[:, :, 1:] = floats
        whole, width = rows.tobytes(), rows.shape[1]
        # Edges whose codes are shorter have shorter payloads; the rest of their row is padding.
        lengths = self._lengths[edges].tolist()
        return [whole[k * width : k * width + size] for k, size in enumerate(lengths)]

    def _json(
        self,
        edges: NDArray[np.int64],
        seqs: NDArray[np.int64],
        due_ms: NDArray[np.int64],
        sent_ms: int,
        value: NDArray[np.float64],
    ) -> list[bytes]:
        points = self.plan.points
        return [
            encode(Batch(self._codes[e], [due] * points, v, boot=self.boot, seq=seq, sent=sent_ms))
            for e, seq, due, v in zip(edges.tolist(), seqs.tolist(), due_ms.tolist(), value.tolist(), strict=True)
        ]

    def _template(self) -> None:
        """Lay out one row of bytes per edge: `{t, v, seq, sent, boot, points}` with fixed widths first."""
        points, pack = self.plan.points, msgspec.msgpack.encode
        array_head = b"\xdc" + struct.pack(">H", points)
        head = b"\x86" + pack("t") + array_head
        self._at_t = len(head)
        head += (b"\xcf" + bytes(8)) * points + pack("v") + array_head
        self._at_v = len(head)
        head += (b"\xcb" + bytes(8)) * points + pack("seq") + b"\xcf"
        self._at_seq = len(head)
        head += bytes(8) + pack("sent") + b"\xcf"
        self._at_sent = len(head)
        head += bytes(8) + pack("boot") + pack(self.boot) + pack("points")
        whole = [head + pack(codes) for codes in self._codes]
        self._lengths = np.array([len(row) for row in whole], np.int64)
        width = int(self._lengths.max())
        self._rows = np.frombuffer(b"".join(row.ljust(width, b"\0") for row in whole), np.uint8).reshape(-1, width)


class Sink(Protocol):
    """Where payloads go."""

    async def start(self, plan: LoadPlan, boot: str) -> None:
        """Get ready, or raise `LoadError`."""

    def send(self, edges: Sequence[int], seq: int, payloads: Sequence[bytes], due_s: Sequence[float]) -> None:
        """Take one payload of each edge; returns at once. `due_s` is on the monotonic clock."""

    async def finish(self, drain_s: float) -> None:
        """Wait at most so long for what is under way, and close."""

    @property
    def counts(self) -> Counts:
        """Return what has happened so far."""


@dataclass(slots=True)
class Counts:
    """What became of the batches; latencies in seconds from the time a batch was due."""

    batches: int = 0
    bytes: int = 0
    acknowledged: int = 0
    committed: int = 0
    refused: int = 0
    not_sent: int = 0
    waiting: int = 0
    acknowledge_s: array[float] = field(default_factory=lambda: array("d"))
    commit_s: array[float] = field(default_factory=lambda: array("d"))


class NullSink:
    """Takes everything and keeps nothing: measures the generator alone."""

    def __init__(self) -> None:
        self._counts = Counts()

    async def start(self, plan: LoadPlan, boot: str) -> None:
        """Do nothing."""

    def send(self, edges: Sequence[int], seq: int, payloads: Sequence[bytes], due_s: Sequence[float]) -> None:  # noqa: ARG002
        """Count."""
        self._counts.batches += len(payloads)
        self._counts.bytes += sum(map(len, payloads))

    async def finish(self, drain_s: float) -> None:
        """Do nothing."""

    @property
    def counts(self) -> Counts:
        """Return what has been taken."""
        return self._counts


class MqttSink:
    """Publishes to a broker, over a few connections of one user, or over one connection of each edge.

    Args:
        host, port: the broker.
        username, password: a user that may publish for every edge of the park, and read `…/committed`.
        credentials: instead, user and password of each edge; then each has a connection of its own.
        max_waiting: batches that may be unacknowledged at most; what is due beyond is not sent, and counted.
    """

    def __init__(
        self,
        host: str,
        port: int,
        username: str | None = None,
        password: str | None = None,
        *,
        credentials: Callable[[Topic], tuple[str, str]] | None = None,
        max_waiting: int = 200_000,
    ) -> None:
        self._address = host, port
        self._username, self._password = username, password
        self._credentials, self._max_waiting = credentials, max_waiting
        self._links: list[Publisher] = []
        self._counts = Counts()
        self._heads: list[bytes] = []
        self._properties = b""
        self._due: dict[int, float] = {}
        self._edges: dict[str, int] = {}
        self._covered: list[int] = []
        self._first_due: list[float] = []
        self._plan: LoadPlan | None = None
        self._boot = ""
        self._pings: asyncio.Task[None] | None = None

    async def start(self, plan: LoadPlan, boot: str) -> None:
        """Connect, and subscribe to the watermarks."""
        self._plan, self._boot = plan, boot
        topics = [plan.address(edge) for edge in range(plan.edges)]
        self._heads = [text(str(topic)) for topic in topics]
        self._edges = {f"{topic.firm}/{topic.edge}": k for k, topic in enumerate(topics)}
        self._covered, self._first_due = [0] * plan.edges, [-1.0] * plan.edges
        content = b"\x03" + text(plan.content_type)
        self._properties = length(len(content)) + content
        loop = asyncio.get_running_loop()
        try:
            for k in range(plan.edges if self._credentials is not None else min(plan.connections, plan.edges)):
                _, link = await loop.create_connection(self._publisher(topics[k], k), *self._address)
                self._links.append(link)
                await link.connected()
                if self._credentials is not None:
                    link.subscribe(str(replace(topics[k], channel=Channel.COMMITTED)))
        except OSError as error:
            await self.finish(0)
            msg = f"no broker at {self._address[0]}:{self._address[1]}: {error.strerror or error}"
            raise LoadError(msg) from None
        except LoadError:
            await self.finish(0)
            raise
        if self._credentials is None:
            self._links[0].subscribe(f"greenpark/1/{plan.park}/+/+/{Channel.COMMITTED}")
        self._pings = asyncio.create_task(self._keep_alive(), name="load pings")

    def _publisher(self, topic: Topic, number: int) -> Callable[[], Publisher]:
        user, password = self._username, self._password
        if self._credentials is not None:
            user, password = self._credentials(topic)
        name = f"greenpark-load-{topic.park}-{self._boot[-8:]}-{number}"
        return lambda: Publisher(name, user, password, self._acknowledged, self._watermark)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(20)
            for link in self._links:
                link.ping()

    def send(self, edges: Sequence[int], seq: int, payloads: Sequence[bytes], due_s: Sequence[float]) -> None:
        """Publish; what the broker's window does not take yet waits and counts as waiting."""
        links, properties = self._links, self._properties
        if self._failed() or sum(link.unacknowledged for link in links) + len(payloads) > self._max_waiting:
            self._counts.not_sent += len(payloads)
            return
        for edge, payload, due in zip(edges, payloads, due_s, strict=True):
            tag = seq * len(self._heads) + edge
            self._due[tag] = due
            if seq == 0:
                self._first_due[edge] = due
            links[edge % len(links)].publish(self._heads[edge], properties + payload, tag)
            self._counts.bytes += len(payload)
        self._counts.batches += len(payloads)
        for link in links:
            link.flush()

    def _acknowledged(self, tag: int) -> None:
        self._counts.acknowledged += 1
        self._counts.acknowledge_s.append(time.monotonic() - self._due.pop(tag))

    def _watermark(self, topic: str, payload: bytes) -> None:
        try:
            watermark, address = decode_committed(payload), parse_topic(topic)
        except ValueError:
            return
        edge = self._edges.get(f"{address.firm}/{address.edge}")
        if edge is None or watermark.boot != self._boot or self._plan is None:
            return
        covered = watermark.floor + sum(after - first for first, after in watermark.ranges)
        now = time.monotonic()
        # Batches above a hole are counted, and take the latency of the first ones: holes are short.
        for seq in range(self._covered[edge], covered):
            self._counts.commit_s.append(now - self._first_due[edge] - seq * self._plan.interval_s)
        self._counts.committed += max(0, covered - self._covered[edge])
        self._covered[edge] = max(covered, self._covered[edge])

    async def finish(self, drain_s: float) -> None:
        """Wait until all is acknowledged and committed, or the time is over; then close."""
        until = time.monotonic() + drain_s
        while time.monotonic() < until and not self._failed():
            counts = self.counts
            if counts.committed >= counts.batches > 0:
                break
            await asyncio.sleep(0.05)
        if self._pings is not None:
            self._pings.cancel()
        for link in self._links:
            link.close()

    def _failed(self) -> str | None:
        return next((link.failure for link in self._links if link.failure), None)

    @property
    def failure(self) -> str | None:
        """Return why the broker no longer takes messages, if so."""
        return self._failed()

    @property
    def counts(self) -> Counts:
        """Return what has happened so far."""
        self._counts.waiting = sum(link.unacknowledged for link in self._links)
        self._counts.refused = sum(link.refused for link in self._links)
        return self._counts


class Quantiles(msgspec.Struct, frozen=True):
    """Latency in seconds; None where nothing was measured."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class LoadReport(msgspec.Struct, frozen=True):
    """What was offered and what became of it. Readings count single values, batches count messages.

    Attributes:
        behind_s: how far the generator itself fell behind its plan at most; it was too slow where this grows.
        cpu_share: CPU time of this process per second, 1 being one core.
        failure: why the broker stopped taking messages, if so.
    """

    edges: int
    points: int
    interval_s: float
    seconds: float
    offered_readings_per_s: float
    sent: int
    sent_batches: int
    acknowledged: int
    committed: int
    refused_batches: int
    not_sent_batches: int
    unacknowledged_batches: int
    bytes: int
    readings_per_s: float
    acknowledge_s: Quantiles
    commit_s: Quantiles
    behind_s: float
    cpu_share: float
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How the load stands, for a line on a terminal."""

    elapsed_s: float
    seconds: float
    sent: int
    acknowledged: int
    committed: int
    waiting_batches: int


async def offer(
    plan: LoadPlan,
    sink: Sink,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Callable[[Progress], None] | None = None,
    paced: bool = True,
    drain_s: float = 10.0,
) -> LoadReport:
    """Offer the load and report.

    Args:
        plan: how much.
        sink: where to.
        now: clock for the times of the readings.
        progress: called about once a second.
        paced: False goes as fast as the generator can, to measure it.
        drain_s: how long to wait at the end for what is under way.

    Raises:
        LoadError: the broker cannot be reached or refuses.
    """
    began_ms = int(now().timestamp() * 1000)
    boot = new_boot(began_ms, raw(key(plan.seed, plan.park, str(began_ms)), 0, 2).tobytes()[:10])
    payloads = Payloads(plan, boot)
    await sink.start(plan, boot)
    spent, began = _cpu_s(), time.monotonic()
    told, behind = began, 0.0
    phases = np.arange(plan.edges) * (plan.interval_s / plan.edges)
    slices = max(1, min(plan.edges, round(plan.interval_s / _SLICE_S)))
    groups = np.array_split(np.arange(plan.edges), slices)
    rounds = max(1, round(plan.seconds / plan.interval_s))
    for seq in range(rounds):
        for group in groups:
            due = seq * plan.interval_s + phases[group]
            late = time.monotonic() - began - float(due[-1])
            if paced and late < 0:
                await asyncio.sleep(-late)
                late = 0.0
            behind = max(behind, late) if paced else 0.0
            due_ms = began_ms + np.rint(due * 1000).astype(np.int64)
            sent_ms = int(now().timestamp() * 1000)
            sink.send(group.tolist(), seq, payloads.build(group, seq, due_ms, sent_ms), (began + due).tolist())
            if time.monotonic() - told >= 1.0:
                told = time.monotonic()
                _tell(progress, plan, sink.counts, told - began)
                # Even when behind, acknowledgements must be read.
                await asyncio.sleep(0)
        await asyncio.sleep(0)
    elapsed, used = time.monotonic() - began, _cpu_s() - spent
    await sink.finish(drain_s)
    _tell(progress, plan, sink.counts, elapsed)
    return _report(plan, sink, elapsed, behind, used / elapsed)


def _tell(progress: Callable[[Progress], None] | None, plan: LoadPlan, counts: Counts, elapsed_s: float) -> None:
    if progress is not None:
        per = plan.points
        acknowledged, committed = counts.acknowledged * per, counts.committed * per
        progress(Progress(elapsed_s, plan.seconds, counts.batches * per, acknowledged, committed, counts.waiting))


def _report(plan: LoadPlan, sink: Sink, elapsed_s: float, behind_s: float, cpu_share: float) -> LoadReport:
    counts = sink.counts
    return LoadReport(
        edges=plan.edges,
        points=plan.points,
        interval_s=plan.interval_s,
        seconds=round(elapsed_s, 3),
        offered_readings_per_s=plan.readings_per_s,
        sent=counts.batches * plan.points,
        sent_batches=counts.batches,
        acknowledged=counts.acknowledged * plan.points,
        committed=counts.committed * plan.points,
        refused_batches=counts.refused,
        not_sent_batches=counts.not_sent,
        unacknowledged_batches=counts.waiting,
        bytes=counts.bytes,
        readings_per_s=round(counts.batches * plan.points / elapsed_s, 1),
        acknowledge_s=_quantiles(counts.acknowledge_s),
        commit_s=_quantiles(counts.commit_s),
        behind_s=round(behind_s, 3),
        cpu_share=round(cpu_share, 3),
        failure=getattr(sink, "failure", None),
    )


def _quantiles(latencies: array[float]) -> Quantiles:
    if not latencies:
        return Quantiles(None, None, None, None)
    p50, p95, p99 = np.quantile(np.array(latencies), [0.5, 0.95, 0.99]).tolist()
    return Quantiles(round(p50, 4), round(p95, 4), round(p99, 4), round(max(latencies), 4))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
