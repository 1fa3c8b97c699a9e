"""One run per var directory: an exclusive lock that the kernel releases however we end."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from cli.stack.errors import DirectoryInUseError, DirectoryUnusableError
from cli.stack.places import make_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def exclusive(directory: Path, *, now: datetime | None = None) -> Iterator[None]:
    """Hold the lock of `directory` (made if absent); `now` is written into it for whoever is refused.

    Raises:
        DirectoryInUseError: another process (or another holder in this one) has it.
        DirectoryUnusableError: it can not be made or written.
    """
    try:
        make_directory(directory)
        opened = (directory / "lock").open("a+")
    except OSError as error:
        raise DirectoryUnusableError(directory, error) from None
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, since = _holder(file)
            raise DirectoryInUseError(directory, pid=pid, since=since) from None
        file.truncate(0)
        json.dump({"pid": os.getpid(), "since": (now or datetime.now(UTC)).isoformat()}, file)
        file.flush()
        try:
            yield
        finally:
            # Children inherit no descriptor of ours, so this releases it for good.
            file.truncate(0)
            fcntl.flock(file, fcntl.LOCK_UN)


def _holder(file: IO[str]) -> tuple[int | None, datetime | None]:
    """Who wrote the lock file; unknown if it is just being written."""
    file.seek(0)
    try:
        raw = json.loads(file.read())
        return int(raw["pid"]), datetime.fromisoformat(raw["since"]).astimezone()
    except (ValueError, KeyError, TypeError):
        return None, None
