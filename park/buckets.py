"""From readings to what a point moved in each 15-minute bucket, and how much of that is measured.

The total of a register between two readings is known whatever happened between them; only *when* it passed is not.
A step that stays inside one bucket is therefore measured; one that crosses a boundary after a gap is shared out by
time and counted as estimated (`park.gaps` then puts long ones into the course of the weeks before). Seconds that no
step covers are missing: unknown, which is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import BUCKET_S, BUCKET_US, EPOCH, to_us
from park.gaps import PROFILED_US, Gaps, joined, no_gaps
from park.points import Installation, Kind, Label, Point, Quality
from park.registers import US_PER_HOUR, Curve, Step, curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from park.registers import Amounts, Flags, Instants

_US_PER_S: Final = 1_000_000
MIN_GAP_US: Final = 60 * _US_PER_S
"""A gap shorter than this is none, however often a point is read."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Consumption per bucket; all arrays have shape (n,), quantities are in the point's unit.

    Attributes:
        start_us: start of each bucket, microseconds since 1970.
        measured, estimated: quantity; NaN where no second of that sort was covered.
        measured_s, estimated_s: seconds covered; what is left of 900 is missing.
        held: quantity that a person must decide on; counted nowhere.
        flags: union of `Step` classes.
        gaps: gaps of registers longer than an hour, whose totals are in `estimated`, shared out by time.
    """

    start_us: Instants
    measured: Amounts
    estimated: Amounts
    measured_s: Amounts
    estimated_s: Amounts
    held: Amounts
    flags: Flags
    gaps: Gaps = field(default_factory=no_gaps)


def consumption(
    point: Point,
    installations: Sequence[Installation],
    t_us: Instants,
    value: Amounts,
    quality: Flags,
    *,
    first_us: int,
    count: int,
) -> Buckets:
    """Compute `count` buckets from `first_us` on.

    Args:
        point: what is measured.
        installations: the meters that stood there. A register without one has no consumption, as nobody knows its
            multiplier; amounts and rates without one count as they come.
        t_us: instants of the raw readings, rising strictly. For exact results they must include the neighbours before
            and after the buckets asked for: `2 × GLITCH_READINGS + 1` of either side are always enough.
        value: dial values, amounts or rates, same shape.
        quality: `Quality` of each reading, same shape.
        first_us: start of the first bucket.
        count: number of buckets.
    """
    edges = first_us + BUCKET_US * np.arange(count + 1, dtype=np.int64)
    out = _empty(edges)
    good = quality < Quality.BAD
    t_us, value = t_us[good], value[good]
    gaps: list[Gaps] = []
    max_gap_us = max(int(1.5 * point.interval_s * _US_PER_S), MIN_GAP_US)
    for k, meter in enumerate(installations or _bare(point)):
        t, v = of_installation(t_us, value, meter, register=point.kind is Kind.REGISTER)
        if len(t) == 0:
            continue
        if point.kind is Kind.REGISTER:
            steps = curve(
                t,
                v,
                modulus=meter.modulus,
                multiplier=meter.multiplier,
                rate_limit_per_h=point.rate_limit_per_h,
                dial_step=meter.resolution or 0.0,
            )
            segments = _register_segments(steps, max_gap_us)
            _add(out, edges, *segments)
            gaps.append(_gaps(edges, *segments[:3], segments[4]))
            if k > 0 and meter.first_reading is not None:
                _flag(out, edges, np.array([to_us(meter.valid_from)]), int(Step.SWAP))
        elif point.kind is Kind.INTERVAL:
            length_us = point.interval_s * _US_PER_S
            ends = t if point.label is Label.END else t + length_us
            zeros = np.zeros(len(t))
            known = np.ones(len(t), bool)
            _add(
                out,
                edges,
                ends - length_us,
                ends,
                v * meter.multiplier,
                known,
                ~known,
                zeros,
                zeros.astype(np.int16),
            )
        else:
            hours = np.diff(t) / US_PER_HOUR
            amount = (v[1:] + v[:-1]) / 2 * hours * meter.multiplier
            near = np.diff(t) <= max_gap_us
            zeros = np.zeros(len(amount))
            _add(
                out,
                edges,
                t[:-1],
                t[1:],
                np.where(near, amount, 0.0),
                near,
                ~near & False,
                zeros,
                zeros.astype(np.int16),
            )
    return _finish(out, edges, joined(gaps) if gaps else no_gaps())


def _bare(point: Point) -> tuple[Installation, ...]:
    """Amounts and rates come ready made, from an analyser or a file: they need no meter."""
    return () if point.kind is Kind.REGISTER else (Installation(0, "", None, 1.0, EPOCH, None),)


def _empty(edges: Instants) -> dict[str, np.ndarray]:
    n = len(edges) - 1
    names = ("measured", "estimated", "measured_s", "estimated_s", "held")
    return {name: np.zeros(n) for name in names} | {"flags": np.zeros(n, np.int16)}


def of_installation(t_us: Instants, value: Amounts, meter: Installation, *, register: bool) -> tuple[Instants, Amounts]:
    """Cut the readings to the meter's time and close both ends with its first and last dial reading."""
    start, end = to_us(meter.valid_from), None if meter.valid_to is None else to_us(meter.valid_to)
    inside = t_us >= start if end is None else (t_us >= start) & (t_us < end)
    t, v = t_us[inside], value[inside]
    if register and meter.first_reading is not None and (len(t) == 0 or t[0] > start):
        t, v = np.insert(t, 0, start), np.insert(v, 0, meter.first_reading)
    if register and meter.last_reading is not None and end is not None and (len(t) == 0 or t[-1] < end):
        t, v = np.append(t, end), np.append(v, meter.last_reading)
    return t, v


