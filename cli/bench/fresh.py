"""`greenpark bench fresh`: the time from a reading being taken to its bucket, hour, day and month."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console

from cli.bench.late import stages_of
from cli.bench.load import Shape, Timing
from cli.bench.meters import Field, compare
from cli.bench.processes import CpuMeter, memory_mb
from cli.bench.stack import bench_stack
from cli.progress import Steps
from cli.stack import ports
from park.calendar import zone
from store import freshness as store
from store import marking
from store.ledger import all_readings
from store.pool import connected
from store.registry import edges, park_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cli.bench.load import Senders
    from store.pool import Connection

_GRAINS: Final = ("bucket", "hour", "day", "month")
_LOOK_S: Final = 0.2
_DRAIN_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class FreshBench:
    """`firms × points`, each read every `interval_s`, `size` to a message; `watched` points are looked at."""

    firms: int = 100
    points: int = 100
    interval_s: float = 10.0
    seconds: float = 60.0
    warm_up_s: float = 25.0
    size: int = 10
    workers: int = 1
    watched: int = 200


@dataclass(frozen=True, slots=True)
class FreshResult:
    """Figures of one run.

    Attributes:
        p50_s, p99_s: seconds from a reading's own time to a query that shows it, by grain; looked at every 0.2 s.
        unseen: readings of watched points that no query had shown when the measured time ended; they count in the
            percentiles with their age then.
        indicators_p99_s: age of the oldest live reading in the firms' indicators when these were written.
        park_p99_s: the same of the park.
        lag_s: how much longer than the measured time it took until nothing waited.
        cores: in use by each part while measuring.
        stages: seconds that streams spent in each stage while measuring, summed over the workers.
    """

    points: int
    readings_per_s: float
    interval_s: float
    p50_s: dict[str, float]
    p99_s: dict[str, float]
    readings: int
    unseen: int
    indicators_p99_s: float | None
    park_p99_s: float | None
    lag_s: float
    equals_from_scratch: bool
    workers: int
    cores: dict[str, float]
    others: float
    streams_mb: float
    stages: dict[str, float]
    load: float


@dataclass(slots=True)
class _Looks:
    """What each look at the ledger found."""

    at_s: list[float] = field(default_factory=list)
    found: list[dict[tuple[str, int], float]] = field(default_factory=list)

    def delays(self, of: Mapping[int, NDArray[np.float64]], grain: str, since_s: float) -> tuple[list[float], int]:
        """Return how long each reading after `since_s` took to be covered, and how many were not in time.

        Args:
            of: times of each point's readings, all of them, in seconds since 1970.
            grain: which rows count.
            since_s: what was read before is not measured.
        """
        at = np.array(self.at_s)
        delays: list[float] = []
        unseen = 0
        for point_id, t_s in of.items():
            until = t_s[0] + np.array([found.get((grain, point_id), -1.0) for found in self.found])
            until = np.maximum.accumulate(until)
            mine = t_s[(t_s >= since_s) & (t_s <= at[-1])]
            first = np.searchsorted(until, mine - 0.005)
            seen = first < len(at)
            unseen += int((~seen).sum())
            delays += (np.where(seen, at[np.minimum(first, len(at) - 1)], at[-1]) - mine).tolist()
        return delays, unseen


async def run_fresh_bench(plan: FreshBench, var: Path) -> FreshResult:
    """Measure on a fresh stack below `var/bench`: broker, database, one ingest worker, streams, and the senders."""
    load = os.getloadavg()[0]
    shape = Shape(plan.firms, plan.points, plan.size)
    with Steps(Console(stderr=True)) as steps:
        async with bench_stack(var, steps) as stack, connected(stack.database_url) as connection:
            await stack.register(shape)
            await stack.grow(1)
            pids = []
            metrics = [ports.any_free() for _ in range(plan.workers)]
            for number, port in enumerate(metrics, start=1):
                child = await stack.machine.start_room(
                    "streams", name=f"streams-{number}", GREENPARK_METRICS_PORT=str(port)
                )
                pids.append(child.pid or 0)
            steps.begin("warming up")
            began = datetime.now(UTC)
            timing = Timing(time.time() * 1000, plan.interval_s * 1000)
            async with stack.senders(shape, timing) as senders:
                end_s = time.time() + plan.warm_up_s + plan.seconds
                sending = asyncio.create_task(senders.paced(lambda: time.time() >= end_s), name="send")
                known = await _known(connection, shape)
                watched = _spread([point_id for _, point_id in known.points], plan.watched)
                await asyncio.sleep(plan.warm_up_s)
                since_s = time.time()
                steps.done("warm")
                steps.begin("measuring", total=plan.seconds)
                cpu = CpuMeter({**stack.pids(), "streams": pids})
                before = await asyncio.to_thread(stages_of, metrics)
                looks = await _look(connection, watched, began, end_s, steps)
                after = await asyncio.to_thread(stages_of, metrics)
                shares = cpu.shares()
                memory = memory_mb(pids)
                await sending
                lag_s = await _drained(connection, senders)
            steps.done(f"measured; nothing waited {lag_s:.1f} s later")
            steps.begin("comparing with a computation from scratch")
            difference = await compare(connection, known)
            steps.done(f"compared {difference.rows:,} rows, {difference.differing:,} differ")
            raw = await all_readings(connection, watched)
            of = {p: raw.t_us[raw.point_id == p] / 1e6 for p in watched if np.any(raw.point_id == p)}
            measured = {grain: looks.delays(of, grain, since_s) for grain in _GRAINS}
            since = datetime.fromtimestamp(since_s, UTC)
            firms = await store.waited(connection, since, parks=False)
            of_parks = await store.waited(connection, since, parks=True)
    return FreshResult(
        points=plan.firms * plan.points,
        readings_per_s=round(plan.firms * plan.points / plan.interval_s, 1),
        interval_s=plan.interval_s,
        p50_s={grain: _percentile(delays, 50) or 0.0 for grain, (delays, _) in measured.items()},
        p99_s={grain: _percentile(delays, 99) or 0.0 for grain, (delays, _) in measured.items()},
        readings=len(measured["bucket"][0]),
        unseen=measured["bucket"][1],
        indicators_p99_s=_percentile(firms, 99),
        park_p99_s=_percentile(of_parks, 99),
        lag_s=round(lag_s, 1),
        equals_from_scratch=difference.equal,
        workers=plan.workers,
        cores=shares.of,
        others=shares.others,
        streams_mb=round(memory),
        stages={name: round(s - before.get(name, 0.0), 2) for name, s in after.items()},
        load=round(load, 2),
    )


async def _known(connection: Connection, shape: Shape) -> Field:
    park = await park_named(connection, shape.park)
    mine = tuple(row for row in await edges(connection) if row.park == shape.park)
    return Field(park.park_id, zone(park.time_zone), mine)


def _spread(points: Sequence[int], count: int) -> list[int]:
    # Not the same few places of every firm: these are read at the same few moments of each interval.
    each = max(1, len(points) // count)
    return sorted({points[(k * len(points) // count + k * 7 % each) % len(points)] for k in range(count)})


async def _look(connection: Connection, watched: Sequence[int], began: datetime, end_s: float, steps: Steps) -> _Looks:
    looks = _Looks()
    while time.time() < end_s:
        due = time.monotonic() + _LOOK_S
        found = await store.covered(connection, watched, began - timedelta(minutes=15))
        looks.at_s.append(time.time())
        looks.found.append(found)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        steps.advance(_LOOK_S)
    return looks


async def _drained(connection: Connection, senders: Senders) -> float:
    """Wait until all that was sent is stored and computed; return for how long."""
    began = time.monotonic()
    while senders.outstanding or await marking.pending(connection):
        if time.monotonic() - began > _DRAIN_S:
            break
        await asyncio.sleep(0.1)
    return time.monotonic() - began


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 2) if values else None


def show(result: FreshResult) -> str:
    """Return the figures for people."""
    p99 = ", ".join(f"{grain} {seconds:.2f} s" for grain, seconds in result.p99_s.items())
    p50 = ", ".join(f"{grain} {seconds:.2f} s" for grain, seconds in result.p50_s.items())
    cores = ", ".join(f"{name} {share:.2f}" for name, share in result.cores.items())
    equal = "equal to a computation from scratch" if result.equals_from_scratch else "NOT EQUAL"
    return (
        f"{result.points:,} points every {result.interval_s:g} s, {result.readings_per_s:,.0f} readings/s\n"
        f"p99: {p99}\np50: {p50}\n"
        f"{result.readings:,} readings watched, {result.unseen} not shown in time; indicators p99 "
        f"{result.indicators_p99_s} s, park p99 {result.park_p99_s} s; nothing waited after {result.lag_s} s; {equal}\n"
        f"cores: {cores}; others {result.others:.2f}; streams {result.streams_mb:.0f} MB; load {result.load} before\n"
        "seconds of streams: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in result.stages.items())
    )
