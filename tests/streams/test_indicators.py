"""From readings to indicators and standings, as ratios of sums that can be traced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

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