def _register_segments(
    steps: Curve, max_gap_us: int
) -> tuple[Instants, Instants, Amounts, np.ndarray, np.ndarray, Amounts, Flags]:
    t0, t1 = steps.t_us[:-1], steps.t_us[1:]
    flags = steps.step[1:].copy()
    undecided = (flags & (Step.HELD_RESET | Step.HELD_IMPLAUSIBLE)) != 0
    crosses = t0 // BUCKET_US != (t1 - 1) // BUCKET_US
    gap = crosses & ((t1 - t0 > max_gap_us) | ((flags & Step.FROZEN) != 0)) & ~undecided
    flags[gap] |= int(Step.GAP)
    return t0, t1, np.diff(steps.total), ~gap & ~undecided, gap, steps.held[1:], flags


def _gaps(edges: Instants, t0: Instants, t1: Instants, amount: Amounts, gap: np.ndarray) -> Gaps:
    long = gap & (t1 - t0 > PROFILED_US) & (t1 > edges[0]) & (t0 < edges[-1])
    n = int(long.sum())
    zeros = np.zeros(n, np.int64)
    return Gaps(
        t0[long], t1[long], amount[long], zeros, zeros, np.full(n, edges[0]), np.full(n, len(edges) - 1, np.int64)
    )


def _add(
    out: dict[str, np.ndarray],
    edges: Instants,
    t0: Instants,
    t1: Instants,
    amount: Amounts,
    measured: np.ndarray,
    estimated: np.ndarray,
    held: Amounts,
    flags: Flags,
) -> None:
    """Share segments `[t0, t1)` out over the buckets by time, measured and estimated apart."""
    window = (t1 > edges[0]) & (t0 < edges[-1])
    t0, t1, amount, held, flags = t0[window], t1[window], amount[window], held[window], flags[window]
    measured, estimated = measured[window], estimated[window]
    for name, chosen in (("measured", measured), ("estimated", estimated)):
        if not np.any(chosen):
            continue
        where, share, seconds = _shares(edges, t0[chosen], t1[chosen], amount[chosen])
        n = len(edges) - 1
        out[name] += np.bincount(where, share, n)
        out[name + "_s"] += np.bincount(where, seconds, n)
    odd = (held > 0) | (flags != 0)
    if np.any(odd):
        last = len(edges) - 2
        ends = (t1[odd] - 1 - edges[0]) // BUCKET_US
        # What is held belongs to the bucket in which its step ends, which may lie after the window.
        inside = ends <= last
        np.add.at(out["held"], ends[inside], held[odd][inside])
        first = np.clip((t0[odd] - edges[0]) // BUCKET_US, 0, last)
        for a, b, flag in zip(first, np.minimum(ends, last), flags[odd], strict=True):
            out["flags"][a : b + 1] |= flag


def _shares(edges: Instants, t0: Instants, t1: Instants, amount: Amounts) -> tuple[np.ndarray, Amounts, Amounts]:
    """Cut each segment at the bucket edges; return bucket index, share of the amount, and seconds of each piece.

    Every segment overlaps the window; what lies outside of it is not cut up, however long the segment is.
    """
    first = np.maximum((t0 - edges[0]) // BUCKET_US, 0)
    pieces = np.minimum((t1 - 1 - edges[0]) // BUCKET_US, len(edges) - 2) - first + 1
    owner = np.repeat(np.arange(len(t0)), pieces)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    where = first[owner] + nth
    start = np.maximum(t0[owner], edges[0] + where * BUCKET_US)
    end = np.minimum(t1[owner], edges[0] + (where + 1) * BUCKET_US)
    width = (end - start).astype(np.float64)
    share = amount[owner] * (width / (t1 - t0)[owner])
    return where, share, width / _US_PER_S


def _flag(out: dict[str, np.ndarray], edges: Instants, at_us: Instants, flag: int) -> None:
    where = (at_us - edges[0]) // BUCKET_US
    inside = where[(where >= 0) & (where < len(edges) - 1)]
    out["flags"][inside] |= flag


def _finish(out: dict[str, np.ndarray], edges: Instants, gaps: Gaps) -> Buckets:
    # Interval readings whose times jitter overlap by seconds: no bucket is covered more than once.
    measured_s = np.minimum(out["measured_s"], BUCKET_S)
    return Buckets(
        start_us=edges[:-1],
        measured=np.where(out["measured_s"] > 0, out["measured"], np.nan),
        estimated=np.where(out["estimated_s"] > 0, out["estimated"], np.nan),
        measured_s=measured_s,
        estimated_s=np.minimum(out["estimated_s"], BUCKET_S - measured_s),
        held=out["held"],
        flags=out["flags"],
        gaps=gaps,
    )
