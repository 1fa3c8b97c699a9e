"""Which buckets a change can reach, and the readings that decide about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import BUCKET_S, BUCKET_US, from_us, period, to_us
from park.points import Kind, Label, Quality
from park.registers import GLITCH_READINGS, US_PER_HOUR
from store import ledger as store
from store.ledger import Readings, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from store.pool import Connection
    from store.registry import MeteredPoint

CONTEXT: Final = 2 * GLITCH_READINGS + 1
"""Readings before and after a window that decide about it; `store/sql/ledger.sql` reads as many."""


def whole(points: Sequence[MeteredPoint], raw: Readings) -> list[Window]:
    """Return the windows that hold everything that was ever read, or decided by a person."""
    starts = np.flatnonzero(np.diff(raw.point_id, prepend=-1))
    ends = np.append(starts[1:], len(raw.point_id))[: len(starts)] - 1
    found = [
        Window(int(raw.point_id[a]), bucket_of(raw.t_us[a]), bucket_of(raw.t_us[b]))
        for a, b in zip(starts, ends, strict=True)
    ]
    by_point = {window.point_id: window for window in found}
    for metered in points:
        for edit in metered.edits:
            first, last = edit.t_from, from_us(to_us(edit.t_to) - BUCKET_US)
            window = by_point.get(metered.point.point_id, Window(metered.point.point_id, first, last))
            wider = replace(
                window, first_bucket=min(window.first_bucket, first), last_bucket=max(window.last_bucket, last)
            )
            by_point[window.point_id] = wider
    return reach(points, sorted(by_point.values(), key=lambda window: window.point_id))


def merge(spans: Iterable[tuple[int, datetime, datetime]]) -> list[tuple[int, datetime, datetime]]:
    """Join the marked stretches of each point into one: what lies between is looked at again, and is the same."""
    joined: dict[int, tuple[datetime, datetime]] = {}
    for point_id, t_from, t_to in spans:
        before = joined.get(point_id, (t_from, t_to))
        joined[point_id] = (min(before[0], t_from), max(before[1], t_to))
    return [(point_id, a, b) for point_id, (a, b) in sorted(joined.items())]


def reach(points: Sequence[MeteredPoint], wanted: Sequence[Window]) -> list[Window]:
    """Widen the windows of interval points: a reading's time names one end of its interval, the other may lie beyond.

    Between readings their neighbours widen a window far enough; before the first and after the last nothing does.
    """
    by_id = {metered.point.point_id: metered.point for metered in points}
    widened = []
    for window in wanted:
        point, found = by_id[window.point_id], window
        if point.kind is Kind.INTERVAL:
            length_us = point.interval_s * 1_000_000
            if point.label is Label.END:
                found = replace(window, first_bucket=bucket_of(to_us(window.first_bucket) - length_us))
            else:
                last_us = to_us(window.last_bucket) + BUCKET_US - 1
                found = replace(window, last_bucket=bucket_of(last_us + length_us))
        widened.append(found)
    return widened


async def with_context(
    connection: Connection, points: Sequence[MeteredPoint], wanted: list[Window]
) -> tuple[list[Window], Readings]:
    """Read what the windows need, and widen those that touch a value that stood still before it caught up."""
    while True:
        raw = await store.readings(connection, wanted)
        doubtful = stillness(points, raw, wanted)
        if not doubtful:
            return wanted, raw
        by_point = {window.point_id: window for window in wanted}
        for point_id, before, after in await store.still(connection, doubtful):
            window = by_point[point_id]
            first = min(window.first_bucket, bucket_of(to_us(before)))
            last = window.last_bucket if after is None else max(window.last_bucket, bucket_of(to_us(after)))
            by_point[point_id] = Window(point_id, first, last)
        wider = list(by_point.values())
        if wider == wanted:
            return wanted, raw
        wanted = wider


def stillness(
    points: Sequence[MeteredPoint], raw: Readings, wanted: Sequence[Window]
) -> list[tuple[int, datetime, float]]:
    """Return readings `(point, t, value)` of stretches that stood still and that these windows do not hold whole.

    A leap at the end of such a stretch counts over the whole of it (`park.registers.Step.FROZEN`), so that both ends
    must be seen to decide. Only a leap faster than the physical limit asks for it.
    """
    by_id = {metered.point.point_id: metered for metered in points}
    found = []
    for window in wanted:
        metered = by_id[window.point_id]
        limit = metered.point.rate_limit_per_h
        if metered.point.kind is not Kind.REGISTER or limit is None:
            continue
        a, b = np.searchsorted(raw.point_id, [window.point_id, window.point_id + 1])
        good = raw.quality[a:b] < Quality.BAD
        t_us, value = raw.t_us[a:b][good], raw.value[a:b][good]
        if len(t_us) < 3:
            continue
        first_us, end_us = to_us(window.first_bucket), to_us(window.last_bucket) + BUCKET_US
        greatest = max((meter.multiplier for meter in metered.installations), default=1.0)
        delta, passed_h = np.diff(value)[1:], np.diff(t_us)[1:] / US_PER_HOUR
        leap = ((delta > limit / greatest * passed_h) | (delta < 0)) & (np.diff(value)[:-1] == 0)
        moved = np.maximum.accumulate(np.where(np.diff(value, prepend=np.nan) != 0, np.arange(len(value)), 0))
        ends = np.flatnonzero(leap) + 2
        starts = moved[ends - 1]
        # Leaps whose stretch reaches into the window, and a stretch whose end is not in sight.
        outside = (starts == 0) | (t_us[starts] < first_us) | (t_us[ends] > end_us)
        partly = ends[outside & (t_us[ends] > first_us) & (t_us[starts] <= end_us)]
        if len(partly):
            found += [(window.point_id, from_us(int(t_us[k - 1])), float(value[k - 1])) for k in partly]
        elif (t_us > end_us).sum() >= CONTEXT and np.all(value[t_us > end_us] == value[-1]):
            found.append((window.point_id, from_us(int(t_us[-1])), float(value[-1])))
    return found


def one_each(found: Sequence[Window]) -> list[Window]:
    """Return windows by point."""
    return sorted(found, key=lambda window: window.point_id)


def size(window: Window) -> int:
    """Return how many buckets a window has."""
    return int((window.last_bucket - window.first_bucket).total_seconds()) // BUCKET_S + 1


def whole_days(wanted: Sequence[Window], tz: ZoneInfo) -> list[Window]:
    """Widen windows to the days of the zone that they touch."""
    days = {edge: period("day", edge, tz) for w in wanted for edge in (w.first_bucket, w.last_bucket)}
    width = timedelta(seconds=BUCKET_S)
    return [
        replace(w, first_bucket=days[w.first_bucket].start, last_bucket=days[w.last_bucket].end - width) for w in wanted
    ]


def bucket_of(t_us: int) -> datetime:
    """Return the start of the bucket that holds an instant."""
    return from_us(int(t_us) // BUCKET_US * BUCKET_US)
