"""Every number can be followed down to who sent it, who changed it, and which code computed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from cli.explain import tree
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
