"""Typed access to the consumption ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from park.calendar import BUCKET_S
from store.copying import copy_rows, fetch_columns
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from store.pool import Connection

_READING = ("int4", "timestamptz", "float8", "int2")
_STORED = ("int4", "timestamptz", "float8", "float8", "float4", "float4", "float8", "int2", "bool", "int2", "int8")
_PERIOD = ("int4", "timestamptz", "float8", "float8", "float8", "float8", "float8", "int2")


@dataclass(frozen=True, slots=True)
class WaitingFirm:
    """A firm with something to compute."""

    firm_id: int
    park_id: int
    time_zone: str
    span_s: float = 0.0
    """How long a time its marks span, where that is known."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Why a stretch of a point's readings is computed again."""

    point_id: int
    t_from: datetime
    t_to: datetime
    cause: str
    marked: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """The buckets of one point that a change can touch, both ends included."""

    point_id: int
    first_bucket: datetime
    last_bucket: datetime


@dataclass(frozen=True, slots=True)
class Readings:
    """Raw readings ordered by point and time; shape (n,) each, `t_us` in microseconds since 1970."""

    point_id: NDArray[np.int32]
    t_us: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """Rows of `consumption` as columns, shape (n,) each; NaN stands for null."""

    point_id: NDArray[np.int32]
    bucket_us: NDArray[np.int64]
    measured: NDArray[np.float64]
    estimated: NDArray[np.float64]
    measured_s: NDArray[np.float32]
    estimated_s: NDArray[np.float32]
    held: NDArray[np.float64]
    flags: NDArray[np.int16]
    closed: NDArray[np.bool_]
    revision: NDArray[np.int16]
    run_id: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.point_id)


@dataclass(frozen=True, slots=True)
class PeriodRows:
    """Rows of `consumption_period` of one grain as columns; NaN stands for null."""

    point_id: NDArray[np.int32]
    period_us: NDArray[np.int64]
    measured: NDArray[np.float64]
    estimated: NDArray[np.float64]
    measured_s: NDArray[np.float64]
    estimated_s: NDArray[np.float64]
    held: NDArray[np.float64]
    flags: NDArray[np.int16]


async def commit_in_passing(connection: Connection) -> None:
    """Let commits of derived data not wait for the disk; a crash loses the newest whole, and their marks wait again."""
    await connection.execute(queries("ledger")["commit_in_passing"])


async def waiting_firms(connection: Connection) -> list[WaitingFirm]:
    """Return the firms with something to compute, those waiting longest first."""
    return [WaitingFirm(**dict(row)) for row in await connection.fetch(queries("ledger")["waiting_firms"])]


async def lock_firms(connection: Connection, firm_ids: Sequence[int]) -> list[int]:
    """Try to become the one worker of some firms until the transaction ends; return those that it is."""
    return [row["firm_id"] for row in await connection.fetch(queries("ledger")["lock_firms"], list(firm_ids))]


async def take_dirty(connection: Connection, firm_ids: Sequence[int]) -> list[tuple[int, Mark]]:
    """Take what waits for some firms, as (firm, mark); it comes back if the transaction does not commit."""
    rows = await connection.fetch(queries("ledger")["take_dirty"], list(firm_ids))
    return [(row[0], Mark(*row[1:])) for row in map(tuple, rows)]


async def windows(connection: Connection, marks: Sequence[tuple[int, datetime, datetime]]) -> list[Window]:
    """Return, for each marked stretch `(point, from, to)`, the buckets that it can touch."""
    columns = [list(column) for column in zip(*marks, strict=True)]
    return [Window(**dict(row)) for row in await connection.fetch(queries("ledger")["windows"], *columns)]


async def readings(connection: Connection, wanted: Sequence[Window]) -> Readings:
    """Return the readings needed to compute these windows, neighbours included."""
    end = [w.last_bucket + timedelta(seconds=BUCKET_S) for w in wanted]
    columns = ([w.point_id for w in wanted], [w.first_bucket for w in wanted], end)
    return Readings(*await fetch_columns(connection, queries("ledger")["readings"], _READING, *columns))


