"""Registers: every step is believed, explained, or held for a person; nothing moves backwards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.registers import GLITCH_READINGS, Curve, Step, curve

MINUTE = 60_000_000


def read(
    *values: float,
    modulus: float | None = None,
    multiplier: float = 1.0,
    limit: float | None = None,
    dial_step: float = 0.0,
    every_us: int = MINUTE,
) -> Curve:
    t = every_us * np.arange(len(values), dtype=np.int64)
    dial = np.array(values, np.float64)
    return curve(t, dial, modulus=modulus, multiplier=multiplier, rate_limit_per_h=limit, dial_step=dial_step)


def moved(found: Curve) -> float:
    return float(found.total[-1] - found.total[0])


def steps(found: Curve) -> list[Step]:
    return [Step(int(step)) for step in found.step[1:]]


def test_an_advance_is_the_difference_times_the_multiplier() -> None:
    """A register that only rises counts what it rose, through CT and PT once."""
    found = read(100.0, 101.5, 101.5, 104.0, multiplier=120.0)
    assert moved(found) == 480.0
    assert set(steps(found)) == {Step.ADVANCE}
    assert (found.dropped, found.held.sum()) == (0, 0.0)


def test_a_plain_curve_does_not_depend_on_where_it_begins() -> None:
    """Where nothing is odd the total is the dial times the multiplier, whichever reading came first."""
    whole, part = read(5.0, 6.0, 8.0, multiplier=2.0), read(6.0, 8.0, multiplier=2.0)
    assert list(whole.total[1:]) == list(part.total)


def test_golden_rollover_999987_50_to_12_75_times_2000_is_50500() -> None:
    """A dial of six digits that passes its end counts what lies between, times the multiplier."""
    found = read(999_987.50, 12.75, modulus=1_000_000, multiplier=2_000)
    assert moved(found) == pytest.approx(50_500)
    assert steps(found) == [Step.ROLLOVER]
    assert found.held.sum() == 0


def test_two_rollovers_in_one_curve_both_count() -> None:
    """The dial may go round as often as it likes."""
    found = read(950.0, 10.0, 500.0, 960.0, 20.0, modulus=1_000)
    assert moved(found) == pytest.approx(1_070)
    assert steps(found).count(Step.ROLLOVER) == 2


@pytest.mark.parametrize(
    ("modulus", "limit"), [(None, None), (10_000, None), (1_000, 30.0)], ids=["no modulus", "too low", "too fast"]
)
def test_a_drop_that_cannot_be_a_rollover_is_a_reset_and_is_held(modulus: float | None, limit: float | None) -> None:
    """Without a modulus, far from the dial's end, or faster than the meter can, a drop is not guessed at."""
    found = read(950.0, 5.0, 5.1, modulus=modulus, limit=limit)
    assert steps(found) == [Step.HELD_RESET, Step.ADVANCE]
    assert moved(found) == pytest.approx(0.1)
    assert found.held[1] == 5.0


def test_a_reset_without_an_event_is_held_and_counting_goes_on_from_there() -> None:
    """What the new life shows is put aside, times the multiplier, and only what follows is counted."""
    found = read(5_000.0, 5_001.0, 3.0, 4.0, 6.0, multiplier=10.0)
    assert steps(found) == [Step.ADVANCE, Step.HELD_RESET, Step.ADVANCE, Step.ADVANCE]
    assert moved(found) == pytest.approx(10 * (1 + 0 + 3))
    assert list(found.held) == [0, 0, 30.0, 0, 0]


def test_a_dip_that_comes_back_is_a_glitch() -> None:
    """A reading that both its neighbours contradict is dropped and costs nothing."""
    found = read(100.0, 101.0, 99.0, 102.0, 103.0)
    assert moved(found) == 3.0
    assert steps(found) == [Step.ADVANCE, Step.GLITCH, Step.ADVANCE]
    assert (found.dropped, found.held.sum()) == (1, 0.0)


@pytest.mark.parametrize("zeros", [1, 3, GLITCH_READINGS])
@pytest.mark.parametrize("modulus", [None, 1_000_000.0])
@pytest.mark.parametrize("limit", [None, 600.0])
@pytest.mark.parametrize("level", [5_000.0, 950_000.0])
def test_a_momentary_zero_costs_nothing(level: float, limit: float | None, modulus: float | None, zeros: int) -> None:
    """A gateway that answers zero for a while moves nothing, also where the dial stands in its last tenth."""
    found = read(level, *[0.0] * zeros, level + 1, level + 2, modulus=modulus, limit=limit)
    assert moved(found) == 2.0
    assert found.dropped == zeros
    assert found.held.sum() == 0


