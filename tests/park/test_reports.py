"""Indicators of what firms report: stocks, raw materials, values, waste, land; and where an open year ends."""

from __future__ import annotations

from datetime import date

import pytest

from park.business import BusinessInput, InputKind, InputName, PriceBasis, parse_report_period
from park.factors import load_factors
from park.figures import ProductSource, book
from park.indicators import catalogue_with, load_catalogue, load_lists
from park.points import Direction
from park.ratios import Amount, Ratio, evaluate, park_ratio
from park.reasons import Undefined
from park.reports import cut_day, figures_for, months_between

CATALOGUE = load_catalogue()
YEAR_S = 366 * 86_400.0
UNITS = {"electricity": "kWh", "coal": "t"}


def reported(kind: InputKind, amount: float, unit: str, key: str = "", period: str = "2024", **more: object):
    return BusinessInput(InputName(kind, parse_report_period(period), key, **more), amount, unit)  # type: ignore[arg-type]


def value_added(amount: float, period: str = "2024", price_year: int | None = 2020) -> BusinessInput:
    basis = PriceBasis.CURRENT if price_year is None else PriceBasis.CONSTANT
    return reported(InputKind.VALUE_ADDED, amount, "10^4CNY", period=period, price_basis=basis, price_year=price_year)


def amount(carrier: str, quantity: float, direction: Direction = Direction.IN, point: int = 1) -> Amount:
    return Amount(point, carrier, direction, UNITS.get(carrier, "m3"), quantity, YEAR_S, 0.0, YEAR_S)


def firm(
    indicator_id: str, amounts: list[Amount], *inputs: BusinessInput, as_of: date = date(2025, 1, 1), firm_id: int = 1
) -> Ratio:
    indicator, start = CATALOGUE.by_id(indicator_id), date(2024, 1, 1)
    figures = figures_for(indicator, book(inputs), "year", start, as_of=as_of)
    return evaluate(indicator, amounts, load_factors(), on=start, subject_id=firm_id, figures=figures)


def test_net_energy_takes_stocks_and_raw_material_into_account() -> None:
    """Bought plus opening less closing stock, less what was sold and what became product."""
    ratio = firm(
        "comprehensive_energy_net",
        [amount("electricity", 10_000.0)],
        reported(InputKind.ENERGY_PURCHASED, 100, "t", "coal"),
        reported(InputKind.STOCK_OPENING, 20, "t", "coal"),
        reported(InputKind.STOCK_CLOSING, 30, "t", "coal"),
        reported(InputKind.FEEDSTOCK, 1_000, "m3", "natural_gas"),
    )
    assert ratio.value == pytest.approx(1229 + 90 * 714.3 - 1330)
    assert ratio.unreported == ("energy_sold",)
    assert ratio.lineage()["unreported"] == ["energy_sold"]


def test_stocks_that_nobody_reported_are_none_and_named() -> None:
    """The metered energy stands; the lineage says which reports there were not."""
    ratio = firm("comprehensive_energy_net", [amount("electricity", 10_000.0)])
    assert ratio.value == pytest.approx(1229)
    assert len(ratio.unreported) == 5


def test_a_stock_reported_for_half_the_year_leaves_the_sum_undefined() -> None:
    """A hole in what was reported is not the same as nothing to report."""
    stocks = [reported(InputKind.ENERGY_PURCHASED, 10, "t", "coal", f"2024-{m:02}") for m in (1, 2, 5)]
    ratio = firm("comprehensive_energy_net", [amount("electricity", 1.0)], *stocks)
    assert (ratio.value, ratio.reason) == (None, Undefined.MONTHS_MISSING)


def test_intensities_share_one_denominator() -> None:
    """Energy, water and CO2 of a year over the same value added, at the plan's prices."""
    amounts = [amount("electricity", 1_000_000.0), amount("fresh_water", 5_000.0, point=2)]
    added = value_added(500.0)
    assert firm("energy_per_value_added", amounts, added).value == pytest.approx(122.9 / 500)
    assert firm("water_per_value_added", amounts, added).value == pytest.approx(10.0)
    assert firm("water_productivity", amounts, added).value == pytest.approx(1000.0)
    assert firm("energy_productivity", amounts, added).value == pytest.approx(500 / 122.9)
    carbon = firm("co2_per_value_added", amounts, added)
    assert carbon.value == pytest.approx(558.1 / 500)
    assert carbon.price_year == 2020
    assert not carbon.verified
    assert "2023" in carbon.factors[0].note, "the factor of 2024 is not published yet"


