"""Dials count whole steps, turn over, and say the same by every way."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from park.buckets import consumption
from park.calendar import BUCKET_US, from_us, to_us
from park.definition import dump_definition, load_definition
from park.points import Installation, Kind, Point
from simulators.errors import DataError, SimulatedTime, UnknownName
from simulators.history import history
from simulators.meters import step_of
from simulators.parks import SimulatedFirm, SimulatedPark, SimulatedPoint, demo_park, load_park, swap
from simulators.quantities import MICRO

CHINA = timezone(timedelta(hours=8))
ORIGIN = datetime(2025, 11, 21, tzinfo=CHINA)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def demo() -> SimulatedPark:
    """The demonstration's park."""
    return demo_park(7, origin=ORIGIN)


def test_the_demo_park_is_a_valid_park_document(demo: SimulatedPark):
    """Ten firms of different trades with about eight registers each, which the platform can be set up with."""
    definition = demo.definition
    assert load_definition(dump_definition(definition), "demo") == definition
    assert len(definition.firms) == 10
    assert len({firm.industry for firm in definition.firms}) == 10
    points = [point for firm in definition.firms for point in firm.points]
    assert 70 <= len(points) <= 90
    assert {point.kind for point in points} == {Kind.REGISTER}
    assert {point.carrier for point in points} >= {
        "electricity",
        "natural_gas",
        "fresh_water",
        "recycled_water",
        "recirculated_water",
        "wastewater",
        "product",
    }
    assert [firm.code for firm in definition.firms if not firm.industrial] == ["f09"]
    installed = {meter.valid_from for point in points for meter in point.installations}
    assert installed == {ORIGIN - DAY}
    assert len({m.multiplier for p in points for m in p.installations}) > 5
    assert len({m.modulus for p in points for m in p.installations}) > 4


def test_some_firms_reuse_more_than_ninety_percent_and_the_park_is_near_it(demo: SimulatedPark):
    """The industrial firms' ratio of sums over a year lies near 90 %, with firms on both sides."""
    first, count = to_us(ORIGIN) // BUCKET_US, 96 * 365
    fresh, reused = 0, 0
    rates = []
    for firm in demo.firms:
        if firm.profile.industrial:
            taken = int(firm.totals.buckets("fresh_water", first, count).sum())
            again = sum(
                int(firm.totals.buckets(f"{w}_water", first, count).sum()) for w in ("recirculated", "recycled")
            )
            rates.append(again / (again + taken))
            fresh, reused = fresh + taken, reused + again
    assert 0.88 < reused / (reused + fresh) < 0.93
    assert min(rates) < 0.8
    assert max(rates) > 0.95


def test_a_year_of_the_park_is_laid_down_in_seconds(demo: SimulatedPark):
    """Every register every 15 minutes for a year: 2.7 million readings in under 5 s on one core."""
    fresh = demo_park(8, origin=ORIGIN)
    began = time.perf_counter()
    rows = sum(len(b.t_us) for f in fresh.firms for b in history(fresh, f.code, ORIGIN, ORIGIN + 365 * DAY))
    assert rows == 35_040 * sum(len(firm.points) for firm in fresh.firms)
    assert time.perf_counter() - began < 5.0


def test_history_continues_live_without_a_seam(demo: SimulatedPark):
    """History is what the live meters would have shown, in order of time, wherever it is cut."""
    start, end = ORIGIN + 30 * DAY, ORIGIN + 31 * DAY
    (block,) = history(demo, "f02", start, end)
    assert np.all(np.diff(block.t_us) >= 0)
    assert block.t_us[0] == to_us(start)
    assert block.t_us[-1] == to_us(end) - BUCKET_US
    firm = demo_park(7, origin=ORIGIN).firm("f02")
    for k in range(0, len(block.t_us), 17):
        assert firm.dial(block.codes[block.point[k]], int(block.t_us[k])) == block.value[k]
    finer = list(history(demo, "f02", start, end, step_s=60))
    at_900 = np.concatenate([b.value[(b.t_us % BUCKET_US) == 0] for b in finer])
    np.testing.assert_array_equal(at_900, block.value)


def test_dials_count_whole_steps_below_the_modulus_and_turn_over(demo: SimulatedPark):
    """Each value is a multiple of the resolution, and some registers turn over within the year."""
    turned = 0
    for firm in demo.firms:
        for point in firm.points:
            model = point.meters[0].model
            t_us = to_us(ORIGIN) + BUCKET_US * np.arange(96 * 365, dtype=np.int64)
            value = firm.dials(point, t_us)
            assert value.min() >= 0
            assert value.max() < model.modulus
            steps = value / model.resolution
            np.testing.assert_allclose(steps, np.rint(steps), atol=2e-3)
            turned += bool(np.any(np.diff(value) < 0))
    assert turned >= 10


