"""Messages into the database: once, in any order, whatever is among them."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import asyncpg
import pytest

from ingest.commit import Writer, is_data_error, store
from park.wire import Reason

pytestmark = pytest.mark.stack


async def test_the_same_batch_twice_changes_nothing(house) -> None:
    """A batch that comes again, alone, beside itself or beside a new one, leaves everything as it was."""
    batch = house.batch(0, [("gw1-E0", 0, 1.5), ("gw1-E1", 0, 2.5), ("gw1-E0", 10, 1.75)])
    first = await house.write(batch, batch)
    assert (first.batches, first.readings, first.duplicates) == (1, 3, 1)
    before = await house.contents()
    dirty = await house.count("dirty")
    again = await house.write(batch)
    assert (again.batches, again.readings, again.duplicates, again.conflicts) == (0, 0, 1, 0)
    assert await house.contents() == before
    assert await house.count("dirty") == dirty
    assert [(w.floor, w.ranges) for w in again.watermarks] == [(1, ())], "the edge must be told again"


async def test_the_same_readings_without_a_batch_name_change_nothing(house) -> None:
    """A publisher that knows no batches may send again, too; not even a batch row is left behind."""
    plain = house.batch(None, [("gw1-E0", 0, 1.5), ("gw1-E1", 0, 2.5)])
    first = await house.write(plain)
    assert (first.batches, first.readings) == (1, 2)
    before = await house.contents()
    again = await house.write(plain, plain)
    assert (again.batches, again.readings, again.duplicates) == (0, 0, 2)
    assert await house.contents() == before


@pytest.mark.parametrize("together", [True, False], ids=["one transaction", "two transactions"])
async def test_a_different_value_is_kept_aside(house, together: bool) -> None:
    """The first stays, the other is kept beside it once; its neighbours are stored."""
    first = house.batch(0, [("gw1-E0", 0, 1.5)])
    second = house.batch(1, [("gw1-E0", 0, 1.25), ("gw1-E0", 10, 2.0)])
    if together:
        outcome = await house.write(first, second)
    else:
        await house.write(first)
        outcome = await house.write(second)
        assert outcome.collisions == 1
    assert outcome.conflicts == 1
    assert await house.readings() == {("gw1-E0", 0, 1.5), ("gw1-E0", 10, 2.0)}
    rows = await house.connection.fetch("SELECT value, stored_value FROM reading_conflict")
    assert [tuple(row) for row in rows] == [(1.25, 1.5)]
    again = await house.write(house.batch(2, [("gw1-E0", 0, 1.25)]))
    assert again.conflicts == 0
    assert await house.count("reading_conflict") == 1


async def test_an_equal_value_is_no_conflict_but_another_quality_is(house) -> None:
    """Zero equals minus zero; a reading that is suddenly bad is kept aside, not dropped."""
    await house.write(house.batch(0, [("gw1-E0", 0, 0.0), ("gw1-E1", 0, 5.0)]))
    same = await house.write(house.batch(1, [("gw1-E0", 0, -0.0), ("gw1-E1", 0, 5.0)]))
    assert (same.readings, same.conflicts) == (0, 0)
    worse = await house.write(house.batch(2, [("gw1-E1", 0, 5.0)], q=[2]))
    assert (worse.readings, worse.conflicts) == (0, 1)
    assert await house.connection.fetchval("SELECT quality FROM reading_conflict") == 2


async def test_a_late_reading_does_not_move_latest(house) -> None:
    """The newest is so by its own time, in whatever order and company it comes."""
    await house.write(house.batch(0, [("gw1-E0", 100, 5.0)]))
    await house.write(house.batch(1, [("gw1-E0", 50, 4.0), ("gw1-E1", 50, 1.0)]))
    await house.write(house.batch(2, [("gw1-E0", 100, 9.0), ("gw1-E0", 99, 4.5), ("gw1-E1", 60, 2.0)]))
    rows = await house.connection.fetch("SELECT value FROM latest ORDER BY point_id")
    assert [row["value"] for row in rows] == [5.0, 2.0]
    assert len(await house.readings()) == 5


async def test_what_was_touched_is_marked_dirty_and_told(house, database_url: str) -> None:
    """Each point gets the span of its new readings, and the firm is notified when the transaction commits."""
    told: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(database_url)
    try:
        await listener.add_listener("greenpark_dirty", lambda *args: told.put_nowait(args[-1]))
        await house.write(
            house.batch(0, [("gw1-E0", 30, 1.0), ("gw1-E0", 10, 0.5), ("gw1-E1", 20, 1.0)]),
            house.batch(0, [("gw1-E3", 20, 1.0)], firm="b"),
        )
        rows = await house.connection.fetch(
            "SELECT d.firm_id, p.code, extract(epoch FROM t_to - t_from)::int AS span, cause FROM dirty AS d"
            " JOIN point AS p USING (point_id) ORDER BY p.point_id"
        )
        firms = sorted({row["firm_id"] for row in rows})
        assert [tuple(row)[1:] for row in rows] == [
            ("gw1-E0", 20, "reading"),
            ("gw1-E1", 0, "reading"),
            ("gw1-E3", 0, "reading"),
        ]
        payload = await asyncio.wait_for(told.get(), 5)
        assert [int(part) for part in payload.split(",")] == firms
    finally:
        await listener.close()


async def test_old_readings_only_partly_new_mark_only_what_is_new(house) -> None:
    """Of a resend with another name, only the reading that was missing is computed again."""
    await house.write(house.batch(0, [("gw1-E0", 0, 1.0), ("gw1-E0", 20, 2.0)]))
    await house.connection.execute("DELETE FROM dirty")
    outcome = await house.write(house.batch(7, [("gw1-E0", 0, 1.0), ("gw1-E0", 10, 1.5), ("gw1-E0", 20, 2.0)]))
    assert outcome.readings == 1
    row = await house.connection.fetchrow("SELECT t_from, t_to FROM dirty")
    assert row["t_from"] == row["t_to"]
    assert await house.count("dirty") == 1


async def test_watermarks_have_floor_and_ranges(house) -> None:
    """Batches committed out of order leave ranges above the floor, and close them when the gap fills."""

    async def commit(*seqs: int) -> tuple[int, tuple[tuple[int, int], ...]]:
        outcome = await house.write(*(house.batch(seq, [("gw1-E0", seq, float(seq))]) for seq in seqs))
        (mark,) = outcome.watermarks
        assert mark.newest
        return mark.floor, mark.ranges

    assert await commit(5, 3) == (0, ((3, 4), (5, 6)))
    assert await commit(0) == (1, ((3, 4), (5, 6)))
    assert await commit(4, 8) == (1, ((3, 6), (8, 9)))
    assert await commit(2, 1, 4) == (6, ((8, 9),))
    given_up = await house.write(house.event(kind="given_up", ranges=[(6, 8), (9, 12)]))
    assert [(mark.floor, mark.ranges) for mark in given_up.watermarks] == [(12, ())]


async def test_only_the_newest_boot_is_newest(house) -> None:
    """The boot that came last is, until the edge's status says otherwise."""
    first = await house.write(house.batch(0, [("gw1-E0", 0, 1.0)], boot="old"))
    assert [mark.newest for mark in first.watermarks] == [True]
    await house.write(house.batch(0, [("gw1-E0", 1, 1.0)], boot="new"))
    late = await house.write(house.batch(1, [("gw1-E0", 2, 1.0)], boot="old"))
    assert [mark.newest for mark in late.watermarks] == [False]
    await house.write(house.status(boot="old"))
    both = await house.write(
        house.batch(2, [("gw1-E0", 3, 1.0)], boot="old"), house.batch(2, [("gw1-E0", 4, 1.0)], boot="new")
    )
    assert {mark.boot: mark.newest for mark in both.watermarks} == {"old": True, "new": False}


