"""What points moved in the periods that are computed, as one table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from park.calendar import BUCKET_S, period, to_us
from park.ratios import Amount
from store import indicators as store
from streams.programs import BUCKET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from park.evaluation import PointSource
    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Span:
    """One period of a grain, or one bucket."""

    grain: str
    start: datetime
    end: datetime

    def elapsed_s(self, now: datetime) -> float:
        """Return the seconds of it that have passed."""
        return max((min(self.end, now) - self.start).total_seconds(), 0.0)


def span_at(grain: str, start: datetime, tz: ZoneInfo) -> Span:
    """Return the period of a grain (or bucket) that starts at an instant."""
    if grain == BUCKET:
        return Span(grain, start, start + timedelta(seconds=BUCKET_S))
    found = period(grain, start, tz)  # type: ignore[arg-type]
    return Span(grain, found.start, found.end)


@dataclass(frozen=True, slots=True)
class Table:
    """What p points moved in n columns, each a grain and a start; shape (p, n). NaN: unknown."""

    row: dict[int, int]
    column: dict[tuple[str, datetime], int]
    quantity: NDArray[np.float64]
    measured_s: NDArray[np.float64]
    estimated_s: NDArray[np.float64]

    def amounts(self, points: Sequence[PointSource], span: Span, now: datetime) -> list[Amount]:
        """Return what some points moved in one period."""
        k = self.column[span.grain, span.start]
        found = []
        for source in points:
            at = (self.row[source.point_id], k)
            quantity = float(self.quantity[at])
            found.append(
                Amount(
                    point_id=source.point_id,
                    carrier=source.carrier,
                    direction=source.direction,
                    unit=source.unit,
                    quantity=None if np.isnan(quantity) else quantity,
                    measured_s=float(self.measured_s[at]),
                    estimated_s=float(self.estimated_s[at]),
                    elapsed_s=span.elapsed_s(now),
                    product=source.product,
                )
            )
        return found


async def table_of(connection: Connection, keys: Sequence[tuple[str, datetime]], point_ids: Sequence[int]) -> Table:
    """Read what points moved in periods, each a grain (or `bucket`) and a start."""
    ids, columns = sorted(set(point_ids)), sorted(set(keys))
    shape = (len(ids), len(columns))
    table = Table(
        {point_id: k for k, point_id in enumerate(ids)},
        {key: k for k, key in enumerate(columns)},
        np.full(shape, np.nan),
        np.zeros(shape),
        np.zeros(shape),
    )
    known = np.array(ids, np.int64)
    for grain in dict.fromkeys(grain for grain, _ in columns) if ids else ():
        starts = [start for of, start in columns if of == grain]
        rows = await store.amounts(connection, ids, grain, starts)
        ordered = np.array([to_us(start) for start in starts], np.int64)
        at = np.searchsorted(ordered, rows.period_us)
        at[at == len(ordered)] = 0
        wanted = ordered[at] == rows.period_us
        place = (np.searchsorted(known, rows.point_id[wanted]), table.column[grain, starts[0]] + at[wanted])
        table.quantity[place] = rows.quantity[wanted]
        table.measured_s[place] = rows.measured_s[wanted]
        table.estimated_s[place] = rows.estimated_s[wanted]
    return table
