"""Typed access to energy baselines: definitions, what they are fitted to, fits, and residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from park.baselines import Fit
from store.ledger import WaitingFirm
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from park.observations import Spacing
    from store.pool import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBaseline:
    """What is asked for; days are of the park's zone, ends exclusive.

    Attributes:
        variables: empty: whatever is significant.
        left_out: stretches of days that are not typical.
        reason: the static change or the review that it is made for.
    """

    firm_id: int
    indicator_id: str
    grain: Spacing
    variables: tuple[str, ...]
    base_from: date
    base_to: date
    valid_from: date
    left_out: tuple[tuple[date, date], ...] = ()
    reason: str
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRow(NewBaseline):
    """A baseline as it is kept; `valid_to` None: in force until another follows."""

    baseline_id: int
    park_id: int
    valid_to: date | None
    created: datetime
    superseded_by: int | None
    end_reason: str | None
    end_author: str | None


@dataclass(frozen=True, slots=True)
class StoredFit:
    """The newest fit of a baseline."""

    baseline_id: int
    version: int
    fit: Fit
    fitted: datetime
    run_id: int


@dataclass(frozen=True, slots=True)
class ProductDay:
    """What one product counter counted on a day; `known_s` seconds of it are known."""

    point_id: int
    product: str
    unit: str
    period: datetime
    quantity: float
    known_s: float


@dataclass(frozen=True, slots=True)
class TemperatureDay:
    """The mean outdoor temperature of a day, over the `known_s` seconds that are known."""

    point_id: int
    period: datetime
    mean_c: float
    known_s: float


@dataclass(frozen=True, slots=True)
class ResidualRow:
    """One finished period against the baseline in force; see the table's comments."""

    period: datetime
    baseline_id: int
    fit_version: int
    unit: str
    actual: float | None
    expected: float | None
    residual: float | None
    cusum: float
    z: float | None
    c_plus: float
    c_minus: float
    h: float
    alarm: str | None
    extrapolated: tuple[str, ...]
    left_out: str | None
    revision: int = 0


async def add(connection: Connection, wanted: NewBaseline) -> int:
    """Keep a baseline and end the earlier ones of the same firm, energy and grain where it begins; return its id."""
    sql = queries("baselines")
    given = (wanted.firm_id, wanted.indicator_id, wanted.grain, list(wanted.variables))
    out = ([a for a, _ in wanted.left_out], [b for _, b in wanted.left_out])
    rest = (wanted.base_from, wanted.base_to, *out, wanted.valid_from, wanted.reason, wanted.author)
    baseline_id = int(await connection.fetchval(sql["add"], *given, *rest))
    await connection.execute(sql["supersede"], baseline_id)
    return baseline_id


async def end(connection: Connection, baseline_id: int, day: date, reason: str, author: str) -> bool:
    """End a baseline without another one following; False if it has ended before."""
    status = await connection.execute(queries("baselines")["end"], baseline_id, day, reason, author)
    return bool(status == "UPDATE 1")


async def of_firm(connection: Connection, firm_id: int) -> list[BaselineRow]:
    """Return the baselines of a firm, oldest first, superseded ones too."""
    found = []
    for row in await connection.fetch(queries("baselines")["of_firm"], firm_id):
        fields = dict(row)
        stretches = zip(fields.pop("left_out_from"), fields.pop("left_out_to"), strict=True)
        variables = tuple(fields.pop("variables"))
        found.append(BaselineRow(**fields, variables=variables, left_out=tuple(stretches)))
    return found


async def listed(connection: Connection, park: str | None) -> list[dict[str, Any]]:
    """Return every baseline with its newest fit and its newest period."""
    return [dict(row) for row in await connection.fetch(queries("baselines")["listed"], park)]


async def energy(
    connection: Connection,
    firm_id: int,
    indicator_id: str,
    span: tuple[datetime, datetime],
    *,
    now: datetime,
    coverage: float,
) -> list[tuple[datetime, float]]:
    """Return what a firm used on each day that is written in `[start, end)`; NaN where that is not known."""
    given = (firm_id, indicator_id, *span, now, coverage)
    return [(row["period"], row["value"]) for row in await connection.fetch(queries("baselines")["energy"], *given)]


async def energy_unit(connection: Connection, firm_id: int, indicator_id: str) -> str | None:
    """Return the unit of a firm's daily values of an indicator, None if there are none."""
    found = await connection.fetchval(queries("baselines")["energy_unit"], firm_id, indicator_id)
    return None if found is None else str(found)


async def production(connection: Connection, firm_id: int, span: tuple[datetime, datetime]) -> list[ProductDay]:
    """Return what a firm's product counters counted on each day of `[start, end)`."""
    rows = await connection.fetch(queries("baselines")["production"], firm_id, *span)
    return [ProductDay(**dict(row)) for row in rows]


