"""Standing: declines multiply, projections are ratios of sums, and nothing is judged from what is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park import pace
from park.errors import CalendarError
from park.factors import load_factors
from park.indicators import load_catalogue
from park.points import Direction
from park.ratios import Amount, Product, Ratio, evaluate
from park.reasons import Undefined
from park.standing import Standing, State, decline, threshold, undefined
from park.targets import Comparator, Target, load_pack

AS_OF = datetime(2025, 7, 1, tzinfo=UTC)
_REUSE = load_pack("tongliang-district-2025").by_id("industrial-water-reuse")
_ENERGY = load_pack("qijiang-district-2025").by_id("energy-per-value-added")
_WATER = load_pack("qijiang-district-2025").by_id("water-per-value-added")
assert _REUSE is not None
assert _ENERGY is not None
assert _WATER is not None
REUSE: Target = _REUSE
ENERGY: Target = _ENERGY
WATER: Target = _WATER


def ratio(
    numerator: float | None,
    denominator: float | None = 100.0,
    reason: Undefined | None = None,
    *,
    scale: float = 100.0,
    product: Product | None = None,
) -> Ratio:
    return Ratio(
        indicator_id="water_reuse_rate",
        subject_id=1,
        numerator=numerator,
        denominator=denominator,
        divides=True,
        scale=scale,
        unit="%",
        reason=reason,
        coverage=1.0,
        estimated_share=0.0,
        product=product,
    )


def judged(
    so_far: Ratio, trailing: Ratio, target: Target = REUSE, *, trailing_days: float = 30, rest: float = 180
) -> Standing:
    return threshold(target, so_far, trailing, trailing_days=trailing_days, remaining_days=rest, as_of=AS_OF)


def changed(target: Target, **changes: object) -> Target:
    return msgspec.structs.replace(target, **changes)


# The arithmetic of declines ---------------------------------------------------------------------------------------


def test_golden_yearly_declines_multiply() -> None:
    """4.0, 4.1, 4.2, 4.5 and 5.0 % make 19.983 %, not 21.8 %."""
    assert 100 * pace.cumulative_decline([0.040, 0.041, 0.042, 0.045, 0.050]) == pytest.approx(19.983, abs=5e-4)


@pytest.mark.parametrize(
    ("decline_percent", "yearly_percent"), [(20, 4.3648), (13.5, 2.86), (14.5, 3.08), (16, 3.43), (20, 4.36)]
)
def test_golden_yearly_rate_of_a_five_year_target(decline_percent: float, yearly_percent: float) -> None:
    """20 % in five years is 4.3648 % a year; Qijiang's −16 % and −20 % are −3.43 and −4.36 % a year."""
    digits = len(str(yearly_percent).partition(".")[2])
    assert round(100 * pace.yearly_rate(decline_percent / 100, 5), digits) == yearly_percent


declines = st.floats(min_value=0.001, max_value=0.95)
years_st = st.integers(min_value=1, max_value=20)


@given(declines, years_st)
def test_the_yearly_rate_over_all_years_gives_the_decline_back(share: float, years: int) -> None:
    """The product of equal yearly rates is the cumulative decline."""
    assert pace.cumulative_decline([pace.yearly_rate(share, years)] * years) == pytest.approx(share)


@given(declines, st.floats(min_value=0.01, max_value=0.99))
def test_on_the_path_progress_equals_time(share: float, part: float) -> None:
    """On the geometric path the share of the way done is the share of the time gone, at every moment."""
    level = pace.path_value(1.0, share, 5 * part, 5)
    assert pace.progress(1 - level, share) == pytest.approx(part, rel=1e-6)
    assert pace.remaining_yearly_rate(1 - level, share, 5 * (1 - part)) == pytest.approx(pace.yearly_rate(share, 5))


# Thresholds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "recent", "state"),
    [
        (92.0, 92.0, State.AHEAD),
        (91.8, 91.8, State.AHEAD),
        (91.7, 93.0, State.ON_PACE),
        (85.0, 95.0, State.ON_PACE),
        (90.0, 90.0, State.ON_PACE),
        (89.0, 89.0, State.AT_RISK),
        (95.0, 80.0, State.AT_RISK),
        (80.0, 80.0, State.OFF),
        (88.2, 88.2, State.OFF),
    ],
)
def test_the_state_follows_from_the_value_now_and_the_projection(now: float, recent: float, state: State) -> None:
    """Two percent better twice is ahead; meeting, narrowly missing and missing the target are three other states."""
    standing = judged(ratio(now), ratio(recent))
    assert standing.state is state
    assert standing.value == pytest.approx(now)
    assert (standing.target_value, standing.required, standing.reason) == (90.0, 90.0, None)


def test_the_projection_is_the_ratio_of_sums_of_the_year() -> None:
    """Half a year at 80 % and a last month of 95 % on twice the water project to 90 %, not to 87.5 %."""
    standing = judged(ratio(4_800.0, 6_000.0), ratio(1_900.0, 2_000.0))
    assert standing.projection == pytest.approx(100 * (4_800 + 6 * 1_900) / (6_000 + 6 * 2_000))
    assert standing.projection == pytest.approx(90.0)
    assert standing.state is State.ON_PACE


