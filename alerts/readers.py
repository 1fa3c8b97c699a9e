"""From the store to samples: one reader per kind of rule, and the only place that knows where a kind's data lie."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from alerts.engine import Sample
from alerts.kinds import Demand, IndicatorThreshold, IndicatorWindow, Rate
from alerts.windows import forecast, movement, ticks
from park.calendar import BUCKET_S, from_us, period, to_us, zone
from park.errors import UnitError
from park.factors import load_factors
from park.indicators import load_catalogue
from park.ratios import Amount, evaluate
from store import samples as stored
from store.samples import contracted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alerts.rules import Rule
    from alerts.windows import Movement
    from store.pool import Connection
    from store.registry import MeteredPoint
    from store.samples import IndicatorRow, Subject

Samples = dict[int, list[Sample]]
"""Samples by rising time, of each subject (by its scope's id)."""

_US_PER_S: Final = 1_000_000
_LONGEST: Final = {
    "bucket": timedelta(minutes=15),
    "hour": timedelta(hours=1),
    "day": timedelta(hours=25),
    "month": timedelta(days=32),
    "year": timedelta(days=367),
}
_AFTERMATH: Final = timedelta(minutes=10)
_JUST_BEFORE: Final = timedelta(milliseconds=1)


def scope_of(rule: Rule) -> str:
    """Return what a rule's subjects are: `park`, `firm` or `point`."""
    return rule.subject


async def subjects(connection: Connection, rule: Rule, park_ids: list[int] | None) -> list[Subject]:
    """Return whom a rule watches in some parks (None: in all)."""
    where = rule.where
    chosen = stored.Chosen(park_ids, where.parks, where.firms, where.industries, where.carriers, where.points)
    return await stored.subjects(connection, scope_of(rule), chosen)


def reach(rule: Rule, until: datetime) -> datetime:
    """Return how far to read so that all is there that speaks of the time up to `until`, and what came right after.

    A period that began before it ends later, and a reading is believed or not by those that follow it.
    """
    if isinstance(rule, IndicatorThreshold):
        return until + _LONGEST[rule.grain]
    return until + _AFTERMATH


async def read(
    connection: Connection, rule: Rule, subjects: Sequence[Subject], after: Mapping[int, datetime], until: datetime
) -> Samples:
    """Read the samples of some subjects, of each those after its own instant, `until` included."""
    if not subjects:
        return {}
    if isinstance(rule, IndicatorThreshold):
        return await _indicators(connection, rule, subjects, after, until)
    if isinstance(rule, IndicatorWindow):
        return await _indicator_windows(connection, rule, subjects, after, until)
    if isinstance(rule, Rate):
        return await _rates(connection, rule, subjects, after, until)
    assert isinstance(rule, Demand)
    return await _demands(connection, rule, subjects, after, until)


async def _indicators(
    connection: Connection,
    rule: IndicatorThreshold,
    subjects: Sequence[Subject],
    after: Mapping[int, datetime],
    until: datetime,
) -> Samples:
    by_id = {subject.scope_id: subject for subject in subjects}
    rows = await stored.indicator_rows(
        connection,
        scope=rule.scope,
        ids=by_id,
        indicator_id=rule.indicator,
        grain=rule.grain,
        since=min(after.values()) - _LONGEST[rule.grain],
    )
    newest: dict[int, datetime] = {}
    if rule.running_after_s is not None and any(not row.closed for row in rows):
        newest = await stored.newest(connection, rule.scope, by_id)
    found: Samples = defaultdict(list)
    for row in rows:
        sample = indicator_sample(rule, row, by_id[row.scope_id].time_zone, newest.get(row.scope_id))
        if sample is not None and after[row.scope_id] < sample.t <= until:
            found[row.scope_id].append(sample)
    return found


def indicator_sample(
    rule: IndicatorThreshold, row: IndicatorRow, time_zone: str, newest: datetime | None
) -> Sample | None:
    """Return what a row tells: at its period's end if that is over, or as of the newest reading; None: nothing yet."""
    if rule.grain == "bucket":
        end = row.period + timedelta(seconds=BUCKET_S)
    else:
        end = period(rule.grain, row.period, zone(time_zone)).end
    t = end
    if not row.closed:
        if rule.running_after_s is None or newest is None:
            return None
        # The period's own last sample is left to the number that is final.
        t = min(newest, end - _JUST_BEFORE)
        if (t - row.period).total_seconds() < rule.running_after_s:
            return None
    detail = {
        "indicator": rule.indicator,
        "grain": rule.grain,
        "period": row.period.isoformat(),
        "numerator": row.numerator,
        "denominator": row.denominator,
        "revision": row.revision,
        "run_id": row.run_id,
    }
    return Sample(t, row.value, row.coverage, row.closed, row.period, detail)


async def _indicator_windows(
    connection: Connection,
    rule: IndicatorWindow,
    subjects: Sequence[Subject],
    after: Mapping[int, datetime],
    until: datetime,
) -> Samples:
    indicator = load_catalogue().by_id(rule.indicator)
    factors = load_factors()
    points = await stored.points_of_firms(connection, [s.scope_id for s in subjects], indicator.inputs)
    moved = await _movements(
        connection,
        rule.window_s,
        [(metered, after[firm_id]) for firm_id, of_firm in points.items() for metered in of_firm],
        until,
    )
    window_us, every_us = int(rule.window_s * _US_PER_S), int(rule.every_s * _US_PER_S)
    found: Samples = {}
    for subject in subjects:
        parts = [(m, moved[m.point.point_id]) for m in points.get(subject.scope_id, ()) if m.point.point_id in moved]
        newest = [part.newest_us for _, part in parts]
        at = ticks(to_us(after[subject.scope_id]), newest, every_us=every_us, window_us=window_us)
        amounts = [(m, part.unit, *part.over(at, window_us)) for m, part in parts]
        tz = zone(subject.time_zone)
        found[subject.scope_id] = []
        for k, t in enumerate(map(from_us, at.tolist())):
            coverage = min((float(covered[k]) for *_, covered in amounts), default=0.0) / rule.window_s
            if coverage < rule.min_coverage:  # unknown whatever the ratio: history and gaps cost nothing
                found[subject.scope_id].append(Sample(t, None, coverage))
                continue
            of_tick = [_amount(m, unit, total[k], covered[k], rule.window_s) for m, unit, total, covered in amounts]
            ratio = evaluate(indicator, of_tick, factors, on=t.astimezone(tz).date())
            found[subject.scope_id].append(_ratio_sample(ratio, t, rule))
        await asyncio.sleep(0)  # a long way back must not keep deliveries waiting
    return found


def _amount(metered: MeteredPoint, unit: str, total: float, covered_s: float, window_s: float) -> Amount:
    point = metered.point
    return Amount(
        point_id=point.point_id,
        carrier=point.carrier,
        direction=point.direction,
        unit=unit,
        quantity=float(total) if covered_s > 0 else None,
        measured_s=float(covered_s),
        estimated_s=0.0,
        elapsed_s=window_s,
        product=metered.product,
    )


def _ratio_sample(ratio: Any, t: datetime, rule: IndicatorWindow) -> Sample:
    detail = {
        "indicator": rule.indicator,
        "window_s": rule.window_s,
        "numerator": ratio.numerator,
        "denominator": ratio.denominator,
    }
    return Sample(t, ratio.value, ratio.coverage, detail=detail)


async def _rates(
    connection: Connection, rule: Rate, subjects: Sequence[Subject], after: Mapping[int, datetime], until: datetime
) -> Samples:
    points = await stored.points(connection, [subject.scope_id for subject in subjects])
    wanted = [m for m in points.values() if rule.per == "hour" or m.point.rate_limit_per_h is not None]
    moved = await _movements(connection, rule.window_s, [(m, after[m.point.point_id]) for m in wanted], until)
    window_us, every_us = int(rule.window_s * _US_PER_S), int(rule.every_s * _US_PER_S)
    found: Samples = {}
    for metered in wanted:
        point = metered.point
        part = moved.get(point.point_id)
        if part is None:
            continue
        at = ticks(to_us(after[point.point_id]), [part.newest_us], every_us=every_us, window_us=window_us)
        total, covered_s = part.over(at, window_us)
        limit = point.rate_limit_per_h if rule.per == "rate_limit" else None
        unit = f"{part.unit}/h" if limit is None else "%"
        found[point.point_id] = []
        for k, t in enumerate(at.tolist()):
            per_h = float(total[k]) / float(covered_s[k]) * 3600 if covered_s[k] > 0 else None
            value = per_h if per_h is None or limit is None else per_h / limit * 100
            detail = {"window_s": rule.window_s, "unit": unit, "per_h": per_h, "rate_limit_per_h": limit}
            found[point.point_id].append(Sample(from_us(t), value, float(covered_s[k]) / rule.window_s, detail=detail))
    return found


async def _movements(
    connection: Connection, window_s: float, points: Sequence[tuple[MeteredPoint, datetime]], until: datetime
) -> dict[int, Movement]:
    """Return the movement of each point, from one window and two intervals before its instant on."""
    since = {
        metered.point.point_id: at - timedelta(seconds=window_s + 2 * metered.point.interval_s)
        for metered, at in points
    }
    series = await stored.readings(connection, since, until)
    empty = stored.no_readings()
    found = {}
    for metered, _ in points:
        try:
            of_point = series.get(metered.point.point_id, empty)
            found[metered.point.point_id] = movement(metered, of_point, int(window_s * _US_PER_S))
        except UnitError:
            continue  # a state, not a rate: nothing moves here
    return found


async def _demands(
    connection: Connection, rule: Demand, subjects: Sequence[Subject], after: Mapping[int, datetime], until: datetime
) -> Samples:
    """Return where the running quarter hour will end, in percent of the contracted demand."""
    points = await stored.points(connection, [subject.scope_id for subject in subjects])
    limits = await contracted(connection, list(points), until)
    wanted = [m for m in points.values() if m.point.point_id in limits or rule.contract_kw is not None]
    moved = await _movements(
        connection, float(BUCKET_S), [(metered, after[metered.point.point_id]) for metered in wanted], until
    )
    every_us = int(rule.every_s * _US_PER_S)
    found: Samples = {}
    for metered in wanted:
        point_id = metered.point.point_id
        limit = limits.get(point_id)
        contract_kw = limit.value if limit is not None else rule.contract_kw
        at = ticks(
            to_us(after[point_id]), [moved[point_id].newest_us], every_us=every_us, window_us=int(rule.power_s * 1e6)
        )
        assert contract_kw is not None
        values = forecast(moved[point_id], at, rule, contract_kw)
        source = {} if limit is None else {"source_zh": limit.source_zh, "source_en": limit.source_en}
        found[point_id] = [
            Sample(from_us(t), value, coverage, detail=detail | source)
            for t, (value, coverage, detail) in zip(at.tolist(), values, strict=True)
        ]
    return found
