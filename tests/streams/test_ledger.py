"""The ledger says what the readings say, once, whatever order they come in."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from park.registers import Step
from streams import ledgers, process

pytestmark = pytest.mark.stack

T0 = datetime(2025, 3, 3, 0, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def quarters(n: int, start: datetime = T0) -> list[datetime]:
    """Instants a quarter of an hour apart."""
    return [start + k * QUARTER for k in range(n)]


async def test_a_register_moves_its_buckets_hours_and_days(world) -> None:
    """Differences times the multiplier, and roll-ups that are their sums in the park's zone."""
    await world.read("a", "E", quarters(9), [100 + 2 * k for k in range(9)])
    await world.compute()
    assert (
        await world.ledger("measured", "measured_s", "estimated", "closed", "revision")
        == [(20.0, 900.0, None, True, 0)] * 8
    )
    rows = await world.connection.fetch(
        "SELECT grain, period, measured, measured_s FROM consumption_period ORDER BY 1, 2"
    )
    found = [(row["grain"], row["period"], row["measured"], row["measured_s"]) for row in rows]
    assert found == [
        ("day", datetime(2025, 3, 2, 16, tzinfo=UTC), 160.0, 7200.0),
        ("hour", T0, 80.0, 3600.0),
        ("hour", T0 + timedelta(hours=1), 80.0, 3600.0),
        ("month", datetime(2025, 2, 28, 16, tzinfo=UTC), 160.0, 7200.0),
        ("year", datetime(2024, 12, 31, 16, tzinfo=UTC), 160.0, 7200.0),
    ]


async def test_a_gap_keeps_its_total_and_is_estimated(world) -> None:
    """What passed in a gap is known, when it passed is not; the total is shared out and marked."""
    await world.read("a", "F", [T0, T0 + QUARTER, T0 + 5 * QUARTER], [0, 1, 9])
    await world.compute()
    rows = await world.ledger("measured", "estimated", "estimated_s", "flags")
    assert rows[0] == (1.0, None, 0.0, 0)
    assert rows[1:] == [(None, 2.0, 900.0, int(Step.GAP))] * 4


async def test_a_late_reading_revises_what_was_published_and_keeps_it(world) -> None:
    """The estimate gives way to the measurement as a new revision that names its run; the old one stays."""
    await world.read("a", "F", [T0, T0 + 2 * QUARTER], [0, 10])
    await world.compute()
    await world.read("a", "F", [T0 + QUARTER], [9])
    await world.compute()
    assert await world.ledger("measured", "estimated", "revision") == [(9.0, None, 1), (1.0, None, 1)]
    kept = await world.connection.fetch("SELECT * FROM consumption_revision ORDER BY bucket")
    assert [(row["estimated"], row["revision"]) for row in kept] == [(5.0, 0), (5.0, 0)]
    [(run,)] = set(await world.ledger("run_id"))
    assert {row["superseded_by"] for row in kept} == {run}
    day = await world.connection.fetchrow("SELECT measured, estimated FROM consumption_period WHERE grain = 'day'")
    assert tuple(day) == (10.0, None)


async def test_computing_again_changes_nothing(world) -> None:
    """What says the same is not written again."""
    await world.read("a", "E", quarters(5), [1, 2, 3, 5, 8])
    await world.compute()
    before = await world.ledger("bucket", "measured", "revision", "run_id")
    await world.connection.execute(
        "INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause) SELECT firm_id, point_id, $2, $3, 'again'"
        " FROM point WHERE point_id = $1",
        world.points["a", "E"],
        T0,
        T0 + QUARTER,
    )
    await world.compute()
    assert await world.ledger("bucket", "measured", "revision", "run_id") == before
    assert await world.connection.fetchval("SELECT count(*) FROM dirty") == 0


