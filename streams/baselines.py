"""Baselines of firms in the database: fitted to the ledger, and every finished period held against the one in force.

Everything is computed from the daily values as they stand, so that late data lead where a computation from scratch
would; fits and residuals that change keep what they said before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from park.baselines import Fit, choose, fit
from park.calendar import Period, from_us, period, periods, to_us
from park.errors import BaselineError, UnitError
from park.observations import PRODUCTION, Observations, degree_days, grouped
from park.performance import track
from park.units import conversion
from store import baselines as store
from store.baselines import ResidualRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from park.observations import Spacing
    from store.baselines import BaselineRow, StoredFit
    from store.pool import Connection

    Floats = NDArray[np.float64]

ENERGY: Final = "comprehensive_energy_equivalent"
"""The energy that is meant where none is named."""
COVERAGE: Final = 0.95
"""Of a day that is a point of a model at least this share is known."""
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Done:
    """What one pass over a firm's baselines did."""

    fits: int
    residuals: int


async def evaluate(connection: Connection, firm_id: int, tz: ZoneInfo, *, now: datetime, run_id: int) -> Done:
    """Bring a firm's fits and residuals to what its daily values say, in the caller's transaction."""
    fitted = written = 0
    by_key: dict[tuple[int, str, Spacing], list[BaselineRow]] = {}
    for row in await store.of_firm(connection, firm_id):
        by_key.setdefault((row.park_id, row.indicator_id, row.grain), []).append(row)
    known = await store.fits(connection, firm_id) if by_key else {}
    for (park_id, indicator_id, grain), rows in by_key.items():
        start = min(min(row.base_from, row.valid_from) for row in rows)
        daily = await days(connection, firm_id, indicator_id, midnight(start, tz), tz, now=now)
        fresh: list[ResidualRow] = []
        for row in rows:
            if row.valid_to is not None and row.valid_to <= row.valid_from:
                continue  # superseded before it was ever in force
            model, version, changed = await _fit(connection, row, daily, tz, known.get(row.baseline_id), run_id)
            fitted += changed
            fresh += _rows(row, model, version, spaced(daily, grain, row, tz), tz)
        old = {row.period: row for row in await store.residuals(connection, firm_id, indicator_id, grain)}
        new = [row for row in fresh if not _same(row, old.get(row.period))]
        gone = sorted(old.keys() - {row.period for row in fresh})
        key = (park_id, firm_id, indicator_id, grain)
        written += await store.write_residuals(connection, key, new, gone, run_id)
    return Done(fitted, written)


async def days(
    connection: Connection, firm_id: int, indicator_id: str, start: datetime, tz: ZoneInfo, *, now: datetime
) -> Observations:
    """Return a firm's finished days from `start` on: energy, each product, and degree days where it has a weather."""
    whole = [day for day in periods("day", start, max(now, start), tz) if day.end <= now]
    starts = np.array([to_us(day.start) for day in whole], np.int64)
    span = (start, whole[-1].end if whole else start)
    place = {day.start: k for k, day in enumerate(whole)}
    energy = np.full(len(whole), np.nan)
    for at, value in await store.energy(connection, firm_id, indicator_id, span, now=now, coverage=COVERAGE):
        if at in place:
            energy[place[at]] = value
    values, units = await _production(connection, firm_id, span, whole, place)
    mean_c = np.full(len(whole), np.nan)
    temperatures = await store.temperature(connection, firm_id, span)
    for day in temperatures:
        if day.period in place and day.known_s >= COVERAGE * whole[place[day.period]].seconds:
            mean_c[place[day.period]] = day.mean_c
    if temperatures:
        values["hdd18"], values["cdd26"] = degree_days(mean_c)
        units |= {"hdd18": "degC·d", "cdd26": "degC·d"}
    unit = await store.energy_unit(connection, firm_id, indicator_id) or ""
    lengths = np.array([day.seconds / _DAY_S for day in whole])
    # A degree day of a day of 23 hours is the degrees times the day's length.
    values |= {name: values[name] * lengths for name in ("hdd18", "cdd26") if name in values}
    return Observations("day", unit, starts, lengths, energy, values, units)


async def _production(
    connection: Connection,
    firm_id: int,
    span: tuple[datetime, datetime],
    whole: Sequence[Period],
    place: dict[datetime, int],
) -> tuple[dict[str, Floats], dict[str, str]]:
    """Return production by variable and its unit; a day on which one of a product's counters is silent is unknown."""
    counters: dict[int, tuple[str, Floats]] = {}
    units: dict[str, str] = {}
    for row in await store.production(connection, firm_id, span):
        name = f"{PRODUCTION}:{row.product}" if row.product else PRODUCTION
        units.setdefault(name, row.unit)
        column = counters.setdefault(row.point_id, (name, np.full(len(whole), np.nan)))[1]
        k = place.get(row.period)
        if k is not None and row.known_s >= COVERAGE * whole[k].seconds:
            try:
                column[k] = row.quantity * conversion(row.unit, units[name])
            except UnitError:
                column[k] = np.nan
    values: dict[str, Floats] = {}
    for name, column in counters.values():
        values[name] = values[name] + column if name in values else column
    return values, units


def known_variables(daily: Observations, wanted: Sequence[str]) -> None:
    """Raise `BaselineError` where there is no energy, or a variable that nothing measures; names those there are."""
    if bool(np.all(np.isnan(daily.energy))):
        raise BaselineError(
            "there is no day with a value of this energy since the base period began: is it an indicator?"
        )
    missing = [name for name in wanted if name not in daily.values]
    if missing:
        known = ", ".join(daily.values) or "none: there is neither a product counter nor a temperature"
        raise BaselineError(f"nothing measures {', '.join(missing)}; there are {known}")


