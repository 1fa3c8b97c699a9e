"""`greenpark dashboards`: Grafana's files written, and every query of them tried."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import MissingError, RefusedError
from cli.options import Json, SettingsFile, Var, emit
from cli.settings import load_settings

if TYPE_CHECKING:
    from dashboards.check import Report

app = typer.Typer(help="Grafana's dashboards: write their files, try every query of them.", no_args_is_help=True)


@app.command()
def build(
    to: Annotated[
        Path | None, typer.Option(help="Folder to write to; without it deploy/grafana/dashboards of the checkout.")
    ] = None,
    only_check: Annotated[bool, typer.Option("--check", help="Write nothing; exit status 1 if files differ.")] = False,
    json_output: Json = False,
) -> None:
    """Write the dashboards as the JSON that Grafana is provisioned with, in every language.

    Files in the folder's languages that no dashboard makes any more are removed.
    """
    from dashboards.build import FOLDER, stale, write  # noqa: PLC0415

    folder = to or FOLDER
    if to is None and not FOLDER.is_dir():
        raise MissingError("this is no checkout: name the folder with --to")
    changed = stale(folder) if only_check else write(folder)
    did = "differs" if only_check else "written"
    text = "\n".join(f"{did}: {folder / path}" for path in changed) or f"{folder}: nothing to do"
    emit({"folder": str(folder), "changed": changed}, text, as_json=json_output)
    if only_check and changed:
        raise typer.Exit(1)


@app.command()
def check(
    days: Annotated[
        int | None, typer.Option(min=1, help="Length of the range; without it that with which each page opens.")
    ] = None,
    now: Annotated[
        str | None, typer.Option(help="End of the range, such as 2025-11-20T08:00:00+08:00; without it the present.")
    ] = None,
    own_stack: Annotated[
        bool,
        typer.Option(
            "--own-stack",
            help="On two parks in a database of our own below --var; so, too, where no database is named.",
        ),
    ] = False,
    var: Var = Path("var"),
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Run every query as Grafana would, as every tenant of the database, for one firm, several, all and odd ones.

    Exit status 1 where a query fails, where a tenant sees another's rows, or where a dashboard breaks a rule. A query
    without rows is told, and no error. The database user must be one that may act as the tenants.
    """
    from dashboards.check import check as try_all  # noqa: PLC0415

    end = _instant(now)
    url = None if own_stack else _named(settings)
    if url is None:
        found = asyncio.run(_on_specimen(var.resolve(), end, days))
    else:
        found = asyncio.run(try_all(url, now=end, days=days))
    kinds = {
        "failed": found.failed,
        "another tenant's rows": found.crossed_tenant,
        "rule": found.lint,
        "empty": found.empty,
    }
    lines = [f"{kind}: {place}" for kind, places in kinds.items() for place in places]
    lines.append(
        f"{found.queries} queries: {len(found.failed)} failed, {len(found.crossed_tenant)} showed another tenant's "
        f"rows, {len(found.lint)} rules broken, {len(found.empty)} gave no row"
    )
    emit(found.as_json(), "\n".join(lines), as_json=json_output)
    if not found.ok:
        raise typer.Exit(1)


def _named(settings: Path | None) -> str | None:
    try:
        return load_settings(settings).database_url
    except MissingError:
        return None


async def _on_specimen(var: Path, now: datetime | None, days: int | None) -> Report:
    """Check on two parks in which nothing is empty, in a database that is made for it and taken away."""
    import shutil  # noqa: PLC0415

    from cli.onemachine import fresh_machine  # noqa: PLC0415
    from dashboards.check import check as try_all  # noqa: PLC0415
    from store.pool import connected  # noqa: PLC0415
    from store.specimen import plant  # noqa: PLC0415

    end = now or datetime.now(UTC)
    async with fresh_machine(var, "check-dashboards") as machine:
        async with connected(machine.database_url) as connection:
            await plant(connection, now=end, every_panel=True)
        found = await try_all(machine.database_url, now=end, days=days)
        places = machine.places
    shutil.rmtree(places.postgres, ignore_errors=True)
    return found


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        msg = f"--now {text}: write a time with its offset, such as 2025-11-20T08:00:00+08:00"
        raise RefusedError(msg)
    return instant.astimezone(UTC)
