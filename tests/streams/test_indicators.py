"""From readings to indicators and standings, as ratios of sums that can be traced."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from park.business import BusinessInput, InputKind, InputName, PriceBasis, parse_report_period
from park.calendar import period, periods
from park.definition import LimitDefinition, ParkDefinition, PointDefinition, load_definition
from park.errors import DataFileError
from park.points import Direction, Kind
from store import business
from store.ledger import WaitingFirm
from store.registry import apply_definition
from streams.process import pass_values_of

pytestmark = pytest.mark.stack

ONE_DAY = """
    SELECT * FROM {} WHERE scope = 'firm' AND indicator_id = 'water_reuse_rate' AND grain = 'day' AND period = $1
"""
MARK_ALL = """
    INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)
    SELECT p.firm_id, point_id, min(t), max(t), 'multiplier' FROM reading JOIN point AS p USING (point_id)
    WHERE point_id = $1 GROUP BY 1, 2
"""


def now_quarters(n: int) -> list[datetime]:
    """The last n quarters of an hour that have ended."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return [end - timedelta(minutes=15 * k) for k in range(n, -1, -1)]


async def fill(world, firm: str, *, fresh: float, recycled: float, product: float = 1.0, hours: int = 48) -> None:
    """Two days of even consumption: kWh 10 a quarter, water and product as given."""
    times = now_quarters(4 * hours)
    for code, step in (("E", 1.0), ("F", fresh), ("R", recycled), ("P", product)):
        await world.read(firm, code, times, [1000 + step * k for k in range(len(times))])


async def value(world, scope: str, indicator: str, grain: str = "day"):
    """Return the newest whole value of an indicator."""
    return await world.connection.fetchrow(
        "SELECT v.* FROM indicator_value v WHERE scope = $1 AND indicator_id = $2 AND grain = $3"
        " ORDER BY closed DESC, coverage DESC, period DESC LIMIT 1",
        scope,
        indicator,
        grain,
    )


async def test_a_firm_gets_energy_on_both_bases_and_intensity(world) -> None:
    """960 kWh a day are 117.984 kgce as heat content; a piece takes its share of it."""
    await fill(world, "a", fresh=1, recycled=9)
    await world.compute()
    day = await value(world, "firm", "comprehensive_energy_equivalent")
    assert day["value"] == pytest.approx(960 * 0.1229)
    equal = await value(world, "firm", "comprehensive_energy_equal")
    assert equal["value"] > 2 * day["value"]
    intensity = await value(world, "firm", "energy_per_product")
    assert intensity["value"] == pytest.approx(10 * 0.1229)
    assert (intensity["numerator"], intensity["denominator"]) == (day["value"], 96.0)
    assert [factor["value"] for factor in day["lineage"]["factors"]] == [0.1229]
    assert day["lineage"]["points"] == [world.points["a", "E"]]


async def test_the_park_is_a_ratio_of_sums_without_the_school(world) -> None:
    """Not the mean of 90 % and 50 %, and a school's water is not industry's."""
    await fill(world, "a", fresh=1, recycled=9)
    await fill(world, "b", fresh=10, recycled=10)
    await fill(world, "school", fresh=100, recycled=0)
    await world.compute()
    park = await value(world, "park", "water_reuse_rate")
    assert park["value"] == pytest.approx(100 * 19 / 30)
    assert park["denominator"] == pytest.approx(96 * 30)


async def test_no_production_is_undefined_with_the_reason(world) -> None:
    """A day without product has no intensity: the reason stands there, not a zero."""
    await fill(world, "a", fresh=1, recycled=9, product=0.0)
    await world.compute()
    row = await value(world, "firm", "energy_per_product")
    assert (row["value"], row["reason"]) == (None, "no_production")


