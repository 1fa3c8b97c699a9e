"""The consumption ledger: from what changed to the rows that say something new.

`streams.cuts` and `streams.rows` decide, and are pure; `advance` and `rebuild` read and write around them. An advance
touches what a change can reach; a rebuild computes everything, and both give the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import GRAINS, Grain, Period, from_us, period, to_us
from park.periods import period_starts
from store import ledger as store
from store.ledger import LedgerRows, PeriodRows, Window
from streams.cuts import compute, cut, settled, told_later, weeks_before
from streams.metrics import stage
from streams.rows import Runs, as_dict, changed, concatenate, keys, none_of, overlay, period_keys, roll, take, within
from streams.windows import merge, one_each, reach, size, whole, whole_days, with_context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from store.pool import Connection
    from store.registry import MeteredPoint

MANY_BUCKETS: Final = 2000
"""From so many buckets on, a pass copies columns instead of merging rows one by one. Both give the same rows."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What a pass over one firm wrote."""

    buckets: int
    revisions: int
    touched: dict[Grain, list[Period]]
    touched_buckets: list[datetime]


async def advance(
    connection: Connection,
    points: Sequence[MeteredPoint],
    marks: Sequence[store.Mark],
    tz: ZoneInfo,
    *,
    now: datetime,
    runs: Runs,
) -> LedgerRows:
    """Recompute what the marks can reach, inside the caller's transaction; return the rows that were written.

    The points may be of several firms: what becomes of a point does not depend on the others.
    """
    spans = merge([(mark.point_id, mark.t_from, mark.t_to) for mark in marks])
    with stage("windows"):
        wanted = reach(points, one_each(await store.windows(connection, spans)))
    with stage("readings"):
        wanted, raw = await with_context(connection, points, wanted)
    with stage("compute"):
        cuts = cut(points, raw, wanted)
    with stage("courses"):
        before = await store.stored_rows(connection, courses) if (courses := weeks_before(cuts)) else None
    with stage("compute"):
        new = settled(cuts, before, tz, now=now, run_id=0)
    # Many buckets are written and summed as columns, a few by statements that read only what they need.
    many = sum(map(size, wanted)) >= MANY_BUCKETS
    with stage("stored"):
        around = await store.stored_rows(connection, whole_days(wanted, tz) if many else wanted)
        old = within(around, wanted) if many else around
    with stage("compare"):
        rows = changed(new, old, now=now, run_id=0)
        rows = take(rows, np.argsort(keys(rows), kind="stable"), run_id=runs.of(np.sort(rows.point_id)))
    if len(rows) == 0:
        return rows
    if many:
        with stage("write"):
            await _replace(connection, old, rows, runs)
        with stage("roll_up"):
            await _roll_many(connection, overlay(around, rows), rows, tz, runs)
    else:
        with stage("write"):
            await store.write_changed(connection, rows)
        with stage("roll_up"):
            await _roll(connection, rows, tz, runs)
    if later := told_later(rows, raw, wanted):
        # What changed may be the course of gaps in the weeks after it. They change nothing in turn: a bucket tells
        # only if it was measured whole.
        with stage("courses"):
            gaps = await store.gaps_between(connection, later)
        if gaps:
            again = [store.Mark(point_id, first, last, "course", now) for point_id, first, last in gaps]
            more = await advance(connection, points, again, tz, now=now, runs=runs)
            rows = concatenate([as_dict(rows), as_dict(more)])
    return rows


def told_of(rows: LedgerRows, tz: ZoneInfo, point_ids: set[int] | None = None) -> Advance:
    """Return what rows came to, or those of some points among them."""
    if point_ids is not None:
        rows = take(rows, np.isin(rows.point_id, list(point_ids)))
    buckets = np.unique(rows.bucket_us)
    touched: dict[Grain, list[Period]] = {}
    for grain in GRAINS:
        touched[grain] = [
            period(grain, from_us(us), tz) for us in np.unique(period_starts(grain, buckets, tz)).tolist()
        ]
    return Advance(len(rows), int((rows.revision > 0).sum()), touched, [from_us(us) for us in buckets.tolist()])


