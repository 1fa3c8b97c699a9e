"""`greenpark bench crash`: kills and cuts at random under load, then an exact comparison."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.console import Console

from cli.bench.rig import LIVE, WORKERS, Load, Rig, open_rig
from cli.errors import RefusedError
from cli.progress import Steps

if TYPE_CHECKING:
    from cli.bench.verdict import Verdict
    from cli.stack.supervisor import Service

_VICTIMS: Final = ("edge", "broker", "ingest", "database")
_LINKS: Final = ("cut broker", "cut database", "hold broker", "hold database")
_HOLD_S: Final = 3.0
_AWAY_LIMIT_S: Final = 150.0


class Blow(NamedTuple):
    """Something that happens `after_s` seconds after the one before; `luck` in [0, 1) picks whom it hits."""

    after_s: float
    kind: str
    luck: float


def plan(kills: int, cuts: int, gap_s: float, seed: int) -> list[Blow]:
    """Return kills, spread evenly over the kinds of process, and cuts, all in a random order at random distances."""
    chance = random.Random(seed)
    kinds = [_VICTIMS[k % len(_VICTIMS)] for k in range(kills)] + [_LINKS[k % len(_LINKS)] for k in range(cuts)]
    chance.shuffle(kinds)
    return [Blow(min(chance.expovariate(1 / gap_s), 4 * gap_s), kind, chance.random()) for kind in kinds]


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; the stack lives below `var/crash`."""

    var: Path
    kills: int
    cuts: int
    gap_s: float
    seed: int
    load: Load


@dataclass(frozen=True, slots=True)
class CrashReport:
    """What was done, and what came of it.

    Attributes:
        hits: how often which kind of process was killed; of the database, its server process and one of its backends.
        cuts: how often connections were cut or held, and `connections_cut` how many there were.
        drain_s: from the last blow until every edge's buffer was empty; None: they never were.
        peak_mb: largest resident memory of one process.
    """

    seed: int
    kills: int
    hits: dict[str, int]
    cuts: int
    connections_cut: int
    seconds: float
    readings_per_s: float
    drain_s: float | None
    verdict: Verdict
    peak_mb: dict[str, float]

    @property
    def passed(self) -> bool:
        """Tell whether everything drained, and exactly what was generated is stored."""
        return self.drain_s is not None and self.verdict.exact

    def as_dict(self) -> dict[str, Any]:
        """Return the report for machines."""
        found = {key: value for key, value in asdict(self).items() if key != "verdict"}
        return found | asdict(self.verdict) | {"passed": self.passed}

    def as_text(self) -> str:
        """Return the report for people."""
        v = self.verdict
        hits = ", ".join(f"{kind} {count}" for kind, count in sorted(self.hits.items()))
        drained = "did not drain" if self.drain_s is None else f"drained in {self.drain_s:.1f} s"
        return (
            f"{self.kills} kills ({hits}), {self.cuts} cuts of {self.connections_cut} connections in "
            f"{self.seconds:.0f} s, seed {self.seed}\n"
            f"{v.generated:,} readings generated, {v.stored:,} stored: {v.lost} lost, {v.doubled} doubled, "
            f"{v.altered} altered; {drained}\n"
            f"peak memory: {', '.join(f'{room} {mb:.0f} MB' for room, mb in sorted(self.peak_mb.items()))}"
        )


async def run_crash(options: Options) -> CrashReport:
    """Run a fresh stack below `var/crash`, hurt it as planned, let it drain, and compare.

    Raises:
        RefusedError: the stack does not run, or a process did not come back.
    """
    blows = plan(options.kills, options.cuts, options.gap_s, options.seed)
    with Steps(Console(stderr=True)) as steps:
        async with open_rig(options.var, "crash", options.load, steps) as rig:
            steps.begin("kills and cuts", total=len(blows))
            began_s = time.monotonic()
            hits: Counter[str] = Counter()
            cut = 0
            for blow in blows:
                await asyncio.sleep(blow.after_s)
                if blow.kind in _VICTIMS:
                    hits[await _kill(rig, blow)] += 1
                else:
                    cut += await _cut(rig, blow)
                steps.advance(1)
            ended_s = time.monotonic()
            steps.done(f"{sum(hits.values())} kills, {options.cuts} cuts")
            steps.begin("draining")
            drain_s = await rig.drain(ended_s)
            steps.done("drained" if drain_s is not None else "not drained")
            await rig.stop_edges()
            verdict = await rig.verdict()
            return CrashReport(
                seed=options.seed,
                kills=sum(hits.values()),
                hits=dict(hits),
                cuts=options.cuts,
                connections_cut=cut,
                seconds=round(ended_s - began_s, 1),
                readings_per_s=options.load.readings_per_s,
                drain_s=None if drain_s is None else round(drain_s, 2),
                verdict=verdict,
                peak_mb={room: round(mb, 1) for room, mb in rig.peak_mb.items()},
            )


async def _kill(rig: Rig, blow: Blow) -> str:
    """Kill one process of a kind, waiting for one if all are away at the moment; return what it was."""
    deadline = time.monotonic() + _AWAY_LIMIT_S
    while time.monotonic() < deadline:
        if (found := _victim(rig, blow)) is not None:
            what, pid = found
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it had just ended by itself
            return what
        await asyncio.sleep(0.02)
    msg = f"no process of kind {blow.kind} came back within {_AWAY_LIMIT_S:.0f} s: see {rig.machine.places.logs}"
    raise RefusedError(msg)


def _victim(rig: Rig, blow: Blow) -> tuple[str, int] | None:
    if blow.kind == "database":
        server = _pid(rig.machine.supervisor.services["postgres"])
        if server is None:
            return None
        # Half of the time one of its processes alone: the server then ends all others and recovers by itself.
        inner = _children(server) if blow.luck >= 0.5 else []
        if not inner:
            return "database server", server
        return "database backend", inner[int((blow.luck - 0.5) * 2 * len(inner))]
    names = {"edge": LIVE, "ingest": WORKERS, "broker": ("broker",)}[blow.kind]
    pids = [pid for name in names if (pid := _pid(rig.machine.supervisor.services[name])) is not None]
    return (blow.kind, pids[int(blow.luck * len(pids))]) if pids else None


def _pid(service: Service) -> int | None:
    pid: int | None = getattr(service, "pid", None)
    return pid if service.running else None


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


async def _cut(rig: Rig, blow: Blow) -> int:
    how, _, where = blow.kind.partition(" ")
    proxy = rig.broker_proxy if where == "broker" else rig.database_proxy
    return proxy.cut() if how == "cut" else await proxy.hold(blow.luck * _HOLD_S)
