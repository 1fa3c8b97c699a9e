"""Standings in the database: judged from years, months and weeks, with who moved the park, and every revision kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from park import pace
from park.calendar import period
from park.definition import FirmDefinition, ParkDefinition
from park.following import TargetSetting
from park.indicators import load_catalogue
from park.targets import Kind, TargetPack, load_pack
from store.errors import ConflictingPackError
from store.pool import connected
from store.registry import apply_definition, firms
from store.standings import keep
from store.tenants import add_tenant
from streams.errors import DefinitionError
from streams.standings import judge_park

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.stack

TZ = ZoneInfo("Asia/Shanghai")
NOW = datetime(2025, 8, 20, 4, tzinfo=UTC)
REUSE = ("tongliang-district-2025", "industrial-water-reuse")
ENERGY = ("qijiang-district-2025", "energy-per-value-added")
BULK = ("qijiang-district-2025", "bulk-solid-waste-utilisation")
PACKS = [REUSE[0], ENERGY[0]]


def document(code: str = "p", **more: Any) -> ParkDefinition:
    names = ("a", "b", "c")
    made = [FirmDefinition(code=n, name_zh=n, name_en=n, industry="t") for n in names]
    return ParkDefinition(code=code, name_zh="园", name_en="Park", firms=made, **({"target_packs": PACKS} | more))


@dataclass
class Stage:
    """A park whose indicator values the tests write themselves."""

    connection: Any
    park_id: int
    firm: dict[str, int]
    run_id: int = 0

    async def run(self) -> int:
        self.run_id = await self.connection.fetchval(
            "INSERT INTO run (park_id, cause, code_version, started) VALUES ($1, 'test', '0', now()) RETURNING run_id",
            self.park_id,
        )
        return self.run_id

    async def put(
        self,
        who: str,
        indicator_id: str,
        grain: str,
        start: datetime,
        numerator: float | None,
        denominator: float | None,
        *,
        reason: str | None = None,
        closed: bool = True,
        **lineage: object,
    ) -> None:
        indicator = load_catalogue().by_id(indicator_id)
        plain = {"factors": [], "points": [], "ignored_points": [], "left_out": [], "product": None, "detail": ""}
        firm_id = self.firm.get(who)
        scope, scope_id = ("firm", firm_id) if firm_id is not None else ("park", self.park_id)
        if who == "panel":
            sql = "SELECT group_id FROM firm_group WHERE park_id = $1 AND kind = 'panel' AND code = 'above_scale'"
            scope, scope_id = "panel", await self.connection.fetchval(sql, self.park_id)
        value = None
        if reason is None and numerator is not None:
            value = indicator.scale * numerator / denominator if indicator.denominator and denominator else numerator
        await self.connection.execute(
            """INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator,
                   denominator, value, unit, coverage, reason, closed, lineage, run_id)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12, $13, $14, $15)
               ON CONFLICT (scope, scope_id, indicator_id, grain, period) DO UPDATE SET numerator = $8,
                   denominator = $9, value = $10, run_id = $15, revision = indicator_value.revision + 1""",
            self.park_id,
            firm_id,
            scope,
            scope_id,
            indicator_id,
            grain,
            start,
            numerator,
            denominator,
            value,
            indicator.unit,
            reason,
            closed,
            plain | {"estimated_share": 0.0} | lineage,
            self.run_id,
        )

    async def days(self, who: str, indicator_id: str, weeks: list[tuple[float, float]], now: datetime = NOW) -> None:
        """Write days; `weeks` are numerator and denominator of a day, oldest week first."""
        today = period("day", now, TZ).start
        for w, (numerator, denominator) in enumerate(reversed(weeks)):
            for d in range(1, 8):
                start = today - timedelta(days=7 * w + d)
                await self.put(who, indicator_id, "day", start, numerator, denominator)

    async def judge(self, now: datetime = NOW) -> dict[tuple[str, str], Any]:
        """Judge in a run of its own; return the park's current standings."""
        await self.run()
        members = await firms(self.connection, self.park_id)
        await judge_park(self.connection, self.park_id, members, TZ, now=now, run_id=self.run_id)
        rows = await self.connection.fetch("SELECT * FROM standing WHERE current AND scope = 'park'")
        return {(row["pack_id"], row["target_id"]): row for row in rows}

    async def ever(self, target: tuple[str, str]) -> list[Any]:
        """Every standing of the park against a target, oldest first."""
        sql = "SELECT * FROM standing WHERE scope = 'park' AND pack_id = $1 AND target_id = $2 ORDER BY standing_id"
        return list(await self.connection.fetch(sql, *target))


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with connected(database_url) as connection:
        applied = await apply_definition(connection, document())
        members = await firms(connection, applied.park_id)
        found = Stage(connection, applied.park_id, {firm.code: firm.firm_id for firm in members})
        await found.run()
        yield found


