"""The `greenpark` command."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cli.alerts import app as alerts_app
from cli.balance import balance
from cli.baseline import app as baseline_app
from cli.bench import app as bench_app
from cli.broker import app as broker_app
from cli.business import app as business_app
from cli.dashboards import app as dashboards_app
from cli.edge import app as edge_app
from cli.errors import CliError
from cli.explain import app as explain_app
from cli.extras import missing_package
from cli.grafana import app as grafana_app
from cli.indicators import app as indicators_app
from cli.indicators import cards as scorecard_app
from cli.ingest import app as ingest_app
from cli.ledger import app as ledger_app
from cli.meter import app as meter_app
from cli.oncall import app as oncall_app
from cli.oncall import ladder_app
from cli.options import Json, Lang, SettingsFile, Var
from cli.quarantine import app as quarantine_app
from cli.recipient import app as recipient_app
from cli.settings import load_settings
from cli.simulate import app as simulate_app
from cli.targets import app as targets_app
from cli.tenant import app as tenant_app
from cli.tenant import token_app
from park.errors import ParkError

app = typer.Typer(
    name="greenpark",
    help="GreenPark (绿园): live energy intensity, water reuse and emissions of an industrial park, against its own "
    "targets.\n\nBegin with `greenpark demo`. For real use: `greenpark migrate`, `greenpark park apply FILE`, then "
    "`greenpark up`; `greenpark doctor` says what is missing.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
park_app = typer.Typer(help="Parks, firms, points and meters.", no_args_is_help=True)
app.add_typer(park_app, name="park")
for name, group in (
    ("edge", edge_app),
    ("broker", broker_app),
    ("ingest", ingest_app),
    ("quarantine", quarantine_app),
    ("alerts", alerts_app),
    ("recipient", recipient_app),
    ("oncall", oncall_app),
    ("escalation", ladder_app),
    ("tenant", tenant_app),
    ("token", token_app),
    ("meter", meter_app),
    ("targets", targets_app),
    ("indicators", indicators_app),
    ("scorecard", scorecard_app),
    ("ledger", ledger_app),
    ("business", business_app),
    ("explain", explain_app),
    ("baseline", baseline_app),
    ("dashboards", dashboards_app),
    ("grafana", grafana_app),
    ("simulate", simulate_app),
):
    app.add_typer(group, name=name)
app.add_typer(bench_app, name="bench")
app.command()(balance)


class Room(StrEnum):
    """What can run as a process."""

    EDGE = "edge"
    INGEST = "ingest"
    STREAMS = "streams"
    ALERTS = "alerts"
    API = "api"


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="Stop by itself after so many live seconds.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write figures as JSON; needs no terminal.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Keep the last live view as an SVG picture.")] = None,
    lang: Annotated[Lang, typer.Option(help="Language of the live view.", envvar="GREENPARK_LANG")] = Lang.ZH,
    var: Var = Path("var"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier demo's data first.")] = False,
) -> None:
    """Show one small park, running end to end on this machine.

    Brings a database and a broker of its own, lays down a year of history of ten firms, then goes live: simulated
    meters, edge agents, ingest, ledger, indicators, targets, and an alert that a pump failure provokes.
    """
    from cli.demo.show import Options, run_demo  # noqa: PLC0415

    asyncio.run(run_demo(Options(var.resolve(), seconds, report, lang.value, fresh, picture)))


@app.command()
def up(settings: SettingsFile = None) -> None:
    """Run ingest, streams, alerts and api against your own broker and database, restarting what ends."""
    from cli.up import run_up  # noqa: PLC0415

    asyncio.run(run_up(load_settings(settings), settings))


@app.command()
def run(
    room: Annotated[Room, typer.Argument(help="Which process.")],
    settings: SettingsFile = None,
) -> None:
    """Run one process in the foreground; SIGTERM or Ctrl-C ends it cleanly.

    edge: the agent at a firm (needs [edge] config). ingest: MQTT into the database. streams: ledger, indicators,
    standings. alerts: episodes and their delivery. api: HTTP.
    """
    from cli.running import run_room  # noqa: PLC0415

    run_room(room.value, load_settings(settings))


@app.command()
def migrate(
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Bring the database's schema up to this version. Safe to run again, and from several machines."""
    from store.migrations import known  # noqa: PLC0415
    from store.migrations import migrate as bring  # noqa: PLC0415

    applied = asyncio.run(bring(load_settings(settings).database_url))
    newest = len(known())
    if json_output:
        print(json.dumps({"applied": applied, "newest": newest}))
    elif applied:
        print(f"applied migration{'s' if len(applied) > 1 else ''} {', '.join(map(str, applied))}; now at {newest}")
    else:
        print(f"nothing to do: the schema is at {newest}")


