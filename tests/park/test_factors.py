"""Factors: chosen by purpose, basis, region and day; never mixed, never silently missing."""

from __future__ import annotations

from datetime import date

import pytest

from park.errors import AmbiguousFactorError, DataFileError, NoFactorError, UnitError
from park.factors import Basis, Factor, FactorKind, FactorRegistry, choose, load_factors, parse_factors

COAL = FactorKind.TO_STANDARD_COAL
DAY = date(2025, 6, 1)


def standard_coal(
    carrier: str, basis: Basis = Basis.EQUIVALENT, on: date = DAY, purpose: str = "general", region: str = "CN-CQ"
) -> Factor:
    return choose(load_factors(), COAL, carrier, basis, purpose, region, on)


def made(factor_id: str, value: float, *, region: str = "CN", start: date = date(2020, 1, 1), **more: object) -> Factor:
    fields = {
        "id": factor_id,
        "kind": COAL,
        "carrier": "electricity",
        "unit": "kWh",
        "value": value,
        "result_unit": "kgce",
        "basis": Basis.EQUIVALENT,
        "region": region,
        "valid_from": start,
        "source": "made up",
        "verified": True,
    }
    return Factor(**(fields | more))


@pytest.mark.parametrize(
    ("carrier", "value"),
    [
        ("electricity", 0.1229),
        ("natural_gas", 1.33),
        ("diesel", 1.4571),
        ("coal", 0.7143),
        ("heat", 0.03412),
        ("steam", 0.1286),
    ],
)
def test_the_equivalent_values_are_those_of_the_standard(carrier: str, value: float) -> None:
    """The default equivalent value of each carrier is the standard's."""
    assert standard_coal(carrier).value == value


@pytest.mark.parametrize(("year", "value"), [(2020, 0.3055), (2023, 0.3019), (2024, 0.3024)])
def test_equal_electricity_is_the_value_of_the_year(year: int, value: float) -> None:
    """The equal value of electricity is the net-supply coal rate of the very year, from its first day to its last."""
    for day in (date(year, 1, 1), date(year, 12, 31)):
        factor = standard_coal("electricity", Basis.EQUAL, day)
        assert factor.value == value
        assert factor.stands_in_for is None


def test_a_year_without_a_value_uses_the_last_known_one_and_says_so() -> None:
    """After the last published year the last value stands in, and the factor names the year it stands in for."""
    factor = standard_coal("electricity", Basis.EQUAL, date(2026, 11, 21))
    assert (factor.id, factor.value, factor.stands_in_for) == ("electricity-equal-2024", 0.3024, 2026)
    assert "2026" in factor.note
    assert "2024" in factor.note


def test_a_day_before_every_value_has_no_factor() -> None:
    """A value never stands in for the past."""
    with pytest.raises(NoFactorError, match="electricity-equal-2015 from 2015-01-01") as caught:
        standard_coal("electricity", Basis.EQUAL, date(2014, 12, 31))
    assert caught.value.carrier == "electricity"


def test_equal_and_equivalent_are_never_taken_for_each_other() -> None:
    """A carrier with one basis only has no factor for the other, and one kWh differs by 2.46 between them."""
    only_equivalent = FactorRegistry(1, (made("a", 0.1229),))
    with pytest.raises(NoFactorError):
        choose(only_equivalent, COAL, "electricity", Basis.EQUAL, "general", "CN", DAY)
    ratio = standard_coal("electricity", Basis.EQUAL).value / standard_coal("electricity").value
    assert ratio == pytest.approx(2.46, abs=0.005)


def test_natural_gas_differs_by_purpose() -> None:
    """Statistics use 1.2143 where the default is 1.3300, and only when asked for by purpose."""
    for basis in (Basis.EQUIVALENT, Basis.EQUAL):
        assert standard_coal("natural_gas", basis).value == 1.33
        assert standard_coal("natural_gas", basis, purpose="statistics").value == 1.2143


