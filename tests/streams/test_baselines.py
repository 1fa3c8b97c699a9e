"""Baselines follow the ledger: fitted to its days, in force by date, revised with late data, and never overwritten."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from park.definition import FirmDefinition, ParkDefinition, PointDefinition
from park.performance import savings
from park.points import Kind
from store import baselines as store
from store.registry import apply_definition
from streams.baselines import ENERGY, between, days, evaluate, spaced
from tests.streams.conftest import point

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.stack

TZ = ZoneInfo("Asia/Shanghai")
FIRST = date(2025, 1, 1)
BASE_END = date(2026, 1, 1)
NOW = datetime(2026, 4, 10, 4, tzinfo=UTC)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=TZ)


class Plant:
    """Firm `a` with 15 months of days: 500 kgce of base load, 4 a piece, 30 a degree day below 18."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.connection = world.connection
        self.firm_id = 0
        random = np.random.default_rng(5)
        n = (NOW.astimezone(TZ).date() - FIRST).days
        self.days = [FIRST + timedelta(days=k) for k in range(n)]
        self.pieces = random.uniform(80, 240, n)
        self.mean_c = 17 - 11 * np.cos(2 * np.pi * np.arange(n) / 365) + random.normal(0, 2, n)
        self.energy = 500 + 4 * self.pieces + 30 * np.maximum(0, 18 - self.mean_c) + random.normal(0, 20, n)

    async def lay(self, *, weather: str = "a") -> None:
        gauge = PointDefinition(
            code="T",
            name_zh="T",
            name_en="T",
            kind=Kind.GAUGE,
            carrier="outdoor_temperature",
            unit="degC",
            edge="gw1",
        )
        firm = FirmDefinition(
            code=weather,
            name_zh="a",
            name_en="a",
            industry="test",
            edges=["gw1"],
            points=[gauge, *self._points(weather)],
        )
        await apply_definition(self.connection, ParkDefinition(code="p", name_zh="园", name_en="Park", firms=[firm]))
        self.firm_id = await self.connection.fetchval("SELECT firm_id FROM firm WHERE code = 'a'")
        ids = {
            row["code"]: row["point_id"]
            for row in await self.connection.fetch(
                "SELECT p.code, point_id FROM point AS p JOIN firm AS f USING (firm_id)"
                " WHERE (f.code = 'a' AND p.code = 'P') OR (f.code = $1 AND p.code = 'T')",
                weather,
            )
        }
        await self.period(ids["P"], self.pieces)
        await self.period(ids["T"], 24 * self.mean_c)
        await self.values(self.energy)
        await self.connection.execute("TRUNCATE dirty, dirty_firm, dirty_park")

    @staticmethod
    def _points(code: str) -> list[PointDefinition]:
        return [] if code != "a" else [point("P", "product", "piece", product="cell")]

    async def period(self, point_id: int, amounts: Sequence[float] | np.ndarray) -> None:
        await self.connection.executemany(
            "INSERT INTO consumption_period (point_id, grain, period, measured, measured_s, estimated_s, run_id)"
            " VALUES ($1, 'day', $2, $3, 86400, 0, 0)",
            [(point_id, midnight(day), float(a)) for day, a in zip(self.days, amounts, strict=True)],
        )

    async def values(self, energy: Sequence[float] | np.ndarray) -> None:
        await self.connection.executemany(
            "INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator,"
            " value, unit, coverage, closed, lineage, run_id)"
            " SELECT park_id, firm_id, 'firm', firm_id, $2, 'day', $3, $4, $4, 'kgce', 1, true, '{}', 0 FROM firm"
            " WHERE firm_id = $1",
            [(self.firm_id, ENERGY, midnight(day), float(e)) for day, e in zip(self.days, energy, strict=True)],
        )

    async def change(self, day: date, **columns: Any) -> None:
        """Let a day's energy be another, as late data do."""
        names = ", ".join(f"{name} = ${k}" for k, name in enumerate(columns, 3))
        await self.connection.execute(
            f"UPDATE indicator_value SET {names} WHERE period = $1 AND scope_id = $2 AND scope = 'firm'",
            midnight(day),
            self.firm_id,
            *columns.values(),
        )

    async def ask(self, **changes: Any) -> int:
        wanted: dict[str, Any] = {
            "firm_id": self.firm_id,
            "indicator_id": ENERGY,
            "grain": "day",
            "variables": ("production:cell", "hdd18"),
            "base_from": FIRST,
            "base_to": BASE_END,
            "valid_from": BASE_END,
            "reason": "first",
            "author": "Li",
        }
        return await store.add(self.connection, store.NewBaseline(**wanted | changes))

    async def compute(self, run_id: int = 1) -> Any:
        async with self.connection.transaction():
            return await evaluate(self.connection, self.firm_id, TZ, now=NOW, run_id=run_id)

    async def rows(self, grain: str = "day") -> list[store.ResidualRow]:
        return await store.residuals(self.connection, self.firm_id, ENERGY, grain)


