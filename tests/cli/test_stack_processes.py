"""Children: started as asked, stopped in order, never left behind, never confused with a stranger."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.stack.errors import ProcessExitedError, ProcessNotReadyError
from cli.stack.places import ServiceUser
from cli.stack.processes import (
    Child,
    ProcessSpec,
    boot_id,
    is_alive,
    parse_start_ticks,
    read_record,
    start_ticks,
    stop_leftovers,
    tail,
    wrap,
)
from cli.stack.supervisor import Restart, Supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

SLEEP = ("sleep", "60")


def says(log: Path, word: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return word in tail(log)

    return ready


async def gone(pid: int, limit_s: float = 5.0) -> bool:
    for _ in range(int(limit_s / 0.02)):
        if start_ticks(pid) is None:
            return True
        await asyncio.sleep(0.02)
    return False


def test_privileges_drop_and_the_death_signal_is_set_before_the_program_runs() -> None:
    """Setpriv stands in front; without either wish there is no wrapper."""
    user = ServiceUser("nobody", 65534, 65534)
    assert wrap(ProcessSpec("x", ("prog", "-a"), user=user)) == [
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig", "TERM", "--", "prog", "-a")
    ]
    assert wrap(ProcessSpec("x", ("prog",), death_signal=None)) == ["prog"]


def test_the_environment_of_a_child_is_not_in_its_repr() -> None:
    """Secrets travel by environment, so it must not be printed."""
    assert "hunter2" not in repr(ProcessSpec("x", ("prog",), environ={"PASSWORD": "hunter2"}))


def test_the_start_time_is_read_past_any_process_name() -> None:
    """A name may hold blanks and parentheses; a zombie does not count as running."""
    numbers = " ".join(str(number) for number in range(4, 53))
    assert parse_start_ticks(f"7 (a) b) S {numbers}") == 22
    assert parse_start_ticks(f"7 (x) Z {numbers}") is None
    assert start_ticks(os.getpid()) is not None


async def test_a_child_writes_to_its_log_and_ends_on_sigterm(tmp_path: Path) -> None:
    """Both streams reach the log; stop leaves neither process nor pid record."""
    log = tmp_path / "log/a.log"
    spec = ProcessSpec(
        "a", ("sh", "-c", 'echo out; echo "$SECRET" >&2; exec sleep 60'), log=log, environ={"SECRET": "s"}
    )
    child = Child(spec, run_directory=tmp_path, ready=says(log, "s"))
    await child.start()
    assert child.running
    assert log.read_text() == "out\ns\n"
    pid = child.pid
    assert pid is not None
    assert os.getpgid(pid) == pid
    await child.stop()
    assert child.returncode == -signal.SIGTERM
    assert start_ticks(pid) is None
    assert not (tmp_path / "a.pid").exists()


async def test_a_child_that_ignores_sigterm_is_killed_with_all_it_started(tmp_path: Path) -> None:
    """SIGKILL follows after the limit, for the whole process group."""
    log, pidfile = tmp_path / "log", tmp_path / "grandchild"
    script = f"trap '' TERM; sleep 60 & echo $! > {pidfile}; echo deaf; while :; do sleep 0.05; done"
    spec = ProcessSpec("deaf", ("sh", "-c", script), log=log, stop=((signal.SIGTERM, 0.2),))
    child = Child(spec, ready=says(log, "deaf"))
    await child.start()
    grandchild = int(pidfile.read_text())
    assert start_ticks(grandchild) is not None
    await child.stop()
    assert child.returncode == -signal.SIGKILL
    assert await gone(grandchild)


async def test_a_child_that_ends_while_starting_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """The error carries exit code and the end of this run's log, not of an earlier one."""
    log = tmp_path / "log"
    log.write_text("old words\n")

    async def never() -> bool:
        return False

    child = Child(ProcessSpec("bad", ("sh", "-c", "echo no licence; exit 3"), log=log), ready=never)
    with pytest.raises(ProcessExitedError, match="no licence") as caught:
        await child.start()
    assert caught.value.code == 3
    assert "old words" not in caught.value.tail


async def test_a_child_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    """After the limit the start fails, and nothing runs."""

    async def never() -> bool:
        return False

    child = Child(ProcessSpec("slow", SLEEP), run_directory=tmp_path, ready=never, ready_limit_s=0.1)
    with pytest.raises(ProcessNotReadyError):
        await child.start()
    assert not child.running
    assert child.pid is not None
    assert start_ticks(child.pid) is None


