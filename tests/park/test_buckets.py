"""Consumption in 15-minute buckets: conserved, measured and estimated apart, and unknown where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.buckets import Buckets, consumption
from park.calendar import BUCKET_US, from_us
from park.points import Direction, Installation, Kind, Label, Point, Quality
from park.registers import GLITCH_READINGS, Step

if TYPE_CHECKING:
    from datetime import datetime

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_700_000_100_000_000 // BUCKET_US * BUCKET_US
NEIGHBOURS = 2 * GLITCH_READINGS + 1


def point(
    kind: Kind = Kind.REGISTER, *, interval_s: int = 60, label: Label = Label.END, limit: float | None = None
) -> Point:
    return Point(1, 1, "E-001", kind, "electricity", Direction.IN, "kWh", interval_s, label, limit)


def meter(
    *,
    modulus: float | None = None,
    multiplier: float = 1.0,
    since: datetime | None = None,
    until: datetime | None = None,
    first: float | None = None,
    last: float | None = None,
) -> Installation:
    return Installation(1, "S-1", modulus, multiplier, since or from_us(0), until, first, last)


def buckets(
    readings: list[tuple[float, float]],
    *meters: Installation,
    of: Point | None = None,
    first: int = 0,
    count: int = 4,
    quality: list[int] | None = None,
) -> Buckets:
    """Compute buckets from (minutes after START, value)."""
    t = np.array([START + round(minute * MINUTE) for minute, _ in readings], np.int64)
    v = np.array([value for _, value in readings], np.float64)
    q = np.array(quality if quality is not None else [0] * len(readings), np.int16)
    return consumption(of or point(), meters or (meter(),), t, v, q, first_us=START + first * BUCKET_US, count=count)


def total(found: Buckets) -> float:
    return float(np.nansum(found.measured) + np.nansum(found.estimated))


def every_minute(minutes: int, per_minute: float = 1.0, begin: float = 100.0) -> list[tuple[float, float]]:
    return [(m, begin + per_minute * m) for m in range(minutes + 1)]


# Registers --------------------------------------------------------------------------------------------------------


def test_a_steady_register_fills_its_buckets() -> None:
    """One kWh a minute through a multiplier of 2 is 30 kWh in each bucket, all of it measured."""
    found = buckets(every_minute(60), meter(multiplier=2.0))
    assert list(found.measured) == pytest.approx([30.0] * 4)
    assert list(found.measured_s) == [900.0] * 4
    assert np.all(np.isnan(found.estimated))
    assert list(found.start_us) == [START + k * BUCKET_US for k in range(4)]
    assert not found.flags.any()


def test_a_reading_on_the_boundary_ends_the_bucket_before_it() -> None:
    """What passed up to the boundary belongs to the bucket that ends there."""
    found = buckets([(0, 0.0), (15, 10.0), (30, 30.0)], of=point(interval_s=900), count=2)
    assert list(found.measured) == [10.0, 20.0]


def test_without_readings_nothing_is_known_and_that_is_not_zero() -> None:
    """A bucket that no step covers has no quantity and no covered second; a meter that stands still has zero."""
    silent = buckets([])
    assert np.all(np.isnan(silent.measured))
    assert np.all(np.isnan(silent.estimated))
    assert not silent.measured_s.any()
    still = buckets(every_minute(60, per_minute=0.0))
    assert list(still.measured) == [0.0] * 4
    one = buckets([(5, 100.0)])
    assert np.all(np.isnan(one.measured)), "one reading alone tells no consumption"


def test_a_gap_is_shared_out_by_time_and_counted_as_estimated() -> None:
    """A step of an hour over four buckets keeps its total and says that its timing is a guess."""
    found = buckets([(0, 100.0), (60, 140.0)])
    assert list(found.estimated) == pytest.approx([10.0] * 4)
    assert list(found.estimated_s) == [900.0] * 4
    assert np.all(np.isnan(found.measured))
    assert np.all(found.flags == Step.GAP)


def test_a_gap_inside_one_bucket_is_measured() -> None:
    """What passed between two readings of one bucket is known to have passed in it."""
    found = buckets([(1, 100.0), (14, 140.0)], count=1)
    assert (found.measured[0], found.measured_s[0]) == (40.0, 780.0)
    assert not found.flags.any()


def test_measured_and_estimated_share_a_bucket() -> None:
    """A bucket half before a gap and half inside it has both, with their seconds."""
    found = buckets([*every_minute(7), (37, 137.0), (38, 138.0)], count=3)
    assert found.measured[0] == pytest.approx(7.0)
    assert found.estimated[0] == pytest.approx(8.0)
    assert (found.measured_s[0], found.estimated_s[0]) == (420.0, 480.0)
    assert total(found) == pytest.approx(38.0)


def test_a_reading_every_quarter_hour_off_the_boundary_is_no_gap() -> None:
    """A register that is read in its interval is measured, also where the interval straddles two buckets."""
    found = buckets([(-10, 0.0), (5, 15.0), (20, 30.0), (35, 45.0)], of=point(interval_s=900), count=2)
    assert list(found.measured) == pytest.approx([15.0, 15.0])
    assert np.all(np.isnan(found.estimated))


def test_a_rollover_counts_and_is_flagged() -> None:
    """999 987.50 to 12.75 times 2000 is 50 500, in the bucket where it happened."""
    found = buckets([(1, 999_987.50), (2, 12.75)], meter(modulus=1_000_000, multiplier=2_000), count=1)
    assert found.measured[0] == pytest.approx(50_500)
    assert found.flags[0] == Step.ROLLOVER


def test_a_dip_a_spike_and_a_momentary_zero_change_nothing_but_the_flag() -> None:
    """Readings that their neighbours contradict leave the quantity of the hour as it is."""
    clean = every_minute(60)
    for wrong in (0.0, 90.0, 99_999.0):
        broken = [(m, wrong if m == 20 else v) for m, v in clean]
        found = buckets(broken, of=point(limit=600.0))
        assert list(found.measured) == pytest.approx([15.0] * 4)
        assert found.flags[1] & Step.GLITCH
        assert not found.held.any()


def test_a_reset_without_an_event_is_held_and_its_step_is_missing() -> None:
    """The quantity of the new life is put aside once, and the seconds of the step are unknown, not zero."""
    found = buckets([*every_minute(20), *[(m, float(m - 20)) for m in range(21, 61)]], meter(multiplier=3.0))
    assert list(found.held) == [0.0, 3.0, 0.0, 0.0]
    assert found.flags[1] == Step.HELD_RESET
    assert found.measured_s[1] == 840.0
    assert total(found) == pytest.approx(3 * (20 + 39))


def test_what_is_held_over_the_end_of_a_window_is_held_once() -> None:
    """A step that ends in the next bucket is held there, and in no window that ends before."""
    readings = [*every_minute(14), *[(m, float(m)) for m in range(16, 61)]]
    windows = [buckets(readings, first=k, count=1) for k in range(4)]
    assert [float(window.held[0]) for window in windows] == [0.0, 16.0, 0.0, 0.0]
    assert [int(window.flags[0]) for window in windows[:3]] == [Step.HELD_RESET, Step.HELD_RESET, 0]


def test_bad_readings_are_not_believed_and_uncertain_ones_are() -> None:
    """Quality decides before anything else."""
    clean = every_minute(60)
    bad = [(m, 5.0 if m == 20 else v) for m, v in clean]
    quality = [int(Quality.BAD) if m == 20 else int(Quality.UNCERTAIN) for m, _ in clean]
    found = buckets(bad, quality=quality)
    assert list(found.measured + np.nan_to_num(found.estimated)) == pytest.approx([15.0] * 4)
    assert not (found.flags & Step.GLITCH).any()


# Meter swaps ------------------------------------------------------------------------------------------------------


def test_a_swap_with_first_and_last_readings_loses_nothing() -> None:
    """Across a swap count both meters, each with its own multiplier, up to the readings at the exchange."""
    swap = from_us(START + 31 * MINUTE)
    old = meter(multiplier=10.0, until=swap, last=131.5)
    new = meter(multiplier=20.0, since=swap, first=7.0)
    readings = [*every_minute(30), *[(m, 7.0 + m - 31) for m in range(32, 61)]]
    found = buckets(readings, old, new)
    assert total(found) == pytest.approx(10 * (131.5 - 100) + 20 * (36 - 7))
    assert list(found.flags) == [0, 0, Step.SWAP, 0]
    assert list(found.measured_s) == [900.0] * 4
    assert not found.held.any()


def test_a_swap_without_its_readings_leaves_the_time_between_unknown() -> None:
    """Nobody wrote the dials down: what passed between the last and the first reading is missing, not guessed."""
    swap = from_us(START + 31 * MINUTE)
    readings = [*every_minute(30), *[(m, float(m)) for m in range(33, 61)]]
    found = buckets(readings, meter(until=swap), meter(since=swap))
    assert total(found) == pytest.approx(30 + 27)
    assert found.measured_s.sum() == 3600 - 180


def test_a_swap_to_a_lower_dial_is_no_reset_and_no_rollover() -> None:
    """The new meter's lower dial is compared with its own first reading only."""
    swap = from_us(START + 30 * MINUTE)
    readings = [(0, 999_000.0), (29, 999_900.0), (31, 1.0), (59, 29.0)]
    found = buckets(
        readings,
        meter(modulus=1e6, until=swap, last=999_931.0),
        meter(modulus=1e6, since=swap, first=0.0),
        of=point(interval_s=900),
    )
    assert total(found) == pytest.approx(931 + 29)
    assert not (found.flags & (Step.HELD_RESET | Step.ROLLOVER)).any()


