"""Indicators: net input, ratio of sums, and undefined with its reason wherever a number would be false."""

from __future__ import annotations

import json
import math
import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.errors import DataFileError, IndicatorError
from park.factors import FactorRegistry, load_factors
from park.indicators import Better, load_catalogue, parse_catalogue
from park.points import Direction
from park.ratios import Amount, LeftOut, Product, Ratio, evaluate, evaluate_point, park_ratio
from park.reasons import SENTENCES, Undefined

IN, OUT, INTERNAL = Direction.IN, Direction.OUT, Direction.INTERNAL
DAY_S = 86_400.0
ON = date(2024, 6, 1)
CATALOGUE = load_catalogue()
UNITS = {"electricity": "kWh", "natural_gas": "m3", "product": "t"}


def amount(
    carrier: str,
    quantity: float | None,
    direction: Direction = IN,
    *,
    point: int = 1,
    unit: str | None = None,
    measured: float = 1.0,
    estimated: float = 0.0,
    product: str | None = None,
) -> Amount:
    return Amount(
        point_id=point,
        carrier=carrier,
        direction=direction,
        unit=unit or UNITS.get(carrier, "m3"),
        quantity=quantity,
        measured_s=measured * DAY_S,
        estimated_s=estimated * DAY_S,
        elapsed_s=DAY_S,
        product=product,
    )


def made(quantity: float | None, point: int = 9, unit: str = "t", product: str | None = "steel") -> Amount:
    return amount("product", quantity, OUT, point=point, unit=unit, product=product)


def firm(indicator: str, *amounts: Amount, firm_id: int = 1, on: date = ON) -> Ratio:
    return evaluate(CATALOGUE.by_id(indicator), amounts, load_factors(), on=on, subject_id=firm_id)


def park(indicator: str, *ratios: Ratio, excluded: tuple[int, ...] = ()) -> Ratio:
    return park_ratio(CATALOGUE.by_id(indicator), ratios, excluded=excluded)


def test_every_indicator_says_what_it_is() -> None:
    """Each of the catalogue has names in both languages, formula, unit, grains, scopes and source."""
    ids = [indicator.id for indicator in CATALOGUE.indicators]
    assert {"comprehensive_energy_equivalent", "comprehensive_energy_equal", "energy_per_product"} < set(ids)
    assert {"water_reuse_rate", "energy_per_value_added", "co2_total_location", "maximum_demand"} < set(ids)
    for i in CATALOGUE.indicators:
        assert all((i.name_zh, i.name_en, i.formula, i.unit, i.grains, i.scopes, i.source)), i.id
        assert not i.name_zh.isascii(), i.id
    assert CATALOGUE.by_id("water_reuse_rate").better is Better.HIGHER
    with pytest.raises(IndicatorError, match="water_reuse_rate"):
        CATALOGUE.by_id("water_reuse")


def test_an_absolute_use_stands_beside_every_intensity() -> None:
    """Whatever is divided by product, value or energy names the absolute use, computed at its grains too."""
    for indicator in CATALOGUE.indicators:
        if "/" in indicator.unit and indicator.better is Better.LOWER and indicator.id != "solid_waste_per_value_added":
            assert indicator.absolute is not None, indicator.id
        if indicator.absolute is not None:
            beside = CATALOGUE.by_id(indicator.absolute)
            assert not beside.denominator
            assert set(indicator.grains) <= set(beside.grains), indicator.id


def test_every_indicator_stands_in_the_documentation() -> None:
    """The page of indicators names each of the catalogue with its formula and unit, and no other."""
    page = (Path(__file__).parents[2] / "docs/indicators.md").read_text("utf-8")
    rows = {row.split("`")[1]: row for row in page.splitlines() if re.match(r"\| `\w+` \| \S+.* / ", row)}
    assert set(rows) == {indicator.id for indicator in CATALOGUE.indicators}
    for indicator in CATALOGUE.indicators:
        assert indicator.unit in rows[indicator.id]
        assert indicator.formula.replace("|", "\\|") in rows[indicator.id]
        assert indicator.name_zh in rows[indicator.id]


def test_every_reason_has_a_sentence_in_both_languages() -> None:
    """No reason reaches a person as a bare code."""
    assert set(SENTENCES) == set(Undefined)
    assert all(zh and en for zh, en in SENTENCES.values())


# Energy -----------------------------------------------------------------------------------------------------------


