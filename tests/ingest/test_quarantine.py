"""What could not be taken is kept, and taken once its cause is mended."""

from __future__ import annotations

import msgspec
import pytest

from ingest.errors import NotHeldError
from ingest.quarantine import discard, list_held, replay, replay_all, show
from park.wire import MAX_PAYLOAD_BYTES, Reason
from store.quarantine import held_counts

pytestmark = pytest.mark.stack


async def test_an_unknown_point_is_held_then_registered_then_replayed(house, larger) -> None:
    """Good neighbours are stored at once; the rest once the point is known; a second replay is refused."""
    mixed = house.batch(0, [("gw1-E0", 0, 1.0), ("gw1-E9", 0, 2.0), ("gw1-E9", 10, 3.0)])
    await house.write(mixed)
    assert await house.readings() == {("gw1-E0", 0, 1.0)}
    (held,) = await list_held(house.connection)
    assert (held.reason, held.payload_bytes, held.payload) == ("unknown_point", len(mixed.payload), b"")
    assert "'gw1-E9'" in held.detail
    assert (await show(house.connection, held.quarantine_id)).payload == mixed.payload

    (still,) = await replay(house.connection, [held.quarantine_id], now_ms=house.now_ms)
    assert (still.held, still.readings) == (True, 0)
    assert await held_counts(house.connection) == {"unknown_point": 1}

    await house.register(larger)
    (done,) = await replay(house.connection, [held.quarantine_id], now_ms=house.now_ms)
    assert (done.held, done.readings, done.conflicts) == (False, 2, 0)
    assert await house.readings() == {("gw1-E0", 0, 1.0), ("gw1-E9", 0, 2.0), ("gw1-E9", 10, 3.0)}
    assert await house.count("batch") == 1
    assert (await show(house.connection, held.quarantine_id)).state == "replayed"
    assert (await show(house.connection, held.quarantine_id)).times_seen == 1
    with pytest.raises(NotHeldError, match="is replayed"):
        await replay(house.connection, [held.quarantine_id], now_ms=house.now_ms)


async def test_replaying_repeats_nothing_that_came_by_itself(house, larger) -> None:
    """A batch that the edge sent again after the point was registered is not stored twice by the replay."""
    batch = house.batch(3, [("gw1-E9", 0, 2.0)])
    await house.write(batch)
    await house.register(larger)
    outcome = await house.write(house.arrival(batch.payload))
    assert outcome.readings == 1
    before = await house.contents()
    done = [d async for d in replay_all(house.connection, now_ms=house.now_ms)]
    assert [(d.held, d.readings) for d in done] == [(False, 0)]
    assert await house.contents() == before


async def test_a_future_reading_is_taken_when_its_time_has_come(house) -> None:
    """Time mends it; a different value that came meanwhile is a conflict, as ever."""
    await house.write(house.batch(0, [("gw1-E0", 3_600, 1.0), ("gw1-E1", 3_600, 5.0)]))
    assert await held_counts(house.connection) == {"future": 1}
    house.now_ms += 3_600_000
    await house.write(house.batch(1, [("gw1-E1", 3_600, 6.0)]))
    done = [d async for d in replay_all(house.connection, now_ms=house.now_ms, reason="future")]
    assert [(d.held, d.readings, d.conflicts) for d in done] == [(False, 1, 1)]


async def test_lists_are_filtered_and_paged(house) -> None:
    """By reason, by topic and by state, oldest first."""
    for n in range(3):
        await house.write(house.arrival(b"{%d" % n), house.arrival(b"{%d" % n, firm="b"))
    await house.write(house.batch(0, [("nobody", 0, 1.0)]))
    everything = await list_held(house.connection)
    assert len(everything) == 7
    assert [m.quarantine_id for m in everything] == sorted(m.quarantine_id for m in everything)
    assert len(await list_held(house.connection, reason="unknown_point")) == 1
    assert len(await list_held(house.connection, topic_prefix=f"greenpark/1/{house.park}/b/")) == 3
    page = await list_held(house.connection, limit=5)
    rest = await list_held(house.connection, limit=5, after=page[-1].quarantine_id)
    assert page + rest == everything
    await discard(house.connection, everything[0].quarantine_id)
    assert len(await list_held(house.connection)) == 6
    assert len(await list_held(house.connection, state="discarded")) == 1
    with pytest.raises(NotHeldError, match="is discarded"):
        await discard(house.connection, everything[0].quarantine_id)
    with pytest.raises(NotHeldError, match="does not exist"):
        await show(house.connection, 999)


async def test_what_was_discarded_stays_so(house) -> None:
    """The same message again is counted, not held again."""
    bad = house.arrival(b"{")
    await house.write(bad)
    (held,) = await list_held(house.connection)
    await discard(house.connection, held.quarantine_id)
    await house.write(bad, bad)
    message = await show(house.connection, held.quarantine_id)
    assert (message.state, message.times_seen) == ("discarded", 3)


async def test_text_that_the_database_cannot_hold_is_held_all_the_same(house) -> None:
    """NUL and lone surrogates in topic, content type or names do not keep a message out of quarantine."""
    nul = house.arrival(b"\0", content_type="a\0b")._replace(topic="greenpark/\0/\ud800")
    name = house.arrival(msgspec.json.encode({"points": ["\x7f\0"], "t": [1], "v": [1.0]}))
    large = house.arrival(b" " * (MAX_PAYLOAD_BYTES + 10))
    outcome = await house.write(nul, name, large)
    assert sum(outcome.quarantined.values()) == 3
    assert Reason.OVERSIZED in outcome.quarantined
    rows = await house.connection.fetch("SELECT topic, length(payload) AS size FROM quarantine ORDER BY quarantine_id")
    assert max(row["size"] for row in rows) == MAX_PAYLOAD_BYTES + 1
    assert any("\\x00" in row["topic"] for row in rows)
