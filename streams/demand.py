"""Maximum demand of firms, from buckets that are covered whole: what enters the indicators as derived quantities."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import BUCKET_S, period, to_us
from park.demand import mean_power_kw
from park.evaluation import PointSource
from park.points import Direction
from park.units import conversion
from store import indicators as store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from park.calendar import Grain
    from store.pool import Connection

GRAINS: Final = ("day", "month", "year")
_FINER: Final[dict[str, Grain]] = {"month": "day", "year": "month"}


@dataclass(frozen=True, slots=True)
class Demand:
    """The highest quarter-hour mean of a period, kW, and how many seconds of whole buckets it was sought in."""

    kw: float
    covered_s: float


@dataclass(slots=True)
class Wanted:
    """A firm whose demand is asked for: its meters of bought electricity, and (grain, start, end) of the periods."""

    firm_id: int
    tz: ZoneInfo
    meters: tuple[PointSource, ...]
    spans: list[tuple[str, datetime, datetime]]
    found: dict[tuple[str, datetime], Demand] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[PointSource, ...]:
        """Return the demand in kW, and times the hours in kWh, as sources; none without a meter."""
        points = tuple(meter.point_id for meter in self.meters)
        return tuple(
            PointSource(points[0], carrier, Direction.INTERNAL, unit, made_of=points)
            for carrier, unit in (("max_demand", "kW"), ("demand_hours", "kWh"))
            if points
        )


def mains(sources: Sequence[PointSource]) -> tuple[PointSource, ...]:
    """Return the meters of bought electricity."""
    return tuple(s for s in sources if s.carrier == "electricity" and s.direction is Direction.IN and not s.made_of)


async def find(connection: Connection, wanted: Sequence[Wanted]) -> None:
    """Fill in what was found: days from buckets, months from days, years from months.

    A month is put together from the days computed now and from those that stand in the database, so that a reading does
    not have the whole year looked at.
    """
    wanted = [each for each in wanted if each.meters and each.spans]
    await _days(connection, wanted)
    for grain, finer in _FINER.items():
        missing = [(each.firm_id, start, end) for each in wanted for of, start, end in each.spans if of == grain]
        stored: dict[int, dict[datetime, Demand]] = {}
        for firm_id, start, value, coverage in await store.stored_demands(connection, missing, finer):
            stored.setdefault(firm_id, {})[start] = Demand(value, coverage)
        for each in wanted:
            _coarser(each, grain, finer, stored.get(each.firm_id, {}))


def _coarser(each: Wanted, grain: str, finer: Grain, stored: Mapping[datetime, Demand]) -> None:
    """Put the periods of a grain together from the next finer one; what was computed now goes before what stands."""
    parts = {
        start: Demand(known.kw, known.covered_s * period(finer, start, each.tz).seconds)
        for start, known in stored.items()
    } | {start: found for (of, start), found in each.found.items() if of == finer}
    for of, start, end in each.spans:
        if of != grain:
            continue
        mine = [demand for at, demand in parts.items() if start <= at < end]
        if mine:
            each.found[grain, start] = Demand(max(d.kw for d in mine), sum(d.covered_s for d in mine))


async def _days(connection: Connection, wanted: Sequence[Wanted]) -> None:
    stretches = _stretches([(start, end) for each in wanted for of, start, end in each.spans if of == "day"])
    rows = [await store.whole_buckets(connection, _ids(wanted, start, end), start, end) for start, end in stretches]
    if not rows:
        return
    point, bucket_us, quantity = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.lexsort((bucket_us, point))
    point, bucket_us, quantity = point[order], bucket_us[order], quantity[order]
    for each in wanted:
        days = sorted((start, end) for of, start, end in each.spans if of == "day")
        power = _power(each.meters, point, bucket_us, quantity)
        if power is None or not days:
            continue
        at, kw = power
        edges = np.searchsorted(at, [to_us(edge) for day in days for edge in day])
        for k, (start, _) in enumerate(days):
            mine = kw[edges[2 * k] : edges[2 * k + 1]]
            if len(mine):
                each.found["day", start] = Demand(float(mine.max()), float(BUCKET_S * len(mine)))


def _ids(wanted: Sequence[Wanted], start: datetime, end: datetime) -> list[int]:
    return [
        meter.point_id
        for each in wanted
        if any(of == "day" and a < end and b > start for of, a, b in each.spans)
        for meter in each.meters
    ]


def _power(
    meters: Sequence[PointSource],
    point: NDArray[np.int32],
    bucket_us: NDArray[np.int64],
    quantity: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Return the buckets that every meter covers, and the mean power of all of them together, kW."""
    parts = []
    for meter in meters:
        a, b = np.searchsorted(point, [meter.point_id, meter.point_id + 1])
        parts.append((bucket_us[a:b], quantity[a:b] * conversion(meter.unit, "kWh")))
    common = parts[0][0]
    for at, _ in parts[1:]:
        common = np.intersect1d(common, at, assume_unique=True)
    if len(common) == 0:
        return None
    energy = np.sum([amount[np.searchsorted(at, common)] for at, amount in parts], axis=0)
    return common, mean_power_kw(energy)


def _stretches(spans: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Join spans that meet, or nearly do, into disjoint stretches."""
    joined: list[tuple[datetime, datetime]] = []
    for start, end in sorted(set(spans)):
        if joined and start <= joined[-1][1] + timedelta(days=1):
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
