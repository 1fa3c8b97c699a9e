"""The consumption ledger of one firm: from what changed to the rows that say something new.

`compute` and `changed` decide, and are pure; `advance` and `rebuild` read and write around them. An advance touches
what a change can reach; a rebuild computes everything, and both give the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.buckets import consumption
from park.calendar import BUCKET_S, BUCKET_US, GRAINS, Grain, Period, from_us, period, to_us
from park.edits import edited
from park.periods import period_starts
from park.plain import Stretch, plain, plain_consumption
from park.points import Kind, Label, Quality
from park.registers import GLITCH_READINGS, US_PER_HOUR
from store import ledger as store
from store.ledger import LedgerRows, PeriodRows, Readings, Window
from streams.metrics import stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from park.buckets import Buckets
    from store.pool import Connection
    from store.registry import MeteredPoint

CONTEXT: Final = 2 * GLITCH_READINGS + 1
"""Readings before and after a window that decide about it; `store/sql/ledger.sql` reads as many."""
RELATIVE_TOLERANCE: Final = 1e-9
"""Two sums of the same steps in another order differ by less; it is no change."""
MANY_BUCKETS: Final = 2000
"""From so many buckets on, a pass copies columns instead of merging rows one by one. Both give the same rows."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What a pass over one firm wrote."""

    buckets: int
    revisions: int
    touched: dict[Grain, list[Period]]
    touched_buckets: list[datetime]


def compute(
    points: Sequence[MeteredPoint], raw: Readings, wanted: Sequence[Window], *, now: datetime, run_id: int
) -> LedgerRows:
    """Compute the ledger rows of the windows from raw readings. Buckets without any coverage give no row.

    Args:
        points: the points of the windows, with their meters.
        raw: readings ordered by point and time, neighbours of the windows included.
        wanted: at most one window for each point.
        now: decides which buckets are closed.
        run_id: the run that the rows will name.
    """
    by_id = {metered.point.point_id: metered for metered in points}
    now_us = to_us(now)
    stretches = [_stretch(by_id[window.point_id], raw, window) for window in wanted]
    together = plain(stretches, raw.t_us, raw.value, raw.quality)
    together &= np.array([not by_id[window.point_id].edits for window in wanted], bool)
    parts: list[dict[str, NDArray[Any]]] = []
    easy = [stretch for stretch, chosen in zip(stretches, together, strict=True) if chosen]
    if easy:
        owner, result = plain_consumption(easy, raw.t_us, raw.value)
        ids = np.array([stretch.point.point_id for stretch in easy], np.int32)
        parts.append(_rows(ids[owner], result, now_us, run_id))
    for stretch in (s for s, chosen in zip(stretches, together, strict=True) if not chosen):
        here = slice(stretch.start, stretch.end)
        result = consumption(
            stretch.point,
            stretch.installations,
            raw.t_us[here],
            raw.value[here],
            raw.quality[here],
            first_us=stretch.first_us,
            count=stretch.count,
        )
        result, _ = edited(result, by_id[stretch.point.point_id].edits)
        parts.append(_rows(np.full(stretch.count, stretch.point.point_id, np.int32), result, now_us, run_id))
    rows = _concatenate(parts)
    return rows if len(parts) == 1 else _take(rows, np.argsort(_keys(rows), kind="stable"))


def _stretch(metered: MeteredPoint, raw: Readings, window: Window) -> Stretch:
    a, b = np.searchsorted(raw.point_id, [window.point_id, window.point_id + 1])
    return Stretch(metered.point, metered.installations, int(a), int(b), to_us(window.first_bucket), _size(window))


def _rows(point_id: NDArray[np.int32], result: Buckets, now_us: int, run_id: int) -> dict[str, NDArray[Any]]:
    """Return the buckets that say something as rows."""
    some = (result.measured_s > 0) | (result.estimated_s > 0) | (result.held > 0) | (result.flags != 0)
    n = int(some.sum())
    return {
        "point_id": point_id[some],
        "bucket_us": result.start_us[some],
        "measured": result.measured[some],
        "estimated": result.estimated[some],
        "measured_s": result.measured_s[some].astype(np.float32),
        "estimated_s": result.estimated_s[some].astype(np.float32),
        "held": result.held[some],
        "flags": result.flags[some],
        "closed": result.start_us[some] + BUCKET_US <= now_us,
        "revision": np.zeros(n, np.int16),
        "run_id": np.full(n, run_id, np.int64),
    }


