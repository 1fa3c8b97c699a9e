"""Every number can be followed down to who sent it, who changed it, and which code computed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from cli.explain import tree
from cli.explain_text import standing_text
from cli.options import Lang
from park.errors import CalendarError
from store.edits import decide, point_named
from store.errors import EditError, UnknownNameError
from store.explain import explain_bucket, explain_indicator, explain_standing
from store.meters import correct_multiplier

pytestmark = pytest.mark.stack

T0 = datetime(2025, 3, 3, 0, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


async def test_a_bucket_leads_to_its_readings_batches_meters_decisions_and_runs(world) -> None:
    """A reset, accepted by a person, under a corrected multiplier: all of it is told, and the sums agree."""
    connection = world.connection
    await world.read("a", "F", [T0 + k * QUARTER for k in range(6)], [100, 110, 120, 30, 40, 50])
    batch = await connection.fetchval(
        "INSERT INTO batch (edge_id, boot, seq, sent, readings) SELECT edge_id, 'b1', 7, $1, 6 FROM point"
        " WHERE point_id = $2 RETURNING batch_id",
        T0 + 6 * QUARTER,
        world.points["a", "F"],
    )
    await connection.execute("UPDATE reading SET batch_id = $1", batch)
    await world.compute()
    point = await point_named(connection, "p/a/F")
    await decide(connection, point, T0 + 2 * QUARTER, "accept", None, "Li", "seen")
    await world.compute()
    await correct_multiplier(connection, point, 2.0, None, "Wang", "CT")
    await world.compute()
    found = await explain_bucket(connection, point, T0 + 2 * QUARTER + timedelta(minutes=4))
    assert found["now"]["held"] == 60, "what is held changed with the multiplier, and waits again"
    assert [r["revision"] for r in found["revisions"]] == [0, 1]
    assert found["revisions"][1]["flags"] == ("held_reset", "edited")
    [step] = found["steps"]
    assert (step["dial_from"], step["dial_to"], step["names"], step["counted"]) == (120, 30, ("held_reset",), 0)
    assert step["adjustment"] == 180
    assert [(r["value"], r["edge"], r["boot"], r["seq"]) for r in found["readings"]][1:3] == [
        (120, "gw1", "b1", 7),
        (30, "gw1", "b1", 7),
    ]
    causes = {run["cause"] for run in found["runs"]}
    assert causes == {"reading", "edit 1 by Li: seen", "multiplier corrected by Wang: CT"}
    assert all(run["code_version"] for run in found["runs"])
    assert found["decisions"][0].author == "Li"
    assert found["meter_changes"][0].author == "Wang"
    text = tree(found)
    assert "held_reset" in text
    assert "multiplier corrected by Wang: CT" in text
    assert msgspec.json.decode(msgspec.json.encode(found))["point"] == "p/a/F"


async def test_a_bucket_that_nothing_is_known_of_is_explained_as_such(world) -> None:
    """No row is no error: there are no readings there."""
    point = await point_named(world.connection, "p/a/F")
    found = await explain_bucket(world.connection, point, T0)
    assert (found["now"], found["readings"], found["steps"]) == (None, [], [])


async def test_an_indicator_leads_to_its_factors_sources_points_and_firms(world) -> None:
    """A firm's value names its points and factors, a park's its firms."""
    await world.read("a", "E", [T0 + k * QUARTER for k in range(193)], [float(k) for k in range(193)])
    await world.compute()
    name = "comprehensive_energy_equivalent"
    found = await explain_indicator(world.connection, "p/a", name, "day", "2025-03-04")
    assert found["now"]["value"] == pytest.approx(960 * 0.1229)
    assert [p["point"] for p in found["points"]] == ["p/a/E"]
    assert found["factors"][0]["source"]
    assert found["runs"]
    park = await explain_indicator(world.connection, "p", name, "day", "2025-03-04")
    assert [f["firm"] for f in park["firms"]][:1] == ["a"]
    assert "factors" in tree(found)


async def test_a_standing_leads_to_its_target_and_version(world) -> None:
    """What the plan says, which version of it, and what it was judged from."""
    await world.read("a", "F", [T0 + k * QUARTER for k in range(5)], [0, 1, 2, 3, 4])
    await world.compute()
    row = await world.connection.fetchrow("SELECT * FROM standing WHERE scope = 'park' AND current LIMIT 1")
    found = await explain_standing(world.connection, "p", row["target_id"])
    [one] = [s for s in found["standings"] if s["now"]["pack_id"] == row["pack_id"]]
    assert one["now"]["pack_version"] == row["pack_version"]
    assert one["target"]["id"] == row["target_id"]
    assert one["runs"]
    assert tree(found)


async def test_what_is_not_there_is_named(world) -> None:
    """An unknown firm, indicator, grain, target: the message says which."""
    with pytest.raises(UnknownNameError, match="firm"):
        await explain_indicator(world.connection, "p/none", "water_reuse_rate", "day", "2025-03-04")
    with pytest.raises(UnknownNameError, match="park"):
        await explain_indicator(world.connection, "none", "water_reuse_rate", "day", "2025-03-04")
    with pytest.raises(EditError, match="water_reuse_rate"):
        await explain_indicator(world.connection, "p/a", "water_reuse_rate", "day", "2025-03-04")
    with pytest.raises((EditError, CalendarError), match="week"):
        await explain_indicator(world.connection, "p/a", "water_reuse_rate", "week", "2025-03-04")
    with pytest.raises(EditError, match="no standing"):
        await explain_standing(world.connection, "p", "none")


async def test_a_parks_standing_is_walked_down_to_factors_points_and_readings(world) -> None:
    """Park, firms with their share, each point with what it adds by which factor, and the readings that brought it."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for code, kwh in (("a", 1.0), ("b", 3.0)):
        times = [now - timedelta(hours=6) + k * QUARTER for k in range(25)]
        await world.read(code, "E", times, [kwh * k for k in range(25)])
        await world.read(code, "P", times, [2.0 * k for k in range(25)])
    batch = await world.connection.fetchval(
        "INSERT INTO batch (edge_id, boot, seq, sent, readings) SELECT edge_id, 'b1', 7, $1, 6 FROM point"
        " WHERE point_id = $2 RETURNING batch_id",
        now,
        world.points["a", "E"],
    )
    await world.connection.execute(
        "UPDATE reading SET batch_id = $1 WHERE point_id = $2", batch, world.points["a", "E"]
    )
    await world.connection.execute("UPDATE installation SET valid_from = $1", now - timedelta(days=1))
    await world.compute()
    target = await standing_against(world, "comprehensive_energy_equivalent")
    found = await explain_standing(world.connection, "p", target)
    [one] = found["standings"]
    assert one["pack"]["sha256"]
    assert one["pack"]["version"] == one["now"]["pack_version"]
    assert one["indicator"]["formula"]
    assert [(f["firm"], f["counted"]) for f in one["firms"]][:2] == [("b", True), ("a", True)]
    assert [f["share"] for f in one["firms"]][:2] == pytest.approx([0.75, 0.25])
    [factor] = one["factors"]
    assert (factor["id"], factor["verified"], factor["firms"]) == ("electricity-equivalent", True, ["b", "a"])
    assert "GB/T 2589" in factor["source"]
    point = one["firms"][1]["points"][0]
    assert point["point"] == "E"
    [part] = point["counts"]
    assert (part["side"], part["factor"], part["coefficient"]) == ("numerator", "electricity-equivalent", 0.1229)
    assert part["adds"] == pytest.approx(point["quantity"] * 0.1229)
    assert one["firms"][1]["numerator"] == pytest.approx(part["adds"])
    assert [(r["value"], r["boot"], r["seq"]) for r in point["readings"]] == [(0.0, "b1", 7), (24.0, "b1", 7)]
    assert msgspec.json.decode(msgspec.json.encode(found))
    english, chinese = standing_text(found, Lang.EN), standing_text(found, Lang.ZH)
    for text, words in ((english, ("NOT verified", "numerator", "gw1 b1/7")), (chinese, ("系数", "分子", "gw1 b1/7"))):
        assert all(word in text for word in words[1:])
        assert "electricity-equivalent" in text
        assert factor["source"] in text
        assert one["pack"]["sha256"][:12] in text


