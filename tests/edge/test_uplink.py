"""What the database does not have stays at the edge, through every failure of broker, ingest and agent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from cli.stack import ports
from cli.stack.mosquitto import Broker
from cli.stack.places import service_user
from edge.agent import Agent
from edge.process import open_buffer, run
from park.wire import Batch, Channel, Committed, Event, encode
from tests.edge.conftest import config_for, ingest_at, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cli.stack.components import Components
    from cli.stack.places import Places
    from edge.config import EdgeConfig
    from park.wire import Topic
    from tests.edge.conftest import Meter

pytestmark = pytest.mark.stack
NOW = 1_763_625_600_000


class Source:
    """An agent without meters; the test writes the batches."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.buffer = agent._disk.buffer
        self.count = 0

    async def write(self, batches: int) -> None:
        for _ in range(batches):
            self.count += 1
            batch = Batch(points=["A"], t=[NOW + self.count], v=[float(self.count)])
            await self.agent._disk.call(self.buffer.append, batch, NOW)
        self.agent.uplink.wake()


@asynccontextmanager
async def source(config: EdgeConfig) -> AsyncIterator[Source]:
    """A running agent on its own disk."""
    disk, _ = open_buffer(config)
    agent = Agent(config, disk)
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    try:
        yield Source(agent)
    finally:
        stop.set()
        await task
        await disk.close()


