"""Indicators that need what firms report: by month and year, and only when something behind them can have changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Final

from park.calendar import period
from park.factors import load_factors
from park.figures import Book
from park.indicators import Indicator, Scope, load_catalogue
from park.ratios import Amount, Ratio, evaluate
from park.reasons import Undefined
from park.reports import cut_day, figures_for, months_between
from store.business import book_of
from streams.lines import ratio_line
from streams.table import span_at, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from park.evaluation import PointSource
    from store.pool import Connection
    from streams.indicators import Work
    from streams.table import Span, Table

GRAINS: Final = ("month", "year")
SENTINEL: Final = "energy_per_value_added"
"""Stands for all that is written once a year although nothing is known of it: absent points, missing reports."""
_UNWRITTEN: Final = frozenset({Undefined.NO_POINTS, Undefined.NOT_REPORTED})


async def evaluate_reported(
    connection: Connection,
    work: Sequence[tuple[Work, Sequence[Span]]],
    sources: Mapping[int, Sequence[PointSource]],
    table: Table,
    kinds: Mapping[int, Mapping[int, Collection[str]]],
    *,
    now: datetime,
) -> list[str]:
    """Return the lines to write of firms, for the months and years given with each; `kinds` they reported, by year."""
    out: list[str] = []
    for each, spans in work:
        today = now.astimezone(each.tz).date()
        days = [span.start.astimezone(each.tz).date() for span in spans]
        points, book = sources[each.firm_id], Book({})
        months: Mapping[datetime, Sequence[Amount]] = {}
        if each.firm_id in kinds:
            first, last = min(days), max(span.end.astimezone(each.tz).date() for span in spans)
            book = await book_of(connection, each.firm_id, first, last)
            months = await _months(connection, points, [s for s in spans if s.grain == "year"], each.tz, now)
        for span, start in zip(spans, days, strict=True):
            of_year = kinds.get(each.firm_id, {}).get(start.year, ())
            whole = table.amounts(points, span, now) if of_year else ()
            for indicator in _indicators(span.grain):
                if indicator.free and not any(report.kind.value in of_year for report in indicator.reports):
                    continue
                if of_year:
                    ratio = _ratio(indicator, each, span, start, (whole, months), book, today)
                else:
                    ratio = _nothing(indicator, each.firm_id)
                if ratio.reason is not None:
                    # Nobody comes back to a sum that has no other side: it would stand there and grow old.
                    ratio = replace(ratio, numerator=None, denominator=None, coverage=0.0)
                out.append(
                    ratio_line(
                        ratio,
                        (each.park_id, each.firm_id),
                        ("firm", each.firm_id),
                        (span.grain, span.start),
                        each.run_id,
                        closed=span.end <= now,
                        only_over=ratio.reason in _UNWRITTEN and span.grain != "year",
                    )
                )
    return out


def _indicators(grain: str) -> list[Indicator]:
    return [
        indicator
        for indicator in load_catalogue().indicators
        if indicator.reports and grain in indicator.grains and Scope.FIRM in indicator.scopes
    ]


def _ratio(
    indicator: Indicator,
    work: Work,
    span: Span,
    start: date,
    amounts: tuple[Sequence[Amount], Mapping[datetime, Sequence[Amount]]],
    book: Book,
    today: date,
) -> Ratio:
    """Evaluate one indicator; a year that is reported up to a month ends there on both sides."""
    whole, months = amounts
    figures = figures_for(indicator, book, span.grain, start, as_of=today)
    end = span.end.astimezone(work.tz).date()
    cut = cut_day(figures, end)
    used = whole
    if span.grain == "year" and start < cut < end:
        used = _added([months.get(_midnight(month, work.tz), ()) for month in months_between(start, cut)])
    return evaluate(indicator, used, load_factors(), on=start, subject_id=work.firm_id, figures=figures)


def _nothing(indicator: Indicator, firm_id: int) -> Ratio:
    """Return the value of a firm that reported nothing in a year."""
    return Ratio(
        indicator_id=indicator.id,
        subject_id=firm_id,
        numerator=None,
        denominator=None,
        divides=bool(indicator.denominator),
        scale=indicator.scale,
        unit=indicator.unit.replace("{product}", "product"),
        reason=Undefined.NOT_REPORTED,
        coverage=0.0,
        estimated_share=0.0,
        form=indicator.form,
    )


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    return period("day", datetime.combine(day, time(12), tz).astimezone(UTC), tz).start


def _added(months: Sequence[Sequence[Amount]]) -> list[Amount]:
    """Return what each point moved over some months; unknown if one of them is."""
    if not months or not all(months):
        return []
    added = []
    for parts in zip(*months, strict=True):
        known = [part.known for part in parts]
        added.append(
            Amount(
                point_id=parts[0].point_id,
                carrier=parts[0].carrier,
                direction=parts[0].direction,
                unit=parts[0].unit,
                quantity=None if None in known else sum(quantity for quantity in known if quantity is not None),
                measured_s=sum(part.measured_s for part in parts),
                estimated_s=sum(part.estimated_s for part in parts),
                elapsed_s=sum(part.elapsed_s for part in parts),
                product=parts[0].product,
            )
        )
    return added


async def _months(
    connection: Connection, points: Sequence[PointSource], years: Sequence[Span], tz: ZoneInfo, now: datetime
) -> dict[datetime, list[Amount]]:
    """Return what the points moved in each month of some years."""
    spans = [
        span_at("month", _midnight(month, tz), tz)
        for year in years
        for month in months_between(year.start.astimezone(tz).date(), year.end.astimezone(tz).date())
    ]
    if not spans or not points:
        return {}
    table = await table_of(connection, [(span.grain, span.start) for span in spans], [p.point_id for p in points])
    return {span.start: table.amounts(points, span, now) for span in spans}