@pytest.mark.parametrize("seed", range(5))
async def test_any_order_of_arrival_equals_a_computation_from_scratch(world, seed: int) -> None:
    """Rollover, gap, glitch and all: pieces in any order end at the same ledger as everything at once."""
    rng = random.Random(seed)
    dial, readings, t = 999_900.0, [], T0
    for _ in range(120):
        t += timedelta(seconds=rng.choice([30, 60, 300, 900, 900, 4000]))
        dial += rng.choice([0, 0.1, 1, 7.5])
        shown = 0.0 if rng.random() < 0.03 and readings else dial % 1e6
        readings.append((t, shown))
    pieces = [readings[k : k + 10] for k in range(0, 120, 10)]
    rng.shuffle(pieces)
    for piece in pieces:
        await world.read("a", "F", [t for t, _ in piece], [v for _, v in piece])
        await world.compute()
    await world.read("b", "F", [t for t, _ in readings], [v for _, v in readings])
    await world.compute()

    async def of(name: str, table: str, key: str) -> list[tuple]:
        rows = await world.connection.fetch(
            f"SELECT {key}, coalesce(round((coalesce(measured, 0) + coalesce(estimated, 0))::numeric, 6), 0),"
            f" round(coalesce(measured, -1)::numeric, 6), round(measured_s::numeric, 1), flags FROM {table}"
            " WHERE point_id = $1 AND (measured_s > 0 OR estimated_s > 0 OR flags <> 0) ORDER BY 1, 2",
            world.points[name, "F"],
        )
        return [tuple(row) for row in rows]

    assert await of("a", "consumption", "bucket") == await of("b", "consumption", "bucket")
    assert await of("a", "consumption_period", "grain || period") == await of(
        "b", "consumption_period", "grain || period"
    )


@pytest.mark.parametrize("seed", range(6))
async def test_a_value_that_froze_and_caught_up_is_the_same_in_any_order_of_arrival(world, seed: int) -> None:
    """Long stretches that stand still, with a leap at their end, are decided alike piece by piece and at once."""
    await world.connection.execute("UPDATE point SET rate_limit_per_h = 40, interval_s = 300 WHERE code = 'F'")
    rng = random.Random(seed)
    true, shown, readings, t, thaw = 999_900.0, 999_900.0, [], T0, 0
    for k in range(300):
        t += timedelta(seconds=300)
        true += rng.choice([0, 0.5, 1, 2])
        if thaw <= k and rng.random() < 0.04:
            thaw = k + rng.randint(3, 60)
        shown = shown if k < thaw else true
        readings.append((t, round(shown % 1e6, 3)))
    pieces = [readings[k : k + 12] for k in range(0, 300, 12)]
    rng.shuffle(pieces)
    for piece in pieces:
        await world.read("a", "F", [t for t, _ in piece], [v for _, v in piece])
        await world.compute()
    await world.read("b", "F", [t for t, _ in readings], [v for _, v in readings])
    await world.compute()
    query = (
        "SELECT bucket, round(coalesce(measured, -1)::numeric, 6) AS m,"
        " round(coalesce(estimated, -1)::numeric, 6) AS e, round(measured_s::numeric, 1) AS ms, flags, held"
        " FROM consumption WHERE point_id = $1 AND (measured_s > 0 OR estimated_s > 0 OR flags <> 0) ORDER BY 1"
    )
    found = {
        name: [tuple(row) for row in await world.connection.fetch(query, world.points[name, "F"])] for name in "ab"
    }
    assert found["a"] == found["b"]
    total = sum(max(float(row[1]), 0) + max(float(row[2]), 0) for row in found["a"])
    assert total == pytest.approx(readings[-1][1] + 1e6 * (readings[-1][1] < 9e5) - readings[0][1], abs=1e-3)
    assert any(row[4] & Step.FROZEN for row in found["a"])