async def test_standings_are_judged_and_say_why_not(world) -> None:
    """Reuse is judged for park and firms; what has no baseline is undefined, because."""
    await fill(world, "a", fresh=1, recycled=19)
    await world.compute()
    rows = await world.connection.fetch("SELECT * FROM standing WHERE current AND scope = 'park'")
    standings = {(row["pack_id"], row["target_id"]): row for row in rows}
    reuse = standings["tongliang-district-2025", "industrial-water-reuse"]
    assert reuse["state"] in {"ahead", "undefined"}  # undefined where the year so far is hardly covered
    energy = standings["qijiang-district-2025", "energy-per-value-added"]
    assert (energy["state"], energy["reason"]) == ("undefined", "no_baseline")
    assert "no baseline" in energy["sentence_en"]
    assert energy["pack_version"] == 2


async def test_a_closed_day_that_changes_keeps_what_was_published(world) -> None:
    """A correction of the past is a new revision; the old value stays visible."""
    await fill(world, "a", fresh=1, recycled=9)
    await world.compute()
    before = await value(world, "firm", "water_reuse_rate")
    await world.connection.execute("UPDATE installation SET multiplier = 2 WHERE point_id = $1", world.points["a", "F"])
    await world.connection.execute(
        MARK_ALL,
        world.points["a", "F"],
    )
    await world.compute()
    after = await world.connection.fetchrow(
        ONE_DAY.format("indicator_value"),
        before["period"],
    )
    assert after["value"] == pytest.approx(100 * 9 / 11)
    assert after["revision"] == 1
    kept = await world.connection.fetchrow(
        ONE_DAY.format("indicator_revision"),
        before["period"],
    )
    assert (kept["value"], kept["superseded_by"]) == (before["value"], after["run_id"])


CQ = ZoneInfo("Asia/Shanghai")


def months_before_now(n: int) -> list[datetime]:
    """Starts of the n months before this one, and of this one."""
    starts = [period("month", datetime.now(UTC), CQ).start]
    for _ in range(n):
        starts.insert(0, period("month", starts[0] - timedelta(days=1), CQ).start)
    return starts