def year(number: int) -> datetime:
    return datetime(number, 1, 1, tzinfo=TZ)


async def reuse_weeks(stage: Stage) -> None:
    """Twenty weeks of reuse that vary; firm a gets better in the last four, c enters with them."""
    a = [(90.0 + k % 3, 100.0) for k in range(16)] + [(96.0, 100.0)] * 4
    b = [(80.0 + k % 2, 100.0) for k in range(20)]
    c = [(50.0, 100.0)] * 4
    await stage.days("a", "water_reuse_rate", a)
    await stage.days("b", "water_reuse_rate", b)
    await stage.days("c", "water_reuse_rate", c)
    together = [tuple(x + y for x, y in zip(one, other, strict=True)) for one, other in zip(a, b, strict=True)]
    for k in range(1, 5):
        together[-k] = (together[-k][0] + 50.0, together[-k][1] + 100.0)
    await stage.days("park", "water_reuse_rate", together)  # type: ignore[arg-type]
    n, d = 7 * sum(w[0] for w in together), 7 * sum(w[1] for w in together)
    await stage.put("park", "water_reuse_rate", "year", year(2025), n, d, closed=False)


async def test_a_level_has_its_projection_with_an_interval_and_what_is_left(stage: Stage) -> None:
    """Value, projection between low and high, what the rest must average, the week it is lost: all in the row."""
    await reuse_weeks(stage)
    row = (await stage.judge())[REUSE]
    assert (row["method"], row["confidence"], row["unit"]) == ("trailing", 0.8, "%")
    assert row["projection_low"] < row["projection"] < row["projection_high"]
    assert (row["year_end"], row["plan_end"]) == (row["projection"], row["projection"])
    assert row["projected_for"] == year(2026)
    assert row["needed_rest"] > 90 > row["value"]
    assert row["miss_week"] is not None
    assert row["miss_week"].weekday() == 0
    assert (row["indicator_id"], row["comparator"], row["theme"], row["binding"]) == (
        "water_reuse_rate", "ge", "green", False,
    )  # fmt: skip
    assert row["lineage"]["values"][0]["run"] is not None


async def test_firms_effects_add_up_to_the_parks_change(stage: Stage) -> None:
    """Four weeks against the four before: a improved, b hardly moved, c entered with a poor share."""
    await reuse_weeks(stage)
    row = (await stage.judge())[REUSE]
    moved = await stage.connection.fetch(
        "SELECT * FROM standing_contribution WHERE standing_id = $1", row["standing_id"]
    )
    by_firm = {one["firm_id"]: one for one in moved}
    assert set(by_firm) == set(stage.firm.values())
    assert sum(one["effect"] for one in moved) == pytest.approx(row["lineage"]["moved_by"])
    before, after = (4 * 80.5 + 91 * 3 + 90) / 800, (4 * 80.5 + 4 * 96 + 4 * 50) / 1200
    assert row["lineage"]["moved_by"] == pytest.approx(100 * (after - before), abs=0.3)
    assert by_firm[stage.firm["a"]]["intensity"] > 0
    entered = by_firm[stage.firm["c"]]
    assert (entered["came"], entered["value_from"], entered["value_to"]) == ("entered", None, pytest.approx(50.0))
    assert entered["to_end"] - entered["from_start"] == timedelta(weeks=8)
    for one in moved:
        assert one["structure"] + one["intensity"] == pytest.approx(one["effect"])


async def test_a_firm_with_a_gap_is_in_neither_period_and_named(stage: Stage) -> None:
    """A gap is not zero: a firm that misses one day is left out of the comparison and said to be unknown."""
    await reuse_weeks(stage)
    await stage.connection.execute(
        "DELETE FROM indicator_value WHERE grain = 'day' AND firm_id = $1 AND period = $2",
        stage.firm["b"],
        period("day", NOW, TZ).start - timedelta(days=3),
    )
    row = (await stage.judge())[REUSE]
    assert row["lineage"]["moved_unknown"] == [stage.firm["b"]]
    told = await stage.connection.fetch("SELECT firm_id FROM standing_contribution")
    assert {one["firm_id"] for one in told} == {stage.firm["a"], stage.firm["c"]}