async def still(
    connection: Connection, wanted: Sequence[tuple[int, datetime, float]]
) -> list[tuple[int, datetime, datetime | None]]:
    """Return, for readings `(point, t, value)`, the bounds `(point, from, to)` of the stretch of equal values there.

    `from` is at or before the last reading with another value, or 8 days back; `to` is the next reading with another
    value, None if there is none within 8 days.
    """
    columns = [list(column) for column in zip(*wanted, strict=True)]
    rows = await connection.fetch(queries("ledger")["still"], *columns)
    return [(row["point_id"], row["before"] or row["earliest"], row["after"]) for row in rows]


async def all_readings(connection: Connection, point_ids: Sequence[int]) -> Readings:
    """Return everything that was ever read at these points."""
    columns = await fetch_columns(connection, queries("ledger")["all_readings"], _READING, list(point_ids))
    return Readings(*columns)


async def stored_rows(connection: Connection, wanted: Sequence[Window]) -> LedgerRows:
    """Return what the ledger says now about these windows."""
    columns = ([w.point_id for w in wanted], [w.first_bucket for w in wanted], [w.last_bucket for w in wanted])
    return LedgerRows(*await fetch_columns(connection, queries("ledger")["stored"], _STORED, *columns))


async def stored_periods(connection: Connection, point_ids: Sequence[int], grain: str) -> PeriodRows:
    """Return what the ledger says now about these points in a grain."""
    return PeriodRows(
        *await fetch_columns(connection, queries("ledger")["stored_periods"], _PERIOD, list(point_ids), grain)
    )


async def begun(connection: Connection, point_ids: Sequence[int]) -> set[int]:
    """Return the firms of which the ledger holds something of one of these points."""
    return {row["firm_id"] for row in await connection.fetch(queries("ledger")["begun"], list(point_ids))}


async def new_run(
    connection: Connection, park_id: int, firm_id: int | None, cause: str, code_version: str, started: datetime
) -> int:
    """Open a run: what is written next names it."""
    return int(await connection.fetchval(queries("ledger")["new_run"], park_id, firm_id, cause, code_version, started))


async def new_runs(
    connection: Connection, opened: Sequence[tuple[int, int, str]], code_version: str, started: datetime
) -> list[int]:
    """Open runs of firms `(park, firm, cause)`; return their ids in the same order."""
    columns = [list(column) for column in zip(*opened, strict=True)]
    rows = await connection.fetch(queries("ledger")["new_runs"], *columns, code_version, started)
    run_of = {row["firm_id"]: int(row["run_id"]) for row in rows}
    return [run_of[firm_id] for _, firm_id, _ in opened]


async def finish_runs(connection: Connection, finished: Sequence[tuple[int, datetime | None]]) -> None:
    """Close runs `(run, time of the oldest live reading that waited for it)`."""
    await connection.execute(
        queries("ledger")["finish_runs"], *(list(column) for column in zip(*finished, strict=True))
    )


async def mark_results(
    connection: Connection, wanted: Sequence[tuple[int, str, datetime, str, datetime | None]]
) -> None:
    """Have values of firms computed again: `(firm, grain, period, cause, oldest live reading that waits)`."""
    if wanted:
        columns = [list(column) for column in zip(*wanted, strict=True)]
        await connection.execute(queries("ledger")["mark_results"], *columns)


async def finish_run(connection: Connection, run_id: int, oldest_live: datetime | None) -> None:
    """Close a run; `oldest_live` is the time of the oldest live reading that waited for it."""
    await connection.execute(queries("ledger")["finish_run"], run_id, oldest_live)


async def write_changed(connection: Connection, rows: LedgerRows) -> None:
    """Write rows that differ from what stands there, keeping what closed buckets said before."""
    sql = queries("ledger")
    await connection.execute(sql["stage"])
    await copy_rows(connection, "staged_consumption", _columns(rows), schema=None)
    await connection.execute(sql["keep_revisions"])
    await connection.execute(sql["write_staged"])


async def copy_new(connection: Connection, rows: LedgerRows) -> None:
    """Write rows of points that have none yet: the fast way for a first history."""
    await copy_rows(connection, "consumption", _columns(rows))


async def replace_spans(
    connection: Connection, spans: Sequence[Window], rows: LedgerRows, superseded: LedgerRows, by: NDArray[np.int64]
) -> None:
    """Put `rows` in the place of all that stands in the spans, and keep what closed buckets said before.

    Several times as fast as `write_changed` where most of a long span changes.
    """
    columns = _columns(superseded)
    kept = [column for column in columns if column[0] != "closed"]
    await copy_rows(connection, "consumption_revision", [*kept, ("superseded_by", "int8", by)])
    given = ([w.point_id for w in spans], [w.first_bucket for w in spans], [w.last_bucket for w in spans])
    await connection.execute(queries("ledger")["delete_spans"], *given, min(given[1]), max(given[2]))
    await copy_rows(connection, "consumption", _columns(rows))


