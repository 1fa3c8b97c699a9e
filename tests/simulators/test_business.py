"""What simulated firms report: true amounts, in the order and with the oddities that the park file says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from park.business import Finality, InputKind, check_input, check_known
from park.calendar import to_us
from park.figures import book
from park.membership import memberships_of
from park.reasons import Undefined
from simulators import stream
from simulators.business import PROVISIONAL_DAYS, ZONE, Report, counted, reports
from simulators.parks import demo_park, park
from simulators.quantities import MICRO
from simulators.scenarios import Scenario, scenario
from simulators.truth import load

YEAR = date(2026, 1, 1)
AS_OF = date(2026, 4, 1)


@pytest.fixture(scope="module")
def played() -> Scenario:
    return scenario("reporting")


@pytest.fixture(scope="module")
def told(played: Scenario) -> list[Report]:
    return reports(played.park, played.start_us, played.end_us)


def value_added(told: list[Report], firm: str, grain: str = "year", start: date = YEAR):
    of_firm = book(entered(told, firm))
    return of_firm.figure(InputKind.VALUE_ADDED, grain, start, "CNY", as_of=AS_OF)


def entered(told: list[Report], firm: str):
    versions: dict[object, int] = {}
    for one in told:
        if one.firm == firm:
            versions[one.name] = versions.get(one.name, 0) + 1
            yield replace(one.entry, version=versions[one.name])


def test_every_firm_of_every_park_reports_what_may_be_entered(played: Scenario) -> None:
    """Each report passes the checks that the platform makes, on the day on which it is entered."""
    for simulated in (demo_park(20251), park("full", 1), played.park):
        start_us = to_us(simulated.origin)
        found = reports(simulated, start_us, start_us + 70 * 86_400_000_000)
        assert {one.firm for one in found} == {firm.code for firm in simulated.firms}
        documents = {firm.code: firm for firm in simulated.definition.firms}
        for one in found:
            today = date.fromordinal(719_163 + one.entered_us // 86_400_000_000)
            check_input(one.entry, today=today)
            products = [product.code for product in documents[one.firm].products]
            check_known(one.entry, products=products, workshops=())


def test_production_and_waste_are_the_true_flows_of_the_month(played: Scenario, told: list[Report]) -> None:
    """A reported amount equals the sum of the flow's buckets in the month, to the report's rounding."""
    firm = played.park.firm("r02")
    first = to_us(played.park.origin) // 900_000_000
    true_t = int(firm.totals.buckets("product.ingots", first, 31 * 96).sum()) / MICRO
    final = {name: amount for name, amount in counted(told, "r02").items() if name.period.start == YEAR}
    [ingots] = [amount for name, amount in final.items() if name.kind is InputKind.PRODUCTION]
    assert ingots == pytest.approx(true_t, abs=1e-3)
    waste = {name.key: amount for name, amount in final.items() if name.kind is InputKind.SOLID_WASTE}
    assert waste["general.dross/generated"] == pytest.approx(
        waste["general.dross/utilised"] + waste["general.dross/disposed"], abs=2e-3
    )


def test_a_provisional_report_comes_first_and_is_revised(told: list[Report]) -> None:
    """The first version is too low by the stated share, marked provisional; the final one counts and says why."""
    january = [one for one in told if (one.firm, one.kind, one.start) == ("r02", "value_added", YEAR)]
    first, final = (one for one in january if one.price_basis == "current")
    assert (first.finality, final.finality) == (Finality.PROVISIONAL, Finality.FINAL)
    assert first.amount == pytest.approx(0.92 * final.amount, rel=1e-3)
    assert first.entered_us < final.entered_us
    assert final.reason
    assert value_added(told, "r02", "month").amount == pytest.approx(final.amount * 1e4)


def test_the_oddities_of_the_park_file_are_there(told: list[Report]) -> None:
    """Late by a month, a hole, no value added, production stopped: each firm shows its own, and no other."""
    assert value_added(told, "r01").amount is not None
    on_time = {one.entered_us for one in told if (one.firm, one.kind, one.start) == ("r01", "staff", YEAR)}
    late = {one.entered_us for one in told if (one.firm, one.kind, one.start) == ("r03", "staff", YEAR)}
    assert min(late) - max(on_time) == 28 * 86_400_000_000
    hole = value_added(told, "r06")
    assert (hole.reason, hole.detail) == (Undefined.MONTHS_MISSING, "2026-02")
    assert value_added(told, "r05").reason is Undefined.NOT_REPORTED
    assert [value_added(told, "r04", "month", date(2026, m, 1)).amount for m in (2, 3)] == [0.0, 0.0]
    assert (value_added(told, "r04", "month").amount or 0) > 0


def test_what_is_not_entered_yet_is_not_told(played: Scenario) -> None:
    """By the tenth of February only provisional figures of January are in."""
    by = to_us(played.park.origin) + (31 + PROVISIONAL_DAYS + 2) * 86_400_000_000
    found = reports(played.park, played.start_us, played.end_us, entered_by_us=by)
    assert {(one.firm, one.finality, one.start) for one in found} == {("r02", "provisional", YEAR)}


def test_memberships_of_a_simulated_park_reach_its_document(played: Scenario) -> None:
    """Zones, chains and panels of the park file, dated ones too, are in the park document."""
    firms = {firm.code: firm for firm in played.park.definition.firms}
    of_r03 = {(m.kind.value, m.code): m.begin for m in memberships_of(firms["r03"])}
    assert of_r03["zone", "west"] == date(2026, 3, 1)
    of_r06 = {(m.kind.value, m.code): m.begin for m in memberships_of(firms["r06"])}
    assert of_r06["panel", "above_scale"] == date(2026, 2, 1)
    sources = {product.code: product.source.value for product in firms["r06"].products}
    assert sources == {"meat": "counter", "frozen-meals": "reported"}


def test_reports_and_deflators_lie_beside_the_stream(tmp_path, played: Scenario, told: list[Report]) -> None:
    """A truth file carries them, so that a score needs nothing else; a scenario of two days has none."""
    built = stream.build(scenario("reporting", seed=2))
    built.truth.save(tmp_path / "t.npz")
    again = load(tmp_path / "t.npz")
    assert again.reports == built.truth.reports
    assert again.deflators == played.park.deflators
    assert len(again.reports) == len(told)
    assert ZONE.key == again.park.time_zone
