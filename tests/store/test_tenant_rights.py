"""What a database user needs for making tenants, and what it is told without."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from park.definition import ParkDefinition
from store.errors import UnknownNameError, UnsuitableError
from store.pool import connected
from store.registry import apply_definition
from store.tenants import add_tenant, add_token, grant_of, lacking, list_tenants, list_tokens, revoke_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.stack


@asynccontextmanager
async def owner(database_url: str, rights: str) -> AsyncIterator[tuple[Any, Any, str]]:
    """A superuser's connection, and one of a log-in with these rights that may write all tables."""
    name = f"owner_{secrets.token_hex(4)}"
    async with connected(database_url) as admin:
        await apply_definition(admin, ParkDefinition(code="p", name_zh="园", name_en="Park", firms=[]))
        await admin.execute(f"CREATE ROLE {name} LOGIN {rights} PASSWORD 'x'")
        await admin.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA greenpark TO {name}")
        await admin.execute(f"GRANT USAGE ON SCHEMA greenpark TO {name}")
        await admin.execute(f"CREATE POLICY p ON greenpark.park TO {name} USING (true)")
        url = f"postgresql://{name}:x@{database_url.rpartition('@')[2]}"
        try:
            async with connected(url) as connection:
                yield admin, connection, name
        finally:
            for row in await admin.fetch("SELECT role_name FROM tenant_scope"):
                await admin.execute(f"DROP OWNED BY {row['role_name']}; DROP ROLE {row['role_name']}")
            await admin.execute(f"DROP POLICY p ON greenpark.park; DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.mark.parametrize("rights", ["", "CREATEROLE"])
async def test_the_statements_it_is_told_are_enough(database_url: str, rights: str) -> None:
    """Another user has made our roles: the error names exactly what a superuser must run, and then it works."""
    async with owner(database_url, rights) as (admin, connection, name):
        told = await lacking(connection)
        with pytest.raises(UnsuitableError) as refused:
            await add_tenant(connection, "p", None)
        assert told.statements
        assert all(statement in str(refused.value) for statement in told.statements)
        assert name in str(refused.value)
        assert ("CREATEROLE;" in str(refused.value)) is (rights == "")
        for statement in told.statements:
            await admin.execute(statement)
        assert (await lacking(connection)).statements == ()
        role = await add_tenant(connection, "p", None)
        assert await admin.fetchval("SELECT pg_has_role($1, 'greenpark_tenant', 'MEMBER')", role)


async def test_a_role_that_somebody_else_made_is_named(database_url: str) -> None:
    """The tenant's role is there, made by another user: the statement that hands it over is told, and enough."""
    async with owner(database_url, "CREATEROLE") as (admin, connection, name):
        await admin.execute(f"GRANT greenpark_tenant TO {name} WITH ADMIN OPTION")
        role = await add_tenant(admin, "p", None)
        with pytest.raises(UnsuitableError) as refused:
            await add_tenant(connection, "p", None)
        statement = str(refused.value).partition("let a superuser run: ")[2]
        assert statement == f'GRANT {role} TO "{name}" WITH ADMIN OPTION;'
        await admin.execute(statement)
        assert await add_tenant(connection, "p", None) == role


async def test_a_superuser_lacks_nothing(database_url: str) -> None:
    """Nothing is lacking where everything is allowed."""
    async with connected(database_url) as connection:
        assert (await lacking(connection)).statements == ()


async def test_tokens_are_listed_without_their_secret_and_end_when_revoked(database_url: str) -> None:
    """A list names label, tenant and rights; a revoked token is unknown at once."""
    async with connected(database_url) as connection:
        await apply_definition(connection, ParkDefinition(code="p", name_zh="园", name_en="Park", firms=[]))
        role = await add_tenant(connection, "p", None)
        secret = await add_token(connection, role, "control room", may_write=True)
        [token] = await list_tokens(connection, "p")
        assert (token.label, token.park, token.firm, token.may_write, token.expires) == (
            "control room", "p", None, True, None,
        )  # fmt: skip
        assert secret not in repr(token)
        assert await list_tokens(connection, "another") == []
        [tenant] = await list_tenants(connection)
        assert (tenant.role, tenant.park, tenant.may_log_in, tenant.tokens) == (role, "p", False, 1)
        assert await revoke_token(connection, token.token_id) == "control room"
        assert await grant_of(connection, secret) is None
        with pytest.raises(UnknownNameError, match="greenpark token list"):
            await revoke_token(connection, token.token_id)
        await connection.execute(f"DELETE FROM tenant_scope; DROP OWNED BY {role}; DROP ROLE {role}")