async def copy_new_periods(connection: Connection, grain: str, rows: PeriodRows, run_id: NDArray[np.int64]) -> None:
    """Write roll-ups of points that have none yet."""
    await _stage_periods(connection, rows, run_id)
    await connection.execute(queries("ledger")["insert_periods"], grain)


async def write_periods(connection: Connection, grain: str, rows: PeriodRows, run_id: NDArray[np.int64]) -> None:
    """Write roll-ups over what stands there."""
    await _stage_periods(connection, rows, run_id)
    await connection.execute(queries("ledger")["write_periods"], grain)


async def _stage_periods(connection: Connection, rows: PeriodRows, run_id: NDArray[np.int64]) -> None:
    await connection.execute(queries("ledger")["stage_periods"])
    columns: list[tuple[str, str, NDArray[Any]]] = [
        ("point_id", "int4", rows.point_id),
        ("period", "timestamptz", rows.period_us),
        ("measured", "float8?", rows.measured),
        ("estimated", "float8?", rows.estimated),
        ("measured_s", "float8", rows.measured_s),
        ("estimated_s", "float8", rows.estimated_s),
        ("held", "float8", rows.held),
        ("flags", "int2", rows.flags),
        ("run_id", "int8", run_id),
    ]
    await copy_rows(connection, "staged_period", columns, schema=None)


async def roll_up(
    connection: Connection,
    grain: str,
    finer: str | None,
    spans: Sequence[tuple[int, datetime, datetime]],
    run_ids: Sequence[int],
) -> None:
    """Recompute periods `(point, start, end)` of a grain from the next finer one; None: from buckets.

    `run_ids`: the run that computes each of them.
    """
    if not spans:
        return
    columns: list[list[Any]] = [list(column) for column in zip(*spans, strict=True)]
    if finer is None:
        await connection.execute(queries("ledger")["roll_hours"], *columns, list(run_ids))
    else:
        await connection.execute(queries("ledger")["roll_up"], *columns, list(run_ids), grain, finer)


async def gaps_between(
    connection: Connection, spans: Sequence[tuple[int, datetime, datetime]]
) -> list[tuple[int, datetime, datetime]]:
    """Return the first and last bucket in gaps of each point `(point, after, until)`, if there is one."""
    columns = [list(column) for column in zip(*spans, strict=True)]
    return [tuple(row) for row in await connection.fetch(queries("ledger")["gaps_between"], *columns)]


async def mark_stretch(
    connection: Connection, firm_id: int, point_ids: Sequence[int], start: datetime, end: datetime, cause: str
) -> int:
    """Have what these points of a firm read in `[start, end)` computed again; return how many have read there."""
    given = (firm_id, list(point_ids), start, end, cause)
    return int(await connection.fetchval(queries("ledger")["mark_stretch"], *given))


async def waiting_of(connection: Connection, firm_ids: Sequence[int]) -> list[WaitingFirm]:
    """Return those of some firms that have something to compute."""
    rows = await connection.fetch(queries("ledger")["waiting_of"], list(firm_ids))
    return [WaitingFirm(**dict(row)) for row in rows]


async def mark_firm(connection: Connection, firm_id: int, point_id: int | None, cause: str) -> None:
    """Have everything of a firm, or of one of its points, computed again."""
    await connection.execute(queries("ledger")["mark_firm"], firm_id, point_id, cause)


def _columns(rows: LedgerRows) -> list[tuple[str, str, NDArray[Any]]]:
    return [
        ("point_id", "int4", rows.point_id),
        ("bucket", "timestamptz", rows.bucket_us),
        ("measured", "float8?", rows.measured),
        ("estimated", "float8?", rows.estimated),
        ("measured_s", "float4", rows.measured_s),
        ("estimated_s", "float4", rows.estimated_s),
        ("held", "float8", rows.held),
        ("flags", "int2", rows.flags),
        ("closed", "bool", rows.closed),
        ("revision", "int2", rows.revision),
        ("run_id", "int8", rows.run_id),
    ]
