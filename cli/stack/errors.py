"""What can go wrong with the one-machine stack.

StackError
├── ComponentMissingError   a component is neither installed nor obtainable here
├── ComponentSetupError     bringing a component failed in a named step
├── DirectoryInUseError     another process works in the same var directory
├── DirectoryUnusableError  the var directory can not be made, read or written
├── DiskFullError           too little space for what is about to be made
├── NoPortError             no free loopback port
├── UnreachableError        the services' user can not walk to existing data
├── SecretMissingError      a data directory exists, but the secret that opens it is gone
├── SecretDamagedError      a file of secrets does not hold what it should
├── DataVersionError        the data belong to another major version of PostgreSQL
├── ProcessError            a process did not do what it was started for
│   ├── ProcessExitedError
│   └── ProcessNotReadyError
└── BrokerNameError         a park, firm, edge or user name that can not stand in a topic
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class StackError(Exception):
    """Anything that stops the stack from being brought, started or stopped."""


class ComponentMissingError(StackError):
    """A component is neither installed nor obtainable; `command` installs it."""

    def __init__(self, component: str, *, reason: str, command: str, instead: str) -> None:
        super().__init__(
            f"{component} is not installed and could not be brought: {reason}\n"
            f"  install it with:  {command}\n"
            f"  or {instead}"
        )
        self.component = component
        self.reason = reason
        self.command = command


class ComponentSetupError(StackError):
    """A step of a set-up failed. Nothing half-made is left in place; trying again starts clean."""

    def __init__(self, component: str, *, step: str, detail: str) -> None:
        super().__init__(f"Setting up {component} failed at step '{step}': {detail}")
        self.component = component
        self.step = step
        self.detail = detail


class DirectoryInUseError(StackError):
    """Another process holds the lock of a var directory. `pid` and `since` are None if unknown."""

    def __init__(self, directory: Path, *, pid: int | None, since: datetime | None) -> None:
        who = f"process {pid}" if pid is not None else "another process"
        when = f" since {since.isoformat(timespec='seconds')}" if since is not None else ""
        super().__init__(
            f"{directory} is in use by {who}{when}. Stop it first (Ctrl-C there"
            + (f", or: kill {pid}" if pid is not None else "")
            + "), or choose another directory."
        )
        self.directory = directory
        self.pid = pid
        self.since = since


class DirectoryUnusableError(StackError):
    """The var directory, or something in it, can not be made, read or written."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path} can not be used: {error.strerror or error}. "
            "Mend that, or choose another directory (--var)." + _whose(path)
        )
        self.path = path


def _whose(path: Path) -> str:
    """Who owns what is in the way, where it is somebody else: often an earlier run with sudo."""
    try:
        owner = next(place for place in (path, *path.parents) if place.exists()).stat().st_uid
    except (OSError, StopIteration):
        return ""
    return f" It belongs to user {owner}, and you are {os.geteuid()}." if owner != os.geteuid() else ""


class DiskFullError(StackError):
    """Too little space for what is about to be made."""

    def __init__(self, directory: Path, *, free_bytes: int, needed_bytes: int) -> None:
        super().__init__(
            f"{directory} has {free_bytes / 2**30:.1f} GiB free, and this needs about {needed_bytes / 2**30:.1f} GiB. "
            f"Make room there (df -h {directory}), or choose a directory on another disk (--var)."
        )
        self.directory = directory
        self.free_bytes = free_bytes
        self.needed_bytes = needed_bytes


class NoPortError(StackError):
    """No free port was found on the loopback address."""

    def __init__(self, name: str, address: str) -> None:
        super().__init__(f"No free port for {name} on {address}: close something that listens there.")
        self.name = name
        self.address = address


class UnreachableError(StackError):
    """The services' user can not walk to data that are there already."""

    def __init__(self, root: Path, user: str) -> None:
        super().__init__(
            f"User {user} can not reach the database in {root}: a directory above it became private. "
            f"Open the way (chmod o+x on it), or move {root / 'postgres'} away to start empty."
        )
        self.root = root
        self.user = user


class SecretMissingError(StackError):
    """The data are there, their secret is not."""

    def __init__(self, secret: Path, data: Path) -> None:
        super().__init__(
            f"{data} exists, but its secret {secret} does not. Restore the file from a backup, "
            f"or remove {data} to start empty."
        )
        self.secret = secret
        self.data = data


class SecretDamagedError(StackError):
    """A file of secrets does not hold what it should."""

    def __init__(self, secret: Path) -> None:
        super().__init__(
            f"{secret} is damaged: it should be a JSON object of user names and passwords. Restore it from a backup, "
            "or remove it: then everybody gets a new password."
        )
        self.secret = secret


class DataVersionError(StackError):
    """The data directory was written by another major version."""

    def __init__(self, data: Path, *, found: str, wanted: int) -> None:
        super().__init__(
            f"{data} holds data of PostgreSQL {found}, but the server here is {wanted}. "
            f"Install PostgreSQL {found} with TimescaleDB, or move {data} away to start empty."
        )
        self.data = data
        self.found = found
        self.wanted = wanted


class ProcessError(StackError):
    """A process did not do what it was started for."""

    def __init__(self, name: str, what: str, *, log: Path | None, tail: str) -> None:
        where = f" Log: {log}" if log is not None else ""
        last = f"\n{tail}" if tail else ""
        super().__init__(f"{name} {what}.{where}{last}")
        self.name = name
        self.log = log
        self.tail = tail


class ProcessExitedError(ProcessError):
    """The process ended when it should run."""

    def __init__(self, name: str, *, code: int, log: Path | None, tail: str = "") -> None:
        super().__init__(name, f"ended with code {code}", log=log, tail=tail)
        self.code = code


class ProcessNotReadyError(ProcessError):
    """The process runs, but was not ready in time."""

    def __init__(self, name: str, *, limit_s: float, log: Path | None, tail: str = "") -> None:
        super().__init__(name, f"was not ready within {limit_s:g} s", log=log, tail=tail)
        self.limit_s = limit_s


class BrokerNameError(StackError):
    """A name that would change the meaning of a topic or of a password file."""

    def __init__(self, kind: str, value: str) -> None:
        super().__init__(f"{kind} {value!r} is not usable in a topic: use 1 to 64 letters, digits, '.', '_' or '-'.")
        self.kind = kind
        self.value = value
