"""Targets that are held, counted, assigned, ranked or per year are each judged by their own rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import pytest

from park import pace
from park.indicators import Better
from park.projection import Method, Projection
from park.ratios import Ratio
from park.reasons import Undefined
from park.standing import Standing, State, decline, effective, monday, threshold, unjudgeable
from park.targets import Comparator, Milestone, Target, load_pack
from park.verdicts import cumulative, hold, per_year, rank

AS_OF = datetime(2025, 7, 1, tzinfo=UTC)
_REUSE = load_pack("tongliang-district-2025").by_id("industrial-water-reuse")
_ENERGY = load_pack("qijiang-district-2025").by_id("energy-per-value-added")
assert _REUSE is not None
assert _ENERGY is not None
REUSE: Target = _REUSE
ENERGY: Target = _ENERGY


def changed(**changes: object) -> Target:
    return msgspec.structs.replace(REUSE, **changes)


def ratio(value: float | None, reason: Undefined | None = None) -> Ratio:
    return Ratio(
        indicator_id="water_reuse_rate",
        subject_id=1,
        numerator=value,
        denominator=100.0,
        divides=True,
        scale=100.0,
        unit="%",
        reason=reason,
        coverage=1.0,
        estimated_share=0.0,
    )


def month(number: int) -> datetime:
    return datetime(2025, number, 1, tzinfo=UTC)


# Held in every period ---------------------------------------------------------------------------------------------

HOLD = changed(comparator=Comparator.HOLD, value=70.0, better=Better.HIGHER)


def held(*values: float | None, now: float | None = 75.0) -> Standing:
    periods = [
        (month(n), ratio(value, None if value is not None else Undefined.NO_DATA)) for n, value in enumerate(values, 1)
    ]
    return hold(HOLD, periods, ratio(now, None if now is not None else Undefined.NO_DATA), as_of=AS_OF)


@pytest.mark.parametrize(
    ("values", "now", "state"),
    [
        ((75.0, 74.0), 75.0, State.AHEAD),
        ((70.5, 75.0), 75.0, State.ON_PACE),
        ((75.0, 75.0), 69.5, State.AT_RISK),
        ((75.0, 75.0), 60.0, State.OFF),
        ((69.9, 75.0), 80.0, State.OFF),
        ((75.0, 75.0), None, State.AHEAD),
    ],
)
def test_one_month_below_is_a_miss_that_the_year_cannot_mend(
    values: tuple[float, ...], now: float | None, state: State
) -> None:
    """Kept at 70 and more: a bad month in spring is off in summer; a running month below it may still recover."""
    assert held(*values, now=now).state is state


def test_a_broken_hold_names_the_period_and_its_week() -> None:
    """The sentence and the week tell which period fell below."""
    standing = held(75.0, 60.0, 75.0)
    assert "60.00 % in the period from 2025-02-01" in standing.sentence_en
    assert "2025-02-01" in standing.sentence_zh
    assert standing.miss_week == date(2025, 1, 27)


def test_a_month_that_was_not_seen_is_no_month_that_was_kept() -> None:
    """A gap is not 70 %: with an unknown month the hold is undefined, unless another month broke it."""
    assert (held(75.0, None).state, held(75.0, None).reason) == (State.UNDEFINED, Undefined.NO_DATA)
    assert held(60.0, None).state is State.OFF


def test_a_ceiling_is_held_from_above() -> None:
    """Trap 24: of something that should be low, holding means staying below."""
    target = changed(comparator=Comparator.HOLD, value=5.0, better=Better.LOWER, indicator="water_leakage_rate")
    assert hold(target, [(month(1), ratio(4.0))], ratio(4.0), as_of=AS_OF).state is State.AHEAD
    assert hold(target, [(month(1), ratio(6.0))], ratio(4.0), as_of=AS_OF).state is State.OFF


# Counted, per year, ranked ----------------------------------------------------------------------------------------

COUNT = changed(
    comparator=Comparator.CUMULATIVE,
    value=6.0,
    unit="m3",
    indicator="fresh_water_intake",
    base_year=2020,
    base_value=0.0,
)


@pytest.mark.parametrize(
    ("so_far", "state"), [(5.0, State.AHEAD), (4.5, State.ON_PACE), (4.45, State.AT_RISK), (3.0, State.OFF)]
)
def test_what_is_counted_over_the_plan_goes_along_a_straight_line(so_far: float, state: State) -> None:
    """【6】 in five years: 4.5 are due after 3.75 years, and the projection is the mean rate so far."""
    standing = cumulative(COUNT, so_far, elapsed_years=3.75, as_of=AS_OF)
    assert (standing.state, standing.required) == (state, pytest.approx(4.5))
    assert standing.projection == pytest.approx(so_far / 3.75 * 5)
    assert standing.progress == pytest.approx(so_far / 6)


def test_a_count_is_undefined_before_the_plan_and_where_it_is_unknown() -> None:
    """No time gone, nothing known, no year to count from: each its own reason."""
    assert cumulative(COUNT, 0.0, elapsed_years=0.0, as_of=AS_OF).reason is Undefined.NOT_STARTED
    assert cumulative(COUNT, None, elapsed_years=2.0, as_of=AS_OF).reason is Undefined.NO_DATA
    timeless = msgspec.structs.replace(COUNT, base_year=None, base_value=None)
    assert cumulative(timeless, 2.0, elapsed_years=2.0, as_of=AS_OF).reason is Undefined.NO_BASELINE
    after = cumulative(COUNT, 6.0, elapsed_years=9.0, as_of=AS_OF)
    assert (after.state, after.required, after.projection) == (State.ON_PACE, 6.0, 6.0)


YEARLY = changed(comparator=Comparator.PER_YEAR, value=10.0, unit="%", better=Better.HIGHER, base_year=2020)
SERIES = {2020: 100.0, 2021: 111.0, 2022: 121.0, 2023: 136.0, 2024: 150.0}


def test_each_year_must_grow_and_one_that_did_not_is_not_made_up_for() -> None:
    """确保每年: 2022 grew by 9.0 %, so it is off however 2025 goes; in the mean of the years it is on pace."""
    each = per_year(YEARLY, SERIES, year=2025, projected=180.0, as_of=AS_OF)
    assert each.state is State.OFF
    mean = per_year(msgspec.structs.replace(YEARLY, average=True), SERIES, year=2025, projected=161.1, as_of=AS_OF)
    assert mean.state is State.ON_PACE
    assert mean.value == pytest.approx(100 * (1.611**0.2 - 1))


def test_trap_4_growth_over_years_multiplies() -> None:
    """10 % in the mean of five years is a factor of 1.61051, not of 1.5."""
    target = msgspec.structs.replace(YEARLY, average=True)
    series = dict.fromkeys(range(2020, 2025), 100.0)
    assert per_year(target, series, year=2025, projected=161.052, as_of=AS_OF).state is State.ON_PACE
    assert per_year(target, series, year=2025, projected=150.0, as_of=AS_OF).state is State.OFF


def test_a_missing_year_or_a_zero_before_it_leaves_growth_undefined() -> None:
    """Growth over nothing is no number."""
    for series in ({2020: 100.0, 2022: 121.0}, SERIES | {2023: 0.0}):
        found = per_year(YEARLY, series, year=2025, projected=180.0, as_of=AS_OF)
        assert (found.state, found.reason) == (State.UNDEFINED, Undefined.NO_DATA)


def test_so_many_a_year_is_an_amount_of_each_year() -> None:
    """Two projects a year: a year with one is a miss."""
    target = msgspec.structs.replace(YEARLY, value=2.0, unit="m3", indicator="fresh_water_intake")
    good = {2021: 2.0, 2022: 3.0, 2023: 2.0, 2024: 2.0}
    assert per_year(target, good, year=2025, projected=2.0, as_of=AS_OF).state is State.ON_PACE
    assert per_year(target, good | {2022: 1.0}, year=2025, projected=2.0, as_of=AS_OF).state is State.OFF


@pytest.mark.parametrize(("place", "state"), [(1, State.AHEAD), (9, State.AHEAD), (10, State.ON_PACE), (11, State.OFF)])
def test_a_rank_is_better_the_smaller_it_is(place: int, state: State) -> None:
    """Among the first ten: tenth is in, eleventh is out."""
    target = changed(comparator=Comparator.RANK, value=10.0, unit="")
    assert rank(target, place, as_of=AS_OF).state is state
    assert rank(target, None, as_of=AS_OF).reason is Undefined.NO_DATA
    assert rank(msgspec.structs.replace(target, value=None), 3, as_of=AS_OF).reason is Undefined.NO_NUMBER


def test_each_rule_refuses_the_targets_of_another() -> None:
    """A caller that mixes rules up is told."""
    for call in (
        lambda: hold(REUSE, [], ratio(1.0), as_of=AS_OF),
        lambda: cumulative(REUSE, 1.0, elapsed_years=1, as_of=AS_OF),
        lambda: per_year(REUSE, {}, year=2025, projected=None, as_of=AS_OF),
        lambda: rank(REUSE, 1, as_of=AS_OF),
    ):
        with pytest.raises(ValueError, match="industrial-water-reuse is ge"):
            call()


# Assigned from outside, ranges, about -----------------------------------------------------------------------------


def level(target: Target, value: float, ends: float | None = None, **more: object) -> Standing:
    projected = Projection(value if ends is None else ends, None, None, Method.TRAILING, 0.0, 0.0, 10.0)
    return threshold(
        target,
        ratio(value),
        ratio(value),
        trailing_days=28,
        remaining_days=70,
        as_of=AS_OF,
        projected=projected,
        **more,
    )


def test_a_quota_without_its_number_is_undefined_and_with_it_a_limit() -> None:
    """What a higher level has not assigned yet is nobody's number; once assigned, staying below it is good."""
    quota = changed(comparator=Comparator.QUOTA, value=None, indicator="fresh_water_intake", unit="m3")
    assert level(quota, 50.0).reason is Undefined.NO_NUMBER
    given = msgspec.structs.replace(quota, value=60.0)
    assert (level(given, 50.0).state, level(given, 62.0).state) == (State.AHEAD, State.OFF)


