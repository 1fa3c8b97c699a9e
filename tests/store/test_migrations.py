"""The schema grows in order, once, and says so when it does not fit."""

from __future__ import annotations

import asyncio

import pytest

from store.errors import SchemaError, StoreError, UnreachableError
from store.migrations import check_schema, known, migrate
from store.pool import connected, probe

pytestmark = pytest.mark.stack


async def test_every_earlier_state_migrates_to_the_newest(empty_database_url: str) -> None:
    """A database at any earlier migration ends at the newest, each step applied once."""
    applied = []
    for target in range(1, len(known()) + 1):
        applied += await migrate(empty_database_url, target=target)
    assert applied == [step.number for step in known()]
    assert await migrate(empty_database_url) == []
    async with connected(empty_database_url) as connection:
        await check_schema(connection)


async def test_two_migrations_at_once_wait_for_each_other(empty_database_url: str) -> None:
    """Started together, exactly one of two programs applies each step."""
    first, second = await asyncio.gather(migrate(empty_database_url), migrate(empty_database_url))
    assert sorted(first + second) == [step.number for step in known()]


async def test_an_empty_database_is_refused_with_the_command_to_run(empty_database_url: str) -> None:
    """A program that meets an old schema names the command that mends it."""
    async with connected(empty_database_url) as connection:
        with pytest.raises(SchemaError, match="greenpark migrate"):
            await check_schema(connection)


async def test_an_edited_migration_is_noticed(database_url: str) -> None:
    """History is not rewritten: a changed checksum stops the migration."""
    async with connected(database_url) as connection:
        await connection.execute("UPDATE public.greenpark_migration SET checksum = 'x' WHERE number = 1")
    with pytest.raises(StoreError, match="0001_first was edited"):
        await migrate(database_url)


async def test_a_database_from_the_future_is_refused(database_url: str) -> None:
    """An old program does not touch a newer schema."""
    async with connected(database_url) as connection:
        await connection.execute("INSERT INTO public.greenpark_migration VALUES (9999, 'later', 'x')")
    with pytest.raises(SchemaError, match="newer greenpark"):
        await migrate(database_url)


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    """The message names the address and keeps the secret."""
    with pytest.raises(UnreachableError) as caught:
        async with connected("postgresql://u:hunter2@127.0.0.1:1/x"):
            pass
    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_the_edition_is_probed(database_url: str) -> None:
    """Version and edition come from the server."""
    async with connected(database_url) as connection:
        server = await probe(connection)
    assert server.postgres >= 15
    assert server.timescaledb >= (2, 19)
    assert server.edition in {"apache", "timescale"}
