"""Clock steps are seen, the polling grid does not drift, waits are jittered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.backoff import Backoff
from edge.clock import look, next_tick


@pytest.mark.parametrize("step_s", [-3600.0, -0.6, 0.6, 86_400.0])
def test_a_step_of_the_wall_clock_is_seen_once(step_s: float) -> None:
    """The look after the step reports its size and sign; the next one nothing."""
    watch, none = look(None, 1000.0, 5.0)
    assert none == 0
    watch, step = look(watch, 1001.0 + step_s, 6.0)
    assert step == pytest.approx(step_s)
    watch, step = look(watch, 1002.0 + step_s, 7.0)
    assert step == 0


def test_slewing_is_no_step() -> None:
    """500 ppm over a day, as NTP slews, is never reported."""
    watch, _ = look(None, 0.0, 0.0)
    for second in range(1, 86_401, 10):
        watch, step = look(watch, second * 1.0005, float(second))
        assert step == 0


@given(
    start=st.floats(1.7e9, 1.8e9),
    interval=st.sampled_from([0.2, 1.0, 10.0, 60.0, 900.0]),
    sleeps=st.lists(st.floats(-0.01, 0.9), min_size=1, max_size=50),
)
def test_polls_stay_on_the_grid_and_no_tick_comes_twice(start: float, interval: float, sleeps: list[float]) -> None:
    """Whatever the polls take (and sleeps ending a little early): each tick is on the grid and used once."""
    now, last = start, None
    for extra in sleeps:
        tick = next_tick(now, interval, last)
        assert abs(tick / interval - round(tick / interval)) < 1e-3
        assert last is None or tick - last > interval / 2
        assert tick - now <= 1.6 * interval
        now, last = tick + extra * interval, tick


def test_a_clock_set_back_starts_on_its_new_grid() -> None:
    """An hour back does not mean an hour without polls."""
    assert next_tick(1000.0, 10.0, 4600.0) == 1010.0


def test_waits_grow_to_their_limit_with_full_jitter_and_start_again() -> None:
    """The n-th wait is anywhere between nothing and base × 2ⁿ, never above the limit."""
    ranges: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return high

    backoff = Backoff(1.0, 60.0, uniform)
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert {low for low, _ in ranges} == {0.0}
    backoff.reset()
    assert backoff.next() == 1
