"""Groups and units on a real database: ratios of sums, dated members, transfers, and what firms report."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from park.business import BusinessInput, InputKind, InputName, PriceBasis, report_period
from park.definition import FirmDefinition, ParentDefinition, ParkDefinition, UnitDefinition
from park.indicators import load_catalogue
from park.membership import Group as GroupOf
from park.membership import GroupDefinition, GroupKind, Membership, MembershipDefinition, group_ratio
from park.points import Direction
from store import business
from store.memberships import groups
from store.registry import apply_definition
from streams.indicators import stored_ratio
from streams.rollup import DAYS, parts_of, worth_keeping
from streams.table import span_at
from tests.streams.conftest import point, world_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.streams.conftest import World

TZ = ZoneInfo("Asia/Shanghai")
NOW = datetime.now(UTC)
LAST_MONTH = (NOW.astimezone(TZ).date().replace(day=1) - timedelta(days=1)).replace(day=1)
FIRST = NOW.astimezone(TZ).date().replace(day=1)
"""The first day of this month, and the day before it: a membership ends in between."""
BEFORE = FIRST - timedelta(days=1)


def member(kind: GroupKind, code: str, begin: date | None = None, end: date | None = None) -> MembershipDefinition:
    return MembershipDefinition(kind=kind, code=code, valid_from=begin, valid_to=end)


def firm(code: str, **more: Any) -> FirmDefinition:
    """Electricity and fresh water, a workshop with a sub-meter of each and a loop of its own."""
    shop = {"direction": Direction.INTERNAL, "unit_code": "shop"}
    return FirmDefinition(
        code=code,
        name_zh=code,
        name_en=code,
        edges=["gw1"],
        units=[UnitDefinition("shop", "车间", "Shop")],
        points=[
            point("E", "electricity", "kWh"),
            point("F", "fresh_water", "m3"),
            point("E-SHOP", "electricity", "kWh", parents=[ParentDefinition(point="E")], **shop),
            point("E-LINE", "electricity", "kWh", parents=[ParentDefinition(point="E-SHOP")], **shop),
            point("F-SHOP", "fresh_water", "m3", parents=[ParentDefinition(point="F")], **shop),
            point("R-SHOP", "recycled_water", "m3", **shop),
        ],
        **more,
    )


DEFINITION = ParkDefinition(
    code="q",
    name_zh="园",
    name_en="Park",
    zones=[UnitDefinition("east", "东", "East"), UnitDefinition("west", "西", "West")],
    groups=[GroupDefinition(kind=GroupKind.CHAIN, code="cars", name_zh="汽车", name_en="Cars")],
    firms=[
        firm("a", industry="C36", zones=["east", "west"], memberships=[member(GroupKind.CHAIN, "cars")]),
        firm("b", industry="C36", zones=["west"], above_scale=False),
        firm("c", industry="C13", memberships=[member(GroupKind.ZONE, "east", end=FIRST)]),
        firm("school", industry="P83", industrial=False, zones=["east"]),
    ],
)
KWH = {"a": 4.0, "b": 2.0, "c": 8.0, "school": 64.0}
M3 = {"a": 1.0, "b": 3.0, "c": 1.0, "school": 1.0}


@asynccontextmanager
async def park_at(url: str, definition: ParkDefinition = DEFINITION) -> AsyncIterator[World]:
    async with world_at(url) as world:
        await apply_definition(world.connection, definition)
        rows = await world.connection.fetch(
            "SELECT f.code AS f, p.code AS p, point_id FROM point p JOIN firm f USING (firm_id) JOIN park k ON"
            " k.park_id = f.park_id WHERE k.code = 'q'"
        )
        yield replace(world, points={(row["f"], row["p"]): row["point_id"] for row in rows})


@pytest.fixture
async def park(database_url: str) -> AsyncIterator[World]:
    """The park with even readings on two days, computed."""
    async with park_at(database_url) as world:
        await fill(world)
        await world.compute()
        yield world


def quarters(day: date) -> list[datetime]:
    begin = datetime(day.year, day.month, day.day, tzinfo=TZ).astimezone(UTC)
    end = min(begin + timedelta(days=1), NOW - timedelta(hours=1))
    return [begin + timedelta(minutes=15 * k) for k in range(int((end - begin) / timedelta(minutes=15)) + 1)]


async def fill(world: World) -> None:
    for code, kwh in KWH.items():
        steps = {"E": kwh, "F": M3[code], "E-SHOP": kwh / 2, "E-LINE": 0.5, "F-SHOP": 0.5, "R-SHOP": 1.5}
        for name, step in steps.items():
            if (code, name) in world.points:
                times = sorted({*quarters(BEFORE), *quarters(FIRST)})
                await world.read(code, name, times, [100 + step * n for n in range(len(times))])


async def value(world: World, scope: str, code: str, indicator: str, grain: str, start: date) -> Any:
    if scope in {kind.value for kind in GroupKind}:
        park_id = await world.connection.fetchval("SELECT park_id FROM park WHERE code = 'q'")
        [scope_id] = [g.group_id for g in await groups(world.connection, park_id) if (g.kind, g.code) == (scope, code)]
    else:
        table = {"firm": "SELECT firm_id FROM firm JOIN park k USING (park_id) WHERE firm.code = $1 AND k.code = 'q'",
                 "unit": "SELECT unit_id FROM unit JOIN firm f USING (firm_id) WHERE f.code = $1",
                 "park": "SELECT park_id FROM park WHERE code = $1"}[scope]  # fmt: skip
        scope_id = await world.connection.fetchval(table, code)
    instant = datetime(start.year, start.month, start.day, tzinfo=TZ)
    return await world.connection.fetchrow(
        "SELECT * FROM indicator_value WHERE scope = $1 AND scope_id = $2 AND indicator_id = $3 AND grain = $4"
        " AND period = $5", scope, scope_id, indicator, grain, instant,
    )  # fmt: skip


async def energy(world: World, scope: str, code: str, start: date = FIRST, grain: str = "day") -> Any:
    row = await value(world, scope, code, "electricity_use", grain, start)
    return None if row is None else row["numerator"]


@pytest.mark.stack
async def test_a_group_sums_its_members_and_the_park_counts_each_once(park: World) -> None:
    """Zones overlap, a firm is in both; the school counts nowhere; the park is not the sum of its zones."""
    steps = len(quarters(FIRST)) - 1
    unit = (await energy(park, "firm", "a")) / (KWH["a"] * steps)
    assert await energy(park, "zone", "east") == pytest.approx(unit * steps * 4)
    assert await energy(park, "zone", "west") == pytest.approx(unit * steps * (4 + 2))
    assert await energy(park, "industry", "C36") == pytest.approx(unit * steps * (4 + 2))
    assert await energy(park, "industry", "C13") == pytest.approx(unit * steps * 8)
    assert await energy(park, "chain", "cars") == pytest.approx(unit * steps * 4)
    assert await energy(park, "panel", "above_scale") == pytest.approx(unit * steps * (4 + 8))
    assert await energy(park, "park", "q") == pytest.approx(unit * steps * (4 + 2 + 8))


@pytest.mark.stack
async def test_a_group_s_share_is_the_ratio_of_sums(park: World) -> None:
    """Reuse of a firm with much water and of one with little: numerators and denominators are added first."""
    west = await value(park, "zone", "west", "water_reuse_rate", "day", FIRST)
    firms = [await value(park, "firm", code, "water_reuse_rate", "day", FIRST) for code in ("a", "b")]
    above, below = (sum(row[side] for row in firms) for side in ("numerator", "denominator"))
    assert (west["numerator"], west["denominator"]) == (pytest.approx(above), pytest.approx(below))
    assert west["value"] == pytest.approx(100 * above / below)
    assert abs(west["value"] - sum(row["value"] for row in firms) / 2) > 1


@pytest.mark.stack
async def test_a_membership_that_ended_counts_until_then_only(park: World) -> None:
    """A firm that left the zone last month is not in it since; what was said is kept."""
    steps = len(quarters(BEFORE)) - 1
    assert await energy(park, "zone", "east", BEFORE) == pytest.approx((4 + 8) * steps)
    assert await energy(park, "zone", "east", FIRST) == pytest.approx(4 * (len(quarters(FIRST)) - 1))
    never = replace_firm(DEFINITION, "c", memberships=[])
    await apply_definition(park.connection, never)
    await park.compute()
    assert await energy(park, "zone", "east", BEFORE) == pytest.approx(4 * steps)
    row = await value(park, "zone", "east", "electricity_use", "day", BEFORE)
    assert (row["closed"], row["revision"]) == (True, 1), "what the closed month said before is kept"


@pytest.mark.stack
async def test_a_group_that_lost_its_members_says_nothing_and_keeps_what_it_said(park: World) -> None:
    """The chain without its firm is undefined, never zero and never what it was."""
    await apply_definition(park.connection, replace_firm(DEFINITION, "a", memberships=[]))
    await park.compute()
    row = await value(park, "chain", "cars", "electricity_use", "day", BEFORE)
    assert (row["value"], row["reason"], row["revision"]) == (None, "no_data", 1)


@pytest.mark.stack
async def test_a_unit_is_its_own_boundary(park: World) -> None:
    """A workshop's energy is its own meter, not that and the line below it; its loop stays inside."""
    steps = len(quarters(FIRST)) - 1
    assert await energy(park, "unit", "a") == pytest.approx(KWH["a"] / 2 * steps)
    reuse = await value(park, "unit", "a", "water_reuse_rate", "day", FIRST)
    assert reuse["value"] == pytest.approx(75.0)
    assert reuse["firm_id"] is not None, "a firm sees its own units"


