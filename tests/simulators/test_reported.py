"""The simulators' own truth of indicators that need a firm's books, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from park.indicators import Scope, load_catalogue
from simulators.indicators import Firm, Unknowable, source
from simulators.reported import REPORTED, Books

# 10 000 kWh and 1 000 m3 of gas: 1 229 + 1 330 kgce; 500 m3 of water of which 300 leave.
FIRM = Firm(
    [
        source(0, "electricity", "in", "kWh", None, 10_000.0, 0.0),
        source(1, "natural_gas", "in", "m3", None, 1000.0, 0.0),
        source(2, "fresh_water", "in", "m3", None, 500.0, 0.0),
        source(3, "wastewater", "out", "m3", None, 300.0, 0.0),
    ],
    hours=720.0,
    year=2026,
)
BOOKS = Books(
    2026,
    {
        ("value_added", "", "current", None): 102.0,
        ("output_value", "", "current", None): 408.0,
        ("production", "slab", None, None): 20.0,
        ("solid_waste", "general.slag/generated", None, None): 8.0,
        ("solid_waste", "general.slag/utilised", None, None): 6.0,
    },
    {2025: 1.02, 2020: 1.11},
)
GAS = 1000 * 2.16218881


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        # 2.559 tce over 102 / 1.02 = 100 at prices of 2025
        ("energy_per_value_added", 2.559 / 100),
        ("energy_per_value_added_current", 2.559 / 102),
        ("energy_per_output_value", 2.559 / 400),
        ("energy_productivity", 100 / 2.559),
        ("energy_per_reported_product", 2559 / 20),
        ("electricity_per_value_added", 100.0),
        ("water_per_value_added", 5.0),
        ("water_productivity", 1e6 / 500),
        ("wastewater_per_value_added", 3.0),
        ("co2_total_location", 5581 + GAS),
        ("co2_total_market", 6096 + GAS),
        ("co2_per_value_added", (5.581 + GAS / 1000) / 100),
        ("zero_carbon_park_intensity", (8325 + GAS) / 2559),
        ("solid_waste_utilisation_rate", 75.0),
        ("solid_waste_per_value_added", 0.08),
    ],
)
def test_a_months_books_by_hand(name: str, by_hand: float) -> None:
    """Constant prices are current ones over the deflator of the plan's base year."""
    assert REPORTED[name](FIRM, BOOKS) == pytest.approx(by_hand, rel=1e-8)


def test_a_constant_price_that_was_reported_goes_before_the_deflator() -> None:
    """Reported at prices of 2025: no deflator is asked for; of another base year it does not count."""
    own = dict(BOOKS.amounts) | {("value_added", "", "constant", 2025): 90.0}
    assert REPORTED["energy_per_value_added"](FIRM, Books(2026, own)) == pytest.approx(2.559 / 90)
    other = dict(BOOKS.amounts) | {("value_added", "", "constant", 2020): 90.0}
    assert REPORTED["energy_per_value_added"](FIRM, Books(2026, other, BOOKS.deflators)) == pytest.approx(2.559 / 100)


@pytest.mark.parametrize(
    ("name", "books", "reason"),
    [
        ("energy_per_value_added", {}, "not_reported"),
        ("energy_per_value_added", {"deflators": {}}, "no_deflator"),
        ("energy_per_reported_product", {"counted_products": frozenset({"slab"})}, "not_reported"),
        (
            "energy_per_value_added",
            {"amounts": {("value_added", "", "current", None): 0.0}},
            "zero_denominator",
        ),
        ("energy_per_reported_product", {"amounts": {("production", "slab", None, None): 0.0}}, "no_production"),
        (
            "energy_per_reported_product",
            {"amounts": {("production", "slab", None, None): 1.0, ("production", "bar", None, None): 1.0}},
            "unlike_products",
        ),
    ],
)
def test_what_the_books_lack_has_its_reason(name: str, books: dict[str, Any], reason: str) -> None:
    """Nothing reported, no deflator, a counter that counts instead, nothing made or earned, unlike products."""
    given = {"amounts": {} if books == {} else BOOKS.amounts, "deflators": BOOKS.deflators} | books
    with pytest.raises(Unknowable) as found:
        REPORTED[name](FIRM, Books(2026, **given))
    assert found.value.reason == reason


def test_every_truth_is_of_an_indicator_of_months() -> None:
    """A name that the platform does not know would never be compared."""
    assert {
        i.id for i in load_catalogue().indicators if Scope.FIRM in i.scopes and "month" in i.grains
    } >= REPORTED.keys()
