"""The parks of the indicators' benchmark: firms of twenty points whose ledger is written directly, without readings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import BUCKET_S, BUCKET_US, GRAINS, from_us, to_us, zone
from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
from park.periods import period_starts
from park.points import Direction, Kind
from store.bench import forget_marks
from store.indicators import mark_values
from store.ledger import LedgerRows, copy_new, copy_new_periods
from store.registry import apply_definition, firms, metered_points, park_named
from streams.rows import roll

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from store.pool import Connection
    from store.registry import FirmRow

_IN, _OUT, _INSIDE = Direction.IN, Direction.OUT, Direction.INTERNAL
POINTS: Final[tuple[tuple[str, str, str, Direction, float], ...]] = (
    # code, carrier, unit, direction, quantity in a bucket
    ("E-001", "electricity", "kWh", _IN, 400.0),
    ("E-101", "electricity", "kWh", _INSIDE, 120.0),
    ("E-102", "electricity", "kWh", _INSIDE, 160.0),
    ("E-103", "electricity", "kWh", _INSIDE, 90.0),
    ("E-201", "electricity", "kWh", _OUT, 5.0),
    ("Q-001", "reactive_energy", "kvarh", _INSIDE, 110.0),
    ("G-001", "natural_gas", "m3", _IN, 60.0),
    ("G-101", "natural_gas", "m3", _INSIDE, 40.0),
    ("S-001", "steam", "t", _IN, 0.8),
    ("D-001", "diesel", "kg", _IN, 2.0),
    ("A-001", "compressed_air", "m3", _IN, 30.0),
    ("W-001", "fresh_water", "m3", _IN, 8.0),
    ("W-002", "recirculated_water", "m3", _INSIDE, 90.0),
    ("W-003", "recycled_water", "m3", _INSIDE, 3.0),
    ("W-004", "cascaded_water", "m3", _INSIDE, 1.0),
    ("W-005", "reclaimed_water", "m3", _IN, 2.0),
    ("W-006", "wastewater", "m3", _OUT, 5.0),
    ("P-001", "product", "t", _OUT, 1.5),
    ("N-001", "nox", "kg", _OUT, 0.05),
    ("R-001", "solid_waste", "kg", _OUT, 20.0),
)
PACKS: Final = ("tongliang-district-2025", "qijiang-district-2025")
END: Final = datetime(2025, 12, 31, 16, tzinfo=UTC)
"""The year that is computed ends with 2025 in the park's zone."""
NOW: Final = END - timedelta(seconds=1)
_RUN: Final = 0


@dataclass(frozen=True, slots=True)
class Laid:
    """A registered park with a ledger."""

    park_id: int
    time_zone: str
    firms: tuple[FirmRow, ...]
    start: datetime
    buckets: int

    @property
    def tz(self) -> ZoneInfo:
        """Return the park's zone."""
        return zone(self.time_zone)


def definition(code: str, count: int, points: int, valid_from: datetime) -> ParkDefinition:
    """Return a park of so many firms with the first `points` of `POINTS` each."""
    return ParkDefinition(
        code=code,
        name_zh=code,
        name_en=code,
        target_packs=list(PACKS),
        firms=[
            FirmDefinition(
                code=f"f{k:03d}",
                name_zh=f"f{k:03d}",
                name_en=f"f{k:03d}",
                industry="bench",
                edges=["gw1"],
                points=[_point(*point, valid_from) for point in POINTS[:points]],
            )
            for k in range(count)
        ],
    )


def _point(
    code: str, carrier: str, unit: str, direction: Direction, _amount: float, valid_from: datetime
) -> PointDefinition:
    return PointDefinition(
        code=code,
        name_zh=code,
        name_en=code,
        kind=Kind.REGISTER,
        carrier=carrier,
        unit=unit,
        edge="gw1",
        direction=direction,
        product="slab" if carrier == "product" else None,
        installations=[InstallationDefinition(serial=code, valid_from=valid_from)],
    )


async def lay(connection: Connection, code: str, count: int, days: int, points: int = len(POINTS)) -> Laid:
    """Register a park and write the ledger of `days` days up to `END`: buckets, hours, days, months and the year."""
    start = END - timedelta(days=days)
    await apply_definition(connection, definition(code, count, points, start - timedelta(days=1)))
    park = await park_named(connection, code)
    tz = zone(park.time_zone)
    members = await firms(connection, park.park_id)
    bucket_us = np.arange(to_us(start), to_us(END), BUCKET_US, dtype=np.int64)
    for firm in members:
        for metered in await metered_points(connection, firm.firm_id):
            point = metered.point
            amount = next(row[4] for row in POINTS if row[0] == point.code)
            # Staged rows live as long as their transaction.
            async with connection.transaction():
                moved = quantities(point.point_id, amount, bucket_us)
                await _lay_point(connection, point.point_id, bucket_us, moved, tz)
    await forget_marks(connection)
    return Laid(park.park_id, park.time_zone, tuple(members), start, len(bucket_us))


def quantities(point_id: int, amount: float, bucket_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what a point moved in each bucket: a daily swing and a weekly one around `amount`, never zero."""
    hours = bucket_us / 3_600e6 + point_id % 7
    swing = 0.3 * np.sin(2 * np.pi * hours / 24) + 0.1 * np.sin(2 * np.pi * hours / 168)
    return amount * (1 + point_id % 13 / 20) * (1 + swing)


async def _lay_point(
    connection: Connection, point_id: int, bucket_us: NDArray[np.int64], quantity: NDArray[np.float64], tz: ZoneInfo
) -> None:
    n = len(bucket_us)
    nothing = np.full(n, np.nan)
    rows = LedgerRows(
        point_id=np.full(n, point_id, np.int32),
        bucket_us=bucket_us,
        measured=quantity,
        estimated=nothing,
        measured_s=np.full(n, BUCKET_S, np.float32),
        estimated_s=np.zeros(n, np.float32),
        held=np.zeros(n),
        flags=np.zeros(n, np.int16),
        closed=np.ones(n, bool),
        revision=np.zeros(n, np.int16),
        run_id=np.full(n, _RUN, np.int64),
    )
    await copy_new(connection, rows)
    for grain in GRAINS:
        periods = roll(rows, grain, tz)
        await copy_new_periods(connection, grain, periods, np.full(len(periods.point_id), _RUN, np.int64))


def wanted(laid: Laid, fine_hours: float) -> list[tuple[str, datetime]]:
    """Return what a change of the whole time touches: days, months, the year; hours and buckets of the last hours."""
    bucket_us = to_us(laid.start) + BUCKET_US * np.arange(laid.buckets, dtype=np.int64)
    oldest = NOW - timedelta(hours=fine_hours)
    spans = [("bucket", from_us(int(us))) for us in bucket_us if from_us(int(us)) > oldest]
    for grain in GRAINS:
        starts = [from_us(int(us)) for us in np.unique(period_starts(grain, bucket_us, laid.tz))]
        spans += [(grain, at) for at in starts if grain != "hour" or at > oldest]
    return spans


async def mark(connection: Connection, laid: Laid, fine_hours: float) -> int:
    """Have the indicators of every firm computed; return how many periods of each."""
    spans = wanted(laid, fine_hours)
    for firm in laid.firms:
        await mark_values(connection, firm.firm_id, spans, "bench", None)
    return len(spans)