# Intervals and gauges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("label", "bucket"), [(Label.END, 0), (Label.START, 1)])
def test_an_interval_reading_belongs_to_the_side_that_its_label_names(label: Label, bucket: int) -> None:
    """A reading at 00:15 is the first quarter where times name ends, the second where they name starts."""
    found = buckets([(15, 8.0)], meter(multiplier=2.0), of=point(Kind.INTERVAL, interval_s=900, label=label), count=2)
    assert found.measured[bucket] == 16.0
    assert found.measured_s[bucket] == 900.0
    assert np.isnan(found.measured[1 - bucket])


def test_an_interval_longer_than_a_bucket_is_shared_out() -> None:
    """An hourly amount is a quarter of it in each bucket, and its sum is kept."""
    found = buckets([(60, 8.0)], of=point(Kind.INTERVAL, interval_s=3600))
    assert list(found.measured) == pytest.approx([2.0] * 4)


def test_interval_times_that_jitter_cover_no_bucket_twice() -> None:
    """Overlapping intervals keep their amounts, and a bucket has at most its 900 seconds."""
    found = buckets([(15.1, 5.0), (30.0, 5.0), (45.0, 5.0)], of=point(Kind.INTERVAL, interval_s=900), count=3)
    assert np.all(found.measured_s <= 900.0)
    assert total(found) == pytest.approx(15.0)


