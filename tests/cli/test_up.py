"""`greenpark up` keeps four rooms running against a real database and broker, and ends them all."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from cli.settings import ROOMS
from cli.stack import ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.stack

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")} | more


def rooms_of(parent: int) -> dict[str, int]:
    """The running rooms among the children of a process, by name."""
    found = {}
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in map(int, children):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"cli.main" in words and b"run" in words:
            found[words[words.index(b"run") + 1].decode()] = child
    return found


def wait_for(condition: Callable[[], bool], limit_s: float = 40) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@pytest.fixture
def up(database_url: str, broker, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, int]]:
    """`greenpark up`, its log, and the port of its API; killed at the end with all it started."""
    port = ports.any_free()
    log = tmp_path / "up.log"
    environ = environment(
        GREENPARK_DATABASE_URL=database_url,
        GREENPARK_BROKER_URL=broker.url_for("ingest"),
        GREENPARK_API_PORT=str(port),
        GREENPARK_INGEST_SHARE_GROUP="up",
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "up"], cwd=CHECKOUT, env=environ, stdout=out, stderr=out
        )
    rooms: dict[str, int] = {}
    try:
        wait_for(lambda: process.poll() is not None or set(rooms_of(process.pid)) == set(ROOMS))
        assert process.poll() is None, log.read_text()
        rooms = rooms_of(process.pid)
        yield process, log, port
    finally:
        process.kill()
        process.wait()
        for pid in rooms.values():
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)


def ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def events(log: Path) -> list[tuple[str, str]]:
    """What the command itself logged: (event, room)."""
    found = []
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("room") == "up":
            found.append((entry["event"], entry["action"]))
    return found


def test_four_rooms_run_a_killed_one_comes_back_and_a_signal_ends_all(up) -> None:
    """Ingest, streams, alerts and api start; one killed with -9 is started again, alone; SIGTERM ends every process."""
    process, log, port = up
    wait_for(lambda: ready(port))
    before = rooms_of(process.pid)
    assert set(before) == set(ROOMS)
    os.kill(before["streams"], signal.SIGKILL)
    wait_for(lambda: rooms_of(process.pid).get("streams", before["streams"]) != before["streams"])
    after = rooms_of(process.pid)
    assert {room: pid for room, pid in after.items() if room != "streams"} == {
        room: pid for room, pid in before.items() if room != "streams"
    }
    wait_for(lambda: ("restarted", "streams") in events(log))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0, log.read_text()
    assert not [room for room, pid in after.items() if is_running(pid)]
    assert {room for event, room in events(log) if event == "stopped"} == set(ROOMS)
    assert "Traceback" not in log.read_text()


def test_killing_the_command_itself_leaves_no_room_behind(up) -> None:
    """With -9 it can stop nothing; the kernel ends its rooms."""
    process, _, _ = up
    rooms = rooms_of(process.pid)
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(is_running, rooms.values())), 20)


def run_up(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "up"],
        cwd=CHECKOUT, env=environment(**environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_starts_nothing_on_a_database_that_is_not_migrated(empty_database_url: str, broker) -> None:
    """One line that names the command to run."""
    url = broker.url_for("ingest")
    done = run_up(GREENPARK_DATABASE_URL=empty_database_url, GREENPARK_BROKER_URL=url)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "greenpark migrate" in done.stderr


def test_a_wrong_setting_of_any_room_is_told_before_anything_starts(database_url: str, broker) -> None:
    """A mistake in the last room's settings keeps the first from starting."""
    url = broker.url_for("ingest")
    done = run_up(GREENPARK_DATABASE_URL=database_url, GREENPARK_BROKER_URL=url, GREENPARK_API_PROT="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "greenpark: GREENPARK_API_PROT: unknown; did you mean port?\n"


def test_a_room_that_keeps_ending_ends_the_whole_with_its_error(database_url: str, broker) -> None:
    """The API's port is taken: after some tries the command ends with status 1 and says which room and why."""
    port = ports.any_free()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = run_up(
            GREENPARK_DATABASE_URL=database_url,
            GREENPARK_BROKER_URL=broker.url_for("ingest"),
            GREENPARK_API_PORT=str(port),
            GREENPARK_INGEST_SHARE_GROUP="ending",
        )
    assert done.returncode == 1
    assert "api" in done.stderr.splitlines()[-1]
