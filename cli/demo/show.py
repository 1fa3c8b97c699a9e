"""`greenpark demo`: set the stage, go live, watch, report, and clear away."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.live import Live

from cli.demo.probe import AWAY, Probe, p99
from cli.demo.report import report
from cli.demo.scene import PARK, utc_now
from cli.demo.screen import View, render
from cli.demo.stage import PORTS, check_room, forget, go_live, set_stage
from cli.errors import RefusedError
from cli.onemachine import one_machine
from cli.progress import Steps
from park.calendar import bucket_start, period, zone
from store import overview
from store.pool import open_pool
from store.registry import firms, park_named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from zoneinfo import ZoneInfo

    from cli.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Attributes:
        seconds: stop after so many live seconds; None: at Ctrl-C.
        report: where to write figures as JSON; None: print them.
        fresh: forget an earlier demonstration's data first.
        picture: where to keep the last live view as SVG.
    """

    var: Path
    seconds: float | None
    report: Path | None
    lang: str
    fresh: bool
    picture: Path | None = None


async def run_demo(options: Options) -> None:
    """Run the demonstration to its end.

    Raises:
        StackError: a component is missing, or a demonstration runs there already.
        RefusedError: the report cannot be written.
    """
    for name, file in (("--report", options.report), ("--picture", options.picture)):
        if file is not None and (why := _unwritable(file.resolve())):
            msg = f"{name} {file}: {why}"
            raise RefusedError(msg)
    stop, live = asyncio.Event(), asyncio.Event()
    _on_signal(stop, live)
    if options.fresh:
        await forget(options.var)
    console = Console(stderr=True)
    view = View()
    began = time.monotonic()
    try:
        with ExitStack() as display:
            steps = display.enter_context(Steps(console))
            steps.begin("components")
            async with (
                one_machine(
                    options.var,
                    progress=steps.component,
                    on_event=lambda *said: _note(view, *said),
                    port_names=PORTS,
                    check=check_room,
                ) as machine,
                _log_to(machine.places.logs / "demo.log"),
                open_pool(machine.database_url, application="greenpark demo", max_size=4) as pool,
            ):
                steps.done("database and broker")
                if machine.places.notice:
                    console.print(machine.places.notice)
                scene, park_id = await set_stage(machine, pool, steps)
                stage = await go_live(machine, scene, park_id, pool, steps, options.lang)
                steps.done("processes")
                view.urls = _urls(stage)
                console.print(f"live after {time.monotonic() - began:.1f} s")
                console.print("   ".join(f"{name} {where}" for name, where in view.urls.items()), soft_wrap=True)
                display.close()
                live.set()
                probe = await _show(stage, view, options, stop)
                console.print("counting what arrived, and stopping …")
                edge_restarted = any(name == "edge" for _, name, _ in view.troubles)
                figures = await report(stage, probe, edge_restarted=edge_restarted)
    except asyncio.CancelledError:
        early = "at once" if live.is_set() else "before it was live"
        console.print(f"greenpark demo: stopped {early}; nothing is left running")
        raise SystemExit(130) from None
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    if options.report is None:
        print(text)
    else:
        options.report.write_text(text + "\n", encoding="utf-8")
        console.print(f"report: {options.report}")


def _unwritable(file: Path) -> str | None:
    """Return why a file cannot be written there, before a run whose figures would be lost."""
    if not file.parent.is_dir():
        return "its directory does not exist"
    if file.is_dir():
        return "that is a directory"
    return None if os.access(file if file.exists() else file.parent, os.W_OK) else "it may not be written"


def _on_signal(stop: asyncio.Event, live: asyncio.Event) -> None:
    """Let the first signal end the show in order; while the stage is being set, and the second time, it cancels."""
    main = asyncio.current_task()
    assert main is not None

    def interrupted() -> None:
        if stop.is_set() or not live.is_set():
            main.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, interrupted)


