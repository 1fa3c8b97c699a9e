"""An agent polls real Modbus meters and its readings arrive, once, through the real broker."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge.agent import Agent
from edge.buffer import Buffer
from edge.clock import Clock
from edge.config import BrokerConfig, BufferConfig, DeviceConfig, EdgeConfig, PointConfig
from edge.drivers import DRIVERS, Sample
from edge.errors import BufferCorruptError, BufferInUseError
from edge.process import open_buffer, run
from park.wire import Event, decode_batch, decode_event
from tests.edge.conftest import config_for, free_port, ingest_at, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.stack.mosquitto import Broker
    from edge.buffer import Appended
    from park.wire import Topic
    from tests.edge.conftest import Meter

pytestmark = pytest.mark.stack


async def test_readings_of_many_agents_in_one_process_arrive_once(
    broker: Broker, edge_names: Callable[[], Topic], meter: Meter, tmp_path: Path
) -> None:
    """Two agents, one meter each, in one process: all readings arrive with their values, and the buffers drain."""
    meter.holding |= {0: 0, 1: 12345}
    edges = [edge_names(), edge_names()]
    device = DeviceConfig(
        name="m", port=meter.port, poll_s=0.2, points=[PointConfig(code="E-1", address=0, type="u32", scale=0.01)]
    )
    stop = asyncio.Event()
    async with ingest_at(broker, edges[0]) as one, ingest_at(broker, edges[1]) as two:
        running = asyncio.create_task(run([config_for(broker, e, tmp_path, [device]) for e in edges], stop=stop))
        await until(lambda: len(one.readings) >= 5 and len(two.readings) >= 5)
        stop.set()
        await running
        for ingest in (one, two):
            await until(lambda ingest=ingest: ingest.statuses and not ingest.statuses[-1].online)
            assert {(point, value) for point, _, value in ingest.readings} == {("E-1", 123.45)}
            assert not ingest.differing
            assert ingest.kinds()[0] == "started"
            assert ingest.kinds()[-1] == "stopped"


class Counting:
    """A driver that counts its reads: value k is the k-th read."""

    def __init__(self, device: DeviceConfig, *, wait_s: float = 0.0) -> None:
        self.points = [point.code for point in device.points]
        self.wait_s = wait_s
        self.reads = 0
        self.silent = False
        self.closed = False

    async def read(self) -> list[Sample]:
        await asyncio.sleep(self.wait_s)
        self.reads += 1
        if self.silent:
            return [Sample.absent(point, "timeout") for point in self.points]
        return [Sample(point, float(self.reads)) for point in self.points]

    async def close(self) -> None:
        self.closed = True


def device(name: str, *codes: str, poll_s: float = 0.05, protocol: str = "counting") -> DeviceConfig:
    return DeviceConfig(
        name=name, protocol=protocol, poll_s=poll_s, points=[PointConfig(code=code) for code in codes or (name,)]
    )


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counting]:
    """A protocol of the test, registered as any other."""
    made: dict[str, Counting] = {}

    def make(device: DeviceConfig) -> Counting:
        made[device.name] = Counting(device, wait_s=device.options.get("wait_s", 0.0))
        return made[device.name]

    monkeypatch.setitem(DRIVERS, "counting", make)
    return made


def offline(edge: Topic, directory: Path, devices: list[DeviceConfig], **more: object) -> EdgeConfig:
    """An agent whose broker does not exist."""
    return EdgeConfig(
        park=edge.park,
        firm=edge.firm,
        edge=edge.edge,
        buffer=BufferConfig(path=str(directory / "b")),
        devices=devices,
        broker=BrokerConfig(port=free_port()),
        **more,  # type: ignore[arg-type]
    )


def on_disk(config: EdgeConfig) -> list[tuple[str, int, float]]:
    """What the buffer's file holds: point, time, value."""
    found, start = [], 0
    disk, _ = open_buffer(config)
    while (row := disk.buffer.first(start, disk.buffer.next_seq)) is not None:
        start = row.seq + 1
        batch = decode_batch(row.payload, row.content_type)
        found += [(batch.points[i], t, v) for i, t, v in zip(batch.indices, batch.t, batch.values, strict=True)]
    disk.buffer.close()
    return found