async def test_children_die_with_their_parent_even_by_sigkill(tmp_path: Path) -> None:
    """The kernel tells them: a parent killed with -9 leaves nobody behind."""
    script = (
        "import asyncio, sys, pathlib\n"
        "from cli.stack.processes import Child, ProcessSpec\n"
        "async def main():\n"
        "    child = Child(ProcessSpec('c', ('sleep', '60')), run_directory=pathlib.Path(sys.argv[1]))\n"
        "    await child.start()\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(await asyncio.to_thread(parent.stdout.readline))
        assert start_ticks(child) is not None
        parent.kill()
        assert await gone(child)


async def test_what_a_killed_run_left_is_stopped_by_the_next(tmp_path: Path) -> None:
    """A child without a parent is found by its record and ended."""
    orphan = Child(ProcessSpec("orphan", SLEEP, death_signal=None), run_directory=tmp_path)
    await orphan.start()
    record = read_record(tmp_path / "orphan.pid")
    assert record is not None
    assert is_alive(record)
    reaping = asyncio.create_task(orphan.wait())  # in place of init, which reaps real orphans
    assert await stop_leftovers(tmp_path) == ["orphan"]
    assert await reaping == -signal.SIGTERM
    assert await stop_leftovers(tmp_path) == []


async def test_a_stranger_that_got_our_pid_is_left_alone(tmp_path: Path) -> None:
    """Pid alone proves nothing: another start time or another boot is another process."""
    stranger = Child(ProcessSpec("stranger", SLEEP))
    await stranger.start()
    pid = stranger.pid
    assert pid is not None
    ticks = start_ticks(pid)
    assert ticks is not None
    try:
        for start, boot in ((ticks - 1, boot_id()), (ticks, "another-boot")):
            raw = {"name": "x", "pid": pid, "start_ticks": start, "boot": boot, "stop": [["SIGKILL", 1]]}
            (tmp_path / "x.pid").write_text(json.dumps(raw))
            assert await stop_leftovers(tmp_path) == []
            assert stranger.running
        (tmp_path / "torn.pid").write_text('{"pid": ')
        assert await stop_leftovers(tmp_path) == []
    finally:
        await stranger.stop()


async def test_a_supervisor_stops_all_it_started_last_first(tmp_path: Path) -> None:
    """Leaving the block, even by an error, ends every child in reverse order and nothing else."""
    events: list[tuple[str, str]] = []
    bystander = Child(ProcessSpec("bystander", SLEEP))
    await bystander.start()
    children = [Child(ProcessSpec(name, SLEEP), run_directory=tmp_path) for name in ("a", "b", "c")]

    async def run() -> None:
        async with Supervisor(on_event=lambda name, event: events.append((name, event))) as supervisor:
            for child in children:
                await supervisor.start(child)
            assert list(supervisor.services) == ["a", "b", "c"]
            with pytest.raises(ValueError, match="already"):
                await supervisor.start(Child(ProcessSpec("a", SLEEP)))
            raise KeyError("anything")

    with pytest.raises(KeyError):
        await run()
    assert [name for name, event in events if event == "stopped"] == ["c", "b", "a"]
    assert not any(child.running for child in children)
    assert bystander.running
    await bystander.stop()


async def test_a_supervised_child_that_dies_is_started_again(tmp_path: Path) -> None:
    """With a restart policy a killed child comes back under a new pid."""
    restarted = asyncio.Event()

    def note(_name: str, event: str) -> None:
        if event == "restarted":
            restarted.set()

    async with asyncio.timeout(10), Supervisor(on_event=note) as supervisor:
        child = Child(ProcessSpec("worker", SLEEP), run_directory=tmp_path)
        await supervisor.start(child, restart=Restart(delay_s=0.01))
        first = child.pid
        child.send(signal.SIGKILL)
        await restarted.wait()
        assert child.running
        assert child.pid != first


async def test_a_supervisor_gives_up_on_a_child_that_keeps_dying(tmp_path: Path) -> None:
    """Beyond the limit the end is reported, with the last words, instead of a restart for ever."""
    log = tmp_path / "log"
    async with asyncio.timeout(10), Supervisor() as supervisor:
        child = Child(ProcessSpec("crash", ("sh", "-c", "echo boom; exit 4"), log=log))
        await supervisor.start(child, restart=Restart(most=2, delay_s=0.01))
        failure = await supervisor.failed()
    assert failure.code == 4
    assert failure.name == "crash"
    assert log.read_text().count("boom") == 3


async def test_an_end_without_a_restart_policy_is_reported() -> None:
    """`failed` names the service that should have run."""
    async with asyncio.timeout(10), Supervisor() as supervisor:
        child = Child(ProcessSpec("once", SLEEP))
        await supervisor.start(child)
        child.send(signal.SIGKILL)
        assert (await supervisor.failed()).code == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a child as somebody else")
async def test_a_child_runs_as_the_service_user_and_still_dies_with_us(tmp_path: Path) -> None:
    """Dropping privileges keeps the death signal and leaves no way back to root."""
    log = tmp_path / "log"
    user = ServiceUser("nobody", 65534, 65534)
    child = Child(
        ProcessSpec("drop", ("sh", "-c", "id -u; id -G; exec sleep 60"), log=log, user=user),
        ready=says(log, "65534\n65534"),
    )
    await child.start()
    try:
        assert log.read_text().split() == ["65534", "65534"]
    finally:
        await child.stop()
    script = (
        "import asyncio\n"
        "from cli.stack.places import ServiceUser\n"
        "from cli.stack.processes import Child, ProcessSpec\n"
        "async def main():\n"
        "    child = Child(ProcessSpec('c', ('sleep', '60'), user=ServiceUser('nobody', 65534, 65534)))\n"
        "    await child.start()\n"
        "    await asyncio.sleep(0.1)\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-c", script], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert start_ticks(pid) is not None
        parent.kill()
        assert await gone(pid)
