"""Meters are exchanged and corrected any time back, by command or by an edge's report, and it is known by whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from park.definition import ParkDefinition
from park.errors import MeterError
from park.points import Installation
from store.edits import point_named
from store.meters import changes, correct_multiplier, meters, replace_meter
from store.registry import apply_definition
from tests.streams.conftest import firm

pytestmark = pytest.mark.stack

T0 = datetime(2025, 3, 3, 0, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def fresh(at: datetime, serial: str = "N-1", first: float | None = 0.0, multiplier: float = 1.0) -> Installation:
    return Installation(0, serial, 1e6, multiplier, at, None, first)


async def day(world) -> tuple[float, float]:
    row = await world.connection.fetchrow(
        "SELECT coalesce(measured, 0) + coalesce(estimated, 0), held FROM consumption_period WHERE grain = 'day'"
    )
    return tuple(row)


async def exchanged(world) -> None:
    """A meter was exchanged after the third reading and nobody said so."""
    await world.read("a", "F", [T0 + k * QUARTER for k in range(6)], [100, 110, 120, 5, 15, 25])
    await world.compute()
    assert await day(world) == (40, 5)


async def test_an_exchange_entered_later_makes_the_sum_exact(world) -> None:
    """Last and first reading join both meters, what was held is counted, and the old numbers are kept."""
    await exchanged(world)
    point = await point_named(world.connection, "p/a/F")
    at = T0 + 2 * QUARTER + timedelta(minutes=5)
    await replace_meter(world.connection, point, fresh(at), 123.0, "Li", "work order 7")
    await world.compute()
    assert await day(world) == (20 + 3 + 25, 0)
    assert await world.connection.fetchval("SELECT count(*) FROM consumption_revision WHERE held = 5") == 1
    assert [m.serial for m in await meters(world.connection, point.point_id)] == ["S-F", "N-1"]
    [change] = await changes(world.connection, point.point_id)
    assert (change.kind, change.author, len(change.before), len(change.after)) == ("replace", "Li", 1, 2)
    causes = await world.connection.fetch("SELECT cause FROM run ORDER BY run_id")
    assert "meter replaced by Li: work order 7" in [row["cause"] for row in causes]


async def test_a_multiplier_is_corrected_for_all_of_a_meters_time(world) -> None:
    """One command, everything since the meter was put up; what does not change is not written again."""
    await world.read("a", "F", [T0 + k * QUARTER for k in range(5)], [100, 110, 120, 130, 140])
    await world.compute()
    point = await point_named(world.connection, "p/a/F")
    [meter] = await correct_multiplier(world.connection, point, 40.0, None, "Li", "CT 200/5")
    assert meter.multiplier == 40.0
    await world.compute()
    assert await world.ledger("measured", "revision") == [(400.0, 1)] * 4


@pytest.mark.parametrize("minutes", [30, 37])
async def test_a_multiplier_corrected_from_a_day_on_leaves_what_was_before(world, minutes: int) -> None:
    """The change happens at the last reading up to that instant, where the dial is known: nothing is lost between."""
    await world.read("a", "F", [T0 + k * QUARTER for k in range(5)], [100, 110, 120, 130, 140])
    await world.compute()
    point = await point_named(world.connection, "p/a/F")
    since = T0 + timedelta(minutes=minutes)
    both = await correct_multiplier(world.connection, point, 3.0, since, "Li", "new CT")
    assert [(m.serial, m.multiplier) for m in both] == [("S-F", 1.0), ("S-F", 3.0)]
    await world.compute()
    assert [row[0] for row in await world.ledger("measured")] == [10, 10, 30, 30]


async def test_a_change_equals_the_same_meters_from_the_beginning(world) -> None:
    """Entered before or after its readings, an exchange gives the same ledger."""
    values, times = [100, 110, 120, 5, 15, 25], [T0 + k * QUARTER for k in range(6)]
    at = T0 + 2 * QUARTER + timedelta(minutes=7)
    await world.read("a", "F", times, values)
    await world.compute()
    for code in "ab":
        point = await point_named(world.connection, f"p/{code}/F")
        await replace_meter(world.connection, point, fresh(at, first=1.0), 121.0, "Li", "x")
    await world.compute()
    await world.read("b", "F", times, values)
    await world.compute()
    query = "SELECT bucket, measured, estimated, measured_s, flags FROM consumption WHERE point_id = $1 ORDER BY 1"
    a, b = [[tuple(row) for row in await world.connection.fetch(query, world.points[code, "F"])] for code in "ab"]
    assert a == b


async def report(world, at: datetime, body: dict, boot: str = "b1") -> None:
    await world.connection.execute(
        "INSERT INTO edge_event (park_id, firm_id, edge_id, boot, at, kind, point_id, body)"
        " SELECT park_id, firm_id, edge_id, $2, $3, 'meter_swap', point_id, $4 FROM point WHERE point_id = $1",
        world.points["a", "F"],
        boot,
        at,
        body,
    )


async def test_an_exchange_that_an_edge_reports_is_applied_once(world) -> None:
    """New serial and both readings: the second meter stands there, with the edge as its author."""
    await exchanged(world)
    at = T0 + 2 * QUARTER + timedelta(minutes=5)
    body = {"old_serial": "S-F", "last_reading": 123.0, "new_serial": "N-1", "first_reading": 0.0, "multiplier": 1.0}
    await report(world, at, body)
    await report(world, at, body, boot="b2")
    await world.compute()
    await world.compute()
    assert await day(world) == (48, 0)
    point = await point_named(world.connection, "p/a/F")
    assert len(await meters(world.connection, point.point_id)) == 2
    assert [(c.kind, c.author) for c in await changes(world.connection, point.point_id)] == [("event", "edge gw1")] * 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"new_serial": "N-1"}, "first_reading"),
        ({"new_serial": "N-1", "first_reading": 0.0, "last_reading": 1.0, "old_serial": "X"}, "S-F stood there"),
        ({"new_serial": "N-1", "first_reading": 2e6, "last_reading": 1.0}, "cannot show"),
        ({"new_serial": "N-1", "first_reading": 0.0, "last_reading": 1.0, "multiplier": -1}, "positive"),
    ],
)
async def test_a_report_that_cannot_be_believed_changes_nothing_and_is_kept(world, body: dict, says: str) -> None:
    """It is looked at once, refused with the reason, and a person can see it."""
    await exchanged(world)
    await report(world, T0 + 2 * QUARTER + timedelta(minutes=5), body)
    await world.compute()
    assert await day(world) == (40, 5)
    point = await point_named(world.connection, "p/a/F")
    [change] = await changes(world.connection, point.point_id)
    assert change.kind == "event_refused"
    assert says in change.reason


async def test_the_park_document_does_not_undo_what_was_changed_by_command(world) -> None:
    """Applying the same document again leaves an exchanged meter as it is."""
    point = await point_named(world.connection, "p/a/F")
    await replace_meter(world.connection, point, fresh(T0), 123.0, "Li", "x")
    again = ParkDefinition(code="p", name_zh="园", name_en="Park", firms=[firm("a")])
    await apply_definition(world.connection, again)
    assert [m.serial for m in await meters(world.connection, point.point_id)] == ["S-F", "N-1"]


async def test_what_cannot_have_stood_there_is_refused(world) -> None:
    """Two meters at one instant, a multiplier that is the same or not positive."""
    point = await point_named(world.connection, "p/a/F")
    [meter] = await meters(world.connection, point.point_id)
    with pytest.raises(MeterError, match="already"):
        await replace_meter(world.connection, point, fresh(meter.valid_from), None, "Li", "x")
    with pytest.raises(MeterError, match="already"):
        await correct_multiplier(world.connection, point, 1.0, None, "Li", "x")
    with pytest.raises(MeterError, match="positive"):
        await correct_multiplier(world.connection, point, -1.0, None, "Li", "x")
    with pytest.raises(MeterError, match="no meter"):
        await correct_multiplier(world.connection, point, 2.0, meter.valid_from - QUARTER, "Li", "x")
    assert await changes(world.connection, point.point_id) == []
