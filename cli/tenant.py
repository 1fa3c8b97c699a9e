"""`greenpark tenant` and `greenpark token`: who may see what, in SQL and over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.options import Json, OfPark, ParkCode, SettingsFile, ask, emit, table

app = typer.Typer(
    help="Tenants: a park's managers or one firm, each a database role that sees its own and nothing else.",
    no_args_is_help=True,
)
token_app = typer.Typer(
    help="Tokens of the HTTP interface: each reads what its park or firm may see.", no_args_is_help=True
)

Firm = Annotated[str | None, typer.Option(help="Only this firm; without it the whole park.")]

_LOG_IN = """It cannot log in. The HTTP interface needs no more: `greenpark token add` makes its tokens.
For direct SQL (Grafana, a BI tool), as a superuser: psql -v role={role} -f deploy/postgres/grafana-login.sql
sets a password and limits. Read tenant_reading and tenant_consumption there, not reading and consumption."""


@app.command("add")
def tenant_add(park: ParkCode, firm: Firm = None, settings: SettingsFile = None, json_output: Json = False) -> None:
    """Make the database role of a park or firm, if it is not there, and print its name and how it logs in.

    Needs the database's owner, or another user that may make roles.
    """
    from store.tenants import add_tenant  # noqa: PLC0415

    role = ask(settings, lambda connection: add_tenant(connection, park, firm))
    emit({"role": role, "park": park, "firm": firm}, f"{role}\n{_LOG_IN.format(role=role)}", as_json=json_output)


@app.command("list")
def tenant_list(settings: SettingsFile = None, json_output: Json = False) -> None:
    """List tenants' roles: park, firm, whether it logs in by itself, how many tokens it has."""
    from store.tenants import list_tenants  # noqa: PLC0415

    found = ask(settings, list_tenants)
    rows = [
        (t.role, t.park, t.firm or "(whole park)", "log-in" if t.may_log_in else "no log-in", f"{t.tokens} tokens")
        for t in found
    ]
    emit(found, table(rows, "no tenant yet: `greenpark tenant add PARK`"), as_json=json_output)


@token_app.command("add")
def token_add(
    park: ParkCode,
    label: Annotated[str, typer.Option(help="Who uses it; shown in logs.")],
    firm: Firm = None,
    write: Annotated[bool, typer.Option("--write", help="May acknowledge episodes and enter business inputs.")] = False,
    days: Annotated[float | None, typer.Option(min=0, help="Ends after so long; without it never.")] = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Make a token and print it once; the database keeps only its hash."""
    from store.tenants import add_tenant, add_token  # noqa: PLC0415

    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def question(connection: Any) -> str:
        role = await add_tenant(connection, park, firm)
        return await add_token(connection, role, label, may_write=write, expires=expires)

    token = ask(settings, question)
    emit({"token": token, "park": park, "firm": firm, "label": label, "expires": expires}, token, as_json=json_output)


@token_app.command("list")
def token_list(park: OfPark = None, settings: SettingsFile = None, json_output: Json = False) -> None:
    """List the tokens that have not expired; the tokens themselves are not known any more."""
    from store.tenants import list_tokens  # noqa: PLC0415

    found = ask(settings, lambda connection: list_tokens(connection, park))
    rows = [
        (
            t.token_id,
            t.park,
            t.firm or "(whole park)",
            "write" if t.may_write else "read",
            f"since {t.created:%F}",
            "no end" if t.expires is None else f"until {t.expires:%F %T}Z",
            t.label,
        )
        for t in found
    ]
    emit(found, table(rows, "no token yet: `greenpark token add PARK --label …`"), as_json=json_output)


@token_app.command("revoke")
def token_revoke(
    token_ids: Annotated[list[int], typer.Argument(metavar="ID…", help="Numbers that `token list` shows.")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """End tokens at once: the next request with one is refused."""
    from store.tenants import revoke_token  # noqa: PLC0415

    async def question(connection: Any) -> list[str]:
        # All or none: a wrong number among them changes nothing.
        async with connection.transaction():
            return [await revoke_token(connection, token_id) for token_id in token_ids]

    labels = ask(settings, question)
    found = [{"token_id": one, "label": label} for one, label in zip(token_ids, labels, strict=True)]
    emit({"revoked": found}, "\n".join(f"revoked: {label}" for label in labels), as_json=json_output)
