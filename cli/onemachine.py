"""The whole stack on one machine: database and broker of our own below one directory, rooms as child processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from cli.errors import MissingError
from cli.stack.components import own_broker_url, own_database_url, silent
from cli.stack.local import LocalServices, local_services
from cli.stack.lock import exclusive
from cli.stack.mosquitto import INGEST, Broker
from cli.stack.places import Places, open_places
from cli.stack.ports import stable_ports
from cli.stack.processes import Child, ProcessSpec, stop_leftovers
from cli.stack.supervisor import Restart, Supervisor
from store.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from cli.stack.components import Progress

DATABASE: Final = "greenpark"


@dataclass(slots=True)
class OneMachine:
    """A running stack.

    Attributes:
        places: its directories.
        database_url: our database, ready and migrated.
        broker: our broker.
    """

    places: Places
    database_url: str = field(repr=False)
    broker: Broker
    supervisor: Supervisor
    ports: dict[str, int]

    def environment(self, room: str, **more: str) -> dict[str, str]:
        """Return the whole environment of a room's process; secrets travel here and nowhere else."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")}
        return own | {
            "GREENPARK_DATABASE_URL": self.database_url,
            "GREENPARK_BROKER_URL": self.broker.url_for(INGEST),
            "GREENPARK_LOG_FORMAT": "json",
            "GREENPARK_METRICS_PORT": str(self.ports.get(f"{room}-metrics", 0)),
            **more,
        }

    def child(self, name: str, argv: tuple[str, ...], environ: dict[str, str], **more: object) -> Child:
        """Return a process of ours that runs `python argv`, logging into `var/log`."""
        spec = ProcessSpec(
            name=name, argv=(sys.executable, *argv), log=self.places.logs / f"{name}.log", environ=environ
        )
        return Child(spec, run_directory=self.places.run, **more)  # type: ignore[arg-type]

    async def start_room(self, room: str, *, name: str | None = None, ready: str | None = None, **more: str) -> Child:
        """Start `greenpark run ROOM`, restarted if it ends by itself.

        Args:
            room: which.
            name: of the process, where a room runs more than once.
            ready: wait until this gauge of the room's metrics is not zero.
            more: environment variables, beside the database's and the broker's.
        """
        port = self.ports.get(f"{room}-metrics", 0)

        async def is_ready() -> bool:
            return ready is None or await asyncio.to_thread(metric, port, ready) > 0

        child = self.child(
            name or room, ("-m", "cli.main", "run", room), self.environment(room, **more), ready=is_ready
        )
        await self.supervisor.start(child, restart=Restart())
        return child


def metric(port: int, name: str) -> float:
    """Return a room's metric, summed over its labels; 0 while the room does not answer."""
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5, trust_env=False).text
    except httpx.HTTPError:
        return 0.0
    lines = (line for line in text.splitlines() if line.startswith((name + "{", name + " ")))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@asynccontextmanager
async def one_machine(
    root: Path,
    *,
    progress: Progress = silent,
    on_event: Callable[[str, str], None] = lambda _name, _event: None,
    port_names: tuple[str, ...] = (),
    check: Callable[[Places], None] = lambda _places: None,
) -> AsyncIterator[OneMachine]:
    """Bring, start and migrate what lives below `root`, for the length of a block; then stop all that was started.

    `GREENPARK_DATABASE_URL` names an own server instead of ours. The broker is always ours: its users are made here.
    `check` sees the directories before anything is made in them, and may refuse by an exception.

    Raises:
        StackError: a component is missing, or another process works in `root`.
        StoreError: the database cannot carry the schema.
    """
    if own_broker_url(os.environ) is not None:
        msg = "this needs a broker of its own, to make users in it: unset GREENPARK_BROKER_URL"
        raise MissingError(msg)
    with exclusive(root):
        places = open_places(root)
        check(places)
        await stop_leftovers(places.run)
        ports = stable_ports(places.root / "ports.json", port_names)
        # Bringing components downloads and unpacks for seconds: a thread keeps the progress display alive.
        services: LocalServices = await asyncio.to_thread(local_services, root, os.environ, progress=progress)
        broker = services.broker
        assert broker is not None
        async with Supervisor(on_event=on_event) as supervisor:
            async with asyncio.TaskGroup() as group:
                if services.postgres is not None:
                    group.create_task(supervisor.start(services.postgres, restart=Restart()), name="start postgres")
                group.create_task(supervisor.start(broker, restart=Restart()), name="start broker")
            url = own_database_url(os.environ)
            if services.postgres is not None:
                url = await services.postgres.create_database(DATABASE)
            assert url is not None
            await migrate(url)
            yield OneMachine(services.places, url, broker, supervisor, ports)


@asynccontextmanager
async def fresh_machine(
    var: Path, name: str, *, progress: Progress = silent, port_names: tuple[str, ...] = ()
) -> AsyncIterator[OneMachine]:
    """Open an empty machine below `var/NAME` that shares the components of `var`; what was there before is removed.

    Raises:
        StackError: a component is missing, or another process works there.
    """
    root = _emptied(var, name)
    async with one_machine(root, progress=progress, port_names=port_names) as machine:
        yield machine


def _emptied(var: Path, name: str) -> Path:
    """Return the directory `var/NAME` with nothing of an earlier run in it but its ports."""
    root = var / name
    (var / "components").mkdir(parents=True, exist_ok=True)
    root.mkdir(exist_ok=True)
    with exclusive(root):
        for entry in root.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name in {"service-directory", "ports.json"}:
                continue
            elif not entry.is_symlink() and not entry.name.startswith("lock"):
                entry.unlink()
    if not (root / "components").exists():
        (root / "components").symlink_to(os.path.relpath(var / "components", root))
    return root