def test_at_the_years_end_the_projection_is_the_year() -> None:
    """With no day left the trailing month does not matter, even if it is unknown."""
    standing = judged(ratio(91.0), ratio(None, None, Undefined.NO_DATA), rest=0)
    assert (standing.projection, standing.state) == (pytest.approx(91.0), State.ON_PACE)


@pytest.mark.parametrize(
    ("now", "state"), [(97.0, State.AHEAD), (100.0, State.ON_PACE), (101.0, State.AT_RISK), (103.0, State.OFF)]
)
def test_at_most_is_judged_the_other_way_round(now: float, state: State) -> None:
    """A limit is kept by staying below it."""
    target = changed(REUSE, comparator=Comparator.LE, value=100.0)
    assert judged(ratio(now), ratio(now), target).state is state


def test_more_than_is_not_met_by_equality() -> None:
    """Over 90 % is missed, narrowly, by 90 %."""
    assert judged(ratio(90.0), ratio(90.0), changed(REUSE, comparator=Comparator.GT)).state is State.AT_RISK


@pytest.mark.parametrize("reason", [Undefined.NO_DATA, Undefined.COVERAGE_TOO_LOW, Undefined.NO_PRODUCTION])
def test_an_undefined_value_is_never_judged(reason: Undefined) -> None:
    """Missing data is undefined with its own reason, not off."""
    standing = judged(ratio(90.0, None, reason), ratio(90.0))
    assert (standing.state, standing.reason, standing.value) == (State.UNDEFINED, reason, None)


def test_an_unknown_last_month_leaves_the_value_but_no_judgement() -> None:
    """Without a projection the value is shown and the standing is undefined."""
    standing = judged(ratio(95.0), ratio(50.0, 60.0, Undefined.COVERAGE_TOO_LOW))
    assert (standing.state, standing.reason) == (State.UNDEFINED, Undefined.COVERAGE_TOO_LOW)
    assert standing.value == pytest.approx(95.0)


def test_a_last_month_that_stood_still_adds_its_zero() -> None:
    """A month without production adds its energy and no product, so the projection gets worse."""
    steel = Product("t", "steel")
    target = changed(REUSE, indicator="energy_per_product", comparator=Comparator.LE, value=60.0, unit="kgce/t")
    so_far = ratio(600.0, 10.0, scale=1.0, product=steel)
    standing = judged(so_far, ratio(10.0, 0.0, Undefined.NO_PRODUCTION, scale=1.0, product=steel), target, rest=30)
    assert standing.projection == pytest.approx(61.0)
    other = ratio(60.0, 1.0, scale=1.0, product=Product("t", "beer"))
    assert judged(so_far, other, target).reason is Undefined.UNLIKE_PRODUCTS


def test_a_sum_without_a_denominator_is_not_judged_as_a_ratio() -> None:
    """A yearly total against its limit needs its share of the year, so it is not judged by this rule."""
    energy = evaluate(
        load_catalogue().by_id("comprehensive_energy_equal"),
        [Amount(1, "electricity", Direction.IN, "kWh", 1.0, 1.0, 0.0, 1.0)],
        load_factors(),
        on=date(2024, 1, 1),
    )
    assert judged(energy, energy, changed(REUSE, comparator=Comparator.LE)).reason is Undefined.NOT_JUDGED


# Declines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [ENERGY, WATER], ids=["energy", "water"])
def test_qijiang_has_no_baseline_yet(target: Target) -> None:
    """Both binding targets say "no baseline yet", in both languages, whatever the data."""
    standing = decline(target, ratio(0.5, 1.0, scale=1.0), elapsed_years=3, as_of=AS_OF)
    assert (standing.state, standing.reason) == (State.UNDEFINED, Undefined.NO_BASELINE)
    assert standing.sentence_en == f"{target.name_en}: undefined, because no baseline yet"
    assert standing.sentence_zh == f"{target.name_zh}：无法判断，尚无基期值"


def based(value: float = 16.0) -> Target:
    return changed(ENERGY, base_value=0.5, value=value, indicator="energy_per_product")


def fell(percent: float, years: float = 2.0, target: Target | None = None) -> Standing:
    return decline(
        target or based(), ratio(0.5 * (1 - percent / 100), 1.0, scale=1.0), elapsed_years=years, as_of=AS_OF
    )


def test_the_path_of_a_decline_is_geometric() -> None:
    """After two of five years −16 % wants base × 0.84^(2/5), and the end is base × 0.84."""
    standing = fell(7.0)
    assert standing.required == pytest.approx(0.5 * 0.84**0.4)
    assert standing.target_value == pytest.approx(0.42)
    assert standing.projection == pytest.approx(0.5 * 0.93**2.5)
    assert standing.state is State.ON_PACE