def replace_firm(definition: ParkDefinition, code: str, **more: Any) -> ParkDefinition:
    import msgspec  # noqa: PLC0415

    firms = [msgspec.structs.replace(f, **more) if f.code == code else f for f in definition.firms]
    return msgspec.structs.replace(definition, firms=firms)


@pytest.mark.stack
async def test_what_one_firm_hands_to_another_is_counted_once(database_url: str) -> None:
    """B takes its electricity behind A's meter: A's use is without it, and their sum is what A's meter saw."""
    behind = [point("E", "electricity", "kWh", parents=[ParentDefinition(point="E", firm="a")])]
    definition = replace_firm(DEFINITION, "b", points=behind)
    async with park_at(database_url, definition) as world:
        await fill(world)
        await world.compute()
        steps = len(quarters(FIRST)) - 1
        assert await energy(world, "firm", "a") == pytest.approx((4 - 2) * steps)
        assert await energy(world, "firm", "b") == pytest.approx(2 * steps)
        assert await energy(world, "industry", "C36") == pytest.approx(4 * steps)
        assert await energy(world, "park", "q") == pytest.approx((4 + 8) * steps)
        before = await energy(world, "firm", "a", BEFORE)
        late = quarters(BEFORE)[0] - timedelta(minutes=15)
        await world.read("b", "E", [late, quarters(BEFORE)[1] - timedelta(minutes=7)], [90.0, 101.9])
        await world.compute()
        changed = await world.connection.fetchval(
            "SELECT count(*) FROM run JOIN firm USING (firm_id) WHERE code = 'a' AND cause LIKE 'indicators: reading'"
        )
        assert changed >= 2, "readings of B have A computed again"
        assert await energy(world, "firm", "a", BEFORE) == pytest.approx(before)


