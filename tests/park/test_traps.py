"""The traps of the domain, by number and name: what a tester tries first.

Not here: 1 to 3 (checksums and byte orders of HJ 212, CJ/T 188 and DL/T 645) have no driver in the product yet; 22
(late data after a month's close) needs the database and stands in `tests/streams/test_indicators.py`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from park import pace
from park.buckets import consumption
from park.business import BusinessInput, InputKind, InputName, PriceBasis, parse_report_period
from park.calendar import period, periods, to_us, zone
from park.carbon import Certificate, Purpose, electricity_co2, green_power, use_and_factor
from park.emissions import Mark, at_reference_oxygen, daily_mean, held_against, hourly_means
from park.errors import DataFileError, IndicatorError, NoFactorError
from park.factors import Basis, FactorKind, choose, load_factors
from park.figures import Deflator, book
from park.graph import suspect_multiplier
from park.heat import steam_tce
from park.indicators import load_catalogue
from park.points import Direction, Kind, Label, Point
from park.ratios import Amount, Ratio, evaluate, park_ratio
from park.reasons import Undefined
from park.registers import Step, curve
from park.reports import figures_for
from park.scorecards import load_card, with_levels
from park.tariffs import CLASSES, TariffClass, load_tariffs, shares
from park.trends import chained, refused
from park.water import Reuse, passes_m3, together

CATALOGUE = load_catalogue()
FACTORS = load_factors()
CQ = zone("Asia/Shanghai")
YEAR_S = 365 * 86_400.0
IN, OUT, INTERNAL = Direction.IN, Direction.OUT, Direction.INTERNAL
UNITS = {"electricity": "kWh", "product": "t", "steam": "kg"}


def amount(carrier: str, quantity: float | None, direction: Direction = IN, point: int = 1) -> Amount:
    product = "steel" if carrier == "product" else None
    unit = UNITS.get(carrier, "m3")
    return Amount(point, carrier, direction, unit, quantity, YEAR_S, 0.0, YEAR_S, product)


def value(indicator_id: str, *amounts: Amount, on: date = date(2024, 1, 1), reported: object = None) -> Ratio:
    indicator = CATALOGUE.by_id(indicator_id)
    figures = {}
    if reported is not None:
        figures = figures_for(indicator, reported, "year", on, as_of=date(on.year + 1, 1, 1))  # type: ignore[arg-type]
    return evaluate(indicator, amounts, FACTORS, on=on, subject_id=1, figures=figures)


def value_added(amount_: float, year: int = 2024, price_year: int | None = None) -> BusinessInput:
    basis = PriceBasis.CURRENT if price_year is None else PriceBasis.CONSTANT
    name = InputName(InputKind.VALUE_ADDED, parse_report_period(str(year)), "", basis, price_year)
    return BusinessInput(name, amount_, "10^4CNY")


def test_trap_04_a_cumulative_decline_is_a_product() -> None:
    """Summing yearly rates is wrong by almost two points."""
    yearly = [0.04, 0.041, 0.042, 0.045, 0.05]
    assert pace.cumulative_decline(yearly) == pytest.approx(0.19983, abs=5e-6)
    assert pace.cumulative_decline(yearly) < sum(yearly)


def test_trap_05_current_prices_never_stand_in_for_constant_ones() -> None:
    """Without constant prices or a deflator the intensity is undefined; the current one is shown, not compared."""
    energy = amount("electricity", 1e6)
    only_current = book([value_added(1000)])
    assert value("energy_per_value_added", energy, reported=only_current).reason is Undefined.NO_DEFLATOR
    shown = value("energy_per_value_added_current", energy, reported=only_current)
    assert shown.value == pytest.approx(122.9 / 1000)
    found = refused([shown, shown])
    assert found is not None
    assert found.reason is Undefined.NOT_FOR_TREND
    deflated = book([value_added(1000)], deflators=[Deflator("*", 2020, 2024, 1.25)])
    real = value("energy_per_value_added", energy, reported=deflated)
    assert (real.value, real.price_year) == (pytest.approx(122.9 / 800), 2020)


def test_trap_05_levels_of_two_base_years_are_chained_not_spliced() -> None:
    """2025 at prices of 2020 and 2026 at prices of 2025 stand in no trend; their indices can be joined."""
    energy = amount("electricity", 1e6)
    old = value("energy_per_value_added", energy, reported=book([value_added(800, 2024, 2020)]))
    new = value("energy_per_value_added", energy, on=date(2026, 1, 1), reported=book([value_added(900, 2026, 2025)]))
    assert (old.price_year, new.price_year) == (2020, 2025)
    found = refused([old, new])
    assert found is not None
    assert found.reason is Undefined.UNLIKE_PRICES
    assert chained([0.20, 0.18], [0.16, 0.152]) == pytest.approx([1.0, 0.9, 0.9 * 0.95])


def test_trap_06_equivalent_and_equal_electricity_share_no_trend() -> None:
    """They differ by 2.46: as two indicators they are refused together."""
    energy = amount("electricity", 1000.0)
    equivalent, equal = value("comprehensive_energy_equivalent", energy), value("comprehensive_energy_equal", energy)
    assert equal.value is not None
    assert equivalent.value is not None
    assert equal.value / equivalent.value == pytest.approx(2.46, abs=0.005)
    found = refused([equivalent, equal])
    assert found is not None
    assert found.reason is Undefined.MIXED_SERIES
    with pytest.raises(IndicatorError):
        park_ratio(CATALOGUE.by_id("comprehensive_energy_equal"), [equal, equivalent])


def of_factors(indicator_id: str, *wanted: tuple[str, str, str]) -> list[Ratio]:
    """The same amount, valued by factors of several purposes or editions."""
    found = []
    for carrier, purpose, edition in wanted:
        factor = choose(
            FACTORS, FactorKind.TO_STANDARD_COAL, carrier, Basis.EQUIVALENT, purpose, "CN", date(2024, 1, 1), edition
        )
        found.append(
            Ratio(
                indicator_id,
                1,
                factor.value,
                None,
                False,
                1.0,
                "kgce",
                None,
                1.0,
                0.0,
                factors=(factor,),
            )
        )
    return found


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        (("natural_gas", "general", ""), ("natural_gas", "statistics", ""), 0.095),
        (("fresh_water", "general", "2020"), ("fresh_water", "general", "2008"), 2.0),
        (("steam", "general", ""), ("steam", "enthalpy", ""), 0.40),
    ],
    ids=["trap_07_natural_gas", "trap_08_water", "trap_09_steam"],
)
def test_traps_07_08_09_two_books_share_no_trend(
    first: tuple[str, str, str], second: tuple[str, str, str], apart: float
) -> None:
    """Natural gas 1.33 and 1.2143 (9.5 %), water 0.2571 and 0.0857 (×3), steam by table and by enthalpy (40 %)."""
    one, other = of_factors("comprehensive_energy_equivalent", first, second)
    assert one.numerator is not None
    assert other.numerator is not None
    assert one.numerator / other.numerator - 1 == pytest.approx(apart, abs=0.005)
    found = refused([one, other])
    assert found is not None
    assert found.reason is Undefined.MIXED_SERIES
    assert refused([one, one]) is None


def test_trap_08_an_edition_must_be_named_where_they_disagree() -> None:
    """Water without an edition has no factor rather than one of two."""
    with pytest.raises(NoFactorError, match="fresh-water-equivalent-2008"):
        choose(FACTORS, FactorKind.TO_STANDARD_COAL, "fresh_water", Basis.EQUIVALENT, "general", "CN", date(2024, 1, 1))


def test_trap_09_the_table_value_of_steam_lies_40_percent_above_its_heat() -> None:
    """0.1286 kgce/kg against 0.0919 by enthalpy."""
    assert 1000 * 0.1286 / (1000 * steam_tce(1, 2777.1)) == pytest.approx(1.40, abs=0.01)


def test_trap_10_media_made_on_site_are_not_counted_twice() -> None:
    """Compressed air, steam and oxygen made inside, waste heat and storage change nothing; bought, they count."""
    bought = (amount("electricity", 10_000.0), amount("natural_gas", 500.0, point=2))
    inside = tuple(
        amount(carrier, 1000.0, INTERNAL, point=10 + k)
        for k, carrier in enumerate(("compressed_air", "steam", "oxygen", "waste_heat", "electricity", "fresh_water"))
    )
    for indicator_id in ("comprehensive_energy_equivalent", "comprehensive_energy_equal", "comprehensive_energy_media"):
        assert value(indicator_id, *bought, *inside).value == value(indicator_id, *bought).value
    with_air = value("comprehensive_energy_media", *bought, amount("oxygen", 1000.0, point=3))
    assert with_air.value == pytest.approx(10_000 * 0.1229 + 500 * 1.33 + 400)


def test_trap_10_a_captive_plant_counts_by_its_fuel() -> None:
    """Gas burnt for own power is in the gas; own photovoltaics are an input; what is sold is subtracted once."""
    solar = Amount(4, "solar_electricity", INTERNAL, "kWh", 2000.0, YEAR_S, 0.0, YEAR_S)
    plant = value(
        "comprehensive_energy_equivalent",
        amount("natural_gas", 1000.0),
        amount("electricity", 3500.0, INTERNAL, point=2),
        amount("electricity", 500.0, OUT, point=3),
        solar,
    )
    assert plant.value == pytest.approx(1330 + (2000 - 500) * 0.1229)


def test_trap_10_a_transfer_between_firms_cancels_in_the_park() -> None:
    """Steam that one firm sells and the next one buys is in the park's energy once: as the seller's gas."""
    seller = value("comprehensive_energy_equivalent", amount("natural_gas", 1000.0), amount("steam", 500.0, OUT, 2))
    buyer = value("comprehensive_energy_equivalent", amount("steam", 500.0, point=3))
    park = park_ratio(CATALOGUE.by_id("comprehensive_energy_equivalent"), [seller, buyer])
    assert park.value == pytest.approx(1330)


def test_trap_11_the_factor_goes_by_purpose() -> None:
    """1.2 GWh are 669.72, 636.72 or 999.00 t by what the number is for, and no purpose falls back on another."""
    found = {
        p: electricity_co2(1.2e6, p, date(2023, 5, 1)).kg / 1000 for p in Purpose if p is not Purpose.LOCATION_REGIONAL
    }
    assert found[Purpose.LOCATION_PROVINCIAL] == pytest.approx(669.72)
    assert found[Purpose.LOCATION_NATIONAL] == pytest.approx(636.72)
    assert found[Purpose.ZERO_CARBON_PARK] == pytest.approx(999.00)
    assert len({round(kg, 3) for kg in found.values()}) == len(found)
    with pytest.raises(NoFactorError):
        electricity_co2(1.0, Purpose.LOCATION_PROVINCIAL, date(2023, 5, 1), region="CN-BJ")


def test_trap_12_green_power_is_zero_by_the_park_rule_and_not_location_based() -> None:
    """A certificate counts in the market-based number and the park rule; the grid's average knows nothing of it."""
    for purpose, kg in (
        (Purpose.ZERO_CARBON_PARK, 400 * 0.8325),
        (Purpose.MARKET_RESIDUAL, 400 * 0.6096),
        (Purpose.LOCATION_PROVINCIAL, 1000 * 0.5581),
    ):
        assert electricity_co2(1000, purpose, date(2023, 5, 1), green_kwh=600).kg == pytest.approx(kg)
    name = InputName(InputKind.GREEN_POWER, parse_report_period("2024"), "certificate")
    reported = book([BusinessInput(name, 600, "kWh")])
    power = amount("electricity", 1000.0)
    assert value("co2_total_location", power, reported=reported).value == pytest.approx(558.1)
    assert value("co2_total_market", power, reported=reported).value == pytest.approx(400 * 0.6096)
    assert value("zero_carbon_park_intensity", power, reported=reported).value == pytest.approx(
        0.4 * 0.8325 / 0.1229, rel=1e-6
    )


