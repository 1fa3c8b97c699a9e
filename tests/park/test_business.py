"""Business inputs: what may be entered, which version counts, and what counts for a period."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from park.business import (
    KINDS,
    BusinessInput,
    Finality,
    InputKind,
    InputName,
    PriceBasis,
    ReportPeriod,
    Status,
    WasteCategory,
    check_input,
    check_known,
    counting,
    next_version,
    parse_report_period,
    price_base_year,
    waste_of,
)
from park.business import (
    Destination as To,
)
from park.errors import BusinessInputError
from park.figures import Book, Deflator, Figure, ProductSource, book
from park.reasons import Undefined

TODAY = date(2026, 5, 20)


def name(
    kind: InputKind, period: str, key: str = "", constant: int | None = None, workshop: str | None = None
) -> InputName:
    basis = None
    if KINDS[kind].priced:
        basis = PriceBasis.CURRENT if constant is None else PriceBasis.CONSTANT
    return InputName(kind, parse_report_period(period), key, basis, constant, workshop)


def entry(kind: InputKind, period: str, amount: float | None, unit: str, **more: object) -> BusinessInput:
    parts = {part: more.pop(part) for part in ("key", "constant", "workshop") if part in more}
    return BusinessInput(name(kind, period, **parts), amount, unit, **{"version": 1, **more})  # type: ignore[arg-type]


def value(period: str, amount: float | None, **more: object) -> BusinessInput:
    return entry(InputKind.VALUE_ADDED, period, amount, "10^4CNY", **more)


MARCH = value("2026-03", 1.0)


def added(found: Book, grain: str, start: date, as_of: date = TODAY, **more: object) -> Figure:
    return found.figure(InputKind.VALUE_ADDED, grain, start, "10^4CNY", as_of=as_of, **more)  # type: ignore[arg-type]


def months(*amounts: float | None, year: int = 2026) -> list[BusinessInput]:
    return [value(f"{year}-{k:02d}", amount) for k, amount in enumerate(amounts, start=1)]


@pytest.mark.parametrize(
    ("text", "grain", "start", "end"),
    [
        ("2025-02", "month", date(2025, 2, 1), date(2025, 3, 1)),
        ("202512", "month", date(2025, 12, 1), date(2026, 1, 1)),
        ("2025年3月", "month", date(2025, 3, 1), date(2025, 4, 1)),
        ("2025Q4", "quarter", date(2025, 10, 1), date(2026, 1, 1)),
        ("2025年第一季度", "quarter", date(2025, 1, 1), date(2025, 4, 1)),
        ("2024年", "year", date(2024, 1, 1), date(2025, 1, 1)),
    ],
)
def test_a_period_is_read_as_people_write_it(text: str, grain: str, start: date, end: date) -> None:
    """Months, quarters and years, in digits or Chinese, are read; what is written is read back the same."""
    period = parse_report_period(text)
    assert (period.grain, period.start, period.end) == (grain, start, end)
    assert parse_report_period(str(period)) == period


@pytest.mark.parametrize("text", ["2025-13", "2025-00", "2025Q5", "25", "", "March", "0999", "2025-3-1"])
def test_what_is_no_period_is_refused_with_an_example(text: str) -> None:
    """A thirteenth month or a fifth quarter is an error that shows how to write it."""
    with pytest.raises(BusinessInputError, match="2025-03, 2025Q1 or 2025"):
        parse_report_period(text)


def test_the_months_of_a_period_are_all_of_it() -> None:
    """A year has twelve months, end to end."""
    year = ReportPeriod("year", date(2024, 1, 1))
    assert len(year.months) == 12
    assert ReportPeriod("month", year.months[-1]).end == year.end


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (entry(InputKind.PRODUCTION, "2026-03", -1.0, "piece", key="car"), "amount"),
        (entry(InputKind.PRODUCTION, "2026-03", float("nan"), "piece", key="car"), "amount"),
        (entry(InputKind.PRODUCTION, "2026-03", 1.0, "piece"), "key"),
        (entry(InputKind.PRODUCTION, "2026-03", 1.0, "pieces", key="car"), "unit"),
        (entry(InputKind.LAND_AREA, "2026-03", 1.0, "t"), "unit"),
        (entry(InputKind.STAFF, "2026-03", 1.0, "person", key="x"), "key"),
        (entry(InputKind.STOCK_CLOSING, "2026-03", 1.0, "kWh", key="coal"), "unit"),
        (entry(InputKind.STOCK_CLOSING, "2026-03", 1.0, "t", key="gold"), "key"),
        (entry(InputKind.SOLID_WASTE, "2026-03", 1.0, "t", key="slag/utilised"), "key"),
        (entry(InputKind.SOLID_WASTE, "2026-03", 1.0, "t", key="general/lost"), "key"),
        (entry(InputKind.POLLUTANT, "2026-03", 1.0, "kg", key="co2"), "key"),
        (replace(MARCH, name=replace(MARCH.name, price_basis=None)), "price_basis"),
        (replace(MARCH, name=replace(MARCH.name, price_year=2020)), "price_year"),
        (value("2026-05", 1.0), "period"),
        (value("2026", 1.0), "period"),
        (entry(InputKind.LAND_AREA, "2027", 1.0, "mu"), "period"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_the_field_named(wrong: BusinessInput, field: str) -> None:
    """Negative, unknown, wrongly measured, unpriced or not yet over: each names its field."""
    with pytest.raises(BusinessInputError) as refused:
        check_input(wrong, today=TODAY)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "right",
    [
        value("2026-04", -3.5),
        value("2025", 12.0, constant=2020),
        entry(InputKind.STAFF, "2026-05", 120.0, "person"),
        entry(InputKind.LAND_AREA, "2026", 30.0, "mu"),
        entry(InputKind.SOLID_WASTE, "2026Q1", 3.0, "t", key="general.slag/utilised"),
        entry(InputKind.STOCK_OPENING, "2026-05", 3.0, "t", key="coal"),
        value("2026-04", None),
    ],
)
def test_what_can_be_is_taken(right: BusinessInput) -> None:
    """Value added may be negative, states may be told before their period is over, and a withdrawal has no amount."""
    check_input(right, today=TODAY)


def test_a_product_or_workshop_that_the_firm_lacks_is_refused() -> None:
    """The error lists what there is; a firm that declares no product may report any."""
    found = entry(InputKind.PRODUCTION, "2026-03", 1.0, "piece", key="car")
    check_known(found, products={"car"}, workshops=())
    check_known(found, products=(), workshops=())
    with pytest.raises(BusinessInputError, match="it has bus"):
        check_known(found, products={"bus"}, workshops=())
    in_shop = replace(found, name=replace(found.name, workshop="paint"))
    with pytest.raises(BusinessInputError, match="workshop"):
        check_known(in_shop, products={"car"}, workshops={"press"})


def test_waste_is_of_a_category_and_goes_somewhere() -> None:
    """A type within a category keeps its category."""
    assert waste_of("hazardous.oil/disposed") == (WasteCategory.HAZARDOUS, To.DISPOSED)


def test_the_same_again_changes_nothing_and_another_amount_is_a_new_version() -> None:
    """Entering what holds already stores nothing; a revision is numbered after the newest."""
    first = value("2026-03", 10.0)
    assert next_version([first], replace(first, version=0, author="other")) is None
    found = next_version([first], value("2026-03", 11.0, version=0))
    assert found is not None
    assert found.version == 2
    final = next_version([replace(first, finality=Finality.PROVISIONAL)], first)
    assert final is not None, "provisional becoming final is news, though the amount is the same"


def test_an_old_file_again_does_not_undo_what_was_revised_since() -> None:
    """A row that was taken before and replaced since stays replaced."""
    first = value("2026-03", 10.0, source="file a.csv 00 row 2")
    second = value("2026-03", 11.0, version=2, source="file b.csv 11 row 2")
    assert next_version([first, second], replace(first, version=0)) is None
    back = next_version([first, second], replace(first, version=0, source="api"))
    assert back is not None
    assert back.version == 3


def test_frozen_is_replaced_only_with_a_reason() -> None:
    """A frozen version, even an older one, asks for a reason; with one there is a new version."""
    frozen = value("2026-03", 10.0, status=Status.FROZEN)
    with pytest.raises(BusinessInputError, match="frozen in version 1") as refused:
        next_version([frozen], value("2026-03", 11.0, version=0))
    assert refused.value.field == "reason"
    assert next_version([frozen], value("2026-03", 10.0, version=0)) is None
    found = next_version([frozen], value("2026-03", 11.0, version=0, reason="counted twice"))
    assert found is not None
    assert (found.version, found.status) == (2, Status.SUBMITTED)


def test_a_correction_of_what_was_audited_waits_for_its_own_audit() -> None:
    """Submitted versions replace each other at once; after an audit only audited ones do."""
    first, second = value("2026-03", 10.0), value("2026-03", 11.0, version=2)
    assert counting([second, first])[first.name] is second
    audited = replace(first, status=Status.AUDITED)
    assert counting([audited, second])[first.name] is audited
    frozen = replace(second, status=Status.FROZEN)
    assert counting([audited, frozen])[first.name] is frozen


def test_a_month_counts_as_reported_and_says_what_it_rests_on() -> None:
    """The figure of a month is its amount in the wanted unit, with version, status and whether it is provisional."""
    found = book([value("2026-03", 10.0, finality=Finality.PROVISIONAL, input_id=7)])
    figure = found.figure(InputKind.VALUE_ADDED, "month", date(2026, 3, 1), "CNY", as_of=TODAY)
    assert (figure.amount, figure.unit, figure.provisional, figure.status) == (1e5, "CNY", True, Status.SUBMITTED)
    assert figure.lineage()["inputs"] == [{"id": 7, "period": "2026-03", "version": 1}]


@pytest.mark.parametrize("grain", ["bucket", "hour", "day"])
def test_a_reported_month_is_never_spread_over_days(grain: str) -> None:
    """A day's production, value or waste from a month's report is undefined, with the reason."""
    found = book([value("2026-03", 31.0), entry(InputKind.SOLID_WASTE, "2026-03", 31.0, "t", key="general/generated")])
    assert added(found, grain, date(2026, 3, 5)).reason is Undefined.REPORTED_COARSER
    waste = found.waste(WasteCategory.GENERAL, To.GENERATED, grain, date(2026, 3, 5), "t", as_of=TODAY)
    assert (waste.amount, waste.reason) == (None, Undefined.REPORTED_COARSER)


def test_a_year_or_quarter_that_was_reported_is_not_spread_over_months() -> None:
    """The reason names the period that was reported."""
    figure = added(book([value("2025Q2", 30.0)]), "month", date(2025, 5, 1))
    assert (figure.amount, figure.reason) == (None, Undefined.REPORTED_COARSER)
    assert "2025Q2" in figure.detail
    assert added(book([]), "month", date(2025, 5, 1)).reason is Undefined.NOT_REPORTED


def test_a_year_to_date_is_the_sum_of_its_months_and_says_where_it_ends() -> None:
    """Three months reported by 20 May: the sum ends with March, April may still come."""
    figure = added(book(months(10, 11, 12)), "year", date(2026, 1, 1))
    assert (figure.amount, figure.reason, figure.until) == (33.0, None, date(2026, 4, 1))


def test_a_hole_in_the_year_makes_it_undefined_and_names_the_months() -> None:
    """Without February and April, the year has no sum, whatever came after."""
    found = book([value("2026-01", 1.0), value("2026-03", 1.0), value("2026-05", 1.0)])
    figure = added(found, "year", date(2026, 1, 1), date(2026, 6, 10))
    assert (figure.amount, figure.reason, figure.detail) == (None, Undefined.MONTHS_MISSING, "2026-02, 2026-04")


def test_a_year_that_is_over_is_not_the_sum_of_eleven_months() -> None:
    """In the running year the newest months may be late; a closed year needs all twelve, or its own report."""
    eleven = months(*[1.0] * 11, year=2025)
    assert added(book(eleven), "year", date(2025, 1, 1), date(2025, 12, 31)).amount == 11.0
    closed = added(book(eleven), "year", date(2025, 1, 1), date(2026, 1, 1))
    assert (closed.amount, closed.reason, closed.detail) == (None, Undefined.MONTHS_MISSING, "2025-12")
    assert added(book([*eleven, value("2025", 12.5)]), "year", date(2025, 1, 1)).amount == 12.5


def test_a_withdrawn_month_is_missing_and_a_reported_zero_is_not() -> None:
    """Withdrawn is unknown; zero is a month in which nothing was made."""
    withdrawn = book(
        [value("2026-01", 5.0), value("2026-02", 5.0), value("2026-02", None, version=2), value("2026-03", 5.0)]
    )
    assert added(withdrawn, "year", date(2026, 1, 1)).reason is Undefined.MONTHS_MISSING
    assert added(withdrawn, "month", date(2026, 2, 1)).reason is Undefined.NOT_REPORTED
    assert added(book(months(5.0, 0.0, 5.0)), "year", date(2026, 1, 1)).amount == 10.0


def test_a_quarter_stands_in_for_months_that_were_not_reported() -> None:
    """Three months are preferred to their quarter; with one missing the quarter counts, not both."""
    quarter = value("2026Q1", 40.0)
    assert added(book([*months(10, 11, 12), quarter]), "year", date(2026, 1, 1)).amount == 33.0
    assert added(book([*months(10, 11), quarter]), "year", date(2026, 1, 1)).amount == 40.0
    assert added(book(months(10, 11, 12)), "quarter", date(2026, 1, 1)).amount == 33.0


def test_constant_prices_are_reported_or_deflated_and_never_the_current_ones() -> None:
    """V_const = V_current / deflator; without either the value is undefined, for a month as for a year."""
    current = months(110, 110, 110)
    deflators = [Deflator("*", 2020, 2026, 2.0), Deflator("C36", 2020, 2026, 1.1), Deflator("C36", 2025, 2026, 1.0)]
    of_trade = book(current, industry="C36", deflators=deflators)
    month = added(of_trade, "month", date(2026, 2, 1), price_year=2020)
    assert month.amount == pytest.approx(100.0)
    assert month.deflators == (deflators[1],)
    assert added(of_trade, "year", date(2026, 1, 1), price_year=2020).amount == pytest.approx(300.0)
    other = added(book(current, industry="C13", deflators=deflators), "month", date(2026, 2, 1), price_year=2020)
    assert other.amount == pytest.approx(55.0)
    reported = book([*current, value("2026-02", 97.0, constant=2020)], industry="C36", deflators=deflators)
    assert added(reported, "month", date(2026, 2, 1), price_year=2020).amount == 97.0
    assert added(reported, "month", date(2026, 2, 1)).amount == 110.0
    for grain in ("month", "year"):
        without = added(book(current, industry="C36"), grain, date(2026, 1, 1), price_year=2020)
        assert (without.amount, without.reason) == (None, Undefined.NO_DEFLATOR)
    assert added(book(current), "month", date(2026, 1, 1), price_year=2026).amount == 110.0


def test_a_newer_version_of_a_deflator_holds() -> None:
    """Of two versions of the same deflator the newer one converts."""
    deflators = [Deflator("*", 2020, 2026, 2.0, version=2), Deflator("*", 2020, 2026, 1.0, version=1)]
    assert added(book(months(10), deflators=deflators), "month", date(2026, 1, 1), price_year=2020).amount == 5.0


def test_the_base_year_is_the_last_of_the_plan_before() -> None:
    """2020 prices for 2021 to 2025, 2025 prices for 2026 to 2030."""
    assert [price_base_year(year) for year in (2020, 2021, 2025, 2026)] == [2015, 2020, 2020, 2025]


def test_counted_and_reported_production_are_never_added() -> None:
    """One source per product counts: the declared one, else the counter where there is one."""
    report = [entry(InputKind.PRODUCTION, "2026-03", 500.0, "piece", key="car")]
    asked = {
        "kind": InputKind.PRODUCTION,
        "grain": "month",
        "start": date(2026, 3, 1),
        "unit": "piece",
        "key": "car",
        "as_of": TODAY,
    }
    assert book(report).figure(**asked).amount == 500.0  # type: ignore[arg-type]
    counted = book(report, counters=["car"])
    assert counted.source_of("car") is ProductSource.COUNTER
    assert counted.figure(**asked).reason is Undefined.OTHER_SOURCE  # type: ignore[arg-type]
    declared = book(report, counters=["car"], sources={"car": ProductSource.REPORTED})
    assert declared.figure(**asked).amount == 500.0  # type: ignore[arg-type]


def test_land_and_staff_are_states_that_hold_throughout_their_period() -> None:
    """A year's land is that of each month and day in it; a year's staff is the mean of its months."""
    land = book([entry(InputKind.LAND_AREA, "2026", 30.0, "mu")])
    for grain in ("day", "month", "year"):
        assert land.figure(InputKind.LAND_AREA, grain, date(2026, 3, 1), "mu", as_of=TODAY).amount == 30.0
    staff = book([entry(InputKind.STAFF, f"2026-0{k}", n, "person") for k, n in ((1, 90.0), (2, 110.0))])
    assert staff.figure(InputKind.STAFF, "year", date(2026, 1, 1), "person", as_of=TODAY).amount == 100.0
    newest = book([entry(InputKind.LAND_AREA, f"2026-0{k}", n, "mu") for k, n in ((1, 30.0), (4, 36.0))])
    assert newest.figure(InputKind.LAND_AREA, "year", date(2026, 1, 1), "mu", as_of=TODAY).amount == 36.0


def test_stocks_of_a_year_are_the_first_opening_and_the_last_closing() -> None:
    """They are not summed over the months."""
    opening, closing = InputKind.STOCK_OPENING, InputKind.STOCK_CLOSING
    rows = [(opening, "01", 10.0), (closing, "01", 11.0), (opening, "02", 11.0), (closing, "02", 7.0)]
    found = book([entry(kind, f"2026-{month}", amount, "t", key="coal") for kind, month, amount in rows])
    of_year = [found.figure(k, "year", date(2026, 1, 1), "t", key="coal", as_of=TODAY) for k in (opening, closing)]
    assert [(stock.amount, stock.until) for stock in of_year] == [(10.0, date(2026, 3, 1)), (7.0, date(2026, 3, 1))]


def test_types_of_waste_are_added_within_their_category_and_destination_only() -> None:
    """Slag and ash utilised are utilised general waste; hazardous waste and other destinations are apart."""
    rows = {
        "general.slag/utilised": 3.0,
        "general.ash/utilised": 4.0,
        "general/generated": 9.0,
        "hazardous/utilised": 5.0,
    }
    found = book([entry(InputKind.SOLID_WASTE, "2026-03", amount, "t", key=key) for key, amount in rows.items()])
    figure = found.waste(WasteCategory.GENERAL, To.UTILISED, "month", date(2026, 3, 1), "kg", as_of=TODAY)
    assert figure.amount == 7000.0
    none = found.waste(WasteCategory.HAZARDOUS, To.GENERATED, "month", date(2026, 3, 1), "t", as_of=TODAY)
    assert none.reason is Undefined.NOT_REPORTED


def test_a_workshop_and_its_firm_are_never_added() -> None:
    """What is reported for a workshop is its own figure, not part of the firm's."""
    found = book([value("2026-03", 10.0), value("2026-03", 4.0, workshop="paint")])
    assert added(found, "month", date(2026, 3, 1)).amount == 10.0
    assert added(found, "month", date(2026, 3, 1), workshop="paint").amount == 4.0