async def fill_month(world: World) -> None:
    """Firm a's electricity and water of all of last month, and a little of this one."""
    begin = datetime(LAST_MONTH.year, LAST_MONTH.month, 1, tzinfo=TZ)
    end = datetime(FIRST.year, FIRST.month, 1, tzinfo=TZ) + timedelta(hours=1)
    times = [begin + timedelta(minutes=15 * k) for k in range(int((end - begin) / timedelta(minutes=15)))]
    for code in ("E", "F"):
        await world.read("a", code, times, [100 + 0.25 * k for k in range(len(times))])


@pytest.mark.stack
async def test_a_member_for_part_of_a_year_counts_with_its_months(database_url: str) -> None:
    """Who belonged last month alone adds last month to the group's year, as the pure sums say, and nothing else."""
    last = [member(GroupKind.ZONE, "west", LAST_MONTH, FIRST)]
    definition = replace_firm(DEFINITION, "a", zones=["east"], memberships=last)
    async with park_at(database_url, definition) as world:
        await fill_month(world)
        await world.compute()
        year = date(LAST_MONTH.year, 1, 1)
        west = await value(world, "zone", "west", "electricity_use", "year", year)
        of_month = await value(world, "firm", "a", "electricity_use", "month", LAST_MONTH)
        assert west["numerator"] == pytest.approx(of_month["numerator"])
        indicator = load_catalogue().by_id("electricity_use")
        expected = group_ratio(indicator, 1, {}, {1: [stored_ratio(dict(of_month) | {"firm_id": 1})]})
        assert west["value"] == pytest.approx(expected.value)
        assert west["unit"] == expected.unit
        assert (await value(world, "firm", "a", "electricity_use", "year", year))["reason"] == "coverage_too_low"


