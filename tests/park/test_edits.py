"""Nothing appears or vanishes without a name: dial differences plus named adjustments are what is counted."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.buckets import consumption
from park.calendar import BUCKET_US, from_us
from park.edits import Edit, edited
from park.lineage import steps
from park.points import Direction, Installation, Kind, Point

MINUTE = 60_000_000
START = 1_700_000_100_000_000 // BUCKET_US * BUCKET_US
COUNT = 8

odd_dials = st.lists(st.one_of(st.integers(0, 40), st.sampled_from([0, 999, 5_000])), min_size=3, max_size=60)
limits = st.sampled_from([None, 1_200.0])
decisions = st.lists(
    st.tuples(
        st.sampled_from(["accept", "reject", "replace", "manual"]),
        st.integers(0, COUNT - 1),
        st.integers(1, COUNT),
        st.floats(0, 500),
    ),
    max_size=5,
)


def edit(number: int, kind: str, first: int, last: int, held: float | None, quantity: float) -> Edit:
    span = (from_us(START + first * BUCKET_US), from_us(START + last * BUCKET_US))
    return Edit(number, kind, 1, *span, held, quantity, "Li", "x")


@given(odd_dials, limits, st.sampled_from([None, 1_000.0]), st.sampled_from([0.0, 1.0]), decisions)
def test_what_is_counted_is_the_dials_difference_and_named_adjustments(
    moves: list[int],
    limit: float | None,
    modulus: float | None,
    dial_step: float,
    wanted: list[tuple[str, int, int, float]],
) -> None:
    """Last minus first times the multiplier, plus rollovers, held steps and a person's decisions, each by its name."""
    t = START + 2 * MINUTE * np.arange(len(moves), dtype=np.int64)
    dial = np.cumsum(moves).astype(float) % (modulus or 7_000.0)
    quality = np.zeros(len(t), np.int16)
    point = Point(1, 1, "E", Kind.REGISTER, "electricity", Direction.IN, "kWh", 120, rate_limit_per_h=limit)
    meter = Installation(1, "S", modulus, 3.0, from_us(0), None, resolution=dial_step or None)
    computed = consumption(point, (meter,), t, dial, quality, first_us=START, count=COUNT)
    edits = [
        edit(k, kind, first, min(first + n, COUNT) if kind == "manual" else first + 1, held, value)
        for k, (kind, first, n, value) in enumerate(wanted)
        for held in [None if kind == "manual" else float(computed.held[first])]
    ]
    found, adjustments = edited(computed, edits)
    lines = steps(point, (meter,), t, dial, quality, (START, START + COUNT * BUCKET_US))
    assert all(line.names for line in lines if abs(line.adjustment) > 1e-6)
    difference = (lines[-1].value1 - lines[0].value0) * 3.0 if lines else 0.0
    named = sum(line.adjustment for line in lines) + sum(adjustment.quantity for adjustment in adjustments)
    counted = np.nansum(found.measured) + np.nansum(found.estimated)
    assert counted == pytest.approx(difference + named, rel=1e-9, abs=1e-6)
    assert np.all(found.measured_s + found.estimated_s <= 900 + 1e-6)
    assert np.nansum(found.measured) >= 0


def test_an_accepted_quantity_counts_and_a_rejected_one_does_not() -> None:
    """A reset's new level: counted when accepted, gone when rejected, and either way no longer held."""
    t = START + 15 * MINUTE * np.arange(4, dtype=np.int64)
    point = Point(1, 1, "E", Kind.REGISTER, "electricity", Direction.IN, "kWh", 900)
    meter = Installation(1, "S", None, 1.0, from_us(0), None)
    computed = consumption(
        point, (meter,), t, np.array([100.0, 110, 7, 17]), np.zeros(4, np.int16), first_us=START, count=3
    )
    assert list(computed.held) == [0, 7, 0]
    for kind, quantity in (("accept", 7.0), ("reject", 0.0), ("replace", 3.0)):
        found, [adjustment] = edited(computed, [edit(1, kind, 1, 2, 7.0, quantity)])
        assert adjustment.quantity == quantity
        assert not found.held.any()
        assert np.nansum(found.measured) + np.nansum(found.estimated) == 20 + quantity
    stale, none = edited(computed, [edit(1, "accept", 1, 2, 8.0, 8.0)])
    assert (list(stale.held), none) == ([0, 7, 0], ())


def test_windows_of_a_manual_range_add_up_to_its_quantity() -> None:
    """Whichever part of the range is computed, each bucket has its share."""
    point = Point(1, 1, "E", Kind.REGISTER, "electricity", Direction.IN, "kWh", 900)
    none = np.zeros(0)
    made = edit(1, "manual", 0, 8, None, 10.0)
    assert made.t_to - made.t_from == timedelta(hours=2)
    total = 0.0
    for first in (0, 4):
        empty = consumption(
            point, (), none.astype(np.int64), none, none.astype(np.int16), first_us=START + first * BUCKET_US, count=4
        )
        total += float(np.nansum(edited(empty, [made])[0].estimated))
    assert total == pytest.approx(10.0)
