"""A private TimescaleDB: starts, survives a crash, keeps its secret."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest

from cli.stack import ports
from cli.stack.errors import DataVersionError, SecretMissingError
from cli.stack.places import service_user
from cli.stack.postgres import Machine, PostgresServer, render_settings, server_settings

if TYPE_CHECKING:
    from cli.stack.components import Components
    from cli.stack.places import Places

GIB = 1024**3


def test_a_server_takes_a_quarter_of_a_small_machine_and_two_gigabytes_of_a_large_one() -> None:
    """shared_buffers is a quarter of memory, at most 2 GB."""
    small = server_settings(Machine(4 * GIB, 2, GIB), port=1)
    large = server_settings(Machine(256 * GIB, 64, GIB), port=1)
    assert small["shared_buffers"] == "1024MB"
    assert large["shared_buffers"] == "2048MB"


def test_commits_are_on_disk_unless_the_cluster_is_for_throwing_away() -> None:
    """Both fsync and synchronous_commit are on by default."""
    machine = Machine(4 * GIB, 2, GIB)
    kept, thrown = server_settings(machine, port=1), server_settings(machine, port=1, durable=False)
    assert (kept["fsync"], kept["synchronous_commit"], kept["full_page_writes"]) == ("on", "on", "on")
    assert thrown["fsync"] == "off"


def test_a_server_listens_on_loopback_only_and_sends_no_telemetry() -> None:
    """Nothing outside the machine reaches it or hears of it."""
    settings = server_settings(Machine(GIB, 1, GIB), port=5433)
    assert settings["listen_addresses"] == "127.0.0.1"
    assert settings["unix_socket_directories"] == ""
    assert settings["timescaledb.telemetry_level"] == "off"
    assert settings["jit"] == "off"


def test_parallel_queries_work_where_shared_memory_is_tiny() -> None:
    """64 MB of /dev/shm, as containers have it, are not relied upon."""
    assert server_settings(Machine(GIB, 2, 64 * 1024**2), port=1)["dynamic_shared_memory_type"] == "mmap"
    assert "dynamic_shared_memory_type" not in server_settings(Machine(GIB, 2, GIB), port=1)


def test_a_quote_in_a_setting_stays_inside_the_setting() -> None:
    """Values are quoted as PostgreSQL reads them."""
    assert render_settings({"a": "it's"}) == "a = 'it''s'\n"


@pytest.mark.stack
async def test_timescaledb_works_in_a_fresh_database(empty_database_url: str) -> None:
    """The extension loads and makes a hypertable."""
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute("CREATE EXTENSION timescaledb")
        await connection.execute("CREATE TABLE t (ts timestamptz NOT NULL, v float8)")
        await connection.execute("SELECT create_hypertable('t', by_range('ts'))")
        await connection.execute("INSERT INTO t SELECT now() + i * interval '20 days', i FROM generate_series(1, 3) i")
        assert await connection.fetchval("SELECT count(*) FROM show_chunks('t')") == 3
        assert await connection.fetchval("SHOW jit") == "off"
        zone = await connection.fetchval("SELECT '2026-01-01 00:00 Asia/Shanghai'::timestamptz::text")
        assert zone == "2025-12-31 16:00:00+00"
    finally:
        await connection.close()


@pytest.mark.stack
async def test_a_wrong_password_is_refused(postgres_server: PostgresServer) -> None:
    """SCRAM holds on loopback too."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://postgres:wrong@127.0.0.1:{postgres_server.port}/postgres")


@pytest.mark.stack
async def test_a_killed_server_starts_again_with_every_commit(components: Components, stack_places: Places) -> None:
    """After kill -9 and start: the committed row is there; the warm start takes under two seconds."""
    secret = stack_places.secrets / "crash"
    server = PostgresServer(
        components.postgres,
        stack_places.service / "crash",
        secret=secret,
        port=ports.any_free(),
        user=service_user("postgres"),
        log=stack_places.logs / "crash.log",
    )
    await server.start()
    try:
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert secret.read_text().strip() not in repr(server)
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE kept (v int)")
        await connection.execute("INSERT INTO kept VALUES (42)")
        await server.kill()
        connection.terminate()
        assert not server.running
        assert (server.data / "postmaster.pid").exists()

        await server.start()
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT v FROM kept") == 42
        await connection.close()

        await server.stop()
        begin = time.monotonic()
        await server.start()
        assert time.monotonic() - begin < 2

        await server.stop()
        secret.rename(secret.with_suffix(".away"))
        with pytest.raises(SecretMissingError, match="Restore"):
            await server.start()
        secret.with_suffix(".away").rename(secret)
        (server.data / "PG_VERSION").write_text("14\n")
        with pytest.raises(DataVersionError, match="PostgreSQL 14"):
            await server.start()
    finally:
        await server.stop()