def test_process_emissions_are_in_the_total_and_beside_it() -> None:
    """1 000 t of limestone give off 439.7 t; location-based and market-based totals both have them."""
    amounts, lime = [amount("electricity", 1_000.0)], reported(InputKind.PROCESS_MATERIAL, 1_000, "t", "limestone")
    process = firm("co2_process", amounts, lime)
    assert process.value == pytest.approx(439_700)
    for total, factor in (("co2_total_location", 0.5581), ("co2_total_market", 0.6096)):
        assert firm(total, amounts, lime).value == pytest.approx(439_700 + 1000 * factor)
    assert firm("co2_process", amounts).reason is Undefined.NOT_REPORTED


def test_a_raw_material_without_a_factor_is_not_left_out() -> None:
    """A material that cannot be converted makes the total undefined, and is named."""
    ratio = firm(
        "co2_total_location", [amount("electricity", 1.0)], reported(InputKind.PROCESS_MATERIAL, 1, "t", "clay")
    )
    assert (ratio.value, ratio.reason) == (None, Undefined.NO_FACTOR)
    assert "clay" in ratio.detail


def test_a_fuel_without_a_co2_factor_is_not_left_out() -> None:
    """Anthracite has a value in one guide only: by the other the scope is undefined, not smaller."""
    ratio = evaluate(
        CATALOGUE.by_id("co2_scope_1"),
        [amount("natural_gas", 100.0), Amount(2, "anthracite", Direction.IN, "t", 1.0, YEAR_S, 0.0, YEAR_S)],
        load_factors(),
        on=date(2024, 1, 1),
    )
    assert ratio.reason is Undefined.NO_FACTOR


def test_waste_is_utilised_over_generated_and_taken_from_stock() -> None:
    """K_r = 95 of 100 generated and 10 from earlier years; hazardous waste is counted apart."""
    waste = [
        reported(InputKind.SOLID_WASTE, t, "t", key)
        for key, t in (
            ("general.slag/generated", 80),
            ("general.ash/generated", 20),
            ("general.slag/utilised", 95),
            ("general.slag/utilised_from_stock", 10),
            ("hazardous/generated", 5),
            ("hazardous/disposed", 5),
        )
    ]
    assert firm("solid_waste_utilisation_rate", [], *waste).value == pytest.approx(100 * 95 / 110)
    assert firm("hazardous_waste_disposal_rate", [], *waste).value == pytest.approx(100)
    assert firm("solid_waste_disposal_utilisation_rate", [], *waste).value == pytest.approx(100 * 100 / 115)
    assert firm("solid_waste_utilisation_rate", []).reason is Undefined.NOT_REPORTED


def test_land_and_people_are_states_not_sums() -> None:
    """20 hm² are a fifth of a square kilometre, in every month of the year."""
    inputs = [
        value_added(10_000.0),
        reported(InputKind.LAND_AREA, 20, "hm2", period="2024-03"),
        reported(InputKind.STAFF, 200, "person"),
        reported(InputKind.OUTPUT_VALUE, 40_000, "10^4CNY", price_basis=PriceBasis.CURRENT),
    ]
    assert firm("value_added_per_land", [], *inputs).value == pytest.approx(1.0 / 0.2)
    assert firm("value_added_per_person", [], *inputs).value == pytest.approx(50)
    assert firm("output_per_land", [], *inputs).value == pytest.approx(40_000 / 200_000)


