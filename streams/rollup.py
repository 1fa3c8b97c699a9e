"""Indicators of groups of firms (zones, industries, chains, panels) and of a firm's units, after firms and parks.

They have a pass of their own, at its leisure, so that no reading waits for them: days of the last weeks, all months and
years. A group is the ratio of its members' sums; see `park.membership` for who belongs when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from park.calendar import period
from park.evaluation import PointSource
from park.factors import load_factors
from park.graph import Role
from park.indicators import Scope, load_catalogue
from park.membership import belonging, groups
from park.points import Direction
from park.ratios import evaluate, park_ratio
from park.reasons import Undefined
from store import indicators as values
from store import ledger
from store import memberships as store
from store.memberships import Part
from streams.lines import park_ratio_of, ratio_line
from streams.table import Span, span_at, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from park.indicators import Indicator
    from park.membership import Membership
    from store.memberships import UnitSource
    from store.pool import Connection

GRAINS: Final = frozenset({"day", "month", "year"})
DAYS: Final = 35
"""Days further back have no numbers of groups and units; their months have."""
PERIODS_AT_ONCE: Final = 2
"""A pass is short, for readings wait meanwhile."""
REST_S: Final = 10.0
REST: Final = 9.0
"""The pass rests for so many times as long as it took, so that a tenth of the time is its at most; and for so many
seconds when it has taken all that waited."""
UNWRITTEN: Final = "unwritten"
_LOOPS: Final = frozenset(
    {"recirculated_water", "direct_recirculated_water", "cascaded_water", "recycled_water", "condensate", "product"}
)
"""What a unit moves inside itself; of all else, what its sub-meters measure has come into it."""


def worth_keeping(touched: Iterable[tuple[str, datetime]], *, now: datetime) -> list[tuple[str, datetime]]:
    """Return the periods for which groups and units have numbers."""
    oldest = now - timedelta(days=DAYS)
    return sorted({(grain, at) for grain, at in touched if grain in GRAINS and (grain != "day" or at > oldest)})


async def pass_groups(
    connection: Connection,
    park_id: int,
    tz: ZoneInfo,
    *,
    now: datetime,
    code_version: str,
    limit: int = PERIODS_AT_ONCE,
) -> int:
    """Bring the numbers of a park's groups and units up to date, for some of the periods that wait, in one transaction.

    Returns how many periods were taken: as many as `limit`, and more may wait; 0 also where another worker is at it.
    """
    async with connection.transaction():
        if not await store.lock_groups(connection, park_id):
            return 0
        taken = await store.take_groups(connection, park_id, limit)
        spans = [span_at(grain, start, tz) for grain, start in worth_keeping(taken, now=now)]
        if spans:
            run_id = await ledger.new_run(connection, park_id, None, "groups and units", code_version, now)
            out = await _groups(connection, park_id, spans, tz, now=now, run_id=run_id)
            out += await _units(connection, park_id, spans, tz, now=now, run_id=run_id)
            if await values.write_staged(connection, out):
                # Targets may speak of a panel: they are judged with the park.
                judged = [(span.grain, span.start) for span in spans if span.grain != "day"]
                await values.mark_park(connection, park_id, judged, None)
            await ledger.finish_run(connection, run_id, None)
    return len(taken)


async def _groups(
    connection: Connection, park_id: int, spans: Sequence[Span], tz: ZoneInfo, *, now: datetime, run_id: int
) -> list[str]:
    by_key = {(span.grain, span.start): span for span in spans}
    parts = parts_of(await store.memberships(connection, park_id), spans, tz, now=now)
    rows = await store.group_sums(connection, park_id, parts)
    there: dict[tuple[Any, ...], set[int]] = {}
    for row in rows:
        place = (row["kind"], row["group_id"], row["grain"], row["period"])
        there.setdefault(place, set()).update(row["inside_ids"] or (), row["outside_ids"] or ())
    out, told = [], set()
    for row in rows:
        indicator = load_catalogue().by_id(row["indicator_id"])
        if Scope.PARK not in indicator.scopes:
            continue
        kind, group_id, key = row["kind"], row["group_id"], (row["grain"], row["period"])
        told.add((kind, group_id, indicator.id, *key))
        lacking = Undefined.NOT_REPORTED if indicator.reports else Undefined.NO_POINTS
        row["outside_reasons"] = [lacking if r == UNWRITTEN else r for r in row["outside_reasons"] or ()]
        ratio = park_ratio_of(indicator, row, there[kind, group_id, *key], group_id, key[1].astimezone(tz).year)
        closed = by_key[key].end <= now
        out.append(ratio_line(ratio, (park_id, None), (kind, group_id), key, run_id, closed=closed))
    for row in await store.defined_groups(connection, park_id, list(by_key)):
        key = (row["grain"], row["period"])
        if (row["kind"], row["group_id"], row["indicator_id"], *key) not in told:
            # Nobody belongs to it any more: what it said is kept as a revision, and now it says nothing.
            none = park_ratio(load_catalogue().by_id(row["indicator_id"]), (), subject_id=row["group_id"])
            closed = by_key[key].end <= now
            out.append(ratio_line(none, (park_id, None), (row["kind"], row["group_id"]), key, run_id, closed=closed))
    return out


def parts_of(memberships: Sequence[Membership], spans: Sequence[Span], tz: ZoneInfo, *, now: datetime) -> list[Part]:
    """Return who belongs to which group in which period, and with which parts of it.

    Of a day and a month its first day decides. A firm that belongs in all months of a year that have begun counts with
    its year; one that belongs in some of them counts with these months.
    """
    found: list[Part] = []
    for group in groups(memberships):
        mine = [member for member in memberships if member.group == group]
        for span in spans:
            key = (span.grain, span.start)
            first = span.start.astimezone(tz).date()
            days = _months_begun(first, now.astimezone(tz).date()) if span.grain == "year" else [first]
            for firm_id, on in belonging(mine, group, days).items():
                if len(on) == len(days):
                    found.append(Part(group, firm_id, key, key, 1))
                else:
                    found += [Part(group, firm_id, key, ("month", _instant(day, tz)), len(on)) for day in on]
    return found


def _months_begun(year: date, today: date) -> list[date]:
    return [day for month in range(1, 13) if (day := date(year.year, month, 1)) <= max(today, year)]


def _instant(day: date, tz: ZoneInfo) -> datetime:
    return period("day", datetime.combine(day, time(12), tz), tz).start


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit and what goes into it."""

    unit_id: int
    firm_id: int
    points: tuple[PointSource, ...]