@pytest.fixture
async def plant(world: Any) -> Plant:
    """A plant with everything laid down and no baseline yet."""
    made = Plant(world)
    await made.lay()
    return made


async def test_every_finished_day_since_the_base_period_is_held_against_the_baseline(plant: Plant) -> None:
    """The fit finds what the plant is made of; residuals, sum and alarm of each day stand in the store."""
    baseline_id = await plant.ask()
    done = await plant.compute()
    fitted = (await store.fits(plant.connection, plant.firm_id))[baseline_id].fit
    assert fitted.usable
    assert [c.unit for c in fitted.coefficients] == ["kgce/d", "kgce/piece", "kgce/degC·d"]
    for term, truth in zip(fitted.coefficients, (500, 4, 30), strict=True):
        assert term.value == pytest.approx(truth, abs=3 * term.standard_error)
    rows = await plant.rows()
    assert done.residuals == len(rows) == (NOW.astimezone(TZ).date() - BASE_END).days
    assert [row.period for row in rows] == [midnight(day) for day in plant.days[365:]]
    actual = np.array([row.actual for row in rows])
    assert actual == pytest.approx(plant.energy[365:])
    expected = 0 * actual
    for term, column in zip(
        fitted.coefficients, (1, plant.pieces[365:], np.maximum(0, 18 - plant.mean_c[365:])), strict=True
    ):
        expected = expected + term.value * column
    assert [row.expected for row in rows] == pytest.approx(expected.tolist(), rel=1e-9)
    assert rows[-1].cusum == pytest.approx(float((actual - expected).sum()), rel=1e-6)
    assert {row.alarm for row in rows} == {None}
    assert (await plant.compute()).residuals == 0, "nothing new, nothing written"


async def test_a_leak_raises_an_alarm_and_counts_as_negative_savings(plant: Plant) -> None:
    """From the 40th day on 5 sigmas more."""
    for day in plant.days[405:]:
        await plant.change(day, value=float(plant.energy[plant.days.index(day)]) + 100)
    baseline_id = await plant.ask()
    await plant.compute()
    rows = await plant.rows()
    alarms = [k for k, row in enumerate(rows) if row.alarm == "over"]
    assert 40 <= alarms[0] <= 44
    assert alarms == list(range(alarms[0], len(rows)))
    model = (await store.fits(plant.connection, plant.firm_id))[baseline_id].fit
    [row] = await store.of_firm(plant.connection, plant.firm_id)
    daily = await days(plant.connection, plant.firm_id, ENERGY, midnight(FIRST), TZ, now=NOW)
    found = savings(model, between(spaced(daily, "day", row, TZ), row.valid_from, None, TZ))
    assert found.savings == pytest.approx(-100 * (len(rows) - 40), abs=2 * found.uncertainty)
    assert found.significant


async def test_late_data_revise_the_day_and_every_sum_after_it_and_keep_what_was_said(plant: Plant) -> None:
    """The result equals a computation from scratch; the earlier residuals stay with their run."""
    await plant.ask()
    await plant.compute(run_id=1)
    before = await plant.rows()
    await plant.change(plant.days[400], value=float(plant.energy[400]) + 300)
    assert (await plant.compute(run_id=2)).residuals == len(before) - 35
    after = await plant.rows()
    assert [row.revision for row in after[:35]] == [0] * 35
    assert {row.revision for row in after[35:]} == {1}
    assert after[35].residual == pytest.approx((before[35].residual or 0) + 300)
    assert after[-1].cusum == pytest.approx(before[-1].cusum + 300)
    kept = await plant.connection.fetch(
        "SELECT actual, cusum, run_id, superseded_by FROM baseline_residual_revision ORDER BY period"
    )
    assert [row["actual"] for row in kept] == pytest.approx([row.actual for row in before[35:]])
    assert {(row["run_id"], row["superseded_by"]) for row in kept} == {(1, 2)}
    await plant.connection.execute("DELETE FROM baseline_residual; DELETE FROM baseline_fit")
    await plant.compute(run_id=3)
    assert [(r.cusum, r.alarm) for r in await plant.rows()] == [(pytest.approx(r.cusum), r.alarm) for r in after]


async def test_revised_data_of_the_base_period_give_another_version_of_the_fit(plant: Plant) -> None:
    """A base period that was wrong is fitted again, and the first fit stays on record."""
    baseline_id = await plant.ask()
    await plant.compute()
    for day in plant.days[:30]:
        await plant.change(day, value=float(plant.energy[plant.days.index(day)]) * 1.01)
    assert (await plant.compute()).fits == 1
    versions = await store.fits_of(plant.connection, baseline_id)
    assert [v["version"] for v in versions] == [0, 1]
    assert {row.fit_version for row in await plant.rows()} == {1}
    assert (await plant.compute()).fits == 0


