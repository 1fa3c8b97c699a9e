"""`greenpark simulate score`: runs a scenario against a stack of its own and marks what the stack holds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from cli.errors import MissingError, RefusedError
from cli.onemachine import fresh_machine
from cli.progress import Steps
from cli.score.alerts import permits, prepare
from cli.score.indicators import mark_indicators
from cli.score.marks import Score, mark_alerts, mark_ledger, mark_readings
from cli.score.reporting import enter_reports
from cli.score.sending import send
from park.calendar import BUCKET_US, from_us, zone
from park.wire import Batch
from simulators import stream
from simulators.scenarios import load_scenario, scenario
from simulators.truth import load as load_truth
from store import marking as store
from store.pool import connected
from store.registry import apply_definition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.onemachine import OneMachine
    from simulators.scenarios import Scenario
    from simulators.truth import Truth
    from store.pool import Connection

_QUIET_S: Final = 2.0
_TAKES_S: Final = 180.0
_TRUTH: Final = ".truth.npz"
_PORTS: Final = ("ingest-metrics", "streams-metrics", "alerts-metrics")


async def run_score(source: str, var: Path, *, seed: int | None = None) -> Score:
    """Run a scenario against a fresh stack below `var/score` and mark it.

    Args:
        source: name of a shipped scenario, a scenario file (`.yaml`), or a stream that `write_stream` wrote.
        var: where components are, and the stack will live.
        seed: instead of the scenario's own.

    Raises:
        SimulatorError: no such scenario, or a file that is wrong.
        RefusedError: the platform did not take the stream within three times the scenario's stated time.
    """
    console = Console(stderr=True)
    with Steps(console) as steps:
        steps.begin("stream and truth")
        built, takes_s, limits = await asyncio.to_thread(_built, source, seed)
        steps.done(f"{source}: {len(built.deliveries):,} messages")
        steps.begin("database and broker")
        async with fresh_machine(var, "score", progress=steps.component, port_names=_PORTS) as machine:
            await _run(machine, built, takes_s, steps, limits)
            async with connected(machine.database_url) as connection:
                return await mark(connection, built.truth)


def chosen_scenario(source: str, seed: int | None) -> Scenario:
    """Return a shipped scenario by name, or one from a file; raises `SimulatorError`."""
    if not source.endswith((".yaml", ".yml")):
        return scenario(source, seed=seed)
    try:
        text = Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise MissingError(f"{source}: {error.strerror}") from None
    return load_scenario(text, source, seed=seed)


def write_stream(source: str, out: Path, seed: int | None) -> tuple[Path, Path, int]:
    """Write a scenario's stream as JSON lines and its truth beside it; return both files and the messages' number."""
    chosen = chosen_scenario(source, seed)
    built = stream.build(chosen)
    file = out / f"{chosen.name}.jsonl"
    truth = file.with_suffix(_TRUTH)
    try:
        out.mkdir(parents=True, exist_ok=True)
        stream.write(built.deliveries, file)
        built.truth.save(truth)
    except OSError as error:
        raise RefusedError(f"{out}: {error.strerror}") from None
    return file, truth, len(built.deliveries)


def _built(source: str, seed: int | None) -> tuple[stream.Stream, float, list[tuple[str, str, float]]]:
    if not source.endswith(".jsonl"):
        chosen = chosen_scenario(source, seed)
        return stream.build(chosen), chosen.takes_s, permits(chosen.park)
    truth = load_truth(Path(source).with_suffix(_TRUTH))
    try:
        return stream.Stream(tuple(stream.load(source)), truth), _TAKES_S, []
    except OSError as error:
        raise MissingError(f"{source}: {error.strerror}") from None


async def _run(
    machine: OneMachine, built: stream.Stream, takes_s: float, steps: Steps, limits: Sequence[tuple[str, str, float]]
) -> None:
    truth = built.truth
    async with connected(machine.database_url) as connection:
        await apply_definition(connection, truth.park)
        await prepare(connection, truth.park.code, limits)
    edges = [(truth.park.code, firm.code, edge) for firm in truth.park.firms for edge in firm.edges]
    secrets = machine.broker.add_edges(edges)
    passwords = {"/".join(edge): secret for edge, secret in zip(edges, secrets, strict=True)}
    days = (time.time() - truth.bucket_us[0] / 1e6) / 86_400
    # One lane: lateness is judged by the order of storing, and here a day passes in a second.
    await machine.start_room("ingest", ready="greenpark_ingest_connected", GREENPARK_INGEST_LANES="1")
    await machine.start_room("streams", GREENPARK_STREAMS_FINE_HOURS=str(int(days * 24) + 24))
    # Its days are long over: they are judged, and whom they would have been told to is marked, all the same.
    await machine.start_room(
        "alerts",
        GREENPARK_ALERTS_HISTORY_DAYS=str(days + 2),
        GREENPARK_ALERTS_NEWS_S=str((days + 2) * 86_400),
    )
    steps.done("stack")
    steps.begin("sending", total=len(built.deliveries))
    await send(built.deliveries, passwords, port=machine.broker.port, progress=steps.advance)
    steps.done(f"sent {len(built.deliveries):,} messages")
    async with connected(machine.database_url) as connection:
        await enter_reports(connection, truth)
    steps.begin("computing")
    wanted = _batches(built.deliveries)
    deadline = time.monotonic() + 3 * takes_s
    async with connected(machine.database_url) as connection:
        settled = asyncio.create_task(_settled(connection, truth.park.code, wanted, deadline), name="settled")
        failed = asyncio.ensure_future(machine.supervisor.failed())
        await asyncio.wait([settled, failed], return_when=asyncio.FIRST_COMPLETED)
        for waiting in (settled, failed):
            if not waiting.done():
                waiting.cancel()
        if failed.done() and not failed.cancelled():
            raise failed.result()
        await settled
    steps.done("computed")


def _batches(deliveries: Sequence[stream.Delivery]) -> int:
    """Count the distinct data batches."""
    found = {(d.topic, d.message.boot, d.message.seq) for d in deliveries if isinstance(d.message, Batch)}
    return len(found)


async def _settled(connection: Connection, park: str, wanted: int, deadline: float) -> None:
    """Wait until every batch is stored, nothing waits to be computed, and it stays so for a moment."""
    quiet_since: float | None = None
    while True:
        stored = await store.committed_batches(connection, park)
        pending = await store.pending(connection) + await store.pending_alerts(connection)
        now = time.monotonic()
        if stored < wanted or pending:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = now
        elif now - quiet_since >= _QUIET_S:
            return
        if now > deadline:
            msg = f"the platform stored {stored} of {wanted} batches, {pending} computations wait: see its logs"
            raise RefusedError(msg)
        await asyncio.sleep(0.2)


async def mark(connection: Connection, truth: Truth) -> Score:
    """Read what the platform holds about the scenario's park, and mark it."""
    park = truth.park.code
    ids = await store.point_ids(connection, park)
    start = from_us(int(truth.bucket_us[0]))
    end = from_us(int(truth.bucket_us[-1]) + BUCKET_US)
    chosen = sorted(ids.values())
    held = await store.readings(connection, chosen)
    ledger = await store.ledger(connection, chosen, start, end)
    return Score(
        scenario=truth.scenario,
        seed=truth.seed,
        readings=mark_readings(truth, held, ids, await store.conflicts_and_quarantined(connection, chosen)),
        points=mark_ledger(truth, ledger, ids),
        indicators=mark_indicators(
            truth, await store.indicators(connection, park, start, end), zone(truth.park.time_zone)
        ),
        alerts=mark_alerts(truth, await store.episodes(connection, park), await store.strays(connection, park)),
    )


