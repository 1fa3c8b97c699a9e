"""LMDI: every change is split without a residual, whoever enters, leaves, stops or sells more than it buys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park import lmdi
from park.contribution import Member, change

Q0, Q1 = [60_000.0, 40_000.0], [80_000.0, 40_000.0]
E0, E1 = [6_000.0, 16_000.0], [7_200.0, 14_800.0]


def test_golden_vector_of_an_amount() -> None:
    """Two firms, no change in all: activity +4006.3307, structure -2112.8712, intensity -1893.4595."""
    parts = lmdi.amount_change(E0, E1, Q0, Q1)
    assert parts.activity.sum() == pytest.approx(4006.3307, abs=5e-5)
    assert parts.structure.sum() == pytest.approx(-2112.8712, abs=5e-5)
    assert parts.intensity.sum() == pytest.approx(-1893.4595, abs=5e-5)
    assert parts.effect.sum() == pytest.approx(0, abs=1e-9)


def test_golden_vector_of_an_intensity() -> None:
    """0.2200 to 0.1833: structure -0.0193624, intensity -0.0173043."""
    parts = lmdi.intensity_change(E0, E1, Q0, Q1)
    assert parts.structure.sum() == pytest.approx(-0.0193624, abs=5e-8)
    assert parts.intensity.sum() == pytest.approx(-0.0173043, abs=1e-7)
    assert parts.effect.sum() == pytest.approx(22 / 120 - 0.22)


amounts = st.one_of(st.just(0.0), st.floats(min_value=1e-3, max_value=1e6), st.floats(min_value=-1e3, max_value=-1e-3))
made = st.one_of(st.just(0.0), st.floats(min_value=1e-3, max_value=1e6))
firms = st.lists(st.tuples(amounts, amounts, made, made), min_size=1, max_size=8)


@given(firms)
def test_the_parts_add_up_to_the_change_whatever_the_firms_did(rows: list[tuple[float, ...]]) -> None:
    """Entries, exits, stops, use without making and net sale: no residual, and every part is finite."""
    e0, e1, q0, q1 = np.array([*rows, (5.0, 6.0, 7.0, 8.0)]).T
    for split, wanted in (
        (lmdi.amount_change(e0, e1, q0, q1), e1 - e0),
        (lmdi.intensity_change(e0, e1, q0, q1), e1 / q1.sum() - e0 / q0.sum()),
    ):
        assert np.isfinite(split.structure).all()
        assert np.isfinite(split.intensity).all()
        # What cancels in the sum is as exact as its parts are large.
        size = max(float(np.abs(part).max()) for part in (wanted, split.structure, split.intensity))
        assert split.effect == pytest.approx(wanted, rel=1e-9, abs=1e-9 * (1 + size))


@pytest.mark.parametrize(("row", "part"), [((0, 5, 0, 9), "structure"), ((5, 0, 9, 0), "structure"),
                                           ((0, 5, 9, 9), "intensity"), ((5, 0, 9, 9), "intensity")])  # fmt: skip
def test_the_limits_are_those_of_ever_smaller_numbers(row: tuple[float, ...], part: str) -> None:
    """Entering, leaving, beginning and ceasing to use: the analytic limit is what 1e-90 in place of zero gives."""
    e0, e1, q0, q1 = np.array([row, (10.0, 11.0, 20.0, 19.0)], float).T
    exact = lmdi.amount_change(e0, e1, q0, q1)
    small = lmdi.amount_change(*(np.where(x == 0, 1e-90, x) for x in (e0, e1, q0, q1)))
    assert exact.effect == pytest.approx(small.effect)
    assert getattr(exact, part)[0] == pytest.approx(e1[0] - e0[0])
    assert getattr(small, part)[0] == pytest.approx(e1[0] - e0[0], rel=0.05)


def test_equal_intensities_leave_only_activity_and_structure() -> None:
    """Nobody needs more per piece: the intensity part is nothing."""
    parts = lmdi.amount_change([10, 40], [30, 20], [1, 2], [3, 1])
    assert parts.intensity == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize(
    "columns",
    [([1], [1], [0], [1]), ([1], [1], [-1], [1]), ([float("nan")], [1], [1], [1]), ([1, 2], [1], [1], [1])],
)
def test_what_cannot_be_split_is_refused(columns: tuple[list[float], ...]) -> None:
    """Nothing made, something unknown or columns of unlike length are an error, not a number."""
    with pytest.raises(ValueError, match="firm"):
        lmdi.amount_change(*columns)


def test_a_parks_change_is_the_sum_of_its_firms_effects_and_the_unknown_are_named() -> None:
    """A firm without data in one period is left out of both; one that entered counts from zero."""
    members = [
        Member(1, 6_000, 7_200, 60_000, 80_000),
        Member(2, 16_000, 14_800, 40_000, 40_000),
        Member(3, None, 100, 50, 60),
        Member(4, None, 500, None, 1_000, new=True),
        Member(5, 500, None, 1_000, None, gone=True),
    ]
    found = change(members, scale=100.0, divides=True)
    assert found is not None
    assert found.unknown == (3,)
    assert found.value_from == pytest.approx(100 * 22_500 / 101_000)
    assert found.value_to == pytest.approx(100 * 22_500 / 121_000)
    assert sum(one.effect for one in found.contributions) == pytest.approx(found.value_to - found.value_from)
    came = {one.firm_id: one.came for one in found.contributions}
    assert came == {1: None, 2: None, 4: "entered", 5: "left"}
    entered = next(one for one in found.contributions if one.firm_id == 4)
    assert (entered.value_from, entered.value_to) == (None, pytest.approx(50.0))
    assert abs(found.contributions[0].effect) == max(abs(one.effect) for one in found.contributions)


def test_trap_13_a_mean_of_ratios_would_blame_the_wrong_firm() -> None:
    """The park's change is that of the ratio of sums: a small firm's bad ratio hardly moves it."""
    found = change([Member(1, 900, 900, 1_000, 1_000), Member(2, 1, 0, 2, 2)], scale=1.0, divides=True)
    assert found is not None
    assert found.value_to - found.value_from == pytest.approx(900 / 1002 - 901 / 1002)
    assert [one.firm_id for one in found.contributions] == [2, 1]
    assert found.contributions[0].effect == pytest.approx(-1 / 1002)


def test_a_plain_sum_is_split_by_differences_and_no_sum_by_nothing() -> None:
    """Without a denominator the effect is the firm's own change; with none made there is no change to tell."""
    found = change([Member(1, 10, 12), Member(2, 5, 1)], scale=2.0, divides=False)
    assert found is not None
    assert [(one.firm_id, one.effect, one.structure) for one in found.contributions] == [(2, -8, None), (1, 4, None)]
    assert change([Member(1, 10, 12, 0, 5)], scale=1.0, divides=True) is None
    assert change([Member(1, None, 12, 3, 5)], scale=1.0, divides=True) is None