async def _show(stage: Stage, view: View, options: Options, stop: asyncio.Event) -> Probe:
    probe = Probe(stage.park_id, stage.started)
    async with stage.pool.acquire() as connection:
        view.firms = {firm.firm_id: (firm.name_zh, firm.name_en) for firm in await firms(connection, stage.park_id)}
        tz = view.zone = zone((await park_named(connection, PARK)).time_zone)
    ends = None if options.seconds is None else time.monotonic() + options.seconds
    console = Console()
    tasks = [asyncio.create_task(probe.run(stage.pool), name="probe")]
    stopped = asyncio.create_task(stop.wait(), name="stop")
    failed = asyncio.ensure_future(stage.machine.supervisor.failed())
    try:
        with Live(console=console, auto_refresh=False, screen=console.is_terminal, transient=False) as screen:
            while not stop.is_set() and (ends is None or time.monotonic() < ends):
                try:
                    await _look(stage, view, probe, tz)
                except AWAY:  # the database is being started again: what was seen last stays on the screen
                    _note(view, "postgres", "database away")
                if console.is_terminal:
                    screen.update(render(view, options.lang, console, height=console.height), refresh=True)
                waits: list[asyncio.Future[Any]] = [stopped, failed, *tasks]
                await asyncio.wait(waits, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                if failed.done():
                    raise failed.result()
                for task in tasks:
                    if task.done():
                        task.result()
        if not console.is_terminal:
            console.print(render(view, options.lang, console))
        if options.picture is not None:
            _draw(view, options.lang, options.picture)
    finally:
        everything: list[asyncio.Future[Any]] = [*tasks, stopped, failed]
        for waiting in everything:
            waiting.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
    return probe


async def _look(stage: Stage, view: View, probe: Probe, tz: ZoneInfo) -> None:
    now = utc_now()
    async with stage.pool.acquire() as connection:
        view.counts = await overview.counts(connection, stage.park_id, stage.started)
        view.stored, view.rate_per_s = await overview.arrived(connection, stage.park_id, 5.0, stage.first_batch)
        waited = await overview.waited_s(connection, stage.park_id, max(stage.started, now - timedelta(seconds=60)))
        day = await overview.newest_indicators(connection, stage.park_id, "day", period("day", now, tz).start)
        bucket = await overview.newest_indicators(connection, stage.park_id, "bucket", bucket_start(now))
        view.standings = await overview.standings(connection, stage.park_id)
        view.episodes = await overview.episodes(connection, stage.park_id, stage.started, 8)
    view.day = {(row["scope"], row["scope_id"], row["indicator_id"]): row for row in day}
    view.bucket = {(row["scope"], row["scope_id"], row["indicator_id"]): row for row in bucket}
    view.lag_s, view.lag_indicator_s = p99(probe.recent_s), p99(waited)
    view.fault_in_s = stage.fault_at_s - time.time()
    view.now, view.started = now, stage.started


def _short(file: Path) -> str:
    """Return a path as it is typed from here."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _draw(view: View, lang: str, file: Path) -> None:
    """Keep the live view as a picture that asks no other host for fonts."""
    canvas = Console(record=True, width=112, file=StringIO(), force_terminal=True)
    canvas.print(render(view, lang, canvas))
    plain = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    canvas.save_svg(str(file), title="greenpark demo", code_format=plain)


def _note(view: View, name: str, event: str) -> None:
    last = view.troubles[-1][1:] if view.troubles else None
    if event not in {"started", "stopped"} and last != (name, event):
        view.troubles.append((utc_now(), name, event))


def _urls(stage: Stage) -> dict[str, str]:
    api = f"http://127.0.0.1:{stage.machine.ports['api']}"
    return {"board": f"{api}/", "API": f"{api}/docs", "token": _short(stage.machine.places.root / "demo" / "token")}


@asynccontextmanager
async def _log_to(file: Path) -> AsyncIterator[None]:
    """Send what libraries log in this process to a file: the terminal belongs to the view."""
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
