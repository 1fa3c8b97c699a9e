"""Business inputs in the database: versions, audits, what they touch, and who sees them."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from park.business import BusinessInput, Finality, InputKind, InputName, PriceBasis, Status, parse_report_period
from park.definition import FirmDefinition, ParkDefinition, ProductDefinition, UnitDefinition
from park.errors import BusinessInputError
from park.figures import Deflator, ProductSource
from store import business
from store.indicators import take_values
from store.pool import connected
from store.registry import apply_definition
from store.tenants import add_tenant

if TYPE_CHECKING:
    from store.business import ReportingFirm

pytestmark = pytest.mark.stack

NOW = datetime(2026, 5, 20, 4, tzinfo=UTC)


def definition() -> ParkDefinition:
    car = ProductDefinition(code="car", name_zh="车", name_en="Car", unit="piece", source=ProductSource.REPORTED)
    paint = UnitDefinition("paint", "涂装", "Paint shop")
    one = FirmDefinition(code="a", name_zh="甲", name_en="A", industry="C36", products=[car], units=[paint])
    two = FirmDefinition(code="b", name_zh="乙", name_en="B", industry="C13")
    return ParkDefinition(code="p", name_zh="园", name_en="Park", firms=[one, two])


def value(period: str, amount: float | None, **more: object) -> BusinessInput:
    name = InputName(InputKind.VALUE_ADDED, parse_report_period(period), "", PriceBasis.CURRENT)
    return BusinessInput(name, amount, "10^4CNY", author="li", source="test", **more)  # type: ignore[arg-type]


@pytest.fixture
async def park(database_url: str):
    """A park with two firms: connection and the firms by code."""
    async with connected(database_url) as connection:
        applied = await apply_definition(connection, definition())
        firms = {firm.code: firm for firm in await business.reporting_firms(connection, applied.park_id)}
        yield connection, firms
        await drop_tenants(connection)


async def drop_tenants(connection) -> None:
    for row in await connection.fetch("SELECT role_name FROM tenant_scope"):
        await connection.execute(f"DROP OWNED BY {row['role_name']}; DROP ROLE {row['role_name']}")


async def as_service(connection, statement: str) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE greenpark_service")
        await connection.execute(statement)


async def month(connection, firm: ReportingFirm, start: date = date(2026, 3, 1), grain: str = "month") -> float | None:
    book = await business.book_of(connection, firm.firm_id, start, date(2027, 1, 1))
    return book.figure(InputKind.VALUE_ADDED, grain, start, "10^4CNY", as_of=date(2026, 5, 20)).amount


async def test_what_is_entered_counts_and_the_same_again_changes_nothing(park) -> None:
    """A version is stored once; entering it twice stores nothing and marks nothing."""
    connection, firms = park
    [first] = await business.enter(connection, firms["a"], [value("2026-03", 10.0)], now=NOW)
    assert first.is_new
    assert first.stored is not None
    assert first.stored.version == 1
    assert await month(connection, firms["a"]) == 10.0
    await take_values(connection, firms["a"].firm_id)
    [again] = await business.enter(connection, firms["a"], [value("2026-03", 10.0)], now=NOW)
    assert not again.is_new
    assert await take_values(connection, firms["a"].firm_id) == []
    assert await connection.fetchval("SELECT count(*) FROM business_input") == 1


async def test_every_version_is_kept_with_who_when_and_why(park) -> None:
    """A revision leaves what was there; the list shows the newest, the history all."""
    connection, firms = park
    first = value("2026-03", 10.0, finality=Finality.PROVISIONAL)
    await business.enter(connection, firms["a"], [first], now=NOW)
    await business.enter(connection, firms["a"], [value("2026-03", 11.0, reason="final")], now=NOW)
    assert await month(connection, firms["a"]) == 11.0
    wanted = business.Filter(firm_id=firms["a"].firm_id)
    [newest] = await business.listed(connection, wanted)
    assert (newest.found.version, newest.found.amount, newest.found.reason) == (2, 11.0, "final")
    kept = await business.listed(connection, business.Filter(firm_id=firms["a"].firm_id, history=True))
    assert [(row.found.version, row.found.amount, row.found.author, row.newest) for row in kept] == [
        (1, 10.0, "li", False),
        (2, 11.0, "li", True),
    ]
    assert kept[0].found.entered is not None
    assert kept[0].found.entered <= kept[1].found.entered


async def test_versions_are_numbered_without_gaps_by_writers_at_once(park, database_url: str) -> None:
    """Five writers of one input at the same time: five versions, one after the other, and no error."""
    connection, firms = park

    async def write(amount: float) -> None:
        async with connected(database_url) as own:
            [done] = await business.enter(own, firms["a"], [value("2026-03", amount)], now=NOW)
            assert done.is_new

    await asyncio.gather(*(write(float(amount)) for amount in range(1, 6)))
    kept = await business.listed(connection, business.Filter(history=True))
    assert sorted(row.found.version for row in kept) == [1, 2, 3, 4, 5]
    assert {row.found.amount for row in kept} == {1.0, 2.0, 3.0, 4.0, 5.0}


async def test_no_version_can_be_altered_or_removed_by_the_service(park, database_url: str) -> None:
    """The service's role may insert and read, not update or delete: keeping is not a matter of discipline."""
    connection, firms = park
    await business.enter(connection, firms["a"], [value("2026-03", 10.0)], now=NOW)
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE greenpark_service")
        await business.enter(connection, firms["a"], [value("2026-02", 9.0)], now=NOW)
    for table in ("business_input", "business_state", "deflator"):
        for statement in (f"UPDATE {table} SET author = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await as_service(connection, statement)
    assert await connection.fetchval("SELECT count(*) FROM business_input") == 2


async def test_a_write_marks_the_months_and_years_that_it_touches(park) -> None:
    """A month marks itself and its year, a quarter its year and those of its months that have numbers already."""
    connection, firms = park
    await business.enter(connection, firms["a"], [value("2026-03", 10.0)], now=NOW)
    marked = {(grain, start) for grain, start, *_ in await take_values(connection, firms["a"].firm_id)}
    year = ("year", datetime(2025, 12, 31, 16, tzinfo=UTC))
    assert marked == {("month", datetime(2026, 2, 28, 16, tzinfo=UTC)), year}
    march = datetime(2026, 2, 28, 16, tzinfo=UTC)
    await connection.execute(
        """INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, unit, coverage,
                                        closed, lineage, run_id)
           VALUES ($1, $2, 'firm', $2, 'x', 'month', $3, '%', 1, true, '{}', 1)""",
        firms["a"].park_id, firms["a"].firm_id, march,
    )  # fmt: skip
    await business.enter(connection, firms["a"], [value("2026Q1", 30.0)], now=NOW)
    marked = {(grain, start) for grain, start, *_ in await take_values(connection, firms["a"].firm_id)}
    assert marked == {("month", march), year}
    assert await take_values(connection, firms["b"].firm_id) == []


async def test_a_write_wakes_whoever_computes(park, database_url: str) -> None:
    """The streams listen on greenpark_dirty."""
    connection, firms = park
    heard: list[str] = []
    async with connected(database_url) as listener:
        await listener.add_listener("greenpark_dirty", lambda *arguments: heard.append(arguments[3]))
        await business.enter(connection, firms["a"], [value("2026-03", 10.0)], now=NOW)
        await listener.fetchval("SELECT 1")
        assert heard == [str(firms["a"].firm_id)]


async def test_after_an_audit_a_correction_waits_for_its_own(park) -> None:
    """Submitted versions count at once; once one was audited, only audited ones do. Each step keeps who and why."""
    connection, firms = park
    await business.enter(connection, firms["a"], [value("2026-03", 10.0)], now=NOW)
    wanted = business.Filter(firm_id=firms["a"].firm_id)
    changed = await business.set_status(
        connection, await business.listed(connection, wanted), Status.AUDITED, author="wang", reason="seen", now=NOW
    )
    assert len(changed) == 1
    await business.enter(connection, firms["a"], [value("2026-03", 12.0)], now=NOW)
    assert await month(connection, firms["a"]) == 10.0
    await take_values(connection, firms["a"].firm_id)
    newest = await business.listed(connection, wanted)
    await business.set_status(connection, newest, Status.AUDITED, author="wang", reason="corrected", now=NOW)
    assert await month(connection, firms["a"]) == 12.0
    assert await take_values(connection, firms["a"].firm_id) != []
    again = await business.set_status(connection, newest, Status.AUDITED, author="wang", reason="again", now=NOW)
    assert again == []
    steps = await business.states_of(connection, [newest[0].found.input_id])
    assert [(step.status, step.author, step.reason) for step in steps] == [("audited", "wang", "corrected")]


async def test_frozen_is_replaced_only_with_a_reason_and_stops_no_other_row(park) -> None:
    """The refused row names why; the row beside it is stored; with a reason a new version comes, and waits."""
    connection, firms = park
    await business.enter(connection, firms["a"], [value("2026-03", 10.0)], now=NOW)
    rows = await business.listed(connection, business.Filter())
    await business.set_status(connection, rows, Status.FROZEN, author="wang", reason="year closed", now=NOW)
    refused, other = await business.enter(
        connection, firms["a"], [value("2026-03", 11.0), value("2026-02", 9.0)], now=NOW
    )
    assert isinstance(refused.error, BusinessInputError)
    assert refused.error.field == "reason"
    assert other.is_new
    [taken] = await business.enter(connection, firms["a"], [value("2026-03", 11.0, reason="audit office")], now=NOW)
    assert taken.is_new
    assert await month(connection, firms["a"]) == 10.0
    steps = await business.states_of(connection, [rows[0].found.input_id])
    assert [step.status for step in steps] == ["audited", "frozen"]


async def test_a_deflator_turns_current_into_constant_prices_and_has_firms_computed_again(park) -> None:
    """A deflator marks only firms of its industry that reported that year; the same again stores nothing."""
    connection, firms = park
    for code in ("a", "b"):
        await business.enter(connection, firms[code], [value("2026-03", 10.0)], now=NOW)
        await take_values(connection, firms[code].firm_id)
    park_id = firms["a"].park_id
    given = [Deflator("C36", 2025, 2026, 1.25, "bureau")]
    for _ in range(2):
        new = await business.add_deflators(connection, park_id, "Asia/Shanghai", given, author="wang", now=NOW)
    assert new == 0
    assert await take_values(connection, firms["a"].firm_id) != []
    assert await take_values(connection, firms["b"].firm_id) == []
    book = await business.book_of(connection, firms["a"].firm_id, date(2026, 1, 1), date(2027, 1, 1))
    asked = {"as_of": date(2026, 5, 20), "price_year": 2025}
    figure = book.figure(InputKind.VALUE_ADDED, "month", date(2026, 3, 1), "10^4CNY", **asked)  # type: ignore[arg-type]
    assert figure.amount == 8.0
    newer = [Deflator("C36", 2025, 2026, 2.0, "bureau")]
    await business.add_deflators(connection, park_id, "Asia/Shanghai", newer, author="wang", now=NOW)
    assert [(d.value, d.version) for d in await business.deflators(connection, park_id)] == [(2.0, 2)]


async def test_a_firm_sees_its_own_inputs_and_the_park_sees_all(park, database_url: str) -> None:
    """The database decides, by row-level security: for versions, audits, products and groups."""
    connection, firms = park
    for code in ("a", "b"):
        await business.enter(connection, firms[code], [value("2026-03", 10.0)], now=NOW)
    rows = await business.listed(connection, business.Filter())
    await business.set_status(connection, rows, Status.AUDITED, author="wang", reason="seen", now=NOW)
    seen = {}
    for who in (None, "a", "b"):
        role = await add_tenant(connection, "p", who)
        async with connection.transaction(readonly=True):
            await connection.execute(f"SET LOCAL SESSION AUTHORIZATION {role}")
            inputs = await business.listed(connection, business.Filter())
            states = await business.states_of(connection, [row.found.input_id for row in rows])
            members = await connection.fetch("SELECT DISTINCT firm_id FROM firm_group_member")
            seen[who] = ([row.firm for row in inputs], len(states), len(members))
    assert seen == {None: (["a", "b"], 2, 2), "a": (["a"], 1, 1), "b": (["b"], 1, 1)}


async def test_a_tenant_cannot_write_inputs_past_the_interface(park, database_url: str) -> None:
    """Even with a log-in of its own, and writing switched on, a tenant's role has no right to insert."""
    connection, firms = park
    role = await add_tenant(connection, "p", "a")
    await connection.execute(f"ALTER ROLE {role} LOGIN PASSWORD 'x'")
    url = urlsplit(database_url)
    async with connected(f"postgresql://{role}:x@{url.hostname}:{url.port}{url.path}") as tenant:
        await tenant.execute("SET default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await business.enter(tenant, firms["a"], [value("2026-03", 10.0)], now=NOW)


async def test_firms_come_with_what_their_inputs_may_name(park) -> None:
    """Products with their source, and workshops."""
    _, firms = park
    assert firms["a"].products == {"car"}
    assert firms["a"].sources == {"car": ProductSource.REPORTED}
    assert set(firms["a"].workshops) == {"paint"}
    assert firms["b"].products == frozenset()
