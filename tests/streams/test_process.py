"""The process survives its database, shares the work with others, and dies without losing any."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from cli.stack import ports
from cli.stack.places import open_places, service_user
from cli.stack.postgres import PostgresServer
from store.errors import SchemaError
from store.migrations import migrate
from store.pool import connected
from streams.process import run
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.stack

T0 = datetime(2025, 3, 3, 0, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
ROOT = Path(__file__).resolve().parent.parent.parent
OURS = "datname = current_database() AND application_name LIKE 'greenpark streams%'"
TERMINATE = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}"
STUCK = f"SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND wait_event_type = 'Lock' AND wait_event = 'relation'"
QUEUES = "SELECT tablename FROM pg_tables WHERE schemaname = 'greenpark' AND tablename LIKE 'dirty%'"
MARK_ALL = """
    INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)
    SELECT firm_id, point_id, min(t), max(t), 'test' FROM reading JOIN point USING (point_id) GROUP BY 1, 2
"""
NUMBERS = """
    SELECT 'bucket' AS what, point_id, bucket AS at, '' AS name, measured, estimated, measured_s::float8, held, flags
    FROM consumption
    UNION ALL
    SELECT grain, point_id, period, '', measured, estimated, measured_s, held, flags FROM consumption_period
    UNION ALL
    SELECT scope || grain, scope_id, period, indicator_id, numerator, denominator, value, coverage, 0
    FROM indicator_value
    ORDER BY 1, 2, 3, 4
"""


@asynccontextmanager
async def working(url: str) -> AsyncIterator[asyncio.Event]:
    """The process's coroutine inside this one."""
    stop = asyncio.Event()
    task = asyncio.create_task(run(StreamsSettings(url, poll_s=0.1, min_pass_s=0.01), stop=stop), name="streams")
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def start(url: str) -> asyncio.subprocess.Process:
    """A process as the command line makes it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "run", "streams",
        env=own | {"GREENPARK_DATABASE_URL": url, "GREENPARK_STREAMS_POLL_S": "0.1"},
        cwd=ROOT, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def until(world: Any, sql: str, wanted: Any, limit_s: float = 30) -> None:
    async with asyncio.timeout(limit_s):
        while await world.connection.fetchval(sql) != wanted:  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.05)


async def numbers(world: Any) -> list[tuple[Any, ...]]:
    """Everything that was computed, without the runs that did it; rounded to what a sum in another order may move."""
    rows = await world.connection.fetch(NUMBERS)
    return [tuple(round(v, 6) if isinstance(v, float) else v for v in row) for row in rows]


async def forget(world: Any) -> None:
    """Empty what was computed and mark every reading, as if all had just come."""
    for table in ("consumption", "consumption_period", "consumption_revision", "indicator_value"):
        await world.connection.execute(f"DELETE FROM {table}")
    await world.connection.execute(MARK_ALL)


async def nothing_waits(world: Any) -> None:
    """Wait until every queue is empty."""
    queues = [row["tablename"] for row in await world.connection.fetch(QUEUES)]
    assert "dirty" in queues
    await until(world, " UNION ALL ".join(f"SELECT 1 FROM {name}" for name in queues), None)


async def test_it_goes_on_when_its_connections_are_ended(world) -> None:
    """Connections are terminated under it: it says once that the database is away, comes back, and computes."""
    with structlog.testing.capture_logs() as lines:
        async with working(world.url):
            await world.read("a", "E", [T0, T0 + QUARTER], [0, 1])
            await until(world, "SELECT count(*) FROM consumption", 1)
            assert len(await world.connection.fetch(TERMINATE)) >= 2
            await world.read("a", "E", [T0 + 2 * QUARTER], [3])
            await until(world, "SELECT count(*) FROM consumption", 2)
    [away] = [line for line in lines if line["event"] == "database_away"]
    assert "cannot call" not in away["error"]
    assert away["retry_s"] <= 1


@pytest.fixture
def own_server(components) -> Iterator[PostgresServer]:
    """A server of this test's own, durable, not started: the shared one must not be killed."""
    with tempfile.TemporaryDirectory(prefix="greenpark-test-") as directory:
        Path(directory).chmod(0o755)
        places = open_places(Path(directory))
        server = PostgresServer(
            components.postgres,
            places.postgres,
            secret=places.secrets / "postgres",
            port=ports.any_free(),
            user=service_user("postgres"),
            log=places.logs / "postgres.log",
        )
        yield server
        asyncio.run(server.stop())