@app.command()
def doctor(settings: SettingsFile = None, json_output: Json = False) -> None:
    """Check database, extension and edition, broker, clock, disk and versions, and say what to do."""
    from cli.doctor import examine, show  # noqa: PLC0415

    findings = asyncio.run(examine(load_settings(settings)))
    print(
        json.dumps([finding.as_dict() for finding in findings], ensure_ascii=False) if json_output else show(findings)
    )
    if any(finding.level == "bad" for finding in findings):
        raise typer.Exit(1)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="CSV of meter data.")],
    mapping: Annotated[Path, typer.Option(help="YAML: what its columns and times mean.")],
    settings: SettingsFile = None,
    var: Var = Path("var"),
    own_stack: Annotated[
        bool, typer.Option("--own-stack", help="Start our own database, broker and rooms below --var for this.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Send a file of meter data through the very path that live readings take.

    Run it again and nothing doubles; stop it and the next run goes on where the database is.
    """
    from cli.replay.command import Request, run_replay  # noqa: PLC0415

    request = Request(file, mapping, var.resolve(), own_stack=own_stack)
    result = asyncio.run(run_replay(request, None if own_stack else load_settings(settings)))
    print(json.dumps(result.as_dict()) if json_output else result.as_text())


@park_app.command("apply")
def park_apply(
    file: Annotated[Path, typer.Argument(help="The park document (YAML).")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Set up or change a park from its document; no reading is touched, changed meters are computed again."""
    from cli.parks import apply_file  # noqa: PLC0415

    done = asyncio.run(apply_file(load_settings(settings).database_url, file))
    print(json.dumps(done.as_dict(), ensure_ascii=False) if json_output else done.as_text())


@park_app.command("show")
def park_show(settings: SettingsFile = None, json_output: Json = False) -> None:
    """List parks, firms and points."""
    from cli.parks import list_parks  # noqa: PLC0415

    found = asyncio.run(list_parks(load_settings(settings).database_url))
    print(json.dumps(found, ensure_ascii=False) if json_output else _tree(found))


def _tree(parks: list[dict[str, Any]]) -> str:
    lines = []
    for park in parks:
        lines.append(f"{park['code']}  {park['name_zh']} / {park['name_en']}  ({park['time_zone']})")
        for firm in park["firms"]:
            lines.append(f"  {firm['code']}  {firm['name_zh']} / {firm['name_en']}  [{firm['industry']}]")
            lines += [f"    {p['code']:<10} {p['carrier']:<20} {p['unit']:<8} {p['name_zh']}" for p in firm["points"]]
    return "\n".join(lines) or "no parks yet: `greenpark park apply FILE`"


def main() -> NoReturn:
    """Run the command; a known error is one clear line and exit status 1."""
    try:
        app()
    except (CliError, ParkError) as error:
        _fail(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BaseException as error:
        known = _known(error)
        if known is None:
            raise
        _fail(known)
    raise SystemExit(0)


def _known(error: BaseException) -> BaseException | None:
    """Find the room error in an exception or a group; the rooms' roots all live in a module named errors.

    A package that is not installed is one too: a gateway has no server libraries, a server no drivers.
    """
    if isinstance(error, BaseExceptionGroup):
        found = [_known(inner) for inner in error.exceptions]
        return found[0] if found and all(found) else None
    if isinstance(error, ModuleNotFoundError):
        return missing_package(error, sys.argv[1:])
    return error if type(error).__module__.endswith(".errors") and "." in type(error).__module__ else None


def _fail(error: BaseException) -> NoReturn:
    print(f"greenpark: {error}", file=sys.stderr)
    raise SystemExit(1) from None


if __name__ == "__main__":
    main()
