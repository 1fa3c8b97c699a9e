"""The state machine of an episode. Pure: samples in, transitions out.

    (none) ── open condition ──> pending ── held long enough ──> open ──> acknowledged
                                    │                              └── clear condition held ──┐
                                    └── not held ──> retracted            resolved <──────────┘

A pending episode that did not hold is retracted without anyone having been told, and leaves no trace. An unknown
sample neither opens nor clears, and the time around it does not count as held. What was decided up to a sample's time
is decided: older samples change nothing, so the same samples in any portions, and again, give the same transitions.
Data that were corrected afterwards are judged by `disproved`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from alerts.rules import Rule


class State(StrEnum):
    """Where an episode stands. Stored: never rename."""

    PENDING = "pending"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    RETRACTED = "retracted"


FINISHED: Final = frozenset({State.RESOLVED, State.RETRACTED})


@dataclass(frozen=True, slots=True)
class Sample:
    """What was known of a rule's subject at one instant of event time.

    Attributes:
        value: None: unknown.
        coverage: share of the time the value speaks of that is covered by readings.
        final: whether the number stands for a stretch that is over; a later one is then a correction.
        start: where the stretch begins that the value speaks of; None: the value speaks of `t`.
        detail: what the value was made of, as plain data.
    """

    t: datetime
    value: float | None
    coverage: float = 1.0
    final: bool = True
    start: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def known(self, min_coverage: float) -> float | None:
        """Return the value, None if there is none worth deciding on."""
        if self.value is None or not math.isfinite(self.value) or self.coverage < min_coverage:
            return None
        return self.value


@dataclass(frozen=True, slots=True)
class Progress:
    """An episode as the engine sees it; everything the next step needs.

    Attributes:
        began: when the condition was first seen.
        opened, ended: when it had held long enough, and when it was over.
        seen: time of the last known sample.
        held_s: how long the condition for the next state has held so far.
        counting: whether the last sample met that condition, so that time up to the next one counts.
        confirmed: whether a final sample met the open condition.
        evidence: the sample that opened it, the worst and the last one.
    """

    state: State
    began: datetime
    seen: datetime
    opened: datetime | None = None
    ended: datetime | None = None
    held_s: float = 0.0
    counting: bool = False
    confirmed: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state; `after` is the episode right behind it."""

    from_state: State | None
    to_state: State
    at: datetime
    after: Progress
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The newest episode of a cause (None: there never was one), and how it came to this."""

    progress: Progress | None
    transitions: tuple[Transition, ...] = ()


def step(rule: Rule, progress: Progress | None, samples: Iterable[Sample]) -> Outcome:
    """Take the samples, by rising time, into the newest episode of one cause; may finish it and begin others."""
    transitions: list[Transition] = []
    for sample in samples:
        if progress is not None and sample.t <= progress.seen:
            continue
        value = sample.known(rule.min_coverage)
        if value is None:
            if progress is not None and progress.counting:
                progress = replace(progress, counting=False)
            continue
        if progress is not None and progress.state is State.PENDING:
            progress = _pending(rule, progress, sample, value, transitions)
        elif progress is not None and progress.state not in FINISHED:
            progress = _open(rule, progress, sample, value, transitions)
        if (progress is None or progress.state in FINISHED) and rule.open.met(value):
            progress = _begin(rule, sample, value, transitions)
    return Outcome(progress, tuple(transitions))


def lasting(before: Progress | None, outcome: Outcome) -> tuple[Transition, ...]:
    """Return the transitions without those of episodes that began here and did not hold: they leave no trace."""
    known = None if before is None else before.began
    gone = {t.after.began for t in outcome.transitions if is_lapse(t) and t.after.began != known}
    return tuple(t for t in outcome.transitions if t.after.began not in gone)


def is_lapse(transition: Transition) -> bool:
    """Tell whether an episode ended without ever having been open."""
    return transition.to_state is State.RETRACTED and transition.after.opened is None


def disproved(rule: Rule, progress: Progress, samples: Iterable[Sample]) -> bool:
    """Tell whether the numbers as they are now show that an episode never was.

    Args:
        rule: the rule.
        progress: an episode that was opened.
        samples: what is known now of the time from its beginning to its end (or to what it has seen).

    One unknown sample leaves it standing, and so does an episode that no final number ever bore out: what was read
    from a running period and then changed may simply have been mended.
    """
    window = list(samples)
    if not progress.confirmed or any(s.known(rule.min_coverage) is None for s in window):
        return False
    if not window or progress.opened is None or window[-1].t < progress.opened:
        return False
    if rule.provisional:
        # Holds that were counted on a running period cannot be counted again on ended ones.
        return not any(rule.open.met(s.value) for s in window if s.value is not None)
    again = step(rule, None, window)
    return all(transition.to_state is not State.OPEN for transition in again.transitions)


def confirms(rule: Rule, samples: Iterable[Sample]) -> bool:
    """Tell whether a final sample bears the open condition out."""
    values = (sample.known(rule.min_coverage) for sample in samples if sample.final)
    return any(value is not None and rule.open.met(value) for value in values)


def finish(progress: Progress, to_state: State, at: datetime, note: str) -> Transition:
    """End an episode for a reason outside its samples."""
    after = replace(progress, state=to_state, ended=at, held_s=0.0, counting=False)
    return Transition(progress.state, to_state, at, after, note)


def _begin(rule: Rule, sample: Sample, value: float, transitions: list[Transition]) -> Progress:
    shown = _shown(sample, value)
    progress = Progress(
        State.PENDING,
        sample.t,
        sample.t,
        counting=True,
        confirmed=sample.final,
        evidence={"first": shown, "worst": shown, "last": shown},
    )
    transitions.append(Transition(None, State.PENDING, sample.t, progress))
    return _try_open(rule, progress, sample, transitions)


def _pending(rule: Rule, progress: Progress, sample: Sample, value: float, transitions: list[Transition]) -> Progress:
    gap_s = (sample.t - progress.seen).total_seconds()
    if gap_s > rule.max_gap_s:
        # This sample may begin an episode of its own.
        transitions.append(finish(progress, State.RETRACTED, sample.t, "no data to show that it held"))
        return transitions[-1].after
    if not rule.open.met(value):
        after = replace(progress, seen=sample.t)
        transitions.append(finish(after, State.RETRACTED, sample.t, "did not hold long enough"))
        return transitions[-1].after
    progress = replace(
        progress,
        seen=sample.t,
        held_s=progress.held_s + (gap_s if progress.counting else 0.0),
        counting=True,
        confirmed=progress.confirmed or sample.final,
        evidence=_evidence(rule, progress, sample, value),
    )
    return _try_open(rule, progress, sample, transitions)


def _try_open(rule: Rule, progress: Progress, sample: Sample, transitions: list[Transition]) -> Progress:
    if progress.held_s < rule.hold_open_s:
        return progress
    evidence = {**progress.evidence, "opened": progress.evidence["last"]}
    after = replace(progress, state=State.OPEN, opened=sample.t, held_s=0.0, counting=False, evidence=evidence)
    transitions.append(Transition(State.PENDING, State.OPEN, sample.t, after))
    return after


def _open(rule: Rule, progress: Progress, sample: Sample, value: float, transitions: list[Transition]) -> Progress:
    gap_s = (sample.t - progress.seen).total_seconds()
    clears = rule.clear.met(value)
    held_s = 0.0
    if clears and progress.counting and gap_s <= rule.max_gap_s:
        held_s = progress.held_s + gap_s
    elif clears:
        # Unknown time in between does not count, and does not undo what was held before it.
        held_s = progress.held_s
    progress = replace(
        progress,
        seen=sample.t,
        held_s=held_s,
        counting=clears,
        confirmed=progress.confirmed or (sample.final and rule.open.met(value)),
        evidence=_evidence(rule, progress, sample, value),
    )
    if not clears or held_s < rule.hold_clear_s:
        return progress
    after = replace(progress, state=State.RESOLVED, ended=sample.t, held_s=0.0, counting=False)
    transitions.append(Transition(progress.state, State.RESOLVED, sample.t, after))
    return after


def _shown(sample: Sample, value: float) -> dict[str, Any]:
    return {"t": sample.t.isoformat(), "value": value, "coverage": sample.coverage, "final": sample.final} | dict(
        sample.detail
    )


def _evidence(rule: Rule, progress: Progress, sample: Sample, value: float) -> dict[str, Any]:
    shown = _shown(sample, value)
    worst = progress.evidence["worst"]
    worse = value < worst["value"] if rule.open.below is not None else value > worst["value"]
    return {**progress.evidence, "worst": shown if worse else worst, "last": shown}
