"""Typed access to indicator values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from store.copying import copy_encoded, fetch_columns
from store.errors import UnknownNameError
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from store.pool import Connection


_AMOUNT = ("int4", "timestamptz", "float8", "float8", "float8")
_BETWEEN = 32
"""From so many periods on, all between the first and the last are read."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A point that indicators read; `handed_on`: another firm's, which takes behind a meter of this one."""

    firm_id: int
    point_id: int
    carrier: str
    direction: str
    unit: str
    product: str | None
    handed_on: bool


@dataclass(frozen=True, slots=True)
class AmountRows:
    """What points moved in periods, as columns, shape (n,) each; NaN: unknown."""

    point_id: NDArray[np.int32]
    period_us: NDArray[np.int64]
    quantity: NDArray[np.float64]
    measured_s: NDArray[np.float64]
    estimated_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sums:
    """Numerators and denominators summed over periods."""

    numerator: float | None
    denominator: float | None
    periods: int
    defined: int


async def sources(connection: Connection, firm_ids: Sequence[int]) -> list[SourceRow]:
    """Return the points of some firms that indicators read, by firm and point."""
    return [SourceRow(**dict(row)) for row in await connection.fetch(queries("indicators")["sources"], list(firm_ids))]


async def amounts(
    connection: Connection, point_ids: Sequence[int], grain: str, periods: Sequence[datetime]
) -> AmountRows:
    """Return what points moved in the given periods of a grain, or buckets (`grain='bucket'`), and maybe others."""
    sql = queries("indicators")
    first, last = min(periods), max(periods) + timedelta(microseconds=1)
    if grain == "bucket":
        found = await fetch_columns(connection, sql["bucket_amounts"], _AMOUNT, list(point_ids), first, last)
    elif len(periods) >= _BETWEEN:
        found = await fetch_columns(connection, sql["amounts_between"], _AMOUNT, list(point_ids), grain, first, last)
    else:
        found = await fetch_columns(connection, sql["amounts"], _AMOUNT, list(point_ids), grain, list(periods))
    return AmountRows(*found)