def test_a_quantity_is_converted_from_the_unit_of_its_point() -> None:
    """MWh, GJ and tonnes give the same standard coal as the units of the table."""
    assert standard_coal("electricity").convert(1.0, "MWh") == pytest.approx(122.9)
    assert standard_coal("heat").convert(1.0, "GJ") == pytest.approx(34.12)
    assert standard_coal("coal").convert(2.0, "t") == pytest.approx(1428.6)
    assert standard_coal("natural_gas").convert(1.0, "10^4m3") == pytest.approx(13_300)
    with pytest.raises(UnitError):
        standard_coal("electricity").convert(1.0, "m3")


def test_what_was_not_compared_with_its_source_says_so() -> None:
    """An unverified value carries its flag and a note to whoever uses it."""
    assert standard_coal("electricity").note == ""
    steam = standard_coal("steam")
    assert not steam.verified
    assert "not compared" in steam.note


def test_the_narrowest_region_wins_and_a_part_without_a_value_uses_the_whole() -> None:
    """A province's own value goes before the nation's; other provinces use the nation's."""
    registry = FactorRegistry(1, (made("nation", 0.5), made("chongqing", 0.6, region="CN-CQ")))

    def value(region: str) -> float:
        return choose(registry, COAL, "electricity", Basis.EQUIVALENT, "general", region, DAY).value

    assert (value("CN"), value("CN-CQ"), value("CN-SC")) == (0.5, 0.6, 0.5)


def test_a_superseded_factor_is_kept_but_not_chosen() -> None:
    """What was superseded can still be read by its id, and is never chosen."""
    registry = FactorRegistry(1, (made("old", 0.5, superseded_by="new"), made("new", 0.6)))
    assert choose(registry, COAL, "electricity", Basis.EQUIVALENT, "general", "CN", DAY).id == "new"
    assert registry.by_id("old").value == 0.5
    with pytest.raises(NoFactorError):
        registry.by_id("never")


def test_several_that_hold_are_refused() -> None:
    """Nothing decides between two values that hold at once: both are named."""
    registry = FactorRegistry(1, (made("one", 0.5), made("two", 0.6)))
    with pytest.raises(AmbiguousFactorError, match="one, two"):
        choose(registry, COAL, "electricity", Basis.EQUIVALENT, "general", "CN", DAY)


GOOD = """
version = 1
[[factors]]
id = "a"
kind = "to_standard_coal"
carrier = "electricity"
unit = "kWh"
value = 0.1229
result_unit = "kgce"
basis = "equivalent"
region = "CN"
valid_from = 2020-01-01
source = "s"
verified = true
"""


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD.replace("0.1229", '"much"'), "factors[0].value"),
        (GOOD.replace("0.1229", "-1"), "factors[0].value"),
        (GOOD.replace("0.1229", "nan"), "factors[0].value"),
        (GOOD.replace("kWh", "m3"), "factors[0].unit"),
        (GOOD.replace('"equivalent"', '"both"'), "factors[0].basis"),
        (GOOD + "colour = 1\n", "factors[0]"),
        (GOOD + "valid_to = 2019-01-01\n", "factors[0].valid_to"),
        (GOOD + 'superseded_by = "b"\n', "factors[0].superseded_by"),
        (GOOD + "stands_in_for = 2020\n", "factors[0].stands_in_for"),
        (GOOD + GOOD.replace("version = 1", ""), "factors[1].id"),
        (GOOD + GOOD.replace("version = 1", "").replace('"a"', '"b"'), "factors[1].valid_from"),
        ("version = ", ""),
    ],
)
def test_a_wrong_file_is_named_with_its_field(text: str, field: str) -> None:
    """Whatever is wrong in a factor file is reported with the file and the field."""
    with pytest.raises(DataFileError) as caught:
        parse_factors(text, "mine.toml")
    assert (caught.value.file, caught.value.field) == ("mine.toml", field)
    assert str(caught.value).startswith("mine.toml: ")