async def test_a_static_change_begins_a_new_baseline_and_the_old_one_keeps_its_days(plant: Plant) -> None:
    """From March on the plant is another: its days belong to the new baseline, whose sum begins at nought."""
    first = await plant.ask()
    await plant.compute()
    before = {row.period: row for row in await plant.rows()}
    change = date(2026, 3, 1)
    second = await plant.ask(valid_from=change, base_from=date(2025, 3, 1), base_to=change, reason="new line")
    await plant.compute(run_id=9)
    rows = await plant.rows()
    old, new = await store.of_firm(plant.connection, plant.firm_id)
    assert (old.valid_to, old.superseded_by, new.valid_to) == (change, second, None)
    assert {row.baseline_id for row in rows if row.period < midnight(change)} == {first}
    assert {row.baseline_id for row in rows if row.period >= midnight(change)} == {second}
    start = next(row for row in rows if row.period == midnight(change))
    assert start.cusum == pytest.approx(start.residual)
    assert [before[row.period].cusum for row in rows if row.baseline_id == first] == [
        row.cusum for row in rows if row.baseline_id == first
    ]
    kept = await plant.connection.fetchval(
        "SELECT count(*) FROM baseline_residual_revision WHERE baseline_id = $1", first
    )
    assert kept == sum(row.baseline_id == second for row in rows)


async def test_an_ended_baseline_says_nothing_after_its_end(plant: Plant) -> None:
    """Where no other follows there is no residual, and what was said stays as a revision."""
    baseline_id = await plant.ask()
    await plant.compute()
    assert await store.end(plant.connection, baseline_id, date(2026, 2, 1), "new roof", "Li")
    assert not await store.end(plant.connection, baseline_id, date(2026, 2, 1), "again", "Li")
    await plant.compute()
    assert max(row.period for row in await plant.rows()) == midnight(date(2026, 1, 31))
    assert await plant.connection.fetchval("SELECT count(*) FROM baseline_residual_revision") > 60


async def test_days_without_data_or_production_and_declared_days_are_left_out_with_their_reason(plant: Plant) -> None:
    """Unknown energy, too little of it, a stopped line and an audit: each says why it moves no sum."""
    undefined, thin, stopped, audit = plant.days[370], plant.days[371], plant.days[372], plant.days[373]
    await plant.change(undefined, value=None, reason="no_data")
    await plant.change(thin, coverage=0.6)
    await plant.connection.execute(
        "UPDATE consumption_period SET measured = 0 WHERE period = $1 AND measured BETWEEN 80 AND 240"
        " AND point_id = (SELECT p.point_id FROM point AS p WHERE p.firm_id = $2 AND p.code = 'P')",
        midnight(stopped),
        plant.firm_id,
    )
    await plant.ask(left_out=((audit, audit + timedelta(days=1)),))
    await plant.compute()
    rows = {row.period: row for row in await plant.rows()}
    reasons = [rows[midnight(day)].left_out for day in (undefined, thin, stopped, audit)]
    assert reasons == ["no_data", "no_data", "shut_down", "declared"]
    assert {rows[midnight(day)].cusum for day in (undefined, thin, stopped, audit)} == {
        rows[midnight(plant.days[369])].cusum
    }
    assert rows[midnight(stopped)].residual is None


async def test_a_baseline_that_fails_a_gate_is_kept_with_the_reason_and_not_used(plant: Plant) -> None:
    """Half a year is no base period; a variable that nothing measures explains nothing."""
    short = await plant.ask(base_to=date(2025, 7, 1))
    await plant.compute()
    blind = await plant.ask(variables=("production:glass",), grain="week")
    await plant.compute()
    fits = await store.fits(plant.connection, plant.firm_id)
    assert "base_days" in fits[short].fit.failed
    assert "complete" in fits[blind].fit.failed
    assert await plant.rows() == []
    assert await plant.rows("week") == []


async def test_without_named_variables_the_significant_ones_are_chosen(plant: Plant) -> None:
    """Heating matters here and cooling does not."""
    baseline_id = await plant.ask(variables=())
    await plant.compute()
    model = (await store.fits(plant.connection, plant.firm_id))[baseline_id].fit
    assert set(model.variables) == {"production:cell", "hdd18"}
    assert "cdd26" in model.dropped


