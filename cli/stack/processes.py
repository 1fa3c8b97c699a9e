"""Child processes that are started, stopped and never left behind.

A child gets its own session, writes to a log file, may run as another user, and is signalled by the kernel
when we die, even by ``kill -9`` (PR_SET_PDEATHSIG, through setpriv). The kernel ties that signal to the
*thread* that started the child: start children from a thread that lives as long as they do.

Each child leaves a pid record. What a killed run left behind is found by it, and recognised by the
process's start time, so a foreign process that got the same pid is never touched.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.errors import ProcessExitedError, ProcessNotReadyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cli.stack.places import ServiceUser

_POLL_S = 0.02
_LOG_LIMIT_BYTES = 16 * 1024 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

StopSignals = tuple[tuple[signal.Signals, float], ...]
TERM: StopSignals = ((signal.SIGTERM, 10.0),)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to start, and how to stop it.

    Args:
        name: unique within one run directory; names the log and the pid record.
        argv: program and arguments. Never a secret: argv is public; secrets go by `environ` or file.
        log: file that gets stdout and stderr, appended; None discards them.
        environ: the whole environment; hidden from repr, as it may hold secrets.
        user: run as this account (needs root).
        stop: signals in order, each with the seconds it is given; SIGKILL follows the last.
        death_signal: what the child gets when we die; None lets it outlive us.
        inherit_output: without a log, write where we write instead of nowhere.
    """

    name: str
    argv: tuple[str, ...]
    log: Path | None = None
    cwd: Path | None = None
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    user: ServiceUser | None = None
    stop: StopSignals = TERM
    death_signal: signal.Signals | None = signal.SIGTERM
    inherit_output: bool = False


@dataclass(frozen=True, slots=True)
class PidRecord:
    """Names one process for ever: a pid is reused, (boot, pid, start time) is not."""

    name: str
    pid: int
    start_ticks: int
    boot: str
    stop: tuple[tuple[str, float], ...]


def wrap(spec: ProcessSpec) -> list[str]:
    """The argv that drops privileges and asks for the death signal before the program runs."""
    options: list[str] = []
    if spec.user is not None:
        options += [f"--reuid={spec.user.uid}", f"--regid={spec.user.gid}", "--clear-groups"]
    if spec.death_signal is not None:
        options += ["--pdeathsig", spec.death_signal.name.removeprefix("SIG")]
    return ["setpriv", *options, "--", *spec.argv] if options else list(spec.argv)


def parse_start_ticks(stat: str) -> int | None:
    """Start time of a process from /proc/PID/stat, in clock ticks since boot; None for a zombie.

    The name in parentheses may itself hold spaces and parentheses: count from the last one.
    """
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in {"Z", "X"}:
        return None
    return int(fields[19])


