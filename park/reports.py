"""What a firm reported, as the terms of an indicator ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from park.business import KINDS, InputKind, PriceBasis, price_base_year, report_period, waste_of
from park.figures import Figure
from park.reasons import Undefined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from park.figures import Book
    from park.indicators import Indicator, Reported, Term


def figures_for(
    indicator: Indicator, book: Book, grain: str, start: date, *, as_of: date
) -> Mapping[Reported, Sequence[Figure]]:
    """Return what counts of each report that an indicator needs, for a month or a year.

    Where the reports of a year end at different months, all are cut to the shortest: what is divided must end together.

    Args:
        indicator: with terms that are reported.
        book: all that the firm has reported.
        grain: `month` or `year`.
        start: first day of the period, in the park's zone.
        as_of: today, in the park's zone.
    """
    terms = [term for term in indicator.numerator + indicator.denominator if term.reported is not None]
    found = {term.reported: _figures(term, book, grain, start, as_of) for term in terms if term.reported is not None}
    ends = {figure.until for figures in found.values() for figure in figures if _adds_up(figure)}
    if len(ends) > 1:
        cut = min(ends)
        found = {
            term.reported: _figures(term, book, grain, start, min(as_of, cut), until=cut)
            for term in terms
            if term.reported is not None
        }
    return found


def _adds_up(figure: Figure) -> bool:
    return figure.amount is not None and not KINDS[figure.kind].level


def _figures(
    term: Term, book: Book, grain: str, start: date, as_of: date, *, until: date | None = None
) -> tuple[Figure, ...]:
    if until is not None and grain == "year":
        book = _before(book, until)
    wanted = term.reported
    if wanted is None:
        return ()
    kind = wanted.kind
    if kind is InputKind.SOLID_WASTE:
        return tuple(book.waste(*waste_of(key), grain, start, term.unit or "t", as_of=as_of) for key in wanted.keys)
    price_year = price_base_year(start.year) if wanted.price is PriceBasis.CONSTANT else None
    keys = ("",) if not KINDS[kind].key else wanted.keys or book.keys(kind)
    found = []
    for key in keys:
        unit = _unit(term, book, kind, key)
        if unit is None:
            continue
        figure = book.figure(kind, grain, start, unit, as_of=as_of, key=key, price_year=price_year)
        # Of several instruments those that were not reported are none; whether any had to be, the term says.
        if not (wanted.keys and figure.reason is Undefined.NOT_REPORTED):
            found.append(figure)
    if (
        term.optional
        and all(figure.reason is Undefined.NOT_REPORTED for figure in found)
        and any((name.kind, name.period.start.year) == (kind, start.year) for name in book.counted)
    ):
        # Who reports this in a year, reports it for the whole of it: what lacks is missing, and not none.
        found = [Figure(kind, "", None, term.unit or "", start, start, Undefined.MONTHS_MISSING, str(kind))]
    return tuple(found)


def _before(book: Book, until: date) -> Book:
    """Return the book without what was reported for periods that reach beyond a day."""
    return type(book)(
        {name: entry for name, entry in book.counted.items() if name.period.end <= until or KINDS[name.kind].level},
        book.industry,
        book.deflators,
        book.sources,
        book.counters,
    )


def _unit(term: Term, book: Book, kind: InputKind, key: str) -> str | None:
    """Return the unit to ask for: that of the term, or the one that the amounts were reported in."""
    if term.unit is not None and term.factor is None:
        return term.unit
    return next((entry.unit for name, entry in book.counted.items() if (name.kind, name.key) == (kind, key)), None)


def cut_day(figures: Mapping[Reported, Sequence[Figure]], end: date) -> date:
    """Return the day before which what was reported ends, `end` if it is complete or nothing adds up."""
    return min((figure.until for found in figures.values() for figure in found if _adds_up(figure)), default=end)


def months_between(start: date, end: date) -> list[date]:
    """Return the first days of the months in `[start, end)`; both are first days of months."""
    months = []
    while start < end:
        months.append(start)
        start = report_period("month", start).end
    return months