def test_comprehensive_energy_is_the_net_input_in_standard_coal() -> None:
    """Bought adds, sold is subtracted, and what moves inside is not counted twice."""
    ratio = firm(
        "comprehensive_energy_equivalent",
        amount("electricity", 10.0, point=1, unit="MWh"),
        amount("electricity", 1_000.0, OUT, point=2),
        amount("electricity", 8_000.0, INTERNAL, point=3),
        amount("natural_gas", 100.0, point=4),
        amount("fresh_water", 500.0, point=5),
    )
    assert ratio.value == pytest.approx(9_000 * 0.1229 + 100 * 1.33)
    assert ratio.denominator is None
    assert ratio.unit == "kgce"
    assert ratio.points == (1, 2, 4)
    assert ratio.ignored == (3,)
    assert {factor.id for factor in ratio.factors} == {"electricity-equivalent", "natural-gas-equivalent"}


def test_equal_and_equivalent_energy_differ_by_the_electricity_alone() -> None:
    """The same amounts give 0.3024 and 0.1229 kgce per kWh of 2024, and the same for gas."""
    amounts = (amount("electricity", 1_000.0, point=1), amount("natural_gas", 100.0, point=2))
    equal = firm("comprehensive_energy_equal", *amounts)
    equivalent = firm("comprehensive_energy_equivalent", *amounts)
    assert equal.value == pytest.approx(302.4 + 133)
    assert equivalent.value == pytest.approx(122.9 + 133)
    with pytest.raises(IndicatorError, match="cannot be added"):
        park("comprehensive_energy_equal", equal, equivalent)


def test_a_stand_in_factor_is_seen_in_the_lineage() -> None:
    """A value made with last year's coal rate says so in what it rests on."""
    ratio = firm("comprehensive_energy_equal", amount("electricity", 1.0), on=date(2026, 2, 1))
    lineage = json.loads(json.dumps(ratio.lineage()))
    assert lineage["points"] == [1]
    assert [f["id"] for f in lineage["factors"]] == ["electricity-equal-2024"]
    assert "2026" in lineage["factors"][0]["note"]


def test_a_carrier_without_a_factor_makes_the_sum_undefined() -> None:
    """A carrier that cannot be converted is never left out of the sum in silence."""
    ratio = evaluate(
        CATALOGUE.by_id("comprehensive_energy_equivalent"), [amount("electricity", 1.0)], FactorRegistry(1, ()), on=ON
    )
    assert (ratio.reason, ratio.value, ratio.numerator) == (Undefined.NO_FACTOR, None, None)
    assert "electricity" in ratio.detail


def test_a_unit_that_does_not_measure_the_carrier_is_named() -> None:
    """A point in the wrong unit makes its firm's value undefined and names the point."""
    ratio = firm("comprehensive_energy_equivalent", amount("electricity", 1.0, point=7, unit="m3"))
    assert ratio.reason is Undefined.WRONG_UNIT
    assert "point 7" in ratio.detail


@pytest.mark.parametrize("direction", list(Direction))
def test_a_single_point_counts_whichever_its_direction(direction: Direction) -> None:
    """The energy of one point is what passed it, also where its firm's sum would not count it."""
    energy = CATALOGUE.by_id("comprehensive_energy_equivalent")
    ratio = evaluate_point(energy, amount("electricity", 1_000.0, direction, point=3), load_factors(), on=ON)
    assert (ratio.value, ratio.subject_id) == (pytest.approx(122.9), 3)


def test_an_indicator_that_is_not_for_points_refuses_one() -> None:
    """Water reuse of a single meter has no meaning."""
    with pytest.raises(IndicatorError, match="not for single points"):
        evaluate_point(CATALOGUE.by_id("water_reuse_rate"), amount("fresh_water", 1.0), load_factors(), on=ON)
    energy = CATALOGUE.by_id("comprehensive_energy_equivalent")
    assert evaluate_point(energy, amount("fresh_water", 1.0), load_factors(), on=ON).reason is Undefined.NO_POINTS


# Per product ------------------------------------------------------------------------------------------------------


def test_energy_per_product_keeps_both_sums_and_the_unit() -> None:
    """The value is numerator over denominator, both kept, in kgce per unit of the product."""
    ratio = firm("energy_per_product", amount("electricity", 10_000.0), made(20.0))
    assert ratio.numerator == pytest.approx(1229.0)
    assert ratio.denominator == 20.0
    assert ratio.value == pytest.approx(61.45)
    assert (ratio.unit, ratio.product) == ("kgce/t", Product("t", "steel"))


