"""`greenpark bench ledger`: buckets from raw, held against reading the same raw rows with nothing computed."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Console

from cli.bench.meters import lay, set_up
from cli.onemachine import fresh_machine
from cli.progress import Steps
from park.calendar import GRAINS
from store.ledger import all_readings, stored_rows
from store.pool import connected
from store.registry import metered_points
from streams.cuts import compute
from streams.rows import changed, roll
from streams.windows import whole

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from store.pool import Connection
    from store.registry import MeteredPoint


@dataclass(frozen=True, slots=True)
class LedgerBench:
    """One firm's points, read every `interval_s` for `days`."""

    points: int = 200
    days: int = 30
    interval_s: int = 900
    repeats: int = 5


@dataclass(frozen=True, slots=True)
class LedgerResult:
    """Medians over the repeats; reading alone and computing alternate within one run, each on one connection.

    Attributes:
        buckets_per_s: buckets from raw in one process: rows read, decoded, classified, cut into buckets.
        ratio_to_reading: time of reading the raw rows alone, by that time.
        with_roll_ups: the same ratio with hours, days, months and years summed and compared with what is stored.
        reading_rows_per_s: raw rows a second when nothing is computed.
        stages: seconds of each stage of one repeat, medians.
        ratios: the ratio of each repeat.
        load: load average of one minute before.
    """

    buckets_per_s: float
    ratio_to_reading: float
    with_roll_ups: float
    reading_rows_per_s: float
    points: int
    readings: int
    buckets: int
    interval_s: int
    stages: dict[str, float]
    ratios: list[float]
    load: float


async def run_ledger_bench(plan: LedgerBench, var: Path) -> LedgerResult:
    """Measure on a fresh database below `var/bench-ledger`."""
    load = os.getloadavg()[0]
    with Steps(Console(stderr=True)) as steps:
        steps.begin("database")
        async with (
            fresh_machine(var, "bench-ledger", progress=steps.component) as machine,
            connected(machine.database_url) as connection,
        ):
            steps.done("database")
            steps.begin("raw readings")
            start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=plan.days + 1)
            field = await set_up(connection, 1, plan.points, start - timedelta(days=1))
            readings = await lay(connection, field.edges[0], start, start + timedelta(days=plan.days), plan.interval_s)
            steps.done(f"{readings:,} raw readings")
            steps.begin("measuring", total=plan.repeats)
            points = await metered_points(connection, field.edges[0].firm_id)
            ids = [metered.point.point_id for metered in points]
            await all_readings(connection, ids)  # once for the caches
            rounds = []
            buckets = 0
            for _ in range(plan.repeats):
                began = time.perf_counter()
                await all_readings(connection, ids)
                alone_s = time.perf_counter() - began
                stages, buckets = await _one(connection, ids, points, field.tz)
                rounds.append({"reading_alone": alone_s} | stages)
                steps.advance(1)
            steps.done(f"{plan.repeats} repeats")
    ratios = [r["reading_alone"] / (r["reading"] + r["compute"]) for r in rounds]
    whole_way = [
        r["reading_alone"] / (r["reading"] + r["compute"] + r["stored"] + r["compare"] + r["roll_up"]) for r in rounds
    ]
    middle = {name: round(statistics.median(r[name] for r in rounds), 4) for name in rounds[0]}
    return LedgerResult(
        buckets_per_s=round(buckets / (middle["reading"] + middle["compute"])),
        ratio_to_reading=round(statistics.median(ratios), 3),
        with_roll_ups=round(statistics.median(whole_way), 3),
        reading_rows_per_s=round(readings / middle["reading_alone"]),
        points=plan.points,
        readings=readings,
        buckets=buckets,
        interval_s=plan.interval_s,
        stages=middle,
        ratios=[round(ratio, 3) for ratio in ratios],
        load=round(load, 2),
    )


async def _one(
    connection: Connection, ids: list[int], points: list[MeteredPoint], tz: ZoneInfo
) -> tuple[dict[str, float], int]:
    now = datetime.now(UTC)
    at = [time.perf_counter()]
    raw = await all_readings(connection, ids)
    at.append(time.perf_counter())
    wanted = whole(points, raw)
    rows = compute(points, raw, wanted, tz, now=now, run_id=0)
    at.append(time.perf_counter())
    old = await stored_rows(connection, wanted)
    at.append(time.perf_counter())
    changed(rows, old, now=now, run_id=0)
    at.append(time.perf_counter())
    for grain in GRAINS:
        roll(rows, grain, tz)
    at.append(time.perf_counter())
    names = ("reading", "compute", "stored", "compare", "roll_up")
    return dict(zip(names, (b - a for a, b in pairwise(at)), strict=True)), len(rows)


def show(result: LedgerResult) -> str:
    """Return the figures for people."""
    stages = ", ".join(f"{name} {seconds:.3f}" for name, seconds in result.stages.items())
    return (
        f"{result.readings:,} readings of {result.points} points every {result.interval_s} s, {result.buckets:,} "
        f"buckets\n{result.buckets_per_s:,.0f} buckets/s on one core from raw; {result.ratio_to_reading:.2f} of "
        f"reading alone ({result.reading_rows_per_s:,.0f} rows/s), {result.with_roll_ups:.2f} with comparison and "
        f"roll-ups\nseconds: {stages}\nratios of the repeats: {result.ratios}, load {result.load} before"
    )
