"""`greenpark bench outage`: database away, broker away, edges offline for a day; each time an exact comparison."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.console import Console

from cli.bench.numbered import HALTED, START, line_of, value_of
from cli.bench.rig import LATE, LIVE, Load, Rig, open_rig
from cli.progress import Steps
from cli.stack.supervisor import Restart
from edge.agent import Reading, make_batches
from edge.config import load_configs
from edge.process import open_buffer
from store import arrivals, marking
from store.pool import connected

if TYPE_CHECKING:
    from pathlib import Path

    from cli.bench.verdict import Verdict
    from edge.config import EdgeConfig

_POLL_MS: Final = 10_000
"""How often the offline edges polled."""
_FEW: Final = 10
"""Batches of one edge that are no backlog: just written, or on their way."""
_AGAIN: Final = Restart(most=1_000_000, delay_s=0.2)


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; the stack lives below `var/outage`, with `load.late` edges that were offline."""

    var: Path
    seconds: float
    hours: float
    load: Load


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage.

    Attributes:
        away_s: how long.
        waiting: batches on the edges' disks at its end.
        drain_s: from its end until no edge had a backlog, while new readings came; None: it stayed.
        connected_s: from its end until every edge was connected; None: there was no backlog by then.
        live_p99_s: of the readings made since then and before the backlog was gone, from the meter to the database;
            None: there were none.
        verdict: of what came in since the outage before.
        peak_mb: largest resident memory of one process meanwhile.
    """

    name: str
    away_s: float
    waiting: int
    drain_s: float | None
    connected_s: float | None
    live_p99_s: float | None
    verdict: Verdict
    peak_mb: dict[str, float]

    @property
    def passed(self) -> bool:
        """Tell whether it drained, and exactly what was generated is stored."""
        return self.drain_s is not None and self.verdict.exact


@dataclass(frozen=True, slots=True)
class OutageReport:
    """Every outage; `appends_per_s` is how fast one buffer took batches, each synced to the disk."""

    outages: list[Outage]
    appends_per_s: float

    @property
    def passed(self) -> bool:
        """Tell whether all passed."""
        return all(outage.passed for outage in self.outages)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for machines."""
        outages = [
            {k: v for k, v in asdict(o).items() if k != "verdict"} | asdict(o.verdict) | {"passed": o.passed}
            for o in self.outages
        ]
        return {"outages": outages, "appends_per_s": self.appends_per_s, "passed": self.passed}

    def as_text(self) -> str:
        """Return the report for people."""
        lines = []
        for o in self.outages:
            drained = "did not drain" if o.drain_s is None else f"drained in {o.drain_s:.1f} s"
            live = "no live readings" if o.live_p99_s is None else f"live readings took {o.live_p99_s:.2f} s (p99)"
            again = "" if o.connected_s is None else f"all edges connected after {o.connected_s:.1f} s, "
            v = o.verdict
            lines.append(
                f"{o.name}, {o.away_s:.0f} s: {v.generated:,} readings generated, {v.stored:,} stored: {v.lost} lost, "
                f"{v.doubled} doubled, {v.altered} altered"
            )
            memory = ", ".join(f"{room} {mb:.0f} MB" for room, mb in sorted(o.peak_mb.items()))
            lines.append(f"  {o.waiting:,} batches waited, {again}{drained}; meanwhile {live}; peak memory {memory}")
        return "\n".join(lines)


async def run_outages(options: Options) -> OutageReport:
    """Run a fresh stack below `var/outage` through all of them.

    Raises:
        RefusedError: the stack does not run.
    """
    with Steps(Console(stderr=True)) as steps:
        async with open_rig(options.var, "outage", options.load, steps) as rig:
            trial = _Trial(rig, steps)
            for service, name in (("postgres", "database away"), ("broker", "broker away")):
                await trial.without(service, name, options.seconds)
            appends_per_s = await trial.offline(options.hours)
            return OutageReport(trial.outages, round(appends_per_s, 1))


