"""What the demonstration did, as figures that are counted after everything has arrived."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from cli.demo import receiver
from cli.demo.probe import p99
from cli.onemachine import metric
from store import overview

if TYPE_CHECKING:
    from cli.demo.probe import Probe
    from cli.demo.stage import Stage

_SETTLE_S: Final = 20.0


async def report(stage: Stage, probe: Probe, *, edge_restarted: bool) -> dict[str, Any]:
    """Stop the meters, let everything arrive, and count.

    What was sent is the edges' own count, which ends with their process: where that was restarted, it is not known.
    """
    supervisor = stage.machine.supervisor
    await supervisor.stop("meters")
    counted = stage.buffered + await _settled_readings(stage)
    sent = None if edge_restarted else counted
    deadline = time.monotonic() + _SETTLE_S
    async with stage.pool.acquire() as connection:
        while time.monotonic() < deadline:
            there, rate_per_s = await overview.arrived(connection, stage.park_id, 3.0, stage.first_batch)
            if there >= sent if sent is not None else rate_per_s == 0:
                break
            await asyncio.sleep(0.2)
        stored = await overview.stored_since(connection, stage.first_batch, stage.park_id, stage.scene.origin)
        found = await overview.counts(connection, stage.park_id, stage.started)
        waited = await overview.waited_s(connection, stage.park_id, stage.started)
        states = [row["state"] for row in await overview.standings(connection, stage.park_id)]
    return {
        "readings": {
            "sent": sent,
            "committed": stored[0],
            "doubled": stored[1],
            "quarantined": found.quarantined,
            "conflicting": found.conflicts,
        },
        "indicators": found.indicators,
        "standings": found.standings,
        "standing_states": {state: states.count(state) for state in sorted(set(states))},
        "alerts": {"opened": found.opened, "delivered": len(receiver.received(stage.received))},
        "latency_s": {
            "device_to_queryable_p99": _rounded(p99(probe.ages_s)),
            "reading_to_indicator_p99": _rounded(p99(waited)),
        },
    }


async def _settled_readings(stage: Stage) -> int:
    """Return what the edges say they wrote to disk, once it no longer grows."""
    before = -1
    for _ in range(20):
        now = int(await asyncio.to_thread(metric, stage.machine.ports["edge-metrics"], "greenpark_edge_readings_total"))
        if now == before:
            break
        before = now
        await asyncio.sleep(1.5)
    return before


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