async def test_poison_is_isolated(house) -> None:
    """A message that the database refuses goes to quarantine; all its neighbours are stored."""
    for constraint in (
        "ALTER TABLE batch ADD CHECK (seq <> 99)",
        "ALTER TABLE edge_event ADD CHECK (kind <> 'clock_step')",
        "ALTER TABLE edge_status ADD CHECK (version <> 'poison')",
        "ALTER TABLE watermark ADD CHECK (boot <> 'poison')",
    ):
        await house.connection.execute(constraint)
    good = [house.batch(n, [("gw1-E0", n, float(n))]) for n in range(20)]
    poison = [
        house.batch(99, [("gw1-E1", 0, 1.0)]),
        house.event(kind="clock_step"),
        house.status(version="poison"),
        house.batch(0, [("gw1-E1", 0, 1.0)], boot="poison"),
    ]
    outcome = await house.write(*good[:7], poison[0], *good[7:15], *poison[1:], *good[15:])
    assert outcome.quarantined == {Reason.REJECTED: 4}
    assert await house.readings() == {("gw1-E0", n, float(n)) for n in range(20)}
    held = await house.connection.fetch("SELECT payload, reason FROM quarantine")
    assert {row["payload"] for row in held} == {message.payload for message in poison}
    # The edge need not send the poison for ever: what is in quarantine counts as done.
    committed = await house.connection.fetch("SELECT boot, committed::text FROM watermark")
    assert [tuple(row) for row in committed] == [("boot-1", "{[0,20),[99,100)}")]