def reported(month: datetime, amount: float, kind: InputKind = InputKind.VALUE_ADDED, **more: object) -> BusinessInput:
    local = month.astimezone(CQ)
    priced = {"price_basis": PriceBasis.CONSTANT, "price_year": (local.year - 1) // 5 * 5}
    name = InputName(kind, parse_report_period(f"{local:%Y-%m}"), **(more or priced))
    return BusinessInput(name, amount, "10^4CNY", author="t", source="test")


async def daily_readings(world, firm: str, starts: list[datetime], per_hour: float) -> None:
    """A main meter read on the hour from the first month's start up to now; a step of the dial is 10 kWh."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = int((now - starts[0]).total_seconds() // 3600)
    times = [starts[0] + timedelta(hours=k) for k in range(hours + 1)]
    await world.read(firm, "E", times, [100 + per_hour * k for k in range(len(times))])


async def row(world, indicator: str, grain: str, start: datetime, firm: str = "a"):
    return await world.connection.fetchrow(
        "SELECT v.* FROM indicator_value v JOIN firm f ON f.firm_id = v.scope_id WHERE scope = 'firm' AND f.code = $1"
        " AND indicator_id = $2 AND grain = $3 AND period = $4",
        firm,
        indicator,
        grain,
        start,
    )


async def test_maximum_demand_of_a_month_is_the_highest_quarter_of_its_days(world) -> None:
    """Day, month and year agree with the buckets, the load factor follows, and a late peak moves all of them."""
    start = period("day", datetime.now(UTC) - timedelta(days=3), CQ).start
    times = [start + timedelta(minutes=15 * k) for k in range(96 + 1)]
    await world.read("a", "E", times, [1000.0 + k for k in range(97)])
    await world.compute()
    day = await row(world, "maximum_demand", "day", start)
    assert day["value"] == pytest.approx(40.0), "10 kWh in each quarter"
    assert (await row(world, "load_factor", "day", start))["value"] == pytest.approx(100.0)
    assert day["lineage"]["points"] == [world.points["a", "E"]]
    month = period("month", start, CQ).start
    assert (await row(world, "maximum_demand", "month", month))["numerator"] == pytest.approx(40.0)
    later = [start + timedelta(days=1, minutes=15 * k) for k in range(1, 5)]
    await world.read("a", "E", later, [1097.0, 1107.0, 1108.0, 1109.0])
    await world.compute()
    assert (await row(world, "maximum_demand", "day", start))["value"] == pytest.approx(40.0)
    assert (await row(world, "maximum_demand", "month", month))["numerator"] == pytest.approx(400.0)
    year = period("year", start, CQ).start
    assert (await row(world, "maximum_demand", "year", year))["numerator"] == pytest.approx(400.0)


async def test_a_report_gives_intensity_and_a_revision_keeps_what_was_said(world) -> None:
    """Value added of a month makes its energy per value added; a later version is a revision, not an overwriting."""
    last, this = months_before_now(1)
    await daily_readings(world, "a", [last], 5.0)
    await world.compute()
    before = await row(world, "energy_per_value_added", "year", period("year", last, CQ).start)
    assert (before["value"], before["reason"]) == (None, "not_reported")
    assert await row(world, "energy_per_value_added", "month", last) is None, "absent ones are said once a year"
    firm = await business.reporting_firm(world.connection, before["firm_id"])
    await business.enter(world.connection, firm, [reported(last, 100.0)], now=datetime.now(UTC))
    await world.compute()
    hours = (this - last).total_seconds() / 3600
    month = await row(world, "energy_per_value_added", "month", last)
    assert month["value"] == pytest.approx(hours * 50 * 0.1229 / 1000 / 100)
    assert month["lineage"]["price_year"] == (last.astimezone(CQ).year - 1) // 5 * 5
    assert month["lineage"]["reported"][0]["inputs"][0]["version"] == 1
    await business.enter(world.connection, firm, [reported(last, 80.0)], now=datetime.now(UTC))
    await world.compute()
    revised = await row(world, "energy_per_value_added", "month", last)
    assert (revised["value"], revised["revision"]) == (pytest.approx(month["value"] * 100 / 80), 1)
    kept = await world.connection.fetchrow(
        "SELECT * FROM indicator_revision WHERE indicator_id = $1 AND grain = 'month'", "energy_per_value_added"
    )
    assert (kept["value"], kept["superseded_by"]) == (month["value"], revised["run_id"])


async def test_a_year_that_is_not_fully_reported_ends_on_both_sides_where_the_reports_end(world) -> None:
    """With one of the past months reported, the year divides that month's energy, not the year's so far."""
    this = period("month", datetime.now(UTC), CQ).start
    starts = [each.start for each in periods("month", period("year", this, CQ).start, this, CQ)]
    if not starts:
        pytest.skip("in January there is no month of this year to report")
    await daily_readings(world, "a", starts, 1.0)
    await world.compute()
    firm_id = await world.connection.fetchval("SELECT firm_id FROM firm WHERE code = 'a'")
    firm = await business.reporting_firm(world.connection, firm_id)
    await business.enter(world.connection, firm, [reported(starts[0], 10.0)], now=datetime.now(UTC))
    await world.compute()
    year = await row(world, "energy_per_value_added", "year", period("year", starts[0], CQ).start)
    end = period("month", starts[0], CQ).end
    hours = (end - starts[0]).total_seconds() / 3600
    assert year["lineage"]["until"] == end.astimezone(CQ).date().isoformat()
    assert year["value"] == pytest.approx(hours * 10 * 0.1229 / 1000 / 10)


async def test_trap_22_late_data_after_a_months_close_is_a_revision(world) -> None:
    """A day that arrives when its month is over and published is revision 1; what was said is kept."""
    last, _ = months_before_now(1)
    day = last + timedelta(days=2)
    times = [last + timedelta(hours=k) for k in range(24 * 25)]
    on_time = [t for t in times if not day <= t < day + timedelta(days=1)]
    values = {t: 100.0 + k for k, t in enumerate(times)}
    await world.read("a", "E", on_time, [values[t] for t in on_time])
    await world.compute()
    published = await row(world, "comprehensive_energy_equivalent", "month", last)
    assert published["closed"]
    late = [t for t in times if t not in set(on_time)]
    await world.read("a", "E", late, [values[t] + (5.0 if t.hour > 3 else 0.0) for t in late])
    await world.compute()
    after = await row(world, "comprehensive_energy_equivalent", "day", day)
    assert after["revision"] == 1
    kept = await world.connection.fetch(
        "SELECT * FROM indicator_revision WHERE indicator_id = 'comprehensive_energy_equivalent' AND scope = 'firm'"
        " AND grain = 'day' AND period = $1",
        day,
    )
    assert [k["revision"] for k in kept] == [0]


async def test_what_a_firm_has_no_meter_for_is_said_once_a_year(world) -> None:
    """Without a sulphur dioxide monitor there is one row with the reason, and none a day."""
    await fill(world, "a", fresh=1, recycled=9)
    await world.compute()
    rows = await world.connection.fetch(
        "SELECT grain, reason FROM indicator_value WHERE indicator_id = 'so2_discharge' AND scope = 'firm'"
    )
    assert {(r["grain"], r["reason"]) for r in rows} == {("year", "no_points")}


async def test_firms_computed_together_are_what_each_alone_is(world) -> None:
    """One transaction for two firms writes what two transactions would; each firm has a run of its own."""
    await fill(world, "a", fresh=1, recycled=9)
    await fill(world, "b", fresh=3, recycled=7)
    await world.compute()
    numbers = "SELECT scope, scope_id, indicator_id, grain, period, numerator, denominator, value, reason, coverage"
    ordered = f"{numbers} FROM indicator_value WHERE scope IN ('firm', 'point') AND closed ORDER BY 1, 2, 3, 4, 5"
    together = [tuple(r) for r in await world.connection.fetch(ordered)]
    assert (
        await world.connection.fetchval("SELECT count(DISTINCT run_id) FROM indicator_value WHERE scope = 'firm'") > 1
    )
    marks = await world.connection.fetch(
        "SELECT DISTINCT firm_id, grain, period FROM indicator_value WHERE scope = 'firm'"
    )
    park_id = await world.connection.fetchval("SELECT park_id FROM park")
    await world.connection.execute("DELETE FROM indicator_value")
    now = datetime.now(UTC)
    for mark in marks:
        await world.connection.execute(
            "INSERT INTO dirty_firm (firm_id, grain, period, cause) VALUES ($1, $2, $3, 'rebuild')", *mark
        )
    for firm_id in sorted({mark["firm_id"] for mark in marks}):
        assert await pass_values_of(world.connection, [WaitingFirm(firm_id, park_id, "Asia/Shanghai")], now=now) == 1
    alone = [tuple(r) for r in await world.connection.fetch(ordered)]
    assert len(alone) > 1000
    assert alone == together


async def test_a_factor_that_was_never_compared_says_so_in_every_value(world) -> None:
    """The flag of the factor reaches the value and the park's sum; one from a definition alone is verified."""
    await fill(world, "a", fresh=1, recycled=9)
    await world.compute()
    for scope in ("firm", "park"):
        carbon = await value(world, scope, "co2_scope_2_location")
        assert carbon["lineage"]["verified"] is False, scope
        assert carbon["lineage"]["factors"][0]["id"].startswith("electricity-co2-chongqing")
        energy = await value(world, scope, "comprehensive_energy_equivalent")
        assert energy["lineage"]["verified"] is True, scope


async def test_only_valid_hours_are_held_against_the_permit(database_url: str, world_in, firm_of) -> None:
    """One hour of four above the limit, one marked: of three valid hours two comply; a late hour moves the day."""
    limits = [LimitDefinition(hourly=100.0, source="permit 1", valid_from=date(2025, 1, 1))]
    monitor = PointDefinition(
        code="A",
        name_zh="A",
        name_en="A",
        kind=Kind.GAUGE,
        carrier="nox",
        unit="mg/m3",
        edge="gw1",
        direction=Direction.OUT,
        interval_s=3600,
        limits=limits,
    )
    own = firm_of("a")
    definition = ParkDefinition(
        code="p", name_zh="园", name_en="Park", firms=[msgspec.structs.replace(own, points=[*own.points, monitor])]
    )
    async with world_in(database_url, definition) as world:
        assert (await apply_definition(world.connection, definition)).recomputed_points == 0, "the same limits again"
        day = period("day", datetime.now(UTC) - timedelta(days=2), CQ).start
        ends = [day + timedelta(hours=k) for k in (1, 2, 3, 4)]
        await world.read("a", "A", ends, [80.0, 120.0, 500.0, 90.0])
        await world.connection.execute("UPDATE reading SET quality = 2 WHERE value = 500")
        await world.compute()
        found = await row(world, "emission_compliance_rate", "day", day)
        assert (found["numerator"], found["denominator"]) == (2.0, 3.0)
        assert found["lineage"]["points"] == [world.points["a", "A"]]
        midnight = period("day", day, CQ).end
        await world.read("a", "A", [midnight], [99.0])
        await world.compute()
        after = await row(world, "emission_compliance_rate", "day", day)
        assert (after["numerator"], after["denominator"], after["revision"]) == (3.0, 4.0, 1)
        month = await row(world, "emission_compliance_rate", "month", period("month", day, CQ).start)
        assert (month["numerator"], month["denominator"]) == (3.0, 4.0)


def test_a_limit_is_for_concentrations_and_limits_do_not_overlap() -> None:
    """A meter of mass has no concentration to hold against a permit; two limits on one day are refused."""
    two = "limits: [{hourly: 50, source: a, valid_to: 2025-01-01}, {hourly: 30, source: b, valid_from: 2024-06-01}]"
    for point, says in (
        ("kind: register, carrier: nox, unit: kg, limits: [{hourly: 50, source: permit}]", "only a gauge"),
        (f"kind: gauge, carrier: nox, unit: mg/m3, {two}", "overlap"),
        ("kind: gauge, carrier: nox, unit: mg/m3, limits: [{hourly: -1, source: permit}]", "positive"),
    ):
        text = (
            "code: p\nname_zh: 园\nname_en: P\nfirms:\n- code: a\n  name_zh: a\n  name_en: a\n  industry: x\n"
            f"  edges: [g]\n  points:\n  - {{code: A, name_zh: a, name_en: a, edge: g, {point}}}\n"
        )
        with pytest.raises(DataFileError, match=says):
            load_definition(text, "p.yaml")


async def test_a_total_that_needs_no_report_follows_the_readings(world) -> None:
    """CO2 of scopes 1 and 2 of the running year is that of its electricity after every pass, not of the first one."""
    start = period("day", datetime.now(UTC) - timedelta(days=1), CQ).start
    year = period("year", start, CQ).start
    await world.read("a", "E", [start + timedelta(hours=k) for k in range(4)], [0.0, 1.0, 2.0, 3.0])
    await world.compute()
    for n in (4, 5):
        await world.read("a", "E", [start + timedelta(hours=n)], [float(n)])
        await world.compute()
        total = await row(world, "co2_total_location", "year", year)
        power = await row(world, "electricity_use", "year", year)
        assert power["numerator"] == pytest.approx(10.0 * n)
        assert total["numerator"] == pytest.approx(10.0 * n * total["lineage"]["factors"][0]["value"])
        assert total["lineage"]["unreported"] == ["process_material"]


async def test_who_reports_raw_material_has_no_total_of_a_month_without_it(world) -> None:
    """Nothing reported for the newest month is missing, not none: it does not turn into a smaller total."""
    starts = [
        each.start for each in periods("month", period("year", datetime.now(UTC), CQ).start, datetime.now(UTC), CQ)
    ]
    if len(starts) < 2:
        pytest.skip("in January there is no month of this year to report")
    await daily_readings(world, "a", starts[-2:], 1.0)
    firm_id = await world.connection.fetchval("SELECT firm_id FROM firm WHERE code = 'a'")
    firm = await business.reporting_firm(world.connection, firm_id)
    name = InputName(InputKind.PROCESS_MATERIAL, parse_report_period(f"{starts[-2].astimezone(CQ):%Y-%m}"), "limestone")
    await business.enter(world.connection, firm, [BusinessInput(name, 10, "t", author="t")], now=datetime.now(UTC))
    await world.compute()
    before = await row(world, "co2_total_location", "month", starts[-2])
    assert before["value"] > 4_397
    newest = await row(world, "co2_total_location", "month", starts[-1])
    assert newest is None or newest["value"] is None