@pytest.mark.parametrize(
    ("percent", "state"),
    [(9.0, State.AHEAD), (7.0, State.ON_PACE), (6.5, State.AT_RISK), (5.0, State.OFF), (-3.0, State.OFF)],
)
def test_a_decline_is_judged_by_its_pace(percent: float, state: State) -> None:
    """Two years into −16 % in five, 6.74 % is the pace; a rise is off and goes backwards."""
    standing = fell(percent)
    assert standing.state is state
    assert standing.progress is not None
    assert (standing.progress >= 0.4) == (state in {State.AHEAD, State.ON_PACE})
    assert (standing.progress < 0) == (percent < 0)


def test_after_the_target_year_the_level_itself_is_judged() -> None:
    """Past the end the path stands still at the target, and the projection is what is."""
    standing = fell(16.0, years=7)
    assert (standing.state, standing.projection) == (State.ON_PACE, pytest.approx(0.42))
    assert standing.required == standing.target_value


@pytest.mark.parametrize(
    ("target", "now", "years", "reason"),
    [
        (based(), ratio(0.4, 1.0, scale=1.0), 0.0, Undefined.NOT_STARTED),
        (based(), ratio(0.4, None, Undefined.NO_POINTS), 2.0, Undefined.NO_POINTS),
        (based(), ratio(-0.1, 1.0, scale=1.0), 2.0, Undefined.IMPLAUSIBLE),
        (based(), ratio(1e9, 1.0, scale=1.0), 1e-3, Undefined.IMPLAUSIBLE),
        (based(-16.0), ratio(0.4, 1.0, scale=1.0), 2.0, Undefined.IMPOSSIBLE_TARGET),
        (based(100.0), ratio(0.4, 1.0, scale=1.0), 2.0, Undefined.IMPOSSIBLE_TARGET),
        (changed(based(), base_value=0.0), ratio(0.4, 1.0, scale=1.0), 2.0, Undefined.IMPOSSIBLE_TARGET),
        (changed(based(), indicator=None), ratio(0.4, 1.0, scale=1.0), 2.0, Undefined.NO_INDICATOR),
        (changed(based(), value=None), ratio(0.4, 1.0, scale=1.0), 2.0, Undefined.NO_NUMBER),
    ],
)
def test_a_decline_that_cannot_be_judged_says_why(target: Target, now: Ratio, years: float, reason: Undefined) -> None:
    """No denominator, no time, no level and a target that cannot be are each undefined under their own reason."""
    standing = decline(target, now, elapsed_years=years, as_of=AS_OF)
    assert (standing.state, standing.reason) == (State.UNDEFINED, reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"comparator": Comparator.TRACK_ONLY, "value": None}, Undefined.NO_NUMBER),
        ({"comparator": Comparator.QUALITATIVE}, Undefined.NO_NUMBER),
        ({"comparator": Comparator.HOLD}, Undefined.NOT_JUDGED),
        ({"value": None}, Undefined.NO_NUMBER),
        ({"indicator": None}, Undefined.NO_INDICATOR),
    ],
)
def test_targets_that_cannot_be_judged_yet_say_so(changes: dict[str, object], reason: Undefined) -> None:
    """A target without a number or without an indicator is tracked, not judged."""
    standing = judged(ratio(99.0), ratio(99.0), changed(REUSE, **changes))
    assert (standing.state, standing.reason) == (State.UNDEFINED, reason)
    assert standing.value == pytest.approx(99.0)


# Contract ---------------------------------------------------------------------------------------------------------


def test_a_target_is_judged_by_its_own_rule_only() -> None:
    """Mixing the two rules up is a mistake of the caller and is refused, as is a time without a zone."""
    with pytest.raises(ValueError, match="use `decline`"):
        judged(ratio(1.0), ratio(1.0), ENERGY)
    with pytest.raises(ValueError, match="use `threshold`"):
        decline(REUSE, ratio(1.0), elapsed_years=1, as_of=AS_OF)
    with pytest.raises(ValueError, match="must be positive"):
        judged(ratio(1.0), ratio(1.0), trailing_days=0)
    naive = datetime(2025, 1, 1)  # noqa: DTZ001  (the promise is that this is refused)
    with pytest.raises(CalendarError):
        undefined(REUSE, Undefined.NO_DATA, naive)
    with pytest.raises(CalendarError):
        threshold(REUSE, ratio(99.0), ratio(99.0), trailing_days=30, remaining_days=1, as_of=naive)


def test_sentences_tell_value_target_projection_and_state_in_both_languages() -> None:
    """What a person reads has every number of the judgement."""
    standing = judged(ratio(88.5), ratio(89.25))
    for sentence, word in ((standing.sentence_zh, "有风险"), (standing.sentence_en, "at risk")):
        for part in ("88.50 %", "≥ 90.00 %", "2025", word):
            assert part in sentence
    assert "工业用水重复利用率" in standing.sentence_zh


@given(st.floats(min_value=0.0, max_value=100.0), st.floats(min_value=0.0, max_value=100.0))
def test_a_better_last_month_never_worsens_the_standing(now: float, recent: float) -> None:
    """States are ordered: more reuse in the last month gives the same state or a better one."""
    order = [State.OFF, State.AT_RISK, State.ON_PACE, State.AHEAD]
    before = judged(ratio(now), ratio(recent)).state
    after = judged(ratio(now), ratio(min(recent + 5, 100.0))).state
    assert order.index(after) >= order.index(before)
