"""The whole worker, on the real broker and the real database."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from cli.stack import ports
from cli.stack.mosquitto import Broker
from cli.stack.places import service_user
from ingest.inbox import Inbox
from ingest.link import Message
from ingest.process import Worker, retire, run
from ingest.settings import IngestSettings
from park.wire import Batch, decode_committed, encode
from store.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.stack

WORKER = Path(__file__).with_name("worker.py")
BOTH_AT_WORK = """
    SELECT count(DISTINCT application_name) = 2 FROM pg_stat_activity
    WHERE application_name IN ('greenpark ingest 1', 'greenpark ingest 2') AND datname = current_database()
"""
CHECKOUT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
async def here(house, post, park_named) -> Any:
    """The house, under the park code that this test has at the broker."""
    house.park = post.park
    house.now_ms = int(time.time() * 1_000)
    await house.register(park_named(post.park))
    return house


@asynccontextmanager
async def working(settings) -> AsyncIterator[asyncio.Event]:
    """A worker inside this process."""
    stop = asyncio.Event()
    task = asyncio.create_task(run(settings, stop=stop), name="ingest")
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def start(settings) -> asyncio.subprocess.Process:
    """A worker in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, WORKER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, cwd=CHECKOUT,
        env={"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    process.stdin.write(json.dumps(asdict(settings)).encode())
    process.stdin.close()
    return process


async def until(condition: Any, limit_s: float = 30) -> None:
    async with asyncio.timeout(limit_s):
        while not await condition():  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.05)


async def test_lanes_that_meet_a_new_edge_together_both_know_it(house, post, larger) -> None:
    """The registry is renewed once for all: whoever comes second finds it renewed, and calls nobody unknown."""
    worker = Worker(post.settings(house.url, lanes=2))
    await worker._renewed()
    await house.register(larger)
    payload = encode(Batch(points=["gw1-E9"], t=[house.now_ms], v=[1.0]))
    message = Message(house.topic(), payload, None, 1, 1, 1, time.time())
    both = await asyncio.gather(worker._decode([message]), worker._decode([message]))
    assert [type(arrivals[0].decoded).__name__ for arrivals in both] == ["Readings", "Readings"]
    worker._directory.close()