async def _told(world, name: str) -> list[tuple]:
    rows = await world.connection.fetch(
        "SELECT bucket, round(coalesce(measured, -1)::numeric, 6) AS m,"
        " round(coalesce(estimated, -1)::numeric, 6) AS e, round(measured_s::numeric, 1) AS ms, flags"
        " FROM consumption WHERE point_id = $1"
        " AND (measured_s > 0 OR estimated_s > 0 OR flags <> 0) ORDER BY 1",
        world.points[name, "F"],
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("seed", range(3))
async def test_the_course_of_gaps_is_the_same_in_any_order_of_arrival(world, seed: int) -> None:
    """Weeks that come late tell gaps that were shared out before; in the end all is as if computed at once."""
    rng = random.Random(seed)
    dial, readings, t = 0.0, [], T0
    for k in range(6 * 7 * 96):
        t += timedelta(seconds=900)
        dial += 8.0 if 32 <= k % 96 < 72 and k // 96 % 7 < 5 else 1.0
        readings.append((t, dial))
    holes = sorted(rng.sample(range(7 * 96, 6 * 7 * 96 - 300), 5))
    readings = [r for k, r in enumerate(readings) if not any(a <= k < a + 10 + (a % 200) for a in holes)]
    size = len(readings) // 8 + 1
    pieces = [readings[k : k + size] for k in range(0, len(readings), size)]
    rng.shuffle(pieces)
    for piece in pieces:
        await world.read("a", "F", [t for t, _ in piece], [v for _, v in piece])
        await world.compute()
    await world.read("b", "F", [t for t, _ in readings], [v for _, v in readings])
    await world.compute()
    found = await _told(world, "a")
    assert found == await _told(world, "b")
    total = sum(max(float(row[1]), 0) + max(float(row[2]), 0) for row in found)
    assert total == pytest.approx(readings[-1][1] - readings[0][1], rel=1e-9)
    within = [float(row[2]) for row in found if row[4] & Step.GAP and row[3] == 0]
    assert max(within) > 3 * min(within)


async def test_a_late_week_moves_the_course_of_a_gap_and_keeps_what_it_said(world) -> None:
    """A night without readings is shared out by time until the week before is known: then as that week went."""
    week = [(T0 + timedelta(seconds=900 * k), float(k // 4)) for k in range(7 * 96 + 1)]
    gap = [(week[-1][0] + timedelta(seconds=900 * k), 168.0 + k / 4) for k in (0, 1, 13, 14)]
    await world.read("a", "F", [t for t, _ in gap], [v for _, v in gap])
    await world.compute()
    await world.read("a", "F", [t for t, _ in week[:-1]], [v for _, v in week[:-1]])
    await world.compute()
    rows = await world.connection.fetch(
        "SELECT estimated, revision FROM consumption WHERE point_id = $1 AND bucket > $2 AND flags & 16 <> 0"
        " ORDER BY bucket",
        world.points["a", "F"],
        week[-1][0],
    )
    assert sorted(row["estimated"] for row in rows) == pytest.approx([0.0] * 9 + [1.0] * 3)
    assert {row["revision"] for row in rows} == {1}


async def test_two_workers_never_compute_one_firm_at_once(world) -> None:
    """While one worker holds a firm, another leaves its work where it is."""
    await world.read("a", "E", quarters(3), [1, 2, 3])
    async with world.pool.acquire() as other, other.transaction():
        assert await other.fetchval("SELECT pg_try_advisory_xact_lock(1, firm_id) FROM firm WHERE code = 'a'")
        await world.compute()
        assert await world.ledger("measured") == []
        assert await world.connection.fetchval("SELECT count(*) FROM dirty") == 1
    await world.compute()
    assert await world.ledger("measured") == [(10.0,), (10.0,)]


async def test_a_rebuild_equals_an_advance(world) -> None:
    """The fast first history and the careful increment write the same rows."""
    times = quarters(300)
    values = [5 * k + (k % 7) for k in range(300)]
    await world.read("a", "F", times, values)
    await world.compute()
    await world.read("b", "F", times[:150], values[:150])
    await world.compute()
    await world.read("b", "F", times[150:], values[150:])
    await world.compute()
    columns = "grain, period, measured, estimated, measured_s, estimated_s, held, flags"
    query = f"SELECT {columns} FROM consumption_period WHERE point_id = $1 ORDER BY grain, period"
    whole = await world.connection.fetch(query, world.points["a", "F"])
    parts = await world.connection.fetch(query, world.points["b", "F"])
    assert [tuple(row) for row in whole] == [tuple(row) for row in parts]
    assert len(whole) > 75


async def test_what_is_wrong_with_one_firm_stops_no_other(world, monkeypatch) -> None:
    """A firm whose computation fails rests with its work kept; its neighbour is computed, and later it is as well."""
    await world.read("a", "E", quarters(3), [1, 2, 3])
    await world.read("b", "E", quarters(3), [1, 2, 3])
    real = ledgers.rebuild

    async def broken(connection, points, *arguments, **more):
        if points[0].point.point_id == world.points["a", "E"]:
            raise ValueError("planted")
        return await real(connection, points, *arguments, **more)

    monkeypatch.setattr(ledgers, "rebuild", broken)
    minute = process._Minute()
    await process.once(world.settings, world.pool, minute)
    assert await world.ledger("point_id", "measured") == [(world.points["b", "E"], 10.0)] * 2
    assert await world.connection.fetchval("SELECT count(*) FROM dirty") == 1
    await process.once(world.settings, world.pool, minute)  # it rests: not tried again at once
    assert len(minute.resting) == 1
    monkeypatch.setattr(ledgers, "rebuild", real)
    await process.once(world.settings, world.pool)
    assert await world.connection.fetchval("SELECT count(*) FROM dirty") == 0
    assert len(await world.ledger("measured")) == 4