def test_a_total_is_held_against_what_the_whole_year_will_be() -> None:
    """Half used by July says nothing: the projected year does."""
    quota = changed(comparator=Comparator.QUOTA, value=100.0, indicator="fresh_water_intake", unit="m3")
    total = replace(ratio(0.5), divides=False, denominator=None)
    projected = Projection(104.0, 98.0, 110.0, Method.TRAILING, 54.0, 0.0, 26.0)
    standing = threshold(quota, total, total, trailing_days=28, remaining_days=180, as_of=AS_OF, projected=projected)
    assert (standing.value, standing.projection, standing.state) == (50.0, 104.0, State.OFF)
    assert (standing.projection_low, standing.projection_high, standing.confidence) == (98.0, 110.0, 0.8)
    assert "(98.00 to 110.00)" in standing.sentence_en
    assert "（98.00–110.00）" in standing.sentence_zh


def test_better_than_a_reference_is_strict_and_knows_its_direction() -> None:
    """The national average itself is not better than the national average, upwards or downwards."""
    up = changed(comparator=Comparator.BETTER_THAN_REFERENCE, value=80.0)
    assert (level(up, 80.0).state, level(up, 85.0).state) == (State.AT_RISK, State.AHEAD)
    down = msgspec.structs.replace(up, indicator="water_leakage_rate")
    assert (level(down, 80.0).state, level(down, 75.0).state) == (State.AT_RISK, State.AHEAD)