def test_a_drop_that_stays_longer_than_a_glitch_is_a_reset() -> None:
    """Nine low readings are a new life, and the way back up is not believed where a limit is known."""
    found = read(5_000.0, *[0.0] * (GLITCH_READINGS + 1), 5_001.0, 5_002.0, limit=600.0)
    assert Step.HELD_RESET in steps(found)
    assert Step.HELD_IMPLAUSIBLE in steps(found)
    assert moved(found) == 1.0


def test_a_small_dial_that_is_read_rarely_goes_round_without_a_glitch() -> None:
    """After a rollover a dial may stand as high as before within few readings, if it climbed all the way."""
    found = read(950.0, 100.0, 300.0, 500.0, 700.0, 960.0, modulus=1_000)
    assert steps(found)[0] is Step.ROLLOVER
    assert moved(found) == 1_010.0
    assert found.dropped == 0


def test_a_spike_that_falls_back_is_dropped() -> None:
    """A jump that the meter cannot make, and that the next readings take back, costs nothing."""
    found = read(100.0, 101.0, 90_000.0, 90_000.0, 102.0, 103.0, limit=120.0)
    assert moved(found) == 3.0
    assert found.dropped == 2
    assert steps(found) == [Step.ADVANCE, Step.GLITCH, Step.ADVANCE]


def test_a_jump_that_stays_is_held_and_counting_goes_on_from_there() -> None:
    """Faster than physics and never taken back: a person decides, and nothing is counted for it."""
    found = read(100.0, 90_000.0, 90_001.0, limit=120.0, multiplier=2.0)
    assert steps(found) == [Step.HELD_IMPLAUSIBLE, Step.ADVANCE]
    assert moved(found) == 2.0
    assert found.held[1] == 2 * 89_900.0


def test_the_limit_is_meant_after_the_multiplier() -> None:
    """120 kWh an hour with a multiplier of 60 is two steps of the dial an hour."""
    assert steps(read(0.0, 2.0, multiplier=60.0, limit=120.0, every_us=60 * MINUTE)) == [Step.ADVANCE]
    assert steps(read(0.0, 2.1, multiplier=60.0, limit=120.0, every_us=60 * MINUTE)) == [Step.HELD_IMPLAUSIBLE]


def test_jitter_of_the_last_digit_does_not_count_up() -> None:
    """A last digit that trembles moves nothing, however often it does."""
    found = read(100.0, *[99.9, 100.0] * 20, 100.5, dial_step=0.1)
    assert moved(found) == pytest.approx(0.5)
    assert steps(found).count(Step.DIP) == 20
    assert found.held.sum() == 0


def test_a_value_that_stood_still_catches_up_for_the_time_since_it_moved() -> None:
    """A leap too fast for one minute is plausible for the hour that the value stood still; its course is unknown."""
    found = read(100.0, 101.0, *[101.0] * 60, 162.0, 163.0, limit=120.0)
    assert moved(found) == 63.0
    assert steps(found) == [Step.ADVANCE, Step.FROZEN, Step.ADVANCE]
    assert found.t_us[2] - found.t_us[1] == 61 * MINUTE
    assert found.held.sum() == 0


def test_a_leap_too_fast_even_for_the_time_stood_still_is_held() -> None:
    """Standing still for ten minutes does not explain a thousand hours' worth."""
    found = read(100.0, *[100.0] * 10, 5_000.0, 5_001.0, limit=120.0)
    assert Step.HELD_IMPLAUSIBLE in steps(found)
    assert moved(found) == 1.0


def test_a_value_that_stood_still_may_catch_up_over_the_end_of_the_dial() -> None:
    """A rollover while nothing was shown counts, when the whole time since the last move allows it."""
    found = read(9_990.0, *[9_990.0] * 30, 20.0, 21.0, limit=120.0, modulus=10_000)
    assert steps(found) == [Step.ROLLOVER | Step.FROZEN, Step.ADVANCE]
    assert moved(found) == 31.0


def test_a_value_that_stood_still_for_longer_than_a_week_is_given_a_week() -> None:
    """How far back a catch-up may reach is bounded, so that what must be read to decide is bounded too."""
    day = 24 * 60 * MINUTE
    found = read(*[100.0] * 20, 100.0 + 24 * 9, limit=1.0, every_us=day)
    assert steps(found)[-1] is Step.HELD_IMPLAUSIBLE
    found = read(*[100.0] * 20, 100.0 + 24 * 8, limit=1.0, every_us=day)
    assert steps(found)[-1] is Step.FROZEN


@pytest.mark.parametrize("modulus", [None, 100_000.0])
def test_a_spike_that_both_sides_disprove_counts_nothing_without_any_limit(modulus: float | None) -> None:
    """Where no physical limit is known, readings that go on from the level before still disprove a spike."""
    for top in (90_000.0, 99_999.0, 150.0):
        found = read(100.0, 101.0, top, top, 102.0, 103.0, modulus=modulus)
        assert moved(found) == 3.0
        assert steps(found) == [Step.ADVANCE, Step.GLITCH, Step.ADVANCE]