async def test_half_a_message_is_better_than_none(house) -> None:
    """Good readings beside a bad one are stored, the whole message is held, and the watermark moves."""
    mixed = house.batch(0, [("gw1-E0", 0, 1.0), ("nobody", 0, 2.0), ("gw1-E1", 0, 3.0)])
    outcome = await house.write(mixed)
    assert outcome.quarantined == {Reason.UNKNOWN_POINT: 1}
    assert await house.readings() == {("gw1-E0", 0, 1.0), ("gw1-E1", 0, 3.0)}
    assert outcome.watermarks[0].floor == 1
    row = await house.connection.fetchrow("SELECT * FROM quarantine")
    assert row["payload"] == mixed.payload
    assert row["firm_id"] is not None
    await house.write(mixed)
    assert await house.connection.fetchval("SELECT times_seen FROM quarantine") == 2


async def test_status_keeps_the_newest_and_believes_a_will(house) -> None:
    """An older state redelivered late changes nothing; the last will, written long before, does."""

    async def state() -> tuple[Any, ...]:
        return tuple(await house.connection.fetchrow("SELECT online, version FROM edge_status"))

    await house.write(house.status(at=house.now_ms + 5_000, version="2"))
    await house.write(house.status(at=house.now_ms, version="1"))
    assert await state() == (True, "2")
    await house.write(house.status(at=house.now_ms - 60_000, online=False))
    assert (await state())[0] is False
    await house.write(house.status(at=house.now_ms, version="1"))
    assert (await state())[0] is False
    await house.write(house.status(at=house.now_ms + 6_000, version="3"))
    assert await state() == (True, "3")


async def test_an_event_is_stored_once_with_its_point(house) -> None:
    """A redelivered event is one row; a point of the edge is named by its id."""
    swap = house.event(kind="meter_swap", point="gw1-E2", body={"serial": "m2", "first_reading": 0.5})
    await house.write(swap, swap)
    await house.write(swap)
    row = await house.connection.fetchrow("SELECT kind, point_id, body FROM edge_event")
    assert await house.count("edge_event") == 1
    assert row["point_id"] == await house.connection.fetchval(
        "SELECT point_id FROM point WHERE code = 'gw1-E2' AND firm_id = (SELECT firm_id FROM firm WHERE code = 'a')"
    )
    assert row["body"] == {"serial": "m2", "first_reading": 0.5, "point": "gw1-E2"}


