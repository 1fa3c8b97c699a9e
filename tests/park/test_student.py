"""Tail probabilities agree with the tables that statistics books print."""

from __future__ import annotations

import math

import pytest

from park.student import f_tail, incomplete_beta, quantile, two_sided_p


@pytest.mark.parametrize(
    ("df", "confidence", "t"),
    [
        (1, 0.90, 6.314),
        (1, 0.95, 12.706),
        (2, 0.95, 4.303),
        (5, 0.99, 4.032),
        (10, 0.90, 1.812),
        (10, 0.95, 2.228),
        (10, 0.99, 3.169),
        (30, 0.95, 2.042),
        (120, 0.95, 1.980),
        (1e7, 0.95, 1.960),
    ],
)
def test_quantiles_of_t_are_those_of_the_table(df: float, confidence: float, t: float) -> None:
    """To the three decimals of a printed table, and the tail gives the confidence back."""
    assert quantile(confidence, df) == pytest.approx(t, abs=6e-4)
    assert two_sided_p(quantile(confidence, df), df) == pytest.approx(1 - confidence, rel=1e-9)


def test_t_of_one_and_two_degrees_have_closed_forms() -> None:
    """The Cauchy distribution, and the square root that two degrees of freedom lead to."""
    for t in (0.1, 0.7, 1.0, 3.3, 40.0):
        assert two_sided_p(t, 1) == pytest.approx(1 - 2 * math.atan(t) / math.pi, rel=1e-12)
        assert two_sided_p(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-11)
    assert two_sided_p(math.inf, 5) == 0
    assert two_sided_p(0.0, 5) == pytest.approx(1)


@pytest.mark.parametrize(("between", "within", "f"), [(1, 10, 4.965), (2, 10, 4.103), (3, 20, 3.098), (5, 60, 2.368)])
def test_five_percent_points_of_f_are_those_of_the_table(between: float, within: float, f: float) -> None:
    """F above them is met by chance once in twenty."""
    assert f_tail(f, between, within) == pytest.approx(0.05, abs=1e-4)


def test_f_with_one_degree_is_t_squared() -> None:
    """One variable's F says what its t says."""
    assert f_tail(2.5**2, 1, 17) == pytest.approx(two_sided_p(2.5, 17), rel=1e-12)
    assert f_tail(0.0, 2, 10) == 1
    assert f_tail(math.inf, 2, 10) == 0


def test_the_incomplete_beta_function_ends_at_nought_and_one_and_mirrors() -> None:
    """`I_x(a, b) = 1 − I_{1−x}(b, a)`, and `I_x(1, b)` is a power."""
    assert (incomplete_beta(2, 3, 0.0), incomplete_beta(2, 3, 1.0)) == (0.0, 1.0)
    assert incomplete_beta(2.5, 0.5, 0.3) == pytest.approx(1 - incomplete_beta(0.5, 2.5, 0.7), rel=1e-12)
    assert incomplete_beta(1, 4, 0.2) == pytest.approx(1 - 0.8**4, rel=1e-12)


def test_what_no_table_has_is_refused() -> None:
    """No confidence of one, no degrees of freedom of nought."""
    for confidence, df in ((1.0, 5.0), (0.0, 5.0), (0.9, 0.0)):
        with pytest.raises(ValueError, match="no quantile"):
            quantile(confidence, df)
