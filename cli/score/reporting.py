"""Enters into the platform what a scenario's firms report, in the order in which they would."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from simulators.business import AUTHOR
from store.business import add_deflators, enter, reporting_firms
from store.registry import park_named

if TYPE_CHECKING:
    from simulators.truth import Truth
    from store.pool import Connection


async def enter_reports(connection: Connection, truth: Truth) -> int:
    """Enter deflators and every version of every report; return how many versions there were."""
    if not truth.reports:
        return 0
    park = await park_named(connection, truth.park.code)
    now = datetime.now(UTC)
    await add_deflators(connection, park.park_id, park.time_zone, truth.deflators, author=AUTHOR, now=now)
    for firm in await reporting_firms(connection, park.park_id):
        mine = [report.entry for report in truth.reports if report.firm == firm.code]
        await enter(connection, firm, mine, now=now)
    return len(truth.reports)