def test_reported_products_of_unlike_units_have_no_common_intensity() -> None:
    """Tonnes and pieces are not added; one product alone gives its intensity in its unit."""
    steel, bolts = (
        reported(InputKind.PRODUCTION, 100, "t", "steel"),
        reported(InputKind.PRODUCTION, 9, "piece", "bolt"),
    )
    energy = [amount("electricity", 1_000.0)]
    one = firm("energy_per_reported_product", energy, steel)
    assert (one.value, one.unit) == (pytest.approx(1.229), "kgce/t")
    assert firm("energy_per_reported_product", energy, steel, bolts).reason is Undefined.UNLIKE_PRODUCTS


def test_a_product_with_a_counter_is_not_counted_from_its_report_too() -> None:
    """Its production comes from the edge; the report is another source of the same thing."""
    inputs = [reported(InputKind.PRODUCTION, 100, "t", "steel")]
    indicator = CATALOGUE.by_id("energy_per_reported_product")
    counted = book(inputs, sources={"steel": ProductSource.COUNTER})
    figures = figures_for(indicator, counted, "year", date(2024, 1, 1), as_of=date(2025, 1, 1))
    ratio = evaluate(indicator, [amount("electricity", 1.0)], load_factors(), on=date(2024, 1, 1), figures=figures)
    assert (ratio.value, ratio.reason) == (None, Undefined.NOT_REPORTED)


def test_a_year_to_date_ends_where_the_shortest_report_ends() -> None:
    """Value added up to May and raw material up to March: the CO2 intensity is that of three months."""
    indicator = CATALOGUE.by_id("co2_per_value_added")
    inputs = [value_added(10.0, f"2024-{m:02}") for m in range(1, 6)]
    inputs += [reported(InputKind.PROCESS_MATERIAL, 1, "t", "limestone", f"2024-{m:02}") for m in range(1, 4)]
    figures = figures_for(indicator, book(inputs), "year", date(2024, 1, 1), as_of=date(2024, 6, 15))
    assert cut_day(figures, date(2025, 1, 1)) == date(2024, 4, 1)
    [added] = [f for found in figures.values() for f in found if f.kind is InputKind.VALUE_ADDED]
    assert added.amount == pytest.approx(30.0)
    assert months_between(date(2024, 1, 1), date(2024, 4, 1)) == [date(2024, m, 1) for m in (1, 2, 3)]


def test_a_park_does_not_add_values_at_unlike_prices() -> None:
    """One firm at prices of 2020 and one at prices of 2015 have no common intensity."""
    one = firm("energy_per_value_added", [amount("electricity", 1e6)], value_added(100.0))
    indicator = CATALOGUE.by_id("energy_per_value_added")
    start = date(2019, 1, 1)
    figures = figures_for(indicator, book([value_added(50.0, "2019", 2015)]), "year", start, as_of=date(2020, 1, 1))
    other = evaluate(indicator, [amount("electricity", 1e6)], load_factors(), on=start, subject_id=2, figures=figures)
    assert (one.price_year, other.price_year) == (2020, 2015)
    # Coal of 2019 has no edition of 2020, electricity has: both are defined, and still not one number.
    assert park_ratio(indicator, [one, other]).reason is Undefined.UNLIKE_PRICES


def test_what_counts_as_clean_is_a_list() -> None:
    """By the package's list grid electricity is not clean; by a plan's own it may be."""
    amounts = [amount("electricity", 10_000.0), amount("natural_gas", 1_000.0, point=2)]
    shares = []
    for catalogue in (CATALOGUE, catalogue_with({**load_lists(), "clean": ("electricity", "natural_gas")})):
        indicator = catalogue.by_id("clean_energy_share")
        shares.append(evaluate(indicator, amounts, load_factors(), on=date(2024, 1, 1)).value)
    assert shares == pytest.approx([100 * 1330 / (1330 + 1229), 100.0])


def test_renewable_electricity_counts_own_power_and_certificates() -> None:
    """2 MWh of own sun and certificates for 3 of 10 MWh in all are half."""
    sun = Amount(3, "solar_electricity", Direction.INTERNAL, "kWh", 2_000.0, YEAR_S, 0.0, YEAR_S)
    green = reported(InputKind.GREEN_POWER, 3, "MWh", "certificate")
    ratio = firm("renewable_electricity_share", [amount("electricity", 8_000.0), sun], green)
    assert ratio.value == pytest.approx(50.0)
