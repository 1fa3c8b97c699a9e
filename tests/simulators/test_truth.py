"""What really happened is a function of seed, firm and time alone, and its balances close exactly."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from park.calendar import BUCKET_US
from simulators.datafiles import read
from simulators.days import day_level
from simulators.errors import DataError, SimulatedTime, UnknownName
from simulators.firms import SLOTS, flows, load_profile, profile, profiles
from simulators.live import leak, stop_reuse, waste
from simulators.quantities import MICRO, quantities
from simulators.totals import Effect, Totals
from simulators.weather import weather

START = 1_962_720  # 2025-12-22T00:00Z
names = st.sampled_from(profiles())
firsts = st.integers(START, START + 40_000)


@settings(max_examples=60, deadline=None)
@given(names, st.integers(0, 5), firsts, st.integers(0, 500), st.integers(1, 200))
def test_a_window_on_its_own_equals_the_slice_of_a_longer_one(name: str, seed: int, first: int, lead: int, n: int):
    """Any window of the truth can be generated alone, bit for bit."""
    longer = quantities(profile(name), 1.3, seed, "f07", first, lead + n + 37)
    alone = quantities(profile(name), 1.3, seed, "f07", first + lead, n)
    assert longer.keys() == alone.keys()
    for flow, values in alone.items():
        np.testing.assert_array_equal(values, longer[flow][lead : lead + n], err_msg=flow)


@pytest.mark.parametrize("name", profiles())
def test_truth_closes_in_every_bucket(name: str):
    """Water in equals consumed, discharged and leaked; a main meter equals its children and the loss."""
    q = quantities(profile(name), 0.8, 3, "f01", START, 96 * 120)
    for flow, values in q.items():
        assert values.min() >= 0, flow
        assert values.dtype == np.int64
    loads = [f"electricity.{load.code}" for load in profile(name).electricity.loads]
    zero = np.zeros(96 * 120, np.int64)
    used = sum((q[load] for load in loads), zero) + q["electricity.loss"] + q.get("electricity.charge", zero)
    own = sum((q.get(f"electricity.{part}", zero) for part in ("solar", "discharge", "generated")), zero)
    np.testing.assert_array_equal(q["electricity"] + own, used + q.get("electricity.export", zero))
    assert q["electricity"].sum() > 0
    if "fresh_water" in q:
        np.testing.assert_array_equal(q["fresh_water"], q["water.consumed"] + q["wastewater"] + q["water.leaked"])
        np.testing.assert_array_equal(
            q["fresh_water"], q["water.process"] + q["water.makeup"] + q["water.domestic"] + q["water.leaked"]
        )
    if "natural_gas" in q:
        parts = [values for flow, values in q.items() if flow.startswith("natural_gas.")]
        np.testing.assert_array_equal(q["natural_gas"], sum(parts, zero))
    assert set(q) == set(flows(profile(name)))


def test_firms_and_seeds_differ_and_one_seed_repeats():
    """Another seed or another firm of the same trade gives another truth; the same gives the same."""
    trade = profile("pcb")
    one = quantities(trade, 1.0, 1, "f01", START, 96)["electricity"]
    assert np.array_equal(one, quantities(trade, 1.0, 1, "f01", START, 96)["electricity"])
    assert not np.array_equal(one, quantities(trade, 1.0, 2, "f01", START, 96)["electricity"])
    assert not np.array_equal(one, quantities(trade, 1.0, 1, "f02", START, 96)["electricity"])


def test_firms_rest_at_the_spring_festival_and_on_sundays():
    """Production follows the Chinese calendar: nearly nothing at the festival, little on a Sunday."""
    work = profile("auto-parts").work
    ordinary = day_level(work, date(2026, 3, 18))
    assert day_level(work, date(2026, 2, 17)) <= 0.05
    assert ordinary > 0.9
    assert day_level(work, date(2025, 1, 29)) <= 0.05
    assert day_level(work, date(2026, 3, 22)) < 0.1 * ordinary
    assert day_level(work, date(2026, 10, 3)) < 0.1 * ordinary
    assert day_level(work, date(2026, 8, 12)) == pytest.approx(0.5 * ordinary, rel=0.2)
    with pytest.raises(DataError, match=r"holidays\.yaml: 2051: no holidays"):
        day_level(work, date(2051, 1, 1))


def test_production_ramps_up_after_a_standing_start_while_energy_flows():
    """In the first quarter of an hour of a shift a firm uses energy for which little is made yet."""
    trade = profile("building-materials")
    monday_7h = (20_535 * SLOTS) - 32 + 28  # 2026-03-23 07:00 local
    q = quantities(trade, 1.0, 1, "f01", monday_7h, 8)
    assert q["product.blocks"][0] < 0.4 * q["product.blocks"][6]
    assert q["electricity.grinding"][0] > 0.8 * q["electricity.grinding"][6]


def test_summers_are_hot_and_nights_are_dark():
    """Chongqing's July is some twenty degrees warmer than its January, and the sun does not shine at night."""
    january, july = weather(1, START + 96 * 20, 96 * 20), weather(1, START + 96 * 200, 96 * 20)
    assert 15 < july.temperature_degc.mean() - january.temperature_degc.mean() < 28
    midnight = (np.arange(96 * 20) + 32) % 96 == 0
    assert january.irradiance[midnight].max() == 0.0
    assert july.irradiance.max() > 0.5


def totals(name: str = "pcb", seed: int = 1) -> Totals:
    """Running totals that start at `START`."""
    return Totals(profile(name), 1.0, seed, "f06", START * BUCKET_US)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40 * 86_400_000), min_size=2, max_size=30))