async def test_the_same_is_written_in_place_and_a_new_state_is_a_new_revision(stage: Stage) -> None:
    """Minutes later the row is the same with a newer time; another state, and another day, are rows of their own."""
    await reuse_weeks(stage)
    first = (await stage.judge())[REUSE]
    again = (await stage.judge(NOW + timedelta(minutes=6)))[REUSE]
    assert (again["standing_id"], again["revision"]) == (first["standing_id"], 0)
    assert again["as_of"] > first["as_of"]
    await stage.put("park", "water_reuse_rate", "year", year(2025), 2e6, 2.05e6, closed=False)
    better = (await stage.judge(NOW + timedelta(minutes=7)))[REUSE]
    assert (better["state"], better["revision"]) == ("ahead", 1)
    await stage.judge(NOW + timedelta(days=1))
    rows = await stage.ever(REUSE)
    assert [row["revision"] for row in rows] == [0, 1, 2]
    assert [row["current"] for row in rows] == [False, False, True]
    assert rows[0]["superseded"] is not None
    assert rows[0]["superseded_by"] == rows[1]["run_id"]
    told = {row["standing_id"] for row in await stage.connection.fetch("SELECT standing_id FROM standing_contribution")}
    # The next day's newest week lacks a day and is not compared.
    assert [row["standing_id"] in told for row in rows] == [True, True, False]


async def test_contributions_are_not_written_again_while_they_say_the_same(stage: Stage) -> None:
    """A pass that changes nothing of the weeks leaves the rows alone; late data of a day replace them."""
    await reuse_weeks(stage)
    await stage.judge()
    before = await stage.connection.fetch("SELECT xmin, * FROM standing_contribution ORDER BY firm_id")
    await stage.judge(NOW + timedelta(minutes=6))
    assert await stage.connection.fetch("SELECT xmin, * FROM standing_contribution ORDER BY firm_id") == before
    day = period("day", NOW, TZ).start - timedelta(days=2)
    await stage.put("a", "water_reuse_rate", "day", day, 10.0, 100.0)
    await stage.judge(NOW + timedelta(minutes=12))
    after = await stage.connection.fetch("SELECT * FROM standing_contribution ORDER BY firm_id")
    assert len(after) == len(before)
    assert after[0]["effect"] < before[0]["effect"]


async def months(stage: Stage, value: float, *, count: int = 12, price_year: int = 2020) -> None:
    start = period("month", NOW, TZ).start
    for _ in range(count):
        start = period("month", start - timedelta(days=1), TZ).start
        await stage.put("park", "energy_per_value_added", "month", start, value * 50, 50.0, price_year=price_year)


async def set_base(stage: Stage, base: float | None) -> None:
    said = [] if base is None else [TargetSetting(pack=ENERGY[0], target=ENERGY[1], base_value=base, source="yearbook")]
    await apply_definition(stage.connection, document(target_settings=said))


async def test_a_decline_is_judged_by_twelve_months_from_the_parks_own_baseline(stage: Stage) -> None:
    """A baseline from the park's document, July to July, against the geometric path; without it undefined again."""
    await months(stage, 0.45)
    first = (await stage.judge())[ENERGY]
    assert (first["state"], first["reason"]) == ("undefined", "no_baseline")
    await set_base(stage, 0.5)
    row = (await stage.judge())[ENERGY]
    elapsed = (datetime(2025, 8, 1, tzinfo=TZ) - year(2021)).days / 365.2425
    assert row["value"] == pytest.approx(0.45)
    assert row["required"] == pytest.approx(pace.path_value(0.5, 0.16, elapsed, 5))
    assert row["plan_end"] == pytest.approx(pace.path_value(0.5, 0.1, 5, elapsed))
    assert row["needed_rate"] == pytest.approx(100 * pace.remaining_yearly_rate(0.1, 0.16, 5 - elapsed))
    assert (row["state"], row["base_value"], row["base_year"]) == ("off", 0.5, 2020)
    assert row["override_id"] is not None
    assert (row["lineage"]["window"], row["lineage"]["override"]["source"]) == ("twelve_months", "yearbook")
    assert len(row["lineage"]["values"]) == 12
    await set_base(stage, None)
    last = (await stage.judge())[ENERGY]
    assert (last["reason"], last["revision"]) == ("no_baseline", 2)
    said = await stage.connection.fetch("SELECT withdrawn FROM target_override ORDER BY override_id")
    assert [one["withdrawn"] for one in said] == [False, True]