def test_trap_12_green_power_and_its_certificate_count_once() -> None:
    """Only retired certificates of the year count; those of a contract take the place of its power."""
    held = [Certificate(50, 2024, True, "wind"), Certificate(10, 2023, True), Certificate(10, 2024, False)]
    assert green_power(held, {"wind": 80.0}, 2024) == pytest.approx(80_000)
    with pytest.raises(IndicatorError, match="exceed"):
        green_power([Certificate(90, 2024, True, "wind")], {"wind": 80.0}, 2024)


def test_trap_13_a_park_is_a_ratio_of_sums() -> None:
    """A small firm at 90 % and a big one at 50 % make 50.4 %, not 70 %."""
    small, big = Reuse(1, circulating=9), Reuse(500, circulating=500)
    assert together([small, big]).rate == pytest.approx(509 / 1010)


def test_trap_14_reuse_counts_each_pass() -> None:
    """A loop of 1 000 m³/h is 24 000 m³ a day: reuse is then above 95 %, and the cooling rate stands beside it."""
    amounts = (
        amount("fresh_water", 500.0),
        amount("recirculated_water", passes_m3(1000, 24), INTERNAL, 2),
        amount("cooling_makeup_water", 480.0, INTERNAL, 3),
        amount("recycled_water", 100.0, INTERNAL, 4),
    )
    rate, cooling = value("water_reuse_rate", *amounts).value, value("cooling_recirculation_rate", *amounts).value
    assert rate == pytest.approx(100 * 24_100 / 24_600)
    assert cooling == pytest.approx(100 * 24_000 / 24_480)
    by_system = [
        value(i, *amounts).value for i in ("water_circulating_rate", "water_cascade_rate", "water_treated_reuse_rate")
    ]
    assert sum(v for v in by_system if v is not None) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("product", "reason"),
    [((), Undefined.NO_POINTS), ((None,), Undefined.NO_DATA), ((0.0,), Undefined.NO_PRODUCTION)],
)
def test_trap_15_no_production_is_undefined(product: tuple[float | None, ...], reason: Undefined) -> None:
    """Missing, silent and zero production are three reasons, never a zero or an infinity."""
    ratio = value("energy_per_product", amount("electricity", 10.0), *(amount("product", p, OUT, 2) for p in product))
    assert (ratio.value, ratio.reason) == (None, reason)
    assert value("energy_per_value_added", amount("electricity", 10.0), reported=book([])).reason is (
        Undefined.NOT_REPORTED
    )


