"""The state machine of an episode."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine import Progress, Sample, State, confirms, disproved, lasting, step
from alerts.rules import Condition, IndicatorThreshold, Rule, Severity

if TYPE_CHECKING:
    from alerts.engine import Transition

T0 = datetime(2025, 11, 20, 8, 0, tzinfo=UTC)


def rule(hold_open_s: float = 0, hold_clear_s: float = 0, *, running_after_s: float | None = None) -> Rule:
    return IndicatorThreshold(
        id="r",
        severity=Severity.WARNING,
        open=Condition(below=88),
        clear=Condition(above=90),
        hold_open_s=hold_open_s,
        hold_clear_s=hold_clear_s,
        max_gap_s=100,
        title_zh="t",
        title_en="t",
        indicator="water_reuse_rate",
        running_after_s=running_after_s,
    )


def samples(*values: float | None, every_s: float = 10, start: float = 0) -> list[Sample]:
    """One sample each 10 s; None: unknown."""
    return [Sample(T0 + timedelta(seconds=start + k * every_s), value) for k, value in enumerate(values)]


def told(transitions: tuple[Transition, ...]) -> list[tuple[str, float]]:
    return [(t.to_state.value, (t.at - T0).total_seconds()) for t in transitions]


@pytest.mark.parametrize(
    ("hold_open_s", "hold_clear_s", "values", "expected"),
    [
        pytest.param(0, 0, [95, 89], [], id="the band opens nothing"),
        pytest.param(0, 0, [95, 87], [("pending", 10), ("open", 10)], id="without a hold it opens at once"),
        pytest.param(0, 0, [88], [], id="the limit itself is not below it"),
        pytest.param(
            0, 0, [87, 89, 90, 89], [("pending", 0), ("open", 0)], id="between the limits an open one stays open"
        ),
        pytest.param(
            0, 0, [87, 89, 91], [("pending", 0), ("open", 0), ("resolved", 20)], id="above the clear limit it ends"
        ),
        pytest.param(20, 0, [87, 80], [("pending", 0)], id="not yet held"),
        pytest.param(20, 0, [87, 80, 87], [("pending", 0), ("open", 20)], id="held long enough"),
        pytest.param(
            20,
            0,
            [87, 89, 87, 87, 87],
            [("pending", 0), ("retracted", 10), ("pending", 20), ("open", 40)],
            id="a sample in the band breaks the hold",
        ),
        pytest.param(
            0,
            20,
            [87, 91, 91, 89, 91, 91, 91],
            [("pending", 0), ("open", 0), ("resolved", 60)],
            id="clearing must hold too",
        ),
        pytest.param(
            20, 0, [87, None, 87, 87], [("pending", 0)], id="time around an unknown sample is not counted as held"
        ),
        pytest.param(20, 0, [87, None, 87, 87, 87], [("pending", 0), ("open", 40)], id="the known time adds up"),
        pytest.param(
            0,
            20,
            [87, 91, None, None, None, 91],
            [("pending", 0), ("open", 0)],
            id="the unknown does not clear",
        ),
        pytest.param(0, 0, [None, None], [], id="the unknown does not open"),
        pytest.param(
            0,
            0,
            [87, 91, 87],
            [("pending", 0), ("open", 0), ("resolved", 10), ("pending", 20), ("open", 20)],
            id="after its end a new one begins",
        ),
    ],
)
def test_transitions(
    hold_open_s: float, hold_clear_s: float, values: list[float | None], expected: list[tuple[str, float]]
) -> None:
    """Open and clear limits, holds both ways and the unknown lead to these transitions."""
    assert told(step(rule(hold_open_s, hold_clear_s), None, samples(*values)).transitions) == expected


def test_low_coverage_is_unknown() -> None:
    """A value that too little data stand behind opens nothing, and clears nothing."""
    thin = [replace(sample, coverage=0.5) for sample in samples(10, 10)]
    assert step(rule(), None, thin).transitions == ()
    opened = step(rule(), None, samples(10)).progress
    assert opened is not None
    cured = [replace(sample, coverage=0.5) for sample in samples(99, 99, start=10)]
    assert step(rule(), opened, cured).transitions == ()


def test_a_pending_episode_does_not_outlive_a_long_silence() -> None:
    """What was seen before a gap says nothing about the time after it: the hold begins again."""
    found = step(rule(20), None, [*samples(87), *samples(87, 87, 87, start=500)])
    assert told(found.transitions) == [("pending", 0), ("retracted", 500), ("pending", 500), ("open", 520)]


def test_what_never_opened_leaves_no_trace() -> None:
    """An episode that begins and lapses in one step is not written at all."""
    found = step(rule(20), None, samples(87, 95, 87, 87, 87))
    assert told(lasting(None, found)) == [("pending", 20), ("open", 40)]


def test_a_lapse_of_a_known_episode_is_kept() -> None:
    """The end of an episode that was pending before the step is not lost."""
    before = step(rule(20), None, samples(87)).progress
    found = step(rule(20), before, samples(95, start=10))
    assert told(lasting(before, found)) == [("retracted", 10)]


def test_an_acknowledged_episode_still_clears() -> None:
    """Acknowledging stops neither evidence nor end."""
    opened = step(rule(), None, samples(87)).progress
    assert opened is not None
    taken = replace(opened, state=State.ACKNOWLEDGED)
    found = step(rule(), taken, samples(80, 95, start=10))
    assert [(t.from_state, t.to_state) for t in found.transitions] == [(State.ACKNOWLEDGED, State.RESOLVED)]
    assert found.progress is not None
    assert (found.progress.evidence["worst"]["value"], found.progress.evidence["opened"]["value"]) == (80, 87)


values = st.lists(st.sampled_from([60.0, 87.0, 88.0, 89.0, 90.0, 91.0, None]), min_size=1, max_size=40)
holds = st.sampled_from([0.0, 10.0, 25.0])


@given(values=values, hold_open_s=holds, hold_clear_s=holds, data=st.data())
def test_portions_and_replays_change_nothing(
    values: list[float | None], hold_open_s: float, hold_clear_s: float, data: st.DataObject
) -> None:
    """The same samples, in any portions and some of them again, give the same transitions and the same episode."""
    wanted = rule(hold_open_s, hold_clear_s)
    stream = samples(*values)
    whole = step(wanted, None, stream)
    progress: Progress | None = None
    transitions: list[Transition] = []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, 5))
        again = data.draw(st.integers(0, at)) if progress is not None else at
        found = step(wanted, progress, stream[again : at + size])
        progress = found.progress
        transitions += found.transitions
        at += size
    assert tuple(transitions) == whole.transitions
    assert progress == whole.progress


@given(values=values, hold_open_s=holds, hold_clear_s=holds)
def test_an_episode_is_well_formed(values: list[float | None], hold_open_s: float, hold_clear_s: float) -> None:
    """States follow the diagram, times rise, and at most one episode is unfinished."""
    allowed = {
        None: {State.PENDING},
        State.PENDING: {State.OPEN, State.RETRACTED},
        State.OPEN: {State.RESOLVED},
    }
    state = None
    for transition in step(rule(hold_open_s, hold_clear_s), None, samples(*values)).transitions:
        assert transition.from_state is state
        assert transition.to_state in allowed[state]
        after = transition.after
        assert after.began <= (after.opened or after.began) <= transition.at
        if after.opened is not None:
            assert (after.opened - after.began).total_seconds() >= hold_open_s
        state = None if transition.to_state in {State.RESOLVED, State.RETRACTED} else transition.to_state


def _opened(wanted: Rule, *values: float | None) -> Progress:
    progress = step(wanted, None, samples(*values)).progress
    assert progress is not None
    assert progress.opened is not None
    return progress


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param([95, 95, 95], True, id="the condition holds nowhere"),
        pytest.param([87, 95, 87], True, id="it never held long enough"),
        pytest.param([87, 87, 87], False, id="nothing changed"),
        pytest.param([95, None, 95], False, id="part of it is unknown now"),
        pytest.param([95, 95], False, id="the numbers do not reach to where it opened"),
        pytest.param([], False, id="there are no numbers"),
    ],
)
def test_disproved(now: list[float | None], expected: bool) -> None:
    """An episode is taken back only if every number of its time is known and together they would not open it."""
    wanted = rule(20)
    assert disproved(wanted, _opened(wanted, 87, 87, 87), samples(*now)) is expected


def test_a_running_number_that_recovered_is_not_disproved() -> None:
    """What only a running period showed ends by recovering; what a final number bore out can be disproved."""
    wanted = rule(running_after_s=60)
    running = [replace(sample, final=False) for sample in samples(80)]
    progress = step(wanted, None, running).progress
    assert progress is not None
    assert not progress.confirmed
    assert not disproved(wanted, progress, samples(95))
    assert confirms(wanted, samples(80))
    assert disproved(wanted, replace(progress, confirmed=True), samples(95))