async def test_a_measured_base_year_stands_in_where_nobody_gave_a_baseline(stage: Stage) -> None:
    """The finished year 2020 that the platform measured is the baseline, and the lineage says so."""
    await stage.put("park", "energy_per_value_added", "year", year(2020), 50.0, 100.0, price_year=2020)
    await months(stage, 0.40)
    row = (await stage.judge())[ENERGY]
    assert (row["state"], row["base_value"]) == ("ahead", pytest.approx(0.5))
    assert row["lineage"]["baseline"]["from"] == "measured"


async def test_trap_5_a_baseline_in_other_prices_is_refused(stage: Stage) -> None:
    """2020 in the prices of 2020 and this year in those of 2025 make no decline."""
    await stage.put("park", "energy_per_value_added", "year", year(2020), 50.0, 100.0, price_year=2020)
    await months(stage, 0.40, price_year=2025)
    row = (await stage.judge())[ENERGY]
    assert (row["state"], row["reason"]) == ("undefined", "unlike_prices")
    assert "2020 and 2025" in row["lineage"]["refused"]


async def test_without_twelve_months_the_running_year_is_projected(stage: Stage) -> None:
    """Five months are not twelve: the year so far stands for the year."""
    await set_base(stage, 0.5)
    await months(stage, 0.40, count=5)
    await stage.put("park", "energy_per_value_added", "year", year(2025), 100.0, 250.0, closed=False, price_year=2020)
    row = (await stage.judge())[ENERGY]
    assert (row["lineage"]["window"], row["value"], row["elapsed"]) == ("running_year", pytest.approx(0.4), 1.0)


async def test_what_is_asked_of_firms_above_size_is_judged_by_their_panel(stage: Stage) -> None:
    """规上: the panel's value decides, not that of all firms; without a panel's value the park's stands in."""
    await set_base(stage, 0.5)
    await stage.put("park", "energy_per_value_added", "year", year(2025), 60.0, 100.0, closed=False)
    without = (await stage.judge())[ENERGY]
    assert (without["value"], without["lineage"].get("subject")) == (pytest.approx(0.6), None)
    await stage.put("panel", "energy_per_value_added", "year", year(2025), 40.0, 100.0, closed=False)
    row = (await stage.judge(NOW + timedelta(minutes=1)))[ENERGY]
    assert (row["value"], row["state"], row["scope"]) == (pytest.approx(0.4), "ahead", "park")
    assert row["lineage"]["subject"][0] == "panel"


async def test_a_floor_is_held_month_by_month(stage: Stage) -> None:
    """70 % and more in every month: one month of 65 % is off for the year, and says which."""
    for number in range(1, 9):
        start, share = datetime(2025, number, 1, tzinfo=TZ), 65.0 if number == 3 else 80.0
        await stage.put("park", "solid_waste_utilisation_rate", "month", start, share, 100.0, closed=number < 8)
    row = (await stage.judge())[BULK]
    assert (row["state"], row["comparator"]) == ("off", "hold")
    assert "from 2025-03-01" in row["sentence_en"]


async def test_trap_22_late_data_after_the_years_end_revise_the_finished_year(stage: Stage) -> None:
    """A finished year gets its standing; data that come in spring revise it, and what was said stays to be seen."""
    spring = datetime(2026, 3, 2, 4, tzinfo=UTC)
    await stage.put("park", "water_reuse_rate", "year", year(2025), 91.0, 100.0)
    await stage.judge(spring)
    [said] = [row for row in await stage.ever(REUSE) if row["closed"]]
    assert (said["state"], said["value"], said["method"]) == ("on_pace", pytest.approx(91.0), "closed")
    assert (said["period"], said["current"], said["superseded"]) == (year(2025), False, None)
    await stage.judge(spring + timedelta(hours=1))
    assert len([row for row in await stage.ever(REUSE) if row["closed"]]) == 1
    await stage.run()
    await stage.put("park", "water_reuse_rate", "year", year(2025), 85.0, 100.0)
    members = await firms(stage.connection, stage.park_id)
    late = spring + timedelta(hours=2)
    await judge_park(stage.connection, stage.park_id, members, TZ, now=late, run_id=stage.run_id)
    before, after = [row for row in await stage.ever(REUSE) if row["closed"]]
    assert (after["state"], after["value"], after["revision"]) == ("off", pytest.approx(85.0), 1)
    assert (before["value"], before["superseded_by"]) == (pytest.approx(91.0), after["run_id"])


