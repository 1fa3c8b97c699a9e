"""`greenpark bench ingest`: how many readings a second go from an edge to a committed row, and how soon."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console

from cli.bench.copying import CopyRate, CopyResult, fastest_copy
from cli.bench.load import Senders, Shape, Timing
from cli.bench.processes import CpuMeter, own_cpu_s
from cli.bench.stack import MOST_WORKERS, BenchStack, bench_stack
from cli.errors import RefusedError
from cli.progress import Steps
from store import bench
from store.edge_states import watermarks
from store.pool import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from store.pool import Connection

# What all edges together have under way: enough that the stack never waits for the senders.
_WINDOW_MESSAGES: Final = 50_000
_WINDOW_READINGS: Final = 1_200_000
_PROBE_S: Final = 0.05
_DRAIN_S: Final = 120.0
_COPIED_ROWS: Final = 12_000_000
_THOROUGH_S: Final = 5.0
# Readings are one second apart, from a time in the past; half of the maximum is measured with the time of day.
_PAST_MS: Final = 6 * 3_600_000
_APART_MS: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class IngestBench:
    """What is measured.

    Attributes:
        sizes: readings per message.
        workers: numbers of ingest processes, ascending.
        seconds: of each cell, after `warm_up_s`.
        edges, points: edges, and points of each.
    """

    sizes: tuple[int, ...] = (100, 10, 1)
    workers: tuple[int, ...] = (1, 2, 4)
    seconds: float = 60.0
    warm_up_s: float = 5.0
    edges: int = 20
    points: int = 100

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if any(self.points % size for size in self.sizes):
            raise RefusedError(f"points ({self.points}) must be a multiple of every size {self.sizes}")
        if list(self.workers) != sorted(set(self.workers)) or self.workers[-1] > MOST_WORKERS:
            raise RefusedError(f"workers must ascend, up to {MOST_WORKERS}")
        if min(self.seconds, self.warm_up_s, self.edges) <= 0:
            raise RefusedError("seconds, warm-up and edges must be positive")

    @property
    def total_s(self) -> float:
        """Return about how long it takes."""
        cells = len(self.sizes) * (len(self.workers) + 1)
        return 15 + cells * (self.seconds + self.warm_up_s + 2) + min(60.0, 2 * self.seconds)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid.

    Attributes:
        readings_per_s: acknowledged and committed, by the database, within the measured time.
        ratio_to_copy: to the fastest plain COPY of the same run, in whatever order.
        ratio_to_arriving_copy: to the fastest in an order that arriving readings can have.
        lost: sent, and not stored once all was drained.
        cores: in use by each part while measuring; `senders` is this program, probes included.
        cpu_us_per_reading: CPU time of all parts but the senders; it hardly depends on what else runs.
    """

    size: int
    workers: int
    seconds: float
    readings_per_s: float
    messages_per_s: float
    lost: int
    cores: dict[str, float]
    cpu_us_per_reading: float
    ratio_to_copy: float = 0.0
    ratio_to_arriving_copy: float = 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Time from a reading being taken to a query that sees it, at half of a size's maximum."""

    size: int
    workers: int
    offered_per_s: float
    readings_per_s: float
    seconds: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    senders_behind_s: float
    cores: dict[str, float]


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What the benchmark prints.

    Attributes:
        readings_per_s, ratio_to_copy, device_to_queryable_p99_s: of the largest message size, best number of workers.
        copy_readings_per_s: the fastest plain COPY; `arriving_…` without orders that only a finished set can have.
    """

    readings_per_s: float
    ratio_to_copy: float
    ratio_to_arriving_copy: float
    device_to_queryable_p99_s: float
    copy_readings_per_s: float
    arriving_copy_readings_per_s: float
    grid: list[Cell]
    latency: list[Latency]
    copy: CopyResult
    points: int
    edges: int
    lost: int
    doubled: int = field(default=0)


async def run_ingest_bench(plan: IngestBench, var: Path) -> IngestResult:
    """Run the whole grid on one fresh stack below `var/bench`.

    Raises:
        RefusedError: the stack does not take what is sent.
    """
    console = Console(stderr=True)
    console.print(f"about {plan.total_s / 60:.1f} min")
    with Steps(console) as steps:
        async with bench_stack(var, steps) as stack:
            shapes = [Shape(plan.edges, plan.points, size) for size in plan.sizes]
            for shape in shapes:
                await stack.register(shape)
            cells: list[Cell] = []
            copied: CopyResult | None = None
            for workers in plan.workers:
                await stack.grow(workers)
                for shape in shapes:
                    cells.append(await measure_cell(stack, shape, plan.seconds, plan.warm_up_s, steps))
                    if copied is None:
                        copied = await _copy(stack, steps, thorough=plan.seconds >= _THOROUGH_S)
            assert copied is not None
            # The workers of the last column stand; the best of fewer is close to them.
            latency = [await _latency(stack, shape, _best(cells, shape.size), plan, steps) for shape in shapes]
    return _result(plan, cells, latency, copied)


def _best(cells: list[Cell], size: int) -> Cell:
    return max((cell for cell in cells if cell.size == size), key=lambda cell: cell.readings_per_s)


def _result(plan: IngestBench, cells: list[Cell], latency: list[Latency], copied: CopyResult) -> IngestResult:
    base, arriving = copied.best.readings_per_s, copied.best_arriving.readings_per_s
    grid = [
        replace(
            cell,
            ratio_to_copy=round(cell.readings_per_s / base, 3),
            ratio_to_arriving_copy=round(cell.readings_per_s / arriving, 3),
        )
        for cell in cells
    ]
    size = max(plan.sizes)
    best = _best(grid, size)
    return IngestResult(
        readings_per_s=best.readings_per_s,
        ratio_to_copy=best.ratio_to_copy,
        ratio_to_arriving_copy=best.ratio_to_arriving_copy,
        device_to_queryable_p99_s=next(found.p99_s for found in latency if found.size == size),
        copy_readings_per_s=base,
        arriving_copy_readings_per_s=arriving,
        grid=grid,
        latency=latency,
        copy=copied,
        points=plan.edges * plan.points,
        edges=plan.edges,
        lost=sum(cell.lost for cell in cells),
    )


async def measure_cell(stack: BenchStack, shape: Shape, seconds: float, warm_up_s: float, steps: Steps) -> Cell:
    """Measure the most that the stack takes, sent as fast as it is committed; leaves the rows in the database.

    Raises:
        RefusedError: nothing was committed, or it does not drain.
    """
    what = f"{shape.size} a message, {len(stack.workers)} worker{'s' if len(stack.workers) > 1 else ''}"
    steps.begin(what, total=warm_up_s + seconds)
    async with connected(stack.database_url, application="bench") as connection:
        await bench.forget(connection)
        timing = Timing(time.time() * 1000 - _PAST_MS, _APART_MS, spread=False)
        async with stack.senders(shape, timing) as senders:
            window = min(_WINDOW_MESSAGES, _WINDOW_READINGS // shape.size)
            over = asyncio.Event()
            sending = asyncio.create_task(senders.as_fast_as_taken(window, over.is_set), name="bench senders")
            try:
                await shown_sleep(warm_up_s, steps)
                meter, own, began = CpuMeter(stack.pids()), own_cpu_s(), time.monotonic()
                first = await bench.committed(connection)
                await shown_sleep(seconds, steps)
                last, ended = await bench.committed(connection), time.monotonic()
                shares = meter.shares()
            finally:
                over.set()
                await sending
            lost = await drained(connection, senders)
    elapsed = ended - began
    cores = shares.of | {"senders": round((own_cpu_s() - own) / elapsed, 2), "others": shares.others}
    rate = (last.readings - first.readings) / elapsed
    if rate <= 0:
        raise RefusedError(f"nothing was committed in {elapsed:.0f} s: see {stack.machine.places.logs}")
    cell = Cell(
        shape.size,
        len(stack.workers),
        round(elapsed, 1),
        round(rate),
        round((last.batches - first.batches) / elapsed),
        lost,
        cores,
        round(sum(cores.get(part, 0.0) for part in ("broker", "ingest", "postgres")) / rate * 1e6, 2),
    )
    steps.done(f"{what}: {cell.readings_per_s:,.0f} readings/s, {_cores(cores)}, {cell.cpu_us_per_reading} µs CPU each")
    return cell


async def drained(connection: Connection, senders: Senders, limit_s: float = _DRAIN_S) -> int:
    """Wait until every batch is committed; return how many of the readings are not there as rows.

    Raises:
        RefusedError: it stands still for `limit_s`.
    """
    moved, covered = time.monotonic(), -1
    while senders.outstanding:
        if (now := int(senders.covered.sum())) != covered:
            moved, covered = time.monotonic(), now
        if time.monotonic() - moved > limit_s:
            raise RefusedError(f"{senders.outstanding} messages were not committed within {limit_s:g} s: see the logs")
        await asyncio.sleep(0.02)
    held = await bench.stored(connection)
    return senders.sent * senders.shape.size - held.readings


async def shown_sleep(seconds: float, steps: Steps) -> None:
    """Sleep, showing how much is left."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        nap = min(left, 0.5)
        await asyncio.sleep(nap)
        steps.advance(nap)