def test_about_forgives_a_twentieth_and_a_range_wants_its_lower_number() -> None:
    """40 % 左右 is met by 38 and not by 37; 5 to 10 is met by 5 and no less by 12."""
    about = changed(comparator=Comparator.ABOUT, value=40.0, better=Better.HIGHER)
    assert effective(about).value == pytest.approx(38.0)
    assert (level(about, 38.0).state, level(about, 36.0).state) == (State.ON_PACE, State.OFF)
    between = changed(comparator=Comparator.BETWEEN, value=5.0, upper=10.0)
    assert (level(between, 5.0).state, level(between, 12.0).state) == (State.ON_PACE, State.AHEAD)
    assert level(between, 4.0).state is State.OFF


def test_at_exactly_0_6_the_text_is_met_and_the_table_is_not() -> None:
    """Qianjiang's two operators part at the boundary: the same value is on pace and at risk."""
    pack = load_pack("qianjiang-hightech-2020")
    text, table = pack.by_id("energy-per-value-added"), pack.by_id("energy-per-value-added-table")
    assert text is not None
    assert table is not None
    states = [level(target, 0.6, year=2020).state for target in (text, table)]
    assert states == [State.ON_PACE, State.AT_RISK]


def test_what_cannot_be_met_as_written_is_never_off() -> None:
    """Green value added over 30 % of an output that has 26 % value added: undefined, not permanently red."""
    target = load_pack("qijiang-district-2025").by_id("green-industry-share")
    assert target is not None
    assert unjudgeable(target) is Undefined.IMPOSSIBLE_TARGET


# On the way to the target year ------------------------------------------------------------------------------------


def test_before_the_target_year_the_path_from_the_baseline_is_wanted() -> None:
    """0.84 in 2017 to 0.60 in 2020: 0.751 and 0.671 on the way, geometrically; the plan has no such numbers."""
    target = load_pack("qianjiang-hightech-2020").by_id("energy-per-value-added")
    assert target is not None
    wanted = [pace.goal_in(target, year) for year in (2017, 2018, 2019, 2020, 2023)]
    assert wanted == pytest.approx([0.84, 0.751, 0.671, 0.6, 0.6], abs=5e-4)
    standing = level(target, 0.75, year=2018)
    assert (standing.state, standing.target_value) == (State.ON_PACE, 0.6)
    assert standing.required == pytest.approx(0.84 * (0.6 / 0.84) ** (1 / 3))
    assert standing.elapsed == pytest.approx(1 / 3)
    assert standing.plan_end == pytest.approx(0.84 * (0.75 / 0.84) ** 3)
    assert standing.progress == pytest.approx(0.09 / 0.24)
    assert standing.needed_rate == pytest.approx(100 * (1 - (0.6 / 0.75) ** (1 / (2 + 70 / 365.2425))))