async def _units(
    connection: Connection, park_id: int, spans: Sequence[Span], tz: ZoneInfo, *, now: datetime, run_id: int
) -> list[str]:
    units = units_of(await store.unit_sources(connection, park_id))
    ids = [point.point_id for unit in units for point in unit.points]
    if not ids:
        return []
    table = await table_of(connection, [(span.grain, span.start) for span in spans], ids)
    factors, out = load_factors(), []
    for unit in units:
        carriers = {point.carrier for point in unit.points}
        fitting = [indicator for indicator in load_catalogue().indicators if _fits(indicator, carriers)]
        for span in spans:
            amounts = table.amounts(unit.points, span, now)
            day = span.start.astimezone(tz).date()
            for indicator in fitting:
                if span.grain not in indicator.grains:
                    continue
                ratio = evaluate(indicator, amounts, factors, on=day, subject_id=unit.unit_id)
                if ratio.reason is not Undefined.NO_POINTS:
                    owner, subject = (park_id, unit.firm_id), ("unit", unit.unit_id)
                    key = (span.grain, span.start)
                    out.append(ratio_line(ratio, owner, subject, key, run_id, closed=span.end <= now))
    return out


def units_of(sources: Iterable[UnitSource]) -> list[_Unit]:
    """Return units with what goes into them: a sub-meter counts as `in`, for the unit is its boundary."""
    points: dict[tuple[int, int], list[PointSource]] = {}
    for source in sources:
        direction = Direction(source.direction)
        enters = source.role == Role.LOAD and source.carrier not in _LOOPS
        if direction is Direction.INTERNAL and enters:
            direction = Direction.IN
        point = PointSource(source.point_id, source.carrier, direction, source.unit, source.product)
        points.setdefault((source.unit_id, source.firm_id), []).append(point)
    return [_Unit(unit_id, firm_id, tuple(found)) for (unit_id, firm_id), found in points.items()]


def _fits(indicator: Indicator, carriers: set[str]) -> bool:
    """Tell whether an indicator is for units: additive, of what is metered there alone."""
    return Scope.PARK in indicator.scopes and not indicator.reports and not carriers.isdisjoint(indicator.inputs)
