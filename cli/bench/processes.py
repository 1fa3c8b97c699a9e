"""CPU and memory of processes, read from /proc."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class CpuShares:
    """Cores in use over a time, 1 being one core.

    Attributes:
        of: by name of the part.
        others: by everything else on the machine.
    """

    of: dict[str, float]
    others: float


class CpuMeter:
    """Measures CPU from its making on.

    Args:
        pids: process ids of each part; their living and reaped children count too.
    """

    def __init__(self, pids: Mapping[str, list[int]]) -> None:
        self._pids = pids
        self._began = time.monotonic()
        self._first = self._now()
        self._machine = _machine_cpu_s()

    def shares(self) -> CpuShares:
        """Return the shares since the beginning."""
        elapsed_s = time.monotonic() - self._began
        used = {name: (now - self._first[name]) / elapsed_s for name, now in self._now().items()}
        machine = (_machine_cpu_s() - self._machine) / elapsed_s
        return CpuShares(
            {name: round(share, 2) for name, share in used.items()}, round(max(0.0, machine - sum(used.values())), 2)
        )

    def _now(self) -> dict[str, float]:
        children = _children()
        return {
            name: sum(cpu_s(pid) + sum(map(cpu_s, children.get(pid, []))) for pid in pids)
            for name, pids in self._pids.items()
        }


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of the children it has reaped; 0 if it is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def own_cpu_s() -> float:
    """Return our own CPU seconds, without children."""
    return time.process_time()


def memory_mb(pids: list[int]) -> float:
    """Return the resident memory of processes and their children, pages that they share counted once."""
    children = _children()
    every = [pid for parent in pids for pid in (parent, *children.get(parent, []))]
    if len(every) == 1:
        return _field_kb(every[0], "status", "VmRSS:") / 1024
    return sum(_field_kb(pid, "smaps_rollup", "Pss:") for pid in every) / 1024


def _field_kb(pid: int, file: str, name: str) -> int:
    with suppress(OSError):
        for line in (_PROC / str(pid) / file).read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0


def _stat(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def _machine_cpu_s() -> float:
    fields = (_PROC / "stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / _TICKS
