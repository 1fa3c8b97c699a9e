"""The park of the ledger's benchmarks: firms of rising registers, the history of their readings, and the comparison."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from park.calendar import GRAINS, to_us, zone
from simulators.load import LoadPlan
from store.ledger import all_readings, stored_periods, stored_rows
from store.readings import load_history, mark_dirty
from store.registry import apply_definition, edges, metered_points, park_named
from streams.cuts import compute
from streams.rows import roll
from streams.windows import whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from park.definition import ParkDefinition, PointDefinition
    from store.pool import Connection
    from store.registry import EdgeRow

PARK: Final = "ledger-bench"
_BOOT: Final = "history"
_US: Final = 1_000_000
_ORIGIN: Final = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Field:
    """A registered park: its firms' edges with their points."""

    park_id: int
    tz: ZoneInfo
    edges: tuple[EdgeRow, ...]

    @property
    def points(self) -> list[tuple[int, int]]:
        """Return (firm, point) of every point."""
        return [(edge.firm_id, point_id) for edge in self.edges for point_id, _unit in edge.points.values()]


async def set_up(connection: Connection, firms: int, points: int, valid_from: datetime) -> Field:
    """Register a park of so many firms with so many points each, one meter at each point from `valid_from` on."""
    await apply_definition(connection, _definition(firms, points, valid_from))
    park = await park_named(connection, PARK)
    return Field(park.park_id, zone(park.time_zone), tuple(row for row in await edges(connection) if row.park == PARK))


async def correct_multipliers(
    connection: Connection, firms: int, points: int, valid_from: datetime, multiplier: float
) -> None:
    """Apply the park's document once more, with another multiplier for every meter."""
    replace = msgspec.structs.replace
    park = _definition(firms, points, valid_from)

    def corrected(point: PointDefinition) -> PointDefinition:
        meters = [replace(meter, multiplier=multiplier) for meter in point.installations]
        return replace(point, installations=meters)

    changed = [replace(firm, points=[corrected(point) for point in firm.points]) for firm in park.firms]
    await apply_definition(connection, replace(park, firms=changed))


def _definition(firms: int, points: int, valid_from: datetime) -> ParkDefinition:
    return LoadPlan(firms, points, 1.0, 1.0, park=PARK).definition(valid_from)


async def lay(connection: Connection, edge: EdgeRow, start: datetime, end: datetime, interval_s: int) -> int:
    """Store the readings of an edge's points in `[start, end)` without a mark that they wait; return how many.

    What a dial shows is a function of point and time, so stretches may be laid down in any order.
    """
    ids = np.array(sorted(point_id for point_id, _unit in edge.points.values()), np.int32)
    t_us = np.arange(to_us(start), to_us(end), interval_s * _US, dtype=np.int64)
    dial = _dial(ids[:, np.newaxis], t_us[np.newaxis, :])
    of_row, at = np.repeat(ids, len(t_us)), np.tile(t_us, len(ids))
    return await load_history(connection, edge.edge_id, _BOOT, of_row, at, dial.reshape(-1), mark_dirty=False)


def _dial(point: NDArray[np.int32], t_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a dial that rises at the point's own rate and swings with the day, never backwards."""
    hours = (t_us - to_us(_ORIGIN)) / (3600.0 * _US)
    return np.round((1.0 + point % 17) * (hours + 3.0 * np.sin(2 * np.pi * hours / 24.0)), 3)


async def mark(connection: Connection, field: Field, start: datetime, end: datetime, cause: str) -> None:
    """Have a stretch of every point computed again, marked and told in one transaction."""
    firm_ids, point_ids = map(list, zip(*field.points, strict=True))
    n = len(firm_ids)
    async with connection.transaction():
        await mark_dirty(connection, firm_ids, point_ids, [to_us(start)] * n, [to_us(end)] * n, cause=cause)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a computation from scratch of every bucket, hour, day, month and year says against what is stored."""

    rows: int
    differing: int

    @property
    def equal(self) -> bool:
        """Tell whether there is something to compare, and all of it is the same."""
        return self.rows > 0 and self.differing == 0


async def compare(connection: Connection, field: Field) -> Difference:
    """Compute everything from the raw readings without looking at what is stored, and hold that against it."""
    rows = differing = 0
    for edge in field.edges:
        points = await metered_points(connection, edge.firm_id)
        ids = [metered.point.point_id for metered in points]
        raw = await all_readings(connection, ids)
        wanted = whole(points, raw)
        if not wanted:
            continue
        fresh = compute(points, raw, wanted, field.tz, now=datetime.now(UTC), run_id=0)
        held = await stored_rows(connection, wanted)
        pairs: list[tuple[Any, Any, Sequence[str]]] = [(fresh, held, ("point_id", "bucket_us"))]
        stored = [(grain, await stored_periods(connection, ids, grain)) for grain in GRAINS]
        pairs += [(roll(fresh, grain, field.tz), kept, _PERIOD) for grain, kept in stored]
        rows += sum(len(new.point_id) for new, _, _ in pairs)
        differing += sum(_differing(new, old, key) for new, old, key in pairs)
    return Difference(rows, differing)


_PERIOD: Final = ("point_id", "period_us")


def _differing(new: Any, old: Any, key: Sequence[str]) -> int:
    """Count rows that are not the same in both; both are ordered by their key."""
    n = min(len(new.point_id), len(old.point_id))
    same = np.ones(n, bool)
    for name in (*key, "flags"):
        same &= getattr(new, name)[:n] == getattr(old, name)[:n]
    for name in ("measured", "estimated", "measured_s", "estimated_s", "held"):
        same &= np.isclose(getattr(new, name)[:n], getattr(old, name)[:n], rtol=1e-9, atol=1e-9, equal_nan=True)
    return int(n - same.sum()) + abs(len(new.point_id) - len(old.point_id))