class _Trial:
    """The outages one after another on one rig."""

    def __init__(self, rig: Rig, steps: Steps) -> None:
        self.outages: list[Outage] = []
        self._rig = rig
        self._steps = steps
        self._before: Verdict | None = None

    async def without(self, name: str, title: str, seconds: float) -> None:
        """Stop a service for a while under load."""
        rig, steps = self._rig, self._steps
        rig.peak_mb.clear()
        steps.begin(title, total=seconds)
        supervisor = rig.machine.supervisor
        service = supervisor.services[name]
        began_s = time.monotonic()
        await supervisor.stop(name)
        for _ in range(int(seconds)):
            await asyncio.sleep(1.0)
            steps.advance(1)
        await supervisor.start(service, restart=_AGAIN)
        await self._recover(title, time.monotonic() - began_s, LIVE)
        for process in LIVE:
            await rig.start_edges(process)

    async def offline(self, hours: float) -> float:
        """Bring back edges that were offline for so long, their buffers full; return how fast those were filled."""
        rig, steps = self._rig, self._steps
        polls = int(hours * 3_600_000 / _POLL_MS)
        steps.begin(f"{polls:,} polls of each edge onto its disk")
        until_ms = int(time.time() * 1000)
        laid = [
            (config, rig.log(edge))
            for process in LATE
            if rig.members[process]
            for config, edge in zip(load_configs(rig.config(process)), rig.members[process], strict=True)
        ]
        began_s = time.monotonic()
        await asyncio.gather(*(asyncio.to_thread(_lay, config, log, polls, until_ms) for config, log in laid))
        took_s = time.monotonic() - began_s
        steps.done(f"{polls * len(laid):,} batches laid down")
        rig.peak_mb.clear()
        for process in LATE:
            if rig.members[process]:
                await rig.start_edges(process)
        title = "edges offline"
        steps.begin(title)
        await self._recover(title, hours * 3600, LATE)
        return polls * len(laid) / took_s

    async def _recover(self, title: str, away_s: float, watched: tuple[str, ...]) -> None:
        rig, steps = self._rig, self._steps
        back_s = time.monotonic()
        steps.then(f"{title}: draining")
        found = await rig.catch_up(back_s, _FEW)
        # Readings that are made once there is no backlog say nothing about it.
        caught_up = datetime.now(UTC)
        drained = await rig.drain(time.monotonic())
        async with connected(rig.machine.database_url) as connection:
            ids = await marking.point_ids(connection, rig.plan.park)
            first = [
                ids[rig.address(edge).firm, rig.codes(edge)[0]] for process in watched for edge in rig.members[process]
            ]
            delays = await arrivals.delays_s(connection, first, found.connected_at or caught_up, caught_up)
        await rig.stop_edges()
        total = await rig.verdict()
        own = total if self._before is None else total.minus(self._before)
        self._before = total
        self.outages.append(
            Outage(
                name=title,
                away_s=round(away_s, 1),
                waiting=found.most,
                drain_s=None if found.done_s is None or drained is None else round(found.done_s, 2),
                connected_s=None if found.connected_s is None else round(found.connected_s, 2),
                live_p99_s=round(float(np.percentile(delays, 99)), 3) if len(delays) else None,
                verdict=own,
                peak_mb={room: round(mb, 1) for room, mb in rig.peak_mb.items()},
            )
        )
        rig.resume()
        steps.done(f"{title}: {own.lost} lost, {own.doubled} doubled")


def _lay(config: EdgeConfig, log: Path, polls: int, until_ms: int) -> None:
    """Fill an edge's buffer with polls up to now, as its agent would have, each synced to the disk."""
    device = config.devices[0]
    codes = [point.code for point in device.points]
    disk, _ = open_buffer(config)
    try:
        with log.open("a") as lines:
            lines.write(START)
            for number in range(polls):
                t_ms = until_ms - (polls - number) * _POLL_MS
                lines.write(line_of(number, t_ms))
                readings = [Reading(code, t_ms, value_of(number, k), 0) for k, code in enumerate(codes)]
                for batch in make_batches(readings):
                    disk.buffer.append(batch, t_ms, config.uplink.content_type)
            lines.write(HALTED)
    finally:
        disk.buffer.close()
