"""The schema grows in order, once, and says so when it does not fit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

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


STATES = Path(__file__).parent / "states"
# Columns, constraints, indexes, policies, functions and grants, as text.
CATALOGUE = """
SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' '
       || coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS line
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'greenpark'::regnamespace AND c.relkind IN ('r', 'v', 'p')
  AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'greenpark'::regnamespace
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'greenpark'
UNION ALL
SELECT tablename || ' ' || policyname || ' ' || roles::text || coalesce(qual, '') || coalesce(with_check, '')
FROM pg_policies
UNION ALL
SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p
WHERE p.pronamespace = 'greenpark'::regnamespace AND p.prokind = 'f'
UNION ALL
SELECT relname || ' ' || coalesce(relacl::text, '') || relrowsecurity FROM pg_class
WHERE relnamespace = 'greenpark'::regnamespace AND relkind IN ('r', 'v', 'p')
ORDER BY 1
"""
COUNTS = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'greenpark'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
)


def _text(file: Path) -> str:
    return file.read_text("utf-8")


async def _counts(connection: Any) -> dict[str, int]:
    tables = [row[0] for row in await connection.fetch(COUNTS)]
    return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


@pytest.mark.parametrize("file", sorted(STATES.iterdir()), ids=lambda file: file.name)
async def test_a_database_that_was_in_use_migrates_with_all_it_holds(
    empty_database_url: str, database_url: str, file: Path
) -> None:
    """What an earlier version wrote stands afterwards, and the schema is the one that an empty database gets."""
    await migrate(empty_database_url, target=int(file.stem))
    async with connected(empty_database_url) as connection:
        async with connection.transaction():
            # The rows stand in the order of their tables' names, not of who refers to whom.
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(_text(file))
        before = await _counts(connection)
    assert sum(before.values()) > 300
    assert await migrate(empty_database_url) == [step.number for step in known() if step.number > int(file.stem)]
    async with connected(empty_database_url) as old, connected(database_url) as fresh:
        await check_schema(old)
        after = await _counts(old)
        assert {table: after[table] for table in before if table in after} == {
            t: n for t, n in before.items() if t in after
        }
        lines = [[row["line"] for row in await one.fetch(CATALOGUE)] for one in (old, fresh)]
    assert lines[0] == lines[1]


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
