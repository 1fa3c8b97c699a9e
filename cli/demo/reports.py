"""What the firms of the demonstration have reported about their business so far."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from park.calendar import to_us
from simulators.business import AUTHOR, reports
from store.business import add_deflators, enter, reporting_firms, versions

if TYPE_CHECKING:
    from datetime import datetime

    from simulators.parks import SimulatedPark
    from store.pool import Connection
    from store.registry import ParkRow


async def enter_deflators(connection: Connection, simulated: SimulatedPark, park: ParkRow, *, now: datetime) -> int:
    """Enter the park's deflators; return how many are new."""
    return await add_deflators(connection, park.park_id, park.time_zone, simulated.deflators, author=AUTHOR, now=now)


async def enter_reports(
    connection: Connection, simulated: SimulatedPark, park: ParkRow, code: str, start: datetime, until: datetime
) -> int:
    """Enter, in their order, what a firm has reported by `until` of the months since `start`; return how many are new.

    A firm that has reported already is passed over: its reports are entered together or not at all.
    """
    alone = replace(simulated, firms=(simulated.firm(code),))
    told = reports(alone, to_us(start), to_us(until), entered_by_us=to_us(until))
    [firm] = [firm for firm in await reporting_firms(connection, park.park_id) if firm.code == code]
    if await versions(connection, firm.firm_id):
        return 0
    done = await enter(connection, firm, [one.entry for one in told], now=until)
    return sum(outcome.is_new for outcome in done)
