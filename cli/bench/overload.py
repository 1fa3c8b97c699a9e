"""`greenpark bench overload`: many times what can be taken, then until all of it is committed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console

from cli.bench.ingest import measure_cell, shown_sleep
from cli.bench.load import Senders, Shape, Timing
from cli.bench.processes import memory_mb
from cli.bench.stack import MOST_WORKERS, BenchStack, bench_stack
from cli.errors import RefusedError
from cli.progress import Steps
from store import bench
from store.edge_states import watermarks
from store.pool import connected

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from park.wire import Committed
    from store.pool import Connection

_SAMPLE_S: Final = 0.5
_QUIET_S: Final = 3.0
_WINDOW: Final = 64
"""Batches that an edge has in flight at most when it sends again; as `edge` itself."""
_STUCK_S: Final = 180.0
_MOST_UNACKNOWLEDGED: Final = 100_000
"""Messages that wait for the broker in the senders' memory, at most; what is due beyond stays unmade."""


@dataclass(frozen=True, slots=True)
class OverloadBench:
    """What is offered: `factor` times the rate measured in `calibrate_s`, for `seconds`."""

    seconds: float = 60.0
    factor: float = 10.0
    calibrate_s: float = 15.0
    size: int = 1
    workers: int = 1
    edges: int = 200
    points: int = 10

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.points % self.size:
            raise RefusedError(f"points ({self.points}) must be a multiple of the size ({self.size})")
        if min(self.seconds, self.factor, self.calibrate_s, self.edges, self.workers) <= 0:
            raise RefusedError("seconds, factor, calibration, edges and workers must be positive")
        if self.workers > MOST_WORKERS:
            raise RefusedError(f"at most {MOST_WORKERS} workers")


@dataclass(frozen=True, slots=True)
class OverloadResult:
    """What the benchmark prints. Rates in readings a second.

    Attributes:
        sustainable_per_s: measured just before.
        offered_per_s, offered: readings that the edges made, over `seconds`.
        taken_per_s: what of it the broker acknowledged meanwhile.
        committed_per_s: what of it was committed meanwhile.
        lost: readings that were made and are not stored once all has drained.
        acknowledged_lost: of these, such as a watermark covers: the only acknowledgement that an edge trusts.
        doubled: rows beyond those that were made.
        peak_rss_mb: of broker, ingest and database together; `peak_rss_mb_of` of each, at its own peak. The
            database's shared memory counts once.
        kept: messages that stayed at the edges, since the broker took no more.
        sent_again: messages that the broker had acknowledged and dropped because its queue was full.
        drain_s: from the last reading's offering until everything was committed.
    """

    sustainable_per_s: float
    offered_per_s: float
    taken_per_s: float
    committed_per_s: float
    seconds: float
    offered: int
    stored: int
    lost: int
    acknowledged_lost: int
    doubled: int
    peak_rss_mb: float
    peak_rss_mb_of: dict[str, float]
    kept: int
    sent_again: int
    drain_s: float


class MemoryWatch:
    """Samples the memory of processes until cancelled.

    Attributes:
        peak_mb: of each part.
        total_mb: peak of their sum.
    """

    def __init__(self, stack: BenchStack) -> None:
        self._stack = stack
        self.peak_mb: dict[str, float] = {}
        self.total_mb = 0.0

    async def run(self) -> None:
        """Sample."""
        while True:
            pids = {name: found for name, found in self._stack.pids().items() if name != "senders"}
            now = await asyncio.to_thread(lambda: {name: memory_mb(found) for name, found in pids.items()})  # noqa: B023
            for name, mb in now.items():
                self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), round(mb, 1))
            self.total_mb = max(self.total_mb, round(sum(now.values()), 1))
            await asyncio.sleep(_SAMPLE_S)


async def run_overload_bench(plan: OverloadBench, var: Path) -> OverloadResult:
    """Measure the sustainable rate, flood, drain and count, on one fresh stack below `var/bench`.

    Raises:
        RefusedError: it does not drain.
    """
    shape = Shape(plan.edges, plan.points, plan.size)
    with Steps(Console(stderr=True)) as steps:
        async with bench_stack(var, steps) as stack:
            await stack.register(shape)
            await stack.grow(plan.workers)
            cell = await measure_cell(stack, shape, plan.calibrate_s, min(5.0, plan.calibrate_s), steps)
            return await _flood(stack, shape, plan, cell.readings_per_s, steps)


