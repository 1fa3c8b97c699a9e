"""What rules look at over event time, as arrays: some firms of one park, quarter hours side by side. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.calendar import BUCKET_S, BUCKET_US

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from alerts.kinds import Where

    Instants = NDArray[np.int64]
    Amounts = NDArray[np.float64]

HOUR_US: Final = 3_600_000_000
NEVER: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class FirmInfo:
    """A firm with the names that people know it by."""

    firm_id: int
    park_id: int
    firm_code: str
    firm_zh: str
    firm_en: str
    industry: str
    active: bool
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParkInfo:
    """A park with its names and its zone."""

    park_id: int
    park_code: str
    park_zh: str
    park_en: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Points:
    """Points of the firms, by rising id; all arrays and lists have length p."""

    point_id: NDArray[np.int64]
    firm_id: NDArray[np.int64]
    edge_id: NDArray[np.int64]
    code: Sequence[str]
    name_zh: Sequence[str]
    name_en: Sequence[str]
    kind: NDArray[Any]
    carrier: NDArray[Any]
    direction: NDArray[Any]
    unit: Sequence[str]
    unit_code: Sequence[str | None]
    product: Sequence[str | None]
    interval_s: NDArray[np.int64]
    rate_limit_per_h: Amounts
    newest_us: Instants

    def row(self, point_id: int) -> int:
        """Return the row of a point, -1 if it is not among them."""
        at = int(np.searchsorted(self.point_id, point_id))
        return at if at < len(self.point_id) and self.point_id[at] == point_id else -1

    def rows(self, point_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of points that are among them."""
        found: NDArray[np.int64] = np.searchsorted(self.point_id, point_ids)
        return found


