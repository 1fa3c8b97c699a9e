"""Movement in the seconds before an instant."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.windows import movement, ticks
from park.errors import UnitError
from park.points import Direction, Installation, Kind, Point
from store.registry import MeteredPoint
from store.samples import Series, no_readings

S = 1_000_000


def metered(kind: Kind = Kind.REGISTER, unit: str = "m3", modulus: float | None = None) -> MeteredPoint:
    point = Point(1, 1, "w", kind, "fresh_water", Direction.IN, unit, interval_s=5, rate_limit_per_h=1e9)
    return MeteredPoint(
        point, None, None, (Installation(1, "m", modulus, 2.0, datetime(1970, 1, 1, tzinfo=UTC), None),)
    )


def series(t_s: list[float], value: list[float]) -> Series:
    n = len(t_s)
    return Series(np.array([int(t * S) for t in t_s], np.int64), np.array(value, float), np.zeros(n, np.int16))


def over(found: object, t_s: float, window_s: float) -> tuple[float, float]:
    amount, covered = found.over(np.array([int(t_s * S)]), int(window_s * S))
    return float(amount[0]), float(covered[0])


@given(
    steps=st.lists(st.tuples(st.integers(1, 7), st.floats(0, 5)), min_size=2, max_size=30),
    window_s=st.integers(10, 30),
    at=st.integers(0, 29),
)
def test_windows_side_by_side_add_up(steps: list[tuple[int, float]], window_s: int, at: int) -> None:
    """What passes in two adjoining windows passes in the one that spans both, and covered time is never negative."""
    t, v = np.cumsum([s for s, _ in steps]).tolist(), np.cumsum([a for _, a in steps]).tolist()
    found = movement(metered(), series(t, v), window_s * S)
    end = t[at % len(t)]
    first, second = over(found, end - window_s, window_s), over(found, end, window_s)
    both = over(found, end, 2 * window_s)
    assert both == pytest.approx((first[0] + second[0], first[1] + second[1]), abs=1e-9)
    assert 0 <= second[1] <= window_s
    assert second[0] >= -1e-9
    assert over(found, t[-1], t[-1])[0] == pytest.approx(2 * (v[-1] - v[0]), abs=1e-9)


def test_a_rollover_is_movement() -> None:
    """The dial passes its end: what passed is counted, with the multiplier."""
    found = movement(metered(modulus=1000), series([0, 5, 10], [998, 999.5, 1]), 10 * S)
    assert over(found, 10, 10) == pytest.approx((6, 10))


def test_a_gap_is_not_covered() -> None:
    """A step longer than the window and the interval allow says nothing of when its quantity passed."""
    found = movement(metered(), series([0, 5, 100, 105], [0, 1, 20, 21]), 10 * S)
    assert over(found, 60, 10) == (0, 0)
    assert over(found, 105, 10) == pytest.approx((2, 5))


@pytest.mark.parametrize("readings", [no_readings(), series([3], [7])])
def test_too_few_readings_are_no_movement(readings: Series) -> None:
    """No reading, or one, covers nothing."""
    found = movement(metered(), readings, 10 * S)
    assert found.newest_us is None
    assert over(found, 5, 10) == (0, 0)


def test_gauges_and_intervals_move_too() -> None:
    """A flow is integrated, an amount per interval is summed, a temperature is refused."""
    flow = movement(metered(Kind.GAUGE, "m3/h"), series([0, 5, 10], [36, 36, 36]), 10 * S)
    assert (flow.unit, *over(flow, 10, 10)) == pytest.approx(("m3", 0.2, 10))
    amounts = movement(metered(Kind.INTERVAL), series([5, 10], [1, 3]), 10 * S)
    assert over(amounts, 10, 10) == pytest.approx((8, 10))
    with pytest.raises(UnitError):
        movement(metered(Kind.GAUGE, "degC"), series([0, 5], [1, 1]), 10 * S)


def test_bad_readings_are_not_believed() -> None:
    """A reading of bad quality counts as none."""
    found = series([0, 5, 10], [0, 99, 2])
    bad = Series(found.t_us, found.value, np.array([0, 2, 0], np.int16))
    assert over(movement(metered(), bad, 10 * S), 10, 10) == pytest.approx((4, 10))


@pytest.mark.parametrize(
    ("after", "newest", "expected"),
    [
        (0, [22, 23], [5, 10, 15, 20]),
        (5, [22, 23], [10, 15, 20]),
        (6, [22, 12], [10]),
        (0, [52, 12], [5, 10, 15, 20, 25, 30]),
        (0, [52, None], [5, 10, 15, 20, 25, 30]),
        (0, [None], []),
        (30, [22], []),
    ],
)
def test_ticks(after: int, newest: list[int | None], expected: list[int]) -> None:
    """Ticks stand on a grid, as far as every point has told; a silent one is waited for one window (20 s)."""
    told = [None if n is None else n * S for n in newest]
    assert (ticks(after * S, told, every_us=5 * S, window_us=20 * S) // S).tolist() == expected
