"""What is registered, kept in memory and renewed when it has changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import structlog

from ingest.decode import Registry
from store import registry
from store.errors import UnreachableError
from store.pool import connect

if TYPE_CHECKING:
    from store.pool import Connection

log = structlog.get_logger()


class Directory:
    """The registry's copy, over a connection of its own.

    Attributes:
        registry: the newest copy.
    """

    def __init__(self, database_url: str, *, name: str) -> None:
        self.registry = Registry()
        self._url = database_url
        self._name = name
        self._version: int | None = None
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def refresh(self) -> bool:
        """Renew the copy if points or edges have changed; return whether they had.

        Raises:
            UnreachableError: the database is away.
        """
        async with self._turn:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self._url, application=self._name)
                async with asyncio.timeout(30):
                    version = await registry.registry_version(self._connection)
                    if version == self._version:
                        return False
                    rows = await registry.edges(self._connection)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                self.close()
                raise UnreachableError(f"cannot read the registry: {type(error).__name__}: {error}") from error
            self.registry, self._version = Registry(rows), version
            log.info("registry_loaded", edges=len(rows), points=len(self.registry.firm_of))
            return True

    def address(self, edge_id: int) -> tuple[str, str, str] | None:
        """Return (park, firm, edge) of an edge."""
        return self.registry.topics.get(edge_id)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
