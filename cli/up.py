"""`greenpark up`: every server room as a child process, against the user's own broker and database."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import structlog

from cli import logs
from cli.running import runner
from cli.settings import ROOMS
from cli.stack.processes import Child, ProcessSpec
from cli.stack.supervisor import Restart, Supervisor
from store.migrations import check_schema
from store.pool import connected

if TYPE_CHECKING:
    from pathlib import Path

    from cli.settings import Settings


async def run_up(settings: Settings, file: Path | None) -> None:
    """Start all rooms and run until a signal; a room that keeps ending ends the whole, with its error.

    Raises:
        SettingsError, MissingError: found before anything starts, for every room.
        SchemaError: the database is not migrated.
        ProcessExitedError: a room kept ending.
    """
    logs.set_up(settings.log, room="up")
    for room in ROOMS:
        runner(room, settings)
    async with connected(settings.database_url) as connection:
        await check_schema(connection)
    log = structlog.get_logger(__name__)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    options = () if file is None else ("--settings", str(file))
    async with Supervisor(on_event=lambda name, event: log.info(event, action=name)) as supervisor:
        for k, room in enumerate(ROOMS):
            port = str(settings.metrics.port + k if settings.metrics.port else 0)
            spec = ProcessSpec(
                name=room,
                argv=(sys.executable, "-m", "cli.main", "run", room, *options),
                environ=dict(os.environ) | {"GREENPARK_METRICS_PORT": port},
                inherit_output=True,
            )
            await supervisor.start(Child(spec), restart=Restart())
        failed = asyncio.ensure_future(supervisor.failed())
        stopped = asyncio.create_task(stop.wait(), name="signal")
        await asyncio.wait([failed, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if failed.done():
            raise failed.result()
        failed.cancel()
