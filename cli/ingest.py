"""`greenpark ingest`: the group of workers that share the messages."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from typing import Annotated

import typer

from cli import logs
from cli.errors import RefusedError
from cli.options import Json, SettingsFile, emit
from cli.settings import load_settings

app = typer.Typer(
    help="The workers that share the messages. One runs with `greenpark run ingest`; a second needs another name: "
    "GREENPARK_INGEST_WORKER=2 greenpark run ingest.",
    no_args_is_help=True,
)


@app.callback()
def group() -> None:
    """Keep `retire` a command of its own although it is the only one."""


@app.command()
def retire(
    worker: Annotated[str, typer.Argument(help="Its name: [ingest] worker, 1 where nothing is set.")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Take a worker that will not come back out of the group.

    The broker goes on dealing messages to a worker that is away, for two weeks. This stores what it keeps for the
    worker, and then has it forgotten. Stop the worker first; it may be started again at any time later.
    """
    from ingest.process import retire as end  # noqa: PLC0415
    from ingest.settings import IngestSettings  # noqa: PLC0415

    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", worker):
        msg = f"{worker!r} is no worker's name: letters, digits, - and _"
        raise RefusedError(msg)
    found = load_settings(settings)
    logs.set_up(found.log, room="ingest")
    given = found.room("ingest", IngestSettings, database_url=found.database_url, broker_url=found.broker_url)
    known = asyncio.run(end(dataclasses.replace(given, worker=worker)))
    text = f"worker {worker}: all is stored, and the broker keeps nothing for it any more"
    if not known:
        text = f"worker {worker}: the broker did not know it (in the group {given.share_group}); nothing to do"
    emit({"worker": worker, "known": known}, text, as_json=json_output)