@pytest.mark.parametrize(
    ("product", "reason"),
    [
        ((), Undefined.NO_POINTS),
        ((made(None),), Undefined.NO_DATA),
        ((made(math.nan),), Undefined.NO_DATA),
        ((made(0.0),), Undefined.NO_PRODUCTION),
        ((made(1.0), made(2.0, point=10, unit="piece", product="bolt")), Undefined.UNLIKE_PRODUCTS),
        ((made(1.0), made(2.0, point=10, product="bolt")), Undefined.UNLIKE_PRODUCTS),
        ((made(1.0), made(None, point=10)), Undefined.COVERAGE_TOO_LOW),
    ],
)
def test_without_a_production_to_divide_by_the_value_is_undefined_not_zero(
    product: tuple[Amount, ...], reason: Undefined
) -> None:
    """Missing, unknown, zero and unlike production are four things, and none of them is a number."""
    ratio = firm("energy_per_product", amount("electricity", 10_000.0), *product)
    assert (ratio.value, ratio.status, ratio.reason) == (None, "undefined", reason)
    assert ratio.numerator == pytest.approx(1229.0), "what is known is kept"


def test_counters_of_the_same_product_are_added() -> None:
    """Two lines that make the same product divide the firm's energy together."""
    ratio = firm("energy_per_product", amount("electricity", 10_000.0), made(15.0), made(5.0, point=10))
    assert ratio.value == pytest.approx(61.45)


# Water ------------------------------------------------------------------------------------------------------------


def test_golden_water_reuse_1000_fresh_9000_reused_is_90_percent() -> None:
    """V_i = 1000 and V_r = 9000 give 90.00 %."""
    ratio = firm(
        "water_reuse_rate",
        amount("fresh_water", 1_000.0, point=1),
        amount("recirculated_water", 8_000.0, INTERNAL, point=2),
        amount("cascaded_water", 600.0, INTERNAL, point=3),
        amount("recycled_water", 400.0, INTERNAL, point=4),
    )
    assert ratio.value == pytest.approx(90.0)
    assert (ratio.numerator, ratio.denominator, ratio.unit) == (9_000.0, 10_000.0, "%")


def test_water_from_outside_that_was_reclaimed_is_neither_fresh_nor_reused() -> None:
    """Reclaimed water and rain change nothing in the reuse rate; water sold on is no intake."""
    ratio = firm(
        "water_reuse_rate",
        amount("fresh_water", 1_200.0, point=1),
        amount("fresh_water", 200.0, OUT, point=2),
        amount("recirculated_water", 9_000.0, INTERNAL, point=3),
        amount("reclaimed_water", 5_000.0, point=4),
        amount("rain_water", 5_000.0, point=5),
    )
    assert ratio.value == pytest.approx(90.0)
    assert ratio.points == (1, 2, 3)


def test_a_firm_without_reuse_meters_reuses_nothing_and_one_without_fresh_water_is_undefined() -> None:
    """No loop registered is 0 %, but a loop without an intake meter is not 100 %."""
    assert firm("water_reuse_rate", amount("fresh_water", 10.0)).value == 0.0
    lone = firm("water_reuse_rate", amount("recirculated_water", 10.0, INTERNAL))
    assert lone.reason is Undefined.NO_POINTS
    silent = firm(
        "water_reuse_rate", amount("fresh_water", 10.0), amount("recycled_water", None, INTERNAL, point=2, measured=0)
    )
    assert silent.reason is Undefined.NO_DATA, "a meter that is silent is not a firm that reuses nothing"


def test_no_water_at_all_is_undefined() -> None:
    """0 of 0 is no rate."""
    ratio = firm("water_reuse_rate", amount("fresh_water", 0.0), amount("recycled_water", 0.0, INTERNAL, point=2))
    assert ratio.reason is Undefined.ZERO_DENOMINATOR


def test_a_share_beyond_100_percent_is_undefined() -> None:
    """More fresh water handed on than taken in shows a meter that is wrong, not a record."""
    ratio = firm(
        "water_reuse_rate",
        amount("fresh_water", 10.0, point=1),
        amount("fresh_water", 20.0, OUT, point=2),
        amount("recycled_water", 100.0, INTERNAL, point=3),
    )
    assert ratio.reason is Undefined.IMPLAUSIBLE
    assert ratio.value is None


# Coverage ---------------------------------------------------------------------------------------------------------


def test_a_value_with_gaps_is_given_with_its_coverage() -> None:
    """Coverage is that of the worst point, measured and estimated together, and the estimated share is told."""
    ratio = firm(
        "comprehensive_energy_equivalent",
        amount("electricity", 10.0, point=1, measured=0.6, estimated=0.2),
        amount("natural_gas", 10.0, point=2),
    )
    assert ratio.status == "ok"
    assert (ratio.coverage, ratio.estimated_share) == (pytest.approx(0.8), pytest.approx(0.2))