async def test_a_factor_that_nobody_compared_with_its_source_is_marked_wherever_it_is_used(world) -> None:
    """The flag stands at the factor and at the point, in both languages and for machines."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await world.connection.execute("UPDATE installation SET valid_from = $1", now - timedelta(days=1))
    await world.read(
        "a", "E", [now - timedelta(hours=6) + k * QUARTER for k in range(25)], [float(k) for k in range(25)]
    )
    await world.compute()
    target = await standing_against(world, "comprehensive_energy_equal")
    found = await explain_standing(world.connection, "p/a", target)
    [one] = found["standings"]
    assert {f["verified"] for f in one["factors"]} == {False}
    assert one["firms"][0]["points"][0]["counts"][0]["verified"] is False
    assert standing_text(found, Lang.EN).count("NOT verified") == 2
    assert standing_text(found, Lang.ZH).count("未核实") == 2


async def standing_against(world, indicator: str) -> str:
    """Point a standing of the park and of firm `a` at an indicator, as if a plan asked for it; return its target.

    Six hours are too little of a year for a value: here they are taken for enough.
    """
    await world.connection.execute(
        "UPDATE indicator_value SET reason = NULL, value = numerator"
        " WHERE grain = 'year' AND indicator_id = $1 AND numerator IS NOT NULL",
        indicator,
    )
    rows = await world.connection.fetch("SELECT standing_id, target_id, scope, firm_id FROM standing WHERE current")
    target = next(row["target_id"] for row in rows if row["scope"] == "park")
    await world.connection.execute(
        "UPDATE standing SET indicator_id = $1, period = NULL WHERE current AND target_id = $2", indicator, target
    )
    firm_id = await world.connection.fetchval("SELECT firm_id FROM firm WHERE code = 'a'")
    if not any(row["target_id"] == target and row["firm_id"] == firm_id for row in rows):
        await world.connection.execute(
            "INSERT INTO standing (park_id, firm_id, scope, scope_id, pack_id, pack_version, target_id, as_of, state,"
            " sentence_zh, sentence_en, run_id, indicator_id)"
            " SELECT park_id, $1, 'firm', $1, pack_id, pack_version, target_id, as_of, state, sentence_zh, sentence_en,"
            " run_id, indicator_id FROM standing WHERE current AND scope = 'park' AND target_id = $2",
            firm_id,
            target,
        )
    return str(target)