def test_a_gauge_is_integrated_between_near_readings_only() -> None:
    """The mean of two near readings counts for the time between them; a gap is missing, not interpolated."""
    found = buckets([(0, 60.0), (1, 120.0), (10, 120.0), (11, 60.0)], of=point(Kind.GAUGE), count=1)
    assert found.measured[0] == pytest.approx(90 / 60 + 90 / 60)
    assert found.measured_s[0] == 120.0
    assert np.isnan(found.estimated[0])


# What always holds ------------------------------------------------------------------------------------------------

spans = st.lists(st.tuples(st.integers(1, 40 * 60), st.floats(0, 90)), min_size=1, max_size=80)


@given(spans, st.sampled_from([1.0, 120.0, 2_000.0]), st.booleans())
def test_consumption_is_conserved(increments: list[tuple[int, float]], multiplier: float, rolls: bool) -> None:
    """Over gaps and rollovers the buckets add up to last minus first reading times the multiplier."""
    seconds = np.cumsum([0, *(s for s, _ in increments)])
    true = np.cumsum([0.0, *(v for _, v in increments)])
    dial = true % 1_000 if rolls else true
    readings = [(s / 60, v) for s, v in zip(seconds, dial, strict=True)]
    count = int(seconds[-1] // 900) + 1
    found = buckets(readings, meter(modulus=1_000.0 if rolls else None, multiplier=multiplier), count=count)
    assert total(found) == pytest.approx(true[-1] * multiplier, rel=1e-9, abs=1e-6)
    assert found.measured_s.sum() + found.estimated_s.sum() == pytest.approx(seconds[-1])
    assert np.all(found.measured_s + found.estimated_s <= 900 + 1e-6)
    assert not found.held.any()


@given(
    spans,
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from([0.0, 1.0, 5e5])), max_size=4),
    st.integers(0, 40),
    st.integers(1, 12),
    st.sampled_from([None, 20_000.0]),
)
def test_a_window_with_its_neighbours_equals_the_slice_of_the_whole(
    increments: list[tuple[int, float]],
    glitches: list[tuple[int, float]],
    first: int,
    count: int,
    limit: float | None,
) -> None:
    """A few buckets computed again from their surroundings are what a computation from scratch gives them."""
    seconds = np.cumsum([0, *(s for s, _ in increments)])
    dial = 1_000.0 + np.cumsum([0.0, *(v for _, v in increments)])
    for k, (where, value) in enumerate(glitches):
        # Glitches, further apart than what confirms them reaches.
        at = 20 * k + where % 5
        if 0 < at < len(dial) - 1:
            dial[at] = value
    t = START + seconds.astype(np.int64) * 1_000_000
    quality = np.zeros(len(t), np.int16)
    meters = (meter(modulus=1e6, multiplier=2.0),)
    measured_point = replace(point(interval_s=300), rate_limit_per_h=limit)
    whole_count = first + count
    whole = consumption(measured_point, meters, t, dial, quality, first_us=START, count=whole_count)
    low, high = START + first * BUCKET_US, START + whole_count * BUCKET_US
    a = max(int(np.searchsorted(t, low)) - NEIGHBOURS, 0)
    b = int(np.searchsorted(t, high, side="right")) + NEIGHBOURS
    part = consumption(measured_point, meters, t[a:b], dial[a:b], quality[a:b], first_us=low, count=count)
    for name in ("measured", "estimated", "measured_s", "estimated_s", "held", "flags"):
        np.testing.assert_allclose(
            getattr(part, name), getattr(whole, name)[first:], rtol=1e-9, atol=1e-6, err_msg=name
        )


