"""Typed questions of `greenpark doctor`: what kind of server this is, and how it is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Roles:
    """Roles of ours that exist, and the role we are.

    Attributes:
        present: of `greenpark_service` and `greenpark_tenant`.
    """

    present: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections that ordinary programs may open, that are open, and those of them that are ours."""

    most: int
    used: int
    ours: int


async def settings(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """Return those of the named server settings that exist and that we may see."""
    rows = await connection.fetch(queries("health")["settings"], list(names))
    return {row["name"]: row["setting"] for row in rows}


async def extension(connection: Connection) -> tuple[str | None, str | None]:
    """Return TimescaleDB's version in this database, and the one that the server offers."""
    row = await connection.fetchrow(queries("health")["extension"])
    return row["installed"], row["available"]


async def roles(connection: Connection) -> Roles:
    """Return our roles and ourselves."""
    row = await connection.fetchrow(queries("health")["roles"])
    return Roles(tuple(row["present"]), row["name"])


async def clock(connection: Connection) -> datetime:
    """Return the server's clock."""
    now: datetime = await connection.fetchval(queries("health")["clock"])
    return now


async def connections(connection: Connection) -> Connections:
    """Return how many connections there may be and are."""
    return Connections(**dict(await connection.fetchrow(queries("health")["connections"])))