async def subscribed(broker_settings) -> None:
    """Lay down the worker's session, so that nothing published afterwards is missed."""
    inbox = Inbox(broker_settings, random.Random(0))
    task = asyncio.create_task(inbox.run(), name="inbox")
    while not inbox.connected:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def payload(seq: int, start_ms: int, size: int = 5) -> tuple[bytes, set[tuple[str, int, float]]]:
    """A batch and what it holds."""
    rows = [(f"gw1-E{n % 4}", start_ms + seq * 1_000 + n // 4, float(seq * 10 + n)) for n in range(size)]
    codes = sorted({code for code, _, _ in rows})
    batch = Batch(
        points=codes,
        i=[codes.index(code) for code, _, _ in rows],
        t=[t for _, t, _ in rows],
        v=[v for _, _, v in rows],
        boot="boot-1",
        seq=seq,
    )
    return encode(batch), set(rows)


async def stored(house) -> list[tuple[str, int, float]]:
    rows = await house.connection.fetch(
        "SELECT p.code, (extract(epoch FROM t) * 1000)::bigint, value FROM reading JOIN point AS p USING (point_id)"
    )
    return [tuple(row) for row in rows]


async def test_a_reading_goes_from_publisher_to_database_and_the_edge_is_told(here, post) -> None:
    """JSON from an edge lands in the database; the watermark comes back, retained."""
    settings = post.settings(here.url)
    await subscribed(settings)
    async with working(settings), post.publisher() as edge:
        await edge.subscribe(post.topic("committed"), qos=1)
        began = time.perf_counter()
        message, rows = payload(0, here.now_ms - 60_000)
        await edge.publish(post.topic(), message, qos=1)
        await edge.publish(post.topic("status"), b'{"online": true, "boot": "boot-1", "at": 1}', qos=1)
        async with asyncio.timeout(10):
            async for told in edge.messages:
                watermark = decode_committed(told.payload)
                break
        assert time.perf_counter() - began < 2
        assert (watermark.boot, watermark.floor, watermark.ranges) == ("boot-1", 1, [])
        assert set(await stored(here)) == rows
        await until(lambda: here.connection.fetchval("SELECT online FROM edge_status"))
    async with post.publisher(identifier="later") as edge:
        await edge.subscribe(post.topic("committed"), qos=1)
        async with asyncio.timeout(5):
            async for told in edge.messages:
                assert told.retain
                assert decode_committed(told.payload).floor == 1
                break


async def test_a_resend_is_answered_though_nothing_is_new(here, post) -> None:
    """An edge that missed the watermark sends again, and is told again."""
    settings = post.settings(here.url)
    await subscribed(settings)
    async with working(settings), post.publisher() as edge:
        await edge.subscribe(post.topic("committed"), qos=1)
        message, _ = payload(0, here.now_ms - 60_000)
        answers = 0
        async with asyncio.timeout(10):
            await edge.publish(post.topic(), message, qos=1)
            async for _ in edge.messages:
                answers += 1
                if answers == 3:
                    break
                await edge.publish(post.topic(), message, qos=1)
        assert await here.count("batch") == 1


async def test_any_bytes_end_stored_or_quarantined(here, post) -> None:
    """Messages mutilated at random: each is in the database or in quarantine, and the worker goes on."""
    chance = random.Random(11)
    settings = post.settings(here.url)
    await subscribed(settings)
    count = 300
    async with working(settings), post.publisher() as edge:
        for seq in range(count):
            raw = bytearray(payload(seq, here.now_ms - 600_000)[0])
            for _ in range(chance.choice((0, 0, 1, 3, 30))):
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            if chance.random() < 0.1:
                del raw[chance.randrange(len(raw)) :]
            channel = chance.choice(("data", "data", "data", "event", "status"))
            await edge.publish(post.topic(channel), bytes(raw), qos=1)
        good, rows = payload(100_000, here.now_ms - 600_000_000)
        await edge.publish(post.topic(), good, qos=1)
        await until(lambda: here.connection.fetchval("SELECT count(*) FROM batch WHERE seq = 100000"))
    mine = "SELECT coalesce(sum(times_seen), 0) FROM quarantine WHERE topic LIKE $1"
    held = await here.connection.fetchval(mine, f"%/{post.park}/%")
    batches = await here.count("batch")
    # A message with good and bad readings is in both.
    both = await here.connection.fetchval(f"{mine} AND detail LIKE '%readings rejected%'", f"%/{post.park}/%")
    assert batches - 1 > 50
    assert held > 50
    assert batches - 1 + held - both <= count <= batches - 1 + held
    assert rows <= set(await stored(here))


@pytest.mark.slow
async def test_killed_workers_lose_and_double_nothing(here, post) -> None:
    """Two workers share the load and are killed with -9 again and again: what is stored is what was sent."""
    chance = random.Random(5)
    workers = [post.settings(here.url, worker=str(n), max_messages=40) for n in (1, 2)]
    for settings in workers:
        await subscribed(settings)
    processes = [await start(settings) for settings in workers]
    count, sent = 1_500, set()

    async def send() -> None:
        async with AsyncExitStack() as stack:
            edge = await stack.enter_async_context(post.publisher())
            for seq in range(count):
                message, rows = payload(seq, here.now_ms - 3_600_000, size=8)
                sent.update(rows)
                await edge.publish(post.topic(), message, qos=1)
                await asyncio.sleep(0.003)

    kills = 0
    sending = asyncio.create_task(send(), name="send")
    try:
        while not sending.done() or kills < 8:
            await asyncio.sleep(chance.uniform(0.6, 1.4))
            victim = chance.randrange(2)
            processes[victim].kill()
            await processes[victim].wait()
            kills += 1
            processes[victim] = await start(workers[victim])
        await sending
        await until(lambda: here.connection.fetchval(f"SELECT count(*) = {count} FROM batch"), 60)
        found = await stored(here)
        assert len(found) == len(set(found)) == len(sent)
        assert set(found) == sent
        assert await here.count("reading_conflict") == 0
        assert await here.connection.fetchval("SELECT committed::text FROM watermark") == f"{{[0,{count})}}"
        # Each worker is at work again: it can be asked to stop.
        await until(lambda: here.connection.fetchval(BOTH_AT_WORK))
    finally:
        sending.cancel()
        for process in processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        codes = await asyncio.gather(*(process.wait() for process in processes), sending, return_exceptions=True)
    assert codes[:2] == [0, 0], "a worker that is asked to stop stops well"


async def test_a_schema_that_is_not_ours_is_refused(empty_database_url, post) -> None:
    """An empty database is not waited for: it is said what to do."""
    with pytest.raises(SchemaError, match="greenpark migrate"):
        await run(post.settings(empty_database_url), stop=asyncio.Event())


async def test_stopping_before_anything_is_there_stops(post) -> None:
    """A worker that waits for its database can be stopped."""
    async with working(post.settings("postgresql://nobody@127.0.0.1:1/x")):
        await asyncio.sleep(0.3)


@pytest.fixture
async def own_broker(components, stack_places, post) -> AsyncIterator[Broker]:
    """A broker that may be killed."""
    broker = Broker(
        components.mosquitto,
        stack_places.broker.with_name(post.group),
        secret=stack_places.secrets / f"{post.group}.json",
        port=ports.any_free(),
        user=service_user("mosquitto"),
        log=stack_places.logs / f"{post.group}.log",
    )
    await broker.start()
    yield broker
    await broker.stop()


async def test_a_killed_broker_and_lost_database_connections_are_survived(here, post, own_broker) -> None:
    """The worker goes on by itself, and what an edge sends again after the outage is stored once."""
    post.broker = own_broker
    settings = post.settings(here.url)
    sent = set()

    async def send(seqs: range) -> None:
        async with post.publisher() as edge:
            for seq in seqs:
                message, rows = payload(seq, here.now_ms - 3_600_000)
                sent.update(rows)
                await edge.publish(post.topic(), message, qos=1)

    await subscribed(settings)
    async with working(settings):
        await send(range(20))
        await until(lambda: here.connection.fetchval("SELECT count(*) = 20 FROM batch"))
        await own_broker.kill()
        await here.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'greenpark ingest%'"
        )
        await own_broker.start()
        # Until the worker has subscribed again nobody gets what is sent: an edge sends until it is told otherwise.
        async with asyncio.timeout(30):
            while await here.count("batch") < 40:
                await send(range(40))
                await asyncio.sleep(0.2)
    assert set(await stored(here)) == sent
    assert len(await stored(here)) == len(sent)
    assert await here.connection.fetchval("SELECT committed::text FROM watermark") == "{[0,40)}"


async def test_a_retired_worker_leaves_nothing_behind(here, post) -> None:
    """The broker deals messages to a worker that is away, too; retiring it stores them and ends its share."""
    one, two = (post.settings(here.url, worker=name) for name in ("1", "2"))
    await subscribed(one)
    await subscribed(two)

    async def send(seqs: range) -> None:
        async with post.publisher() as edge:
            for seq in seqs:
                await edge.publish(post.topic(), payload(seq, here.now_ms - 3_600_000)[0], qos=1)

    async with working(one):
        await send(range(40))
        await until(lambda: here.connection.fetchval("SELECT count(*) = 20 FROM batch"))
        await asyncio.wait_for(retire(two), 20)
        assert await here.count("batch") == 40
        await send(range(40, 80))
        await until(lambda: here.connection.fetchval("SELECT count(*) = 80 FROM batch"))


async def test_two_workers_of_one_name_say_so_and_leave_each_other_time(here, post) -> None:
    """They throw each other out a few times and not for ever, name the mistake, and what is sent is stored once."""
    settings = post.settings(here.url)
    await subscribed(settings)
    expected: set[tuple[str, int, float]] = set()
    with structlog.testing.capture_logs() as lines:
        async with working(settings), working(settings), post.publisher() as edge:
            for seq in range(8):
                message, rows = payload(seq, here.now_ms - 60_000)
                await edge.publish(post.topic(), message, qos=1)
                expected |= rows
                await asyncio.sleep(0.5)

            async def all_stored() -> bool:
                return set(await stored(here)) >= expected

            await until(all_stored)
    taken = [line for line in lines if line["event"] == "worker_name_taken"]
    assert taken
    assert taken[0]["worker"] == "1"
    assert "GREENPARK_INGEST_WORKER" in taken[0]["error"]
    assert len([line for line in lines if line["event"] == "broker_connected"]) <= 10
    assert sorted(await stored(here)) == sorted(expected)


async def test_waits_after_a_takeover_grow_and_start_anew_after_a_quiet_time() -> None:
    """Each takeover in a row waits longer, up to a minute; one after a long peace counts as the first."""
    inbox = Inbox(IngestSettings("postgresql://nowhere", "mqtt://nowhere"), random.Random(0))
    with structlog.testing.capture_logs():
        waits = [inbox._after_takeover(1.0) for _ in range(12)]
        assert all(1.0 <= wait_s <= 60.0 for wait_s in waits)
        assert min(waits[6:]) >= 30.0
        assert inbox._after_takeover(3_600.0) <= 2.0


async def test_retiring_tells_whether_the_broker_knew_the_worker(here, post) -> None:
    """A name that never worked is told apart from one that the broker kept a session for."""
    settings = post.settings(here.url)
    assert await retire(settings) is False
    await subscribed(settings)
    assert await retire(settings) is True
    assert await retire(settings) is False
