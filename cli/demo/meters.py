"""The demonstration's meters as a process: a Modbus TCP gateway per firm, and the fault that is played.

python -m cli.demo.meters '{"origin": …, "ports": {…}, "faults_from": …}'
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from cli.demo.scene import FAULT_EVERY_S, FAULT_FIRM, FAULT_LASTS_S, FAULT_POINT, SEED
from simulators.live import LiveFault, ScheduledFault
from simulators.parks import demo_park
from simulators.process import serve

if TYPE_CHECKING:
    from collections.abc import Mapping

_REPEATS = 144


def faults(first_s: float) -> list[ScheduledFault]:
    """Return the recirculation pump's stops, the first at a Unix time, each taken back after a while."""
    stops = []
    for k in range(_REPEATS):
        at_us = int((first_s + k * FAULT_EVERY_S) * 1e6)
        until_us = at_us + int(FAULT_LASTS_S * 1e6)
        stops.append(ScheduledFault(at_us, FAULT_FIRM, FAULT_POINT, LiveFault("reuse_drop"), until_us))
    return stops


def now_us() -> int:
    """Return the wall clock in microseconds since 1970."""
    return time.time_ns() // 1000


async def run(origin: datetime, ports: Mapping[str, int], faults_from_s: float) -> None:
    """Serve until a signal."""
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(
        serve(demo_park(SEED, origin=origin), ports, clock=now_us, faults_at=faults(faults_from_s)), name="meters"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


def main() -> None:
    """Run from the arguments that the demonstration gives."""
    given = json.loads(sys.argv[1])
    asyncio.run(run(datetime.fromisoformat(given["origin"]), given["ports"], given["faults_from"]))


if __name__ == "__main__":
    main()
