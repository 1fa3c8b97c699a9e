"""Cut together or one by one: registers in which nothing is odd give the same buckets."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from park.buckets import consumption
from park.calendar import BUCKET_US, to_us
from park.plain import Stretch, plain, plain_consumption
from park.points import Direction, Installation, Kind, Label, Point

T0 = to_us(datetime(2025, 3, 1, tzinfo=UTC))
SINCE = datetime(2024, 1, 1, tzinfo=UTC)


def stretch_of(number: int, start: int, end: int, multiplier: float, limit: float | None) -> Stretch:
    """Twelve buckets of a register read about every minute."""
    point = Point(number, 1, "E", Kind.REGISTER, "electricity", Direction.IN, "kWh", 60, Label.END, limit)
    meter = Installation(number, "S", None, multiplier, SINCE, None)
    return Stretch(point, (meter,), start, end, T0, 12)


readings = st.lists(
    st.tuples(st.integers(1, 3000), st.sampled_from([0.0, 0.1, 1.0, 7.5, -2.0])), min_size=1, max_size=40
)
given_points = st.lists(
    st.tuples(readings, st.sampled_from([1.0, 2.5]), st.sampled_from([None, 100.0])), min_size=1, max_size=4
)


@settings(max_examples=150, deadline=None)
@given(given_points)
def test_plain_stretches_equal_the_careful_way(points: list) -> None:
    """Every bucket and every field, whatever the gaps; and a stretch that falls is never called plain."""
    t_us, value, stretches = [], [], []
    for number, (steps, multiplier, limit) in enumerate(points):
        start = len(t_us)
        t, dial = T0 - 1200 * 1_000_000, 1000.0
        for seconds, rise in steps:
            t, dial = t + seconds * 1_000_000, dial + rise
            t_us.append(t)
            value.append(dial)
        stretches.append(stretch_of(number, start, len(t_us), multiplier, limit))
    t_us, value = np.array(t_us, np.int64), np.array(value)
    quality = np.zeros(len(t_us), np.int16)
    chosen = plain(stretches, t_us, value, quality)
    falls = [bool(np.any(np.diff(value[s.start : s.end]) < 0)) for s in stretches]
    assert not np.any(chosen & np.array(falls))
    easy = [s for s, good in zip(stretches, chosen, strict=True) if good]
    if not easy:
        return
    owner, together = plain_consumption(easy, t_us, value)
    for number, s in enumerate(easy):
        here = slice(s.start, s.end)
        alone = consumption(
            s.point, s.installations, t_us[here], value[here], quality[here], first_us=s.first_us, count=s.count
        )
        for name in ("start_us", "measured", "estimated", "measured_s", "estimated_s", "held", "flags"):
            np.testing.assert_array_equal(getattr(together, name)[owner == number], getattr(alone, name), err_msg=name)
    assert together.start_us[0] == T0
    assert np.all(np.diff(together.start_us[owner == 0]) == BUCKET_US)


def test_bad_readings_and_two_meters_are_not_plain() -> None:
    """What needs a decision goes the careful way."""
    t_us, value = T0 + np.arange(5) * 60_000_000, np.arange(5.0)
    one = stretch_of(1, 0, 5, 1.0, None)
    assert plain([one], t_us, value, np.zeros(5, np.int16)).tolist() == [True]
    assert plain([one], t_us, value, np.array([0, 0, 4, 0, 0], np.int16)).tolist() == [False]
    two = Stretch(one.point, one.installations * 2, 0, 5, T0, 12)
    assert plain([two], t_us, value, np.zeros(5, np.int16)).tolist() == [False]
