"""`greenpark bench indicators`: from the ledger to the standing, for one firm-year, and for many."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.console import Console

from cli.bench.indicator_park import NOW, POINTS, Laid, lay, mark
from cli.bench.processes import cpu_s
from cli.errors import RefusedError
from cli.onemachine import fresh_machine
from cli.progress import Steps
from store.bench import backend, firm_values, forget_values, settle
from store.ledger import WaitingFirm, commit_in_passing
from store.pool import connected
from streams.metrics import STAGE_SECONDS
from streams.process import pass_park, pass_values
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.pool import Connection

_MODULE: Final = "cli.bench.indicator_worker"


@dataclass(frozen=True, slots=True)
class IndicatorBench:
    """Parks of so many firms, each with a year of buckets.

    Attributes:
        sizes: numbers of firms, ascending; each is a park of its own.
        days: of the ledger.
        fine_hours: hours and buckets are computed for so long, as streams do.
        repeats: of the single firm; the median counts.
        workers: processes for more than one firm.
    """

    sizes: tuple[int, ...] = (1, 10, 100)
    days: int = 365
    points: int = len(POINTS)
    fine_hours: float = float(StreamsSettings("").fine_hours)
    repeats: int = 3
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Size:
    """One park.

    Attributes:
        firms_s: by the workers together; `park_s`: the park's values, standings and balances, by one.
        cpu_s: of workers and server together, which does not depend on what else the machine does.
    """

    firms: int
    seconds: float
    firms_s: float
    park_s: float
    seconds_per_firm: float
    cpu_s: float
    cpu_s_per_firm: float


@dataclass(frozen=True, slots=True)
class IndicatorResult:
    """What was measured.

    Attributes:
        firm_year_s: one firm's values of all grains and its park's standing, server and program on one core.
        again_s: the same again, with nothing changed: compared, and not written.
        hundred_firms_s: a park of 100 firms; None if it was not among the sizes.
        sizes: each number of firms; a constant `seconds_per_firm` is linear growth.
        firm_year_cpu_s: CPU of program and server for it.
        growth: CPU seconds a firm of the largest park by those of the smallest: 1 is linear.
        periods: computed of one firm: buckets and hours of the last `fine_hours`, all days, months and the year.
        values: rows of indicators that one firm has after it; `defined` of them are numbers.
        standings: of the one firm's park.
        stages: seconds of each stage of the single firm, medians.
        one_core: whether program and server were held to one core.
        load: load average of one minute before.
    """

    firm_year_s: float
    firm_year_cpu_s: float
    hundred_firms_s: float | None
    again_s: float
    sizes: list[Size]
    growth: float | None
    points: int
    days: int
    fine_hours: float
    periods: int
    values: int
    defined: int
    standings: int
    stages: dict[str, float]
    repeats: list[float]
    workers: int
    one_core: bool
    load: float
    notes: list[str] = field(default_factory=list)


async def run_indicator_bench(plan: IndicatorBench, var: Path) -> IndicatorResult:
    """Measure on a fresh database below `var/bench-indicators`."""
    load = os.getloadavg()[0]
    with Steps(Console(stderr=True)) as steps:
        steps.begin("database")
        async with (
            fresh_machine(var, "bench-indicators", progress=steps.component) as machine,
            connected(machine.database_url) as connection,
        ):
            await commit_in_passing(connection)
            steps.done("database")
            steps.begin("one firm")
            laid = await lay(connection, "one", 1, plan.days, plan.points)
            await settle(connection)
            single = await _single(connection, laid, plan)
            values, defined, standings = await firm_values(connection, laid.firms[0].firm_id, laid.park_id)
            steps.done(f"one firm: {single.seconds:.2f} s")
            sizes = []
            for size in plan.sizes:
                steps.begin(f"{size} firms", total=1)
                park = await lay(connection, f"of-{size}", size, plan.days, plan.points)
                await settle(connection)
                sizes.append(await _many(connection, machine.database_url, park, plan))
                steps.done(f"{size} firms: {sizes[-1].seconds:.2f} s")
    hundred = next((row.seconds for row in sizes if row.firms == 100), None)
    growth = sizes[-1].cpu_s_per_firm / sizes[0].cpu_s_per_firm if len(sizes) > 1 else None
    return IndicatorResult(
        firm_year_s=single.seconds,
        firm_year_cpu_s=single.cpu_s,
        hundred_firms_s=hundred,
        again_s=single.again_s,
        sizes=sizes,
        growth=None if growth is None else round(growth, 2),
        points=plan.points,
        days=plan.days,
        fine_hours=plan.fine_hours,
        periods=single.periods,
        values=values,
        defined=defined,
        standings=standings,
        stages=single.stages,
        repeats=single.repeats,
        workers=plan.workers,
        one_core=single.one_core,
        load=round(load, 2),
    )


@dataclass(frozen=True, slots=True)
class _Single:
    seconds: float
    cpu_s: float
    again_s: float
    periods: int
    stages: dict[str, float]
    repeats: list[float]
    one_core: bool


async def _single(connection: Connection, laid: Laid, plan: IndicatorBench) -> _Single:
    rounds, again, stages, periods = list[float](), list[float](), list[dict[str, float]](), 0
    pids = (os.getpid(), await backend(connection))
    used = list[float]()
    with _one_core(pids[1]) as held:
        for _ in range(plan.repeats):
            await forget_values(connection)
            periods = await mark(connection, laid, plan.fine_hours)
            before = _stages()
            cpu_before_s = sum(map(cpu_s, pids))
            rounds.append(await _pass(connection, laid))
            used.append(sum(map(cpu_s, pids)) - cpu_before_s)
            stages.append({name: now - before.get(name, 0.0) for name, now in _stages().items()})
            await mark(connection, laid, plan.fine_hours)
            again.append(await _pass(connection, laid))
    names = sorted({name for one in stages for name, seconds in one.items() if seconds > 0})
    middle = {name: round(statistics.median(one.get(name, 0.0) for one in stages), 4) for name in names}
    return _Single(
        round(statistics.median(rounds), 3),
        round(statistics.median(used), 3),
        round(statistics.median(again), 3),
        periods,
        middle,
        [round(one, 3) for one in rounds],
        held,
    )


async def _pass(connection: Connection, laid: Laid) -> float:
    """Compute one firm and its park as streams do; return the seconds."""
    began = time.perf_counter()
    for firm in laid.firms:
        await pass_values(connection, WaitingFirm(firm.firm_id, laid.park_id, laid.time_zone), now=NOW)
    await pass_park(connection, laid.park_id, laid.time_zone, now=NOW)
    return time.perf_counter() - began


async def _many(connection: Connection, database_url: str, laid: Laid, plan: IndicatorBench) -> Size:
    await mark(connection, laid, plan.fine_hours)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")}
    environ["GREENPARK_DATABASE_URL"] = database_url
    pipe = asyncio.subprocess.PIPE
    workers = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", _MODULE, stdin=pipe, stdout=pipe, env=environ)
        for _ in range(plan.workers)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            if await worker.stdout.readline() != b"ready\n":
                msg = "a worker did not start; its message stands above"
                raise RefusedError(msg)
        began = time.perf_counter()
        told = await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
        firms_s = time.perf_counter() - began
        reports = [json.loads(out) for out, _ in told]
        done = sum(report["firms"] for report in reports)
        if done != len(laid.firms):
            msg = f"the workers computed {done} of {len(laid.firms)} firms"
            raise RefusedError(msg)
        pids = (os.getpid(), await backend(connection))
        cpu_before_s = sum(map(cpu_s, pids))
        began = time.perf_counter()
        await pass_park(connection, laid.park_id, laid.time_zone, now=NOW)
        park_s = time.perf_counter() - began
        cpu = sum(report["cpu_s"] for report in reports) + sum(map(cpu_s, pids)) - cpu_before_s
    finally:
        for worker in workers:
            with suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
    seconds, count = firms_s + park_s, len(laid.firms)
    return Size(
        count,
        round(seconds, 3),
        round(firms_s, 3),
        round(park_s, 3),
        round(seconds / count, 4),
        round(cpu, 3),
        round(cpu / count, 4),
    )


def _stages() -> dict[str, float]:
    return {
        sample.labels["stage"]: sample.value
        for metric in STAGE_SECONDS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


@contextmanager
def _one_core(server: int) -> Iterator[bool]:
    """Hold this process and the server's process that works for it to one core; yield whether that could be done."""
    before = os.sched_getaffinity(0)
    core = {max(before)}
    held = False
    with suppress(PermissionError, ProcessLookupError):
        os.sched_setaffinity(server, core)
        os.sched_setaffinity(0, core)
        held = True
    try:
        yield held
    finally:
        os.sched_setaffinity(0, before)
        with suppress(PermissionError, ProcessLookupError):
            os.sched_setaffinity(server, before)


def show(result: IndicatorResult) -> str:
    """Return the figures for people."""
    stages = ", ".join(f"{name} {seconds:.3f}" for name, seconds in result.stages.items())
    lines = [
        f"one firm-year ({result.points} points, {result.days} days, {result.periods:,} periods, "
        f"{result.values:,} values, {result.defined:,} of them numbers, {result.standings} standings) "
        f"{result.firm_year_s:.2f} s"
        + (" on one core" if result.one_core else " (not held to one core)")
        + f", {result.firm_year_cpu_s:.2f} s of CPU"
        + f"; again with nothing new {result.again_s:.2f} s",
        f"seconds: {stages}; repeats {result.repeats}, load {result.load} before",
    ]
    lines += [
        f"{row.firms:>4} firms, {result.workers} workers: {row.seconds:.2f} s ({row.firms_s:.2f} firms, "
        f"{row.park_s:.2f} park), {row.seconds_per_firm:.3f} s and {row.cpu_s_per_firm:.3f} CPU s a firm"
        for row in result.sizes
    ]
    return "\n".join(lines)
