"""Readings into the store: fast where all are new, exact where some are there already."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from park.definition import FirmDefinition, ParkDefinition, PointDefinition
from park.points import Kind
from store.errors import OccupiedError
from store.pool import connected
from store.readings import (
    BatchColumns,
    ReadingColumns,
    copy_readings,
    find_batch,
    insert_batches,
    load_history,
    notifications,
    open_staging,
    stage_readings,
    touched_by,
)
from store.registry import apply_definition

T0_US = 1_763_625_600_000_000


def columns(*rows: tuple[int, int, float], batch_id: int = 1) -> ReadingColumns:
    """Sorted readings of (point, seconds after T0, value)."""
    return ReadingColumns(
        np.array([row[0] for row in rows], np.int32),
        np.array([T0_US + row[1] * 1_000_000 for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.zeros(len(rows), np.int16),
        np.full(len(rows), batch_id, np.int64),
    ).sorted()


def test_readings_are_sorted_by_point_and_time_in_order_of_arrival() -> None:
    """Equal ones keep their order, and are found to be twins."""
    found = columns((2, 0, 1.0), (1, 5, 2.0), (1, 0, 3.0), (1, 5, 4.0))
    assert found.point_id.tolist() == [1, 1, 1, 2]
    assert found.value.tolist() == [3.0, 2.0, 4.0, 1.0]
    assert found.has_twins()
    assert not columns((1, 0, 1.0), (1, 1, 1.0), (2, 1, 1.0)).has_twins()


def test_what_readings_touch() -> None:
    """Each point's span and its newest value; nothing touches nothing."""
    touched = touched_by(columns((2, 7, 1.0), (1, 5, 2.0), (1, 0, 3.0)))
    assert touched.point_id.tolist() == [1, 2]
    assert ((touched.from_us - T0_US) // 1_000_000).tolist() == [0, 7]
    assert ((touched.to_us - T0_US) // 1_000_000).tolist() == [5, 7]
    assert touched.value.tolist() == [2.0, 1.0]
    assert len(touched_by(columns()).point_id) == 0


def test_notifications_fit() -> None:
    """However many firms there are, no payload is longer than PostgreSQL takes, and none is left out."""
    firms = set(range(100_000, 103_000))
    payloads = notifications(firms)
    assert len(payloads) > 1
    assert max(len(payload) for payload in payloads) < 8_000
    assert {int(firm) for payload in payloads for firm in payload.split(",")} == firms
    assert notifications([]) == []


@pytest.fixture
async def connection(database_url: str):
    points = [
        PointDefinition(code=f"E{n}", name_zh="x", name_en="x", kind=Kind.REGISTER, carrier="electricity",
                        unit="kWh", edge="gw1")
        for n in range(5)
    ]  # fmt: skip
    firm = FirmDefinition(code="a", name_zh="x", name_en="x", industry="x", edges=["gw1"], points=points)
    async with connected(database_url) as connection:
        await apply_definition(connection, ParkDefinition(code="p", name_zh="x", name_en="x", firms=[firm]))
        await open_staging(connection)
        yield connection


async def rows(connection: Any) -> list[tuple[int, int, float]]:
    found = await connection.fetch(
        "SELECT point_id, extract(epoch FROM t)::bigint - $1 AS s, value FROM reading ORDER BY 1, 2", T0_US // 1_000_000
    )
    return [(row["point_id"], row["s"], row["value"]) for row in found]


@pytest.mark.stack
async def test_batches_are_named_once(connection) -> None:
    """The ids of the new ones come back under their places; names that are there, or come twice, do not."""
    first = await insert_batches(connection, BatchColumns([1, 1, 2], ["b", "b", "b"], [0, 1, 0], [None, 5, 6], [1] * 3))
    assert sorted(first) == [0, 1, 2]
    again = await insert_batches(
        connection,
        BatchColumns([1, 1, 2, 2, 2], ["b", "b", "b", None, "b"], [0, 2, 3, None, 3], [None] * 5, [1] * 5),
    )
    assert set(again) in ({1, 2, 3}, {1, 3, 4})
    assert await find_batch(connection, 1, "b", 2) == again[1]
    assert await find_batch(connection, 1, "b", 99) is None
    stored = await connection.fetchval("SELECT sent FROM batch WHERE edge_id = 1 AND seq = 1")
    assert stored.timestamp() == 0.005


@pytest.mark.stack
async def test_a_straight_copy_is_all_or_nothing(connection) -> None:
    """One reading that is there already, and none of the others is stored."""
    async with connection.transaction():
        assert await copy_readings(connection, columns((1, 0, 1.0), (1, 10, 2.0))) is not None
        assert await copy_readings(connection, columns((1, 20, 1.0), (1, 10, 2.0))) is None
    assert await rows(connection) == [(1, 0, 1.0), (1, 10, 2.0)]


@pytest.mark.stack
async def test_staging_tells_what_is_new_what_differs_and_what_is_known(connection) -> None:
    """Across many chunks, twins included."""
    year = 365 * 86_400
    async with connection.transaction():
        await copy_readings(connection, columns((1, 0, 1.0), (2, year, 2.0), batch_id=1))
        staged = await stage_readings(
            connection,
            columns((1, 0, 1.0), (1, 5, 6.0), (1, 5, 7.0), (2, year, 9.0), (3, -year, 3.0), (3, 0, 4.0), batch_id=2),
        )
    assert (staged.readings, staged.conflicts) == (3, 2)
    assert staged.touched.point_id.tolist() == [1, 3]
    assert ((staged.touched.from_us - T0_US) // 1_000_000).tolist() == [5, -year]
    assert staged.touched.value.tolist() == [6.0, 4.0]
    assert staged.fruitful == {2}
    assert await rows(connection) == [(1, 0, 1.0), (1, 5, 6.0), (2, year, 2.0), (3, -year, 3.0), (3, 0, 4.0)]
    async with connection.transaction():
        again = await stage_readings(connection, columns((1, 0, 1.0), (3, 0, 4.0), batch_id=3))
    assert (again.readings, again.conflicts, again.fruitful) == (0, 0, frozenset())


@pytest.mark.stack
async def test_staging_agrees_with_a_plain_model(connection) -> None:
    """Random overlapping batches leave what a dictionary that keeps the first would hold, conflicts beside it."""
    random = np.random.default_rng(3)
    model: dict[tuple[int, int], float] = {}
    aside: set[tuple[int, int, float]] = set()
    for batch_id in range(1, 16):
        batch = columns(
            *[
                (int(p), int(t), float(v))
                for p, t, v in random.integers((1, 0, 0), (4, 12, 3), (int(random.integers(1, 12)), 3))
            ],
            batch_id=batch_id,
        )
        before = len(model)
        async with connection.transaction():
            staged = await stage_readings(connection, batch)
        for p, t_us, value in zip(batch.point_id.tolist(), batch.t_us.tolist(), batch.value.tolist(), strict=True):
            key = p, (t_us - T0_US) // 1_000_000
            if model.setdefault(key, value) != value:
                aside.add((*key, value))
        assert staged.readings == len(model) - before
    assert await rows(connection) == sorted((*key, value) for key, value in model.items())
    kept = await connection.fetch(
        "SELECT point_id, extract(epoch FROM t)::bigint - $1 AS s, value FROM reading_conflict", T0_US // 1_000_000
    )
    assert sorted(tuple(row) for row in kept) == sorted(aside)


def history(points: int, times: int, start_us: int = T0_US) -> tuple[Any, Any, Any]:
    return (
        np.repeat(np.arange(1, points + 1, dtype=np.int32), times),
        np.tile(start_us + np.arange(times, dtype=np.int64) * 900_000_000, points),
        np.arange(points * times, dtype=np.float64),
    )


@pytest.mark.stack
async def test_history_is_laid_down_at_once(connection) -> None:
    """A year of five points: readings, batches, the newest values and what streams must compute."""
    points, t_us, values = history(5, 35_040)
    shuffled = np.random.default_rng(1).permutation(len(points))
    count = await load_history(connection, 1, "history", points[shuffled], t_us[shuffled], values[shuffled])
    assert count == await connection.fetchval("SELECT count(*) FROM reading") == 5 * 35_040
    assert await connection.fetchval("SELECT sum(readings) FROM batch WHERE boot = 'history'") == count
    newest = await connection.fetch("SELECT value FROM latest ORDER BY point_id")
    assert [row["value"] for row in newest] == [35_040.0 * n - 1 for n in range(1, 6)]
    dirty = await connection.fetch("SELECT extract(epoch FROM t_to - t_from) AS span, cause FROM dirty")
    assert [(row["span"], row["cause"]) for row in dirty] == [(35_039 * 900, "history")] * 5
    orphans = "SELECT count(*) FROM reading WHERE batch_id NOT IN (SELECT batch_id FROM batch WHERE boot = 'history')"
    assert await connection.fetchval(orphans) == 0


@pytest.mark.stack
async def test_history_lies_only_where_there_is_nothing(connection) -> None:
    """Readings in the way, or a time that stands twice, and nothing at all is stored; beside them there is room."""
    await load_history(connection, 1, "h", *history(2, 10), mark_dirty=False)
    assert await connection.fetchval("SELECT count(*) FROM dirty") == 0
    with pytest.raises(OccupiedError, match="point 1 has readings") as caught:
        await load_history(connection, 1, "h", *history(5, 10))
    assert caught.value.point_id == 1
    points, t_us, values = history(5, 10, T0_US - 86_400_000_000)
    with pytest.raises(OccupiedError, match="twice"):
        await load_history(connection, 1, "h", np.append(points, points[:1]), np.append(t_us, t_us[:1]),
                           np.append(values, 1.0))  # fmt: skip
    assert await connection.fetchval("SELECT count(*) FROM reading") == 20
    assert await load_history(connection, 1, "h", points, t_us, values) == 50
    seqs = await connection.fetch("SELECT seq FROM batch WHERE boot = 'h' ORDER BY seq")
    assert [row["seq"] for row in seqs] == [0, 1]
    # The day before is older: the newest values stay.
    assert await connection.fetchval("SELECT value FROM latest WHERE point_id = 1") == 9.0
    empty = np.array([], np.int32), np.array([], np.int64), np.array([], np.float64)
    assert await load_history(connection, 1, "h", *empty) == 0
