"""Tenants as database roles: a firm sees itself, a park sees its firms, whatever SQL is typed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from store.errors import UnknownNameError, UnsuitableError
from store.queries import queries

if TYPE_CHECKING:
    from datetime import datetime

    from store.pool import Connection

_PLAIN = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows."""

    role: str
    may_write: bool
    label: str


@dataclass(frozen=True, slots=True)
class Lacking:
    """What a database user lacks for making tenants' roles.

    Attributes:
        statements: SQL that a superuser must run; empty: nothing is lacking.
    """

    user: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's role; `firm` None: the whole park."""

    role: str
    park: str
    firm: str | None
    may_log_in: bool
    tokens: int


@dataclass(frozen=True, slots=True)
class TenantHome:
    """A park or firm (None: the whole park), the name of its role, and its park's time zone."""

    role: str
    park: str
    firm: str | None
    time_zone: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token that has not expired, without its secret. park is None where its role is no tenant."""

    token_id: int
    label: str
    role: str
    park: str | None
    firm: str | None
    may_write: bool
    created: datetime
    expires: datetime | None


def tenant_role(database: str, park: str, firm: str | None) -> str:
    """Return the role of a park (firm None) or firm; roles are shared by a cluster, so the database stands in it."""
    name = "_".join(part.lower() for part in ("gp", database, park, firm or "all"))
    if len(name) <= 63 and _PLAIN.fullmatch(name):
        return name
    # Codes may hold characters or lengths that a role name cannot, and two codes must not fold into one.
    digest = hashlib.sha256("\0".join((database, park, firm or "")).encode()).hexdigest()[:24]
    return f"gp_{digest}"


async def add_tenant(connection: Connection, park: str, firm: str | None) -> str:
    """Make (or find) the role of a park or firm and return its name. It cannot log in by itself.

    Raises:
        UnknownNameError: no such park or firm.
        UnsuitableError: we may not create roles on this server.
    """
    sql = queries("tenants")
    row = await connection.fetchrow(sql["firm_of_park"], park, firm or "")
    if row is None:
        raise UnknownNameError("park", park)
    if firm is not None and row["firm_id"] is None:
        raise UnknownNameError("firm", f"{park}/{firm}")
    role = tenant_role(await connection.fetchval("SELECT current_database()"), park, firm)
    try:
        if not await connection.fetchval(sql["role_exists"], role):
            # A role name cannot be a parameter; tenant_role lets nothing through that needs quoting.
            # The service may take on every tenant's role: that is how the API lets the database decide what is seen.
            await connection.execute(
                f"CREATE ROLE {role} NOLOGIN IN ROLE greenpark_tenant; GRANT {role} TO greenpark_service"
            )
        await connection.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    except asyncpg.InsufficientPrivilegeError as error:
        lacks = await lacking(connection, role)
        cure = " ".join(lacks.statements) or f"what PostgreSQL misses: {error}"
        msg = f"the database user {lacks.user} may not make the role {role}; let a superuser run: {cure}"
        raise UnsuitableError(msg) from error
    await connection.execute(sql["scope"], role, row["park_id"], row["firm_id"])
    return role


async def tenant_homes(connection: Connection, park: str | None = None) -> list[TenantHome]:
    """Return every park and firm (or those of one park) with the name of its role, whether it is made already or not.

    Raises:
        UnknownNameError: no such park.
    """
    rows = await connection.fetch(queries("tenants")["homes"], park)
    if park is not None and not rows:
        raise UnknownNameError("park", park)
    database = await connection.fetchval("SELECT current_database()")
    return [
        TenantHome(tenant_role(database, row["park"], row["firm"]), row["park"], row["firm"], row["time_zone"])
        for row in rows
    ]


async def allow_login(connection: Connection, role: str, password: str, *, connections: int = 20) -> None:
    """Let a tenant's role log in with this password, to read, and not for long.

    The server gets the password's SCRAM verifier, so that no log of it can hold the password.

    Raises:
        UnsuitableError: we may not alter the role.
    """
    if not await connection.fetchval(queries("browse")["is_tenant"], role):
        raise UnknownNameError("tenant role", role)
    verifier = scram_verifier(password, hashlib.sha256(f"{role} {password}".encode()).digest()[:16])
    text = queries("tenants")["allow_login"].format(role=role, verifier=verifier, connections=connections)
    try:
        await connection.execute(text)
    except asyncpg.InsufficientPrivilegeError as error:
        lacks = await lacking(connection, role)
        cure = " ".join(lacks.statements) or f"what PostgreSQL misses: {error}"
        msg = f"the database user {lacks.user} may not alter the role {role}; let a superuser run: {cure}"
        raise UnsuitableError(msg) from error


def scram_verifier(password: str, salt: bytes, *, rounds: int = 4096) -> str:
    """Return what PostgreSQL keeps of an ASCII password (RFC 5802, SCRAM-SHA-256)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, rounds)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored, server = hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
    one, two, three = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${rounds}:{one}${two}:{three}"


async def lacking(connection: Connection, role: str = "greenpark_tenant") -> Lacking:
    """Return what the user of this connection lacks for making tenants' roles, and for `role` if it is there."""
    row = await connection.fetchrow(queries("tenants")["lacking"], role)
    user = '"' + row["me"].replace('"', '""') + '"'
    statements = []
    if row["createrole"]:
        statements.append(f"ALTER ROLE {user} CREATEROLE;")
    if row["admin_of_tenants"]:
        statements.append(f"GRANT greenpark_tenant TO {user} WITH ADMIN OPTION;")
    if row["admin_of_role"] and role != "greenpark_tenant":
        statements.append(f"GRANT {role} TO {user} WITH ADMIN OPTION;")
    return Lacking(user, tuple(statements))


async def list_tenants(connection: Connection) -> list[Tenant]:
    """Return every tenant's role."""
    return [Tenant(**dict(row)) for row in await connection.fetch(queries("tenants")["tenants"])]


async def list_tokens(connection: Connection, park: str | None = None) -> list[Token]:
    """Return the tokens of a park (by code) and its firms, or all, that have not expired."""
    return [Token(**dict(row)) for row in await connection.fetch(queries("tenants")["tokens"], park)]


async def revoke_token(connection: Connection, token_id: int) -> str:
    """End a token at once and return its label, or raise `UnknownNameError`."""
    label: str | None = await connection.fetchval(queries("tenants")["revoke_token"], token_id)
    if label is None:
        raise UnknownNameError("token", str(token_id))
    return label


async def add_token(
    connection: Connection, role: str, label: str, *, may_write: bool = False, expires: datetime | None = None
) -> str:
    """Make a token that acts as `role`; it is shown once, the database keeps only its hash."""
    token = "gp_" + secrets.token_urlsafe(32)
    await connection.fetchval(queries("tenants")["add_token"], _digest(token), label, role, may_write, expires)
    return token


async def grant_of(connection: Connection, token: str) -> Grant | None:
    """Return what a token allows, None if it is unknown or has expired."""
    row = await connection.fetchrow(queries("tenants")["role_of_token"], _digest(token))
    return None if row is None else Grant(row["role_name"], row["may_write"], row["label"])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