async def _flood(
    stack: BenchStack, shape: Shape, plan: OverloadBench, sustainable: float, steps: Steps
) -> OverloadResult:
    wanted = sustainable * plan.factor
    timing = Timing(time.time() * 1000, shape.edges * shape.points / wanted * 1000)
    async with connected(stack.database_url, application="bench") as connection:
        await bench.forget(connection)
        watch = MemoryWatch(stack)
        watching = asyncio.create_task(watch.run(), name="bench memory")
        try:
            async with stack.senders(shape, timing) as senders:
                steps.begin(f"flood of {wanted:,.0f} readings/s", total=plan.seconds)
                over, began = asyncio.Event(), time.monotonic()
                sending = asyncio.create_task(
                    senders.paced(over.is_set, most_unacknowledged=_MOST_UNACKNOWLEDGED), name="bench senders"
                )
                try:
                    await shown_sleep(plan.seconds, steps)
                finally:
                    over.set()
                    await sending
                ended, seconds = time.monotonic(), time.monotonic() - began
                taken, during = senders.acknowledged, await bench.committed(connection)
                sent = senders.sent
                senders.skip_to(int(wanted * seconds / shape.size))
                offered = senders.sent * shape.size
                steps.done(f"{offered:,} readings offered, {during.readings:,} committed meanwhile")
                steps.begin("draining", total=float(senders.outstanding))
                await drain(senders, steps)
                drain_s = time.monotonic() - ended
                held = await bench.stored(connection)
                covered = await _covered(connection, senders)
                steps.done(f"drained; {senders.again:,} messages came from the edges after the flood")
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    return OverloadResult(
        sustainable_per_s=sustainable,
        offered_per_s=round(offered / seconds),
        taken_per_s=round(taken * shape.size / seconds),
        committed_per_s=round(during.readings / seconds),
        seconds=round(seconds, 1),
        offered=offered,
        stored=held.readings,
        lost=max(0, offered - held.readings),
        acknowledged_lost=max(0, covered * shape.size - held.readings),
        doubled=max(0, held.readings - offered) + held.conflicts,
        peak_rss_mb=watch.total_mb,
        peak_rss_mb_of=watch.peak_mb,
        kept=offered // shape.size - sent,
        sent_again=max(0, senders.again - (offered // shape.size - sent)),
        drain_s=round(drain_s, 1),
    )


class _Backlog:
    """What one edge still has to send: oldest first, few at a time, nothing that its watermark covers."""

    def __init__(self, edge: int) -> None:
        self.edge = edge
        self._next = 0
        self._flying: list[int] = []
        self._mark: Committed | None = None

    def due(self, mark: Committed, made: int) -> NDArray[np.int64]:
        """Return the batches to send now."""
        if mark is self._mark:
            return np.empty(0, np.int64)
        self._mark = mark
        self._flying = [seq for seq in self._flying if not mark.covers(mark.boot, seq)]
        chosen: list[int] = []
        self._next = max(self._next, mark.floor)
        ranges = iter([*mark.ranges, (made, made)])
        first, after = next(ranges)
        while len(self._flying) + len(chosen) < _WINDOW and self._next < made:
            while after <= self._next and after < made:
                first, after = next(ranges)
            if first <= self._next < after:
                self._next = after
            else:
                chosen.append(self._next)
                self._next += 1
        self._flying += chosen
        return np.array(chosen, np.int64)


async def drain(senders: Senders, steps: Steps) -> None:
    """Wait until the watermarks cover everything; what the broker does not have is sent as an edge does.

    First the broker gives out what it holds, until nothing has been committed for a while.

    Raises:
        RefusedError: nothing moves for a long time.
    """
    moved, before = time.monotonic(), int(senders.covered.sum())
    backlogs: list[_Backlog] = []
    while senders.outstanding:
        covered = int(senders.covered.sum())
        if covered != before:
            steps.advance(covered - before)
            moved, before = time.monotonic(), covered
        quiet_s = time.monotonic() - moved
        if quiet_s > _STUCK_S:
            raise RefusedError(f"{senders.outstanding} messages were not committed in {quiet_s:.0f} s: see the logs")
        if not backlogs and quiet_s > _QUIET_S and not senders.unacknowledged:
            backlogs = [_Backlog(edge) for edge in range(senders.shape.edges)]
        for backlog in backlogs:
            seqs = backlog.due(senders.marks[backlog.edge], senders.batches_of(backlog.edge))
            if len(seqs):
                senders.send_again(backlog.edge, seqs)
        await asyncio.sleep(0.01)


async def _covered(connection: Connection, senders: Senders) -> int:
    marks = [mark for mark in await watermarks(connection) if mark.boot == senders.boot]
    return sum(mark.floor + sum(after - first for first, after in mark.ranges) for mark in marks)


def show(result: OverloadResult) -> str:
    """Return the result as text."""
    memory = ", ".join(f"{name} {mb:,.0f} MB" for name, mb in result.peak_rss_mb_of.items())
    times = result.offered_per_s / result.sustainable_per_s
    rates = f"{result.offered_per_s:,.0f} readings/s offered for {result.seconds:.0f} s, {times:.1f} times"
    meanwhile = f"{result.taken_per_s:,.0f}/s taken by the broker, {result.committed_per_s:,.0f}/s committed"
    stored = f"{result.offered:,} made, {result.stored:,} stored: {result.lost} lost, {result.doubled} doubled"
    lines = [
        f"{rates} the sustainable {result.sustainable_per_s:,.0f}",
        f"meanwhile {meanwhile}, {result.kept:,} messages kept at the edges; drained in {result.drain_s:.1f} s",
        f"{stored}; {result.sent_again:,} messages sent again",
        f"peak memory {result.peak_rss_mb:,.0f} MB: {memory}",
    ]
    return "\n".join(lines)