def test_a_spike_between_zeros_counts_nothing() -> None:
    """A gateway that stutters both ways is still contradicted by what follows."""
    found = read(100.0, 0.0, 90_000.0, 101.0, 102.0, limit=120.0)
    assert moved(found) == 2.0
    assert found.held.sum() == 0


def test_a_dial_that_clicks_in_whole_steps_is_not_too_fast() -> None:
    """A dial of 10 kWh moves ten at a time, however slow the limit: the tolerance is a step of the dial."""
    assert Step.HELD_IMPLAUSIBLE in steps(read(100.0, 110.0, 110.0, limit=60.0))
    assert set(steps(read(100.0, 110.0, 110.0, limit=60.0, dial_step=10.0))) == {Step.ADVANCE}


def test_a_dial_that_settles_one_step_lower_ran_not_backwards() -> None:
    """A dip that is never taken back moves nothing, holds nothing, and counting goes on from there."""
    found = read(100.0, *[99.9] * 12, 100.4, dial_step=0.1)
    assert moved(found) == pytest.approx(0.5)
    assert found.held.sum() == 0


true_days = st.lists(st.sampled_from([0, 1, 1, 2, 5]), min_size=30, max_size=120)


@given(true_days, st.lists(st.tuples(st.integers(2, 110), st.integers(1, 12)), max_size=4), st.booleans())
def test_what_was_frozen_is_counted_whole(moves: list[int], frozen: list[tuple[int, int]], rolls: bool) -> None:
    """However often a value freezes, over the dial's end too, the sum is what passed, and nothing is held."""
    true = 950.0 + np.concatenate([[0], np.cumsum(moves)])
    shown, free = true.copy(), 1
    for first, length in sorted(frozen):
        last = min(first + length, len(true) - 2)
        if free <= first < last:
            shown[first:last], free = shown[first - 1], last + 2
    found = read(*(shown % 1_000 if rolls else shown), limit=300.0, modulus=1_000.0 if rolls else None)
    assert moved(found) == pytest.approx(true[-1] - true[0], rel=1e-9)
    assert found.held.sum() == 0


def test_one_reading_alone_is_a_curve_without_a_step() -> None:
    """A single reading opens a curve and moves nothing."""
    found = read(7.0)
    assert (len(found.t_us), moved(found)) == (1, 0.0)


dials = st.lists(st.integers(0, 999).map(float), min_size=1, max_size=40)
limits = st.none() | st.sampled_from([600.0, 6_000.0, 60_000.0])


@given(dials, st.none() | st.just(1_000.0), limits, st.sampled_from([1.0, 120.0]))
def test_every_step_counts_as_its_class_says(
    values: list[float], modulus: float | None, limit: float | None, multiplier: float
) -> None:
    """Between two believed readings: their difference, one modulus more for a rollover, nothing where it is held."""
    found = read(*values, modulus=modulus, limit=limit, multiplier=multiplier)
    dial = np.array(values)[found.t_us // MINUTE]
    expected = np.diff(dial)
    step = found.step[1:]
    expected[step == Step.ROLLOVER] += modulus or 0.0
    expected[(step & (Step.HELD_RESET | Step.HELD_IMPLAUSIBLE)) != 0] = 0.0
    np.testing.assert_allclose(np.diff(found.total), expected * multiplier, atol=1e-6)
    assert found.dropped == len(values) - len(found.t_us)


@given(dials, st.none() | st.just(1_000.0), limits)
def test_a_curve_never_falls_and_never_outruns_its_meter(
    values: list[float], modulus: float | None, limit: float | None
) -> None:
    """Whatever a register sends, consumption is not negative, and within the physical limit."""
    found = read(*values, modulus=modulus, limit=limit)
    rise = np.diff(found.total)
    assert np.all(rise >= -1e-9)
    if limit is not None:
        assert np.all(rise <= limit * np.diff(found.t_us) / 3.6e9 + 1e-9)
    assert np.all(np.diff(found.t_us) > 0)
    assert np.all(found.held >= 0)


@given(st.lists(st.floats(0, 90), min_size=1, max_size=60), st.sampled_from([1.0, 2_000.0]))
def test_a_dial_that_goes_round_counts_what_passed(increments: list[float], multiplier: float) -> None:
    """However often the dial passes its end, what it counts is what went through it."""
    true = np.concatenate([[0.0], np.cumsum(increments)])
    found = read(*(true % 1_000), modulus=1_000.0, multiplier=multiplier)
    assert moved(found) == pytest.approx(true[-1] * multiplier, abs=1e-6 * multiplier)
    assert found.dropped == 0
