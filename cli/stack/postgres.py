"""A private PostgreSQL server with TimescaleDB.

One data directory, one loopback port, password by SCRAM, every commit on disk. A server whose process was
killed recovers by itself on the next start.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg

from cli.stack.errors import DataVersionError, ProcessExitedError, SecretMissingError
from cli.stack.places import ServiceUser, make_directory, write_private
from cli.stack.ports import LOOPBACK
from cli.stack.processes import Child, ProcessSpec

if TYPE_CHECKING:
    from cli.stack.components import PostgresBinaries

SUPERUSER = "postgres"
_MIB = 1024 * 1024
_SETTINGS_FILE = "greenpark.conf"
# Fast shutdown; if it hangs, immediate shutdown: recovered from the log at the next start.
_STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))


@dataclass(frozen=True, slots=True)
class Machine:
    """What the server may count on."""

    memory_bytes: int
    cores: int
    shared_memory_bytes: int

    @classmethod
    def here(cls) -> Machine:
        """This machine, or the part of it that our control group may use."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
            try:
                memory = min(memory, int(Path(file).read_text()))
            except (OSError, ValueError):  # no such group, or "max"
                continue
        try:
            shared = shutil.disk_usage("/dev/shm").total  # noqa: S108 - measured, not written
        except OSError:
            shared = 0
        return cls(memory, len(os.sched_getaffinity(0)), shared)


