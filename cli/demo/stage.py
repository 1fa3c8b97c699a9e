"""Sets the stage of the demonstration: park, history, processes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tomli_w

from cli.demo.reports import enter_deflators
from cli.demo.scene import (
    EDGE,
    FAULT_AFTER_S,
    HISTORY,
    PARK,
    POLL_S,
    Scene,
    load_scene,
    new_scene,
    save_scene,
    utc_now,
)
from cli.errors import RefusedError
from cli.stack.components import own_database_url
from cli.stack.errors import DiskFullError
from cli.stack.lock import exclusive
from cli.stack.places import open_places
from cli.stack.ports import stable_ports
from cli.stack.processes import stop_leftovers
from edge.config import load_configs
from edge.process import open_buffer
from simulators.modbus import edge_devices
from store import overview
from store.indicators import waiting_parks
from store.pool import connected
from store.readings import find_batch
from store.recipients import add_recipient
from store.registry import apply_definition, edges, park_named
from store.tenants import add_tenant, add_token
from streams.process import pass_park

if TYPE_CHECKING:
    from datetime import datetime

    from cli.onemachine import OneMachine
    from cli.progress import Steps
    from cli.stack.places import Places
    from store.pool import Connection, Pool

PORTS: Final = ("api", "webhook", "edge-metrics", "ingest-metrics", "streams-metrics", "alerts-metrics", "api-metrics")
_HISTORY_WORKERS: Final = 2
_FIRST_READING_S: Final = 60.0
_FIRST_BYTES: Final = 5 * 2**29
"""A year of history measured 1.8 GiB, programs and write-ahead log included."""
_LATER_BYTES: Final = 2**29
_START_S: Final = 3.0
"""How long the processes take to start: the staged fault is counted from then."""


@dataclass(slots=True)
class Stage:
    """Everything that runs, once it runs.

    Attributes:
        started: from when on readings are live.
        first_batch: newest batch before that.
        buffered: readings that the edges still held on disk from an earlier run.
        fault_at_s: when the staged fault comes, Unix time.
        received: where the webhook receiver writes.
    """

    machine: OneMachine
    scene: Scene
    park_id: int
    pool: Pool
    started: datetime
    first_batch: int
    buffered: int
    fault_at_s: float
    received: Path


async def set_stage(machine: OneMachine, pool: Pool, steps: Steps) -> tuple[Scene, int]:
    """Set up the park and, the first time, its past; return the scene and the park's id.

    Raises:
        RefusedError: the database holds a demonstration of which nobody knows any more when its meters began.
    """
    file = machine.places.root / "demo" / "scene.json"
    scene = load_scene(file)
    async with pool.acquire() as connection:
        if scene is None:
            if await _has_history(connection):
                msg = (
                    f"the database holds an earlier demonstration, but {file}, which says when its meters began, is "
                    "lost or unreadable. Begin anew: "
                    + (
                        "name an empty database in GREENPARK_DATABASE_URL"
                        if own_database_url(os.environ)
                        else "greenpark demo --fresh   (make demo ARGS=--fresh)"
                    )
                )
                raise RefusedError(msg)
            scene = new_scene(utc_now())
            save_scene(file, scene)
        applied = await apply_definition(connection, scene.park.definition)
        await enter_deflators(connection, scene.park, await park_named(connection, PARK), now=utc_now())
    if not scene.laid:
        await _lay_history(machine, scene, steps)
        scene = replace(scene, laid=True)
        save_scene(file, scene)
    return scene, applied.park_id


async def _has_history(connection: Connection) -> bool:
    rows = [row for row in await edges(connection) if (row.park, row.edge) == (PARK, EDGE)]
    return any([await find_batch(connection, row.edge_id, HISTORY, 0) is not None for row in rows])


async def _lay_history(machine: OneMachine, scene: Scene, steps: Steps) -> None:
    codes = [firm.code for firm in scene.park.firms]
    steps.begin("a year of history", total=len(codes))
    readings = 0

    async def worker(k: int) -> None:
        nonlocal readings
        given = {
            "origin": scene.origin.isoformat(),
            "until": scene.until.isoformat(),
            "firms": codes[k::_HISTORY_WORKERS],
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli.demo.history",
            json.dumps(given),
            env=machine.environment("history"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            errors = asyncio.create_task(process.stderr.read(), name="history stderr")
            async for line in process.stdout:
                readings += json.loads(line)["readings"]
                steps.advance(1)
            if await process.wait() != 0:
                said = (await errors).decode(errors="replace").strip()
                log = machine.places.logs / "history.log"
                log.write_text(said + "\n", encoding="utf-8")
                last = said.splitlines()[-1] if said else f"exit code {process.returncode}"
                msg = f"history could not be laid down: {last}\n  see {log} and {log.with_name('postgres.log')}"
                raise RefusedError(msg)
            await errors
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async with asyncio.TaskGroup() as group:
        for k in range(_HISTORY_WORKERS):
            group.create_task(worker(k), name=f"history {k}")
    steps.then("standings of the park")
    async with connected(machine.database_url) as connection:
        for park_id, time_zone in await waiting_parks(connection):
            await pass_park(connection, park_id, time_zone, now=utc_now())
        await connection.execute("ANALYZE")
    steps.done(f"a year of history: {readings:,} readings of {len(codes)} firms")


async def go_live(machine: OneMachine, scene: Scene, park_id: int, pool: Pool, steps: Steps, lang: str) -> Stage:
    """Start every process and return the running stage."""
    steps.begin("processes")
    demo = machine.places.root / "demo"
    demo.mkdir(exist_ok=True)
    received = demo / "received.jsonl"
    received.unlink(missing_ok=True)
    hook = f"http://127.0.0.1:{machine.ports['webhook']}/alerts"
    async with pool.acquire() as connection:
        await add_recipient(
            connection,
            park_id=park_id,
            firm_id=None,
            name="park managers",
            channel="webhook",
            address=hook,
            locale=lang,
        )
        first_batch = await overview.newest_batch(connection)
        role = await add_tenant(connection, PARK, None)
        token = await add_token(connection, role, f"demo {utc_now():%F %T}", expires=utc_now() + timedelta(days=1))
    (demo / "token").unlink(missing_ok=True)
    with os.fdopen(os.open(demo / "token", os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        out.write(token + "\n")
    modbus = {
        firm.code: machine_port
        for firm, machine_port in zip(scene.park.firms, _modbus_ports(machine, len(scene.park.firms)), strict=True)
    }
    edge_file, buffered = _edge_config(machine, scene, modbus)
    started = utc_now()
    fault_at_s = time.time() + _START_S + FAULT_AFTER_S
    given = {"origin": scene.origin.isoformat(), "ports": modbus, "faults_from": fault_at_s}
    meters = machine.child("meters", ("-m", "cli.demo.meters", json.dumps(given)), machine.environment("meters"))
    hook_argv = ("-m", "cli.demo.receiver", str(machine.ports["webhook"]), str(received))
    webhook = machine.child("webhook", hook_argv, machine.environment("webhook"))
    start = machine.supervisor.start
    async with asyncio.TaskGroup() as group:
        group.create_task(start(meters), name="start meters")
        group.create_task(start(webhook), name="start webhook")
        group.create_task(machine.start_room("ingest"), name="start ingest")
        group.create_task(machine.start_room("streams"), name="start streams")
        rules = Path(__file__).with_name("rules.toml")
        group.create_task(
            machine.start_room(
                "alerts",
                GREENPARK_ALERTS_RULES_FILE=str(rules),
                GREENPARK_ALERTS_PUBLIC_URL=f"http://127.0.0.1:{machine.ports['api']}",
            ),
            name="start alerts",
        )
        # Whoever is on this machine may see a simulated park: its board opens without a token being typed.
        here = {"GREENPARK_API_PORT": str(machine.ports["api"]), "GREENPARK_API_BOARD_TOKEN_FILE": str(demo / "token")}
        group.create_task(machine.start_room("api", **here), name="start api")
        group.create_task(machine.start_room("edge", GREENPARK_EDGE_CONFIG=str(edge_file)), name="start edge")
    steps.then("first reading")
    await _first_reading(pool, park_id, started)
    await _answering(machine.ports["api"])
    return Stage(machine, scene, park_id, pool, started, first_batch, buffered, fault_at_s, received)


async def _first_reading(pool: Pool, park_id: int, started: datetime) -> None:
    """Wait until a live reading has gone all the way into the store."""
    deadline = time.monotonic() + _FIRST_READING_S
    async with pool.acquire() as connection:
        while not await overview.latest_times(connection, park_id, started):
            if time.monotonic() > deadline:
                msg = f"no reading arrived within {_FIRST_READING_S:.0f} s: see edge.log and ingest.log in var/log"
                raise RefusedError(msg)
            await asyncio.sleep(0.1)


async def _answering(port: int) -> None:
    """Wait until the address of the board, which is printed next, answers."""
    deadline = time.monotonic() + _FIRST_READING_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                msg = f"the board does not answer within {_FIRST_READING_S:.0f} s: see api.log in var/log"
                raise RefusedError(msg) from None
            await asyncio.sleep(0.1)
        else:
            writer.close()
            await writer.wait_closed()
            return


def _modbus_ports(machine: OneMachine, count: int) -> list[int]:
    names = [f"modbus-{k}" for k in range(count)]
    found = stable_ports(machine.places.root / "ports.json", names)
    return [found[name] for name in names]


def _edge_config(machine: OneMachine, scene: Scene, modbus: dict[str, int]) -> tuple[Path, int]:
    """Write the agents' configuration; return its file and how many readings their buffers still hold."""
    directory = machine.places.root / "demo" / "edges"
    directory.mkdir(parents=True, exist_ok=True)
    codes = [firm.code for firm in scene.park.firms]
    passwords = machine.broker.add_edges((PARK, code, EDGE) for code in codes)
    edges = []
    for code, password in zip(codes, passwords, strict=True):
        secret = directory / f"{code}.password"
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(password)
        edges.append(
            {
                "park": PARK,
                "firm": code,
                "edge": EDGE,
                "broker": {"password_file": str(secret)},
                "buffer": {"path": str(directory / f"{code}.buffer")},
                "devices": edge_devices(scene.park, code, modbus[code], poll_s=POLL_S),
            }
        )
    file = directory / "edges.toml"
    file.write_text(tomli_w.dumps({"broker": {"port": machine.broker.port}, "edges": edges}), encoding="utf-8")
    buffered = 0
    for config in load_configs(file):
        disk, _ = open_buffer(config)
        buffered += disk.buffer.depth.readings
        disk.buffer.close()
    return file, buffered


def check_room(places: Places) -> None:
    """See that the disk holds what the demonstration is about to make.

    Raises:
        DiskFullError: it does not.
    """
    scene = load_scene(places.root / "demo" / "scene.json")
    needed = _LATER_BYTES if scene is not None and scene.laid else _FIRST_BYTES
    for directory in (places.service, places.root):
        free = shutil.disk_usage(directory).free
        if free < needed:
            raise DiskFullError(directory, free_bytes=free, needed_bytes=needed)


async def forget(var: Path) -> None:
    """Remove an earlier demonstration's data: database, broker, buffers; components stay."""
    with exclusive(var):
        places = open_places(var)
        await stop_leftovers(places.run)
        for directory in (places.postgres, places.broker, places.root / "demo", places.secrets):
            with suppress(FileNotFoundError):
                shutil.rmtree(directory)