def test_trap_16_only_valid_hourly_means_exceed() -> None:
    """One high minute, marked and substituted values, and an hour of 44 minutes exceed nothing."""
    t = np.arange(3 * 60, dtype=np.int64) * 60_000_000
    level = np.full(180, 80.0)
    mark = np.zeros(180, np.int64)
    level[10] = 900.0  # a spike: the hour's mean is 93.7
    level[60:120], mark[60:120] = 500.0, int(Mark.INVALID)
    level[120:180], mark[120:136] = 500.0, int(Mark.SUBSTITUTED)
    hours = hourly_means(t, level, mark, 60)
    assert hours.valid.tolist() == [True, False, False]
    assert hours.mean[0] == pytest.approx(80 + 820 / 60)
    found = held_against(hours, 100)
    assert (found.valid, found.compliant, found.exceeded, found.rate) == (1, 1, 0, 1.0)
    assert held_against(hours, 90).exceeded == 1
    assert daily_mean(hours) is None
    assert held_against(hourly_means(t[:0], level[:0], mark[:0], 60), 1).rate is None


def test_trap_17_no_oxygen_correction_near_21_percent() -> None:
    """From 20 % on there is no corrected value; at 21 % it would be infinite."""
    assert at_reference_oxygen(120, 19.9, 3.5) == pytest.approx(120 * 17.5 / 1.1)
    assert at_reference_oxygen(120, 20.0, 3.5) is None
    assert at_reference_oxygen(120, 21.0, 3.5) is None


