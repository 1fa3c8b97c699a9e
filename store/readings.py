"""Readings into the store: fast where all are new, exact where some are there already.

Every function works inside the caller's transaction. Arrays of readings are sorted by point and time first: the index
fills faster, and two transactions take their locks in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg
import numpy as np

from store.copying import copy_rows
from store.errors import OccupiedError
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from store.pool import Connection

_HISTORY_ROWS: Final = 500_000
_CHUNK_US: Final = 7 * 86_400 * 1_000_000  # the chunk interval of `reading`
_NOTIFY_BYTES: Final = 7_000  # PostgreSQL refuses payloads of 8000


class BatchColumns(NamedTuple):
    """Accepted messages as columns of equal length; boot and seq are both None for publishers without batches."""

    edge_id: list[int]
    boot: list[str | None]
    seq: list[int | None]
    sent_ms: list[int | None]
    readings: list[int]


@dataclass(frozen=True, slots=True)
class ReadingColumns:
    """Readings as columns of equal length.

    Attributes:
        point_id: int32.
        t_us: microseconds since 1970, int64.
        value: float64.
        quality: int16.
        batch_id: int64.
    """

    point_id: NDArray[np.int32]
    t_us: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]
    batch_id: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.point_id)

    def sorted(self) -> ReadingColumns:
        """Return the same readings by point and time; equal ones keep their order of arrival."""
        return self.take(np.lexsort((self.t_us, self.point_id)))

    def take(self, order: NDArray[np.intp] | slice) -> ReadingColumns:
        """Return the readings at these places."""
        return ReadingColumns(
            self.point_id[order], self.t_us[order], self.value[order], self.quality[order], self.batch_id[order]
        )

    def has_twins(self) -> bool:
        """Tell whether a point and time stands twice; the readings must be sorted."""
        same = (self.point_id[1:] == self.point_id[:-1]) & (self.t_us[1:] == self.t_us[:-1])
        return bool(same.any())


@dataclass(frozen=True, slots=True)
class Touched:
    """Per point that got readings, by point: the times they span and the newest of them."""

    point_id: NDArray[np.int32]
    from_us: NDArray[np.int64]
    to_us: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Staged:
    """What became of readings that may have been there already.

    Attributes:
        readings: how many were new.
        conflicts: how many differed from what is stored, and were not yet kept aside.
        fruitful: ids of the batches of which at least one reading was stored or kept aside.
    """

    touched: Touched
    readings: int
    conflicts: int
    fruitful: frozenset[int]


def touched_by(columns: ReadingColumns) -> Touched:
    """Return what sorted readings touch; all of them must have been stored."""
    starts = np.ones(len(columns), bool)
    starts[1:] = columns.point_id[1:] != columns.point_id[:-1]
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(columns))[: len(first)] - 1
    return Touched(
        columns.point_id[first], columns.t_us[first], columns.t_us[last], columns.value[last], columns.quality[last]
    )


async def open_staging(connection: Connection) -> None:
    """Make the connection's staging table; once per connection."""
    await connection.execute(queries("readings")["staging"])


async def insert_batches(connection: Connection, batches: BatchColumns) -> dict[int, int]:
    """Store the batches that are new; return their places in `batches` and their ids."""
    rows = await connection.fetch(queries("readings")["insert_batches"], *batches)
    return {row["ordinal"]: row["batch_id"] for row in rows}


async def find_batch(connection: Connection, edge_id: int, boot: str, seq: int) -> int | None:
    """Return the id of a stored batch."""
    found: int | None = await connection.fetchval(queries("readings")["find_batch"], edge_id, boot, seq)
    return found


async def delete_batches(connection: Connection, batch_ids: Sequence[int]) -> None:
    """Take back batches, stored in this transaction, that brought nothing."""
    await connection.execute(queries("readings")["delete_batches"], batch_ids)


async def copy_readings(connection: Connection, columns: ReadingColumns) -> Touched | None:
    """Store sorted readings that are believed to be new; None, and nothing stored, if one was there already."""
    try:
        async with connection.transaction():
            await _copy(connection, columns)
    except asyncpg.UniqueViolationError:
        return None
    return touched_by(columns)


async def stage_readings(connection: Connection, columns: ReadingColumns) -> Staged:
    """Store those of sorted readings that are new, keep aside those that differ from what is stored.

    A difference in value or in quality is a conflict; an equal reading is nothing.
    """
    sql = queries("readings")
    ordinal = np.arange(len(columns), dtype=np.int32)
    await copy_rows(connection, "incoming", [*typed(columns), ("ordinal", "int4", ordinal)], schema=None)
    status = await connection.execute(sql["insert_staged"])
    stored = int(status.rpartition(" ")[2])
    if stored == len(columns):
        return Staged(touched_by(columns), stored, 0, frozenset(columns.batch_id.tolist()))
    span = int(columns.t_us.min()), int(columns.t_us.max())
    await connection.execute(sql["by_index"])
    ordinals = (await connection.fetchval(sql["stored_of_staged"], *span) if stored else None) or []
    different = await connection.fetch(sql["set_aside"], *span)
    await connection.execute(sql["by_choice"])
    new = columns.take(np.array(ordinals, np.intp))
    fruitful = {*new.batch_id.tolist(), *(row["batch_id"] for row in different)}
    return Staged(touched_by(new), stored, sum(row["readings"] for row in different), frozenset(fruitful))


