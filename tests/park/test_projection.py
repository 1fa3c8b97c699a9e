"""Projections: where a year ends if things go on, an interval that holds what it promises, and when it is too late."""

from __future__ import annotations

import numpy as np
import pytest

from park.projection import CONFIDENCE, WEEKS, Method, Projection, Weeks, lost_after, needed_rest, project


def weeks(numerator: object, denominator: object) -> Weeks:
    n, d = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return Weeks(n, d)


def simulated(
    rng: np.random.Generator, count: int, persistence: float, *, season: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Weeks of energy and product: product varies, energy follows it with noise that lasts, and both have seasons."""
    product = 100 * (1 + 0.1 * rng.standard_normal(count))
    noise = np.zeros(count)
    shocks = rng.standard_normal(count)
    for t in range(1, count):
        noise[t] = persistence * noise[t - 1] + shocks[t]
    if season:
        product *= 1 + 0.4 * np.sin(2 * np.pi * np.arange(count) / WEEKS)
    energy = 20 + 0.8 * product + 6 * noise
    if season:
        energy += 25 * np.cos(2 * np.pi * np.arange(count) / WEEKS)
    return energy, product


@pytest.mark.parametrize("persistence", [0.0, 0.5])
@pytest.mark.parametrize("rest", [4, 13, 26])
def test_four_fifths_of_simulated_years_end_within_the_interval(persistence: float, rest: int) -> None:
    """Half a year known, 4 to 26 weeks ahead, weeks that differ by chance or hand it on: 80 % means about 80 %."""
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(300):
        n, d = simulated(rng, 26 + rest, persistence)
        found = project(n[:26].sum(), d[:26].sum(), weeks(n[:26], d[:26]), rest_days=7 * rest)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= n.sum() / d.sum() <= found.high
    assert 0.74 <= inside / 300 <= 0.94
    assert CONFIDENCE == 0.8


def test_with_a_year_of_history_the_season_is_foreseen() -> None:
    """Last year's rest, grown: most simulated years with seasons end within the interval, and none is missed by far."""
    rng = np.random.default_rng(8)
    inside, errors, blind = 0, [], []
    for _ in range(200):
        n, d = simulated(rng, 3 * WEEKS, 0.3, season=True)
        now = 2 * WEEKS + 20
        start = 2 * WEEKS
        found = project(n[start:now].sum(), d[start:now].sum(), weeks(n[:now], d[:now]), rest_days=7 * 32)
        short = project(n[start:now].sum(), d[start:now].sum(), weeks(n[start:now], d[start:now]), rest_days=7 * 32)
        assert found is not None
        assert short is not None
        assert (found.method, short.method) == (Method.LAST_YEAR, Method.TRAILING)
        assert found.low is not None
        assert found.high is not None
        truth = n[start:].sum() / d[start:].sum()
        inside += found.low <= truth <= found.high
        errors.append(abs(found.value - truth))
        blind.append(abs(short.value - truth))
    assert 0.74 <= inside / 200 <= 0.96
    assert np.mean(errors) < np.mean(blind) / 2


def test_equal_weeks_give_their_ratio_with_no_width() -> None:
    """Nothing varies: the projection is the ratio of sums of what was and what goes on."""
    found = project(1_000, 2_000, weeks([10.0] * 12, [10.0] * 12), rest_days=70, scale=100)
    assert found is not None
    assert found.value == pytest.approx(100 * (1_000 + 100) / (2_000 + 100))
    assert found.low == found.high == pytest.approx(found.value)


def test_unknown_weeks_are_left_out_and_too_few_give_no_interval() -> None:
    """A week that is not wholly known is no zero; three weeks give a projection and no interval; none give nothing."""
    nan = float("nan")
    found = project(100, 100, weeks([nan, 5, nan, 7, 6], [1] * 5), rest_days=7, scale=1)
    assert found is not None
    assert found.value == pytest.approx((100 + 6) / 101)
    assert (found.low, found.high) == (None, None)
    assert project(100, 100, weeks([nan], [1]), rest_days=7) is None
    assert project(100, 0, weeks([1.0], [0]), rest_days=7) is None


def test_a_year_that_has_ended_is_its_own_projection() -> None:
    """No day left: the value, with no width, whatever the weeks say."""
    found = project(9, 10, weeks([], []), rest_days=0, scale=100)
    assert found is not None
    assert (found.value, found.low, found.high, found.method) == (90, 90, 90, Method.CLOSED)
    assert project(9, 0, weeks([], []), rest_days=0) is None


def test_a_plain_sum_is_projected_and_its_limit_is_used_up_in_a_week() -> None:
    """10 a week, 300 used of a limit of 350, 20 weeks left: 500 at the end, and the limit gone after five weeks."""
    history = weeks([10.0] * 12, 0.0)
    found = project(300, 0, history, rest_days=140, divides=False)
    assert found is not None
    assert found.value == pytest.approx(500)
    lost = lost_after(300, 0, found, history, 350, upward=False, scale=1, divides=False)
    assert lost == pytest.approx(5)
    assert lost_after(300, 0, found, history, 501, upward=False, scale=1, divides=False) is None
    assert needed_rest(300, 0, found, 350, scale=1, divides=False) == pytest.approx(50)


def test_what_the_rest_must_average_brings_the_year_to_its_goal() -> None:
    """Whatever the rest must average, averaged over it, makes the year the goal."""
    history = weeks([80.0] * 12, [100.0] * 12)
    found = project(2_400, 3_000, history, rest_days=70, scale=100)
    assert found is not None
    need = needed_rest(2_400, 3_000, found, 82, scale=100, divides=True)
    assert need is not None
    assert 100 * (2_400 + need / 100 * found.rest_denominator) / (3_000 + found.rest_denominator) == pytest.approx(82)


def test_a_goal_is_lost_when_even_the_best_week_would_not_do() -> None:
    """80 a week with a best of 90: 82 is lost in a certain week, 95 is lost already, and 79 is never."""
    numerator = np.full(26, 80.0)
    numerator[3] = 90.0
    history = weeks(numerator, 100.0)
    n, d = float(numerator.sum()), 2_600.0
    found = project(n, d, history, rest_days=140, scale=100)
    assert found is not None

    def lost(goal: float) -> float | None:
        return lost_after(n, d, found, history, goal, upward=True, scale=100, divides=True)

    assert lost(79) is None
    assert lost(95) == 0
    week = lost(82)
    assert week is not None
    assert 0 < week < 20
    # The week after is beyond the best week, the week itself was not.
    for w, beyond in ((week - 1, False), (week, True)):
        left = found.rest_denominator * (1 - w / 20)
        need = (82 * (d + found.rest_denominator) - 100 * (n + w / 20 * found.rest_numerator)) / left
        assert (need > 90) is beyond


def test_downward_goals_are_lost_the_other_way_round() -> None:
    """Trap 24: of something that should fall, a limit above the projection is met and one far below is lost now."""
    history = weeks([80.0] * 12, [100.0] * 12)
    found = project(800, 1_000, history, rest_days=70)
    assert isinstance(found, Projection)
    assert lost_after(800, 1_000, found, history, 0.81, upward=False, scale=1, divides=True) is None
    assert lost_after(800, 1_000, found, history, 0.5, upward=False, scale=1, divides=True) == 0
