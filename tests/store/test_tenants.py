"""Tenants are kept apart by the database, whatever SQL they type."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import numpy as np
import pytest

from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
from park.points import Kind
from store.copying import copy_rows
from store.pool import connected
from store.registry import apply_definition
from store.tenants import add_tenant

pytestmark = pytest.mark.stack

T0_US = 1_763_625_600_000_000
CHUNKS = """
    SELECT format('%I.%I', chunk_schema, chunk_name) AS chunk FROM timescaledb_information.chunks
    WHERE hypertable_schema = 'greenpark'
"""
TABLES_OF_TENANTS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'greenpark' AND column_name IN ('firm_id', 'point_id')
      AND has_table_privilege('greenpark_tenant', to_regclass('greenpark.' || table_name), 'SELECT')
"""


def _firm(code: str) -> FirmDefinition:
    meter = InstallationDefinition(serial="m1", valid_from=datetime(2025, 1, 1, tzinfo=UTC))
    point = PointDefinition(
        code="E-001",
        name_zh="总电表",
        name_en="Main",
        kind=Kind.REGISTER,
        carrier="electricity",
        unit="kWh",
        edge="gw1",
        installations=[meter],
    )
    return FirmDefinition(code=code, name_zh=code, name_en=code, industry="test", edges=["gw1"], points=[point])


@pytest.fixture
async def two_firms(database_url: str):
    """Two firms with a reading, a bucket, an indicator and a tenant role each."""
    definition = ParkDefinition(code="p", name_zh="园", name_en="Park", firms=[_firm("a"), _firm("b")])
    async with connected(database_url) as connection:
        await apply_definition(connection, definition)
        points = [row["point_id"] for row in await connection.fetch("SELECT point_id FROM point ORDER BY point_id")]
        n = len(points)
        await copy_rows(
            connection,
            "reading",
            [
                ("point_id", "int4", np.array(points, np.int32)),
                ("t", "timestamptz", np.full(n, T0_US)),
                ("value", "float8", np.arange(n) + 1.5),
                ("quality", "int2", np.zeros(n, np.int16)),
                ("batch_id", "int8", np.ones(n, np.int64)),
            ],
        )
        await copy_rows(
            connection,
            "consumption",
            [
                ("point_id", "int4", np.array(points, np.int32)),
                ("bucket", "timestamptz", np.full(n, T0_US)),
                ("measured", "float8?", np.array([7.0, np.nan])),
                ("measured_s", "float4", np.full(n, 900.0)),
                ("estimated_s", "float4", np.zeros(n)),
                ("closed", "bool", np.ones(n, bool)),
                ("run_id", "int8", np.ones(n, np.int64)),
            ],
        )
        await connection.execute("INSERT INTO latest SELECT point_id, t, value, quality, t FROM reading")
        async with AsyncExitStack() as stack:
            tenants = []
            for firm in ("a", "b", None):
                role = await add_tenant(connection, "p", firm)
                await connection.execute(f"ALTER ROLE {role} LOGIN PASSWORD 'secret'")
                parts = urlsplit(database_url)
                url = parts._replace(netloc=f"{role}:secret@{parts.hostname}:{parts.port}").geturl()
                tenants.append((role, await stack.enter_async_context(connected(url))))
            yield connection, points, tenants


async def test_a_firm_sees_itself_and_a_park_sees_all(two_firms) -> None:
    """Rows are those of the role's scope, through tables and through views."""
    _, points, ((_, firm_a), (_, firm_b), (_, park)) = two_firms
    for tenant, visible in ((firm_a, points[:1]), (firm_b, points[1:]), (park, points)):
        for table in ("point", "latest", "installation", "tenant_reading", "tenant_consumption"):
            rows = await tenant.fetch(f"SELECT point_id FROM {table} ORDER BY point_id")
            assert [row["point_id"] for row in rows] == visible, table


async def test_every_table_with_a_firm_is_filtered(two_firms) -> None:
    """No table that a tenant may read, now or later, shows another firm: new tables are caught here."""
    connection, points, ((_, firm_a), *_) = two_firms
    rows = await connection.fetch(TABLES_OF_TENANTS)
    columns = {(row["table_name"], row["column_name"]) for row in rows}
    assert {"firm", "point", "latest", "indicator_value", "episode", "tenant_consumption"} <= {t for t, _ in columns}
    mine = {"firm_id": await firm_a.fetchval("SELECT firm_id FROM point"), "point_id": points[0]}
    for table, column in columns:
        strangers = await firm_a.fetchval(f"SELECT count(*) FROM {table} WHERE {column} <> {mine[column]}")
        assert strangers == 0, (table, column)


@pytest.mark.parametrize(
    "attack",
    [
        "SELECT * FROM greenpark.reading",
        "SELECT * FROM greenpark.consumption",
        "SELECT * FROM greenpark.batch",
        "SELECT * FROM greenpark.tenant_scope",
        "SELECT * FROM greenpark.api_token",
        "SELECT * FROM greenpark.recipient",
        "INSERT INTO greenpark.tenant_scope SELECT current_user, 1, NULL",
        "UPDATE greenpark.latest SET value = 0",
        "DELETE FROM greenpark.point",
        'SET ROLE "{other}"',
        'SET SESSION AUTHORIZATION "{other}"',
        "SET ROLE greenpark_service",
        "ALTER TABLE greenpark.point DISABLE ROW LEVEL SECURITY",
        "SET default_transaction_read_only = off; UPDATE greenpark.latest SET value = 0",
        "SET default_transaction_read_only = off; CREATE TABLE greenpark.x (a int)",
        "COPY (SELECT 1) TO PROGRAM 'id'",
    ],
)
async def test_a_tenant_is_refused(two_firms, attack: str) -> None:
    """Base tables, other roles, writes and definitions are closed to a tenant."""
    _, _, ((_, firm_a), (role_b, _), _) = two_firms
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
        await firm_a.execute(attack.format(other=role_b))


async def test_chunks_are_no_way_round(two_firms) -> None:
    """The chunks under a hypertable cannot be read directly."""
    connection, _, ((_, firm_a), *_) = two_firms
    chunks = await connection.fetch(CHUNKS)
    assert len(chunks) == 2
    for row in chunks:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await firm_a.execute(f"SELECT * FROM {row['chunk']}")


async def test_a_function_does_not_see_through_the_barrier(two_firms) -> None:
    """A cheap predicate that tells what it saw gets only the rows of the role."""
    _, points, ((_, firm_a), (role_b, _), _) = two_firms
    await firm_a.execute("SET default_transaction_read_only = off")
    await firm_a.execute(
        "CREATE FUNCTION pg_temp.leak(int) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS"
        f" $$BEGIN IF $1 <> {points[0]} THEN RAISE EXCEPTION 'saw %', $1; END IF; RETURN true; END$$"
    )
    assert len(await firm_a.fetch("SELECT * FROM tenant_consumption WHERE pg_temp.leak(point_id)")) == 1
    assert len(await firm_a.fetch("SELECT * FROM latest WHERE pg_temp.leak(point_id)")) == 1
    assert await firm_a.fetchval(f"SELECT visible_firms('{role_b}')") == []