def events_on_disk(config: EdgeConfig) -> list[Event]:
    disk, _ = open_buffer(config)
    events = [decode_event(payload) for _, payload in disk.buffer.events(1000)]
    disk.buffer.close()
    return events


async def test_a_slow_device_delays_no_other(
    edge_names: Callable[[], Topic], drivers: dict[str, Counting], tmp_path: Path
) -> None:
    """While one meter takes a second to answer, its neighbour keeps its rhythm; without a broker all is kept."""
    slow = DeviceConfig(
        name="slow", protocol="counting", poll_s=0.05, points=[PointConfig(code="S")], options={"wait_s": 0.5}
    )
    config = offline(edge_names(), tmp_path, [slow, device("fast")])
    stop = asyncio.Event()
    running = asyncio.create_task(run([config], stop=stop))
    await until(lambda: drivers and drivers["slow"].reads >= 2)
    stop.set()
    await running
    assert drivers["fast"].reads >= 12
    assert drivers["slow"].closed
    kept = on_disk(config)
    assert [v for p, _, v in kept if p == "fast"] == [float(k + 1) for k in range(drivers["fast"].reads)]
    assert [v for p, _, v in kept if p == "S"] == [float(k + 1) for k in range(drivers["slow"].reads)]


async def test_collected_polls_are_written_together_and_at_the_end(
    edge_names: Callable[[], Topic], drivers: dict[str, Counting], tmp_path: Path
) -> None:
    """With `batch_s`, polls share a batch; a graceful stop writes what is still in memory."""
    config = offline(edge_names(), tmp_path, [device("m", "A", "B")], batch_s=3600.0)
    stop = asyncio.Event()
    running = asyncio.create_task(run([config], stop=stop))
    await until(lambda: drivers and drivers["m"].reads >= 5)
    stop.set()
    await running
    assert [(p, v) for p, _, v in on_disk(config)] == [
        (p, float(k + 1)) for k in range(drivers["m"].reads) for p in "AB"
    ]
    disk, _ = open_buffer(config)
    assert disk.buffer.depth.batches == 1
    disk.buffer.close()


async def test_a_silent_meter_gives_no_readings_and_one_event_each_way(
    edge_names: Callable[[], Topic], drivers: dict[str, Counting], tmp_path: Path
) -> None:
    """No made-up values while it is silent; `meter_silent` and `meter_back` name the device."""
    config = offline(edge_names(), tmp_path, [device("m")])
    stop = asyncio.Event()
    running = asyncio.create_task(run([config], stop=stop))
    await until(lambda: drivers and drivers["m"].reads >= 2)
    drivers["m"].silent = True
    went = drivers["m"].reads
    await until(lambda: drivers["m"].reads >= went + 8)
    drivers["m"].silent = False
    came = drivers["m"].reads
    await until(lambda: drivers["m"].reads >= came + 2)
    stop.set()
    await running
    assert not {v for _, _, v in on_disk(config)} & {float(k) for k in range(went + 2, came)}
    events = events_on_disk(config)
    assert [event.kind for event in events] == ["started", "meter_silent", "meter_back", "stopped"]
    assert events[1].body == {"device": "m", "reason": "timeout"}


async def test_a_step_of_the_clock_is_reported(
    edge_names: Callable[[], Topic], drivers: dict[str, Counting], tmp_path: Path
) -> None:
    """The event says by how much the wall clock jumped."""
    config = offline(edge_names(), tmp_path, [device("m")])
    shift = [0.0]
    disk, _ = open_buffer(config)
    agent = Agent(config, disk, clock=Clock(wall_s=lambda: time.time() + shift[0]))
    stop = asyncio.Event()
    running = asyncio.create_task(agent.run(stop))
    await until(lambda: drivers and drivers["m"].reads >= 1)
    shift[0] = -90.0
    await asyncio.sleep(1.3)
    stop.set()
    await running
    await disk.close()
    (step,) = [event for event in events_on_disk(config) if event.kind == "clock_step"]
    assert step.body["step_ms"] == pytest.approx(-90_000, abs=50)


