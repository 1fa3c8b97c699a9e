"""Folding again, in any portions and any order of arrival, comes to what one fold over everything gives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from alerts.engine import Sample, State, lasting, step
from alerts.fold import Values, fold
from alerts.kinds import Completeness, Condition, Rung, Severity
from alerts.settling import settle
from park.calendar import BUCKET_US, from_us, to_us
from store.episodes import EpisodeRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alerts.reconcile import Change

T0 = to_us(datetime(2026, 3, 2, tzinfo=UTC))


def rule(hold_open: int = 0, hold_clear: int = 0, gap: int = 4, **more: Any) -> Completeness:
    """A rule that opens above 2 and clears below 1; times in quarter hours."""
    return Completeness(
        id="r",
        severity=Severity.WARNING,
        open=Condition(above=2.0),
        clear=Condition(below=1.0),
        title_zh="",
        title_en="",
        hold_open_s=900.0 * hold_open,
        hold_clear_s=900.0 * hold_clear,
        max_gap_s=900.0 * gap,
        **more,
    )


def values_of(numbers: Sequence[float | None]) -> Values:
    row = np.array([np.nan if n is None else n for n in numbers], float)
    return Values(np.array([7]), T0 + BUCKET_US * np.arange(1, len(row) + 1), row[np.newaxis, :])


class Store:
    """Episodes of one cause, as the database would hold them."""

    def __init__(self) -> None:
        self.rows: list[EpisodeRow] = []
        self.ids = count(1)
        self.retracted: list[EpisodeRow] = []

    def write(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.stored is not None:
                self.rows.remove(change.stored)
            wanted = change.wanted
            if wanted is None:
                if change.moves:
                    assert change.stored is not None
                    self.retracted.append(change.stored)
                continue
            kept = change.stored
            state = wanted.state
            if kept is not None and kept.state == State.ACKNOWLEDGED and state is State.OPEN:
                state = State.ACKNOWLEDGED
            self.rows.append(
                EpisodeRow(
                    episode_id=next(self.ids) if kept is None else kept.episode_id,
                    park_id=1,
                    firm_id=1,
                    rule_id="r",
                    rule_version=1,
                    cause_key="r/firm/7",
                    scope="firm",
                    scope_id=7,
                    state=str(state),
                    severity=wanted.severity,
                    began=wanted.began,
                    opened=wanted.opened,
                    ended=wanted.ended,
                    title_zh="",
                    title_en="",
                    evidence=dict(wanted.evidence),
                    seen=wanted.seen,
                    held_s=0.0,
                    counting=False,
                    confirmed=True,
                    changed=wanted.seen,
                )
            )
            # What the database's unique indexes refuse, after each statement.
            assert len({row.began for row in self.rows}) == len(self.rows)
            assert sum(row.ended is None for row in self.rows) <= 1
        self.rows.sort(key=lambda row: row.began)

    def told(self) -> list[tuple[Any, ...]]:
        return [(r.state, r.began, r.opened, r.ended, r.severity) for r in self.rows if r.opened is not None]


def advance(store: Store, one: Completeness, numbers: Sequence[float | None], since: int) -> None:
    """Fold again from the `since`-th sample on; what lies before has not changed."""
    found = settle(one, values_of(numbers), {7: list(store.rows)}, T0 + BUCKET_US * since)
    store.write(found.get(7, []))


def at_once(one: Completeness, numbers: Sequence[float | None]) -> list[tuple[Any, ...]]:
    store = Store()
    advance(store, one, numbers, 0)
    return store.told()


NUMBERS = st.lists(st.sampled_from([0.0, 1.5, 3.0, 3.0, 0.0]), min_size=1, max_size=40)
HOLDS = st.integers(0, 3)


@hypothesis_settings(max_examples=300, deadline=None)
@given(numbers=NUMBERS, hold_open=HOLDS, hold_clear=HOLDS, data=st.data())
def test_any_order_of_arrival_gives_the_episodes_of_one_fold(
    numbers: list[float], hold_open: int, hold_clear: int, data: st.DataObject
) -> None:
    """Samples that come in portions, in any order, some of them thrice, end in what was folded in order."""
    one = rule(hold_open, hold_clear)
    order = data.draw(st.permutations(range(len(numbers))))
    size = data.draw(st.integers(1, 7))
    portions = [order[a : a + size] for a in range(0, len(order), size)]
    portions += data.draw(st.lists(st.sampled_from(portions), max_size=4))
    store, seen, reached = Store(), set[int](), 0
    for portion in portions:
        seen |= set(portion)
        since = min(*portion, reached)
        reached = max(reached, *(k + 1 for k in portion))
        known = [numbers[k] if k in seen else None for k in range(len(numbers))]
        advance(store, one, known, since)
    # Unknown stretches leave nothing standing that the whole does not hold.
    assert store.told() == at_once(one, numbers)


@hypothesis_settings(max_examples=200, deadline=None)
@given(numbers=NUMBERS, corrected=NUMBERS, hold_open=HOLDS, hold_clear=HOLDS, at=st.integers(0, 39))
def test_a_corrected_past_gives_the_episodes_of_the_corrected_numbers(
    numbers: list[float], corrected: list[float], hold_open: int, hold_clear: int, at: int
) -> None:
    """What was decided on numbers that turn out wrong is revised or retracted, and nothing else is touched."""
    one = rule(hold_open, hold_clear)
    store = Store()
    advance(store, one, numbers, 0)
    at = min(at, len(numbers))
    changed = [*numbers[:at], *corrected[: len(numbers) - at], *numbers[at + len(corrected) :]]
    advance(store, one, changed, at)
    assert store.told() == at_once(one, changed)


@hypothesis_settings(max_examples=200, deadline=None)
@given(numbers=st.lists(st.sampled_from([0.0, 1.5, 3.0, None]), max_size=40), hold_open=HOLDS, hold_clear=HOLDS)
def test_the_fold_is_the_engine_on_arrays(numbers: list[float | None], hold_open: int, hold_clear: int) -> None:
    """Both decide alike, also around what is unknown."""
    one = rule(hold_open, hold_clear)
    values = values_of(numbers)
    samples = [Sample(from_us(int(t)), n) for t, n in zip(values.t_us, numbers, strict=True)]
    outcome = step(one, None, samples)
    moves = lasting(None, outcome)
    engine = [t.at for t in moves if t.to_state is State.OPEN], [t.at for t in moves if t.to_state is State.RESOLVED]
    found = [f for f in fold(one, values) if f.opened is not None]
    folded = (
        [from_us(int(values.t_us[f.opened])) for f in found if f.opened is not None],
        [from_us(int(values.t_us[f.ended])) for f in found if f.ended is not None],
    )
    assert folded == engine


def test_what_is_disproved_is_retracted_and_may_begin_anew() -> None:
    """A correction takes an episode back; another brings it again as a new one, and both are told apart."""
    one, store = rule(), Store()
    advance(store, one, [0.0, 3.0, 3.0, 3.0], 0)
    assert [state for state, *_ in store.told()] == ["open"]
    advance(store, one, [0.0, 0.0, 0.0, 0.0], 1)
    assert store.told() == []
    assert len(store.retracted) == 1
    advance(store, one, [0.0, 3.0, 3.0, 3.0], 1)
    assert [state for state, *_ in store.told()] == ["open"]
    assert store.rows[0].episode_id != store.retracted[0].episode_id


def test_the_unknown_disproves_nothing() -> None:
    """An episode whose samples can no longer be seen stands: unknown is not zero."""
    one, store = rule(), Store()
    advance(store, one, [0.0, 3.0, 3.0, 0.5], 0)
    advance(store, one, [0.0, None, None, 0.5], 1)
    assert [state for state, *_ in store.told()] == ["resolved"]


def test_what_somebody_has_taken_on_stays_taken_on() -> None:
    """More of the same changes neither the person's word nor the beginning."""
    one, store = rule(), Store()
    advance(store, one, [0.0, 3.0], 0)
    store.rows[0] = replace(store.rows[0], state="acknowledged")
    advance(store, one, [0.0, 3.0, 3.0, 3.0], 2)
    assert [(state, began) for state, began, *_ in store.told()] == [("acknowledged", from_us(T0 + 2 * BUCKET_US))]
    advance(store, one, [0.0, 3.0, 3.0, 3.0, 0.0], 4)
    assert [state for state, *_ in store.told()] == ["resolved"]


@pytest.mark.parametrize(("worst", "severity"), [(3.0, "warning"), (11.0, "major"), (21.0, "critical")])
def test_the_worst_value_climbs_the_ladder(worst: float, severity: str) -> None:
    """An episode is as severe as its worst value, not as its last."""
    ladder = (Rung(above=10.0, severity=Severity.MAJOR), Rung(above=20.0, severity=Severity.CRITICAL))
    assert [found[-1] for found in at_once(rule(ladder=ladder), [3.0, worst, 3.0])] == [severity]
