"""The load generator is never the bottleneck, says what became of each batch, and counts its own cost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiomqtt
import numpy as np
import pytest

from park.definition import check_definition
from park.wire import JSON, MSGPACK, Committed, decode_batch, encode, parse_topic
from simulators.errors import LoadError, SimulatorError
from simulators.load import LoadPlan, MqttSink, NullSink, Payloads, Progress, offer
from simulators.mqtt import receive_maximum

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from park.wire import Topic

FLOOR_PER_S = 100_000
"""Readings per second to a null sink that even a busy build machine must reach; an idle one offers millions."""


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_the_generator_offers_far_more_than_is_asked_of_the_platform(encoding: Any):
    """At full tilt to a null sink the generator makes hundreds of thousands of readings a second."""
    plan = LoadPlan(500, 40, 10, 100, encoding=encoding)
    report = await offer(plan, NullSink(), paced=False)
    assert report.sent == 500 * 40 * 10
    assert report.readings_per_s > FLOOR_PER_S
    assert report.cpu_share > 0


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
@pytest.mark.parametrize("points", [1, 3, 300])
def test_every_payload_is_a_valid_batch(encoding: Any, points: int):
    """What is sent decodes as the wire contract says: each point once, rising, with boot and seq."""
    plan = LoadPlan(23, points, 10, 100, firms=2, encoding=encoding)
    payloads = Payloads(plan, "01JD0000000000000000000000")
    edges = np.array([0, 7, 22])
    earlier = payloads.build(edges, 3, np.array([1000, 2000, 3000]), 5)
    later = payloads.build(edges, 4, np.array([11_000, 12_000, 13_000]), 6)
    content = MSGPACK if encoding == "msgpack" else JSON
    for k, edge in enumerate(edges):
        a, b = decode_batch(earlier[k], content), decode_batch(later[k], content)
        assert a.points == plan.codes(edge)
        assert (a.seq, a.sent, set(a.t)) == (3, 5, {(k + 1) * 1000})
        assert (b.seq, b.sent, set(b.t)) == (4, 6, {(k + 1) * 1000 + 10_000})
        assert all(y > x for x, y in zip(a.values, b.values, strict=True))


def test_the_load_comes_with_its_park():
    """The platform can be set up with the document of a load: every address and point is in it, once."""
    plan = LoadPlan(30, 4, 1, 1, firms=7)
    definition = plan.definition(datetime(2026, 1, 1, tzinfo=UTC))
    check_definition(definition, "load")
    found = {(f.code, p.edge, p.code) for f in definition.firms for p in f.points}
    wanted = {(plan.address(e).firm, plan.address(e).edge, code) for e in range(30) for code in plan.codes(e)}
    assert found == wanted
    assert len(found) == 120


async def test_the_load_is_open_loop_and_keeps_its_pace():
    """A paced load takes its time, sends what was planned, and tells how it stands."""
    told: list[Progress] = []
    report = await offer(LoadPlan(50, 10, 0.5, 1.5), NullSink(), progress=told.append)
    assert report.sent == 50 * 10 * 3
    assert 1.2 < report.seconds < 3.0
    assert told[-1].sent == report.sent


def test_a_senseless_load_is_refused():
    """No edges, or more points than a batch may hold, is said at once."""
    with pytest.raises(SimulatorError, match="positive"):
        LoadPlan(0, 1, 1, 1)
    with pytest.raises(SimulatorError, match="at most 20000 points"):
        LoadPlan(1, 30_000, 1, 1)


def test_the_broker_says_how_much_it_takes_at_once():
    """The receive maximum is found among the other properties of a CONNACK."""
    assert receive_maximum(b"") == 65_535
    assert receive_maximum(b"\x22\x00\x0a\x21\x03\xe8") == 1000
    assert receive_maximum(b"\x12\x00\x02ab\x26\x00\x01x\x00\x01y\x27\x00\x00\x00\x01\x21\x00\x14") == 20


@contextlib.asynccontextmanager
async def committing(broker: Any, park: str) -> AsyncIterator[None]:
    """A stand-in for ingest that says of every batch that the database has it."""
    floors: dict[tuple[str, str], int] = {}
    ready = asyncio.Event()

    async def run() -> None:
        async with aiomqtt.Client(
            "127.0.0.1",
            broker.port,
            username="ingest",
            password=broker.password("ingest"),
            identifier=f"committer-{park}",
            protocol=aiomqtt.ProtocolVersion.V5,
        ) as client:
            await client.subscribe(f"greenpark/1/{park}/+/+/data", qos=1)
            ready.set()
            async for message in client.messages:
                address = parse_topic(str(message.topic))
                batch = decode_batch(bytes(message.payload), message.properties.ContentType)
                place = address.firm, address.edge
                floors[place] = max(floors.get(place, 0), (batch.seq or 0) + 1)
                answer = encode(Committed(batch.boot or "", floors[place]))
                await client.publish(str(message.topic).removesuffix("data") + "committed", answer, qos=1)

    task = asyncio.create_task(run())
    async with asyncio.timeout(20):
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    if task.done():
        task.result()
    try:
        yield
    finally:
        while not task.done():  # aiomqtt waits in a way that, in Python 3.11, can swallow a cancellation
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.stack
async def test_every_batch_is_acknowledged_by_the_broker_and_committed(broker: Any):
    """Over one connection per edge: sent, acknowledged and committed are equal, with their latencies."""
    plan = LoadPlan(12, 5, 0.2, 1.0, park="loadeach")
    passwords = broker.add_edges(("loadeach", plan.address(e).firm, "gw1") for e in range(12))
    secrets = {str(plan.address(e)): password for e, password in enumerate(passwords)}

    def credentials(topic: Topic) -> tuple[str, str]:
        return topic.user, secrets[str(topic)]

    async with committing(broker, "loadeach"):
        report = await offer(plan, MqttSink("127.0.0.1", broker.port, credentials=credentials), drain_s=10)
    assert report.failure is None
    assert report.sent == report.acknowledged == report.committed == 12 * 5 * 5
    assert report.unacknowledged_batches == report.refused_batches == report.not_sent_batches == 0
    assert report.acknowledge_s.p99 is not None
    assert report.acknowledge_s.p99 < 5
    assert report.commit_s.p50 is not None
    assert report.commit_s.p50 > 0


@pytest.mark.stack
async def test_a_broker_that_refuses_is_said_and_nothing_is_counted_as_taken(broker: Any):
    """A user without rights: every batch is refused, and the report says so."""
    password = broker.add_edge("loadone", "f00001", "gw1")
    plan = LoadPlan(4, 5, 0.2, 0.4, park="loadone", connections=2)
    sink = MqttSink("127.0.0.1", broker.port, "loadone/f00001/gw1", password)
    report = await offer(plan, sink, drain_s=1)
    assert report.refused_batches > 0
    assert report.acknowledged < report.sent + report.not_sent_batches * 5
    assert report.failure is not None
    assert "refuses" in report.failure


@pytest.mark.stack
async def test_a_wrong_password_and_an_absent_broker_are_told_apart(broker: Any):
    """Who cannot load is told why: no broker there, or not with this password."""
    with pytest.raises(LoadError, match="refused the connection"):
        await offer(LoadPlan(1, 1, 1, 1), MqttSink("127.0.0.1", broker.port, "nobody", "wrong"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(LoadError, match=f"no broker at 127.0.0.1:{port}"):
        await offer(LoadPlan(1, 1, 1, 1), MqttSink("127.0.0.1", port))


@pytest.mark.stack
async def test_a_dead_platform_does_not_fill_the_memory(broker: Any):
    """What is due beyond the limit of unacknowledged batches is not sent, and counted."""
    password = broker.add_edge("loadfull", "f00001", "gw1")
    plan = LoadPlan(1, 5, 0.02, 0.2, park="loadfull")
    sink = MqttSink("127.0.0.1", broker.port, "loadfull/f00001/gw1", password, max_waiting=0)
    report = await offer(plan, sink, drain_s=0)
    assert report.sent == 0
    assert report.not_sent_batches == 10
    assert report.offered_readings_per_s == 250
