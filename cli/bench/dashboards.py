"""`greenpark bench dashboards`: every query of every dashboard on a park's year, as the park's own role."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from rich.console import Console

from cli.onemachine import fresh_machine
from cli.progress import Steps
from dashboards.build import parsed
from dashboards.lint import Statement, queries_of, range_of, variables_of
from dashboards.macros import Variable, View, expand, substitute
from store.browse import acting_as
from store.panels import ParkYear, lay_ledger, lay_registry, lay_rest, size_of, stretches
from store.pool import connected, open_pool
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.pool import Connection

LIMIT_MS: Final = 300.0
_LONG: Final = (timedelta(days=30), timedelta(days=365))


@dataclass(frozen=True, slots=True)
class DashboardsBench:
    """A park, and how often each query runs."""

    firms: int = 100
    points: int = 20
    days: int = 365
    repeats: int = 10


class Slow(msgspec.Struct, frozen=True):
    """One query of a panel, variable or annotation in its worst case; `cpu_p95_ms` is what it took of a core."""

    query: str
    case: str
    p50_ms: float
    p95_ms: float
    cpu_p95_ms: float


class DashboardsResult(msgspec.Struct, frozen=True):
    """What was measured.

    Attributes:
        p50_ms, p95_ms: over every query in every case, by the clock: what a viewer meets.
        cpu_p50_ms, cpu_p95_ms: the same in time on a core, server and client: what remains where nothing else runs.
        slowest: the ten queries with the highest p95 of their worst case.
        over_limit, cpu_over_limit: queries whose p95 is above 300 ms in some case.
        queries: different queries of the dashboards; each in up to six cases.
        buckets, periods, database_bytes: what they ran on.
        seed_s: how long that took to make.
        load: load average of one minute before measuring and after.
    """

    p50_ms: float
    p95_ms: float
    cpu_p50_ms: float
    cpu_p95_ms: float
    slowest: tuple[Slow, ...]
    over_limit: int
    cpu_over_limit: int
    queries: int
    cases: int
    firms: int
    points: int
    days: int
    buckets: int
    periods: int
    database_bytes: int
    seed_s: float
    load: tuple[float, float]

    @property
    def passed(self) -> bool:
        """Tell whether every query keeps the limit."""
        return self.over_limit == 0


async def run_dashboards_bench(plan: DashboardsBench, var: Path) -> DashboardsResult:
    """Measure on a fresh database below `var/bench-dashboards`, which is taken away again."""
    boards = {path: document for path, document in parsed().items() if path.startswith("en/")}
    with Steps(Console(stderr=True)) as steps:
        steps.begin("database")
        async with fresh_machine(var, "bench-dashboards", progress=steps.component) as machine:
            steps.done("database")
            began = time.monotonic()
            end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            year = ParkYear(plan.firms, plan.points, plan.days, end, 200 * plan.firms, min(7, plan.days))
            async with connected(machine.database_url) as connection:
                role = await _laid(connection, year, steps)
                size = await size_of(connection)
            seed_s = time.monotonic() - began
            load = os.getloadavg()[0]
            measured = await _measured(machine.database_url, role, boards, plan.repeats, steps)
            places = machine.places
        shutil.rmtree(places.postgres, ignore_errors=True)
    worst: dict[str, Slow] = {}
    for (query, case), times in measured.items():
        clock, cpu = (np.array(column) for column in zip(*times, strict=True))
        slow = Slow(
            query, case, *(_ms(float(v)) for v in (np.median(clock), *(np.percentile(t, 95) for t in (clock, cpu))))
        )
        if query not in worst or slow.p95_ms > worst[query].p95_ms:
            worst[query] = slow
    clock, cpu = (
        np.array(column) for column in zip(*(one for times in measured.values() for one in times), strict=True)
    )
    return DashboardsResult(
        p50_ms=_ms(float(np.median(clock))),
        p95_ms=_ms(float(np.percentile(clock, 95))),
        cpu_p50_ms=_ms(float(np.median(cpu))),
        cpu_p95_ms=_ms(float(np.percentile(cpu, 95))),
        slowest=tuple(sorted(worst.values(), key=lambda slow: -slow.p95_ms)[:10]),
        over_limit=sum(slow.p95_ms > LIMIT_MS for slow in worst.values()),
        cpu_over_limit=sum(slow.cpu_p95_ms > LIMIT_MS for slow in worst.values()),
        queries=len(worst),
        cases=len(measured),
        firms=plan.firms,
        points=plan.points,
        days=plan.days,
        buckets=size.buckets,
        periods=size.periods,
        database_bytes=size.database_bytes,
        seed_s=round(seed_s, 1),
        load=(round(load, 2), round(os.getloadavg()[0], 2)),
    )


async def _laid(connection: Connection, year: ParkYear, steps: Steps) -> str:
    steps.begin("ledger", total=year.days)
    role = await lay_registry(connection, year)
    for start, stop in stretches(year):
        await lay_ledger(connection, start, stop)
        steps.advance((stop - start).days)
    steps.done("ledger")
    steps.begin("indexes, indicators, standings, alerts")
    await lay_rest(connection, year)
    steps.done("indexes, indicators, standings, alerts")
    return role


async def _measured(
    url: str, role: str, boards: dict[str, dict[str, Any]], repeats: int, steps: Steps
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    steps.begin("measuring", total=len(boards))
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    async with open_pool(url, application="greenpark bench", min_size=0, max_size=1, read_only=True) as pool:
        for path, document in boards.items():
            async with acting_as(pool, role) as connection:
                await connection.fetchval(queries("tenants")["bare_search_path"])
                for name, case, statement, text in await _cases(connection, path, document):
                    # Once for the caches and the plan, as the refresh before this one would have done.
                    await connection.fetch(text)
                    found[name, case] = [await _timed(connection, text) for _ in range(repeats)]
                    assert statement.sql
            steps.advance(1)
    steps.done(f"{len(found)} cases")
    return found


async def _cases(connection: Connection, path: str, document: dict[str, Any]) -> list[tuple[str, str, Statement, str]]:
    many = variables_of(document)
    page = path.rpartition("/")[2].removesuffix(".json")
    end = datetime.now(UTC)
    options = await _options(connection, document, many, end)
    return [
        (f"{page}: {statement.place}", f"{chosen}, {_days(length)}", statement, text)
        for statement in queries_of(document)
        for chosen, variables in _choices(options, many)
        for length in sorted({range_of(document), *_LONG})
        for text in [expand(substitute(statement.sql, variables), _view(end, length))]
    ]


def _choices(options: dict[str, list[str]], many: dict[str, bool]) -> Iterator[tuple[str, dict[str, Variable]]]:
    # A park's pages are slowest with all firms, and a page of one firm has no such choice.
    kinds = ("all firms", "one firm") if many.get("firm") else ("one firm",)
    for kind in kinds:
        every = kind == "all firms"
        yield (
            kind,
            {
                name: Variable(tuple(values if every and many[name] else values[:1]), many=many[name])
                for name, values in options.items()
            },
        )


async def _options(
    connection: Connection, document: dict[str, Any], many: dict[str, bool], end: datetime
) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    for variable in document["templating"]["list"]:
        chosen = {name: Variable(tuple(values[:1]), many=many[name]) for name, values in options.items()}
        text = expand(substitute(variable["query"], chosen), _view(end, _LONG[0]))
        options[variable["name"]] = [row["__value"] for row in await connection.fetch(text)]
    return options


def _view(end: datetime, length: timedelta) -> View:
    return View(end - length, end, timedelta(hours=1), timescaledb=True)


def _days(length: timedelta) -> str:
    return f"{length.days} d" if length.days else f"{length.seconds // 3600} h"


async def _timed(connection: Connection, text: str) -> tuple[float, float]:
    """Return seconds by the clock, and on a core: the server's process and ours."""
    server = connection.get_server_pid()
    cpu, began = _on_core(server) + time.process_time(), time.perf_counter()
    await connection.fetch(text)
    return time.perf_counter() - began, _on_core(server) + time.process_time() - cpu


def _on_core(pid: int) -> float:
    """Return how many seconds a process has run on a core; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def show(result: DashboardsResult) -> str:
    """Return the figures for people."""
    lines = [
        (
            f"{result.firms} firms × {result.points} points × {result.days} d: {result.buckets:,} buckets, "
            f"{result.periods:,} periods, {result.database_bytes / 1e9:.1f} GB, made in {result.seed_s:.0f} s"
        ),
        (
            f"{result.queries} queries in {result.cases} cases: p50 {result.p50_ms} ms, p95 {result.p95_ms} ms, "
            f"{result.over_limit} above {LIMIT_MS:.0f} ms; load {result.load[0]} to {result.load[1]}"
        ),
        (
            f"time on a core: p50 {result.cpu_p50_ms} ms, p95 {result.cpu_p95_ms} ms, {result.cpu_over_limit} above "
            f"{LIMIT_MS:.0f} ms"
        ),
        *(f"  {s.p95_ms:8.1f} ms, {s.cpu_p95_ms:.1f} on a core  {s.query} ({s.case})" for s in result.slowest),
    ]
    return "\n".join(lines)
