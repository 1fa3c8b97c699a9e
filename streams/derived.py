"""What follows from a firm's ledger: virtual points, tariff periods, and the balances of the park's meter graph."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.calendar import BUCKET_S, BUCKET_US, GRAINS, Grain, Period, bucket_start, from_us, period, to_us
from park.graph import Balance, balances
from park.periods import period_starts
from park.points import Kind
from park.tariffs import CLASSES, load_tariffs, shares
from park.virtual import Input, combine
from store import graph as store
from store import ledger
from store.graph import TariffRow
from store.ledger import LedgerRows
from streams.rows import changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from store.ledger import Mark
    from store.pool import Connection
    from store.registry import MeteredPoint
    from streams.indicators import Span
    from streams.ledger import Advance

REGION: Final = "CN-CQ"
"""Where the meters stand, for the tariff tables."""
_WIDTH: Final = timedelta(seconds=BUCKET_S)
_BALANCED: Final = ("day", "month")


async def derive(
    connection: Connection,
    inputs: Mapping[int, Mapping[int, float]],
    points: Sequence[MeteredPoint],
    marks: Sequence[Mark],
    done: Advance,
    tz: ZoneInfo,
    *,
    now: datetime,
    run_id: int,
) -> Advance:
    """Bring virtual points and tariff periods to what the ledger of a firm says now, in the caller's transaction.

    `inputs`: the measured points and their factors of each of its virtual points. Returns `done` with what the virtual
    points touched besides.
    """
    marked = {mark.point_id for mark in marks}
    affected = {v: of for v, of in inputs.items() if v in marked or not marked.isdisjoint(of)}
    if affected:
        forced = [mark for mark in marks if mark.point_id in affected]
        done = await _virtual(connection, affected, forced, done, tz, now=now, run_id=run_id)
    metered = [
        m.point.point_id
        for m in points
        if m.point.carrier == "electricity"
        and m.point.kind is not Kind.GAUGE
        and m.point.point_id in marked | set(affected)
    ]
    closed = [bucket for bucket in done.touched_buckets if bucket + _WIDTH <= now]
    if metered and closed:
        await _tariffs(connection, metered, closed, tz, run_id)
    return done


async def _virtual(
    connection: Connection,
    inputs: Mapping[int, Mapping[int, float]],
    forced: Sequence[Mark],
    done: Advance,
    tz: ZoneInfo,
    *,
    now: datetime,
    run_id: int,
) -> Advance:
    stretches = stretches_of(
        [(bucket, bucket + _WIDTH) for bucket in done.touched_buckets]
        + [(bucket_start(mark.t_from) - _WIDTH, bucket_start(mark.t_to) + 2 * _WIDTH) for mark in forced]
    )
    if not stretches:
        return done
    ids = set(inputs) | {point_id for of in inputs.values() for point_id in of}
    rows = await store.buckets_of(connection, ids, stretches)
    new = compute_virtual(inputs, rows, now=now, run_id=run_id)
    old = _of(rows, np.isin(rows.point_id, list(inputs)))
    write = changed(new, old, now=now, run_id=run_id)
    if len(write) == 0:
        return done
    await ledger.write_changed(connection, write)
    touched = await _roll(connection, write, tz, run_id)
    return replace(
        done,
        buckets=done.buckets + len(write),
        revisions=done.revisions + int((write.revision > 0).sum()),
        touched={grain: _merged(done.touched.get(grain, []), touched[grain]) for grain in GRAINS},
        touched_buckets=sorted({*done.touched_buckets, *(from_us(us) for us in np.unique(write.bucket_us))}),
    )


def compute_virtual(
    inputs: Mapping[int, Mapping[int, float]], rows: LedgerRows, *, now: datetime, run_id: int
) -> LedgerRows:
    """Compute the ledger rows of virtual points from those of their inputs, over all buckets that `rows` holds."""
    grid = np.unique(rows.bucket_us)
    parts = [
        _virtual_rows(point_id, [_input(rows, grid, source, k) for source, k in of.items()], grid, now, run_id)
        for point_id, of in sorted(inputs.items())
        if of
    ]
    if not parts:
        return _of(rows, np.zeros(len(rows), bool))
    return LedgerRows(**{name: np.concatenate([part[name] for part in parts]) for name in LedgerRows.__slots__})


def _virtual_rows(
    point_id: int, inputs: Sequence[Input], grid: NDArray[np.int64], now: datetime, run_id: int
) -> dict[str, NDArray[Any]]:
    found = combine(inputs)
    known = found.known
    n = int(known.sum())
    measured, estimated = found.measured[known], found.estimated[known]
    return {
        "point_id": np.full(n, point_id, np.int32),
        "bucket_us": grid[known],
        "measured": measured,
        "estimated": estimated,
        "measured_s": np.where(np.isnan(measured), 0, BUCKET_S).astype(np.float32),
        "estimated_s": np.where(np.isnan(estimated), 0, BUCKET_S).astype(np.float32),
        "held": np.zeros(n),
        "flags": found.flags[known],
        "closed": grid[known] + BUCKET_US <= to_us(now),
        "revision": np.zeros(n, np.int16),
        "run_id": np.full(n, run_id, np.int64),
    }


def _input(rows: LedgerRows, grid: NDArray[np.int64], point_id: int, factor: float) -> Input:
    mine = rows.point_id == point_id
    at = np.searchsorted(grid, rows.bucket_us[mine])

    def spread(column: NDArray[Any], empty: float) -> NDArray[np.float64]:
        out = np.full(len(grid), empty)
        out[at] = column[mine]
        return out

    return Input(
        factor,
        spread(rows.measured, np.nan),
        spread(rows.estimated, np.nan),
        spread(rows.measured_s, 0),
        spread(rows.estimated_s, 0),
        spread(rows.flags, 0).astype(np.int16),
    )


async def _tariffs(
    connection: Connection, point_ids: Sequence[int], buckets: Iterable[datetime], tz: ZoneInfo, run_id: int
) -> None:
    days = _periods("day", buckets, tz)
    months = _periods("month", (day.start for day in days), tz)
    stretches = stretches_of((day.start, day.end) for day in days)
    rows = await store.buckets_of(connection, point_ids, stretches)
    found = tariff_rows(rows, tz)
    spans = [(month.start, month.end) for month in months]
    await store.write_tariff(connection, point_ids, [day.start for day in days], spans, found, run_id)


def tariff_rows(rows: LedgerRows, tz: ZoneInfo, region: str = REGION) -> list[TariffRow]:
    """Divide closed ledger rows of whole days among the tariff classes: one row for each point, day, table and class.

    Of a bucket with an edge of the tariff inside, each class gets its share of the time, as an estimate.
    """
    closed = rows.closed & ((rows.measured_s > 0) | (rows.estimated_s > 0))
    rows = _of(rows, closed)
    if len(rows) == 0:
        return []
    grid, back = np.unique(rows.bucket_us, return_inverse=True)
    by_bucket, tables = shares(load_tariffs(), region, grid, tz)
    day = period_starts("day", rows.bucket_us, tz)
    table_ids = sorted({table or "" for table in tables})
    table = np.array([table_ids.index(t or "") for t in tables])[back]
    part = by_bucket[back]
    out: list[TariffRow] = []
    for k, tariff_class in enumerate(CLASSES):
        share = part[:, k]
        inside = share > 0
        if not inside.any():
            continue
        keys = np.stack([rows.point_id[inside], day[inside], table[inside]])
        groups, of = np.unique(keys, axis=1, return_inverse=True)
        of, n = of.reshape(-1), groups.shape[1]
        whole = (share == 1.0)[inside]
        m, e = rows.measured[inside] * share[inside], rows.estimated[inside] * share[inside]
        ms, es = rows.measured_s[inside] * share[inside], rows.estimated_s[inside] * share[inside]
        moved = _sum(of, n, np.where(whole, np.nan, m)), _sum(of, n, e)
        estimated = np.where(np.isnan(moved[0]), moved[1], np.nan_to_num(moved[0]) + np.nan_to_num(moved[1]))
        measured = _sum(of, n, np.where(whole, m, np.nan))
        measured_s = np.bincount(of, np.where(whole, ms, 0), n)
        estimated_s = np.bincount(of, es + np.where(whole, 0, ms), n)
        out += [
            TariffRow(
                int(groups[0, g]),
                from_us(int(groups[1, g])),
                table_ids[int(groups[2, g])],
                tariff_class.value,
                float(measured[g]),
                float(estimated[g]),
                float(measured_s[g]),
                float(estimated_s[g]),
            )
            for g in range(n)
        ]
    return out


def _sum(of: NDArray[np.intp], n: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    sums = np.bincount(of[known], values[known], n)
    return np.where(np.bincount(of[known], minlength=n) > 0, sums, np.nan)


def balanced(touched: Mapping[Grain, Sequence[Period]]) -> list[tuple[str, datetime]]:
    """Return those of some periods for which balances are kept."""
    return [(grain, each.start) for grain in GRAINS if grain in _BALANCED for each in touched.get(grain, ())]


async def balance_park(
    connection: Connection, park_id: int, spans: Sequence[Span], *, now: datetime, run_id: int
) -> None:
    """Write the balances of a park's nodes for the days and months among the spans, in the caller's transaction."""
    found = await store.graph(connection, park_id)
    for grain in _BALANCED:
        mine = {span.start: span for span in spans if span.grain == grain}
        if not mine:
            continue
        moved = await store.period_amounts(connection, found, grain, list(mine)) if found.edges else {}
        rows: dict[datetime, list[Balance]] = {
            start: balances(found.nodes, found.edges, moved.get(start, {}), start, span.end, now=now)
            for start, span in mine.items()
        }
        await store.write_balances(connection, park_id, found, grain, rows, run_id)


def stretches_of(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Join spans that meet or overlap into disjoint stretches, in order."""
    joined: list[tuple[datetime, datetime]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _periods(grain: Grain, instants: Iterable[datetime], tz: ZoneInfo) -> list[Period]:
    return sorted({period(grain, instant, tz) for instant in instants}, key=lambda found: found.start)


def _merged(a: Iterable[Period], b: Iterable[Period]) -> list[Period]:
    return sorted({*a, *b}, key=lambda found: found.start)


def _of(rows: LedgerRows, chosen: NDArray[np.bool_]) -> LedgerRows:
    return LedgerRows(**{name: getattr(rows, name)[chosen] for name in LedgerRows.__slots__})


async def _roll(connection: Connection, rows: LedgerRows, tz: ZoneInfo, run_id: int) -> dict[Grain, list[Period]]:
    """Sum what holds these rows into hours, days, months and years."""
    touched: dict[Grain, list[Period]] = {}
    pairs = set(zip(rows.point_id.tolist(), (from_us(us) for us in rows.bucket_us), strict=True))
    finer: Grain | None = None
    for grain in GRAINS:
        spans = {(point_id, period(grain, start, tz)) for point_id, start in pairs}
        ordered = sorted((p, s.start, s.end) for p, s in spans)
        await ledger.roll_up(connection, grain, finer, ordered, [run_id] * len(ordered))
        touched[grain] = _merged((span for _, span in spans), ())
        pairs = {(point_id, span.start) for point_id, span in spans}
        finer = grain
    return touched
