"""The vectors that a tester works out on paper: each by name, against the code that computes them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from park import lmdi, pace
from park.carbon import Purpose, co2_equivalent_kg, electricity_co2, use_and_factor
from park.demand import allowed_power_kw, load_factor, maximum_demand_kw, power_factor
from park.emissions import (
    at_reference_oxygen,
    dry_standard,
    flow_weighted_mean,
    gas_mass_kg,
    mg_per_m3,
    nox_as_no2,
    water_mass_kg,
)
from park.factors import Basis, FactorKind, choose, load_factors
from park.heat import KGCE_KJ, kgce_per_unit, steam_heat_gj, steam_tce
from park.registers import Step, curve
from park.scorecards import between, load_card
from park.water import Reuse, WaterBalance, cycles, evaporation_m3_h, makeup, passes_m3

ON = date(2023, 7, 1)
COAL, CO2 = FactorKind.TO_STANDARD_COAL, FactorKind.TO_CO2


def coal(carrier: str, basis: Basis = Basis.EQUIVALENT, on: date = ON, purpose: str = "general", ed: str = "") -> float:
    return choose(load_factors(), COAL, carrier, basis, purpose, "CN-CQ", on, ed).value


# Energy -----------------------------------------------------------------------------------------------------------


def test_a_kilogram_of_standard_coal_is_29307_6_kj() -> None:
    """7 000 kcal; electricity, heat, LNG, coke-oven gas and methanol follow from it."""
    assert pytest.approx(7000 * 4.1868) == KGCE_KJ
    assert kgce_per_unit(3600) == pytest.approx(coal("electricity"), abs=1e-4)
    assert kgce_per_unit(1000) == pytest.approx(coal("heat"), abs=1e-5)
    assert kgce_per_unit(51_498) == pytest.approx(coal("lng"), abs=1e-4)
    assert kgce_per_unit(38_931) == pytest.approx(coal("natural_gas"), abs=2e-3)
    assert kgce_per_unit(18_003) == pytest.approx(coal("coke_oven_gas"), abs=1e-4)
    assert kgce_per_unit(19_913) == pytest.approx(coal("methanol"), abs=1e-4)
    assert kgce_per_unit(9_756) == pytest.approx(coal("hydrogen"), abs=1e-4)


@pytest.mark.parametrize(
    ("carrier", "value"),
    [
        ("coal", 0.7143),
        ("coal_middlings", 0.2857),
        ("coke", 0.9714),
        ("crude_oil", 1.4286),
        ("fuel_oil", 1.4286),
        ("gasoline", 1.4714),
        ("kerosene", 1.4714),
        ("diesel", 1.4571),
        ("lpg", 1.7143),
        ("refinery_gas", 1.5714),
        ("blast_furnace_gas", 0.1286),
        ("compressed_air", 0.0400),
        ("oxygen", 0.4000),
        ("nitrogen", 0.6714),
        ("acetylene", 8.3143),
        ("calcium_carbide", 2.0786),
        ("softened_water", 0.4857),
        ("deaerated_water", 0.9714),
    ],
)
def test_coefficients_of_fuels_and_media(carrier: str, value: float) -> None:
    """The tables of GB/T 2589, kgce a unit."""
    assert coal(carrier) == value


@pytest.mark.parametrize(
    ("year", "gce"), [(2005, 370.0), (2010, 333.0), (2015, 315.4), (2020, 305.5), (2023, 301.9), (2024, 302.4)]
)
def test_equal_electricity_by_year(year: int, gce: float) -> None:
    """Net-supply coal rate of thermal power, gce/kWh."""
    assert coal("electricity", Basis.EQUAL, date(year, 7, 1)) == pytest.approx(gce / 1000)


def test_steam_by_enthalpy() -> None:
    """100 t of saturated steam of 1.0 MPa hold 269.336 GJ over feed water: 9.19 tce."""
    assert steam_heat_gj(100, 2777.1) == pytest.approx(269.336)
    assert steam_tce(100, 2777.1) == pytest.approx(9.18974, abs=1e-4)
    assert coal("steam", purpose="enthalpy") * 100_000 == pytest.approx(9189.7, abs=0.2)


def test_demand_of_131_25_kwh_in_a_quarter_is_525_kw() -> None:
    """The highest quarter-hour mean; a quarter that is not known is passed over."""
    assert maximum_demand_kw(np.array([100.0, 131.25, np.nan, 90.0])) == pytest.approx(525)
    assert maximum_demand_kw(np.array([np.nan])) is None


def test_load_factor_and_power_left_in_a_window() -> None:
    """24 h at a mean of half the maximum are 50 %; 100 of 125 kWh used after 10 minutes leave 300 kW."""
    assert load_factor(6_000, 500, 24) == pytest.approx(0.5)
    assert allowed_power_kw(500, 100, 600) == pytest.approx(300)
    assert allowed_power_kw(500, 130, 600) == pytest.approx(-60)
    assert allowed_power_kw(500, 100, 900) is None
    assert load_factor(0, 0, 24) is None


def test_power_factor_of_52000_and_31000_is_0_8589() -> None:
    """Cos φ = kWh / √(kWh² + kvarh²)."""
    assert power_factor(52_000, 31_000) == pytest.approx(0.8589, abs=5e-5)
    assert power_factor(0, 0) is None


def test_rollover_999987_50_to_12_75_times_2000_is_50500() -> None:
    """A dial of six digits that goes round counts on."""
    found = curve(
        np.array([0, 60_000_000], np.int64),
        np.array([999_987.50, 12.75]),
        modulus=1_000_000,
        multiplier=2000,
        rate_limit_per_h=None,
    )
    assert found.total[-1] - found.total[0] == pytest.approx(50_500)
    assert Step(int(found.step[1])) is Step.ROLLOVER


def test_transformers_600_5_and_10000_100_multiply_to_12000() -> None:
    """CT × PT once: 120 × 100."""
    found = curve(
        np.array([0, 60_000_000], np.int64),
        np.array([10.0, 10.5]),
        modulus=None,
        multiplier=(600 / 5) * (10_000 / 100),
        rate_limit_per_h=None,
    )
    assert found.total[-1] - found.total[0] == pytest.approx(6_000)


# Declines ---------------------------------------------------------------------------------------------------------


def test_five_yearly_declines_multiply_to_19_983_percent() -> None:
    """4.0, 4.1, 4.2, 4.5 and 5.0 % are 19.983 %, not their sum of 21.8 %."""
    assert 100 * pace.cumulative_decline([0.04, 0.041, 0.042, 0.045, 0.05]) == pytest.approx(19.983, abs=5e-4)


@pytest.mark.parametrize(("decline", "rate"), [(20.0, 4.3648), (13.5, 2.86), (14.5, 3.08)])
def test_the_yearly_rate_of_a_five_year_decline(decline: float, rate: float) -> None:
    """20, 13.5 and 14.5 % in five years."""
    assert 100 * pace.yearly_rate(decline / 100, 5) == pytest.approx(rate, abs=5e-3)


def test_lmdi_of_two_firms() -> None:
    """Activity +4 006.3307, structure −2 112.8712, intensity −1 893.4595; intensity 0.22 → 0.1833."""
    e0, e1, q0, q1 = [6_000, 16_000], [7_200, 14_800], [60_000, 40_000], [80_000, 40_000]
    found = lmdi.amount_change(e0, e1, q0, q1)
    assert found.activity.sum() == pytest.approx(4006.3307, abs=1e-4)
    assert found.structure.sum() == pytest.approx(-2112.8712, abs=1e-4)
    assert found.intensity.sum() == pytest.approx(-1893.4595, abs=1e-4)
    ratio = lmdi.intensity_change(e0, e1, q0, q1)
    assert ratio.structure.sum() == pytest.approx(-0.0193624, abs=1e-7)
    assert ratio.intensity.sum() == pytest.approx(-0.0173043, abs=1e-7)


# Water ------------------------------------------------------------------------------------------------------------


def test_1000_fresh_and_9000_reused_are_90_percent() -> None:
    """R = V_r / (V_i + V_r)."""
    assert Reuse(1000, circulating=8000, cascaded=600, treated=400).rate == pytest.approx(0.90)
    assert Reuse(0).rate is None


def test_a_balance_of_1000_that_closes_leaks_5_percent() -> None:
    """350 consumed, 600 discharged, 50 leaked of 1000 taken in."""
    balance = WaterBalance(1000, 350, 600, 50)
    assert balance.closes
    assert balance.opening == pytest.approx(0)
    assert balance.leakage_rate == pytest.approx(0.05)
    assert not WaterBalance(1000, 350, 500, 50).closes
    assert WaterBalance(0, 0, 0, 0).opening is None


def test_a_cooling_tower() -> None:
    """1 000 m³/h cooled by 10 °C evaporate 15.3; with 5 drained the water is concentrated four times."""
    evaporated = evaporation_m3_h(1000, 10)
    assert evaporated == pytest.approx(15.3)
    assert makeup(evaporated, 4.5, 0.6) == pytest.approx(20.4)
    assert cycles(20.4, 4.5, 0.6) == pytest.approx(4.0)
    assert cycles(1, 0) is None
    assert passes_m3(1000, 24) == 24_000


# Carbon -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("carrier", "t_co2"),
    [
        ("natural_gas", 21.6219),
        ("diesel", 3.0959),
        ("gasoline", 2.9251),
        ("lng", 2.8313),
        ("lpg", 3.1013),
        ("fuel_oil", 3.1705),
        ("coal", 1.7417),
        ("lignite", 1.1729),
        ("coke", 2.8604),
        ("coke_oven_gas", 8.864),
        ("blast_furnace_gas", 8.481),
        ("converter_gas", 15.124),
    ],
)
def test_fuels_give_off_ncv_times_carbon_times_oxidised_times_44_12(carrier: str, t_co2: float) -> None:
    """Tonnes of CO2 a tonne, or 10⁴ m³, by the inventory guide of 2025."""
    factor = choose(load_factors(), CO2, carrier, Basis.DIRECT, "general", "CN-CQ", ON, "inventory-2025")
    assert factor.value == pytest.approx(t_co2, abs=6e-4)
    assert factor.combustion is not None
    assert factor.combustion.t_co2 == pytest.approx(factor.value, rel=1e-6)


@pytest.mark.parametrize(
    ("year", "purpose", "tonnes"),
    [
        (2023, Purpose.LOCATION_PROVINCIAL, 669.72),
        (2022, Purpose.LOCATION_PROVINCIAL, 627.24),
        (2023, Purpose.LOCATION_NATIONAL, 636.72),
        (2023, Purpose.ZERO_CARBON_PARK, 999.00),
    ],
)
def test_1_2_gwh_by_purpose(year: int, purpose: Purpose, tonnes: float) -> None:
    """The same electricity, four right answers."""
    assert electricity_co2(1_200_000, purpose, date(year, 7, 1)).kg / 1000 == pytest.approx(tonnes, abs=0.005)


def test_the_residual_mix_of_2022_is_that_of_2023_before_its_rise() -> None:
    """0.6096 / 1.041 = 0.5856."""
    assert electricity_co2(1, Purpose.MARKET_RESIDUAL, date(2022, 1, 1)).kg == pytest.approx(0.6096 / 1.041, abs=5e-5)


def test_methane_and_nitrous_oxide() -> None:
    """AR5: 28 and 265 times CO2."""
    assert co2_equivalent_kg({"co2": 1, "ch4": 1, "n2o": 1}) == 294


def test_a_change_is_split_between_use_and_factor() -> None:
    """Use falls by a tenth while the factor rises from 0.5227 to 0.5581: the parts add up to the change."""
    use, factor = use_and_factor(1_000, 0.5227, 900, 0.5581)
    assert use + factor == pytest.approx(900 * 0.5581 - 1_000 * 0.5227)
    assert use < 0 < factor


# Pollutants -------------------------------------------------------------------------------------------------------


def test_120_mg_at_8_percent_oxygen_are_161_54_at_3_5() -> None:
    """C × (21 − 3.5) / (21 − 8)."""
    assert at_reference_oxygen(120, 8, 3.5) == pytest.approx(161.54, abs=5e-3)


def test_masses_of_pollutants() -> None:
    """50 mg/m³ in 20 000 m³ are 1 kg; 40 mg/L in 500 m³ are 20 kg; the day's mean is weighted by flow."""
    assert gas_mass_kg(50, 20_000) == pytest.approx(1.0)
    assert water_mass_kg(40, 500) == pytest.approx(20.0)
    assert flow_weighted_mean(np.array([10.0, 50.0]), np.array([30.0, 10.0])) == pytest.approx(20.0)
    assert flow_weighted_mean(np.array([10.0]), np.array([0.0])) is None