def midnight(day: date, tz: ZoneInfo) -> datetime:
    """Return the instant at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)


def spaced(daily: Observations, grain: Spacing, row: BaselineRow, tz: ZoneInfo) -> Observations:
    """Return the days as periods of the baseline's grain, those it leaves out declared; periods end before now."""
    local = [from_us(int(us)).astimezone(tz).date() for us in daily.start_us]
    declared = np.array([any(a <= day < b for a, b in row.left_out) for day in local], bool)
    marked = replace(daily, declared=declared)
    if grain == "day" or not local:
        return replace(marked, grain=grain)
    found = {day: _group(day, grain, tz) for day in dict.fromkeys(local)}
    lengths = {to_us(a): (b - a).total_seconds() / _DAY_S for a, b in found.values()}
    groups = grouped(marked, grain, np.array([to_us(found[day][0]) for day in local], np.int64), lengths)
    # What begins before the first day, or is not over yet, is no period.
    ends = groups.start_us + np.rint(groups.days * _DAY_S * 1e6).astype(np.int64)
    over = daily.start_us[-1] + round(daily.days[-1] * _DAY_S * 1e6)
    return groups.where((groups.start_us >= daily.start_us[0]) & (ends <= over))


def _group(day: date, grain: Spacing, tz: ZoneInfo) -> tuple[datetime, datetime]:
    if grain == "month":
        found = period("month", midnight(day, tz) + timedelta(hours=12), tz)
        return found.start, found.end
    monday = day - timedelta(days=day.weekday())
    return midnight(monday, tz), midnight(monday + timedelta(days=7), tz)


def between(observed: Observations, first: date, last: date | None, tz: ZoneInfo) -> Observations:
    """Return the periods that lie wholly in the days `[first, last)`; None: without an end."""
    ends = observed.start_us + np.rint(observed.days * _DAY_S * 1e6).astype(np.int64)
    inside = observed.start_us >= to_us(midnight(first, tz))
    if last is not None:
        inside &= ends <= to_us(midnight(last, tz))
    return observed.where(inside)


def fitted(row: BaselineRow, daily: Observations, tz: ZoneInfo) -> Fit:
    """Fit a baseline to the days of its base period; without named variables, with those that are significant.

    A variable that is not measured is unknown on every day, and the model fails its gates.
    """
    base = between(spaced(daily, row.grain, row, tz), row.base_from, row.base_to, tz)
    if not row.variables:
        return choose(base, list(base.values))
    unknown = {name: np.full(len(base), np.nan) for name in row.variables if name not in base.values}
    return fit(replace(base, values=dict(base.values) | unknown), row.variables)


async def _fit(
    connection: Connection, row: BaselineRow, daily: Observations, tz: ZoneInfo, known: StoredFit | None, run_id: int
) -> tuple[Fit, int, bool]:
    model = fitted(row, daily, tz)
    if known is not None and _alike(model, known.fit):
        return known.fit, known.version, False
    version = 0 if known is None else known.version + 1
    await store.add_fit(connection, row, version, model, run_id)
    return model, version, True


def _rows(row: BaselineRow, model: Fit, version: int, observed: Observations, tz: ZoneInfo) -> list[ResidualRow]:
    """Return the periods in which the baseline is in force, held against it; none if it may not be used."""
    mine = between(observed, row.valid_from, row.valid_to, tz)
    if not model.usable or not len(mine):
        return []
    held = track(model, mine)
    return [
        ResidualRow(
            period=from_us(int(mine.start_us[k])),
            baseline_id=row.baseline_id,
            fit_version=version,
            unit=model.unit,
            actual=float(mine.energy[k]),
            expected=float(held.expected[k]),
            residual=float(held.residual[k]),
            cusum=float(held.cusum[k]),
            z=float(held.z[k]),
            c_plus=float(held.plus[k]),
            c_minus=float(held.minus[k]),
            h=model.h,
            alarm=held.alarm[k],
            extrapolated=held.extrapolated[k],
            left_out=held.left_out[k],
        )
        for k in range(len(mine))
    ]


_NUMBERS: Final = ("actual", "expected", "residual", "cusum", "z", "c_plus", "c_minus", "h")


def _same(new: ResidualRow, old: ResidualRow | None) -> bool:
    if old is None:
        return False
    names = ("baseline_id", "fit_version", "unit", "alarm", "extrapolated", "left_out")
    return all(getattr(new, name) == getattr(old, name) for name in names) and all(
        _close(getattr(new, name), getattr(old, name)) for name in _NUMBERS
    )


def _alike(a: Fit, b: Fit) -> bool:
    """Tell whether two fits say the same, rounding aside."""
    if (a.variables, a.dropped, a.failed, a.periods, a.left_out, a.unit) != (
        b.variables,
        b.dropped,
        b.failed,
        b.periods,
        b.left_out,
        b.unit,
    ):
        return False
    numbers = [(x.value, y.value) for x, y in zip(a.coefficients, b.coefficients, strict=True)]
    numbers += [(a.sigma, b.sigma), (a.h, b.h), (a.mean, b.mean)]  # type: ignore[list-item]
    return all(_close(x, y) for x, y in numbers)


def _close(a: float | None, b: float | None) -> bool:
    missing = a is None or math.isnan(a), b is None or math.isnan(b)
    if any(missing) or a is None or b is None:
        return all(missing)
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