@pytest.mark.parametrize(("covered", "reason"), [(0.5, None), (0.49, Undefined.COVERAGE_TOO_LOW)])
def test_below_the_minimum_coverage_there_is_no_value(covered: float, reason: Undefined | None) -> None:
    """Half of the elapsed time is the least that a value may rest on."""
    assert firm("comprehensive_energy_equivalent", amount("electricity", 1.0, measured=covered)).reason is reason


def test_one_silent_meter_makes_the_firm_undefined() -> None:
    """A sum that lacks one of its parts is not the sum: the silent point is named."""
    ratio = firm(
        "comprehensive_energy_equivalent", amount("electricity", 10.0, point=1), amount("natural_gas", None, point=22)
    )
    assert ratio.reason is Undefined.COVERAGE_TOO_LOW
    assert "22" in ratio.detail


# Park -------------------------------------------------------------------------------------------------------------


def reuse(firm_id: int, fresh: float | None, reused: float) -> Ratio:
    return firm(
        "water_reuse_rate",
        amount("fresh_water", fresh, point=10 * firm_id),
        amount("recirculated_water", reused, INTERNAL, point=10 * firm_id + 1),
        firm_id=firm_id,
    )


def test_a_park_is_the_ratio_of_sums_and_not_the_mean_of_ratios() -> None:
    """A small firm at 90 % and a big one at 50 % make 50.4 %, not 70 %."""
    ratio = park("water_reuse_rate", reuse(1, 1.0, 9.0), reuse(2, 500.0, 500.0))
    assert ratio.value == pytest.approx(100 * 509 / 1010)
    assert ratio.value != pytest.approx(70.0, abs=10)
    assert ratio.points == (10, 11, 20, 21)


def test_a_firm_without_data_is_left_out_named_and_lowers_the_coverage() -> None:
    """Its known half does not enter the park's sums, and the lineage says who is missing and why."""
    ratio = park("water_reuse_rate", reuse(1, 1_000.0, 9_000.0), reuse(2, None, 70.0))
    assert ratio.value == pytest.approx(90.0)
    assert ratio.denominator == 10_000.0
    assert ratio.left_out == (LeftOut(2, Undefined.COVERAGE_TOO_LOW),)
    assert ratio.coverage == pytest.approx(0.5)
    assert ratio.lineage()["left_out"] == [{"id": 2, "reason": "coverage_too_low"}]


def test_a_park_of_which_too_few_firms_are_known_is_undefined() -> None:
    """One firm of three is not the park."""
    ratio = park("water_reuse_rate", reuse(1, 1.0, 9.0), reuse(2, None, 1.0), reuse(3, None, 1.0))
    assert ratio.reason is Undefined.COVERAGE_TOO_LOW


def test_an_excluded_firm_is_neither_counted_nor_missing() -> None:
    """A hospital in the park changes neither the sum nor the coverage."""
    ratio = park("water_reuse_rate", reuse(1, 1.0, 9.0), reuse(2, None, 1.0), excluded=(2,))
    assert (ratio.value, ratio.coverage, ratio.left_out) == (pytest.approx(90.0), 1.0, ())


def product_firm(firm_id: int, unit: str, code: str | None, quantity: float = 10.0) -> Ratio:
    counter = made(quantity, point=firm_id * 10 + 1, unit=unit, product=code)
    return firm("energy_per_product", amount("electricity", 1_000.0, point=firm_id * 10), counter, firm_id=firm_id)


def test_like_products_of_several_firms_are_put_together() -> None:
    """Two firms that make the same product in the same unit have a common intensity."""
    ratio = park("energy_per_product", product_firm(1, "t", "steel", 10.0), product_firm(2, "t", "steel", 30.0))
    assert ratio.value == pytest.approx(2 * 122.9 / 40)
    assert ratio.unit == "kgce/t"


@pytest.mark.parametrize(
    ("unit", "code"), [("piece", "steel"), ("t", "beer"), ("t", None)], ids=["unit", "code", "no code"]
)
def test_unlike_products_of_several_firms_have_no_common_intensity(unit: str, code: str | None) -> None:
    """Tonnes and pieces, steel and beer, and what nobody named are never added; the energy sum is kept."""
    ratio = park("energy_per_product", product_firm(1, "t", "steel"), product_firm(2, unit, code))
    assert (ratio.reason, ratio.value, ratio.denominator) == (Undefined.UNLIKE_PRODUCTS, None, None)
    assert ratio.numerator == pytest.approx(2 * 122.9)


