"""The electric load of the last day in kW: what was drawn from outside, by quarter of an hour. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from api.board.quantity import tidy
from park.calendar import BUCKET_S, bucket_start
from park.errors import UnitError
from park.units import conversion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from store.board import BoardPoint, LoadBucket

STEP: Final = timedelta(seconds=BUCKET_S)
STEPS: Final = 96
SPARK: Final = 24
"""Buckets of the small curves: six hours."""
MOST: Final = 8
"""Small curves."""
TOTAL: Final = 0
"""Series of the sum; the others are numbered by firm or point."""
_SETTLED_S: Final = 60.0
"""A bucket younger than this says little of itself: the one before is shown as the present."""


def members(points: Sequence[BoardPoint], *, firm_id: int | None) -> list[tuple[int, float, int]]:
    """Return `(point, kWh per unit, series)` of what counts for the load.

    The sum is what came in over the boundary less what went out. A park's small curves are its firms, a firm's are its
    sub-meters.
    """
    found: list[tuple[int, float, int]] = []
    seen = {p.point_id for p in points}
    for point in points:
        if point.carrier != "electricity" or point.kind == "gauge":
            continue
        try:
            k = conversion(point.unit, "kWh")
        except UnitError:
            continue
        boundary = point.direction == "out" or (point.direction == "in" and point.parent_id not in seen)
        if boundary:
            sign = -k if point.direction == "out" else k
            found.append((point.point_id, sign, TOTAL))
            if firm_id is None:
                found.append((point.point_id, sign, point.firm_id))
        elif firm_id is not None and point.direction == "internal":
            found.append((point.point_id, k, point.point_id))
    return found


def split(
    found: Sequence[tuple[int, float, int]],
) -> tuple[list[tuple[int, float, int]], list[tuple[int, float, int]]]:
    """Return the members of the sum, read over two days, and those of the small curves, read over six hours."""
    return [m for m in found if m[2] == TOTAL], [m for m in found if m[2] != TOTAL]


def curve(
    now: datetime,
    found: Sequence[tuple[int, float, int]],
    rows: Sequence[LoadBucket],
    called: Mapping[int, Mapping[str, str]],
) -> dict[str, Any]:
    """Return the curve of today's last 24 hours, yesterday's beside it, and the largest small curves.

    A bucket in which a point is unknown has no sum: `v` is null there and `part` holds what the others drew. `called`
    names the small curves.
    """
    running = bucket_start(now)
    first = running - (STEPS - 1) * STEP
    wanted: dict[int, int] = {}
    for _, _, series in found:
        wanted[series] = wanted.get(series, 0) + 1
    by = {(row.series, row.bucket): row for row in rows}
    times = [first + k * STEP for k in range(STEPS)]
    total = [by.get((TOTAL, t)) for t in times]
    before = [by.get((TOTAL, t - timedelta(days=1))) for t in times]
    count = wanted.get(TOTAL, 0)
    values = [_power(row, count, running=t == running) for row, t in zip(total, times, strict=True)]
    return {
        "start": first,
        "step_s": BUCKET_S,
        "unit": "kW",
        "points": count,
        "v": [tidy(v) for v in values],
        "part": [
            tidy(row.power) if row is not None and v is None else None for row, v in zip(total, values, strict=True)
        ],
        "known": [0 if row is None else row.points for row in total],
        "est": [_estimated(row) for row in total],
        "before": [tidy(_power(row, count)) for row in before],
        "now": _present(values, times, now),
        "top": _top(wanted, by, times[-SPARK:], now, called),
    }


def _power(row: LoadBucket | None, count: int, *, running: bool = False) -> float | None:
    if row is None or row.power is None or count == 0:
        return None
    # Of the running bucket no point can be covered to the end: being heard of at all has to do.
    return row.power if (row.points if running else row.full) == count else None


def _estimated(row: LoadBucket | None) -> float:
    return 0.0 if row is None or row.covered_s <= 0 else round(row.estimated_s / row.covered_s, 3)


def _present(values: Sequence[float | None], times: Sequence[datetime], now: datetime) -> dict[str, Any]:
    """Return the newest power that is worth showing, and of when it is."""
    settled = (now - times[-1]).total_seconds() >= _SETTLED_S
    for k in (-1, -2, -3) if settled else (-2, -3, -1):
        if values[k] is not None:
            return {"v": tidy(values[k]), "at": times[k], "provisional": k == -1, "reason": None}
    return {"v": None, "at": None, "provisional": False, "reason": "no_data"}


def _top(
    wanted: Mapping[int, int],
    by: Mapping[tuple[int, datetime], LoadBucket],
    times: Sequence[datetime],
    now: datetime,
    called: Mapping[int, Mapping[str, str]],
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for series, count in wanted.items():
        if series == TOTAL:
            continue
        values = [_power(by.get((series, t)), count, running=t == times[-1]) for t in times]
        spark = [tidy(v) for v in values]
        found.append({"id": series, **called[series], "now": _present(values, times, now), "spark": spark})
    found.sort(key=lambda one: (one["now"]["v"] is None, -(one["now"]["v"] or 0.0), one["id"]))
    return found[:MOST]
