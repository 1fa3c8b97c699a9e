"""`greenpark grafana`: one organisation for each park and firm, kept in step with the tenants."""

from __future__ import annotations

import os
import secrets
from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads it when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import MissingError, RefusedError
from cli.options import Json, Lang, OfPark, SettingsFile, ask, emit
from cli.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboards.sync import Person, Synced
    from store.tenants import TenantHome

app = typer.Typer(
    help="Grafana: an organisation, a data source and a database role for each park and firm.", no_args_is_help=True
)


@app.command()
def sync(
    url: Annotated[str, typer.Option(envvar="GREENPARK_GRAFANA_URL", help="Where Grafana answers.")],
    secret_file: Annotated[
        Path,
        typer.Option(
            envvar="GREENPARK_GRAFANA_SECRET_FILE",
            help="Passwords of the database roles come from this secret; made if it is not there. Keep it.",
        ),
    ],
    user: Annotated[
        str, typer.Option(envvar="GREENPARK_GRAFANA_USER", help="A server administrator of Grafana.")
    ] = "admin",
    password_file: Annotated[
        Path | None,
        typer.Option(
            envvar="GREENPARK_GRAFANA_PASSWORD_FILE",
            help="Holds the administrator's password; without it GREENPARK_GRAFANA_PASSWORD.",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="host:port of the database as Grafana reaches it; without it that of our own settings."),
    ] = None,
    sslmode: Annotated[str, typer.Option(help="Of Grafana's connections to the database.")] = "require",
    users: Annotated[Path | None, typer.Option(help="TOML list of who looks: docs/dashboards.md.")] = None,
    passwords: Annotated[
        Path | None, typer.Option(help="File that first passwords of new users are added to, readable by you alone.")
    ] = None,
    lang: Annotated[Lang, typer.Option(help="Language of the page that is shown first.")] = Lang.ZH,
    park: OfPark = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Make or mend organisations, data sources, folders, dashboards, users and the database's log-ins for them.

    Safe to run again: a second run changes nothing. Needs a database user that may make roles. Nothing of an
    organisation that is not ours is touched; an organisation of a firm that has gone stays, its role sees nothing.
    """
    from dashboards.grafana import grafana_at  # noqa: PLC0415
    from dashboards.sync import database_of, read_people, role_password  # noqa: PLC0415
    from dashboards.sync import sync as bring  # noqa: PLC0415
    from store.tenants import add_tenant, allow_login, tenant_homes  # noqa: PLC0415

    secret = _secret(secret_file)
    admin = _password(password_file)

    async def roles(connection: Any) -> list[TenantHome]:
        homes = await tenant_homes(connection, park)
        for home in homes:
            role = await add_tenant(connection, home.park, home.firm)
            await allow_login(connection, role, role_password(secret, role))
        return homes

    # Before the roles are made: a wrong list of people should change nothing.
    document = _people_document(users)
    known = ask(settings, lambda connection: tenant_homes(connection, park))
    people: Sequence[Person] = read_people(document, known)
    homes = ask(settings, roles)
    where = database_of(load_settings(settings).database_url, sslmode=sslmode, at=database)
    with grafana_at(url, user, admin) as grafana:
        version = grafana.version()
        keep = None if passwords is None else partial(_keep, passwords)
        done = bring(grafana, homes, people, where, secret, home_locale=lang.value, keep_password=keep)
    lines = [f"Grafana {version}", *_told(done)]
    if "users" in done.counts and done.counts["users"]["created"]:
        lines.append(f"first passwords: {passwords}")
    emit(
        {
            "grafana": version,
            "changes": done.changes,
            "counts": {kind: dict(counts) for kind, counts in done.counts.items()},
            "organisations": done.organisations,
        },
        "\n".join(lines),
        as_json=json_output,
    )


def _told(done: Synced) -> list[str]:
    return [
        f"{kind.replace('_', ' ')}: " + ", ".join(f"{number} {did}" for did, number in sorted(counts.items()))
        for kind, counts in done.counts.items()
    ] + ([] if done.changes else ["nothing to do"])


def _secret(file: Path) -> bytes:
    if not file.exists():
        _write(file, secrets.token_urlsafe(32) + "\n")
    secret = file.read_text("utf-8").strip().encode()
    if len(secret) < 24:
        raise RefusedError(f"{file}: at least 24 characters are needed; remove the file and one is made")
    return secret


def _password(file: Path | None) -> str:
    text = file.read_text("utf-8").strip() if file is not None else os.environ.get("GREENPARK_GRAFANA_PASSWORD", "")
    if not text:
        raise MissingError("Grafana's administrator needs a password: --password-file or GREENPARK_GRAFANA_PASSWORD")
    return text


def _people_document(file: Path | None) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415

    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RefusedError(f"{file}: {error}") from None


def _keep(file: Path, login: str, password: str) -> None:
    before = file.read_text("utf-8") if file.exists() else ""
    _write(file, f"{before}{login}\t{password}\n")


def _write(file: Path, text: str) -> None:
    """Write a file that only we can read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    new.replace(file)
