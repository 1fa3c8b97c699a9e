"""Units: converted within a dimension, and nowhere else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.errors import UnitError
from park.units import CARRIERS, check_carrier_unit, consumed_unit, conversion, unit

SYMBOLS = [
    *("kWh", "MWh", "Wh", "MJ", "GJ", "kvarh", "Mvarh", "m3", "L", "10^4m3", "t", "kg", "g", "piece", "kW", "MW", "W"),
    *("kvar", "m3/h", "L/s", "t/h", "kg/h", "mg/m3", "mg/L", "MPa", "kPa", "degC", "%"),
]


@pytest.mark.parametrize(
    ("source", "target", "factor"),
    [
        ("MWh", "kWh", 1_000.0),
        ("GJ", "kWh", 1_000 / 3.6),
        ("kWh", "MJ", 3.6),
        ("10^4m3", "m3", 10_000.0),
        ("L", "m3", 0.001),
        ("t", "kg", 1_000.0),
        ("g", "kg", 0.001),
        ("L/s", "m3/h", 3.6),
        ("t/h", "kg/h", 1_000.0),
        ("degC", "degC", 1.0),
    ],
)
def test_units_convert_by_their_physical_factor(source: str, target: str, factor: float) -> None:
    """A quantity keeps its meaning when it changes its unit."""
    assert conversion(source, target) == pytest.approx(factor)


@given(st.sampled_from(SYMBOLS), st.sampled_from(SYMBOLS), st.sampled_from(SYMBOLS))
def test_conversions_compose_and_invert(a: str, b: str, c: str) -> None:
    """There and back is one, and a detour changes nothing; across dimensions there is no way at all."""
    if len({unit(a).dimension, unit(b).dimension, unit(c).dimension}) == 1:
        assert conversion(a, b) * conversion(b, a) == pytest.approx(1.0)
        assert conversion(a, b) * conversion(b, c) == pytest.approx(conversion(a, c))
    elif unit(a).dimension != unit(b).dimension:
        with pytest.raises(UnitError, match="not convertible"):
            conversion(a, b)


def test_an_unknown_unit_is_answered_with_the_known_ones() -> None:
    """A typing error is found by reading the message."""
    with pytest.raises(UnitError, match=r"'kwh'.*kWh"):
        unit("kwh")


@pytest.mark.parametrize(
    ("rate", "amount"), [("kW", "kWh"), ("MW", "MWh"), ("m3/h", "m3"), ("t/h", "t"), ("kg/h", "kg")]
)
def test_a_rate_over_an_hour_is_an_amount(rate: str, amount: str) -> None:
    """The integral of a rate over hours has the matching unit."""
    assert consumed_unit(rate) == amount
    assert unit(consumed_unit(rate)).symbol == amount


@pytest.mark.parametrize("symbol", ["kWh", "degC", "%", "L/s"])
def test_what_is_no_rate_over_hours_is_not_integrated(symbol: str) -> None:
    """Amounts, states, and rates without an hourly unit are refused."""
    with pytest.raises(UnitError, match="not a rate"):
        consumed_unit(symbol)


def test_each_carrier_takes_the_units_of_its_dimension_only() -> None:
    """Water in kWh and electricity in cubic metres are refused; a product is counted in whatever it is counted in."""
    for carrier, symbol in itertools.product(CARRIERS, SYMBOLS):
        if CARRIERS[carrier] in {"*", unit(symbol).dimension}:
            check_carrier_unit(carrier, symbol)
        else:
            with pytest.raises(UnitError, match=f"{carrier} is measured as"):
                check_carrier_unit(carrier, symbol)
    with pytest.raises(UnitError, match="unknown carrier 'wine'"):
        check_carrier_unit("wine", "L")
    with pytest.raises(UnitError, match="unknown unit"):
        check_carrier_unit("product", "dozen")