def test_reference_conditions() -> None:
    """Stack gas of 137 °C, 20 % moisture, at 101 325 Pa; ppm of SO2; NO as NO2."""
    assert dry_standard(80, temperature_degc=136.5, pressure_pa=101_325, moisture=0.2) == pytest.approx(150)
    assert mg_per_m3(10, 64.06) == pytest.approx(28.6, abs=0.01)
    assert nox_as_no2(100, 10) == pytest.approx(163.3, abs=0.05)


# Scorecards -------------------------------------------------------------------------------------------------------


def test_the_weights_of_green_factory_2025_are_30_30_16_16_8() -> None:
    """Energy and resources are 60 % of 100 points, and the items fill their sections."""
    card = load_card("green-factory-2025")
    assert [section.weight for section in card.sections] == [30, 30, 16, 16, 8]
    for section in card.sections:
        assert sum(item.weight or 0 for item in card.items if item.section == section.id) == section.weight
    assert [s.weight for s in load_card("green-factory-2018").sections] == [20, 15, 15, 10, 10, 30]


def test_green_park_2016_counts_24_of_31() -> None:
    """3 + 6 + 3 + 3 + 6 + 3, alternatives counted once."""
    card = load_card("green-park-2016")
    assert len(card.items) == 31
    groups = {item.any_of: item.need for item in card.items if item.any_of}
    assert sum(not item.any_of for item in card.items) + sum(groups.values()) == 24


def test_points_between_base_and_lead() -> None:
    """60 % at the base, 80 % half way, all from the lead on, nothing below the base."""
    assert [between(x, 80, 90) for x in (79, 80, 85, 90, 95)] == pytest.approx([0, 0.6, 0.8, 1, 1])
    assert [between(x, 10, 8) for x in (11, 10, 9, 8, 7)] == pytest.approx([0, 0.6, 0.8, 1, 1])