def server_settings(machine: Machine, *, port: int, durable: bool = True) -> dict[str, str]:
    """The settings of a server that shares `machine` with the rest of the stack.

    `durable=False` is for throwaway test clusters only: a crash of the machine then loses the cluster.
    """
    memory_mib = machine.memory_bytes // _MIB
    shared_mib = max(64, min(memory_mib // 4, 2048)) if durable else 128
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "100",
        "password_encryption": "scram-sha-256",
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
        "timescaledb.max_background_workers": "4" if durable else "0",
        "max_worker_processes": "16",
        "max_parallel_workers": str(machine.cores),
        "max_parallel_workers_per_gather": str(max(1, min(machine.cores // 2, 4))),
        "max_locks_per_transaction": "256",
        "shared_buffers": f"{shared_mib}MB",
        "effective_cache_size": f"{max(128, memory_mib // 2)}MB",
        "work_mem": f"{max(4, min(memory_mib // 400, 64))}MB",
        "maintenance_work_mem": f"{max(32, min(memory_mib // 20, 512))}MB",
        "max_wal_size": "4GB" if durable else "1GB",
        "min_wal_size": "256MB",
        "wal_compression": "on",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "jit": "off",
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] %u@%d ",
        "log_checkpoints": "off",
        "log_parameter_max_length": "0",
    }
    # Containers often give 64 MB of /dev/shm, where a parallel query would fail.
    if machine.shared_memory_bytes < 256 * _MIB:
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings


def render_settings(settings: dict[str, str]) -> str:
    """Text of a PostgreSQL configuration file."""
    return "".join(f"{key} = '{value.replace(chr(39), chr(39) * 2)}'\n" for key, value in settings.items())


def quote_identifier(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class PostgresServer:
    """A server with its data in `directory`; safe to start again after any crash.

    Args:
        binaries: the programs.
        directory: holds the data; made on the first start and given to `user`.
        secret: file of the superuser's password, 0600; made on the first start.
        port: loopback port.
        user: account to run as when we are root.
        log: the server's log file.
        run_directory: where the pid record goes.
        durable: False only for throwaway test clusters.
        die_with_parent: shut down when we die.
    """

    name = "postgres"

    def __init__(
        self,
        binaries: PostgresBinaries,
        directory: Path,
        *,
        secret: Path,
        port: int,
        user: ServiceUser | None,
        log: Path,
        run_directory: Path | None = None,
        durable: bool = True,
        die_with_parent: bool = True,
    ) -> None:
        self.binaries = binaries
        self.port = port
        self._directory = directory
        self._data = directory / "data"
        self._secret = secret
        self._user = user
        self._durable = durable
        self._log = log
        self._run_directory = run_directory
        self._child = Child(
            ProcessSpec(
                name=self.name,
                argv=(binaries.program("postgres"), "-D", str(self._data)),
                log=log,
                cwd=directory,
                environ=self._environ(),
                user=user,
                stop=_STOP,
                death_signal=signal.SIGINT if die_with_parent else None,
            ),
            run_directory=run_directory,
            ready=self._is_ready,
            ready_limit_s=120.0,  # recovery after a crash may have gigabytes to replay
        )

    def __repr__(self) -> str:
        return f"PostgresServer({str(self._directory)!r}, port={self.port}, running={self.running})"

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def data(self) -> Path:
        return self._data

    @property
    def url(self) -> str:
        """Address of the maintenance database, with the superuser's password: a secret."""
        return self.url_for("postgres")

    def url_for(self, database: str) -> str:
        """Address of one database, with the superuser's password: a secret."""
        password = quote(self._secret.read_text("utf-8").strip(), safe="")
        return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{self.port}/{quote(database, safe='')}"

    async def start(self) -> None:
        """Start, making the data directory if there is none; returns when the server takes connections.

        Raises:
            DataVersionError: the data belong to another major version.
            SecretMissingError: there are data, but not their password.
            ProcessError: the server did not start; its last words are in the error.
        """
        if self.running:
            return
        if not (self._data / "PG_VERSION").exists():
            await self._initialise()
        version = (self._data / "PG_VERSION").read_text().strip()
        if version != str(self.binaries.major):
            raise DataVersionError(self._data, found=version, wanted=self.binaries.major)
        if not self._secret.exists():
            raise SecretMissingError(self._secret, self._data)
        settings = server_settings(Machine.here(), port=self.port, durable=self._durable)
        self._write(self._data / _SETTINGS_FILE, render_settings(settings))
        for attempt in range(50):
            self._remove_stale_pid()
            try:
                await self._child.start()
            except ProcessExitedError as error:
                # Backends of a killed server need a moment to notice that it is gone.
                if attempt == 49 or not re.search(r"pre-existing shared memory|lock file .* exists", error.tail):
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, nothing committed is lost."""
        await self._child.stop()

    async def kill(self) -> None:
        """SIGKILL, as a crash would."""
        await self._child.kill()

    async def wait(self) -> int:
        """Wait for the end of the server; returns its exit code."""
        return await self._child.wait()

    async def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database unless it exists; returns its address (a secret)."""
        source = f" TEMPLATE {quote_identifier(template)}" if template is not None else ""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"CREATE DATABASE {quote_identifier(name)}{source}")
        except asyncpg.DuplicateDatabaseError:
            pass
        finally:
            await connection.close()
        return self.url_for(name)

    async def drop_database(self, name: str) -> None:
        """Drop a database if it exists, whoever is connected."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")
        finally:
            await connection.close()

    def _environ(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": str(self._directory)}

    async def _initialise(self) -> None:
        """Run initdb beside the final place, then rename: a killed initdb is never taken for a cluster."""
        make_directory(self._directory, mode=0o700, owner=self._user)
        make_directory(self._secret.parent, mode=0o700)
        if not self._secret.exists():
            write_private(self._secret, secrets.token_urlsafe(24) + "\n")
        fresh = self._directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self._directory / "password"
        write_private(password_file, self._secret.read_text(), owner=self._user)
        locale = ["--locale=C", "--encoding=UTF8"]
        if self.binaries.major >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        initdb = Child(
            ProcessSpec(
                name="initdb",
                argv=(
                    self.binaries.program("initdb"),
                    f"--pgdata={fresh}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--data-checksums",
                    *locale,
                    *([] if self._durable else ["--no-sync"]),
                ),
                log=self._log,
                cwd=self._directory,
                environ=self._environ(),
                user=self._user,
            )
        )
        try:
            await initdb.start()
            code = await initdb.wait()
        finally:
            await initdb.stop()
            password_file.unlink(missing_ok=True)
        if code != 0:
            raise ProcessExitedError("initdb", code=code, log=self._log, tail=initdb.said)
        with (fresh / "postgresql.conf").open("a") as file:
            file.write(f"\ninclude '{_SETTINGS_FILE}'\n")
        fresh.rename(self._data)

    def _write(self, file: Path, text: str) -> None:
        write_private(file, text, owner=self._user)

    def _remove_stale_pid(self) -> None:
        """Remove a dead server's lock file when its pid now belongs to something else.

        The server itself clears a lock whose pid is free; after a restart of a container, small pids are
        soon taken again. A live server works in its data directory: one that does not is no server of ours.
        """
        file = self._data / "postmaster.pid"
        try:
            pid = int(file.read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        try:
            works_here = Path(f"/proc/{pid}/cwd").resolve() == self._data.resolve()
        except OSError:
            works_here = False
        if not works_here:
            file.unlink(missing_ok=True)

    async def _is_ready(self) -> bool:
        """The server writes its state into the last line of its lock file."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
