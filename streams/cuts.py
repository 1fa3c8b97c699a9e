"""From raw readings to ledger rows: cut into buckets, gaps put into their course, persons' decisions applied.

All of it is pure: the ledger reads and writes around it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.buckets import consumption
from park.calendar import BUCKET_US, from_us, to_us
from park.edits import edited
from park.gaps import WEEK_US, WEEKS, WHOLE_S, shared_out, weights
from park.plain import Stretch, plain, plain_consumption
from park.registers import Step
from store.ledger import LedgerRows, Readings, Window
from streams.rows import concatenate, keys, overlay, take
from streams.windows import bucket_of, size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from park.buckets import Buckets
    from store.registry import MeteredPoint

TOLD: Final = timedelta(weeks=WEEKS)
"""For so long after it a bucket tells the course of gaps."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Readings cut into buckets, gaps still shared out by time, no person's decision applied.

    Attributes:
        point_id: point of each bucket.
        stretch_point: point of each stretch that a gap may name.
        subject: the point with its decisions; None: many points without any.
    """

    buckets: Buckets
    point_id: NDArray[np.int32]
    stretch_point: NDArray[np.int32]
    subject: MeteredPoint | None


def cut(points: Sequence[MeteredPoint], raw: Readings, wanted: Sequence[Window]) -> list[Cut]:
    """Cut raw readings into the buckets of the windows.

    Args:
        points: the points of the windows, with their meters.
        raw: readings ordered by point and time, neighbours of the windows included.
        wanted: at most one window for each point.
    """
    by_id = {metered.point.point_id: metered for metered in points}
    stretches = [_stretch(by_id[window.point_id], raw, window) for window in wanted]
    together = plain(stretches, raw.t_us, raw.value, raw.quality)
    together &= np.array([not by_id[window.point_id].edits for window in wanted], bool)
    cuts: list[Cut] = []
    easy = [stretch for stretch, chosen in zip(stretches, together, strict=True) if chosen]
    if easy:
        owner, result = plain_consumption(easy, raw.t_us, raw.value)
        ids = np.array([stretch.point.point_id for stretch in easy], np.int32)
        cuts.append(Cut(result, ids[owner], ids, None))
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
        point_id = stretch.point.point_id
        ids = np.full(stretch.count, point_id, np.int32)
        cuts.append(Cut(result, ids, np.array([point_id], np.int32), by_id[point_id]))
    return cuts


def compute(
    points: Sequence[MeteredPoint],
    raw: Readings,
    wanted: Sequence[Window],
    tz: ZoneInfo,
    *,
    now: datetime,
    run_id: int,
) -> LedgerRows:
    """Compute the ledger rows from all that was ever read of these points (`whole`); see `cut` and `settled`."""
    return settled(cut(points, raw, wanted), None, tz, now=now, run_id=run_id)


def settled(cuts: Sequence[Cut], before: LedgerRows | None, tz: ZoneInfo, *, now: datetime, run_id: int) -> LedgerRows:
    """Put gaps into the course of the weeks before them, apply persons' decisions, and return the ledger rows.

    Buckets without any coverage give no row.

    Args:
        cuts: what was read.
        before: what stands in the ledger of the weeks before the gaps; what is cut now counts instead of it.
        tz: the park's zone.
        now: decides which buckets are closed.
        run_id: the run that the rows will name.
    """
    now_us = to_us(now)
    rows = _settled(cuts, now_us, run_id)
    if not any(len(found.buckets.gaps) for found in cuts):
        return rows
    return _settled(put_into_course(cuts, rows if before is None else overlay(before, rows), tz), now_us, run_id)


def _settled(cuts: Sequence[Cut], now_us: int, run_id: int) -> LedgerRows:
    parts = []
    for found in cuts:
        edits = () if found.subject is None else found.subject.edits
        result, _ = edited(found.buckets, edits)
        parts.append(as_rows(found.point_id, result, now_us, run_id))
    rows = concatenate(parts)
    return rows if len(parts) == 1 else take(rows, np.argsort(keys(rows), kind="stable"))


def _stretch(metered: MeteredPoint, raw: Readings, window: Window) -> Stretch:
    a, b = np.searchsorted(raw.point_id, [window.point_id, window.point_id + 1])
    return Stretch(metered.point, metered.installations, int(a), int(b), to_us(window.first_bucket), size(window))


def as_rows(point_id: NDArray[np.int32], result: Buckets, now_us: int, run_id: int) -> dict[str, NDArray[Any]]:
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


def put_into_course(cuts: Sequence[Cut], known: LedgerRows, tz: ZoneInfo) -> list[Cut]:
    """Return the cuts with each gap's total as the weeks before it went; see `park.gaps`.

    Args:
        cuts: gaps shared out by time.
        known: ledger rows by point and bucket that may tell; those that a person decided about do not.
        tz: the park's zone.
    """
    tells = (known.measured_s >= WHOLE_S) & ((known.flags & int(Step.EDITED)) == 0)
    point_id, bucket_us, measured = known.point_id[tells], known.bucket_us[tells], known.measured[tells]
    done = []
    for found in cuts:
        gaps = found.buckets.gaps
        estimated = found.buckets.estimated.copy()
        for k in range(len(gaps)):
            point = found.stretch_point[gaps.owner[k]]
            a, b = np.searchsorted(point_id, [point, point + 1])
            course = weights(int(gaps.t0_us[k]), int(gaps.t1_us[k]), bucket_us[a:b], measured[a:b], tz)
            if course is not None:
                shared_out(estimated, gaps, k, *course)
        done.append(replace(found, buckets=replace(found.buckets, estimated=estimated)))
    return done


def weeks_before(cuts: Sequence[Cut]) -> list[Window]:
    """Return what of the ledger tells the course of the cuts' gaps, one window for each point with gaps, by point."""
    spans: dict[int, tuple[int, int]] = {}
    for found in cuts:
        gaps = found.buckets.gaps
        for owner, t0_us in zip(gaps.owner.tolist(), gaps.t0_us.tolist(), strict=True):
            point_id = int(found.stretch_point[owner])
            low, high = spans.get(point_id, (t0_us, t0_us))
            spans[point_id] = (min(low, t0_us), max(high, t0_us))
    return [
        Window(point_id, bucket_of(low - WEEKS * WEEK_US), bucket_of(high))
        for point_id, (low, high) in sorted(spans.items())
    ]


def told_later(rows: LedgerRows, raw: Readings, wanted: Sequence[Window]) -> list[tuple[int, datetime, datetime]]:
    """Return for each point with readings after its window: from when to when gaps may take a course from `rows`.

    Gaps within the windows have been put into theirs. In live operation nothing follows, and there is nothing to do.
    """
    found = []
    for window in wanted:
        a, b = np.searchsorted(raw.point_id, [window.point_id, window.point_id + 1])
        after = window.last_bucket + timedelta(microseconds=BUCKET_US)
        if a == b or int(raw.t_us[b - 1]) < to_us(after):
            continue
        first, last = np.searchsorted(rows.point_id, [window.point_id, window.point_id + 1])
        if first < last:
            found.append((window.point_id, window.last_bucket, from_us(int(rows.bucket_us[first:last].max())) + TOLD))
    return found
