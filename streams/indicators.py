"""Indicators of points, firms and parks, from the ledger, for the periods that a change touched."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from park.calendar import BUCKET_S, GRAINS, Grain, Period, period
from park.factors import load_factors
from park.indicators import Indicator, Scope, load_catalogue
from park.points import Kind
from park.ratios import Amount, LeftOut, Product, Ratio, evaluate, evaluate_point, park_ratio
from park.reasons import Undefined
from store import indicators as store
from store.indicators import AmountRow, StoredValue, Subject, ValueRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from park.factors import FactorRegistry
    from store.pool import Connection
    from store.registry import FirmRow, MeteredPoint

BUCKET: Final = "bucket"
"""The finest grain of an indicator: one 15-minute bucket, for alerts and live views."""

_POINT_GRAINS: Final = ("day", "month", "year")


@dataclass(frozen=True, slots=True)
class Span:
    """One period of a grain, or one bucket."""

    grain: str
    start: datetime
    end: datetime


def spans_of(
    touched: Mapping[Grain, Sequence[Period]], buckets: Iterable[datetime], *, now: datetime, fine_hours: int
) -> list[Span]:
    """Return what must be evaluated: all touched days, months and years; hours and buckets of the last days only."""
    oldest = now - timedelta(hours=fine_hours)
    width = timedelta(seconds=BUCKET_S)
    spans = [Span(BUCKET, start, start + width) for start in buckets if start + width > oldest]
    for grain in GRAINS:
        spans += [
            Span(grain, found.start, found.end)
            for found in touched.get(grain, ())
            if grain != "hour" or found.end > oldest
        ]
    return spans


def span_at(grain: str, start: datetime, tz: ZoneInfo) -> Span:
    """Return the period of a grain (or bucket) that starts at an instant."""
    if grain == BUCKET:
        return Span(grain, start, start + timedelta(seconds=BUCKET_S))
    found = period(grain, start, tz)  # type: ignore[arg-type]
    return Span(grain, found.start, found.end)


async def evaluate_firm(
    connection: Connection,
    firm: FirmRow,
    points: Sequence[MeteredPoint],
    spans: Sequence[Span],
    tz: ZoneInfo,
    *,
    now: datetime,
    run_id: int,
) -> list[Span]:
    """Evaluate and write a firm's and its points' values in the caller's transaction; return the spans that changed."""
    factors = load_factors()
    # A power or flow gauge watches what a register counts; adding both would count it twice.
    points = [metered for metered in points if metered.point.kind is not Kind.GAUGE]
    ids = [metered.point.point_id for metered in points]
    moved: list[Span] = []
    for grain in {span.grain for span in spans}:
        mine = [span for span in spans if span.grain == grain]
        starts = [span.start for span in mine]
        rows = await store.amounts(connection, firm.firm_id, ids, grain, starts)
        by_period: dict[datetime, dict[int, AmountRow]] = {}
        for moved_row in rows:
            by_period.setdefault(moved_row.period, {})[moved_row.point_id] = moved_row
        old = await store.stored_values(connection, firm.park_id, firm.firm_id, grain, starts)
        new: list[ValueRow] = []
        for span in mine:
            inputs = [_amount(metered, by_period.get(span.start, {}), span, now) for metered in points]
            for ratio, scope in _ratios(firm, inputs, span, factors, tz):
                row = _row(ratio, scope, span, now)
                if (changed := _changed(row, old.get(row.subject))) is not None:
                    new.append(changed)
        await store.write_values(connection, (firm.park_id, firm.firm_id), grain, new, run_id)
        starts_changed = {row.subject.period for row in new if row.subject.scope == Scope.FIRM}
        moved += [span for span in mine if span.start in starts_changed]
    return moved


def _ratios(
    firm: FirmRow, inputs: Sequence[Amount], span: Span, factors: FactorRegistry, tz: ZoneInfo
) -> Iterable[tuple[Ratio, Scope]]:
    on = span.start.astimezone(tz).date()
    for indicator in _for_grain(span.grain):
        if Scope.FIRM in indicator.scopes:
            yield evaluate(indicator, inputs, factors, on=on, subject_id=firm.firm_id), Scope.FIRM
        if Scope.POINT in indicator.scopes and span.grain in _POINT_GRAINS:
            for amount in inputs:
                if amount.carrier in indicator.inputs:
                    yield evaluate_point(indicator, amount, factors, on=on), Scope.POINT


