"""A formula is a sum of points with factors, and says where it is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.errors import FormulaError
from park.formula import bind, parse, resolve
from park.virtual import Input, combine

KWH = {"E-001": "kWh", "E-002": "MWh", "W-1": "m3", "a": "kWh", "b": "kWh", "c": "kWh"}


def factors(text: str) -> dict[str, float]:
    return {term.code: term.factor for term in parse(text).terms}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E-001 - E-002 - E-003", {"E-001": 1, "E-002": -1, "E-003": -1}),
        ("a - (b - c)", {"a": 1, "b": -1, "c": 1}),
        ("a - b + c", {"a": 1, "b": -1, "c": 1}),
        ("2 * (a + b) / 4", {"a": 0.5, "b": 0.5}),
        ("-a * 3", {"a": -3}),
        ("a + a", {"a": 2}),
        ("(1 + 2) * a", {"a": 3}),
        ("8 / 2 / 2 * a", {"a": 2}),
        ("1.5e-3*a", {"a": 0.0015}),
        ('"1号/总线" + 水.2', {"1号/总线": 1, "水.2": 1}),
        ("a -b", {"a": 1, "b": -1}),
    ],
)
def test_a_formula_comes_to_a_sum(text: str, expected: dict[str, float]) -> None:
    """The usual precedence; hyphens inside codes are part of them."""
    assert factors(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "expected"),
        ("a +", 4, "expected"),
        ("a b", 3, "operator"),
        ("(a + b", 1, "not closed"),
        ("a + b)", 6, "operator"),
        ("a * b", 3, "two quantities"),
        ("1 / a", 3, "divided by a quantity"),
        ("a / 0", 3, "zero"),
        ("a / (1 - 1)", 3, "zero"),
        ("a + 5", 3, "without a unit"),
        ("a ^ 2", 3, "not understood"),
        ("a + 3b", 5, "not understood"),
        ("7", None, "no point"),
        ("1e999 * a", 1, "too large"),
        ("1e300 * 1e300 * a", 7, "too large"),
        ("(" * 60 + "a" + ")" * 60, 42, "nested"),
        ("-" * 60 + "a", 42, "nested"),
        ("a" * 1001, None, "at most"),
        ("__import__('os')", 12, "not understood"),
        ("print(a)", 6, "operator"),
    ],
)
def test_a_wrong_formula_says_where(text: str, column: int | None, says: str) -> None:
    """The column is where a person must look; nothing is ever executed."""
    with pytest.raises(FormulaError, match=says) as caught:
        parse(text)
    assert caught.value.column == column


def test_units_are_converted_or_refused() -> None:
    """MWh are turned to kWh; cubic metres are not."""
    assert bind(parse("E-001 - E-002"), "kWh", KWH) == {"E-001": 1.0, "E-002": -1000.0}
    with pytest.raises(FormulaError, match="not convertible") as caught:
        bind(parse("E-001 + W-1"), "kWh", KWH)
    assert caught.value.column == 9
    with pytest.raises(FormulaError, match="needs a space"):
        bind(parse("E-001-E-002"), "kWh", KWH)


def test_virtual_points_may_use_each_other_but_not_in_a_circle() -> None:
    """A formula of formulas comes to measured points, units and all; a circle is named."""
    found = resolve({"v": parse("w / 2 - E-001"), "w": parse("E-001 + E-002")}, KWH | {"v": "kWh", "w": "MWh"})
    assert found["v"] == pytest.approx({"E-001": -0.5, "E-002": 500.0})
    with pytest.raises(FormulaError, match="v -> w -> v"):
        resolve({"v": parse("w + a"), "w": parse("b - v")}, KWH | {"v": "kWh", "w": "kWh"})
    with pytest.raises(FormulaError, match="v -> v"):
        resolve({"v": parse("v + a")}, KWH | {"v": "kWh"})


_EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "c"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", " - "]), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-({text})"),
        st.tuples(st.integers(1, 9), inner).map(lambda pair: f"{pair[0]} * ({pair[1]})"),
        st.tuples(inner, st.integers(1, 9)).map(lambda pair: f"({pair[0]}) / {pair[1]}"),
    ),
    max_leaves=12,
)


@given(_EXPRESSIONS, st.tuples(*[st.floats(-1e6, 1e6)] * 3))
def test_a_formula_has_the_value_that_arithmetic_gives_it(text: str, values: tuple[float, float, float]) -> None:
    """Whatever is written: the sum of the terms is what Python's own arithmetic says."""
    named = dict(zip("abc", values, strict=True))
    expected = eval(text, {}, named)
    scale = sum(abs(term.factor * named[term.code]) for term in parse(text).terms)
    found = math.fsum(term.factor * named[term.code] for term in parse(text).terms)
    assert found == pytest.approx(expected, abs=1e-9 * max(scale, 1e6))


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text does anything but give a formula or a `FormulaError`."""
    try:
        terms = parse(text).terms
    except FormulaError:
        return
    assert all(term.code for term in terms)


def of(factor: float, quantity: float, seconds: float, *, estimated: bool = False) -> Input:
    some, none = np.array([quantity]), np.array([np.nan])
    length, zero = np.array([seconds]), np.zeros(1)
    if estimated:
        return Input(factor, none, some, zero, length, np.array([4], np.int16))
    return Input(factor, some, none, length, zero, np.zeros(1, np.int16))


def test_a_missing_input_makes_it_missing() -> None:
    """Unknown is not zero: nothing known of one input, or of a part of the bucket, and nothing is known."""
    assert combine([of(1, 9, 900), of(-1, 4, 900)]).measured[0] == 5
    assert not combine([of(1, 9, 900), of(-1, np.nan, 0)]).known[0]
    assert not combine([of(1, 9, 900), of(-1, 4, 600)]).known[0]


def test_an_estimated_input_makes_it_estimated() -> None:
    """The whole is an estimate, and says whose flags it carries."""
    found = combine([of(1, 9, 900), of(-1, 4, 900, estimated=True)])
    assert np.isnan(found.measured[0])
    assert (found.estimated[0], found.flags[0]) == (5, 4)