@dataclass(frozen=True, slots=True)
class Ledger:
    """Quarter hours (or hours) of points; matrices have shape (p, n).

    Attributes:
        start_us: start of the first; step_us: how long each is.
        quantity: measured and estimated together; NaN: nothing is known.
        measured_s, estimated_s: seconds covered.
        held, flags: as in the ledger; held is None for hours.
    """

    start_us: int
    step_us: int
    quantity: Amounts
    measured_s: NDArray[np.float32]
    estimated_s: NDArray[np.float32]
    held: Amounts | None = None
    flags: NDArray[np.int16] | None = None

    @property
    def count(self) -> int:
        """Return n."""
        return int(self.quantity.shape[1])

    @property
    def starts_us(self) -> Instants:
        """Return where each begins."""
        return self.start_us + self.step_us * np.arange(self.count, dtype=np.int64)

    @property
    def ends_us(self) -> Instants:
        """Return where each ends: the instant of its sample."""
        return self.starts_us + self.step_us

    def full(self, share: float = 0.999) -> NDArray[np.bool_]:
        """Tell which are measured throughout."""
        return self.measured_s >= share * self.step_us / 1e6


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When the readings of each quarter hour came; matrices have shape (p, n).

    Attributes:
        newest_us: the newest reading in it; `NEVER`: none.
        sent_us: when its first batch was sent, by the edge's clock.
        batch_id: that batch; batches count up in the order of storing.
    """

    newest_us: Instants
    sent_us: Instants
    batch_id: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EdgeWord:
    """What an edge said of itself, or what happened at it, at one instant."""

    at_us: int
    online: bool = True
    boot: str = ""
    buffered_batches: int = 0
    clock_offset_ms: int | None = None
    event: str | None = None
    point_id: int | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit registered for one point."""

    kind: str
    value: float
    source_zh: str
    source_en: str
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Child:
    """A point that stands under another."""

    point_id: int
    parent_id: int
    loss_share: float
    role: str


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch in which a subject is under maintenance; None narrows nothing."""

    firm_id: int | None
    point_id: int | None
    rule_id: str | None
    from_us: int
    to_us: int


@dataclass(slots=True)
class Frame:
    """Everything loaded for one pass over some firms of a park.

    Attributes:
        clock_us: how far the newest reading of each point's edge has come; samples later than that are unknown.
        ledger: quarter hours of the pass.
        ticks_us: ends of the quarter hours over which single occurrences are told; they begin before the ledger.
        before_us: the newest reading of each point before them, where the first of them have none; else `NEVER`.
        hours: hours of the history that daily and hourly rules need; None: none of them is due.
        arrivals: None where all came in time and nobody looked.
        future: per point row, when readings were turned away as of the future.
        conflicts: (point row, instant, count).
        held_hours: (point row, start of the hour, flags) of hours with a held step.
        readings: raw readings `(t_us, value, quality)` of the gauges whose rules read them.
    """

    park: ParkInfo
    firms: Mapping[int, FirmInfo]
    points: Points
    edges: Mapping[int, tuple[int, str]]
    clock_us: Instants
    tz: ZoneInfo
    since_us: int
    ledger: Ledger
    ticks_us: Instants
    before_us: Instants
    hours: Ledger | None = None
    arrivals: Arrivals | None = None
    words: Mapping[int, Sequence[EdgeWord]] = field(default_factory=dict)
    future: Mapping[int, Sequence[int]] = field(default_factory=dict)
    conflicts: Sequence[tuple[int, int, int]] = ()
    held_hours: Sequence[tuple[int, int, int]] = ()
    readings: Mapping[int, tuple[Instants, Amounts, NDArray[np.int16]]] = field(default_factory=dict)
    limits: Mapping[int, Sequence[Limit]] = field(default_factory=dict)
    children: Sequence[Child] = ()
    losses: Mapping[int, float] = field(default_factory=dict)
    maintenance: Sequence[Window] = ()
    indicators: Mapping[tuple[str, str, str], Sequence[Any]] = field(default_factory=dict)
    residuals: Sequence[Any] = ()
    cache: dict[str, Any] = field(default_factory=dict)

    def chosen(self, where: Where) -> NDArray[np.int64]:
        """Return the rows of the points of active firms that a rule is for."""
        points = self.points
        firms = [f for f in self.firms.values() if f.active and self._is_for(where, f)]
        keep = np.isin(points.firm_id, [f.firm_id for f in firms])
        if where.carriers:
            keep &= np.isin(points.carrier, where.carriers)
        if where.not_carriers:
            keep &= ~np.isin(points.carrier, where.not_carriers)
        rows = np.flatnonzero(keep)
        if where.points:
            rows = rows[[points.code[row] in where.points for row in rows.tolist()]]
        if where.units:
            rows = rows[[points.unit_code[row] in where.units for row in rows.tolist()]]
        return rows

    def chosen_firms(self, where: Where) -> list[FirmInfo]:
        """Return the active firms that a rule is for."""
        found = [f for f in self.firms.values() if f.active and self._is_for(where, f)]
        if where.carriers:
            having = set(self.points.firm_id[np.isin(self.points.carrier, where.carriers)].tolist())
            found = [f for f in found if f.firm_id in having]
        return found

    def _is_for(self, where: Where, firm: FirmInfo) -> bool:
        return (
            (not where.parks or self.park.park_code in where.parks)
            and (not where.firms or firm.firm_code in where.firms)
            and (not where.industries or firm.industry in where.industries)
            and (not where.zones or bool(set(where.zones) & set(firm.zones)))
        )

    def limit_of(self, row: int, kind: str, at_us: int) -> Limit | None:
        """Return the limit of a kind that holds for a point at an instant."""
        for limit in self.limits.get(int(self.points.point_id[row]), ()):
            if limit.kind == kind and limit.from_us <= at_us < limit.to_us:
                return limit
        return None


def matrix(
    rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[Any], shape: tuple[int, int], empty: float
) -> NDArray[Any]:
    """Lay values out over rows and columns; those outside are left out."""
    out = np.full(shape, empty, values.dtype)
    inside = (columns >= 0) & (columns < shape[1]) & (rows >= 0)
    if not inside.all():
        rows, columns, values = rows[inside], columns[inside], values[inside]
    out[rows, columns] = values
    return out


def hourly(ledger: Ledger) -> Ledger:
    """Sum quarter hours into hours; the first quarter hour must begin an hour, and what is left over is dropped."""
    per = HOUR_US // BUCKET_US
    n = ledger.count // per
    cut = n * per

    def summed(values: NDArray[Any]) -> NDArray[Any]:
        out: NDArray[Any] = values[:, :cut].reshape(len(values), n, per).sum(axis=2)
        return out

    known = ~np.isnan(ledger.quantity)
    quantity = summed(np.where(known, ledger.quantity, 0.0))
    quantity[summed(known.astype(np.int8)) == 0] = np.nan
    return Ledger(
        ledger.start_us,
        HOUR_US,
        quantity,
        summed(ledger.measured_s).astype(np.float32),
        summed(ledger.estimated_s).astype(np.float32),
        flags=None
        if ledger.flags is None
        else np.bitwise_or.reduce(ledger.flags[:, :cut].reshape(len(ledger.flags), n, per), axis=2),
    )


def local_minutes(instants_us: Instants, tz: ZoneInfo) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the local minute of the day and the local day (days since 1970) of instants."""
    from park.calendar import from_us  # noqa: PLC0415  (only here)

    # Offsets change at most a few times a year: one look per day is exact but for the day of a change.
    hours = np.unique(instants_us // HOUR_US)
    offsets = np.array([from_us(int(h) * HOUR_US).astimezone(tz).utcoffset().total_seconds() for h in hours], np.int64)  # type: ignore[union-attr]
    local_s = instants_us // 1_000_000 + offsets[np.searchsorted(hours, instants_us // HOUR_US)]
    return local_s % 86_400 // 60, local_s // 86_400


__all__ = [
    "BUCKET_S",
    "BUCKET_US",
    "HOUR_US",
    "NEVER",
    "Arrivals",
    "Child",
    "EdgeWord",
    "FirmInfo",
    "Frame",
    "Ledger",
    "Limit",
    "ParkInfo",
    "Points",
    "Window",
    "hourly",
    "local_minutes",
    "matrix",
]