def test_trap_18_sharp_holds_in_four_months_and_inside_the_peak() -> None:
    """12 to 14 o'clock is sharp in January, July, August and December, and peak in the other months."""
    found = {}
    for month in range(1, 13):
        noon = datetime(2025, month, 15, 12, 30, tzinfo=CQ)
        found[month] = CLASSES[int(shares(load_tariffs(), "CN-CQ", np.array([to_us(noon)]), CQ)[0][0].argmax())]
    assert {month for month, c in found.items() if c is TariffClass.SHARP} == {1, 7, 8, 12}
    assert {c for month, c in found.items() if month not in {1, 7, 8, 12}} == {TariffClass.PEAK}


def test_trap_19_an_amount_labelled_24_00_belongs_to_the_day_before() -> None:
    """An interval that ends at midnight is the old day's, at a month's end and on a leap day too."""
    for day, after in ((date(2024, 2, 29), date(2024, 3, 1)), (date(2023, 2, 28), date(2023, 3, 1))):
        midnight = datetime(after.year, after.month, after.day, tzinfo=CQ)
        point = Point(1, 1, "P", Kind.INTERVAL, "electricity", IN, "kWh", 900, Label.END)
        first = to_us(midnight) - 900_000_000
        found = consumption(
            point, (), np.array([to_us(midnight)]), np.array([5.0]), np.zeros(1, np.int16), first_us=first, count=2
        )
        assert found.measured[0] == 5.0
        assert np.isnan(found.measured[1])
        start = datetime.fromtimestamp(first / 1e6, UTC)
        assert period("day", start, CQ).start.astimezone(CQ).date() == day
    february = period("month", datetime(2024, 2, 10, tzinfo=UTC), CQ)
    assert len(periods("day", february.start, february.end, CQ)) == 29


