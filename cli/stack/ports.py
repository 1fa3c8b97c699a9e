"""Loopback ports that stay the same for one var directory.

Remembered in ``ports.json``; chosen again only when something else listens there by now.
"""

from __future__ import annotations

import json
import random
import socket
from typing import TYPE_CHECKING

from cli.stack.errors import NoPortError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LOOPBACK = "127.0.0.1"
_RANGE = (20_000, 32_000)


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # Like the servers themselves: a closed connection in TIME_WAIT is no reason to move.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def any_free(address: str = LOOPBACK) -> int:
    """A free port below those from which the kernel numbers outgoing connections: it stays ours.

    Raises:
        NoPortError: nothing free was found.
    """
    for _ in range(500):
        port = random.randrange(*_RANGE)
        if is_free(port, address):
            return port
    raise NoPortError("any service", address)


def choose(
    names: Sequence[str],
    remembered: dict[str, int],
    *,
    free: Callable[[int], bool],
    pick: Callable[[], int],
    attempts: int = 200,
) -> dict[str, int]:
    """A port per name: the remembered one while it is free, else a new one; never one port twice.

    Raises:
        NoPortError: nothing free was found.
    """
    chosen: dict[str, int] = {}
    for name in names:
        port = remembered.get(name)
        others = {*chosen.values(), *(remembered[other] for other in remembered if other != name)}
        if port is None or port in chosen.values() or not free(port):
            port = next(
                (found for found in (pick() for _ in range(attempts)) if found not in others and free(found)),
                None,
            )
        if port is None:
            raise NoPortError(name, LOOPBACK)
        chosen[name] = port
    return chosen


def stable_ports(file: Path, names: Sequence[str]) -> dict[str, int]:
    """Free loopback ports for `names`, remembered in `file`; names not asked for stay remembered.

    Call it while holding the directory's lock, and before the services that use the ports run.

    Raises:
        NoPortError: nothing free was found.
    """
    remembered = _read(file)
    chosen = choose(names, remembered, free=is_free, pick=any_free)
    if {**remembered, **chosen} != remembered:
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps({**remembered, **chosen}, indent=1) + "\n")
        temporary.replace(file)
    return chosen


def _read(file: Path) -> dict[str, int]:
    try:
        raw = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(raw, dict):
        return {}
    return {str(name): port for name, port in raw.items() if isinstance(port, int) and 0 < port < 65536}
