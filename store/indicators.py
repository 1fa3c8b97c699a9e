"""Typed access to indicator values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class AmountRow:
    """What one point moved in one period; None where no second of that sort was covered."""

    point_id: int
    period: datetime
    measured: float | None
    estimated: float | None
    measured_s: float
    estimated_s: float

    @property
    def quantity(self) -> float | None:
        """Return measured and estimated together, None if neither is known."""
        if self.measured is None:
            return self.estimated
        return self.measured + (self.estimated or 0.0)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose value it is, and which."""

    scope: str
    scope_id: int
    indicator_id: str
    period: datetime


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One indicator value as it is written."""

    subject: Subject
    numerator: float | None
    denominator: float | None
    value: float | None
    unit: str
    coverage: float
    reason: str | None
    closed: bool
    lineage: dict[str, Any]
    revision: int = 0


@dataclass(frozen=True, slots=True)
class StoredValue:
    """What is written now."""

    numerator: float | None
    denominator: float | None
    value: float | None
    coverage: float
    reason: str | None
    closed: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Sums:
    """Numerators and denominators summed over periods."""

    numerator: float | None
    denominator: float | None
    periods: int
    defined: int


async def amounts(
    connection: Connection, firm_id: int, point_ids: Sequence[int], grain: str, periods: Sequence[datetime]
) -> list[AmountRow]:
    """Return what the points of a firm moved in the given periods of a grain, or buckets (`grain='bucket'`)."""
    sql = queries("indicators")
    if grain == "bucket":
        rows = await connection.fetch(sql["bucket_amounts"], list(point_ids), list(periods))
    else:
        rows = await connection.fetch(sql["amounts"], firm_id, grain, list(periods))
    return [AmountRow(**dict(row)) for row in rows]


async def stored_values(
    connection: Connection, park_id: int, firm_id: int | None, grain: str, periods: Sequence[datetime]
) -> dict[Subject, StoredValue]:
    """Return what is written about a firm and its points, or about the park (firm None)."""
    rows = await connection.fetch(queries("indicators")["values_of_subjects"], park_id, firm_id, grain, list(periods))
    found = {}
    for row in rows:
        fields = dict(row)
        subject = Subject(*(fields.pop(name) for name in ("scope", "scope_id", "indicator_id", "period")))
        found[subject] = StoredValue(**fields)
    return found


async def write_values(
    connection: Connection,
    owner: tuple[int, int | None],
    grain: str,
    rows: Sequence[ValueRow],
    run_id: int,
) -> None:
    """Write values of one owner `(park, firm)` and grain; a row with a raised revision keeps what was there."""
    if not rows:
        return
    sql = queries("indicators")
    revised = [row.subject for row in rows if row.revision > 0]
    if revised:
        await connection.execute(
            sql["keep_revisions"],
            [s.scope for s in revised],
            [s.scope_id for s in revised],
            [s.indicator_id for s in revised],
            [grain] * len(revised),
            [s.period for s in revised],
            run_id,
        )
    await connection.executemany(
        sql["write_values"],
        [
            (
                *owner,
                row.subject.scope,
                row.subject.scope_id,
                row.subject.indicator_id,
                grain,
                row.subject.period,
                row.numerator,
                row.denominator,
                row.value,
                row.unit,
                row.coverage,
                row.reason,
                row.closed,
                row.revision,
                row.lineage,
                run_id,
            )
            for row in rows
        ],
    )


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
