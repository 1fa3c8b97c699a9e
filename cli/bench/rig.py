"""A whole stack made to be hurt: edge processes whose readings are known, two ingest workers, proxies on the ways.

numbered meters → edge processes → proxy → broker → proxy → ingest workers → proxy → database
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import numpy as np
import tomli_w

from cli.bench.numbered import PROTOCOL, polls, register
from cli.bench.proxy import Proxy
from cli.bench.verdict import Held, Verdict, judge
from cli.errors import RefusedError
from cli.onemachine import fresh_machine
from cli.stack.mosquitto import INGEST
from cli.stack.places import make_directory, write_private
from cli.stack.supervisor import Restart
from edge.config import load_configs
from edge.process import open_buffer
from simulators.load import LoadPlan
from store import marking
from store.pool import connected
from store.registry import apply_definition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.onemachine import OneMachine
    from cli.progress import Steps
    from cli.stack.processes import Child
    from park.wire import Topic

LIVE: Final = ("edge-1", "edge-2", "edge-3")
LATE: Final = ("late-1", "late-2")
WORKERS: Final = ("ingest-1", "ingest-2")
EDGES_EACH: Final = 2
_ALWAYS: Final = Restart(most=1_000_000, delay_s=0.2)
_LOOK_S: Final = 0.25
_DRAIN_LIMIT_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the edges do: six of them in three processes, and `late` more in two that start later.

    Attributes:
        points, poll_s: of each edge.
        late_poll_s: of each late edge.
        resend_after_s: the edges' own setting; 30 s is its default.
    """

    points: int = 50
    poll_s: float = 0.2
    late: int = 0
    late_poll_s: float = 1.0
    resend_after_s: float = 30.0

    @property
    def live(self) -> int:
        """Return how many edges run from the start."""
        return len(LIVE) * EDGES_EACH

    @property
    def readings_per_s(self) -> float:
        """Return the rate of those."""
        return self.live * self.points / self.poll_s


class State(NamedTuple):
    """Batches that wait on the disks of an edge process, and how many of its agents are connected."""

    waiting: int
    connected: int


@dataclass(slots=True)
class CatchUp:
    """How edges came back.

    Attributes:
        most: batches seen waiting at once.
        connected_s, connected_at: when all of them were connected; None: never seen.
        done_s: when none had a backlog any more; None: it took too long.
    """

    most: int = 0
    connected_s: float | None = None
    connected_at: datetime | None = None
    done_s: float | None = None