@given(spans, st.integers(1, 5))
def test_neighbouring_windows_add_up(increments: list[tuple[int, float]], width: int) -> None:
    """Whichever windows a stretch is cut into, together they hold all of it once."""
    seconds = np.cumsum([0, *(s for s, _ in increments)])
    readings = [(s / 60, v) for s, v in zip(seconds, np.cumsum([0.0, *(v for _, v in increments)]), strict=True)]
    count = int(seconds[-1] // 900) + 1
    parts = [buckets(readings, first=k, count=width) for k in range(0, count, width)]
    assert sum(map(total, parts)) == pytest.approx(total(buckets(readings, count=count)), rel=1e-9, abs=1e-6)


def test_amounts_without_a_meter_count_as_they_come_and_registers_do_not() -> None:
    """An analyser's hourly amounts need no installation; a register's multiplier must be known."""
    hour_us = 3_600_000_000
    t_us, value, quality = np.array([hour_us]), np.array([8.0]), np.zeros(1, np.int16)
    for kind, total in ((Kind.INTERVAL, 8.0), (Kind.REGISTER, 0.0)):
        point = Point(1, 1, "A-001", kind, "nox", Direction.OUT, "kg", 3600)
        found = consumption(point, (), t_us, value, quality, first_us=0, count=4)
        assert np.nansum(found.measured) == pytest.approx(total)