def changed(new: LedgerRows, old: LedgerRows, *, now: datetime, run_id: int) -> LedgerRows:
    """Return the rows that must be written: new ones, differing ones, and emptied ones.

    A differing row whose old version was closed gets the next revision. A row that no reading supports any more is
    emptied, not deleted: that nothing is known is a statement, and it replaces one.
    """
    new_key, old_key = _keys(new), _keys(old)
    at = np.searchsorted(old_key, new_key)
    known = np.zeros(len(new), bool)
    inside = at < len(old)
    known[inside] = old_key[at[inside]] == new_key[inside]
    where = at[known]
    same = np.zeros(len(new), bool)
    same[known] = _same(_take(new, known), _take(old, where)) & (new.closed[known] == old.closed[where])
    revision = new.revision.copy()
    revision[known] = old.revision[where]
    quantities_same = np.zeros(len(new), bool)
    quantities_same[known] = _same(_take(new, known), _take(old, where))
    revised = known & ~quantities_same
    revised[known] &= old.closed[where]
    revision[revised] += 1
    write = ~same
    rows = _take(new, write, revision=revision[write])
    gone = ~np.isin(old_key, new_key, kind="sort") & (
        (old.measured_s > 0) | (old.estimated_s > 0) | (old.held > 0) | (old.flags != 0)
    )
    if gone.any():
        rows = _concatenate([_as_dict(rows), _emptied(_take(old, gone), now=now, run_id=run_id)])
    return rows


def _emptied(old: LedgerRows, *, now: datetime, run_id: int) -> dict[str, NDArray[Any]]:
    n = len(old)
    return {
        "point_id": old.point_id,
        "bucket_us": old.bucket_us,
        "measured": np.full(n, np.nan),
        "estimated": np.full(n, np.nan),
        "measured_s": np.zeros(n, np.float32),
        "estimated_s": np.zeros(n, np.float32),
        "held": np.zeros(n),
        "flags": np.zeros(n, np.int16),
        "closed": old.bucket_us + BUCKET_US <= to_us(now),
        "revision": (old.revision + old.closed).astype(np.int16),
        "run_id": np.full(n, run_id, np.int64),
    }


async def advance(
    connection: Connection,
    points: Sequence[MeteredPoint],
    marks: Sequence[store.Mark],
    tz: ZoneInfo,
    *,
    now: datetime,
    run_id: int,
) -> Advance:
    """Recompute what the marks can reach, inside the caller's transaction."""
    spans = merge([(mark.point_id, mark.t_from, mark.t_to) for mark in marks])
    with stage("windows"):
        wanted = reach(points, _one_each(await store.windows(connection, spans)))
    with stage("readings"):
        wanted, raw = await _with_context(connection, points, wanted)
    with stage("compute"):
        new = compute(points, raw, wanted, now=now, run_id=run_id)
    # Many buckets are written and summed as columns, a few by statements that read only what they need.
    many = sum(map(_size, wanted)) >= MANY_BUCKETS
    with stage("stored"):
        around = await store.stored_rows(connection, _whole_days(wanted, tz) if many else wanted)
        old = _within(around, wanted) if many else around
    with stage("compare"):
        rows = changed(new, old, now=now, run_id=run_id)
    if len(rows) == 0:
        return Advance(0, 0, {grain: [] for grain in GRAINS}, [])
    if many:
        with stage("write"):
            await _replace(connection, old, rows, run_id)
        with stage("roll_up"):
            touched = await _roll_many(connection, overlay(around, rows), rows, tz, run_id)
    else:
        with stage("write"):
            await store.write_changed(connection, rows)
        with stage("roll_up"):
            touched = await _roll(connection, rows, tz, run_id)
    revisions = int((rows.revision > 0).sum())
    buckets = [from_us(us) for us in np.unique(rows.bucket_us)]
    return Advance(len(rows), revisions, touched, buckets)


async def rebuild(
    connection: Connection, points: Sequence[MeteredPoint], tz: ZoneInfo, *, now: datetime, run_id: int
) -> Advance:
    """Compute everything of points whose ledger is empty: the same rows as an advance over all readings, faster."""
    ids = [metered.point.point_id for metered in points]
    raw = await store.all_readings(connection, ids)
    if len(raw.point_id) == 0 and not any(metered.edits for metered in points):
        return Advance(0, 0, {grain: [] for grain in GRAINS}, [])
    rows = compute(points, raw, whole(points, raw), now=now, run_id=run_id)
    await store.copy_new(connection, rows)
    touched: dict[Grain, list[Period]] = {}
    for grain in GRAINS:
        periods = roll(rows, grain, tz)
        await store.copy_new_periods(connection, grain, periods, run_id)
        touched[grain] = [period(grain, from_us(us), tz) for us in np.unique(periods.period_us)]
    return Advance(len(rows), 0, touched, [from_us(us) for us in np.unique(rows.bucket_us)])