async def whole_buckets(
    connection: Connection, point_ids: Sequence[int], start: datetime, end: datetime
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """Return point, start (microseconds since 1970) and quantity of the buckets in `[start, end)` covered whole."""
    found = await fetch_columns(
        connection,
        queries("indicators")["whole_buckets"],
        ("int4", "timestamptz", "float8"),
        list(point_ids),
        start,
        end,
    )
    return found[0], found[1], found[2]


async def stored_demands(
    connection: Connection, wanted: Sequence[tuple[int, datetime, datetime]], grain: str
) -> list[tuple[int, datetime, float, float]]:
    """Return firm, period, maximum demand and coverage of the periods of a grain in `(firm, start, end)`."""
    if not wanted:
        return []
    ids, starts, ends = ([row[k] for row in wanted] for k in range(3))
    rows = await connection.fetch(queries("indicators")["stored_demands"], ids, starts, ends, grain)
    return [tuple(row) for row in rows]


async def year_values(connection: Connection, subject: str, year: int) -> dict[str, tuple[float | None, str | None]]:
    """Return value and reason of each indicator of a park, or `park/firm`, in a calendar year.

    Raises:
        UnknownNameError: no such park or firm.
    """
    sql = queries("indicators")
    park, _, firm = subject.partition("/")
    if not await connection.fetchval(sql["subject_exists"], park, firm or None):
        raise UnknownNameError("firm" if firm else "park", subject)
    rows = await connection.fetch(sql["year_values"], park, firm or None, year)
    return {row["indicator_id"]: (row["value"], row["reason"]) for row in rows}


async def reporting(connection: Connection, firm_ids: Sequence[int]) -> dict[int, dict[int, set[str]]]:
    """Return which kinds of inputs some firms have reported, by firm and year."""
    found: dict[int, dict[int, set[str]]] = {}
    for row in await connection.fetch(queries("indicators")["reporting"], list(firm_ids)):
        found.setdefault(row["firm_id"], {}).setdefault(row["year"], set()).add(row["kind"])
    return found


async def lacking(
    connection: Connection, years: Sequence[tuple[int, datetime]], indicator_id: str, catalogue: int
) -> set[int]:
    """Return those of some `(firm, year)` that lack a value of an indicator by this version of the catalogue."""
    ids, periods = [firm for firm, _ in years], [start for _, start in years]
    rows = await connection.fetch(queries("indicators")["lacking"], ids, periods, indicator_id, catalogue)
    return {row[0] for row in rows}


async def lock_firms(connection: Connection, firm_ids: Sequence[int]) -> set[int]:
    """Try to become the one worker of each of some firms until the transaction ends; return those it became."""
    return {row[0] for row in await connection.fetch(queries("indicators")["lock_firms"], list(firm_ids))}


async def take_values_of(
    connection: Connection, firm_ids: Sequence[int]
) -> dict[int, list[tuple[str, datetime, list[str], datetime | None]]]:
    """Take what waits for some firms: of each grain, period, why, and the oldest live reading behind it."""
    found: dict[int, list[tuple[str, datetime, list[str], datetime | None]]] = {}
    for row in await connection.fetch(queries("indicators")["take_values_of"], list(firm_ids)):
        found.setdefault(row["firm_id"], []).append((row["grain"], row["period"], row["causes"], row["since"]))
    return found


async def new_runs(
    connection: Connection, wanted: Sequence[tuple[int, int, str]], code_version: str, started: datetime
) -> dict[int, int]:
    """Open a run for each `(park, firm, cause)`; return run by firm."""
    parks, firms, causes = ([row[k] for row in wanted] for k in range(3))
    rows = await connection.fetch(queries("indicators")["new_runs"], parks, firms, causes, code_version, started)
    return {row["firm_id"]: row["run_id"] for row in rows}


async def finish_runs(connection: Connection, runs: Sequence[tuple[int, datetime | None]]) -> None:
    """Close runs, each with the time of the oldest live reading that waited for it."""
    await connection.execute(queries("indicators")["finish_runs"], [r for r, _ in runs], [since for _, since in runs])


async def mark_parks(connection: Connection, touched: Sequence[tuple[int, str, datetime, datetime | None]]) -> None:
    """Have values of parks `(park, grain, period, oldest live reading)` computed again."""
    if touched:
        columns = [list(column) for column in zip(*touched, strict=True)]
        await connection.execute(queries("indicators")["mark_parks"], *columns)


STAGED = (
    *(
        "park_id",
        "firm_id",
        "scope",
        "scope_id",
        "indicator_id",
        "grain",
        "period",
        "numerator",
        "denominator",
        "value",
    ),
    *("unit", "coverage", "reason", "closed", "lineage", "run_id", "basis", "estimated_share", "only_over"),
)
"""The columns of a staged value, in the order in which `write_staged` takes them."""


async def write_staged(connection: Connection, lines: Sequence[str]) -> list[tuple[int, int | None, str, datetime]]:
    """Write values, each as a line of COPY's text format; return park, firm, grain and period of what changed.

    What stands there and says the same is left alone; a closed value that changes is kept as a revision.
    """
    if not lines:
        return []
    sql = queries("indicators")
    await connection.execute(sql["stage_values"])
    await copy_encoded(connection, "staged_value", STAGED, "".join(lines).encode(), schema=None, form="text")
    await connection.execute(sql["keep_staged"])
    return [tuple(row) for row in await connection.fetch(sql["write_staged"])]


async def park_sums(
    connection: Connection, park_id: int, spans: Sequence[tuple[str, datetime]]
) -> list[dict[str, Any]]:
    """Return the sums over a park's industrial firms of each indicator in some `(grain, period)`."""
    grains, starts = [grain for grain, _ in spans], [start for _, start in spans]
    return [dict(row) for row in await connection.fetch(queries("indicators")["park_sums"], park_id, grains, starts)]


async def firm_values(
    connection: Connection, park_id: int, grain: str, periods: Sequence[datetime]
) -> list[dict[str, Any]]:
    """Return the firms' values of some periods, ordered by period, indicator and firm."""
    rows = await connection.fetch(queries("indicators")["firm_values"], park_id, grain, list(periods))
    return [dict(row) for row in rows]


async def mark_values(
    connection: Connection, firm_id: int, touched: Sequence[tuple[str, datetime]], cause: str, since: datetime | None
) -> None:
    """Have a firm's values computed again; `since` is the oldest live reading that waits for them."""
    if touched:
        grains, periods = zip(*touched, strict=True)
        sql = queries("indicators")["mark_values"]
        await connection.execute(sql, firm_id, list(grains), list(periods), cause, since)


async def waiting_values(connection: Connection) -> list[tuple[int, int, str]]:
    """Return firms `(firm, park, time zone)` whose values wait, those waiting longest first."""
    return [tuple(row) for row in await connection.fetch(queries("indicators")["waiting_values"])]


async def take_values(connection: Connection, firm_id: int) -> list[tuple[str, datetime, list[str], datetime | None]]:
    """Take what waits for a firm: grain, period, why, and the oldest live reading behind it."""
    return [tuple(row) for row in await connection.fetch(queries("indicators")["take_values"], firm_id)]


async def mark_park(
    connection: Connection, park_id: int, touched: Sequence[tuple[str, datetime]], since: datetime | None
) -> None:
    """Have park values computed again; `since` is the oldest live reading that waits for them."""
    if touched:
        grains, periods = zip(*touched, strict=True)
        await connection.execute(queries("indicators")["mark_park"], park_id, list(grains), list(periods), since)


async def waiting_parks(connection: Connection) -> list[tuple[int, str]]:
    """Return parks `(id, time zone)` whose values wait."""
    return [
        (row["park_id"], row["time_zone"]) for row in await connection.fetch(queries("indicators")["waiting_parks"])
    ]


async def lock_park(connection: Connection, park_id: int) -> bool:
    """Try to become the one worker of a park's values until the transaction ends."""
    return bool(await connection.fetchval(queries("indicators")["lock_park"], park_id))


async def take_dirty_park(connection: Connection, park_id: int) -> list[tuple[str, datetime, datetime | None]]:
    """Take what waits for a park: grain, period, and the oldest live reading behind it."""
    rows = await connection.fetch(queries("indicators")["take_dirty_park"], park_id)
    return [(row["grain"], row["period"], row["since"]) for row in rows]


async def sums(
    connection: Connection, subject: tuple[str, int, str], grain: str, start: datetime, end: datetime
) -> Sums:
    """Sum numerators and denominators of a subject `(scope, scope_id, indicator_id)` over periods in `[start, end)`."""
    return Sums(**dict(await connection.fetchrow(queries("indicators")["sums"], *subject, grain, start, end)))