def start_ticks(pid: int) -> int | None:
    """Start time of a live process, or None."""
    try:
        return parse_start_ticks(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def boot_id() -> str:
    """The kernel's name for this boot; start ticks of another boot mean nothing."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def read_record(file: Path) -> PidRecord | None:
    """A pid record, or None if there is none or it is torn."""
    try:
        raw = json.loads(file.read_text())
        return PidRecord(
            name=str(raw["name"]),
            pid=int(raw["pid"]),
            start_ticks=int(raw["start_ticks"]),
            boot=str(raw["boot"]),
            stop=tuple((str(name), float(limit)) for name, limit in raw["stop"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(record: PidRecord) -> bool:
    """Whether the very process of the record still runs."""
    return record.boot == boot_id() and start_ticks(record.pid) == record.start_ticks


async def stop_recorded(record: PidRecord) -> bool:
    """Stop the process of a record if it still runs; True if it did."""
    if not is_alive(record):
        return False
    signals = [(signal.Signals[name], limit) for name, limit in record.stop]
    for number, limit_s in (*signals, (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            os.kill(record.pid, number)
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if not is_alive(record):
                return True
            await asyncio.sleep(_POLL_S)
    return True


async def stop_leftovers(run_directory: Path) -> list[str]:
    """Stop what an earlier, killed run left in `run_directory`; returns the names of what still ran."""
    stopped: list[str] = []
    for file in sorted(run_directory.glob("*.pid")):  # noqa: ASYNC240 - a handful of local files
        record = read_record(file)
        if record is not None and await stop_recorded(record):
            stopped.append(record.name)
        file.unlink(missing_ok=True)
    return stopped


def tail(log: Path | None, *, lines: int = 12, offset: int = 0) -> str:
    """The last lines of a log file, from byte `offset` on."""
    if log is None or not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(offset, log.stat().st_size - 16_384))
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:])


class Child:
    """One process of ours.

    Args:
        spec: what to start.
        run_directory: where its pid record goes; None keeps none.
        ready: asked until it says True; without it a child is ready once started.
        ready_limit_s: how long it may take.
    """

    def __init__(
        self,
        spec: ProcessSpec,
        *,
        run_directory: Path | None = None,
        ready: Callable[[], Awaitable[bool]] | None = None,
        ready_limit_s: float = 30.0,
    ) -> None:
        self.spec = spec
        self._record_file = run_directory / f"{spec.name}.pid" if run_directory is not None else None
        self._ready = ready
        self._ready_limit_s = ready_limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code of the last run (negative: a signal), None while it runs or before."""
        return self._poll() if self._process is not None else None

    @property
    def said(self) -> str:
        """The last lines that this run wrote to its log."""
        return tail(self.spec.log, offset=self._log_offset)

    async def start(self) -> None:
        """Start, and wait until ready.

        Raises:
            ProcessExitedError: it ended instead of becoming ready.
            ProcessNotReadyError: it was not ready in time, and was stopped.
        """
        if self.running:
            return
        if self._record_file is not None and (left := read_record(self._record_file)) is not None:
            await stop_recorded(left)
        self._spawn()
        deadline = time.monotonic() + self._ready_limit_s
        try:
            while self._ready is not None and not await self._ready():
                self._check_starting(deadline)
                await asyncio.sleep(_POLL_S)
        except BaseException:
            await self.stop()
            raise

    def _check_starting(self, deadline: float) -> None:
        if (code := self.returncode) is not None:
            raise ProcessExitedError(self.name, code=code, log=self.spec.log, tail=self.said)
        if time.monotonic() > deadline:
            raise ProcessNotReadyError(self.name, limit_s=self._ready_limit_s, log=self.spec.log, tail=self.said)

    async def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        while (code := self.returncode) is None:
            if self._process is None:
                return 0
            await asyncio.sleep(_POLL_S)
        return code

    async def stop(self) -> None:
        """Stop: each signal of the spec with its time, then SIGKILL. Does nothing if it does not run."""
        if self._process is None:
            return
        for number, limit_s in (*self.spec.stop, (signal.SIGKILL, 10.0)):
            if not self.running:
                break
            self.send(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self.wait()
        self._forget()

    async def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.send(signal.SIGKILL)
        await self.wait()
        self._forget()

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    def _spawn(self) -> None:
        spec = self.spec
        log = spec.log
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            self._log_offset = log.stat().st_size if log.exists() else 0
            if self._log_offset > _LOG_LIMIT_BYTES:
                log.replace(log.with_name(f"{log.name}.1"))
                self._log_offset = 0
        sink = log.open("ab") if log is not None else None
        try:
            self._process = subprocess.Popen(  # noqa: S603 - argv of a spec of ours, no shell
                wrap(spec),
                cwd=spec.cwd,
                env=spec.environ,
                stdin=subprocess.DEVNULL,
                stdout=sink if sink is not None else None if spec.inherit_output else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            if sink is not None:
                sink.close()
        if self._record_file is not None:
            record = {
                "name": spec.name,
                "pid": self._process.pid,
                "start_ticks": start_ticks(self._process.pid) or 0,
                "boot": boot_id(),
                "stop": [(number.name, limit_s) for number, limit_s in spec.stop],
            }
            temporary = self._record_file.with_suffix(".new")
            temporary.write_text(json.dumps(record))
            temporary.replace(self._record_file)

    def _poll(self) -> int | None:
        process = self._process
        if process is None:
            return None
        if process.returncode is None:
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            # Not reaped yet, so the group's number is still ours: end what the child left in it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return process.returncode

    def _forget(self) -> None:
        if self._record_file is not None:
            self._record_file.unlink(missing_ok=True)