def test_totals_rise_and_agree_with_the_buckets(offsets_ms: list[int]):
    """A total never falls, is the same asked one by one or together, and at bucket edges is the sum of the buckets."""
    whole = totals()
    t_us = START * BUCKET_US + 1000 * np.array(sorted(offsets_ms), np.int64)
    total = whole.at("fresh_water", t_us)
    assert np.all(np.diff(total) >= 0)
    assert [whole.now("fresh_water", int(t)) for t in t_us] == total.tolist()
    n = int((t_us[-1] - t_us[0]) // BUCKET_US) + 1
    first = int(t_us[0] // BUCKET_US)
    direct = quantities(profile("pcb"), 1.0, 1, "f06", first, n)["fresh_water"]
    np.testing.assert_array_equal(whole.buckets("fresh_water", first, n), direct)


def test_totals_do_not_depend_on_what_was_asked_before():
    """A total asked for a year ahead equals the one reached step by step."""
    ahead, stepwise = totals(), totals()
    far = (START + 20_000) * BUCKET_US + 123_000
    for k in range(0, 20_000, 900):
        stepwise.now("electricity", (START + k) * BUCKET_US)
    assert ahead.now("electricity", far) == stepwise.now("electricity", far)


def test_what_is_asked_wrongly_is_named():
    """A time before the origin and an unknown flow are errors that say so."""
    with pytest.raises(SimulatedTime, match="not yet installed"):
        totals().now("electricity", START * BUCKET_US - 1_000_000)
    with pytest.raises(UnknownName, match="no flow 'tea'"):
        totals().now("tea", START * BUCKET_US)


def test_a_leak_is_in_the_truth_and_the_balance_still_closes():
    """Ten cubic metres an hour of leak over two hours are twenty more taken in and twenty more leaked."""
    whole, n = totals(), 96
    start = (START + 10) * BUCKET_US + 300_000_000
    effects = leak(10.0, start, start + 2 * 3_600_000_000)
    extra = {
        flow: whole.buckets(flow, START, n, effects) - whole.buckets(flow, START, n)
        for flow in ("fresh_water", "water.leaked", "wastewater")
    }
    assert extra["fresh_water"].sum() == 20 * MICRO
    assert extra["water.leaked"].sum() == 20 * MICRO
    assert extra["wastewater"].sum() == 0
    # It begins five minutes into a bucket: two thirds of a quarter's 2.5 m³.
    assert extra["fresh_water"][10] == pytest.approx(2.5 * MICRO * 2 / 3, abs=1)


def test_a_stopped_recycling_pump_freezes_its_register_and_costs_fresh_water():
    """What is no longer recycled is taken in fresh and discharged; the balance closes to a millionth per bucket."""
    whole, n = totals(), 96
    effects = stop_reuse("recycled_water", (START + 20) * BUCKET_US)
    q = {flow: whole.buckets(flow, START, n, effects) for flow in whole.flows}
    assert q["recycled_water"][:20].min() > 0
    assert q["recycled_water"][20:].max() == 0
    np.testing.assert_array_equal(q["fresh_water"], q["water.consumed"] + q["wastewater"] + q["water.leaked"])
    assert whole.now("recycled_water", (START + 50) * BUCKET_US, effects) == whole.now(
        "recycled_water", (START + 20) * BUCKET_US
    )
    with pytest.raises(UnknownName, match="flow of reused water"):
        stop_reuse("electricity", 0)


def test_waste_at_night_acts_only_at_night_and_reaches_the_main_meter():
    """Forty kilowatts from 22:00 to 06:00 local time are 320 kWh a night, at the sub-meter and at the main meter."""
    whole = totals()
    night = waste("electricity.air", 40.0, START * BUCKET_US, (START + 96 * 5) * BUCKET_US, (22, 6))
    for flow in ("electricity", "electricity.air"):
        extra = whole.buckets(flow, START, 96 * 5, night) - whole.buckets(flow, START, 96 * 5)
        local_hour = (np.arange(START, START + 96 * 5) + 32) % 96 // 4
        assert extra[(local_hour >= 6) & (local_hour < 22)].sum() == 0
        assert extra.sum() == 5 * 320 * MICRO
    assert waste("electricity.air", 1.0, 0)[0] == Effect("electricity", 0, rate_per_h=1.0)


@pytest.mark.parametrize(
    ("line", "wrong", "said"),
    [
        ("industrial: false", "industrial: perhaps", r"school\.yaml: industrial: Expected `bool`"),
        ("level: 0.8", "level: 8", r"school\.yaml: work\.shifts\[1\]\.level: Expected `float` <= 1\.5"),
        ("meter: water-u32", "meter: teapot", r"school\.yaml: points\[3\]\.meter: expected one of .*got 'teapot'"),
        ("flow: wastewater", "flow: tea", r"school\.yaml: points\[4\]\.flow: expected one of .*got 'tea'"),
        (
            "unit: m3, meter: gas-i32",
            "unit: kWh, meter: gas-i32",
            r"school\.yaml: points\[2\]\.unit: natural_gas is mea",
        ),
        ("code: E-002", "code: E-001", r"school\.yaml: points\[1\]\.code: 'E-001' is used twice"),
        ("name: school", "colour: red", r"school\.yaml: .*(colour|name)"),
        ("name: school", "name: [", r"school\.yaml: not YAML"),
    ],
)
def test_a_bad_profile_gives_one_line_that_names_file_and_field(line: str, wrong: str, said: str):
    """Whoever writes a profile is told where it is wrong and what was expected."""
    _, text = read("profiles", "school", "profile")
    with pytest.raises(DataError, match=said) as caught:
        load_profile(text.replace(line, wrong, 1), "school.yaml")
    assert "\n" not in str(caught.value)