def whole(points: Sequence[MeteredPoint], raw: Readings) -> list[Window]:
    """Return the windows that hold everything that was ever read, or decided by a person."""
    starts = np.flatnonzero(np.diff(raw.point_id, prepend=-1))
    ends = np.append(starts[1:], len(raw.point_id))[: len(starts)] - 1
    found = [
        Window(int(raw.point_id[a]), _bucket(raw.t_us[a]), _bucket(raw.t_us[b]))
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


def roll(rows: LedgerRows, grain: Grain, tz: ZoneInfo) -> PeriodRows:
    """Sum ledger rows, ordered by point and bucket, into the periods of a grain."""
    start = period_starts(grain, rows.bucket_us, tz)
    fresh = (np.diff(rows.point_id, prepend=-1) != 0) | (np.diff(start, prepend=-1) != 0)
    first = np.flatnonzero(fresh)
    return PeriodRows(
        point_id=rows.point_id[first],
        period_us=start[first],
        measured=_nan_sum(rows.measured, first),
        estimated=_nan_sum(rows.estimated, first),
        measured_s=np.add.reduceat(rows.measured_s.astype(np.float64), first),
        estimated_s=np.add.reduceat(rows.estimated_s.astype(np.float64), first),
        held=np.add.reduceat(rows.held, first),
        flags=np.bitwise_or.reduceat(rows.flags, first),
    )


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
                found = replace(window, first_bucket=_bucket(to_us(window.first_bucket) - length_us))
            else:
                last_us = to_us(window.last_bucket) + BUCKET_US - 1
                found = replace(window, last_bucket=_bucket(last_us + length_us))
        widened.append(found)
    return widened


async def _with_context(
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
            first = min(window.first_bucket, _bucket(to_us(before)))
            last = window.last_bucket if after is None else max(window.last_bucket, _bucket(to_us(after)))
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


def _one_each(found: Sequence[Window]) -> list[Window]:
    return sorted(found, key=lambda window: window.point_id)


def overlay(old: LedgerRows, rows: LedgerRows) -> LedgerRows:
    """Return what the ledger says once `rows` are written over `old`, ordered by point and bucket."""
    kept = _take(old, ~np.isin(_keys(old), _keys(rows), kind="sort"))
    both = _concatenate([_as_dict(kept), _as_dict(rows)])
    return _take(both, np.argsort(_keys(both), kind="stable"))


async def _replace(connection: Connection, old: LedgerRows, rows: LedgerRows, run_id: int) -> None:
    """Write rows as `store.write_changed` does: the span of each point is taken out and copied back in."""
    order = np.argsort(_keys(rows), kind="stable")
    rows = _take(rows, order)
    first = np.flatnonzero(np.diff(rows.point_id, prepend=-1))
    last = np.append(first[1:], len(rows)) - 1
    spans = [
        Window(int(rows.point_id[a]), from_us(int(rows.bucket_us[a])), from_us(int(rows.bucket_us[b])))
        for a, b in zip(first, last, strict=True)
    ]
    there = _within(old, spans)
    at = np.minimum(np.searchsorted(_keys(rows), _keys(there)), len(rows) - 1)
    overwritten = _keys(rows)[at] == _keys(there)
    revised = overwritten & there.closed & (there.revision < rows.revision[at])
    await store.replace_spans(connection, spans, overlay(there, rows), _take(there, revised), run_id)


async def _roll_many(
    connection: Connection, rows: LedgerRows, fresh: LedgerRows, tz: ZoneInfo, run_id: int
) -> dict[Grain, list[Period]]:
    """Sum whole days of rows into hours and days, and the days with those around them into months and years."""
    touched: dict[Grain, list[Period]] = {}
    for grain in ("hour", "day"):
        sums = roll(rows, grain, tz)
        keys = _period_keys(fresh.point_id, period_starts(grain, fresh.bucket_us, tz))
        moved = np.isin(_period_keys(sums.point_id, sums.period_us), keys, kind="sort")
        sums = PeriodRows(**{name: getattr(sums, name)[moved] for name in PeriodRows.__slots__})
        await store.write_periods(connection, grain, sums, run_id)
        touched[grain] = [period(grain, from_us(us), tz) for us in np.unique(sums.period_us)]
    pairs = set(zip(sums.point_id.tolist(), sums.period_us.tolist(), strict=True))
    finer: Grain = "day"
    for coarser in ("month", "year"):
        pairs = await _roll_grain(connection, coarser, finer, pairs, tz, run_id, touched)
        finer = coarser
    return touched


def _period_keys(point_id: NDArray[np.int32], start_us: NDArray[np.int64]) -> NDArray[np.int64]:
    return point_id.astype(np.int64) << 32 | start_us // BUCKET_US


def _size(window: Window) -> int:
    return int((window.last_bucket - window.first_bucket).total_seconds()) // BUCKET_S + 1


def _whole_days(wanted: Sequence[Window], tz: ZoneInfo) -> list[Window]:
    """Widen windows to the days of the zone that they touch."""
    days = {edge: period("day", edge, tz) for w in wanted for edge in (w.first_bucket, w.last_bucket)}
    width = timedelta(seconds=BUCKET_S)
    return [
        replace(w, first_bucket=days[w.first_bucket].start, last_bucket=days[w.last_bucket].end - width) for w in wanted
    ]


def _within(rows: LedgerRows, wanted: Sequence[Window]) -> LedgerRows:
    """Return the rows, ordered by point, that lie within windows, ordered by point, each point having one."""
    ids = np.array([w.point_id for w in wanted])
    at = np.minimum(np.searchsorted(ids, rows.point_id), len(ids) - 1)
    first = np.array([to_us(w.first_bucket) for w in wanted])[at]
    last = np.array([to_us(w.last_bucket) for w in wanted])[at]
    return _take(rows, (ids[at] == rows.point_id) & (rows.bucket_us >= first) & (rows.bucket_us <= last))


async def _roll(connection: Connection, rows: LedgerRows, tz: ZoneInfo, run_id: int) -> dict[Grain, list[Period]]:
    touched: dict[Grain, list[Period]] = {}
    pairs = set(zip(rows.point_id.tolist(), rows.bucket_us.tolist(), strict=True))
    finer: Grain | None = None
    for grain in GRAINS:
        pairs = await _roll_grain(connection, grain, finer, pairs, tz, run_id, touched)
        finer = grain
    return touched


async def _roll_grain(
    connection: Connection,
    grain: Grain,
    finer: Grain | None,
    pairs: set[tuple[int, int]],
    tz: ZoneInfo,
    run_id: int,
    touched: dict[Grain, list[Period]],
) -> set[tuple[int, int]]:
    """Sum the periods that hold `pairs` (point, start) of the next finer grain; return the periods as pairs."""
    of = {us: period(grain, from_us(us), tz) for _, us in pairs}
    spans = {(point_id, of[us]) for point_id, us in pairs}
    ordered = sorted((point_id, span.start, span.end) for point_id, span in spans)
    await store.roll_up(connection, grain, finer, ordered, run_id)
    touched[grain] = sorted(set(of.values()), key=lambda span: span.start)
    return {(point_id, to_us(span.start)) for point_id, span in spans}


def _bucket(t_us: int) -> datetime:
    return from_us(int(t_us) // BUCKET_US * BUCKET_US)


def _keys(rows: LedgerRows) -> NDArray[np.int64]:
    # Buckets since 1970 stay below 2^32 for ten thousand years.
    return rows.point_id.astype(np.int64) << 32 | rows.bucket_us // BUCKET_US


def _same(new: LedgerRows, old: LedgerRows) -> NDArray[np.bool_]:
    close: NDArray[np.bool_] = np.ones(len(new), bool)
    for name in ("measured", "estimated", "held"):
        a, b = getattr(new, name), getattr(old, name)
        close &= np.isclose(a, b, rtol=RELATIVE_TOLERANCE, atol=1e-12, equal_nan=True)
    for name in ("measured_s", "estimated_s"):
        close &= np.abs(getattr(new, name) - getattr(old, name)) < 1e-2
    close &= new.flags == old.flags
    return close


def _nan_sum(values: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), first)
    return np.where(np.logical_or.reduceat(known, first), sums, np.nan)


def _take(rows: LedgerRows, chosen: NDArray[Any], **replaced: NDArray[Any]) -> LedgerRows:
    return LedgerRows(**{name: replaced.get(name, column[chosen]) for name, column in _as_dict(rows).items()})


def _as_dict(rows: LedgerRows) -> dict[str, NDArray[Any]]:
    return {name: getattr(rows, name) for name in LedgerRows.__slots__}


def _concatenate(parts: Sequence[dict[str, NDArray[Any]]]) -> LedgerRows:
    return LedgerRows(**{name: np.concatenate([part[name] for part in parts]) for name in LedgerRows.__slots__})
