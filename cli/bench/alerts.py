"""`greenpark bench alerts`: all default rules over all points of a park for one quarter hour, and a storm."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console

from alerts import rules
from alerts.evaluate import active_rules, publish_rules
from alerts.history import evaluate_waiting
from alerts.kinds import is_live
from alerts.settings import AlertsSettings
from cli.onemachine import fresh_machine
from cli.progress import Steps
from store import alert_bench as store
from store.pool import connected

if TYPE_CHECKING:
    from pathlib import Path

    from store.pool import Connection

QUARTER: Final = timedelta(minutes=15)
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AlertsBench:
    """A park of `points` points, `per_firm` at each firm's one gateway, with a past of `days` days."""

    points: int = 10_000
    per_firm: int = 500
    days: int = 25
    hours: int = 6


@dataclass(frozen=True, slots=True)
class AlertsResult:
    """Seconds from the marks to the committed episodes, one worker, one connection.

    Attributes:
        points: points of the park; rules: default rules that were evaluated, all but those read as time passes.
        seconds_per_bucket: mean over the quarter hours of whole hours, those that end an hour included.
        seconds_ordinary: median of quarter hours that end no hour.
        seconds_hourly: the slowest that ends an hour: rules that look back over weeks have a sample there.
        false_episodes: what the quiet past opened; must be 0.
        storm_points, storm_episodes, storm_covered: one edge goes dark: its points, what opened, and how many points
            that stands for.
        load: load average of one minute before.
    """

    points: int
    rules: int
    history_days: int
    seconds_per_bucket: float
    seconds_ordinary: float
    seconds_hourly: float
    buckets: int
    false_episodes: int
    storm_points: int
    storm_episodes: int
    storm_covered: int
    load: float


async def run_alerts_bench(plan: AlertsBench, var: Path) -> AlertsResult:
    """Measure on a fresh database below `var/bench-alerts`."""
    load = os.getloadavg()[0]
    firms = max(1, plan.points // plan.per_firm)
    # 10:00 in the park, when no daily rule is due.
    last = datetime.now(UTC).replace(hour=2, minute=0, second=0, microsecond=0) - timedelta(days=1)
    with Steps(Console(stderr=True)) as steps:
        steps.begin("database")
        async with (
            fresh_machine(var, "bench-alerts", progress=steps.component) as machine,
            connected(machine.database_url) as connection,
        ):
            steps.done("database")
            steps.begin("a quiet past")
            ids = await store.lay(connection, firms, plan.per_firm, last - timedelta(days=plan.days), last)
            await store.run(connection, "lay_buckets", last - timedelta(hours=8), last, [])
            await publish_rules(connection, rules.load(), last)
            steps.done(f"{firms * plan.per_firm:,} points, {plan.days} days")
            settings = AlertsSettings(machine.database_url)
            steps.begin("measuring", total=plan.hours * 4)
            ordinary: list[float] = []
            hourly: list[float] = []
            await _pass(connection, settings, last, 0)  # once for the caches
            for k in range(1, plan.hours * 4 + 1):
                seconds = await _pass(connection, settings, last, k)
                (hourly if (k + 1) % 4 == 0 else ordinary).append(seconds)
                steps.advance(1)
            steps.done(f"{plan.hours * 4} quarter hours")
            false = sum(row[2] for row in await store.episodes(connection))
            steps.begin("a storm")
            start = last + (plan.hours * 4 + 1) * QUARTER
            await store.run(connection, "go_dark", ids[0], start)
            for k in range(plan.hours * 4 + 1, plan.hours * 4 + 7):
                await _pass(connection, settings, last, k, dark=(ids[0],))
            storm = await store.episodes(connection)
            steps.done("a storm")
            used = [entry for entry in (await active_rules(connection, last))[0] if not is_live(entry.rule)]
    per_hour = [*hourly, *ordinary]
    return AlertsResult(
        points=firms * plan.per_firm,
        rules=len(used),
        history_days=plan.days,
        seconds_per_bucket=round(statistics.mean(per_hour), 3),
        seconds_ordinary=round(statistics.median(ordinary), 3),
        seconds_hourly=round(max(hourly), 3),
        buckets=len(per_hour),
        false_episodes=false,
        storm_points=plan.per_firm,
        storm_episodes=sum(row[2] for row in storm) - false,
        storm_covered=max((row[3] for row in storm), default=0),
        load=round(load, 2),
    )


async def _pass(
    connection: Connection, settings: AlertsSettings, last: datetime, k: int, *, dark: tuple[int, ...] = ()
) -> float:
    """Let the k-th quarter hour after `last` pass; return how long its evaluation took."""
    start = last + k * QUARTER
    end = start + QUARTER
    await store.pass_time(connection, start, end, hour_from=end - HOUR if end.minute == 0 else None, dark=dark)
    began = time.perf_counter()
    active, _ = await active_rules(connection, end)
    done = await evaluate_waiting(connection, settings, active, end)
    assert done.firms > 0
    return time.perf_counter() - began


def show(result: AlertsResult) -> str:
    """Return the figures for people."""
    return (
        f"{result.points:,} points × {result.rules} rules, {result.history_days} days of history: "
        f"{result.seconds_per_bucket:.3f} s per quarter hour (mean of {result.buckets}; ordinary "
        f"{result.seconds_ordinary:.3f} s, at a full hour {result.seconds_hourly:.3f} s), "
        f"{result.false_episodes} false episodes\nan edge of {result.storm_points} points goes dark: "
        f"{result.storm_episodes} episode, standing for {result.storm_covered} points; load {result.load} before"
    )