async def test_a_full_buffer_is_reported_and_the_newest_are_kept(
    edge_names: Callable[[], Topic], drivers: dict[str, Counting], tmp_path: Path
) -> None:
    """`buffer_full` once, the oldest readings gone, the newest there."""
    config = offline(edge_names(), tmp_path, [device("m", *(f"P{k}" for k in range(300)), poll_s=0.02)])
    config = msgspec.structs.replace(config, buffer=BufferConfig(path=config.buffer.path, max_bytes=100 * 1024))
    stop = asyncio.Event()
    running = asyncio.create_task(run([config], stop=stop))
    await until(lambda: drivers and drivers["m"].reads >= 40)
    stop.set()
    await running
    values = sorted({v for _, _, v in on_disk(config)})
    assert values[-1] == drivers["m"].reads
    assert values[0] > 1
    assert [event.kind for event in events_on_disk(config)] == ["started", "buffer_full", "stopped"]


async def test_two_agents_cannot_share_a_buffer(edge_names: Callable[[], Topic], tmp_path: Path) -> None:
    """Starting a second agent on the same file fails at once, with a clear error, and releases what it held."""
    config = offline(edge_names(), tmp_path, [])
    other = offline(edge_names(), tmp_path / "own", [])
    disk, _ = open_buffer(config)
    with pytest.raises(BufferInUseError, match="another agent"):
        await run([other, config], stop=asyncio.Event())
    disk.buffer.close()
    open_buffer(other)[0].buffer.close()


async def test_a_buffer_that_breaks_under_way_is_replaced_and_the_agent_goes_on(
    edge_names: Callable[[], Topic],
    drivers: dict[str, Counting],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Damage found while running costs the damaged file, not the agent, nor its neighbour."""
    config = offline(edge_names(), tmp_path, [device("m")])
    neighbour = offline(edge_names(), tmp_path / "own", [device("n")])
    append, broken = Buffer.append, asyncio.Event()

    def break_once(self: Buffer, *arguments: object) -> Appended:
        if self.path == config.buffer.path and self.next_seq == 3 and not broken.is_set():
            broken.set()
            Path(self.path).write_bytes(b"x" * 9000)
            raise BufferCorruptError(self.path, "malformed")
        return append(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Buffer, "append", break_once)
    stop = asyncio.Event()
    running = asyncio.create_task(run([config, neighbour], stop=stop))
    await until(lambda: drivers and drivers["m"].reads >= 4)
    first = drivers["m"]
    await until(lambda: drivers["m"] is not first and drivers["m"].reads >= 3)
    stop.set()
    await running
    assert [event.kind for event in events_on_disk(config)] == ["state_lost", "started", "stopped"]
    assert [v for _, _, v in on_disk(config)] == [float(k + 1) for k in range(drivers["m"].reads)]
    assert [event.kind for event in events_on_disk(neighbour)] == ["started", "stopped"]
    assert [v for _, _, v in on_disk(neighbour)] == [float(k + 1) for k in range(drivers["n"].reads)]


_MEASURED = """
import asyncio, sys
from edge.config import load_configs
from edge.process import run
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(2.0, stop.set)
    await run(load_configs(sys.argv[1]), stop=stop)
asyncio.run(main())
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
heavy = {"numpy", "yaml", "asyncpg", "fastapi"} & set(sys.modules)
print("measured", most.split()[1], ",".join(sorted(heavy)))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
async def test_500_points_fit_a_gateway(
    broker: Broker, edge_names: Callable[[], Topic], meter: Meter, tmp_path: Path
) -> None:
    """An agent with 500 points that polls, buffers and sends stays below 60 MB and loads no server library."""
    edge = edge_names()
    points = ",".join(f'{{code="P{k}",address={k % 200 * 2},type="f32"}}' for k in range(500))
    (tmp_path / "edge.toml").write_text(
        f"""
[[edges]]
park = "{edge.park}"
firm = "{edge.firm}"
edge = "{edge.edge}"
buffer.path = "b"
broker = {{ port = {broker.port}, password = "{broker.add_edge(edge.park, edge.firm, edge.edge)}" }}
[[edges.devices]]
name = "m"
port = {meter.port}
poll_s = 0.2
points = [{points}]
""",
        "utf-8",
    )
    async with ingest_at(broker, edge) as ingest:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _MEASURED,
            str(tmp_path / "edge.toml"),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        )
        out, _ = await process.communicate()
        (line,) = [row for row in out.decode().splitlines() if row.startswith("measured")]
        _, peak_kb, *heavy = line.split()
        assert len(ingest.readings) >= 1000
        assert int(peak_kb) < 60 * 1024
        assert not heavy
