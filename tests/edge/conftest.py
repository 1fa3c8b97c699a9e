"""A real Modbus meter and the part of ingest that an edge sees."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiomqtt
import msgspec
import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.config import BrokerConfig, BufferConfig, DeviceConfig, EdgeConfig, UplinkConfig
from park.wire import Channel, Committed, Event, Status, Topic, decode_batch, decode_event, decode_status, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pymodbus.constants import ExcCodes

    from cli.stack.mosquitto import Broker


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Meter:
    """A Modbus TCP server with 400 holding and input registers; faults are switched by attributes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.holding: dict[int, int] = {}
        self.input: dict[int, int] = {}
        self.refused: dict[int, ExcCodes] = {}
        self.speaks = asyncio.Event()
        self.speaks.set()
        self.requests: list[tuple[int, int, int]] = []
        self._server: ModbusTcpServer | None = None

    async def _action(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: Any
    ) -> ExcCodes | None:
        self.requests.append((function, address, count))
        await self.speaks.wait()
        for at, code in self.refused.items():
            if address <= at < address + count:
                return code
        for at, value in (self.holding if function == 3 else self.input).items():
            if address <= at < address + count:
                registers[at - start] = value
        return None

    async def start(self) -> None:
        def block() -> list[SimData]:
            return [SimData(0, values=[0] * 400, datatype=DataType.REGISTERS)]

        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        device = SimDevice(0, simdata=(bits, bits, block(), block()), action=self._action)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)

    async def stop(self) -> None:
        self.speaks.set()
        if self._server is not None:
            await self._server.shutdown()
            self._server = None
            await asyncio.sleep(0)


@pytest.fixture
async def meter() -> AsyncIterator[Meter]:
    meter = Meter()
    await meter.start()
    yield meter
    await meter.stop()


class Ingest:
    """What ingest does as an edge sees it: takes each batch once, and says what it has when `commits` is on."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.commits = True
        self.payloads: dict[tuple[str, int], bytes] = {}
        self.order: list[int] = []
        self.copies: Counter[tuple[str, int]] = Counter()
        self.differing: list[tuple[str, int]] = []
        self.statuses: list[Status] = []
        self.events: list[Event] = []
        self._given_up: set[int] = set()

    @property
    def readings(self) -> list[tuple[str, int, float]]:
        found = []
        for payload in self.payloads.values():
            batch = msgspec.msgpack.decode(payload)
            index = batch.get("i") or range(len(batch["points"]))
            found += [(batch["points"][i], t, v) for i, t, v in zip(index, batch["t"], batch["v"], strict=True)]
        return found

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    async def commit(self, edge: Topic, boot: str) -> None:
        have = sorted({seq for b, seq in self.payloads if b == boot} | self._given_up)
        stretches: list[tuple[int, int]] = []
        for seq in have:
            if stretches and stretches[-1][1] == seq:
                stretches[-1] = (stretches[-1][0], seq + 1)
            else:
                stretches.append((seq, seq + 1))
        floor = stretches.pop(0)[1] if stretches and stretches[0][0] == 0 else 0
        message = Committed(boot, floor, stretches)
        await self.client.publish(str(edge.to(Channel.COMMITTED)), encode(message), qos=1, retain=True)

    async def run(self, edge: Topic) -> None:
        await self.client.subscribe(f"greenpark/1/{edge.user}/+", qos=1)
        async for message in self.client.messages:
            payload = bytes(message.payload)  # type: ignore[arg-type]
            match str(message.topic).rsplit("/", 1)[1]:
                case "status":
                    self.statuses.append(decode_status(payload))
                case "event":
                    event = decode_event(payload)
                    self.events.append(event)
                    for first, after in event.ranges:
                        self._given_up.update(range(first, after))
                    if event.ranges and self.commits:
                        await self.commit(edge, event.boot)
                case "data":
                    content_type = getattr(message.properties, "ContentType", None)
                    batch = decode_batch(payload, content_type)
                    assert batch.boot is not None
                    assert batch.seq is not None
                    key = (batch.boot, batch.seq)
                    self.copies[key] += 1
                    self.order.append(batch.seq)
                    if self.payloads.setdefault(key, payload) != payload:
                        self.differing.append(key)
                    if self.commits:
                        await self.commit(edge, batch.boot)


@asynccontextmanager
async def ingest_at(broker: Broker, edge: Topic) -> AsyncIterator[Ingest]:
    """A running `Ingest` for one edge."""
    async with aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        username="ingest",
        password=broker.password("ingest"),
        identifier=f"test-ingest-{edge.edge}-{free_port()}",
        protocol=aiomqtt.ProtocolVersion.V5,
        socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
    ) as client:
        client.pending_calls_threshold = 10_000
        ingest = Ingest(client)
        task = asyncio.create_task(ingest.run(edge))
        await asyncio.sleep(0.05)
        try:
            yield ingest
        finally:
            task.cancel()
            await asyncio.wait([task])


async def until(condition: Callable[[], Any], within_s: float = 30.0) -> None:
    """Wait until the condition holds; fail if it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


@pytest.fixture
def edge_names() -> Callable[[], Topic]:
    """Addresses no other test uses: the broker is shared."""
    count = iter(range(1_000_000))
    tag = free_port()
    return lambda: Topic("edgetest", f"firm{tag}", f"e{next(count)}", Channel.DATA)


def config_for(
    broker: Broker, edge: Topic, directory: Path, devices: list[DeviceConfig], **uplink: object
) -> EdgeConfig:
    fast = {"settle_s": 0.05, "backoff_s": 0.05, "backoff_max_s": 0.2, "resend_after_s": 0.5, "backlog_per_s": 1000.0}
    return EdgeConfig(
        park=edge.park,
        firm=edge.firm,
        edge=edge.edge,
        buffer=BufferConfig(path=str(directory / f"{edge.edge}.buffer")),
        devices=devices,
        broker=BrokerConfig(port=broker.port, password=broker.add_edge(edge.park, edge.firm, edge.edge)),
        uplink=UplinkConfig(**(fast | uplink)),  # type: ignore[arg-type]
    )