async def test_who_is_held_against_what(stage: Stage) -> None:
    """The park against every green target and no other that nobody computes; a firm only where a number is computed."""
    await stage.judge()
    rows = await stage.connection.fetch("SELECT * FROM standing WHERE current")
    park = [row for row in rows if row["scope"] == "park"]
    green = {(p, t.id) for p in PACKS for t in load_pack(p).targets if t.theme == "green" or t.indicator is not None}
    assert {(row["pack_id"], row["target_id"]) for row in park} == green
    firm = [row for row in rows if row["scope"] == "firm"]
    assert len({row["firm_id"] for row in firm}) == 3
    assert all(row["indicator_id"] is not None and row["base_value"] is None for row in firm)
    assert not any(row["theme"] == "duty" for row in firm)


async def test_a_target_that_a_new_version_dropped_is_left_to_the_history(stage: Stage) -> None:
    """The park's own pack loses a target: its standing is no longer current, and stays to be seen."""
    one = OWN.targets[0]
    two = msgspec.structs.replace(OWN, targets=(one, msgspec.structs.replace(one, id="other")))
    await apply_definition(stage.connection, document(own_target_packs=[two]))
    assert ("our-own", "other") in await stage.judge()
    fewer = msgspec.structs.replace(OWN, version=2)
    await apply_definition(stage.connection, document(own_target_packs=[fewer]))
    now = await stage.judge()
    assert ("our-own", "other") not in now
    assert now["our-own", "ours"]["pack_version"] == 2
    [left] = await stage.ever(("our-own", "other"))
    assert (left["current"], left["superseded_by"]) == (False, stage.run_id)


OWN = TargetPack(
    id="our-own",
    version=1,
    kind=Kind.OWN,
    name_zh="自定",
    name_en="Own",
    document="minutes",
    issuer="office",
    region="CN-CQ",
    base_year=2025,
    target_year=2027,
    targets=(msgspec.structs.replace(load_pack(REUSE[0]).by_id(REUSE[1]), id="ours", value=60.0, target_year=2027),),  # type: ignore[type-var]
)


async def test_a_parks_own_pack_is_followed_kept_by_version_and_its_tenants_alone(stage: Stage) -> None:
    """It is judged like the plans; changed without a new version it is refused; no other park takes or sees its id."""
    await apply_definition(stage.connection, document(own_target_packs=[OWN]))
    await reuse_weeks(stage)
    assert (await stage.judge())["our-own", "ours"]["state"] == "ahead"
    changed = msgspec.structs.replace(OWN, name_en="Other")
    with pytest.raises(ConflictingPackError, match="give it a new version"):
        await apply_definition(stage.connection, document(own_target_packs=[changed]))
    with pytest.raises(ConflictingPackError, match="somebody else"):
        await apply_definition(stage.connection, document("q", own_target_packs=[OWN]))
    await apply_definition(stage.connection, document("q"))
    seen = {}
    for park in ("p", "q"):
        role = await add_tenant(stage.connection, park, None)
        async with stage.connection.transaction():
            await stage.connection.execute(f'SET LOCAL ROLE "{role}"')
            seen[park] = {row["pack_id"] for row in await stage.connection.fetch("SELECT pack_id FROM target_pack")}
        await stage.connection.execute(f'DELETE FROM tenant_scope; DROP OWNED BY "{role}"; DROP ROLE "{role}"')
    assert seen["p"] - seen["q"] == {"our-own"}
    assert REUSE[0] in seen["q"]


async def test_a_firm_sees_its_own_effect_on_the_park_and_no_other(stage: Stage) -> None:
    """Row-level security: firm a reads one contribution, the park all three."""
    await reuse_weeks(stage)
    await set_base(stage, 0.5)
    await stage.judge()
    seen = {}
    for code in ("a", None):
        role = await add_tenant(stage.connection, "p", code)
        async with stage.connection.transaction():
            await stage.connection.execute(f'SET LOCAL ROLE "{role}"')
            rows = await stage.connection.fetch("SELECT DISTINCT firm_id FROM standing_contribution")
            said = await stage.connection.fetchval("SELECT count(*) FROM target_override")
            seen[code] = ({row["firm_id"] for row in rows}, said)
        await stage.connection.execute(f'DELETE FROM tenant_scope; DROP OWNED BY "{role}"; DROP ROLE "{role}"')
    assert seen == {"a": ({stage.firm["a"]}, 1), None: (set(stage.firm.values()), 1)}


async def test_a_carried_pack_that_changed_without_a_new_version_stops_the_pass(stage: Stage) -> None:
    """What standings were judged by is never silently another."""
    pack = load_pack(REUSE[0])
    await keep(stage.connection, msgspec.structs.replace(pack, name_en="Changed"))
    with pytest.raises(DefinitionError, match="give it a new version"):
        await stage.judge()
