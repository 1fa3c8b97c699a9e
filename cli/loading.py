"""`greenpark simulate load`: thousands of edges against a stack of its own, at a pace the platform cannot slow down."""

from __future__ import annotations

import resource
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console

from cli.onemachine import fresh_machine
from cli.progress import Steps
from simulators.load import LoadPlan, LoadReport, MqttSink, NullSink, Progress, offer
from store.pool import connected
from store.registry import apply_definition

if TYPE_CHECKING:
    from pathlib import Path

    from cli.onemachine import OneMachine
    from park.wire import Topic

_PORTS: Final = ("ingest-metrics",)
_DESCRIPTORS: Final = 64
"""Open files that the process needs beside one connection for each edge."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the user asked for; `null` sends nowhere, to measure the generator alone."""

    plan: LoadPlan
    var: Path
    null: bool


async def run_load(options: LoadOptions) -> LoadReport:
    """Offer the load, to nobody or to a fresh stack below `var/load`, and report.

    Raises:
        LoadError: the broker stopped taking messages.
    """
    console = Console(stderr=True)
    with Steps(console) as steps:
        if options.null:
            steps.begin("offering to nobody", total=options.plan.seconds)
            return await offer(options.plan, NullSink(), progress=_Shown(steps), paced=False)
        _allow_connections(options.plan.edges)
        steps.begin("database, broker and ingest")
        async with AsyncExitStack() as stack:
            machine = await stack.enter_async_context(
                fresh_machine(options.var, "load", progress=steps.component, port_names=_PORTS)
            )
            sink = await _stack(machine, options.plan)
            steps.done("stack")
            steps.begin("offering", total=options.plan.seconds)
            return await offer(options.plan, sink, progress=_Shown(steps))


async def _stack(machine: OneMachine, plan: LoadPlan) -> MqttSink:
    async with connected(machine.database_url) as connection:
        await apply_definition(connection, plan.definition(datetime.now(UTC) - timedelta(days=1)))
    topics = [plan.address(edge) for edge in range(plan.edges)]
    secrets = machine.broker.add_edges((topic.park, topic.firm, topic.edge) for topic in topics)
    passwords = dict(zip((topic.user for topic in topics), secrets, strict=True))
    await machine.start_room("ingest", ready="greenpark_ingest_connected")

    def credentials(topic: Topic) -> tuple[str, str]:
        return topic.user, passwords[topic.user]

    return MqttSink("127.0.0.1", machine.broker.port, credentials=credentials)


def _allow_connections(edges: int) -> None:
    """Raise the limit of open files, for this process and the broker, as far as it may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = edges + _DESCRIPTORS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


class _Shown:
    """Shows progress: a bar by time, and what became of the load so far."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __call__(self, now: Progress) -> None:
        self._steps.at(
            now.elapsed_s,
            f"sent {now.sent:,} · acknowledged {now.acknowledged:,} · committed {now.committed:,} · "
            f"{now.waiting_batches:,} batches wait",
        )


def as_text(report: LoadReport) -> str:
    """Return the closing report for people."""
    rows = [
        ("offered", f"{report.offered_readings_per_s:,.0f} readings/s from {report.edges:,} edges"),
        ("sent", f"{report.sent:,} readings in {report.sent_batches:,} batches, {report.readings_per_s:,.0f}/s"),
        ("acknowledged", f"{report.acknowledged:,}"),
        ("committed", f"{report.committed:,}"),
        ("not sent", f"{report.not_sent_batches:,} batches, {report.refused_batches:,} refused"),
    ]
    for name, q in (("to acknowledgement", report.acknowledge_s), ("to commit", report.commit_s)):
        if q.p50 is not None:
            rows.append((name, f"p50 {q.p50:.3f} s · p95 {q.p95:.3f} s · p99 {q.p99:.3f} s · max {q.max:.3f} s"))
    rows.append(("generator", f"{report.cpu_share:.2f} cores, at most {report.behind_s:.2f} s behind its plan"))
    if report.failure:
        rows.append(("failed", report.failure))
    return "\n".join(f"{name:<20}{value}" for name, value in rows)