@dataclass(slots=True)
class Rig:
    """The running stack.

    Attributes:
        load: what the edges do.
        machine: database, broker and supervisor.
        broker_proxy, database_proxy: what edges and workers reach the two by.
        children: edge processes and workers, by name.
        members: edge numbers of each edge process.
        peak_mb: largest resident memory seen of edge processes and of workers, in 2²⁰ bytes.
    """

    load: Load
    machine: OneMachine
    broker_proxy: Proxy
    database_proxy: Proxy
    plan: LoadPlan
    children: dict[str, Child] = field(default_factory=dict)
    members: dict[str, list[int]] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """Return where configurations, logs and buffers of the edges are."""
        return self.machine.places.root / "edges"

    @property
    def _halt(self) -> Path:
        return self.directory / "halt"

    def log(self, edge: int) -> Path:
        """Return the log of an edge's polls."""
        return self.directory / f"{edge}.polls"

    def config(self, process: str) -> Path:
        """Return the configuration of an edge process."""
        return self.directory / f"{process}.toml"

    def address(self, edge: int) -> Topic:
        """Return an edge's address."""
        return self.plan.address(edge)

    def codes(self, edge: int) -> list[str]:
        """Return the codes of an edge's points, in the order of its device."""
        return self.plan.codes(edge)

    # -- starting

    async def start_worker(self, name: str) -> None:
        """Start an ingest worker that reaches broker and database through the proxies."""
        environ = self.machine.environment(
            "ingest",
            GREENPARK_DATABASE_URL=_by_way_of(self.machine.database_url, self.database_proxy.port),
            GREENPARK_BROKER_URL=_by_way_of(self.machine.broker.url_for(INGEST), self.broker_proxy.port),
            GREENPARK_INGEST_WORKER=name.rpartition("-")[2],
            GREENPARK_METRICS_PORT=str(self.machine.ports[f"{name}-metrics"]),
        )
        await self._start(name, ("-m", "cli.main", "run", "ingest"), environ)

    async def start_edges(self, process: str) -> None:
        """Start an edge process."""
        environ = self.machine.environment(
            "edge",
            GREENPARK_EDGE_CONFIG=str(self.config(process)),
            GREENPARK_METRICS_PORT=str(self.machine.ports[f"{process}-metrics"]),
        )
        # An edge knows neither of them.
        environ = {k: v for k, v in environ.items() if k not in {"GREENPARK_DATABASE_URL", "GREENPARK_BROKER_URL"}}
        await self._start(process, ("-m", "cli.bench.numbered"), environ)

    async def _start(self, name: str, argv: tuple[str, ...], environ: dict[str, str]) -> None:
        child = self.machine.child(name, argv, environ)
        self.children[name] = child
        await self.machine.supervisor.start(child, restart=_ALWAYS)

    def write_configs(self) -> None:
        """Make the edges' users, and write the configuration of every edge process."""
        self.directory.mkdir()
        secrets = self.machine.broker.add_edges(
            (a.park, a.firm, a.edge) for a in map(self.address, range(self.plan.edges))
        )
        live = self.load.live
        for k, process in enumerate(LIVE):
            self.members[process] = list(range(k * EDGES_EACH, (k + 1) * EDGES_EACH))
        for k, process in enumerate(LATE):
            self.members[process] = list(range(live + k, live + self.load.late, len(LATE)))
        for process, members in self.members.items():
            poll_s = self.load.poll_s if process in LIVE else self.load.late_poll_s
            edges = [self._edge(edge, secrets[edge], poll_s) for edge in members]
            write_private(
                self.config(process), tomli_w.dumps({"broker": {"port": self.broker_proxy.port}, "edges": edges})
            )

    def _edge(self, edge: int, password: str, poll_s: float) -> dict[str, object]:
        address = self.address(edge)
        return {
            "park": address.park,
            "firm": address.firm,
            "edge": address.edge,
            "broker": {"password": password},
            "buffer": {"path": f"{edge}.buffer"},
            "uplink": {"resend_after_s": self.load.resend_after_s},
            "silent_after": 1_000_000,  # a halted meter is no news
            "devices": [
                {
                    "name": "meter",
                    "protocol": PROTOCOL,
                    "poll_s": poll_s,
                    "options": {"log": str(self.log(edge)), "halt": str(self._halt)},
                    "points": [{"code": code} for code in self.codes(edge)],
                }
            ],
        }

    # -- the end of a trial

    def resume(self) -> None:
        """Have the meters count on."""
        self._halt.unlink(missing_ok=True)

    async def drain(self, began_s: float) -> float | None:
        """Halt the meters, wait until every buffer is empty; return how long after `began_s` (monotonic) that was.

        A buffer lets go of a batch only when the database's own word for it has come back. None: it took too long.
        """
        self._halt.touch()
        quiet = 0
        while time.monotonic() - began_s < _DRAIN_LIMIT_S:
            quiet = quiet + 1 if await self._is_drained() else 0
            if quiet == 1:
                ended_s = time.monotonic()
            # Twice, so that a poll that was under way while we looked is seen as well.
            if quiet > 1 and time.monotonic() - ended_s > 2 * max(self.load.poll_s, self.load.late_poll_s):
                return ended_s - began_s
            await asyncio.sleep(_LOOK_S)
        return None

    async def catch_up(self, began_s: float, few: int) -> CatchUp:
        """Wait until no edge has more than a `few` batches, while the meters go on; times count from `began_s`."""
        running = self._running()
        edges = sum(len(self.members[process]) for process in running)
        found = CatchUp()
        while (passed_s := time.monotonic() - began_s) < _DRAIN_LIMIT_S:
            states = [state for process in running if (state := await self._state(process)) is not None]
            waiting = sum(state.waiting for state in states)
            found.most = max(found.most, waiting)
            if found.connected_s is None and sum(state.connected for state in states) == edges:
                found.connected_s, found.connected_at = passed_s, datetime.now(UTC)
            if len(states) == len(running) and waiting <= few * edges:
                found.done_s = passed_s
                break
            await asyncio.sleep(_LOOK_S)
        return found

    def _running(self) -> list[str]:
        return [process for process in self.members if process in self.children and self.members[process]]

    async def _is_drained(self) -> bool:
        running = self._running()
        states = await asyncio.gather(*(self._state(process) for process in running))
        for process, state in zip(running, states, strict=True):
            if state is None or state.waiting or state.connected != len(self.members[process]):
                return False
        return all(_is_halted(self.log(edge)) for process in running for edge in self.members[process])

    async def _state(self, process: str) -> State | None:
        """Return what an edge process says of its agents; None while it does not answer for all of them."""
        url = f"http://127.0.0.1:{self.machine.ports[f'{process}-metrics']}/metrics"
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
                lines = (await client.get(url)).text.splitlines()
        except httpx.HTTPError:
            return None
        waiting, connected = (
            [float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{")]
            for name in ("greenpark_edge_buffer_batches", "greenpark_edge_connected")
        )
        return State(int(sum(waiting)), int(sum(connected))) if len(waiting) == len(self.members[process]) else None

    async def verdict(self) -> Verdict:
        """Compare everything; the edge processes must have been stopped."""
        total = Verdict()
        async with connected(self.machine.database_url) as connection:
            ids = await marking.point_ids(connection, self.plan.park)
            for process, members in self.members.items():
                configs = load_configs(self.config(process)) if members and process in self.children else []
                for edge, config in zip(members, configs, strict=False):
                    disk, lost = open_buffer(config)
                    appended, given_up = disk.buffer.next_seq, disk.buffer.given_up()
                    await disk.close()
                    if lost is not None:
                        msg = f"the buffer of {config.topic.user} was damaged and moved to {lost}"
                        raise RefusedError(msg)
                    own = [ids[self.address(edge).firm, code] for code in self.codes(edge)]
                    rows = await marking.readings(connection, own)
                    held = [
                        Held(rows.t_us[at] // 1000, rows.value[at]) for at in (rows.point_id == point for point in own)
                    ]
                    # The times are whole milliseconds: a stored microsecond more would be another reading.
                    odd = int(np.count_nonzero(rows.t_us % 1000))
                    with self.log(edge).open() as lines:
                        found = judge(polls(lines), appended, held)
                    total = total.plus(found).plus(
                        Verdict(altered=odd, given_up=sum(gone.batches for gone in given_up))
                    )
            conflicts, quarantined = await marking.conflicts_and_quarantined(connection, list(ids.values()))
        return total.plus(Verdict(conflicts=conflicts, quarantined=quarantined))

    async def stop_edges(self) -> None:
        """Stop the edge processes, as SIGTERM does."""
        for process in self.members:
            await self.machine.supervisor.stop(process)

    async def watch_memory(self) -> None:
        """Note the largest resident memory until cancelled."""
        while True:
            for name, child in self.children.items():
                room = "ingest" if name in WORKERS else "edge"
                self.peak_mb[room] = max(self.peak_mb.get(room, 0.0), _resident_mb(child.pid))
            await asyncio.sleep(0.5)


@asynccontextmanager
async def open_rig(var: Path, name: str, load: Load, steps: Steps) -> AsyncIterator[Rig]:
    """Start the stack below `var/NAME`, the late edges aside; whatever ends is started again, however often."""
    register()
    steps.begin("database, broker, two ingest workers and the edges")
    ports = tuple(f"{process}-metrics" for process in (*LIVE, *LATE, *WORKERS))
    make_directory(var)
    async with fresh_machine(var, name, progress=steps.component, port_names=ports) as machine:
        for service in ("postgres", "broker"):
            await _forever(machine, service)
        if "postgres" not in machine.supervisor.services:
            msg = "this kills the database: unset GREENPARK_DATABASE_URL, it starts one of its own"
            raise RefusedError(msg)
        database = urlsplit(machine.database_url).port
        assert database is not None
        rig = Rig(
            load,
            machine,
            Proxy(machine.broker.port),
            Proxy(database),
            LoadPlan(edges=load.live + load.late, points=load.points, interval_s=load.poll_s, seconds=1, park="hurt"),
        )
        async with connected(machine.database_url) as connection:
            await apply_definition(connection, rig.plan.definition(datetime.now(UTC) - timedelta(days=30)))
        await rig.broker_proxy.start()
        await rig.database_proxy.start()
        memory = asyncio.create_task(rig.watch_memory(), name="memory")
        try:
            rig.write_configs()
            for worker in WORKERS:
                await rig.start_worker(worker)
            for process in LIVE:
                await rig.start_edges(process)
            await _flowing(rig)
            steps.done(f"{load.live} edges, {load.readings_per_s:,.0f} readings/s")
            yield rig
        finally:
            memory.cancel()
            await asyncio.gather(memory, return_exceptions=True)
            for child in list(rig.children):
                await machine.supervisor.stop(child)
            await rig.broker_proxy.stop()
            await rig.database_proxy.stop()


async def _forever(machine: OneMachine, service: str) -> None:
    """Have a service started again however often it ends."""
    found = machine.supervisor.services.get(service)
    if found is not None:
        await machine.supervisor.stop(service)
        await machine.supervisor.start(found, restart=_ALWAYS)


async def _flowing(rig: Rig) -> None:
    """Wait until readings of every live edge are stored."""
    deadline = time.monotonic() + 60
    async with connected(rig.machine.database_url) as connection:
        while await marking.committed_batches(connection, rig.plan.park) < 2 * rig.load.live:
            if time.monotonic() > deadline:
                said = "".join(f"\n{name}: {child.said}" for name, child in rig.children.items())
                msg = f"no readings arrive; see {rig.machine.places.logs}{said}"
                raise RefusedError(msg)
            await asyncio.sleep(0.1)


def _by_way_of(url: str, port: int) -> str:
    """Return an address with another port."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()


def _is_halted(log: Path) -> bool:
    try:
        with log.open("rb") as file:
            file.seek(-min(64, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read().endswith(b"halted\n")
    except OSError:
        return False


def _resident_mb(pid: int | None) -> float:
    try:
        with Path(f"/proc/{pid}/statm").open() as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, ValueError, IndexError):
        return 0.0