def reported(kind: InputKind, month: date, amount: float, unit: str) -> BusinessInput:
    basis = PriceBasis.CURRENT if kind is InputKind.VALUE_ADDED else None
    name = InputName(kind, report_period("month", month), price_basis=basis)
    return BusinessInput(name, amount, unit, author="li", source="test")


@pytest.mark.stack
async def test_a_report_that_comes_late_moves_intensity_and_keeps_what_was_said(database_url: str) -> None:
    """Entered, then revised: energy per value added follows, of the firm and its groups, each time as a revision."""
    async with park_at(database_url) as world:
        await fill_month(world)
        await world.compute()
        asked = ("energy_per_value_added_current", "month", LAST_MONTH)
        park_id = await world.connection.fetchval("SELECT park_id FROM park WHERE code = 'q'")
        firm_a = next(f for f in await business.reporting_firms(world.connection, park_id) if f.code == "a")
        kgce = (await value(world, "firm", "a", "comprehensive_energy_equivalent", "month", LAST_MONTH))["value"]
        for amount in (50.0, 40.0):
            found = reported(InputKind.VALUE_ADDED, LAST_MONTH, amount, "10^4CNY")
            await business.enter(world.connection, firm_a, [found], now=datetime.now(UTC))
            await world.compute()
            row = await value(world, "firm", "a", *asked)
            assert row["reason"] is None, row["lineage"]
            assert row["denominator"] == pytest.approx(amount)
            zone = await value(world, "zone", "east", *asked)
            assert zone["value"] == pytest.approx(row["value"])
        assert row["numerator"] * 1000 == pytest.approx(kgce, rel=0.1) or row["numerator"] == pytest.approx(
            kgce, rel=0.1
        )
        said = await world.connection.fetch(
            "SELECT denominator FROM indicator_revision WHERE scope = 'firm' AND indicator_id = $1 AND grain = 'month'"
            " ORDER BY revision", asked[0],
        )  # fmt: skip
        assert 50.0 in [r["denominator"] for r in said]


def test_a_firm_of_part_of_a_year_counts_with_its_months() -> None:
    """Parts of a year are the months in which it belongs; whoever belongs all along counts with the year."""
    now = datetime(2026, 5, 20, tzinfo=UTC)
    zone = GroupOf(GroupKind.ZONE, 1)
    year = span_at("year", datetime(2026, 3, 1, tzinfo=UTC), TZ)
    found = parts_of([Membership(7, zone), Membership(8, zone, date(2026, 4, 1))], [year], TZ, now=now)
    assert [(p.firm_id, p.part[0], p.parts) for p in found] == [(7, "year", 1), (8, "month", 2), (8, "month", 2)]
    assert [p.part[1] for p in found[1:]] == [
        datetime(2026, 3, 31, 16, tzinfo=UTC),
        datetime(2026, 4, 30, 16, tzinfo=UTC),
    ]


def test_days_of_long_ago_have_no_numbers_of_groups() -> None:
    """Months and years always, days of the last weeks, nothing finer."""
    now = datetime(2026, 5, 20, tzinfo=UTC)
    old = now - timedelta(days=DAYS + 1)
    touched = [("day", old), ("day", now), ("hour", now), ("bucket", now), ("month", old), ("year", old), ("day", now)]
    assert worth_keeping(touched, now=now) == [("day", now), ("month", old), ("year", old)]
