"""Valid hourly means of stacks and outfalls against their permits: what enters the indicators as counts of hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import Grain, period, periods, to_us
from park.emissions import Mark as DataMark
from park.emissions import held_against, hourly_means
from park.evaluation import PointSource
from park.points import Direction, Label, Quality
from store import emissions as store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from store.emissions import Limit
    from store.ledger import Mark, Readings
    from store.pool import Connection
    from streams.table import Span

GRAINS: Final[tuple[Grain, ...]] = ("day", "month", "year")
_FINER: Final[dict[str, Grain]] = {"month": "day", "year": "month"}
_MARKS: Final = {Quality.GOOD: DataMark.MEASURED, Quality.UNCERTAIN: DataMark.SUBSTITUTED}
"""A monitor's quality flag: uncertain values were substituted, bad ones are marked invalid."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Hours of a period that count, over all outlets of a firm, and those within their limits."""

    valid: float
    compliant: float


@dataclass(slots=True)
class Outlets:
    """A firm's outlets with a limit, and what was found of the spans that are asked for."""

    firm_id: int
    tz: ZoneInfo
    limits: tuple[Limit, ...]
    spans: list[Span]
    found: dict[tuple[str, datetime], Counts] = field(default_factory=dict)

    @property
    def points(self) -> tuple[int, ...]:
        """Return the outlets."""
        return tuple(sorted({limit.point_id for limit in self.limits}))

    @property
    def sources(self) -> tuple[PointSource, ...]:
        """Return the two counts as sources; none without an outlet."""
        points = self.points
        return tuple(
            PointSource(points[0], carrier, Direction.INTERNAL, "piece", made_of=points)
            for carrier in ("valid_hours", "compliant_hours")
            if points
        )


async def find(connection: Connection, asked: Sequence[tuple[int, ZoneInfo, Sequence[Span]]]) -> dict[int, Outlets]:
    """Return the outlets of firms `(firm, zone, spans)`: days from readings, months from days, years from months."""
    by_firm: dict[int, list[Limit]] = {}
    for limit in await store.limits(connection, [firm_id for firm_id, *_ in asked]):
        by_firm.setdefault(limit.firm_id, []).append(limit)
    outlets = {
        firm_id: Outlets(firm_id, tz, tuple(by_firm.get(firm_id, ())), [s for s in spans if s.grain in GRAINS])
        for firm_id, tz, spans in asked
    }
    for each in outlets.values():
        if each.limits:
            await _days(connection, each)
    some = [each for each in outlets.values() if each.limits]
    for grain, finer in _FINER.items():
        missing = [(each.firm_id, s.start, s.end) for each in some for s in each.spans if s.grain == grain]
        stored: dict[int, dict[datetime, Counts]] = {}
        for firm_id, start, valid, compliant in await store.stored_hours(connection, missing, finer):
            stored.setdefault(firm_id, {})[start] = Counts(valid, compliant)
        for each in some:
            _coarser(each, grain, finer, stored.get(each.firm_id, {}))
    return outlets


def _coarser(each: Outlets, grain: str, finer: str, stored: Mapping[datetime, Counts]) -> None:
    fresh = {start: counts for (of, start), counts in each.found.items() if of == finer}
    parts = {**stored, **fresh}
    for span in each.spans:
        if span.grain == grain:
            mine = [counts for at, counts in parts.items() if span.start <= at < span.end]
            if mine:
                total = Counts(sum(c.valid for c in mine), sum(c.compliant for c in mine))
                each.found[grain, span.start] = total


async def _days(connection: Connection, each: Outlets) -> None:
    days = sorted((s.start, s.end) for s in each.spans if s.grain == "day")
    if not days:
        return
    longest = timedelta(seconds=max(limit.interval_s for limit in each.limits))
    raw = await store.concentrations(connection, each.points, days[0][0], days[-1][1] + longest)
    for start, end in days:
        counts = _day(each.limits, raw, start, end, start.astimezone(each.tz).date())
        if counts is not None:
            each.found["day", start] = counts


def _day(limits: Sequence[Limit], raw: Readings, start: datetime, end: datetime, day: date) -> Counts | None:
    """Count one day's hours over all outlets that have a limit on it; None if none of them said anything."""
    valid = compliant = 0
    said = False
    for limit in limits:
        if not limit.valid_from <= day < limit.valid_to:
            continue
        a, b = np.searchsorted(raw.point_id, [limit.point_id, limit.point_id + 1])
        begun = raw.t_us[a:b] - (limit.interval_s * 1_000_000 if limit.label == Label.END else 0)
        inside = (begun >= to_us(start)) & (begun < to_us(end))
        if not inside.any():
            continue
        said = True
        quality = raw.quality[a:b][inside]
        marks = np.full(len(quality), int(DataMark.INVALID))
        for flag, mark in _MARKS.items():
            marks[quality == flag] = int(mark)
        hours = hourly_means(begun[inside], raw.value[a:b][inside], marks, limit.interval_s)
        found = held_against(hours, limit.hourly)
        valid, compliant = valid + found.valid, compliant + found.compliant
    return Counts(float(valid), float(compliant)) if said else None


async def touched(
    connection: Connection, marks: Mapping[int, Sequence[Mark]], tz: ZoneInfo
) -> dict[int, list[tuple[str, datetime]]]:
    """Return grain and start of the periods of firms whose compliance a change of readings can have moved.

    A concentration moves nothing in the ledger, so the ledger does not tell.
    """
    limited = {limit.point_id for limit in await store.limits(connection, list(marks))}
    found: dict[int, list[tuple[str, datetime]]] = {}
    for firm_id, own in marks.items():
        spans = {(m.t_from, m.t_to) for m in own if m.point_id in limited}
        keys = {key for t_from, t_to in spans for key in _keys(t_from, t_to, tz)}
        if keys:
            found[firm_id] = sorted(keys)
    return found


def _keys(t_from: datetime, t_to: datetime, tz: ZoneInfo) -> Iterable[tuple[str, datetime]]:
    # What ends at midnight is the day before's.
    first, last = t_from - timedelta(hours=1), t_to + timedelta(microseconds=1)
    for grain in GRAINS:
        for each in periods(grain, period(grain, first, tz).start, last, tz):
            yield grain, each.start