def test_a_milestone_of_the_plan_goes_before_the_path() -> None:
    """Output 254.8, 350 in 2022, 500 in 2025: 350 is wanted until 2022, then the path from there."""
    target = load_pack("chongqing-hightech-2025").by_id("industrial-output")
    assert target is not None
    assert target.milestones == (Milestone(year=2022, value=350),)
    wanted = [pace.goal_in(target, year) for year in (2021, 2022, 2023, 2025)]
    assert wanted == pytest.approx([350, 350, 350 * (500 / 350) ** (1 / 3), 500])


def test_progress_has_no_number_where_base_and_target_are_one() -> None:
    """Foreign capital 0 to 0: no share of a way of no length, and no division by zero."""
    target = load_pack("qianjiang-hightech-2020").by_id("foreign-capital")
    assert target is not None
    standing = level(msgspec.structs.replace(target, indicator="water_reuse_rate", unit="%"), 3.0, year=2019)
    assert standing.progress is None


def test_trap_24_progress_of_something_that_falls_is_positive() -> None:
    """From 0.84 down to 0.60, 0.72 is half of the way, and 0.90 is behind the start."""
    target = load_pack("qianjiang-hightech-2020").by_id("energy-per-value-added")
    assert target is not None
    assert level(target, 0.72, year=2020).progress == pytest.approx(0.5)
    assert level(target, 0.90, year=2020).progress == pytest.approx(-0.25)


# Declines: what is needed and when it is missed -------------------------------------------------------------------


def fell(percent: float, years: float, **interval: float) -> Standing:
    target = msgspec.structs.replace(ENERGY, base_value=0.5)
    return decline(target, ratio(50 * (1 - percent / 100) / 100), elapsed_years=years, as_of=AS_OF, **interval)


def test_golden_the_rate_needed_from_here() -> None:
    """16 % in five years with 7 % after two: 1 - (0.84 / 0.93)^(1/3) a year from here, 3.34 %."""
    standing = fell(7.0, 2.0)
    assert standing.needed_rate == pytest.approx(100 * (1 - (0.84 / 0.93) ** (1 / 3)))
    assert standing.needed_rate == pytest.approx(100 * pace.remaining_yearly_rate(0.07, 0.16, 3.0))
    assert standing.elapsed == pytest.approx(0.4)
    assert "3.34 % a year needed from here" in standing.sentence_en


def test_a_decline_behind_its_path_is_missed_now_and_one_on_it_never() -> None:
    """The week of the miss is the running one where the path is above already; none where the projection meets."""
    assert fell(5.0, 2.0).miss_week == monday(AS_OF, 0)
    assert fell(7.0, 2.0).miss_week is None


def test_the_interval_of_a_year_is_carried_to_the_plans_end() -> None:
    """What is uncertain by 2 % after two of five years is uncertain by 5 % at the end."""
    standing = fell(7.0, 2.0, low=0.465 * 0.98, high=0.465 * 1.02)
    assert standing.plan_end is not None
    assert standing.plan_end_low == pytest.approx(standing.plan_end * 0.98**2.5)
    assert standing.plan_end_high == pytest.approx(standing.plan_end * 1.02**2.5)
    assert standing.confidence == 0.8


def test_a_path_that_slows_down_crosses_what_is_required_in_time() -> None:
    """Below the required level but falling more slowly: the two meet where both are equal."""
    years = pace.crossing(90.0, 0.01, 95.0, 0.04)
    assert years is not None
    assert 90.0 * 0.99**years == pytest.approx(95.0 * 0.96**years)
    assert pace.crossing(90.0, 0.05, 95.0, 0.04) is None
    assert pace.crossing(96.0, 0.05, 95.0, 0.04) == 0.0


def test_weeks_begin_on_mondays_of_the_parks_zone() -> None:
    """Sunday evening in UTC is Monday in Chongqing."""
    sunday = datetime(2025, 6, 29, 20, tzinfo=UTC)
    assert monday(sunday, 0) == date(2025, 6, 23)
    assert monday(sunday.astimezone(timezone(timedelta(hours=8))), 0) == date(2025, 6, 30)
    assert monday(sunday, 2) == date(2025, 7, 7)


@pytest.mark.parametrize("reason", [Undefined.NO_PRODUCTION, Undefined.ZERO_DENOMINATOR, Undefined.COVERAGE_TOO_LOW])
def test_trap_15_without_production_a_decline_is_undefined(reason: Undefined) -> None:
    """Nothing made, or too little seen: no intensity, no state, the reason stands."""
    target = msgspec.structs.replace(ENERGY, base_value=0.5)
    standing = decline(target, ratio(None, reason), elapsed_years=2, as_of=AS_OF)
    assert (standing.state, standing.reason, standing.value) == (State.UNDEFINED, reason, None)
