"""Tenants are kept apart by the database, whatever SQL they type."""

from __future__ import annotations

from datetime import UTC, datetime

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
TABLES_OF_TENANTS = """
    SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'greenpark' AND column_name IN ('firm_id', 'point_id')
      AND has_table_privilege('greenpark_tenant', 'greenpark.' || table_name, 'SELECT')
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
        park = await apply_definition(connection, definition)
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
        roles = [await add_tenant(connection, "p", "a"), await add_tenant(connection, "p", "b")]
        roles.append(await add_tenant(connection, "p", None))
        yield connection, park, points, roles
        await connection.execute("RESET ROLE")


async def test_a_firm_sees_itself_and_a_park_sees_all(two_firms) -> None:
    """Rows are those of the role's scope, through tables and through views."""
    connection, _, points, (role_a, role_b, role_park) = two_firms
    for role, visible in ((role_a, points[:1]), (role_b, points[1:]), (role_park, points)):
        await connection.execute(f'SET SESSION AUTHORIZATION "{role}"')
        for table in ("point", "latest", "installation", "tenant_reading", "tenant_consumption"):
            rows = await connection.fetch(f"SELECT point_id FROM {table} ORDER BY point_id")
            assert [row["point_id"] for row in rows] == visible, (role, table)
        await connection.execute("RESET SESSION AUTHORIZATION")


async def test_every_table_with_a_firm_is_filtered(two_firms) -> None:
    """No table that a tenant may read, now or later, shows another firm: new tables are caught here."""
    connection, _, points, (role_a, *_) = two_firms
    tables = {row["table_name"] for row in await connection.fetch(TABLES_OF_TENANTS)}
    assert {"firm", "point", "latest", "indicator_value", "episode", "tenant_consumption"} <= tables
    await connection.execute(f'SET SESSION AUTHORIZATION "{role_a}"')
    firm_id = await connection.fetchval("SELECT firm_id FROM point")
    for table in tables:
        columns = set(
            (
                await connection.fetchrow(
                    f"SELECT to_jsonb(array_agg(column_name)) AS c FROM information_schema.columns WHERE table_schema = 'greenpark' AND table_name = '{table}'"
                )
            )["c"]
        )
        if "firm_id" in columns:
            strangers = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE firm_id <> {firm_id}")
        else:
            strangers = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE point_id <> {points[0]}")
        assert strangers == 0, table
    await connection.execute("RESET SESSION AUTHORIZATION")


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
        "CREATE FUNCTION greenpark.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
    ],
)
async def test_a_tenant_is_refused(two_firms, attack: str) -> None:
    """Base tables, other roles, writes and definitions are closed to a tenant."""
    connection, _, _, (role_a, role_b, _) = two_firms
    await connection.execute(f'SET SESSION AUTHORIZATION "{role_a}"')
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
        await connection.execute(attack.format(other=role_b))
    await connection.execute("RESET SESSION AUTHORIZATION")


async def test_chunks_are_no_way_round(two_firms) -> None:
    """The chunks under a hypertable cannot be read directly."""
    connection, _, _, (role_a, *_) = two_firms
    chunks = [
        row["c"]
        for row in await connection.fetch(
            "SELECT show_chunks('consumption')::text AS c UNION ALL SELECT show_chunks('reading')::text"
        )
    ]
    assert len(chunks) == 2
    await connection.execute(f'SET SESSION AUTHORIZATION "{role_a}"')
    for chunk in chunks:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"SELECT * FROM {chunk}")
    await connection.execute("RESET SESSION AUTHORIZATION")


async def test_a_function_does_not_see_through_the_barrier(two_firms) -> None:
    """A cheap leaky predicate gets only the rows of the role."""
    connection, _, points, (role_a, role_b, _) = two_firms
    await connection.execute(f'SET SESSION AUTHORIZATION "{role_a}"')
    await connection.execute(
        "CREATE FUNCTION pg_temp.leak(int) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$BEGIN IF $1 <> %d THEN RAISE EXCEPTION 'saw %%', $1; END IF; RETURN true; END$$"
        % points[0]
    )
    await connection.fetch("SELECT * FROM tenant_consumption WHERE pg_temp.leak(point_id)")
    await connection.fetch("SELECT * FROM latest WHERE pg_temp.leak(point_id)")
    assert await connection.fetchval(f"SELECT visible_firms('{role_b}')") == []
    await connection.execute("RESET SESSION AUTHORIZATION")