async def rebuild(
    connection: Connection, points: Sequence[MeteredPoint], tz: ZoneInfo, *, now: datetime, runs: Runs
) -> LedgerRows:
    """Compute everything of points whose ledger is empty: the same rows as an advance over all readings, faster."""
    ids = [metered.point.point_id for metered in points]
    raw = await store.all_readings(connection, ids)
    if len(raw.point_id) == 0 and not any(metered.edits for metered in points):
        return none_of()
    rows = compute(points, raw, whole(points, raw), tz, now=now, run_id=0)
    rows = replace(rows, run_id=runs.of(rows.point_id))
    await store.copy_new(connection, rows)
    for grain in GRAINS:
        periods = roll(rows, grain, tz)
        await store.copy_new_periods(connection, grain, periods, runs.of(periods.point_id))
    return rows


async def _replace(connection: Connection, old: LedgerRows, rows: LedgerRows, runs: Runs) -> None:
    """Write rows as `store.write_changed` does: the span of each point is taken out and copied back in."""
    first = np.flatnonzero(np.diff(rows.point_id, prepend=-1))
    last = np.append(first[1:], len(rows)) - 1
    spans = [
        Window(int(rows.point_id[a]), from_us(int(rows.bucket_us[a])), from_us(int(rows.bucket_us[b])))
        for a, b in zip(first, last, strict=True)
    ]
    there = within(old, spans)
    at = np.minimum(np.searchsorted(keys(rows), keys(there)), len(rows) - 1)
    overwritten = keys(rows)[at] == keys(there)
    revised = overwritten & there.closed & (there.revision < rows.revision[at])
    superseded = take(there, revised)
    by = runs.of(superseded.point_id)
    await store.replace_spans(connection, spans, overlay(there, rows), superseded, by)


async def _roll_many(connection: Connection, rows: LedgerRows, fresh: LedgerRows, tz: ZoneInfo, runs: Runs) -> None:
    """Sum whole days of rows into hours and days, and the days with those around them into months and years."""
    for grain in ("hour", "day"):
        sums = roll(rows, grain, tz)
        wanted = period_keys(fresh.point_id, period_starts(grain, fresh.bucket_us, tz))
        moved = np.isin(period_keys(sums.point_id, sums.period_us), wanted, kind="sort")
        sums = PeriodRows(**{name: getattr(sums, name)[moved] for name in PeriodRows.__slots__})
        await store.write_periods(connection, grain, sums, runs.of(sums.point_id))
    pairs = set(zip(sums.point_id.tolist(), sums.period_us.tolist(), strict=True))
    finer: Grain = "day"
    for coarser in ("month", "year"):
        pairs = await _roll_grain(connection, coarser, finer, pairs, tz, runs)
        finer = coarser


async def _roll(connection: Connection, rows: LedgerRows, tz: ZoneInfo, runs: Runs) -> None:
    pairs = set(zip(rows.point_id.tolist(), rows.bucket_us.tolist(), strict=True))
    finer: Grain | None = None
    for grain in GRAINS:
        pairs = await _roll_grain(connection, grain, finer, pairs, tz, runs)
        finer = grain


async def _roll_grain(
    connection: Connection, grain: Grain, finer: Grain | None, pairs: set[tuple[int, int]], tz: ZoneInfo, runs: Runs
) -> set[tuple[int, int]]:
    """Sum the periods that hold `pairs` (point, start) of the next finer grain; return the periods as pairs."""
    of = {us: period(grain, from_us(us), tz) for us in {us for _, us in pairs}}
    spans = {(point_id, of[us]) for point_id, us in pairs}
    ordered = sorted((point_id, span.start, span.end) for point_id, span in spans)
    run_ids = runs.of(np.array([point_id for point_id, _, _ in ordered], np.int32))
    await store.roll_up(connection, grain, finer, ordered, run_ids.tolist())
    return {(point_id, to_us(span.start)) for point_id, span in spans}
