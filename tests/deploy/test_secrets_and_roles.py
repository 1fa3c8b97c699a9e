"""What makes passwords and log-ins: run for real, the SQL on a real server by psql."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from api.app import create_app
from api.settings import ApiSettings
from cli.stack.mosquitto import hash_password
from dashboards.check import check
from store.migrations import migrate
from store.pool import connected, open_pool
from store.specimen import plant
from store.tenants import add_token

if TYPE_CHECKING:
    from cli.stack.components import Components

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NOW = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)
Psql = Callable[..., None]


@pytest.fixture(scope="module")
def make_secrets():
    spec = importlib.util.spec_from_file_location("make_secrets", DEPLOY / "make_secrets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_secrets_are_made_once_and_closed_to_others(make_secrets, tmp_path: Path) -> None:
    """Every secret of the compose file, none replaced by a second call, the directory for the owner alone."""
    import yaml  # noqa: PLC0415

    folder = tmp_path / "secrets"
    made = make_secrets.init(folder)
    wanted = {Path(s["file"]).name for s in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["secrets"].values()}
    assert set(made) == wanted == {file.name for file in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = contents(folder)
    assert make_secrets.init(folder) == []
    assert contents(folder) == before
    assert before["app_db_password"] in before["app_database_url"]
    assert len({before[name] for name in make_secrets._PLAIN}) == len(make_secrets._PLAIN)


def test_a_gateways_password_replaces_its_old_one_and_no_other(make_secrets, tmp_path: Path) -> None:
    """The broker's file has one line per user, in the form that mosquitto reads."""
    make_secrets.init(tmp_path)
    for _ in range(2):
        password = make_secrets.add_edge(tmp_path, "p", "f", "gw1")
    lines = (tmp_path / "mosquitto_passwords").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == ["ingest", "p/f/gw1"]
    assert password not in "".join(lines)
    salt = b"123456789012"
    assert make_secrets.mosquitto_line("u", "p", salt) == f"u:{hash_password('p', salt)}\n"
    with pytest.raises(SystemExit, match="letters"):
        make_secrets.add_edge(tmp_path, "p", "f/#", "gw1")


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


@pytest.fixture
def psql(components: Components) -> Psql:
    """Runs a file as the container's entry point does, with the psql beside the server."""
    return partial(run_psql, components.postgres.program("psql"))


def run_psql(program: str, url: str, file: Path, folder: Path, **variables: str) -> None:
    arguments = [item for name, value in variables.items() for item in ("-v", f"{name}={value}")]
    done = subprocess.run(
        [program, "-X", "-q", *arguments, "-f", file, url],
        env=os.environ | {"GREENPARK_SECRETS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def log_in(url: str, user: str, password: str) -> str:
    address = url.rpartition("@")[2]
    return f"postgresql://{user}:{password}@{address}"


@pytest.mark.stack
async def test_the_log_ins_of_production_are_enough_and_not_more(
    make_secrets, psql: Psql, empty_database_url: str, tmp_path: Path
) -> None:
    """No superuser after the first minute: the owner migrates and makes tenants, the app serves, Grafana reads."""
    make_secrets.init(tmp_path)
    for _ in range(2):  # a second run changes nothing
        psql(empty_database_url, DEPLOY / "postgres" / "10-roles.sql", tmp_path)
    secret = contents(tmp_path)
    owner = log_in(empty_database_url, "greenpark_owner", secret["owner_db_password"])
    app = log_in(empty_database_url, "greenpark_app", secret["app_db_password"])

    assert await migrate(owner)
    async with connected(owner) as connection:
        assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        planted = await plant(connection, now=NOW)
        role = planted.roles["east", "a"]
        token = await add_token(connection, role, "test")

    async with open_pool(app, application="test", min_size=0, read_only=True) as pool:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(ApiSettings(database_url=app), pool)), base_url="http://api"
        )
        async with client:
            assert (await client.get("/readyz")).status_code == 200
            seen = await client.get("/v1/firms", headers={"Authorization": f"Bearer {token}"})
    assert [item["code"] for item in seen.json()["items"]] == ["a"]
    async with connected(app) as connection:
        await connection.execute("INSERT INTO reading VALUES (1, '2031-01-01Z', 1, 0, 1)")  # makes a chunk
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE greenpark.x ()")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE ROLE x")

    psql(empty_database_url, DEPLOY / "postgres" / "grafana-login.sql", tmp_path, role=role)
    grafana = log_in(empty_database_url, role, secret["grafana_db_password"])
    viewer = await asyncpg.connect(grafana)
    try:
        assert await viewer.fetchval("SELECT array_agg(code) FROM greenpark.firm") == ["a"]
        with pytest.raises(asyncpg.PostgresError):
            await viewer.execute("DELETE FROM greenpark.point")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await viewer.execute("SET ROLE greenpark_service")
    finally:
        await viewer.close()
    report = await check(app, now=NOW)
    assert report.ok, report.as_json()


@pytest.mark.stack
def test_only_a_tenant_is_let_in_for_grafana(make_secrets, psql: Psql, database_url: str, tmp_path: Path) -> None:
    """A role that is no tenant gets no log-in."""
    make_secrets.init(tmp_path)
    with pytest.raises(AssertionError, match="division by zero"):
        psql(database_url, DEPLOY / "postgres" / "grafana-login.sql", tmp_path, role="greenpark_service")