def ledger(firm: SimulatedFirm, point: SimulatedPoint, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What the platform's own code makes of the dial, and the truth, per bucket in the point's unit."""
    edges = (first + np.arange(count + 1, dtype=np.int64)) * BUCKET_US
    meters = [
        Installation(
            k + 1,
            m.serial,
            m.model.modulus,
            m.multiplier,
            from_us(m.from_us),
            None if m.to_us is None else from_us(m.to_us),
            m.dial(m.start_ticks) if k else None,
            None if m.to_us is None else firm_last(firm, point, k),
        )
        for k, m in enumerate(point.meters)
    ]
    subject = Point(
        1, 1, point.code, Kind.REGISTER, point.flow.carrier, point.flow.direction, point.unit, 900,
        rate_limit_per_h=point.rate_limit_per_h,
    )  # fmt: skip
    value = firm.dials(point, edges)
    zero = np.zeros(count + 1, np.int16)
    found = consumption(subject, meters, edges, value, zero, first_us=int(edges[0]), count=count)
    assert not found.held.any()
    truth = np.diff(firm.totals.at(point.flow.name, edges)) / (MICRO * point.base_per_unit)
    return found.measured, truth


def firm_last(firm: SimulatedFirm, point: SimulatedPoint, k: int) -> float:
    """Dial at which a meter was taken down."""
    meter = point.meters[k]
    start = firm.totals.now(point.flow.name, max(meter.from_us, firm.totals.origin_us))
    assert meter.to_us is not None
    return meter.dial(meter.ticks(firm.totals.now(point.flow.name, meter.to_us) - start))


def test_the_platform_reads_the_truth_off_every_dial(demo: SimulatedPark):
    """From dial, modulus and multiplier the platform's ledger finds the truth to one step of the dial, all year."""
    first = to_us(ORIGIN) // BUCKET_US
    for firm in demo.firms:
        for point in firm.points:
            measured, truth = ledger(firm, point, first, 96 * 365)
            step = point.meters[0].model.resolution * point.meters[0].multiplier
            assert np.abs(measured - truth).max() < 2.01 * step, (firm.code, point.code)
            assert abs(measured.sum() - truth.sum()) < 1.01 * step + 1e-6 * truth.sum() * 1e-3


def test_a_swapped_meter_loses_nothing(demo: SimulatedPark):
    """An exchange with first and last reading leaves the year's total as it is."""
    firm = demo.firm("f04")
    point = swap(firm.point("E-001"), to_us(ORIGIN + 40 * DAY) + 400_000_000, serial="NEW-1", start_share=0.999)
    measured, truth = ledger(firm, point, to_us(ORIGIN) // BUCKET_US, 96 * 80)
    step = point.meters[0].model.resolution * point.meters[0].multiplier
    assert abs(measured.sum() - truth.sum()) < 4 * step
    assert len(point.meters) == 2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**13), st.integers(0, 10**9))
def test_a_dial_only_moves_forward(moved: int, more: int):
    """More has passed: the dial has advanced by as many whole steps, modulo its modulus."""
    point = demo_park(7, origin=ORIGIN).firm("f02").point("P-001")
    meter = point.meters[0]
    before, after = meter.ticks(moved), meter.ticks(moved + more)
    assert (after - before) % meter.modulus_ticks == ((moved + more) // meter.step - moved // meter.step) % 65_536
    assert meter.dials(np.array([moved]))[0] == meter.dial(before)


def test_a_step_of_the_dial_is_never_nothing(demo: SimulatedPark):
    """Units are converted once: a MWh meter at 0.001 MWh counts steps of a kilowatt-hour."""
    point = demo.firm("f01").point("E-001")
    assert point.meters[0].step == MICRO
    assert step_of(point.meters[0].model, 1e-9, 1.0) == 1


@pytest.mark.parametrize(
    ("line", "wrong", "said"),
    [
        ("profile: pcb", "profile: brewery", r"p\.yaml: firms\[0\]\.profile: expected one of .* got 'brewery'"),
        ("scale: 1", "scale: -1", r"p\.yaml: firms\[0\]\.scale: Expected `float` >= 0"),
        ("points: [E-001]", "points: [X-9]", r"p\.yaml: firms\[0\]\.points: expected any of .* got 'X-9'"),
    ],
)
def test_a_bad_park_gives_one_line(line: str, wrong: str, said: str):
    """Whoever writes a park is told where it is wrong."""
    text = (
        "code: p\nname_zh: 园\nname_en: P\nfirms:\n"
        "  - {code: f01, name_zh: 厂, name_en: F, profile: pcb, scale: 1, points: [E-001]}\n"
    )
    assert len(load_park(text, "p.yaml", 1).firms) == 1
    with pytest.raises(DataError, match=said):
        load_park(text.replace(line, wrong), "p.yaml", 1)


def test_unknown_firms_points_and_times_are_named(demo: SimulatedPark):
    """A wrong name is answered with the right ones, a time before the installation with what to ask."""
    with pytest.raises(UnknownName, match=r"no firm 'f99'; known are f01"):
        demo.firm("f99")
    with pytest.raises(UnknownName, match="no point 'X'"):
        demo.firm("f01").point("X")
    with pytest.raises(SimulatedTime):
        demo.firm("f01").dial("E-001", to_us(ORIGIN - 2 * DAY))