async def test_it_waits_for_a_database_that_is_killed(own_server, world_in) -> None:
    """The server is killed with -9 and started again: the process waits, says so in plain words, and goes on."""
    await own_server.start()
    url = await own_server.create_database("killed")
    await migrate(url)
    with structlog.testing.capture_logs() as lines:
        async with working(url):
            async with world_in(url) as world:
                await world.read("a", "E", [T0, T0 + QUARTER], [0, 1])
                await until(world, "SELECT count(*) FROM consumption", 1)
                await world.read("a", "E", [T0 + 2 * QUARTER], [3])
            await own_server.kill()
            await asyncio.sleep(1.0)
            await own_server.start()
            async with connected(url) as connection:
                again = replace(world, connection=connection)
                await again.read("a", "E", [T0 + 3 * QUARTER], [4])
                await until(again, "SELECT count(*) FROM consumption", 3)
                assert await again.ledger("measured") == [(10.0,), (20.0,), (10.0,)]
    away = [line["error"] for line in lines if line["event"] == "database_away"]
    assert away
    assert not [error for error in away if "cannot call" in error]


async def test_stopping_while_the_database_is_away_does_not_wait_for_it() -> None:
    """Nobody answers at the address: it tries on, and ends at once when it is told to."""
    with structlog.testing.capture_logs() as lines:
        async with working(f"postgresql://nobody@127.0.0.1:{ports.any_free()}/x"):
            await asyncio.sleep(0.3)
    assert {line["event"] for line in lines} == {"database_away"}


async def test_a_schema_of_another_version_ends_it(empty_database_url: str) -> None:
    """A database that is not migrated is no reason to wait: the error says what to run."""
    with pytest.raises(SchemaError, match="greenpark migrate"):
        await run(StreamsSettings(empty_database_url), stop=asyncio.Event())


async def test_two_processes_at_once_give_the_ledger_of_one(world) -> None:
    """Readings come out of order while two processes compute: each bucket stands once, as one worker would have it."""
    processes = [await start(world.url), await start(world.url)]
    chance = random.Random(7)
    try:
        await until(world, f"SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND application_name ~ 'listener'", 2)
        pieces = [
            (firm, code, k)
            for firm in ("a", "b", "school")
            for code in ("E", "F", "P")
            for k in chance.sample(range(12), 12)
        ]
        chance.shuffle(pieces)
        for firm, code, k in pieces:
            times = [T0 + (4 * k + n) * QUARTER for n in range(4)]
            await world.read(firm, code, times, [float((4 * k + n) ** 1.5) for n in range(4)])
            await world.connection.execute("NOTIFY greenpark_dirty")
        await nothing_waits(world)
        workers = await world.connection.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}")
        assert workers >= 4, "a process died"
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        codes = [await asyncio.wait_for(process.wait(), 20) for process in processes]
    assert codes == [0, 0]
    together = await numbers(world)
    assert len([row for row in together if row[0] == "bucket"]) == 9 * 47
    await forget(world)
    await world.compute()
    assert together == await numbers(world)


@pytest.mark.parametrize("table", ["consumption", "consumption_period", "indicator_value", "standing"])
async def test_a_process_killed_in_the_middle_leaves_its_work_to_the_next(world, table: str) -> None:
    """It is killed with -9 while it writes a table: what it had not committed is undone, and the next does it."""
    await world.read("a", "E", [T0, T0 + QUARTER, T0 + 2 * QUARTER], [0, 1, 3])
    await world.compute()
    wanted = await numbers(world)
    assert {row[0] for row in wanted} >= {"bucket", "day", "firmday", "parkday"}
    await forget(world)
    async with connected(world.url) as blocker:
        transaction = blocker.transaction()
        await transaction.start()
        # Writing blocks, reading does not.
        await blocker.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        process = await start(world.url)
        try:
            await until(world, STUCK, 1)
        finally:
            process.kill()
            await process.wait()
        await transaction.rollback()
    await until(world, f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}", 0)
    if table.startswith("consumption"):
        assert await world.connection.fetchval("SELECT count(*) FROM dirty") == 1
    assert await numbers(world) != wanted or table == "standing"
    async with working(world.url):
        await nothing_waits(world)
    assert await numbers(world) == wanted
    assert await world.ledger("measured") == [(10.0,), (20.0,)]
