"""One room as a process: settings, logging, metrics, signals."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import start_http_server

from cli import logs
from cli.errors import MissingError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from cli.settings import Settings

    Runner = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def runner(room: str, settings: Settings) -> Runner:
    """Return the room's coroutine, its settings converted. Imports only what that room needs.

    Raises:
        SettingsError, MissingError: the settings do not do for this room.
    """
    if room == "edge":
        return _edge(settings)
    if room == "ingest":
        from ingest.process import run as run_ingest  # noqa: PLC0415
        from ingest.settings import IngestSettings  # noqa: PLC0415

        given = settings.room(
            "ingest", IngestSettings, database_url=settings.database_url, broker_url=settings.broker_url
        )
        return lambda stop: run_ingest(given, stop=stop)
    if room == "streams":
        from streams.process import run as run_streams  # noqa: PLC0415
        from streams.settings import StreamsSettings  # noqa: PLC0415

        streams = settings.room("streams", StreamsSettings, database_url=settings.database_url)
        return lambda stop: run_streams(streams, stop=stop)
    if room == "alerts":
        from alerts.process import run as run_alerts  # noqa: PLC0415
        from alerts.settings import AlertsSettings  # noqa: PLC0415

        alerts = settings.room("alerts", AlertsSettings, database_url=settings.database_url)
        return lambda stop: run_alerts(alerts, stop=stop)
    from api.process import run as run_api  # noqa: PLC0415
    from api.settings import ApiSettings  # noqa: PLC0415

    api = settings.room("api", ApiSettings, database_url=settings.database_url)
    return lambda stop: run_api(api, stop=stop)


def _edge(settings: Settings) -> Runner:
    from edge.config import load_configs  # noqa: PLC0415
    from edge.process import run as run_edge  # noqa: PLC0415

    section = settings.sections.get("edge", {})
    for name in section:
        if name != "config":
            raise SettingsError(f"{settings.origin} [edge] {name}", "unknown; known is config")
    if "config" not in section:
        msg = "no edge: set GREENPARK_EDGE_CONFIG, or config in [edge] of the settings file, to the agent's TOML file"
        raise MissingError(msg)
    configs = load_configs(section["config"])
    return lambda stop: run_edge(configs, stop=stop)


def run_room(room: str, settings: Settings) -> None:
    """Run one room until SIGTERM or SIGINT; its errors pass through."""
    logs.set_up(settings.log, room=room)
    coroutine = runner(room, settings)
    if settings.metrics.port:
        start_http_server(settings.metrics.port, settings.metrics.host)
    if room == "edge":
        asyncio.run(_until_signalled(room, coroutine))
        return
    # A faster event loop; servers have it, a gateway does without.
    import uvloop  # noqa: PLC0415

    uvloop.run(_until_signalled(room, coroutine))


async def _until_signalled(room: str, coroutine: Runner) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = structlog.get_logger(__name__)
    log.info("started", action=room)
    await coroutine(stop)
    log.info("stopped", action=room)