@pytest.fixture
async def own_broker(components: Components, stack_places: Places, tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker that a test may kill."""
    directory = stack_places.broker.with_name(f"broker-{tmp_path.name}")
    broker = Broker(
        components.mosquitto,
        directory,
        secret=tmp_path / "broker.json",
        port=ports.any_free(),
        user=service_user("mosquitto"),
        log=tmp_path / "broker.log",
    )
    await broker.start()
    yield broker
    await broker.stop()


async def test_nothing_leaves_the_buffer_before_the_watermark(
    broker: Broker, edge_names: Callable[[], Topic], tmp_path: Path
) -> None:
    """The broker's acknowledgement frees nothing and what is under way is bounded; the watermark empties the buffer."""
    edge = edge_names()
    async with ingest_at(broker, edge) as ingest:
        ingest.commits = False
        async with source(config_for(broker, edge, tmp_path, [], window=8, resend_after_s=60.0)) as src:
            await src.write(20)
            await until(lambda: len(ingest.payloads) >= 6)  # a quarter of the window is for live batches alone
            await asyncio.sleep(0.3)
            assert 6 <= len(ingest.payloads) <= 8
            assert src.buffer.depth.batches == 20
            ingest.commits = True
            await ingest.commit(edge, src.buffer.boot)
            await until(lambda: src.buffer.depth.batches == 0)
        assert len(ingest.payloads) == 20
        assert set(ingest.copies.values()) == {1}


async def test_a_watermark_of_another_boot_or_no_watermark_at_all_frees_nothing(
    broker: Broker, edge_names: Callable[[], Topic], tmp_path: Path
) -> None:
    """A stranger's numbers, and a payload that cannot be read, are ignored; the right watermark still works."""
    edge = edge_names()
    async with ingest_at(broker, edge) as ingest:
        ingest.commits = False
        async with source(config_for(broker, edge, tmp_path, [])) as src:
            await src.write(3)
            await until(lambda: len(ingest.payloads) == 3)
            topic = str(edge.to(Channel.COMMITTED))
            await ingest.client.publish(topic, b"{no json", qos=1)
            await ingest.client.publish(topic, encode(Committed("01ANOTHER", 100)), qos=1)
            await asyncio.sleep(0.2)
            assert src.buffer.depth.batches == 3
            await ingest.commit(edge, src.buffer.boot)
            await until(lambda: src.buffer.depth.batches == 0)


async def test_what_is_not_covered_is_sent_again_byte_for_byte(
    broker: Broker, edge_names: Callable[[], Topic], tmp_path: Path
) -> None:
    """Copies have the same number and the same bytes; while nothing is committed only single probes are copied."""
    edge = edge_names()
    async with ingest_at(broker, edge) as ingest:
        ingest.commits = False
        async with source(config_for(broker, edge, tmp_path, [], resend_after_s=0.2)) as src:
            await src.write(10)
            await until(lambda: sum(ingest.copies.values()) >= 13)
            assert max(ingest.copies.values()) == 2
            ingest.commits = True
            await until(lambda: src.buffer.depth.batches == 0)
        assert len(ingest.payloads) == 10
        assert not ingest.differing


async def test_the_backlog_follows_behind_live_batches(
    broker: Broker, edge_names: Callable[[], Topic], tmp_path: Path
) -> None:
    """After an outage the first batch to arrive is the newest; the old ones come at their pace, all of them."""
    edge = edge_names()
    config = config_for(broker, edge, tmp_path, [], settle_s=0.3, backlog_per_s=100.0)
    disk, _ = open_buffer(config)
    for k in range(50):
        disk.buffer.append(Batch(points=["A"], t=[NOW + k], v=[1.0]), NOW)
    await disk.close()
    async with ingest_at(broker, edge) as ingest, source(config) as src:
        await until(lambda: any(status.online for status in ingest.statuses))
        await src.write(1)
        await until(lambda: src.buffer.depth.batches == 0)
        assert ingest.order[0] == 50
        assert sorted(ingest.order) == list(range(51))
        assert ingest.statuses[0].buffered_batches == 50


async def test_a_killed_broker_loses_nothing(
    own_broker: Broker, edge_names: Callable[[], Topic], tmp_path: Path
) -> None:
    """Batches that the broker had acknowledged and lost are sent again after its restart."""
    edge = edge_names()
    async with source(config_for(own_broker, edge, tmp_path, [])) as src:
        await src.write(30)
        await until(lambda: src.agent.uplink._window.in_flight == 30)
        await asyncio.sleep(0.2)
        await own_broker.kill()
        await src.write(30)
        await asyncio.sleep(0.3)
        await own_broker.start()
        async with ingest_at(own_broker, edge) as ingest:
            await until(lambda: src.buffer.depth.batches == 0, 20)
            assert [ingest.payloads[src.buffer.boot, seq] is not None for seq in range(60)] == [True] * 60
            assert not ingest.differing
            assert any(status.online for status in ingest.statuses)


async def test_a_range_given_up_is_told_until_the_watermark_covers_it(
    own_broker: Broker, edge_names: Callable[[], Topic], tmp_path: Path
) -> None:
    """Also when the broker loses the event: the floor does not wait for ever."""
    edge = edge_names()
    config = config_for(own_broker, edge, tmp_path, [])
    disk, _ = open_buffer(config)
    for k in range(10):
        disk.buffer.append(Batch(points=["A"], t=[NOW + k], v=[1.0]), NOW)
    with disk.buffer._transaction():
        gone = disk.buffer._give_up(3 * 60)
    disk.buffer.depth = disk.buffer.depth.plus(gone, -1)
    await disk.close()
    async with source(config) as src:
        await asyncio.sleep(0.5)
        await own_broker.kill()
        await own_broker.start()
        async with ingest_at(own_broker, edge) as ingest:
            await until(lambda: src.buffer.depth.batches == 0, 20)
            await until(lambda: src.buffer.given_up() == [])
            told = [event for event in ingest.events if event.kind == "given_up"]
            assert told[0].ranges == [(0, gone.batches)]
            assert told[0].body == {"batches": gone.batches, "readings": gone.readings}
            assert min(ingest.order) == gone.batches


async def test_a_damaged_buffer_is_reported_under_its_new_boot(
    broker: Broker, edge_names: Callable[[], Topic], tmp_path: Path
) -> None:
    """`state_lost` names where the damaged file is kept, and the agent runs on."""
    edge = edge_names()
    config = config_for(broker, edge, tmp_path, [])
    path, damage = Path(config.buffer.path), b"no database " * 1000
    await asyncio.to_thread(path.write_bytes, damage)
    stop = asyncio.Event()
    async with ingest_at(broker, edge) as ingest:
        running = asyncio.create_task(run([config], stop=stop))
        await until(lambda: {"state_lost", "started"} <= set(ingest.kinds()))
        stop.set()
        await running
        lost: Event = next(event for event in ingest.events if event.kind == "state_lost")
        assert await asyncio.to_thread(Path(str(lost.body["kept_as"])).read_bytes) == damage
        assert lost.boot == ingest.statuses[-1].boot


async def test_an_edge_that_may_not_log_in_keeps_its_data_and_tries_again(
    own_broker: Broker, edge_names: Callable[[], Topic], tmp_path: Path
) -> None:
    """A password added later is enough; nothing is lost meanwhile."""
    edge = edge_names()
    config = config_for(own_broker, edge, tmp_path, [])
    assert config.broker.password is not None
    own_broker.remove_user(edge.user)
    async with source(config) as src:
        await src.write(3)
        await asyncio.sleep(0.5)
        assert src.buffer.depth.batches == 3
        own_broker.add_edge(edge.park, edge.firm, edge.edge, password=config.broker.password)
        async with ingest_at(own_broker, edge) as ingest:
            await until(lambda: src.buffer.depth.batches == 0)
            assert len(ingest.payloads) == 3


_PROCESS = """
import asyncio, sys
from edge.config import load_configs
from edge.process import run
asyncio.run(run(load_configs(sys.argv[1]), stop=asyncio.Event()))
"""


def _toml(config: EdgeConfig, meter: Meter) -> str:
    broker = msgspec.json.encode(config.broker.password).decode()
    return f"""
[[edges]]
park = "{config.park}"
firm = "{config.firm}"
edge = "{config.edge}"
buffer.path = "{config.buffer.path}"
broker = {{ port = {config.broker.port}, password = {broker} }}
uplink = {{ settle_s = 0.05, backoff_s = 0.05, resend_after_s = 0.3, backlog_per_s = 1000 }}
[[edges.devices]]
name = "m"
port = {meter.port}
poll_s = 0.02
points = [{{ code = "A", address = 0, type = "u16" }}]
"""


async def test_a_killed_agent_says_offline_and_loses_nothing(
    broker: Broker, edge_names: Callable[[], Topic], meter: Meter, tmp_path: Path
) -> None:
    """Kill -9 at any instant, several times: the last will comes, one boot, no gap in the numbers, no copy differs."""
    edge = edge_names()
    config = config_for(broker, edge, tmp_path, [])
    file = tmp_path / "edge.toml"
    file.write_text(_toml(config, meter))
    async with ingest_at(broker, edge) as ingest:
        for wait_s in (0.3, 0.15, 0.4):
            before = len(ingest.payloads)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROCESS, str(file), env=os.environ | {"PYTHONPATH": str(Path.cwd())}
            )
            await until(lambda before=before: len(ingest.payloads) > before)
            await asyncio.sleep(wait_s)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await until(lambda: not ingest.statuses[-1].online)
        async with source(config) as src:
            await until(lambda: src.buffer.depth.batches == 0)
            assert {boot for boot, _ in ingest.payloads} == {src.buffer.boot}
            assert sorted(seq for _, seq in ingest.payloads) == list(range(src.buffer.next_seq))
        assert not ingest.differing
        assert len(ingest.payloads) > 20
