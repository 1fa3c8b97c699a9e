"""An edge agent whose meters count, so that what must be stored is known without asking the platform.

`python -m cli.bench.numbered` is `greenpark run edge` with one more protocol. Poll `n` of an edge gives its k-th point
the value `n × STRIDE + k`. The poll stands in a log before the agent sees it. The agent polls again only after it has
written the poll before to its buffer: a poll that another follows *was kept*, and must be stored. Only the last poll
before a kill is in doubt: it was kept or not, and must be stored whole or not at all.

The log is written through to the kernel, which a killed process leaves alone; a loss of power is not tried here.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from edge.drivers import DRIVERS, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edge.config import DeviceConfig

PROTOCOL: Final = "numbered"
STRIDE: Final = 10_000


class Poll(NamedTuple):
    """One poll, as the log has it; `kept` says that the agent had it on disk, and is False where that is in doubt."""

    number: int
    t_ms: int
    kept: bool


def value_of(number: int, point: int) -> float:
    """Return the value of a point, by its place in the device, in a poll."""
    return float(number * STRIDE + point)


def line_of(number: int, t_ms: int) -> str:
    """Return a poll's line; its end tells a whole line from a torn one."""
    return f"{number} {t_ms} .\n"


START: Final = "start\n"
HALTED: Final = "halted\n"


def polls(lines: Iterable[str]) -> Iterator[Poll]:
    """Read a log."""
    last: tuple[int, int] | None = None
    for line in lines:
        match line.split():
            case [number, t_ms, "."]:
                if last is not None:
                    yield Poll(*last, kept=True)
                last = int(number), int(t_ms)
            case ["halted"]:
                if last is not None:
                    yield Poll(*last, kept=True)
                last = None
            case ["start"]:
                if last is not None:
                    yield Poll(*last, kept=False)
                last = None
            case _:  # torn: the agent has never seen it
                continue
    if last is not None:
        yield Poll(*last, kept=False)


class NumberedDriver:
    """A meter that counts. `options`: `log`, and `halt`: while that file exists, no point has a value."""

    def __init__(self, device: DeviceConfig) -> None:
        """Connect to nothing."""
        self._codes = [point.code for point in device.points]
        self._log = Path(device.options["log"])
        self._halt = Path(device.options["halt"])
        self._fd = -1
        self._next = 0
        self._last_ms = 0
        self._halted = False

    async def read(self) -> list[Sample]:
        """Give every point its next value."""
        if self._fd < 0:
            self._open()
        if self._halt.exists():
            if not self._halted:
                os.write(self._fd, HALTED.encode())
                self._halted = True
            return [Sample.absent(code, "halted") for code in self._codes]
        self._halted = False
        number, t_ms = self._next, max(int(time.time() * 1000), self._last_ms + 1)
        os.write(self._fd, line_of(number, t_ms).encode())
        self._next, self._last_ms = number + 1, t_ms
        return [Sample(code, value_of(number, k), at_ms=t_ms) for k, code in enumerate(self._codes)]

    def _open(self) -> None:
        text = self._log.read_text() if self._log.exists() else ""
        for poll in polls(text.splitlines()):
            self._next, self._last_ms = poll.number + 1, poll.t_ms
        self._fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._fd, (("" if text.endswith("\n") or not text else "\n") + START).encode())

    async def close(self) -> None:
        """Close the log."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def register() -> None:
    """Have this process know the protocol."""
    DRIVERS[PROTOCOL] = NumberedDriver


def main() -> None:
    """Run the agents of `GREENPARK_EDGE_CONFIG`."""
    from cli.running import run_room  # noqa: PLC0415
    from cli.settings import load_settings  # noqa: PLC0415

    register()
    run_room("edge", load_settings(None))


if __name__ == "__main__":
    main()
