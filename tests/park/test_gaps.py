"""The course of a gap: the weeks before it tell where its total goes, and the total stays what it was."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.calendar import BUCKET_US, to_us
from park.gaps import WEEK_US, Gaps, shared_out, weights

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY_US = 86_400_000_000
MONDAY = to_us(datetime(2025, 6, 2, tzinfo=SHANGHAI))


def weeks(first_us: int, count: int, tz: ZoneInfo = SHANGHAI) -> tuple[np.ndarray, np.ndarray]:
    """Whole weeks in which a plant takes 8 a quarter hour from 08:00 to 18:00 local time on weekdays, else 1."""
    starts = first_us + BUCKET_US * np.arange(count * 7 * 96, dtype=np.int64)
    taken = []
    for start in starts:
        local = datetime.fromtimestamp(start / 1e6, tz)
        taken.append(8.0 if 8 <= local.hour < 18 and local.weekday() < 5 else 1.0)
    return starts, np.array(taken)


def test_a_gap_goes_as_the_same_weekday_and_hour_of_the_weeks_before() -> None:
    """A night and a morning without readings: the morning takes what mornings take."""
    source = weeks(MONDAY - 2 * WEEK_US, 2)
    found = weights(MONDAY + 18 * 3_600_000_000, MONDAY + DAY_US + 12 * 3_600_000_000, *source, SHANGHAI)
    assert found is not None
    starts, share = found
    assert share.sum() == pytest.approx(1.0, rel=1e-12)
    assert share[0] * 8 == pytest.approx(share[-1])
    assert len(starts) == 18 * 4


def test_a_weekend_is_not_a_weekday() -> None:
    """A gap over Friday evening to Monday noon puts little into the weekend."""
    source = weeks(MONDAY - 3 * WEEK_US, 4)
    t0 = MONDAY + 4 * DAY_US + 18 * 3_600_000_000
    found = weights(t0, t0 + int(2.75 * DAY_US), *source, SHANGHAI)
    assert found is not None
    share = found[1]
    assert share[: 62 * 4].sum() < 62 * 4 / (62 * 4 + 4 * 4 * 8) + 1e-9


def test_a_gap_of_five_weeks_goes_as_the_weeks_before_it() -> None:
    """Its own later weeks cannot tell: nothing was measured in them."""
    source = weeks(MONDAY - 2 * WEEK_US, 2)
    found = weights(MONDAY, MONDAY + 5 * WEEK_US, *source, SHANGHAI)
    assert found is not None
    np.testing.assert_allclose(found[1][: 7 * 96], found[1][4 * 7 * 96 :])


def test_without_a_week_before_or_after_weeks_of_standstill_a_gap_is_shared_out_by_time() -> None:
    """No course is invented."""
    t0, t1 = MONDAY + DAY_US, MONDAY + 2 * DAY_US
    none = np.zeros(0, np.int64), np.zeros(0)
    assert weights(t0, t1, *none, SHANGHAI) is None
    recent = weeks(MONDAY, 1)
    assert weights(t0, t1, recent[0][:96], recent[1][:96], SHANGHAI) is None
    starts, taken = weeks(MONDAY - WEEK_US, 1)
    assert weights(t0, t1, starts, np.zeros(len(taken)), SHANGHAI) is None
    assert weights(t0, t1, np.delete(starts, 100), np.delete(taken, 100), SHANGHAI) is None
    long_ago = starts - 5 * WEEK_US
    assert weights(t0, t1, long_ago, taken, SHANGHAI) is None


@pytest.mark.parametrize("name", ["Europe/Amsterdam", "Australia/Lord_Howe"])
def test_a_week_before_is_the_same_time_of_the_clock_when_the_clock_changed_between(name: str) -> None:
    """A shift begins at 08:00 of the clock, in summer as in winter."""
    tz = ZoneInfo(name)
    for day in (datetime(2025, 3, 31, tzinfo=tz), datetime(2025, 10, 6, tzinfo=tz), datetime(2025, 10, 27, tzinfo=tz)):
        t0 = to_us(day) + 2 * 3_600_000_000
        source = weeks(to_us(day) - 4 * WEEK_US, 4, tz)
        source = source[0][source[0] + BUCKET_US <= t0], source[1][source[0] + BUCKET_US <= t0]
        found = weights(t0, t0 + 20 * 3_600_000_000, *source, tz)
        assert found is not None
        high = found[1] > found[1].max() / 2
        hours = {datetime.fromtimestamp(start / 1e6, UTC).astimezone(tz).hour for start in found[0][high]}
        assert hours == set(range(8, 18))


@given(
    begin_s=st.integers(0, 3 * 86_400),
    length_s=st.integers(3_601, 9 * 86_400),
    amount=st.floats(0, 1e6),
    window=st.integers(1, 2_000),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_total_of_a_gap_stays_whatever_its_course(
    begin_s: int, length_s: int, amount: float, window: int, seed: int
) -> None:
    """Conserved to 1e-9, never negative, and a window sees the part that lies in it."""
    t0 = MONDAY + begin_s * 1_000_000
    t1 = t0 + length_s * 1_000_000
    starts = MONDAY - 2 * WEEK_US + BUCKET_US * np.arange(2 * 7 * 96, dtype=np.int64)
    taken = np.random.default_rng(seed).gamma(0.5, 2.0, len(starts)) + 1e-6
    usable = starts + BUCKET_US <= t0
    found = weights(t0, t1, starts[usable], taken[usable], SHANGHAI)
    assert found is not None
    first_us = t0 // BUCKET_US * BUCKET_US
    whole = -(-(t1 - first_us) // BUCKET_US)

    def spread(count: int) -> np.ndarray:
        edges = first_us + BUCKET_US * np.arange(count + 1, dtype=np.int64)
        width = np.clip(np.minimum(edges[1:], t1) - np.maximum(edges[:-1], t0), 0, None)
        estimated = amount * (width / (t1 - t0))
        one = np.array([0])
        gaps = Gaps(
            np.array([t0]), np.array([t1]), np.array([amount]), one, one, np.array([first_us]), np.array([count])
        )
        shared_out(estimated, gaps, 0, *found)
        return estimated

    everything = spread(whole)
    assert everything.sum() == pytest.approx(amount, rel=1e-9, abs=1e-9)
    assert everything.min() >= 0
    count = min(window, whole)
    np.testing.assert_allclose(spread(count), everything[:count], rtol=1e-9, atol=1e-9)
