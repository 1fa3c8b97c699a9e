"""Marking, pure: the truth and what the platform holds go in, a score comes out."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.calendar import BUCKET_US, from_us, to_us
from simulators.truth import Expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from cli.score.indicators import IndicatorMarks
    from simulators.truth import FaultTruth, Truth
    from store.marking import HeldLedger, HeldReadings

_FULL_S: Final = 899.5
_SLACK_US: Final = 2 * BUCKET_US
"""How long after a fault an episode may still be opened by it."""
_LONGEST_SAMPLE_US: Final = 3_600_000_000
"""The longest time that one sample of a fault of an instant may speak of."""
_DAILY: Final = frozenset({"completeness_low"})
"""Told at the end of the day in which it happened."""
_LATE: Final = frozenset(
    {
        "hours-late",
        "thirty-days-late",
        "out-of-order",
        "duplicates",
        "broker-restart",
        "gap-with-catch-up",
        "edge-offline",
    }
)
CONSEQUENCES: Final[Mapping[str, Sequence[str]]] = {
    "dead-meter": ("completeness_low", "water_reuse_low"),
    "gap": ("completeness_low",),
    "edge-restart-state-lost": ("edge_offline", "completeness_low", "production_missing"),
    "reuse-pump-stop": ("water_reuse_collapse", "water_reuse_low_park"),
    "water-leak-burst": ("fresh_water_flow_high",),
    "future-times": ("completeness_low",),
}
"""What a fault truly causes beside the episode that should tell of it."""


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
        wrong_recipient: messages about one firm that went to another.
        retracted: episodes that late or corrected data disproved, and that were taken back.
        retracted_missing: episodes that late data disprove and that stand all the same.
        by_rule: the same for each kind.
        false_episodes, missed: which they are.
    """

    expected: int
    episodes: int
    precision: float | None
    recall: float | None
    duplicates: int
    wrong_recipient: int
    retracted: int
    retracted_missing: int
    time_to_detect_median_s: float | None
    by_rule: dict[str, dict[str, float | int | None]] = field(default_factory=dict)
    false_episodes: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


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
    """Match episodes with the faults that should have caused one: same kind, same firm, begun while it lasted.

    An episode that a fault truly causes beside its own is neither right nor false. One that stands although nothing but
    the lateness of data ever spoke for it was disproved by what came later, and should have been retracted.
    """
    wanted = [fault for fault in truth.faults if fault.alert is not None]
    causes: dict[int, list[Mapping[str, Any]]] = {k: [] for k in range(len(wanted))}
    false: list[Mapping[str, Any]] = []
    retracted = 0
    for episode in sorted(episodes, key=lambda e: (e["began"], e["episode_id"])):
        if episode["state"] == "retracted":
            retracted += 1
            continue
        fits = [k for k, fault in enumerate(wanted) if _fits(fault, str(fault.alert), episode)]
        if fits:
            # The same point rather than the same firm, and one that has none yet rather than one that has.
            best = min(fits, key=lambda k: (wanted[k].point != episode["point"], len(causes[k])))
            causes[best].append(episode)
        elif not any(
            _fits(fault, also, episode) for fault in truth.faults for also in CONSEQUENCES.get(fault.fault, ())
        ):
            false.append(episode)
    found = {k: matches for k, matches in causes.items() if matches}
    delays = {
        k: (min(e["opened"] for e in matches) - from_us(wanted[k].start_us)).total_seconds()
        for k, matches in found.items()
    }
    missing = [e for e in false if any(_only_late(fault, e) for fault in truth.faults)]
    kinds = sorted({str(fault.alert) for fault in wanted} | {_kind(e, wanted) for e in false})
    whole = _rates(range(len(wanted)), causes, false, missing, delays)
    return AlertMarks(
        expected=len(wanted),
        episodes=sum(map(len, causes.values())) + len(false),
        precision=whole["precision"],
        recall=whole["recall"],
        duplicates=int(whole["duplicates"] or 0),
        wrong_recipient=stray,
        retracted=retracted,
        retracted_missing=len(missing),
        time_to_detect_median_s=whole["time_to_detect_median_s"],
        by_rule={
            kind: _rates(
                [k for k, fault in enumerate(wanted) if fault.alert == kind],
                causes,
                [e for e in false if _kind(e, wanted) == kind],
                [e for e in missing if _kind(e, wanted) == kind],
                delays,
            )
            for kind in kinds
        },
        false_episodes=tuple(
            f"{e['rule_id']} {e['firm']} {e['point'] or ''} {e['began']:%Y-%m-%d %H:%M}Z" for e in false
        ),
        missed=tuple(f"{wanted[k].alert} {wanted[k].firm} {wanted[k].fault}" for k in causes if k not in found),
    )


def _rates(
    faults: Iterable[int],
    causes: Mapping[int, Sequence[Mapping[str, Any]]],
    false: Sequence[Mapping[str, Any]],
    missing: Sequence[Mapping[str, Any]],
    delays: Mapping[int, float],
) -> dict[str, float | int | None]:
    chosen = list(faults)
    right = sum(len(causes[k]) for k in chosen)
    found = [k for k in chosen if causes[k]]
    return {
        "expected": len(chosen),
        "found": len(found),
        "false": len(false),
        "precision": right / (right + len(false)) if right + len(false) else None,
        "recall": len(found) / len(chosen) if chosen else None,
        "duplicates": right - len(found),
        "retracted_missing": len(missing),
        "time_to_detect_median_s": statistics.median(delays[k] for k in found) if found else None,
    }


def _kind(episode: Mapping[str, Any], wanted: Sequence[FaultTruth]) -> str:
    """Return the kind that an episode counts as: several rules may look for one."""
    rule = str(episode["rule_id"])
    kinds = {str(fault.alert) for fault in wanted}
    return max((kind for kind in kinds if rule.startswith(kind)), key=len, default=rule)


def _fits(fault: FaultTruth, kind: str, episode: Mapping[str, Any]) -> bool:
    began_us = to_us(episode["began"])
    # What is told at the end of a day may have happened at its beginning.
    late_us = 24 * _LONGEST_SAMPLE_US if kind in _DAILY else 0
    return (
        str(episode["rule_id"]).startswith(kind)
        and episode["firm"] in ({fault.firm, None} if kind == "water_reuse_low_park" else {fault.firm})
        and fault.start_us - _SLACK_US <= began_us
        and began_us - late_us <= max(fault.end_us, fault.start_us + _LONGEST_SAMPLE_US) + _SLACK_US
    )


def _only_late(fault: FaultTruth, episode: Mapping[str, Any]) -> bool:
    """Tell whether an episode lies where data only came late: all is known by now, and nothing was wrong."""
    began_us = to_us(episode["began"])
    return (
        fault.fault in _LATE
        and episode["firm"] == fault.firm
        and (fault.point is None or episode["point"] in {None, fault.point})
        and fault.start_us - _SLACK_US <= began_us <= fault.end_us + _SLACK_US
    )
