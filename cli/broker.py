"""`greenpark broker`: users of the broker that `greenpark demo` keeps below its directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import MissingError
from cli.options import Json, ParkCode, Var, emit

app = typer.Typer(
    help="The broker of our own below --var. A mosquitto of yours: mosquitto_passwd, as docs/security.md says.",
    no_args_is_help=True,
)


@app.callback()
def group() -> None:
    """Keep `add-edge` a command of its own although it is the only one."""


@app.command("add-edge")
def add_edge(
    park: ParkCode,
    firm: Annotated[str, typer.Argument(help="Code of the firm.")],
    edge: Annotated[str, typer.Argument(help="Code of the edge.")],
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Let an edge in and print its password; a known edge keeps its own. The running broker hears of it at once."""
    from cli.stack.components import bring_mosquitto, silent  # noqa: PLC0415
    from cli.stack.mosquitto import Broker, edge_user  # noqa: PLC0415
    from cli.stack.places import open_places, service_user  # noqa: PLC0415

    root = var.resolve()
    try:
        port = int(json.loads((root / "ports.json").read_text())["broker"])
    except (OSError, ValueError, KeyError):
        msg = f"{var}: no broker of ours there; `greenpark demo --var {var}` makes it"
        raise MissingError(msg) from None
    places = open_places(root)
    broker = Broker(
        bring_mosquitto(places.components, progress=silent),
        places.broker,
        secret=places.secrets / "broker.json",
        port=port,
        user=service_user("mosquitto"),
        log=places.logs / "broker.log",
        run_directory=places.run,
    )
    password = broker.add_edge(park, firm, edge)
    document = {"user": edge_user(park, firm, edge), "password": password, "address": f"mqtt://127.0.0.1:{port}"}
    emit(document, password, as_json=json_output)
