"""Two parks in which nothing is empty, served by the application under a log-in of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from api.app import create_app
from api.settings import ApiSettings
from store.pool import connected, open_pool
from store.specimen import Planted, plant
from store.tenants import add_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

NOW = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)
LOGIN, PASSWORD = "test_api_login", "test-only"


@dataclass(frozen=True, slots=True)
class Served:
    """The application with its data and tokens: `a`, `b` (firms of one park), `east`, `west` (parks)."""

    app: FastAPI
    planted: Planted
    tokens: dict[str, str]
    url: str

    def client(self, token: str | None) -> httpx.AsyncClient:
        """A client in the same process; None sends no token."""
        headers = {} if token is None else {"Authorization": f"Bearer {self.tokens.get(token, token)}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)


@pytest.fixture
async def served(database_url: str) -> AsyncIterator[Served]:
    """The application over two parks."""
    async with connected(database_url) as connection:
        planted = await plant(connection, now=NOW)
        tokens = {
            "a": await add_token(connection, planted.roles["east", "a"], "reader of a"),
            "writer of a": await add_token(connection, planted.roles["east", "a"], "writer of a", may_write=True),
            "b": await add_token(connection, planted.roles["east", "b"], "writer of b", may_write=True),
            "c": await add_token(connection, planted.roles["west", "c"], "writer of c", may_write=True),
            "east": await add_token(connection, planted.roles["east", None], "east", may_write=True),
            "west": await add_token(connection, planted.roles["west", None], "west", may_write=True),
            "expired": await add_token(connection, planted.roles["east", "a"], "old", expires=NOW.replace(year=2020)),
            "service": await add_token(connection, "greenpark_service", "a mistake of an administrator"),
            "ghost": await add_token(connection, "gp_gone", "its role was dropped"),
        }
        # What the process gets in production: a member of the service, not an owner, not a superuser.
        await connection.execute(
            f"DO $$BEGIN CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}' IN ROLE greenpark_service;"
            " EXCEPTION WHEN duplicate_object THEN NULL; END$$"
        )
    parts = urlsplit(database_url)
    url = urlunsplit(parts._replace(netloc=f"{LOGIN}:{PASSWORD}@{parts.hostname}:{parts.port}"))
    async with open_pool(url, application="test api", min_size=0, max_size=3, read_only=True) as pool:
        app = create_app(ApiSettings(database_url=url), pool, clock=lambda: NOW)
        yield Served(app, planted, tokens, url)
