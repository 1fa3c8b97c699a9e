"""The stack of a benchmark: a fresh database, our broker, real ingest processes, a park, and its senders."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.bench.load import Senders, Shape, Timing, fresh_boot
from cli.errors import RefusedError
from cli.onemachine import metric, one_machine
from cli.stack.lock import exclusive
from cli.stack.places import open_places
from cli.stack.processes import stop_leftovers
from store.pool import connected
from store.registry import apply_definition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.onemachine import OneMachine
    from cli.progress import Steps

MOST_WORKERS: Final = 16
_READY_S: Final = 60.0


@dataclass(slots=True)
class BenchStack:
    """A running stack.

    Attributes:
        workers: running ingest processes, pid by name.
    """

    machine: OneMachine
    passwords: dict[Shape, list[str]] = field(default_factory=dict, repr=False)
    workers: dict[str, int] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        """Return the database's address, a secret."""
        return self.machine.database_url

    async def register(self, shape: Shape) -> None:
        """Set up the shape's park and its users at the broker."""
        async with connected(self.database_url) as connection:
            await apply_definition(connection, shape.definition(datetime.now(UTC) - timedelta(days=30)))
        self.passwords[shape] = self.machine.broker.add_edges(shape.users)

    async def grow(self, count: int) -> None:
        """Have at least `count` ingest workers; they are never made fewer, since the broker would deal to the gone.

        Raises:
            RefusedError: a worker did not come up.
        """
        for number in range(len(self.workers) + 1, count + 1):
            name = f"ingest-{number}"
            port = self.machine.ports[name]
            child = await self.machine.start_room(
                "ingest", name=name, GREENPARK_INGEST_WORKER=str(number), GREENPARK_METRICS_PORT=str(port)
            )
            deadline = time.monotonic() + _READY_S
            while not await asyncio.to_thread(metric, port, "greenpark_ingest_connected"):
                if time.monotonic() > deadline:
                    raise RefusedError(f"ingest worker {number} did not connect: see {self.machine.places.logs}")
                await asyncio.sleep(0.1)
            assert child.pid is not None
            self.workers[name] = child.pid

    @asynccontextmanager
    async def senders(self, shape: Shape, timing: Timing) -> AsyncIterator[Senders]:
        """Connect the shape's edges for the length of a block."""
        senders = Senders(shape, timing, fresh_boot(secrets.token_bytes(10)))
        try:
            await senders.open(self.machine.broker.port, self.passwords[shape])
            yield senders
        finally:
            senders.close()

    def pids(self) -> dict[str, list[int]]:
        """Return the processes of each part, our own (the senders and probes) among them."""
        found = {"senders": [os.getpid()], "ingest": list(self.workers.values())}
        for name in ("broker", "postgres"):
            pid = getattr(self.machine.supervisor.services.get(name), "pid", None)
            if isinstance(pid, int):
                found[name] = [pid]
        return found


@asynccontextmanager
async def bench_stack(var: Path, steps: Steps) -> AsyncIterator[BenchStack]:
    """Start a fresh stack below `var/bench`; stopped and taken away at the end, but for its logs."""
    root = await fresh_root(var, "bench")
    names = tuple(f"ingest-{number}" for number in range(1, MOST_WORKERS + 1))
    steps.begin("database and broker")
    async with one_machine(root, progress=steps.component, port_names=names) as machine:
        steps.done("database and broker")
        yield BenchStack(machine)
    shutil.rmtree(machine.places.postgres, ignore_errors=True)


async def fresh_root(var: Path, name: str) -> Path:
    """Return an empty directory `var/name` for a stack, which shares the components of `var`.

    Raises:
        DirectoryInUseError: a stack runs there.
    """
    root = var / name
    components = var / "components"
    components.mkdir(parents=True, exist_ok=True)
    with exclusive(root):
        places = open_places(root)
        await stop_leftovers(places.run)
        for directory in (places.postgres, places.broker, places.logs, places.secrets):
            shutil.rmtree(directory, ignore_errors=True)
    link = root / "components"
    if not link.exists():
        link.symlink_to(Path("..") / "components")
    return root
