"""Running sums show when consumption changed, and alarm as rarely by chance as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from park.cusum import alarm_form, lag_one, running_sum, threshold

NAN = math.nan


def test_the_running_sum_is_the_sum_and_stands_still_where_nothing_is_known() -> None:
    """S_t of 1, unknown, 2, −4 is 1, 1, 3, −1."""
    assert running_sum(np.array([1.0, NAN, 2.0, -4.0])).tolist() == [1.0, 1.0, 3.0, -1.0]


def test_the_alarm_form_by_hand() -> None:
    """Z = 1, 1, unknown, 2, −3 with k = 0.5: C⁺ 0.5, 1, 1, 2.5, 0; C⁻ 0, 0, 0, 0, 2.5."""
    form = alarm_form(np.array([1.0, 1.0, NAN, 2.0, -3.0]), h=2.0, k=0.5)
    assert form.plus.tolist() == [0.5, 1.0, 1.0, 2.5, 0.0]
    assert form.minus.tolist() == [0.0, 0.0, 0.0, 0.0, 2.5]
    assert form.state(2.0) == [None, None, None, "over", "under"]
    assert form.state(2.5) == [None] * 5, "the threshold itself is not exceeded"


def test_an_alarm_ends_soon_after_its_cause_however_long_that_lasted() -> None:
    """A hundred days of two sigmas too much, then none: capped, the alarm is over in h / k days; uncapped it stays."""
    z = np.concatenate([np.full(100, 2.0), np.zeros(30)])
    capped = alarm_form(z, h=5.0)
    assert capped.state(5.0)[3] == "over"
    assert capped.state(5.0)[99] == "over"
    assert capped.state(5.0)[100 + 9] is None
    endless = alarm_form(z, h=5.0, cap=math.inf)
    assert endless.plus[99] == pytest.approx(150.0)
    assert endless.state(5.0)[-1] == "over"


def test_independent_residuals_need_the_usual_threshold() -> None:
    """With k = 0.5 Siegmund's average run lengths: h = 4 gives 168 periods between false alarms, h = 5 gives 465."""
    assert threshold(0.0, periods=168) == pytest.approx(4.0, abs=0.02)
    assert threshold(0.0, periods=465) == pytest.approx(5.0, abs=0.02)
    assert threshold(-0.4) == threshold(0.0)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.8])
def test_chance_alarms_about_once_in_the_stated_number_of_periods(rho: float) -> None:
    """Simulated residuals that resemble their predecessors: the mean time to a false alarm is what was asked for."""
    periods = 200.0
    h = threshold(rho, periods=periods)
    random = np.random.default_rng(7)
    paths, longest = 600, 1600
    z = random.normal(size=paths)
    plus, minus, first = np.zeros(paths), np.zeros(paths), np.full(paths, longest)
    for n in range(1, longest + 1):
        z = rho * z + math.sqrt(1 - rho * rho) * random.normal(size=paths)
        plus, minus = np.maximum(0, plus + z - 0.5), np.maximum(0, minus - z - 0.5)
        first[(first == longest) & (np.maximum(plus, minus) > h)] = n
    assert first.mean() == pytest.approx(periods, rel=0.15)


def test_a_threshold_for_independent_residuals_would_cry_wolf() -> None:
    """Autocorrelation raises h, and a longer time between false alarms does too."""
    assert threshold(0.6) > 2 * threshold(0.0)
    assert threshold(0.3, periods=1000) > threshold(0.3)
    with pytest.raises(ValueError, match="positive"):
        threshold(0.0, periods=0)


def test_autocorrelation_counts_only_neighbours() -> None:
    """1, −1, 1, −1 gives −3/4 by the usual form; over a gap there are no neighbours."""
    assert lag_one(np.array([1.0, -1.0, 1.0, -1.0])) == pytest.approx(-0.75)
    assert lag_one(np.array([1.0, NAN, -1.0])) == 0.0
    assert lag_one(np.array([2.0, 2.0])) == 0.0
    assert lag_one(np.array([NAN, NAN])) == 0.0
