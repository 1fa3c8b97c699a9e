"""Connections: one way to open them, so that search path, time zone, codecs and limits are the same everywhere."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from store.errors import UnreachableError, UnsuitableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Connection = Any
"""An asyncpg connection (or the pool's proxy of one); asyncpg ships no types that fit both."""
Pool = Any

_SETTINGS = {"search_path": "greenpark,public", "timezone": "UTC", "jit": "off"}


def without_secret(url: str) -> str:
    """Return the address with the password taken out, for logs and messages."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))


async def connect(url: str, *, application: str = "greenpark") -> Connection:
    """Open one connection.

    Raises:
        UnreachableError: no server, or no log-in.
    """
    try:
        connection = await asyncpg.connect(
            url, server_settings=_SETTINGS | {"application_name": application}, timeout=10
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        msg = f"cannot open the database {without_secret(url)}: {error or type(error).__name__}"
        raise UnreachableError(msg) from error
    await _prepare(connection)
    return connection


@asynccontextmanager
async def connected(url: str, *, application: str = "greenpark") -> AsyncIterator[Connection]:
    """Open one connection for the length of a block."""
    connection = await connect(url, application=application)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@asynccontextmanager
async def open_pool(
    url: str, *, application: str, min_size: int = 1, max_size: int = 4, read_only: bool = False
) -> AsyncIterator[Pool]:
    """Open a pool for the length of a block.

    Raises:
        UnreachableError: no server, or no log-in.
    """
    settings = _SETTINGS | {"application_name": application}
    if read_only:
        settings |= {"default_transaction_read_only": "on", "statement_timeout": "15s"}
    try:
        pool = await asyncpg.create_pool(
            url, min_size=min_size, max_size=max_size, server_settings=settings, init=_prepare, timeout=10
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        msg = f"cannot open the database {without_secret(url)}: {error or type(error).__name__}"
        raise UnreachableError(msg) from error
    try:
        yield pool
    finally:
        await pool.close()


async def _prepare(connection: Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=_to_json, decoder=msgspec.json.decode, format="text"
        )


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class Server(msgspec.Struct, frozen=True):
    """What kind of server this is; probed, never assumed.

    Attributes:
        edition: `apache` or `timescale` (Community).
    """

    postgres: int
    timescaledb: tuple[int, ...]
    edition: str


async def probe(connection: Connection) -> Server:
    """Find out versions and edition.

    Raises:
        UnsuitableError: PostgreSQL below 15, or TimescaleDB absent or below 2.19.
    """
    postgres = int(await connection.fetchval("SHOW server_version_num")) // 10_000
    if postgres < 15:
        msg = f"PostgreSQL {postgres} is too old; use 15 or later"
        raise UnsuitableError(msg)
    version = await connection.fetchval(
        "SELECT coalesce((SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),"
        " (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'))"
    )
    if version is None:
        msg = (
            "TimescaleDB is not installed on this server; on Debian 13: apt-get install postgresql-17-timescaledb,"
            " then shared_preload_libraries = 'timescaledb' and a restart"
        )
        raise UnsuitableError(msg)
    numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:3] if part.isdigit())
    if numbers < (2, 19):
        msg = f"TimescaleDB {version} is too old; use 2.19 or later"
        raise UnsuitableError(msg)
    edition = await connection.fetchval("SELECT current_setting('timescaledb.license', true)")
    return Server(postgres, numbers, edition or "unknown")