async def test_a_lost_connection_is_tried_again(house) -> None:
    """A backend that is shot in the middle costs time, not messages."""
    writer = Writer(house.url, random.Random(0), transaction_limit_s=20, name="victim")
    try:
        await writer.write([house.batch(0, [("gw1-E0", 0, 1.0)])], house.registry.firm_of)
        # A lock keeps the next transaction waiting until it is shot.
        async with house.connection.transaction():
            await house.connection.execute("LOCK TABLE latest IN ACCESS EXCLUSIVE MODE")
            write = asyncio.create_task(
                writer.write([house.batch(1, [("gw1-E0", 1, 2.0)])], house.registry.firm_of), name="write"
            )
            killed = 0
            while not killed:
                await asyncio.sleep(0.02)
                killed = await house.connection.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE application_name = 'victim' AND wait_event_type = 'Lock'"
                )
        outcome = await asyncio.wait_for(write, 10)
    finally:
        await writer.close()
    assert outcome.readings == 1
    assert await house.readings() == {("gw1-E0", 0, 1.0), ("gw1-E0", 1, 2.0)}


async def test_many_writers_in_any_order_agree_with_one(house) -> None:
    """Overlapping batches by several writers at once neither lose, double nor lock each other up for good."""
    chance = random.Random(7)
    batches = [
        house.batch(seq, [(f"gw1-E{n}", t, float(t)) for n in range(4) for t in range(seq, seq + 3)])
        for seq in range(30)
    ]
    deliveries = batches * 3
    chance.shuffle(deliveries)
    writers = [Writer(house.url, random.Random(n), transaction_limit_s=20, name=f"w{n}") for n in range(3)]
    try:

        async def work(writer: Writer, mine: list) -> int:
            return sum(
                [(await writer.write(mine[k : k + 7], house.registry.firm_of)).readings for k in range(0, len(mine), 7)]
            )

        stored = await asyncio.gather(*(work(w, deliveries[n::3]) for n, w in enumerate(writers)))
    finally:
        for writer in writers:
            await writer.close()
    assert await house.readings() == {(f"gw1-E{n}", t, float(t)) for n in range(4) for t in range(32)}
    assert sum(stored) == 4 * 32
    assert await house.count("batch") == 30
    assert await house.count("reading_conflict") == 0
    assert await house.connection.fetchval("SELECT committed::text FROM watermark") == "{[0,30)}"


async def test_the_straight_copy_and_the_staged_way_agree(house) -> None:
    """What is stored does not depend on which way it went."""
    arrivals = [house.batch(n, [("gw1-E0", n, float(n)), ("gw1-E1", n, 1.0)]) for n in range(5)]
    async with house.connection.transaction():
        straight = await store(house.connection, arrivals, house.registry.firm_of)
        one = await house.contents(), await house.count("dirty")
        await house.connection.execute("TRUNCATE batch, latest, watermark, dirty, reading")
        await house.connection.execute("ALTER SEQUENCE batch_batch_id_seq RESTART")
        staged = await store(house.connection, arrivals, house.registry.firm_of, optimistic=False)
        other = await house.contents(), await house.count("dirty")
    assert straight == staged
    for rows in (one[0]["watermark"], other[0]["watermark"]):
        rows[0].pop("began")
    assert one == other


def test_only_data_is_held_against_a_message() -> None:
    """Locks, shutdowns, full disks and missing tables are nobody's message's fault."""
    for transient in (
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.AdminShutdownError("x"),
        asyncpg.DiskFullError("x"),
        asyncpg.UndefinedTableError("x"),
        asyncpg.InterfaceError("x"),
        ConnectionResetError(),
        TimeoutError(),
    ):
        assert not is_data_error(transient, attempt=100), transient
    for data in (asyncpg.CheckViolationError("x"), asyncpg.CharacterNotInRepertoireError("x"), OverflowError()):
        assert is_data_error(data, attempt=1), data
    assert not is_data_error(asyncpg.InternalServerError("x"), attempt=1)
    assert is_data_error(asyncpg.InternalServerError("x"), attempt=3)


async def test_a_worker_that_is_stopped_while_its_database_dies_stops(monkeypatch) -> None:
    """A cancellation that comes out as a connection's failure still ends the writing: it is not one more to retry."""
    writer = Writer("postgresql://nowhere", random.Random(0), transaction_limit_s=60, name="test")
    begun = asyncio.Event()

    async def dies(*_args: Any) -> Any:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise asyncpg.InterfaceError("cannot perform operation: connection is closed") from None

    monkeypatch.setattr(writer, "_once", dies)
    task = asyncio.create_task(writer.write([], {}), name="write")
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