async def record_touched(
    connection: Connection, touched: Touched, firm_of: Mapping[int, int], *, cause: str = "reading"
) -> None:
    """Bring `latest` up to date, mark what must be computed again, and wake the streams at commit."""
    if not len(touched.point_id):
        return
    points = touched.point_id.tolist()
    await connection.execute(
        queries("readings")["upsert_latest"],
        points,
        touched.to_us.tolist(),
        touched.value.tolist(),
        touched.quality.tolist(),
    )
    firms = [firm_of[point] for point in points]
    await mark_dirty(connection, firms, points, touched.from_us.tolist(), touched.to_us.tolist(), cause=cause)


async def mark_dirty(
    connection: Connection,
    firm_ids: Sequence[int],
    point_ids: Sequence[int],
    from_us: Sequence[int],
    to_us: Sequence[int],
    *,
    cause: str,
) -> None:
    """Have stretches of points computed again, both ends included, and notify `greenpark_dirty`."""
    sql = queries("readings")
    await connection.execute(sql["mark_dirty"], firm_ids, point_ids, from_us, to_us, cause)
    await connection.execute(sql["notify_dirty"], notifications(set(firm_ids)))


def notifications(firm_ids: Iterable[int]) -> list[str]:
    """Return payloads, firm ids joined by commas, none longer than PostgreSQL takes."""
    payloads: list[str] = []
    for text in map(str, sorted(firm_ids)):
        if payloads and len(payloads[-1]) + len(text) < _NOTIFY_BYTES:
            payloads[-1] += f",{text}"
        else:
            payloads.append(text)
    return payloads


async def load_history(
    connection: Connection,
    edge_id: int,
    boot: str,
    point_ids: NDArray[np.int32],
    t_us: NDArray[np.int64],
    values: NDArray[np.float64],
    qualities: NDArray[np.int16] | None = None,
    *,
    mark_dirty: bool = True,
) -> int:
    """Lay down many readings of one edge where the points have none yet; return how many.

    All or nothing, about half a million readings a second. Batches are named (`edge_id`, `boot`, 0 …) and continue
    where an earlier call with the same boot stopped. The arrays are columns of equal length, in any order; qualities
    None means that all are good. With `mark_dirty` false streams will not compute from it: for a caller that lays down
    the results too.

    Raises:
        OccupiedError: one of the points has a reading between the first and the last of these times, or a point and
            time stands twice.
    """
    if not len(point_ids):
        return 0
    quality = np.zeros(len(point_ids), np.int16) if qualities is None else qualities
    # By chunk first: a batch then fills few chunks, each in the order of its index.
    order = np.lexsort((t_us, point_ids, t_us // _CHUNK_US))
    columns = ReadingColumns(point_ids, t_us, values, quality, np.zeros(len(point_ids), np.int64)).take(order)
    if columns.has_twins():
        raise OccupiedError(None)
    sql = queries("readings")
    points = np.unique(point_ids).tolist()
    async with connection.transaction():
        occupied = await connection.fetchval(sql["occupied"], points, int(t_us.min()), int(t_us.max()))
        if occupied is not None:
            raise OccupiedError(occupied)
        seq = await connection.fetchval(sql["next_seq"], edge_id, boot)
        sizes = [min(_HISTORY_ROWS, len(columns) - start) for start in range(0, len(columns), _HISTORY_ROWS)]
        names: list[int | None] = list(range(seq, seq + len(sizes)))
        ids = await insert_batches(
            connection,
            BatchColumns([edge_id] * len(sizes), [boot] * len(sizes), names, [None] * len(sizes), sizes),
        )
        for k in range(len(sizes)):
            part = columns.take(slice(k * _HISTORY_ROWS, (k + 1) * _HISTORY_ROWS))
            part.batch_id[:] = ids[k]
            try:
                await _copy(connection, part)
            except asyncpg.UniqueViolationError:  # somebody wrote there since we looked
                raise OccupiedError(None) from None
        touched = touched_by(columns.sorted())
        if mark_dirty:
            rows = await connection.fetch(sql["firms_of_points"], points)
            firm_of = {row["point_id"]: row["firm_id"] for row in rows}
            await record_touched(connection, touched, firm_of, cause="history")
        else:
            newest = (touched.to_us.tolist(), touched.value.tolist(), touched.quality.tolist())
            await connection.execute(sql["upsert_latest"], points, *newest)
    return len(columns)


def typed(columns: ReadingColumns) -> list[tuple[str, str, NDArray[np.generic]]]:
    """Return the columns as `copy_rows` takes them."""
    return [
        ("point_id", "int4", columns.point_id),
        ("t", "timestamptz", columns.t_us),
        ("value", "float8", columns.value),
        ("quality", "int2", columns.quality),
        ("batch_id", "int8", columns.batch_id),
    ]


async def _copy(connection: Connection, columns: ReadingColumns) -> None:
    await copy_rows(connection, "reading", typed(columns))
