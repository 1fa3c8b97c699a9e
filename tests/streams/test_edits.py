"""A person's decision counts, names its author, can be revoked, and touches no reading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from park.registers import Step
from store.edits import decide, held, history, point_named, revoke, set_quantity
from store.errors import EditError, UnknownNameError

pytestmark = pytest.mark.stack

T0 = datetime(2025, 3, 3, 0, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


async def reset(world) -> None:
    """A register that starts again: 30 is held in the third bucket."""
    await world.read("a", "F", [T0 + k * QUARTER for k in range(6)], [100, 110, 120, 30, 40, 50])
    await world.compute()


async def sums(world) -> tuple[float, float]:
    row = await world.connection.fetchrow(
        "SELECT coalesce(measured, 0) + coalesce(estimated, 0), held FROM consumption_period WHERE grain = 'day'"
    )
    return tuple(row)


@pytest.mark.parametrize(
    ("kind", "value", "counts"), [("accept", None, 30), ("reject", None, 0), ("replace", 12.5, 12.5)]
)
async def test_a_decision_about_what_is_held_counts_as_a_new_revision(world, kind, value, counts) -> None:
    """Accepted, rejected or replaced: it is no longer held, and the run names who decided and why."""
    await reset(world)
    assert await sums(world) == (40, 30)
    [waits] = await held(world.connection, "p", None, 10)
    assert (waits.point, waits.bucket, waits.held) == ("p/a/F", T0 + 2 * QUARTER, 30)
    point = await point_named(world.connection, "p/a/F")
    await decide(world.connection, point, waits.bucket + timedelta(minutes=3), kind, value, "Li", "seen on site")
    await world.compute()
    assert await sums(world) == (40 + counts, 0)
    row = await world.connection.fetchrow("SELECT * FROM consumption WHERE flags & 256 <> 0")
    assert (row["bucket"], row["revision"], row["held"]) == (waits.bucket, 1, 0)
    cause = await world.connection.fetchval("SELECT cause FROM run WHERE run_id = $1", row["run_id"])
    assert cause == "edit 1 by Li: seen on site"
    assert await held(world.connection, None, None, 10) == []
    assert await world.connection.fetchval("SELECT count(*) FROM reading") == 6


async def test_a_revoked_decision_is_as_if_it_had_never_been_and_stays_in_the_history(world) -> None:
    """What was computed holds again; who decided and who revoked is kept."""
    await reset(world)
    point = await point_named(world.connection, "p/a/F")
    made = await decide(world.connection, point, T0 + 2 * QUARTER, "accept", None, "Li", "sure")
    await world.compute()
    await revoke(world.connection, made.edit_id, "Wang", "not sure")
    await world.compute()
    assert await sums(world) == (40, 30)
    [kept] = await history(world.connection, point.point_id)
    assert (kept.author, kept.revoked_by, kept.revoked_reason) == ("Li", "Wang", "not sure")
    with pytest.raises(EditError, match="revoked before"):
        await revoke(world.connection, made.edit_id, "Wang", "again")


async def test_a_decision_holds_for_the_quantity_that_was_held(world) -> None:
    """When a late reading changes what is held, it waits for a person again."""
    await reset(world)
    point = await point_named(world.connection, "p/a/F")
    await decide(world.connection, point, T0 + 2 * QUARTER, "accept", None, "Li", "sure")
    await world.compute()
    await world.read("a", "F", [T0 + 2 * QUARTER + timedelta(minutes=5)], [5])
    await world.compute()
    assert [row.held for row in await held(world.connection, None, None, 10)] == [5]


@pytest.mark.parametrize("before", [True, False], ids=["readings first", "decision first"])
async def test_a_manual_quantity_replaces_what_was_computed_in_its_range(world, before: bool) -> None:
    """Spread evenly, marked as estimated and edited; the second version of a range wins; readings stay."""
    point = await point_named(world.connection, "p/a/F")
    times = [T0 + k * QUARTER for k in range(6)]
    if before:
        await world.read("a", "F", times, [0, 1, 2, 3, 4, 5])
        await world.compute()
    span = (T0 + QUARTER, T0 + 3 * QUARTER)
    first = await set_quantity(world.connection, point, span, 5.0, "Li", "read by eye")
    second = await set_quantity(world.connection, point, span, 8.0, "Li", "read again")
    assert (first.version, second.version) == (1, 2)
    await world.compute()
    if not before:
        await world.read("a", "F", times, [0, 1, 2, 3, 4, 5])
        await world.compute()
    rows = await world.ledger("measured", "estimated", "flags")
    assert rows == [(1.0, None, 0), *[(None, 4.0, int(Step.EDITED))] * 2, (1.0, None, 0), (1.0, None, 0)]
    assert (await sums(world))[0] == 11


async def test_a_manual_quantity_needs_no_reading_at_all(world) -> None:
    """A meter that is read on paper counts too."""
    point = await point_named(world.connection, "p/a/F")
    await set_quantity(world.connection, point, (T0, T0 + 4 * QUARTER), 8.0, "Li", "paper")
    await world.compute()
    assert await world.ledger("estimated") == [(2.0,)] * 4


async def test_what_cannot_be_decided_is_refused_and_says_why(world) -> None:
    """Nothing held, a negative value, a crooked range, no reason, an unknown point."""
    await reset(world)
    point = await point_named(world.connection, "p/a/F")
    connection = world.connection
    with pytest.raises(EditError, match="holds nothing"):
        await decide(connection, point, T0, "accept", None, "Li", "x")
    with pytest.raises(EditError, match="not negative"):
        await decide(connection, point, T0 + 2 * QUARTER, "replace", -1.0, "Li", "x")
    with pytest.raises(EditError, match="quarter"):
        await set_quantity(connection, point, (T0, T0 + timedelta(minutes=20)), 1.0, "Li", "x")
    with pytest.raises(EditError, match="reason"):
        await set_quantity(connection, point, (T0, T0 + QUARTER), 1.0, "Li", " ")
    with pytest.raises(UnknownNameError):
        await point_named(connection, "p/a/none")
    assert await connection.fetchval("SELECT count(*) FROM edit") == 0
