"""`greenpark bench late`: how long until what arrives a month late stands in bucket, hour, day, month and indicator."""

from __future__ import annotations

import asyncio
import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import httpx
from rich.console import Console

from cli.bench.meters import compare, correct_multipliers, lay, mark, set_up
from cli.errors import RefusedError
from cli.onemachine import fresh_machine, metric
from cli.progress import Steps
from store import marking
from store.pool import connected

if TYPE_CHECKING:
    from pathlib import Path

    from cli.onemachine import OneMachine
    from store.pool import Connection

_DAY: Final = timedelta(days=1)
_STAGE: Final = re.compile(r'^greenpark_streams_stage_seconds_total\{stage="(\w+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LateBench:
    """What is late: `days` of readings of `firms × points` points, every `interval_s`, computed by `workers`."""

    firms: int = 20
    points: int = 50
    days: int = 30
    interval_s: int = 900
    workers: int = 2
    most_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Computed:
    """One recomputation.

    Attributes:
        seconds: from the commit of the cause until nothing waits: buckets, hours, days, months, years, and the
            indicators of points, firms and park.
        stages: seconds of each stage, summed over the workers; the park's own pass is not among them.
        revisions: what was published before and is kept.
    """

    seconds: float
    equals_from_scratch: bool
    compared_rows: int
    revisions: int
    stages: dict[str, float]


@dataclass(frozen=True, slots=True)
class LateResult:
    """Figures; `load` is the machine's load average of one minute before the start."""

    points: int
    readings: int
    interval_s: int
    days: int
    seconds: float
    equals_from_scratch: bool
    late: Computed
    multiplier: Computed
    store_readings_s: float
    cores: int
    workers: int
    load: float


async def run_late_bench(plan: LateBench, var: Path) -> LateResult:
    """Measure on a fresh stack below `var/bench-late`.

    Every point was read in the day before the late stretch and in the day after it, and is computed: the late readings
    revise an estimate in every bucket. Then every multiplier is corrected, which revises every bucket again.
    """
    load = os.getloadavg()[0]
    names = tuple(f"streams-{number}" for number in range(1, plan.workers + 1))
    with Steps(Console(stderr=True)) as steps:
        steps.begin("database")
        async with fresh_machine(var, "bench-late", progress=steps.component, port_names=names) as machine:
            steps.done("database")
            end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 30 * _DAY
            start = end - plan.days * _DAY
            async with connected(machine.database_url) as connection:
                field = await set_up(connection, plan.firms, plan.points, start - 400 * _DAY)
                ports = [machine.ports[name] for name in names]
                for name, port in zip(names, ports, strict=True):
                    await machine.start_room("streams", name=name, GREENPARK_METRICS_PORT=str(port))
                steps.begin("what was there before")
                for first in (start - _DAY, end):
                    for edge in field.edges:
                        await lay(connection, edge, first, first + _DAY, plan.interval_s)
                await mark(connection, field, start - _DAY, end + _DAY, "history")
                await _nothing_waits(machine, connection, plan.most_s)
                steps.done("what was there before")
                steps.begin("late readings")
                began = time.monotonic()
                readings = 0
                for edge in field.edges:
                    readings += await lay(connection, edge, start, end, plan.interval_s)
                stored_s = time.monotonic() - began
                steps.done(f"{readings:,} late readings stored")

                async def computed(what: str, began: float, before: dict[str, float]) -> Computed:
                    await _nothing_waits(machine, connection, plan.most_s)
                    seconds = time.monotonic() - began
                    stages = await asyncio.to_thread(stages_of, ports)
                    steps.done(what)
                    steps.begin("comparing with a computation from scratch")
                    difference = await compare(connection, field)
                    steps.done(f"compared {difference.rows:,} rows, {difference.differing:,} differ")
                    spent = {name: round(s - before.get(name, 0.0), 2) for name, s in stages.items()}
                    revisions = int(await asyncio.to_thread(_sum, ports, "greenpark_streams_revisions_total"))
                    return Computed(round(seconds, 2), difference.equal, difference.rows, revisions, spent)

                before = await asyncio.to_thread(stages_of, ports)
                steps.begin("computing what is late")
                began = time.monotonic()
                await mark(connection, field, start, end, "late")
                late = await computed("late readings computed", began, before)
                before = await asyncio.to_thread(stages_of, ports)
                steps.begin("a multiplier is corrected")
                began = time.monotonic()
                await correct_multipliers(connection, plan.firms, plan.points, start - 400 * _DAY, 2.5)
                again = await computed("multiplier computed", began, before)
    return LateResult(
        points=plan.firms * plan.points,
        readings=readings,
        interval_s=plan.interval_s,
        days=plan.days,
        seconds=max(late.seconds, again.seconds),
        equals_from_scratch=late.equals_from_scratch and again.equals_from_scratch,
        late=late,
        multiplier=again,
        store_readings_s=round(stored_s, 2),
        cores=os.cpu_count() or 1,
        workers=plan.workers,
        load=round(load, 2),
    )


async def _nothing_waits(machine: OneMachine, connection: Connection, most_s: float) -> None:
    deadline = time.monotonic() + most_s
    while await marking.pending(connection):
        if time.monotonic() > deadline:
            raise RefusedError(f"not computed within {most_s:.0f} s: see {machine.places.logs}")
        await asyncio.sleep(0.1)


def _sum(ports: list[int], name: str) -> float:
    return sum(metric(port, name) for port in ports)


def stages_of(ports: list[int]) -> dict[str, float]:
    """Return the seconds that processes of streams, known by the ports of their metrics, spent in each stage."""
    found: dict[str, float] = {}
    for port in ports:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30, trust_env=False).text
        for stage, seconds in _STAGE.findall(text):
            found[stage] = found.get(stage, 0.0) + float(seconds)
    return found


def show(result: LateResult) -> str:
    """Return the figures for people."""
    head = (
        f"{result.points:,} points, {result.days} days every {result.interval_s} s, {result.readings:,} readings, "
        f"{result.workers} workers on {result.cores} cores, load {result.load} before"
    )
    lines = [head]
    for name, part in (("late readings", result.late), ("corrected multiplier", result.multiplier)):
        equal = "equal to a computation from scratch" if part.equals_from_scratch else "NOT EQUAL"
        stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in sorted(part.stages.items()))
        lines.append(f"{name:<21} {part.seconds:6.1f} s, {equal}; seconds of work: {stages}")
    return "\n".join(lines)
