"""The simulators' own truth of indicators, by hand: it must be right without the platform's help."""

from __future__ import annotations

from typing import Any

import pytest

from park.indicators import Scope, load_catalogue
from simulators.indicators import TRUTHS, Firm, expected, source

KWH, WATER = 1000.0, 100.0


def firm(*points: tuple[Any, ...], **more: Any) -> Firm:
    """A firm of points (carrier, direction, unit, quantity[, product]) over a day of 2024."""
    sources = [
        source(k, carrier, direction, unit, product[0] if product else None, quantity, 0.0)
        for k, (carrier, direction, unit, quantity, *product) in enumerate(points)
    ]
    return Firm(sources, **{"hours": 24.0, "year": 2024} | more)


def value(name: str, *points: tuple[Any, ...], **more: Any) -> float | str | None:
    """The value, or the reason why there is none."""
    found = expected(name, firm(*points, **more))
    return found.value if found.reason is None else found.reason


PLANT = (
    ("electricity", "in", "MWh", 10.0),
    ("electricity", "out", "kWh", 400.0),
    ("electricity", "internal", "kWh", 5000.0),
    ("natural_gas", "in", "m3", 200.0),
    ("fresh_water", "in", "m3", 100.0),
    ("recirculated_water", "internal", "m3", 800.0),
    ("recycled_water", "internal", "m3", 60.0),
    ("cascaded_water", "internal", "m3", 40.0),
    ("wastewater", "out", "m3", 50.0),
    ("product", "out", "t", 8.0, "slab"),
)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        # 9 600 kWh × 0.1229 + 200 m3 × 1.33
        ("comprehensive_energy_equivalent", 1445.84),
        # 9 600 kWh × 0.3024 + 266
        ("comprehensive_energy_equal", 3169.04),
        ("energy_per_product", 1445.84 / 8),
        # and 100 m3 of bought water at 0.2571
        ("comprehensive_energy_media", 1471.55),
        ("electricity_use", 9600.0),
        ("clean_energy_share", 100 * 266 / 1445.84),
        ("fresh_water_intake", 100.0),
        # (800 + 60 + 40) / (100 + 900): the golden case of 90 %
        ("water_reuse_rate", 90.0),
        ("water_circulating_rate", 80.0),
        ("water_treated_reuse_rate", 6.0),
        ("water_cascade_rate", 4.0),
        ("wastewater_reuse_rate", 100 * 60 / 110),
        ("unconventional_water_share", 0.0),
        ("water_per_product", 12.5),
        ("water_balance_closure", 50.0),
        # 21.6219 t per 10 000 m3
        ("co2_scope_1", 200 * 2.16218881),
        # Chongqing 2023 stands in for 2024
        ("co2_scope_2_location", 9600 * 0.5581),
        ("co2_scope_2_national", 9600 * 0.5306),
        ("zero_carbon_park_energy_carbon", (200 * 2.16218881 + 9600 * 0.8325) / 1445.84),
        ("wastewater_discharge", 50.0),
    ],
)
def test_a_plants_day_by_hand(name: str, by_hand: float) -> None:
    """Net input, without what moves inside; each coefficient as its source prints it."""
    assert value(name, *PLANT) == pytest.approx(by_hand, rel=1e-8)


def test_demand_load_and_power_factor_by_hand() -> None:
    """131.25 kWh in a quarter are 525 kW; 52 000 kWh beside 31 000 kvarh are a cosine of 0.8589."""
    points = (("electricity", "in", "kWh", 52_000.0), ("reactive_energy", "in", "kvarh", 31_000.0))
    demand = {"demand_kwh": 131.25, "hours": 200.0}
    assert value("maximum_demand", *points, **demand) == 525.0
    assert value("load_factor", *points, **demand) == pytest.approx(100 * 52_000 / (525 * 200))
    assert value("power_factor", *points) == pytest.approx(0.8589, abs=5e-5)
    assert value("maximum_demand", *points) == "no_data"


@pytest.mark.parametrize(
    ("name", "points", "reason"),
    [
        ("energy_per_product", PLANT[:4], "no_points"),
        ("energy_per_product", (*PLANT[:4], ("product", "out", "t", 0.0, "slab")), "no_production"),
        ("energy_per_product", (*PLANT, ("product", "out", "piece", 5.0, "car")), "unlike_products"),
        ("water_reuse_rate", PLANT[5:8], "no_points"),
        ("comprehensive_energy_equivalent", PLANT[4:], "no_points"),
        ("power_factor", PLANT, "no_points"),
        ("water_reuse_rate", (("fresh_water", "in", "m3", 0.0),), "zero_denominator"),
        ("cooling_recirculation_rate", PLANT, "no_points"),
        ("nox_discharge", PLANT, "no_points"),
        (
            "clean_energy_share",
            (("electricity", "out", "kWh", 1900.0), ("natural_gas", "in", "m3", 200.0)),
            "implausible",
        ),
    ],
)
def test_what_cannot_be_divided_has_its_reason(name: str, points: Any, reason: str) -> None:
    """No points, nothing made, unlike products, nothing to divide by, a share beyond the whole."""
    assert value(name, *points) == reason


def test_a_firm_without_fuel_gives_off_nothing_on_site() -> None:
    """Scope 1 of a plant on electricity alone is zero and not unknown; reuse without a reuse meter likewise."""
    assert value("co2_scope_1", *PLANT[:3]) == 0.0
    assert value("water_reuse_rate", PLANT[4]) == 0.0


def test_the_bound_is_what_the_dials_can_move() -> None:
    """Two steps of 5 kWh at 0.1229, and nothing for points that do not enter."""
    points = [
        source(0, "electricity", "in", "kWh", None, 1000.0, 5.0),
        source(1, "fresh_water", "in", "m3", None, 10.0, 1.0),
    ]
    found = expected("comprehensive_energy_equivalent", Firm(points, 24.0, 2024))
    assert found.bound == pytest.approx(1.1 * 2 * 5 * 0.1229)
    assert found.rows == {0}


def test_every_truth_is_of_an_indicator_of_the_catalogue() -> None:
    """A name that the platform does not know would never be compared; of metered days only one has no truth."""
    known = {i.id for i in load_catalogue().indicators if Scope.FIRM in i.scopes and "day" in i.grains}
    assert TRUTHS.keys() <= known
    assert known - TRUTHS.keys() <= {"emission_compliance_rate"}
