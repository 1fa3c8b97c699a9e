"""What alerts need in a scenario's park beside its document: permits of outlets, and people who could be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from park.points import Kind
from store.alert_inputs import set_limit
from store.marking import audience, point_ids
from store.recipients import add_recipient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulators.parks import SimulatedPark
    from store.pool import Connection

NOBODY: Final = "http://127.0.0.1:9/alerts"
"""Takes no message: who would have been told is read from the outbox."""


def permits(park: SimulatedPark) -> list[tuple[str, str, float]]:
    """Return the permitted hourly mean of each outlet with an analyser: `(firm, point, limit)`."""
    found = []
    for firm in park.firms:
        limits = {str(emission.carrier): float(emission.limit) for emission in firm.profile.emissions}
        found += [
            (firm.code, point.code, limits[point.flow.carrier])
            for point in firm.points
            if point.kind is Kind.GAUGE and point.flow.carrier in limits
        ]
    return found


async def prepare(connection: Connection, park: str, limits: Sequence[tuple[str, str, float]]) -> None:
    """Register permits, and one recipient for the park and for each of its firms."""
    ids = await point_ids(connection, park)
    for firm, point, value in limits:
        await set_limit(
            connection,
            ids[firm, point],
            "emission_hourly",
            value,
            source_zh="排污许可证",
            source_en="discharge permit",
        )
    for park_id, firm_id, code in await audience(connection, park):
        name = code or park
        await add_recipient(
            connection, park_id=park_id, firm_id=firm_id, name=name, channel="webhook", address=f"{NOBODY}/{name}"
        )
