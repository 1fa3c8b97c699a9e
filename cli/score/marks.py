"""Marking, pure: the truth and what the platform holds go in, a score comes out."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.calendar import BUCKET_US, from_us, to_us
from simulators.truth import Expected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cli.score.indicators import IndicatorMarks
    from simulators.truth import FaultTruth, Truth
    from store.marking import HeldLedger, HeldReadings

_FULL_S: Final = 899.5
_SLACK_US: Final = 2 * BUCKET_US
"""How long after a fault an episode may still be opened by it."""


@dataclass(frozen=True, slots=True)
class ReadingMarks:
    """Stored readings against those that arrived.

    Attributes:
        lost: point and instant that should be there and are not.
        doubled: point and instant that stand more than once.
        unexpected: stored, although nothing of the kind was sent.
        altered: there, with another value or quality than came first.
        conflicts, quarantined: kept aside, against `…_expected`.
    """

    expected: int
    lost: int
    doubled: int
    unexpected: int
    altered: int
    conflicts: int
    conflicts_expected: int
    quarantined: int
    quarantined_expected: int


@dataclass(frozen=True, slots=True)
class PointMarks:
    """The ledger of one point against its truth, over the whole scenario, in the point's unit.

    Attributes:
        error: ledger minus truth.
        error_ppm: what of the error goes beyond one step of the dial, in millionths of the truth; where a person must
            decide about a part that is shown as held, that part is counted first.
        recoverable: whether the truth can be known from what was sent.
        wrong_state: buckets that are measured, estimated or missing when they should be another of these.
        wrong_quantity: measured buckets whose quantity is off by more than the dial explains.
    """

    firm: str
    point: str
    unit: str
    truth: float
    ledger: float
    error: float
    error_ppm: float
    recoverable: bool
    wrong_state: int
    wrong_quantity: int
    held: float


@dataclass(frozen=True, slots=True)
class AlertMarks:
    """Episodes against faults that should have caused one. None where nothing was to be found.

    Attributes:
        retracted_missing: None: which episodes late data disprove is not judged yet.
    """

    expected: int
    episodes: int
    precision: float | None
    recall: float | None
    duplicates: int
    wrong_recipient: int
    retracted_missing: int | None
    time_to_detect_median_s: float | None
    by_rule: dict[str, dict[str, float | int | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """All marks of one scenario."""

    scenario: str
    seed: int
    readings: ReadingMarks
    points: tuple[PointMarks, ...]
    indicators: IndicatorMarks
    alerts: AlertMarks

    @property
    def error_ppm_max(self) -> float:
        """Return the largest ledger error of a recoverable point, in parts per million."""
        return max((p.error_ppm for p in self.points if p.recoverable), default=0.0)


def mark_readings(
    truth: Truth, held: HeldReadings, ids: Mapping[tuple[str, str], int], kept_aside: tuple[int, int]
) -> ReadingMarks:
    """Compare stored readings with those that arrived."""
    of_row = np.array([ids[point.firm, point.code] for point in truth.points], np.int64)
    want_key = _key(of_row[truth.reading_point], truth.reading_t_us)
    have_key = _key(held.point_id.astype(np.int64), held.t_us)
    order = np.argsort(want_key)
    want_key, value, quality = want_key[order], truth.reading_value[order], truth.reading_quality[order]
    distinct, first, times = np.unique(have_key, return_index=True, return_counts=True)
    there = np.isin(want_key, distinct)
    at = first[np.searchsorted(distinct, want_key[there])]
    altered = (held.value[at] != value[there]) | (held.quality[at] != quality[there])
    return ReadingMarks(
        expected=len(want_key),
        lost=int((~there).sum()),
        doubled=int((times - 1).sum()),
        unexpected=int((~np.isin(distinct, want_key)).sum()),
        altered=int(altered.sum()),
        conflicts=kept_aside[0],
        conflicts_expected=truth.conflicts,
        quarantined=kept_aside[1],
        quarantined_expected=truth.quarantined,
    )


def _key(point: NDArray[np.int64], t_us: NDArray[np.int64]) -> NDArray[np.int64]:
    # Milliseconds stay below 2^42 for a century; points below 2^21.
    return point << 42 | t_us // 1000


def mark_ledger(truth: Truth, held: HeldLedger, ids: Mapping[tuple[str, str], int]) -> tuple[PointMarks, ...]:
    """Compare the ledger with the truth, point by point. Gauges have no consumption and are left out."""
    marks = []
    for k, point in enumerate(truth.points):
        if point.kind == "gauge":
            continue
        mine = held.point_id == ids[point.firm, point.code]
        where = np.searchsorted(truth.bucket_us, held.bucket_us[mine])
        n = len(truth.bucket_us)
        measured, estimated = np.zeros(n), np.zeros(n)
        measured_s, estimated_s = np.zeros(n), np.zeros(n)
        measured[where] = np.nan_to_num(held.measured[mine])
        estimated[where] = np.nan_to_num(held.estimated[mine])
        measured_s[where], estimated_s[where] = held.measured_s[mine], held.estimated_s[mine]
        total = float((measured + estimated).sum())
        true = float(truth.quantity[k].sum())
        decided = total + float(held.held[mine].sum()) if point.with_held else total
        beyond = max(0.0, abs(decided - true) - 2 * point.step - 1e-9 * abs(true))
        expected = truth.expected[k]
        state = _state(measured_s, estimated_s)
        off = _off(measured, truth.quantity[k], point.step, buckets_of(point.kind, point.interval_s))
        recoverable = point.conserved and not bool(np.any(expected == Expected.MISSING))
        marks.append(
            PointMarks(
                firm=point.firm,
                point=point.code,
                unit=point.unit,
                truth=true,
                ledger=total,
                error=total - true,
                error_ppm=1e6 * beyond / true if true else (0.0 if beyond == 0 else float("inf")),
                recoverable=recoverable,
                wrong_state=int(_wrong(expected, state).sum()),
                wrong_quantity=int((off & (expected == Expected.MEASURED) & (state == Expected.MEASURED)).sum()),
                held=float(held.held[mine].sum()),
            )
        )
    return tuple(marks)


def buckets_of(kind: str, interval_s: int) -> int:
    """Return over how many buckets an amount is spread evenly: its course within them is not known."""
    return max(1, interval_s * 1_000_000 // BUCKET_US) if kind == "interval" else 1


def _off(measured: NDArray[np.float64], true: NDArray[np.float64], step: float, group: int) -> NDArray[np.bool_]:
    """Tell which buckets are off by more than the dial explains; those of one interval are taken together."""
    whole = len(true) // group * group
    sums = [column[:whole].reshape(-1, group).sum(axis=1) for column in (measured, true)]
    off = np.abs(sums[0] - sums[1]) > 2 * step + 1e-9 * sums[1]
    return np.append(np.repeat(off, group), np.zeros(len(true) - whole, bool))


def _state(measured_s: NDArray[np.float64], estimated_s: NDArray[np.float64]) -> NDArray[np.int64]:
    state = np.full(len(measured_s), int(Expected.MISSING))
    state[measured_s + estimated_s >= _FULL_S] = int(Expected.ESTIMATED)
    state[(measured_s >= _FULL_S) & (estimated_s == 0)] = int(Expected.MEASURED)
    return state


def _wrong(expected: NDArray[np.uint8], state: NDArray[np.int64]) -> NDArray[np.bool_]:
    strict = expected <= Expected.MISSING
    wrong: NDArray[np.bool_] = strict & (expected != state)
    wrong |= (expected == Expected.KNOWN) & (state == Expected.MISSING)
    return wrong


def mark_alerts(truth: Truth, episodes: Sequence[Mapping[str, Any]], stray: int) -> AlertMarks:
    """Match episodes with the faults that should have caused one: same kind, same firm, begun while it lasted."""
    wanted = [fault for fault in truth.faults if fault.alert is not None]
    causes: dict[int, list[Mapping[str, Any]]] = {k: [] for k in range(len(wanted))}
    false: list[Mapping[str, Any]] = []
    for episode in episodes:
        if episode["state"] == "retracted":
            continue
        fits = [k for k, fault in enumerate(wanted) if _fits(fault, episode)]
        if fits:
            causes[min(fits, key=lambda k: len(causes[k]))].append(episode)
        else:
            false.append(episode)
    found = {k: matches for k, matches in causes.items() if matches}
    delays = [
        (min(e["opened"] for e in matches) - from_us(wanted[k].start_us)).total_seconds()
        for k, matches in found.items()
    ]
    right = sum(len(matches) for matches in found.values())
    rules = sorted({str(fault.alert) for fault in wanted} | {str(e["rule_id"]) for e in false})
    return AlertMarks(
        expected=len(wanted),
        episodes=right + len(false),
        precision=right / (right + len(false)) if right + len(false) else None,
        recall=len(found) / len(wanted) if wanted else None,
        duplicates=sum(len(matches) - 1 for matches in found.values()),
        wrong_recipient=stray,
        retracted_missing=None,
        time_to_detect_median_s=statistics.median(delays) if delays else None,
        by_rule={
            rule: {
                "expected": sum(fault.alert == rule for fault in wanted),
                "found": sum(wanted[k].alert == rule for k in found),
                "false": sum(e["rule_id"] == rule for e in false),
            }
            for rule in rules
        },
    )


def _fits(fault: FaultTruth, episode: Mapping[str, Any]) -> bool:
    began_us = to_us(episode["began"])
    return (
        str(episode["rule_id"]).startswith(str(fault.alert))
        and episode["firm"] == fault.firm
        and fault.start_us - _SLACK_US <= began_us <= fault.end_us + _SLACK_US
    )
