"""The real components for every test: a throwaway TimescaleDB cluster and a throwaway broker per session."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from cli.stack import ports
from cli.stack.components import Components, bring
from cli.stack.mosquitto import Broker
from cli.stack.places import Places, open_places, service_user
from cli.stack.postgres import PostgresServer, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Administration:
    """One standing connection of the superuser, used between tests only."""

    runner: asyncio.Runner
    connection: Any
    count: int = 0

    def execute(self, statement: str) -> None:
        self.runner.run(self.connection.execute(statement))

    def new_name(self) -> str:
        self.count += 1
        return f"test_{self.count}"

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")


@pytest.fixture(scope="session")
def components() -> Components:
    """PostgreSQL with TimescaleDB and mosquitto: installed, or below the checkout's ``var``."""
    return bring(open_places(CHECKOUT / "var").components)


@pytest.fixture(scope="session")
def stack_places() -> Iterator[Places]:
    """Directories of this session, reachable for the services' users, removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="greenpark-test-"))
    directory.chmod(0o755)
    yield open_places(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(components: Components, stack_places: Places) -> Iterator[PostgresServer]:
    """A running throwaway server (fsync off)."""
    server = PostgresServer(
        components.postgres,
        stack_places.postgres,
        secret=stack_places.secrets / "postgres",
        port=ports.any_free(),
        user=service_user("postgres"),
        log=stack_places.logs / "postgres.log",
        durable=False,
    )
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture(scope="session")
def _administration(postgres_server: PostgresServer) -> Iterator[Administration]:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgres_server.url))
        yield Administration(runner, connection)
        runner.run(connection.close())


@pytest.fixture(scope="session")
def _template(postgres_server: PostgresServer, _administration: Administration) -> str:
    """A migrated database that nobody can connect to, so it can be copied at any time."""
    from store.migrations import migrate  # noqa: PLC0415 - tests without a schema need no store

    name = "template_migrated"
    _administration.execute(f"CREATE DATABASE {name}")
    _administration.runner.run(migrate(postgres_server.url_for(name)))
    _administration.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true")
    return name


@pytest.fixture
def database_url(postgres_server: PostgresServer, _administration: Administration, _template: str) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    name = _administration.new_name()
    # A third of the time of the default strategy where nothing is synced.
    _administration.execute(f"CREATE DATABASE {name} TEMPLATE {_template} STRATEGY file_copy")
    yield postgres_server.url_for(name)
    _administration.drop(name)


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer, _administration: Administration) -> Iterator[str]:
    """A fresh, empty database for one test: no extension, no migrations."""
    name = _administration.new_name()
    _administration.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
    yield postgres_server.url_for(name)
    _administration.drop(name)


@pytest.fixture(scope="session")
def broker(components: Components, stack_places: Places) -> Iterator[Broker]:
    """A running broker with the service users `ingest` and `monitor`.

    `broker.add_edge(park, firm, edge)` makes an edge's user and returns its password; `broker.password(user)`
    tells any user's. It is shared by the session: use names of your own in each test.
    """
    broker = Broker(
        components.mosquitto,
        stack_places.broker,
        secret=stack_places.secrets / "broker.json",
        port=ports.any_free(),
        user=service_user("mosquitto"),
        log=stack_places.logs / "broker.log",
    )
    asyncio.run(broker.start())
    yield broker
    asyncio.run(broker.stop())