async def _copy(stack: BenchStack, steps: Steps, *, thorough: bool) -> CopyResult:
    steps.begin("plain COPY of the same rows")

    def told(rate: CopyRate) -> None:
        way = rate.way
        steps.then(f"COPY {way.order} {way.batch_rows:,}×{way.connections}: {rate.readings_per_s:,.0f} rows/s")

    async with connected(stack.database_url, application="bench") as connection:
        columns = await bench.rows(connection, _COPIED_ROWS)
    pids = stack.pids()
    found = await fastest_copy(
        stack.database_url,
        {name: pids[name] for name in ("postgres", "senders") if name in pids},
        columns,
        thorough=thorough,
        told=told,
    )
    for rate in (found.best_arriving, found.best):
        way = rate.way
        steps.then(
            f"COPY by {way.order}, {way.batch_rows:,} rows × {way.connections}: {rate.readings_per_s:,.0f} rows/s"
        )
    steps.done(f"fastest plain COPY: {found.best.readings_per_s:,.0f} rows/s")
    return found


async def _latency(stack: BenchStack, shape: Shape, best: Cell, plan: IngestBench, steps: Steps) -> Latency:
    rate = best.readings_per_s / 2
    what = f"{shape.size} a message at {rate:,.0f} readings/s"
    steps.begin(what, total=plan.warm_up_s + plan.seconds)
    per_round = shape.edges * shape.points
    async with connected(stack.database_url, application="bench") as connection:
        await bench.forget(connection)
        timing = Timing(time.time() * 1000 + 200, per_round / rate * 1000)
        async with stack.senders(shape, timing) as senders:
            probe, over = Probe(senders, await bench.edge_ids(connection, shape.park)), asyncio.Event()
            sending = asyncio.create_task(senders.paced(over.is_set), name="bench senders")
            watching = asyncio.create_task(probe.run(connection, over.is_set), name="bench probe")
            try:
                await shown_sleep(plan.warm_up_s, steps)
                probe.ages_s.clear()
                meter, own, began, sent = CpuMeter(stack.pids()), own_cpu_s(), time.monotonic(), senders.sent
                await shown_sleep(plan.seconds, steps)
                elapsed, count = time.monotonic() - began, senders.sent - sent
                shares = meter.shares()
            finally:
                over.set()
                behind_s, _ = await asyncio.gather(sending, watching)
            lost = await drained(connection, senders)
    if lost:
        raise RefusedError(f"{lost} readings are covered by the watermark and not in the table")
    cores = shares.of | {"senders": round((own_cpu_s() - own) / elapsed, 2), "others": shares.others}
    p50, p95, p99, most = (round(float(q), 3) for q in np.quantile(np.concatenate(probe.ages_s), [0.5, 0.95, 0.99, 1]))
    found = Latency(
        shape.size,
        len(stack.workers),
        round(rate),
        round(count * shape.size / elapsed),
        round(elapsed, 1),
        p50,
        p95,
        p99,
        most,
        round(behind_s, 3),
        cores,
    )
    steps.done(f"{what}: device to queryable p50 {p50:.3f} s, p99 {p99:.3f} s, {_cores(cores)}")
    return found