def test_two_unnamed_products_are_not_taken_for_the_same() -> None:
    """Two firms that both count unnamed tonnes may make anything."""
    ratio = park("energy_per_product", product_firm(1, "t", None), product_firm(2, "t", None))
    assert ratio.reason is Undefined.UNLIKE_PRODUCTS
    assert park("energy_per_product", product_firm(1, "t", None)).value == pytest.approx(12.29)


def test_a_firm_that_makes_nothing_is_left_out_of_the_parks_intensity() -> None:
    """A firm that stands still has no share in the numerator either."""
    ratio = park("energy_per_product", product_firm(1, "t", "steel"), product_firm(2, "t", "steel", 0.0))
    assert ratio.value == pytest.approx(12.29)
    assert ratio.left_out == (LeftOut(2, Undefined.NO_PRODUCTION),)
    assert park("energy_per_product", product_firm(2, "t", "steel", 0.0)).reason is Undefined.NO_PRODUCTION


def test_an_empty_park_is_undefined() -> None:
    """Without firms there is no number, for a sum as for a ratio."""
    for indicator in CATALOGUE.indicators:
        assert park(indicator.id).reason is Undefined.NO_DATA
        assert park(indicator.id).value is None


volumes = st.floats(min_value=0.1, max_value=1e9)


@given(st.lists(st.tuples(volumes, volumes), min_size=1, max_size=20))
def test_a_parks_rate_lies_between_its_firms_rates(waters: list[tuple[float, float]]) -> None:
    """A ratio of sums never leaves the range of the firms' ratios, and does not depend on their order."""
    ratios = [reuse(n, fresh, reused) for n, (fresh, reused) in enumerate(waters)]
    whole = park("water_reuse_rate", *ratios).value
    values = [ratio.value for ratio in ratios if ratio.value is not None]
    assert whole is not None
    assert min(values) - 1e-6 <= whole <= max(values) + 1e-6
    assert park("water_reuse_rate", *reversed(ratios)).value == whole


@given(st.lists(st.tuples(st.sampled_from([IN, OUT, INTERNAL]), volumes), min_size=1, max_size=20), st.randoms())
def test_the_order_of_points_does_not_matter(moved: list[tuple[Direction, float]], random: object) -> None:
    """Whatever order the points come in, the sum is the same to the last bit."""
    carriers = ("electricity", "natural_gas")
    amounts = [amount(carriers[n % 2], q, d, point=n) for n, (d, q) in enumerate(moved)]
    first = firm("comprehensive_energy_equivalent", *amounts)
    random.shuffle(amounts)  # type: ignore[attr-defined]
    assert firm("comprehensive_energy_equivalent", *amounts) == first


GOOD = """
version = 1
[[indicators]]
id = "a"
name_zh = "甲"
name_en = "A"
formula = "f"
unit = "m3"
better = "lower"
grains = ["day"]
scopes = ["firm"]
source = "s"
[[indicators.numerator]]
carriers = ["fresh_water"]
weights = { in = 1 }
unit = "m3"
"""


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD.replace('"lower"', '"down"'), "indicators[0].better"),
        (GOOD.replace("fresh_water", "wine"), "indicators[0].numerator[0].carriers"),
        (
            GOOD.replace('unit = "m3"\n', "", 2).replace("formula", 'unit = "m3"\nformula'),
            "indicators[0].numerator[0].unit",
        ),
        (GOOD.replace("weights = { in = 1 }", "weights = {}"), "indicators[0].numerator[0]"),
        (GOOD + 'colour = "red"\n', "indicators[0].numerator[0]"),
        (GOOD.replace('id = "a"', 'id = "a"\nmin_coverage = 2'), "indicators[0].min_coverage"),
        (GOOD + GOOD.replace("version = 1", ""), "indicators[1].id"),
        (GOOD[: GOOD.index("[[indicators.num")] + "numerator = []\n", "indicators[0].numerator"),
    ],
)
def test_a_wrong_catalogue_is_named_with_its_field(text: str, field: str) -> None:
    """Whatever is wrong in a catalogue is reported with the file and the field."""
    with pytest.raises(DataFileError) as caught:
        parse_catalogue(text, "mine.toml")
    assert (caught.value.file, caught.value.field) == ("mine.toml", field)


def test_a_term_in_a_unit_that_does_not_measure_its_carrier_is_refused() -> None:
    """Water in kWh is found when the catalogue is read, not when a value is wrong."""
    wrong = GOOD[: GOOD.rindex('unit = "m3"')] + 'unit = "kWh"\n'
    with pytest.raises(DataFileError, match="fresh_water is measured as volume"):
        parse_catalogue(wrong, "mine.toml")
