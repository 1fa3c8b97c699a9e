"""Ledger rows as columns: what changed against what stands, one laid over the other, and their sums by period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.calendar import BUCKET_US, Grain, to_us
from park.periods import period_starts
from store.ledger import LedgerRows, PeriodRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from store.ledger import Window


@dataclass(frozen=True, slots=True)
class Runs:
    """Which run computes each point: `run_id[k]` those of `point_id[k]`, rising; no points: all of them.

    Attributes:
        point_id: int32 (n,), or (0,).
        run_id: int64 (n,), or (1,).
    """

    point_id: NDArray[np.int32]
    run_id: NDArray[np.int64]

    @classmethod
    def one(cls, run_id: int) -> Runs:
        """Return one run for every point."""
        return cls(np.zeros(0, np.int32), np.array([run_id], np.int64))

    @classmethod
    def by_point(cls, run_of: Mapping[int, int]) -> Runs:
        """Return runs by point."""
        ids = sorted(run_of)
        return cls(np.array(ids, np.int32), np.array([run_of[point_id] for point_id in ids], np.int64))

    def of(self, point_id: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the run of each point."""
        if len(self.point_id) == 0:
            return np.full(len(point_id), self.run_id[0], np.int64)
        return self.run_id[np.searchsorted(self.point_id, point_id)]


RELATIVE_TOLERANCE: Final = 1e-9
"""Two sums of the same steps in another order differ by less; it is no change."""


def changed(new: LedgerRows, old: LedgerRows, *, now: datetime, run_id: int) -> LedgerRows:
    """Return the rows that must be written: new ones, differing ones, and emptied ones.

    A differing row whose old version was closed gets the next revision. A row that no reading supports any more is
    emptied, not deleted: that nothing is known is a statement, and it replaces one.
    """
    new_key, old_key = keys(new), keys(old)
    at = np.searchsorted(old_key, new_key)
    known = np.zeros(len(new), bool)
    inside = at < len(old)
    known[inside] = old_key[at[inside]] == new_key[inside]
    where = at[known]
    same = np.zeros(len(new), bool)
    same[known] = _same(take(new, known), take(old, where)) & (new.closed[known] == old.closed[where])
    revision = new.revision.copy()
    revision[known] = old.revision[where]
    quantities_same = np.zeros(len(new), bool)
    quantities_same[known] = _same(take(new, known), take(old, where))
    revised = known & ~quantities_same
    revised[known] &= old.closed[where]
    revision[revised] += 1
    write = ~same
    rows = take(new, write, revision=revision[write])
    gone = ~np.isin(old_key, new_key, kind="sort") & (
        (old.measured_s > 0) | (old.estimated_s > 0) | (old.held > 0) | (old.flags != 0)
    )
    if gone.any():
        rows = concatenate([as_dict(rows), _emptied(take(old, gone), now=now, run_id=run_id)])
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


def overlay(old: LedgerRows, rows: LedgerRows) -> LedgerRows:
    """Return what the ledger says once `rows` are written over `old`, ordered by point and bucket."""
    kept = take(old, ~np.isin(keys(old), keys(rows), kind="sort"))
    both = concatenate([as_dict(kept), as_dict(rows)])
    return take(both, np.argsort(keys(both), kind="stable"))


def period_keys(point_id: NDArray[np.int32], start_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for each (point, period), in their order."""
    return point_id.astype(np.int64) << 32 | start_us // BUCKET_US


def within(rows: LedgerRows, wanted: Sequence[Window]) -> LedgerRows:
    """Return the rows, ordered by point, that lie within windows, ordered by point, each point having one."""
    ids = np.array([w.point_id for w in wanted])
    at = np.minimum(np.searchsorted(ids, rows.point_id), len(ids) - 1)
    first = np.array([to_us(w.first_bucket) for w in wanted])[at]
    last = np.array([to_us(w.last_bucket) for w in wanted])[at]
    return take(rows, (ids[at] == rows.point_id) & (rows.bucket_us >= first) & (rows.bucket_us <= last))


def keys(rows: LedgerRows) -> NDArray[np.int64]:
    """Return one number for each (point, bucket), in their order."""
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


def none_of() -> LedgerRows:
    """Return no rows."""
    kinds = {"point_id": np.int32, "bucket_us": np.int64, "flags": np.int16, "closed": np.bool_, "revision": np.int16}
    kinds |= {"run_id": np.int64, "measured_s": np.float32, "estimated_s": np.float32}
    return LedgerRows(**{name: np.zeros(0, kinds.get(name, np.float64)) for name in LedgerRows.__slots__})


def take(rows: LedgerRows, chosen: NDArray[Any], **replaced: NDArray[Any]) -> LedgerRows:
    """Return chosen rows, some columns replaced."""
    return LedgerRows(**{name: replaced.get(name, column[chosen]) for name, column in as_dict(rows).items()})


def as_dict(rows: LedgerRows) -> dict[str, NDArray[Any]]:
    """Return the columns by name."""
    return {name: getattr(rows, name) for name in LedgerRows.__slots__}


def concatenate(parts: Sequence[dict[str, NDArray[Any]]]) -> LedgerRows:
    """Return rows of several parts, one after the other."""
    return LedgerRows(**{name: np.concatenate([part[name] for part in parts]) for name in LedgerRows.__slots__})