def _for_grain(grain: str) -> list[Indicator]:
    return [i for i in load_catalogue().indicators if grain == BUCKET or grain in i.grains]


def _amount(metered: MeteredPoint, rows: Mapping[int, AmountRow], span: Span, now: datetime) -> Amount:
    point = metered.point
    row = rows.get(point.point_id)
    return Amount(
        point_id=point.point_id,
        carrier=point.carrier,
        direction=point.direction,
        unit=point.unit,
        quantity=None if row is None else row.quantity,
        measured_s=0.0 if row is None else row.measured_s,
        estimated_s=0.0 if row is None else row.estimated_s,
        elapsed_s=max((min(span.end, now) - span.start).total_seconds(), 0.0),
        product=metered.product,
    )


async def evaluate_park(
    connection: Connection,
    park_id: int,
    firms: Sequence[FirmRow],
    spans: Sequence[Span],
    *,
    now: datetime,
    run_id: int,
) -> int:
    """Evaluate and write a park's values as ratios of sums; return how many changed."""
    outside = {firm.firm_id for firm in firms if not firm.industrial}
    written = 0
    for grain in {span.grain for span in spans}:
        mine = {span.start: span for span in spans if span.grain == grain}
        members: dict[tuple[str, datetime], list[Ratio]] = {}
        for member in await store.firm_values(connection, park_id, grain, list(mine)):
            members.setdefault((member["indicator_id"], member["period"]), []).append(stored_ratio(member))
        old = await store.stored_values(connection, park_id, None, grain, list(mine))
        new = []
        for (indicator_id, start), ratios in members.items():
            indicator = load_catalogue().by_id(indicator_id)
            if Scope.PARK not in indicator.scopes:
                continue
            ratio = park_ratio(indicator, ratios, excluded=outside, subject_id=park_id)
            row = _row(ratio, Scope.PARK, mine[start], now)
            if (changed := _changed(row, old.get(row.subject))) is not None:
                new.append(changed)
        await store.write_values(connection, (park_id, None), grain, new, run_id)
        written += len(new)
    return written


def stored_ratio(row: Mapping[str, Any]) -> Ratio:
    """Read a value back as the ratio it was written from."""
    indicator = load_catalogue().by_id(row["indicator_id"])
    lineage = row["lineage"]
    product = lineage["product"]
    factors = {factor.id: factor for factor in load_factors().factors}
    return Ratio(
        indicator_id=indicator.id,
        subject_id=row["firm_id"],
        numerator=row["numerator"],
        denominator=row["denominator"],
        divides=bool(indicator.denominator),
        scale=indicator.scale,
        unit=row["unit"],
        reason=None if row["reason"] is None else Undefined(row["reason"]),
        coverage=row["coverage"],
        estimated_share=lineage["estimated_share"],
        factors=tuple(factors[f["id"]] for f in lineage["factors"] if f["id"] in factors),
        points=tuple(lineage["points"]),
        ignored=tuple(lineage["ignored_points"]),
        product=None if product is None else Product(product["unit"], product["code"]),
        left_out=tuple(LeftOut(left["id"], Undefined(left["reason"])) for left in lineage["left_out"]),
        detail=lineage["detail"],
    )


def _row(ratio: Ratio, scope: Scope, span: Span, now: datetime) -> ValueRow:
    assert ratio.subject_id is not None
    return ValueRow(
        subject=Subject(scope.value, ratio.subject_id, ratio.indicator_id, span.start),
        numerator=ratio.numerator,
        denominator=ratio.denominator,
        value=ratio.value,
        unit=ratio.unit,
        coverage=ratio.coverage,
        reason=None if ratio.reason is None else ratio.reason.value,
        closed=span.end <= now,
        lineage=ratio.lineage() | {"catalogue": load_catalogue().version},
    )


def _changed(new: ValueRow, old: StoredValue | None) -> ValueRow | None:
    """Return the row to write, with its revision, or None if it says nothing new."""
    if old is None:
        return new
    same = (
        new.reason == old.reason
        and _close(new.value, old.value)
        and _close(new.numerator, old.numerator)
        and _close(new.denominator, old.denominator)
    )
    if same and new.closed == old.closed and abs(new.coverage - old.coverage) < 1e-3:
        return None
    return replace(new, revision=old.revision + (1 if old.closed and not same else 0))


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