@pytest.mark.parametrize(("grain", "periods"), [("month", 3), ("week", 13)])
async def test_weeks_and_months_are_whole_and_over(plant: Plant, grain: str, periods: int) -> None:
    """January to March, and the thirteen weeks from Monday 5 January on: the running ones are not judged."""
    await plant.ask(grain=grain)
    await plant.compute()
    rows = await plant.rows(grain)
    assert len(rows) == periods
    first = rows[0].period.astimezone(TZ)
    assert (first.day, first.weekday()) == ((1, 3) if grain == "month" else (5, 0))
    n = (rows[1].period - rows[0].period).days
    k = plant.days.index(first.date())
    assert rows[0].actual == pytest.approx(plant.energy[k : k + n].sum())


async def test_a_firm_without_a_thermometer_reads_that_of_its_park(world: Any) -> None:
    """The weather station of firm b serves firm a, and its late days wake a's baselines."""
    plant = Plant(world)
    await plant.lay(weather="b")
    await plant.connection.execute(
        "INSERT INTO consumption_period (point_id, grain, period, measured, measured_s, estimated_s, run_id)"
        " SELECT p.point_id, 'day', now(), 1, 1, 0, 0 FROM point AS p JOIN firm AS f USING (firm_id)"
        " WHERE f.code = 'a' AND p.code = 'E'"
    )
    baseline_id = await plant.ask()
    await plant.compute()
    model = (await store.fits(plant.connection, plant.firm_id))[baseline_id].fit
    assert model.usable
    assert model.variables == ("production:cell", "hdd18")
    other = await plant.connection.fetchval("SELECT firm_id FROM firm WHERE code = 'b'")
    await store.mark(plant.connection, other, [midnight(plant.days[370])])
    assert [firm.firm_id for firm in await store.waiting(plant.connection)] == [plant.firm_id]
    school = await plant.connection.fetchval("SELECT firm_id FROM firm WHERE code = 'school'")
    await store.take(plant.connection, plant.firm_id)
    await store.mark(plant.connection, school, [midnight(plant.days[370])])
    assert await store.waiting(plant.connection) == []


async def test_readings_of_a_finished_day_wake_the_baseline_of_their_firm(plant: Plant) -> None:
    """From readings through ledger and indicators to the residual, by the processor alone."""
    await plant.ask()
    world = plant.world
    day = plant.days[380]
    times = [midnight(day) + timedelta(minutes=15 * k) for k in range(97)]
    await world.read("a", "E", times, [float(k) for k in range(97)])
    await world.compute()
    rows = {row.period: row for row in await plant.rows()}
    assert rows[midnight(day)].actual == pytest.approx(96 * 10 * 0.1229)
    assert len(rows) > 90
    assert await plant.connection.fetchval("SELECT count(*) FROM dirty_baseline") == 0
    causes = {row["cause"] for row in await plant.connection.fetch("SELECT cause FROM run")}
    assert "daily values" in causes


async def test_a_days_mean_temperature_is_the_integral_of_its_gauge(world: Any) -> None:
    """Readings from 10 to 34 °C in a line: the mean is 22 °C, so there is neither sort of degree day."""
    plant = Plant(world)
    await plant.lay()
    await plant.connection.execute("TRUNCATE consumption_period")
    world.points["a", "T"] = await plant.connection.fetchval(
        "SELECT point_id FROM point WHERE firm_id = $1 AND code = 'T'", plant.firm_id
    )
    day = plant.days[10]
    times = [midnight(day) + timedelta(minutes=15 * k) for k in range(97)]
    await world.read("a", "T", times, [10 + k / 4 for k in range(97)])
    await world.compute()
    [found] = await store.temperature(plant.connection, plant.firm_id, (midnight(day), midnight(plant.days[11])))
    assert found.mean_c == pytest.approx(22.0)
    daily = await days(plant.connection, plant.firm_id, ENERGY, midnight(day), TZ, now=NOW)
    assert (daily.values["hdd18"][0], daily.values["cdd26"][0]) == (0.0, 0.0)
    assert np.isnan(daily.values["hdd18"][1]), "a day without readings has no temperature"


async def test_a_firm_sees_its_own_baselines_only(plant: Plant) -> None:
    """The database keeps tenants apart in every table of baselines."""
    from store.tenants import add_tenant  # noqa: PLC0415

    await plant.ask()
    await plant.compute(run_id=1)
    await plant.change(plant.days[400], value=1.0)
    await plant.compute(run_id=2)
    tables = ("baseline", "baseline_fit", "baseline_residual", "baseline_residual_revision")
    own, other, whole = [await add_tenant(plant.connection, "p", code) for code in ("a", "b", None)]
    seen: dict[str, list[int]] = {}
    for role in (own, other, whole):
        async with plant.connection.transaction():
            await plant.connection.execute(f"SET LOCAL ROLE {role}")
            seen[role] = [await plant.connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables]
    assert min(seen[own]) > 0
    assert seen[whole] == seen[own]
    assert seen[other] == [0, 0, 0, 0]