def as_dict(score: Score) -> dict[str, Any]:
    """Return the score for machines."""
    return {
        "scenario": score.scenario,
        "seed": score.seed,
        "readings": asdict(score.readings),
        "ledger": {
            "error_ppm_max": score.error_ppm_max,
            "points": len(score.points),
            "wrong_state": sum(p.wrong_state for p in score.points),
            "wrong_quantity": sum(p.wrong_quantity for p in score.points),
            "by_point": [asdict(point) for point in score.points],
        },
        "indicators": asdict(score.indicators),
        "alerts": asdict(score.alerts),
        "broken": broken(score),
    }


def broken(score: Score) -> list[str]:
    """Return which stated bounds do not hold: nothing lost, doubled, altered or made up."""
    counts = {name: getattr(score.readings, name) for name in ("lost", "doubled", "unexpected", "altered")}
    found = [f"readings {name}: {count}" for name, count in counts.items() if count]
    if score.error_ppm_max > 1.0:
        found.append(f"ledger error {score.error_ppm_max:.3g} ppm where the truth is recoverable")
    if score.indicators.error_max > 1e-6:
        found.append(f"indicator error {score.indicators.error_max:.3g} at {score.indicators.worst}")
    if score.indicators.undefined_wrong:
        found.append(f"indicators wrongly defined or undefined: {score.indicators.undefined_wrong}")
    return found


def show(score: Score) -> None:
    """Print the score as tables."""
    console = Console()
    readings = score.readings
    console.print(f"[bold]{score.scenario}[/bold], seed {score.seed}")
    console.print(
        f"readings  {readings.expected:,} expected · {readings.lost} lost · {readings.doubled} doubled · "
        f"{readings.altered} altered · {readings.unexpected} unexpected · conflicts {readings.conflicts} of "
        f"{readings.conflicts_expected} · quarantined {readings.quarantined} of {readings.quarantined_expected}"
    )
    table = Table("point", "unit", "truth", "ledger", "error", "ppm", "states wrong", "quantities wrong", "held")
    ordered = sorted(score.points, key=lambda p: (-p.error_ppm, -p.wrong_state, p.firm, p.point))
    for p in ordered[:20]:
        table.add_row(
            f"{p.firm}/{p.point}",
            p.unit,
            f"{p.truth:,.3f}",
            f"{p.ledger:,.3f}",
            f"{p.error:+.3f}",
            f"{p.error_ppm:.3f}" if p.recoverable else f"({p.error_ppm:.0f} not recoverable)",
            str(p.wrong_state),
            str(p.wrong_quantity),
            f"{p.held:,.1f}" if p.held else "",
        )
    console.print(table)
    if len(ordered) > 20:
        console.print(f"… and {len(ordered) - 20} more points, each no worse than the last one shown")
    marks = score.indicators
    console.print(
        f"indicators  {marks.compared:,} compared, {marks.values:,} of them numbers, of {len(marks.judged)} kinds · "
        f"error {marks.error_max:.2e} {marks.worst} · {marks.undefined_wrong} wrongly defined or undefined"
    )
    for line in marks.wrong[:5]:
        console.print(f"  {line}")
    alerts = score.alerts
    console.print(
        f"alerts  {alerts.expected} expected · {alerts.episodes} episodes · precision {_share(alerts.precision)} · "
        f"recall {_share(alerts.recall)} · {alerts.duplicates} duplicates · {alerts.wrong_recipient} to the wrong one"
    )
    for line in broken(score):
        console.print(f"[red]broken[/red]  {line}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
