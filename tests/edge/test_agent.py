"""An agent polls real Modbus meters and its readings arrive, once, through the real broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge.config import BrokerConfig, BufferConfig, DeviceConfig, EdgeConfig, PointConfig, UplinkConfig
from edge.process import run
from tests.edge.conftest import ingest_at, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.stack.mosquitto import Broker
    from park.wire import Topic
    from tests.edge.conftest import Meter

pytestmark = pytest.mark.stack


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