class Probe:
    """Asks the database twenty times a second which batches it has, and how old their readings are by then.

    A watermark is committed with its rows, so what it covers is what any query sees. A batch above a hole is counted
    when the hole is closed: never below the truth, and above it by one period at most.

    Attributes:
        ages_s: ages at the first sight, one array for each time something new was seen.
    """

    def __init__(self, senders: Senders, edge_ids: Sequence[int]) -> None:
        self.ages_s: list[NDArray[np.float64]] = []
        self._senders = senders
        self._edge_of = {edge_id: edge for edge, edge_id in enumerate(edge_ids)}
        self._seen = [0] * len(edge_ids)

    async def run(self, connection: Connection, until: Callable[[], bool]) -> None:
        """Measure until told to end."""
        senders = self._senders
        while not until():
            found = [mark for mark in await watermarks(connection) if mark.boot == senders.boot]
            now_ms = time.time() * 1000
            for mark in found:
                edge = self._edge_of[mark.edge_id]
                seen = self._seen[edge]
                if mark.floor > seen:
                    self._seen[edge] = mark.floor
                    self.ages_s.append((now_ms - senders.due_ms(edge, np.arange(seen, mark.floor))) / 1000)
            await asyncio.sleep(_PROBE_S)


def _cores(cores: dict[str, float]) -> str:
    return "cores " + ", ".join(f"{name} {share:.2f}" for name, share in cores.items())


def show(result: IngestResult) -> str:
    """Return the result as text."""
    ratio, copied = result.ratio_to_copy, result.copy_readings_per_s
    lines = [
        f"{result.readings_per_s:,.0f} readings/s committed, {ratio:.2f} of the fastest COPY ({copied:,.0f} rows/s)",
        f"{result.ratio_to_arriving_copy:.2f} of the fastest COPY in an order of arrival",
        f"device to queryable at half of that: p99 {result.device_to_queryable_p99_s:.3f} s",
        "",
        f"{'a message':>9} {'workers':>7} {'readings/s':>11} {'messages/s':>11} {'ratio':>6} {'µs CPU':>7}  cores",
    ]
    lines += [
        f"{c.size:>9} {c.workers:>7} {c.readings_per_s:>11,.0f} {c.messages_per_s:>11,.0f} {c.ratio_to_copy:>6.2f}"
        f" {c.cpu_us_per_reading:>7.2f}"
        f"  {_cores(c.cores).removeprefix('cores ')}"
        for c in result.grid
    ]
    lines += ["", f"{'a message':>9} {'readings/s':>11} {'p50 s':>7} {'p95 s':>7} {'p99 s':>7} {'max s':>7}"]
    lines += [
        f"{found.size:>9} {found.readings_per_s:>11,.0f} {found.p50_s:>7.3f} {found.p95_s:>7.3f} {found.p99_s:>7.3f} "
        f"{found.max_s:>7.3f}"
        for found in result.latency
    ]
    return "\n".join(lines)
