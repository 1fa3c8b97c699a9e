"""What the database says of a replay: the points it goes to, the readings that arrived, and what they came to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from cli.replay.mapping import RegisteredPoint
from cli.replay.result import PointResult
from park.calendar import from_us, period, zone
from park.points import Kind, Label
from store import replay as store
from store.errors import UnknownNameError
from store.registry import edges, metered_points, park_named

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from cli.replay.mapping import Mapping
    from cli.replay.rows import Readings
    from park.wire import Topic
    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class RegisteredEdge:
    """Whose readings these are.

    Attributes:
        points: every point of the edge, by code.
        point_ids: those that the mapping names.
        unmetered: those of them where no meter is installed, so that nothing is computed from their readings.
    """

    edge_id: int
    firm_id: int
    time_zone: str
    points: dict[str, RegisteredPoint]
    point_ids: dict[str, int]
    unmetered: tuple[str, ...]


async def registered_edge(connection: Connection, mapping: Mapping) -> RegisteredEdge:
    """Find the mapping's edge, or raise `UnknownNameError`."""
    topic = mapping.topic
    found = [row for row in await edges(connection) if (row.park, row.firm, row.edge) == tuple(mapping.edge.split("/"))]
    if not found:
        raise UnknownNameError("edge", topic.user)
    [row] = found
    metered = [m for m in await metered_points(connection, row.firm_id) if m.point.code in row.points]
    meanings = {
        m.point.code: RegisteredPoint(m.point.unit, m.point.kind, m.point.label, m.point.interval_s) for m in metered
    }
    wanted = {column.point for column in mapping.columns.values()}
    ids = {code: point_id for code, (point_id, _) in row.points.items() if code in wanted}
    park = await park_named(connection, topic.park)
    unmetered = tuple(m.point.code for m in metered if m.point.code in ids and not m.installations)
    return RegisteredEdge(row.edge_id, row.firm_id, park.time_zone, meanings, ids, unmetered)


async def stored_readings(
    connection: Connection, edge: RegisteredEdge, readings: Readings
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Return what the database has of each point in the file's time: times (ms) and values, in order of time."""
    found = {}
    for code, point_id in edge.point_ids.items():
        t_ms = readings.t_ms[readings.point == readings.points.index(code)]
        if len(t_ms):
            first, last = from_us(int(t_ms.min()) * 1_000), from_us(int(t_ms.max()) * 1_000)
            t_us, value = await store.readings_of_point(connection, point_id, first, last)
            found[code] = t_us // 1_000, value
    return found


def compare(readings: Readings, stored: dict[str, tuple[NDArray[Any], NDArray[Any]]] | None) -> list[PointResult]:
    """Hold every reading of the file against the database; without one, only count."""
    results = []
    for k, (code, unit) in enumerate(zip(readings.points, readings.units, strict=True)):
        of_point = readings.point == k
        t_ms, value = readings.t_ms[of_point], readings.value[of_point]
        if stored is None:
            results.append(PointResult(code, unit, len(t_ms)))
            continue
        have_t, have_v = stored.get(code, (np.empty(0, np.int64), np.empty(0)))
        at = np.searchsorted(have_t, t_ms)
        there = at < len(have_t)
        there[there] = have_t[at[there]] == t_ms[there]
        same = there.copy()
        same[there] = have_v[at[there]] == value[there]
        total = math.fsum(value[same])
        results.append(PointResult(code, unit, len(t_ms), int(same.sum()), int((there & ~same).sum()), total))
    return results


async def with_consumption(
    connection: Connection, edge: RegisteredEdge, readings: Readings, points: list[PointResult]
) -> list[PointResult]:
    """Add what the ledger says of the months that the file touches; only interval points keep a sum of readings."""
    tz = zone(edge.time_zone)
    codes = {point_id: code for code, point_id in edge.point_ids.items()}
    longest = timedelta(seconds=max(edge.points[code].interval_s for code in edge.point_ids))
    first, last = (from_us(int(t) * 1_000) for t in (readings.t_ms.min(), readings.t_ms.max()))
    start, after = period("month", first - longest, tz).start, last + longest
    months: dict[str, dict[str, float]] = {}
    spans = {code: _span(edge.points[code], readings, readings.points.index(code)) for code in edge.point_ids}
    for month in await store.months(connection, list(codes), start, after):
        code = codes[month.point_id]
        begins, ends = spans[code]
        name = f"{month.period.astimezone(tz):%Y-%m}"
        if begins < period("month", month.period, tz).end.timestamp() * 1e3 and month.period.timestamp() * 1e3 < ends:
            months.setdefault(code, {})[name] = (month.measured or 0.0) + (month.estimated or 0.0)
    return [
        replace(
            point,
            total=point.total if edge.points[point.code].kind is Kind.INTERVAL else None,
            months=months.get(point.code, {}),
        )
        for point in points
    ]


def _span(point: RegisteredPoint, readings: Readings, index: int) -> tuple[float, float]:
    """Return the time that a point's readings speak of, `[begin, end)` in ms."""
    t_ms = readings.t_ms[readings.point == index]
    if not len(t_ms):
        return math.inf, -math.inf
    before = point.interval_s * 1_000 if point.kind is Kind.INTERVAL and point.label is Label.END else 0
    after = point.interval_s * 1_000 if point.kind is Kind.INTERVAL and point.label is Label.START else 0
    return float(t_ms.min() - before), float(t_ms.max() + after)


async def why_missing(connection: Connection, missing: int, topic: Topic) -> str:
    """Explain readings that the database has confirmed and does not hold."""
    held = await store.held(connection, str(topic))
    reasons = "; ".join(f"{h.messages} messages as {h.reason}: {h.detail}" for h in held)
    where = f"in quarantine are {reasons}" if reasons else "nothing of this edge is in quarantine: were they deleted?"
    return f"{missing:,} readings of the file are not in the database, though it has taken their batches; {where}"