def test_trap_20_a_multiplier_applied_twice_is_found_by_the_balance() -> None:
    """A child whose transformer ratio of 40 was applied twice takes 40 times too much; the balance names it."""
    rng = np.random.default_rng(20)
    a, b = rng.uniform(50, 100, 96), rng.uniform(5, 10, 96)
    found = suspect_multiplier(a + b, {"a": a, "b": 40 * b})
    assert found is not None
    assert (found.key, found.factor) == ("b", pytest.approx(1 / 40))


def test_trap_21_a_reset_is_no_rollover() -> None:
    """A drop far below the dial's end is held for a person; near the end and within the limit it goes round."""
    t = np.array([0, 900_000_000, 1_800_000_000], np.int64)
    reset = curve(t, np.array([400_000.0, 5.0, 9.0]), modulus=1e6, multiplier=1.0, rate_limit_per_h=100.0)
    assert Step(int(reset.step[1])) is Step.HELD_RESET
    assert reset.total[-1] - reset.total[0] == pytest.approx(4)
    turn = curve(t, np.array([999_990.0, 5.0, 9.0]), modulus=1e6, multiplier=1.0, rate_limit_per_h=100.0)
    assert Step(int(turn.step[1])) is Step.ROLLOVER


def test_trap_23_a_rise_may_be_the_grids() -> None:
    """Chongqing's factor rose three years running: kWh fall by 5 %, CO2 rises, and the split says whose doing it is."""
    years = [electricity_co2(1.0, Purpose.LOCATION_PROVINCIAL, date(y, 1, 1)).kg for y in (2021, 2022, 2023)]
    assert years == sorted(years)
    use, factor = use_and_factor(1000, years[1], 950, years[2])
    assert 950 * years[2] > 1000 * years[1]
    assert use < 0 < factor
    assert use + factor == pytest.approx(950 * years[2] - 1000 * years[1])
    assert use_and_factor(0, 0.5, 10, 0.6) == (6.0, 0.0)


def test_trap_24_a_lead_value_on_the_wrong_side_of_its_base_is_refused() -> None:
    """Of a lower-is-better item the lead lies below the base; a table copied the wrong way round is found."""
    card = load_card("green-factory-2025")
    assert with_levels(card, {"carbon-intensity": (500, 300), "water-reuse": (80, 95)}).items[1].lead == 300
    with pytest.raises(DataFileError, match="wrong way round"):
        with_levels(card, {"carbon-intensity": (300, 500)})
    with pytest.raises(DataFileError, match="wrong way round"):
        with_levels(card, {"water-reuse": (95, 80)})