async def temperature(connection: Connection, firm_id: int, span: tuple[datetime, datetime]) -> list[TemperatureDay]:
    """Return the outdoor temperature of each day at a firm: its own gauge's, or else one of its park's."""
    rows = await connection.fetch(queries("baselines")["temperature"], firm_id, *span)
    return [TemperatureDay(**dict(row)) for row in rows]


async def mark(connection: Connection, firm_id: int, days: Sequence[datetime]) -> None:
    """Have the baselines that rest on a firm's days computed again; none: nothing is written."""
    if days:
        await connection.execute(queries("baselines")["mark"], firm_id, list(days))


async def waiting(connection: Connection) -> list[WaitingFirm]:
    """Return the firms whose baselines wait, those waiting longest first."""
    return [WaitingFirm(**dict(row)) for row in await connection.fetch(queries("baselines")["waiting"])]


async def lock_firm(connection: Connection, firm_id: int) -> bool:
    """Try to become the one worker of a firm's baselines until the transaction ends."""
    return bool(await connection.fetchval(queries("baselines")["lock_firm"], firm_id))


async def wait_for_firm(connection: Connection, firm_id: int) -> None:
    """Become the one worker of a firm until the transaction ends, after whoever is it now."""
    await connection.execute(queries("baselines")["wait_for_firm"], firm_id)


async def take(connection: Connection, firm_id: int) -> list[datetime]:
    """Take the days that wait for a firm's baselines."""
    return [row["day"] for row in await connection.fetch(queries("baselines")["take"], firm_id)]


async def fits(connection: Connection, firm_id: int) -> dict[int, StoredFit]:
    """Return the newest fit of each of a firm's baselines."""
    found = {}
    for row in await connection.fetch(queries("baselines")["fits"], firm_id):
        model = msgspec.convert(row["body"], Fit)
        found[row["baseline_id"]] = StoredFit(row["baseline_id"], row["version"], model, row["fitted"], row["run_id"])
    return found


async def fits_of(connection: Connection, baseline_id: int) -> list[dict[str, Any]]:
    """Return the fits of a baseline, oldest first."""
    return [dict(row) for row in await connection.fetch(queries("baselines")["fits_of"], baseline_id)]


async def add_fit(connection: Connection, of: BaselineRow, version: int, model: Fit, run_id: int) -> None:
    """Keep one computation of a baseline."""
    await connection.execute(
        queries("baselines")["add_fit"],
        of.baseline_id,
        version,
        of.park_id,
        of.firm_id,
        model.usable,
        list(model.failed),
        model.periods,
        model.unit,
        model.r_squared,
        model.cv_rmse_percent,
        model.nmbe_percent,
        model.sigma,
        model.k,
        model.h,
        msgspec.to_builtins(model),
        run_id,
    )


async def residuals(connection: Connection, firm_id: int, indicator_id: str, grain: str) -> list[ResidualRow]:
    """Return what is written about a firm's energy in a grain, in order."""
    rows = await connection.fetch(queries("baselines")["residuals"], firm_id, indicator_id, grain)
    return [ResidualRow(**dict(row) | {"extrapolated": tuple(row["extrapolated"])}) for row in rows]


async def write_residuals(
    connection: Connection,
    of: tuple[int, int, str, str],
    rows: Sequence[ResidualRow],
    gone: Sequence[datetime],
    run_id: int,
) -> int:
    """Bring the residuals of `(park, firm, indicator, grain)` to these rows; keep what changes; return how many did.

    Args:
        connection: in a transaction.
        of: whose they are.
        rows: all that are to stand there, but for those that stand there already as they are.
        gone: periods that no baseline is in force for any more.
        run_id: what computed them.
    """
    park_id, *key = of
    sql = queries("baselines")
    touched = [*(row.period for row in rows), *gone]
    if not touched:
        return 0
    await connection.execute(sql["keep_residuals"], *key, touched, run_id)
    kept = {r["period"]: r["revision"] for r in await connection.fetch(sql["last_revisions"], *key, touched)}
    await connection.execute(sql["delete_residuals"], *key, list(gone))
    await connection.executemany(
        sql["write_residuals"],
        [
            (
                park_id,
                *key,
                row.period,
                row.baseline_id,
                row.fit_version,
                row.unit,
                *map(_null, (row.actual, row.expected, row.residual)),
                row.cusum,
                _null(row.z),
                row.c_plus,
                row.c_minus,
                row.h,
                row.alarm,
                list(row.extrapolated),
                row.left_out,
                kept.get(row.period, -1) + 1,
                run_id,
            )
            for row in rows
        ],
    )
    return len(touched)


def _null(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
