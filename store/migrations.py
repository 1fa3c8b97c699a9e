"""Ordered, forward-only migrations: `store/sql/migrations/NNNN_name.sql`, each in one transaction.

Two programs that migrate at once wait for each other; a migration that has been applied must never be edited
(its checksum is kept and compared).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import asyncpg

from store.errors import SchemaError, StoreError, UnsuitableError
from store.pool import connected, probe
from store.queries import queries

if TYPE_CHECKING:
    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Return the fingerprint under which the step is remembered."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def known() -> tuple[Migration, ...]:
    """Return all migrations of this program, in order, numbered from 1 without a gap."""
    found = sorted(path.name for path in files("store").joinpath("sql", "migrations").iterdir())
    steps = []
    for expected, name in enumerate((n for n in found if n.endswith(".sql")), start=1):
        number, _, rest = name.removesuffix(".sql").partition("_")
        if int(number) != expected:
            msg = f"migration {name}: expected number {expected:04d}"
            raise ValueError(msg)
        sql = files("store").joinpath("sql", "migrations", name).read_text("utf-8")
        steps.append(Migration(expected, rest, sql))
    return tuple(steps)


async def migrate(url: str, *, target: int | None = None) -> list[int]:
    """Bring the database to `target` (default: the newest) and return the numbers applied now.

    Raises:
        UnsuitableError: the server cannot carry the schema.
        SchemaError: the database is newer than this program.
        StoreError: an applied migration was edited afterwards.
    """
    steps = known()
    wanted = len(steps) if target is None else target
    async with connected(url, application="greenpark migrate") as connection:
        await probe(connection)
        await connection.execute(queries("migrations")["lock"])
        try:
            await _create_extension(connection)
            await connection.execute(queries("migrations")["prepare"])
            return await _apply(connection, steps, wanted)
        finally:
            await connection.execute(queries("migrations")["unlock"])


async def _create_extension(connection: Connection) -> None:
    try:
        await connection.execute(queries("migrations")["extension"])
    except asyncpg.PostgresError as error:
        msg = f"cannot create the timescaledb extension: {error}; a superuser must run CREATE EXTENSION timescaledb"
        raise UnsuitableError(msg) from error


async def _apply(connection: Connection, steps: tuple[Migration, ...], wanted: int) -> list[int]:
    applied = {row["number"]: row["checksum"] for row in await connection.fetch(queries("migrations")["applied"])}
    if applied and max(applied) > len(steps):
        raise SchemaError(max(applied), len(steps))
    done = []
    for step in steps:
        if step.number in applied:
            if applied[step.number] != step.checksum:
                msg = f"migration {step.number:04d}_{step.name} was edited after it had been applied here"
                raise StoreError(msg)
        elif step.number <= wanted:
            async with connection.transaction():
                await connection.execute(step.sql)
                await connection.execute(queries("migrations")["record"], step.number, step.name, step.checksum)
            done.append(step.number)
    return done


async def check_schema(connection: Connection) -> None:
    """Raise `SchemaError` unless the database is exactly at this program's newest migration."""
    exists = await connection.fetchval("SELECT to_regclass('public.greenpark_migration') IS NOT NULL")
    found = await connection.fetchval(queries("migrations")["newest"]) if exists else 0
    if found != len(known()):
        raise SchemaError(found, len(known()))
