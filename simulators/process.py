"""The simulated meters of a park as a running process: a gateway per firm, and faults that come when they are due."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from simulators.live import SimulatedMeters
from simulators.modbus import Gateway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simulators.clocks import Clock
    from simulators.live import ScheduledFault
    from simulators.parks import SimulatedPark

_LOOK_S = 0.1


async def serve(
    simulated: SimulatedPark,
    ports: Mapping[str, int],
    *,
    clock: Clock,
    faults_at: Sequence[ScheduledFault] = (),
    host: str = "127.0.0.1",
    meters: SimulatedMeters | None = None,
    ready: asyncio.Event | None = None,
) -> None:
    """Serve the meters until cancelled.

    Args:
        simulated: the park.
        ports: TCP port of each firm's gateway.
        clock: simulated time.
        faults_at: faults by the time at which they are put in; each takes effect at exactly its own time.
        host: address to listen on.
        meters: for callers that put faults in themselves; by default made here.
        ready: set when every gateway listens.

    Raises:
        SimulatorError: a port is taken.
        UnknownName: a firm or point that the park does not have.
    """
    meters = meters or SimulatedMeters(simulated, clock)
    for scheduled in faults_at:
        simulated.firm(scheduled.firm).point(scheduled.point)
    gateways = [Gateway(meters, firm, port, host) for firm, port in ports.items()]
    try:
        for gateway in gateways:
            await gateway.start()
        if ready is not None:
            ready.set()
        await _inject(meters, faults_at)
    finally:
        for gateway in gateways:
            await gateway.stop()


async def _inject(meters: SimulatedMeters, faults_at: Sequence[ScheduledFault]) -> None:
    """Put faults in and take them away as their times come, then wait for ever."""
    due = [(s.at_us, n, s, False) for n, s in enumerate(faults_at)]
    due += [(s.until_us, n, s, True) for n, s in enumerate(faults_at) if s.until_us is not None]
    due.sort(key=lambda entry: entry[:2])
    while due:
        while due and due[0][0] <= meters.clock():
            at_us, _, scheduled, over = due.pop(0)
            if over:
                meters.clear(scheduled.firm, scheduled.point, at_us)
            else:
                meters.inject(scheduled.firm, scheduled.point, scheduled.fault, at_us)
        await asyncio.sleep(_LOOK_S)
    await asyncio.Event().wait()
