"""What counts for a period, out of everything a firm has reported.

Reported inputs keep the grain they were reported at. Months add up to quarters and years; nothing is spread over
shorter periods. A sum that lacks a month in its middle is undefined; one that lacks the newest months is the sum up to
`Figure.until`, and whoever divides by it has to end there too. A constant price is reported or comes from a deflator;
the current price never stands in for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from park.business import (
    KINDS,
    BusinessInput,
    Destination,
    Finality,
    InputKind,
    InputName,
    PriceBasis,
    ReportPeriod,
    Status,
    WasteCategory,
    counting,
    report_period,
    waste_of,
)
from park.errors import UnitError
from park.reasons import Undefined
from park.units import conversion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

_FINER: Final = ("bucket", "hour", "day")
_ORDER: Final = {Status.SUBMITTED: 0, Status.AUDITED: 1, Status.FROZEN: 2}
ANY_INDUSTRY: Final = "*"


class ProductSource(StrEnum):
    """Where the production of a product comes from; the two are never added."""

    COUNTER = "counter"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Deflator:
    """Prices of a year relative to a base year: `V_constant = V_current / value`."""

    industry: str
    base_year: int
    year: int
    value: float
    source: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """What counts of one input for `[start, until)`.

    Attributes:
        amount: in `unit`; None: undefined, `reason` and `detail` say why.
        until: where a year-to-date sum ends; the period's end where it is complete. A ratio's other side has to end
            there as well.
        inputs: the versions it rests on.
        price_year: base year of the constant prices; None: current prices, or no price.
        deflators: what turned current into constant prices; empty where constant prices were reported.
    """

    kind: InputKind
    key: str
    amount: float | None
    unit: str
    start: date
    until: date
    reason: Undefined | None = None
    detail: str = ""
    inputs: tuple[BusinessInput, ...] = ()
    price_year: int | None = None
    deflators: tuple[Deflator, ...] = ()

    @property
    def provisional(self) -> bool:
        """Tell whether a part of it is expected to be revised."""
        return any(found.finality is Finality.PROVISIONAL for found in self.inputs)

    @property
    def status(self) -> Status | None:
        """Return how far the least audited part has come, None if it rests on nothing."""
        return min((found.status for found in self.inputs), key=_ORDER.__getitem__, default=None)

    def lineage(self) -> dict[str, Any]:
        """Return what it rests on, as plain data that can be stored as JSON."""
        return {
            "kind": self.kind.value,
            "key": self.key,
            "until": self.until.isoformat(),
            "inputs": [{"id": i.input_id, "period": str(i.name.period), "version": i.version} for i in self.inputs],
            "status": self.status,
            "provisional": self.provisional,
            "price_year": self.price_year,
            "deflators": [
                {
                    "industry": d.industry,
                    "base_year": d.base_year,
                    "year": d.year,
                    "value": d.value,
                    "version": d.version,
                }
                for d in self.deflators
            ],
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: one name without its period, in one unit."""

    kind: InputKind
    key: str
    unit: str
    price_year: int | None
    workshop: str | None

    def name(self, period: ReportPeriod, *, constant: bool) -> InputName:
        """Return the name of this input for a period."""
        if not KINDS[self.kind].priced:
            return InputName(self.kind, period, self.key, workshop=self.workshop)
        if constant:
            basis, year = PriceBasis.CONSTANT, self.price_year
        else:
            basis, year = PriceBasis.CURRENT, None
        return InputName(self.kind, period, self.key, basis, year, self.workshop)

    def nothing(self, start: date, until: date, reason: Undefined, detail: str = "") -> Figure:
        """Return the figure of nothing."""
        return Figure(self.kind, self.key, None, self.unit, start, until, reason, detail, price_year=self.price_year)


@dataclass(frozen=True, slots=True)
class Book:
    """All that one firm has reported and what decides which of it counts.

    Attributes:
        counted: the version of each input that counts.
        industry: of the firm, for its deflators.
        sources: product code to declared source; a product without one is counted if it has a counter.
        counters: products with a counter at the edge.
    """

    counted: Mapping[InputName, BusinessInput]
    industry: str = ""
    deflators: tuple[Deflator, ...] = ()
    sources: Mapping[str, ProductSource] = field(default_factory=dict)
    counters: frozenset[str] = frozenset()

    def source_of(self, product: str) -> ProductSource:
        """Return which source of a product's production counts."""
        by_default = ProductSource.COUNTER if product in self.counters else ProductSource.REPORTED
        return self.sources.get(product, by_default)

    def keys(self, kind: InputKind) -> tuple[str, ...]:
        """Return the keys under which something of a kind was reported, sorted."""
        return tuple(sorted({name.key for name in self.counted if name.kind is kind}))

    def figure(
        self,
        kind: InputKind,
        grain: str,
        start: date,
        unit: str,
        *,
        as_of: date,
        key: str = "",
        price_year: int | None = None,
        workshop: str | None = None,
    ) -> Figure:
        """Return what counts of an input for a period.

        Args:
            kind: what.
            grain: `month`, `quarter` or `year`; for hours and days an amount is undefined, a level that of the month.
            start: first day of the period, in the park's zone.
            unit: of the result.
            as_of: today in the park's zone; only whole months before it can be missing.
            key: product, carrier, waste and so on.
            price_year: base year of constant prices; None: current prices.
            workshop: one unit of the firm; None: the firm.
        """
        wanted = _Wanted(kind, key, unit, price_year, workshop)
        if kind is InputKind.PRODUCTION and self.source_of(key) is ProductSource.COUNTER:
            return wanted.nothing(start, start, Undefined.OTHER_SOURCE, f"{key} is counted at the edge")
        if grain in _FINER:
            if not KINDS[kind].level:
                return wanted.nothing(start, start, Undefined.REPORTED_COARSER)
            grain = "month"
        period = report_period(grain, start)
        found = self._level(wanted, period) if KINDS[kind].level else None
        if found is None:
            found = self._at(wanted, period) or self._summed(wanted, period, as_of)
        return found

    def waste(
        self, category: WasteCategory, destination: Destination, grain: str, start: date, unit: str, *, as_of: date
    ) -> Figure:
        """Return the solid waste of a category with one destination, its types added."""
        wanted = _Wanted(InputKind.SOLID_WASTE, f"{category}/{destination}", unit, None, None)
        keys = [key for key in self.keys(InputKind.SOLID_WASTE) if waste_of(key) == (category, destination)]
        parts = [self.figure(InputKind.SOLID_WASTE, grain, start, unit, as_of=as_of, key=key) for key in keys]
        if not parts:
            reason = Undefined.REPORTED_COARSER if grain in _FINER else Undefined.NOT_REPORTED
            return wanted.nothing(start, start, reason)
        if len({part.until for part in parts if part.reason is None}) > 1:
            ends = ", ".join(f"{part.key} until {part.until}" for part in parts)
            return wanted.nothing(start, start, Undefined.MONTHS_MISSING, ends)
        return _added(wanted, start, parts)

    def _at(self, wanted: _Wanted, period: ReportPeriod) -> Figure | None:
        """Return what was reported for exactly this period, None if nothing was."""
        constant = wanted.price_year is not None
        found = self._value(wanted, period, constant=constant)
        if found is not None or not constant:
            return found
        current = self._value(wanted, period, constant=False)
        if current is None or current.amount is None:
            return current
        deflator = self._deflator(wanted.price_year, period.start.year)
        if deflator is None:
            lacking = f"{self.industry or 'the firm'}: {period.start.year} at prices of {wanted.price_year}"
            return wanted.nothing(period.start, period.end, Undefined.NO_DEFLATOR, lacking)
        return replace(
            current, amount=current.amount / deflator.value, price_year=wanted.price_year, deflators=(deflator,)
        )

    def _value(self, wanted: _Wanted, period: ReportPeriod, *, constant: bool) -> Figure | None:
        found = self.counted.get(wanted.name(period, constant=constant))
        if found is None or found.amount is None:
            return None
        try:
            amount = found.amount * conversion(found.unit, wanted.unit)
        except UnitError as error:
            return wanted.nothing(period.start, period.end, Undefined.WRONG_UNIT, f"{found.name}: {error}")
        year = wanted.price_year if constant else None
        return Figure(
            wanted.kind, wanted.key, amount, wanted.unit, period.start, period.end, inputs=(found,), price_year=year
        )

    def _deflator(self, base_year: int | None, year: int) -> Deflator | None:
        if base_year == year:
            return Deflator(ANY_INDUSTRY, year, year, 1.0, "prices of the base year")
        fitting = [d for d in self.deflators if (d.base_year, d.year) == (base_year, year)]
        for industry in (self.industry, ANY_INDUSTRY):
            mine = [d for d in fitting if d.industry == industry]
            if mine:
                return max(mine, key=lambda d: d.version)
        return None

    def _summed(self, wanted: _Wanted, period: ReportPeriod, as_of: date) -> Figure:
        """Put a period together from the months, and quarters, that were reported."""
        parts = self._parts(wanted, period)
        elapsed = [month for month in period.months if report_period("month", month).end <= as_of]
        have = {month for part in parts for month in report_months(part)}
        until = max((part.until for part in parts), default=period.start)
        missing = [month for month in elapsed if month not in have]
        if not parts:
            coarser = self._coarser(wanted, period)
            reason = Undefined.NOT_REPORTED if coarser is None else Undefined.REPORTED_COARSER
            detail = f"{wanted.kind} of {period}" if coarser is None else f"{wanted.kind} is reported for {coarser}"
            return wanted.nothing(period.start, until, reason, detail)
        if any(month < until for month in missing) or (missing and period.end <= as_of):
            names = ", ".join(f"{month:%Y-%m}" for month in missing)
            return wanted.nothing(period.start, until, Undefined.MONTHS_MISSING, names)
        if wanted.kind is InputKind.STOCK_OPENING:
            return replace(min(parts, key=lambda part: part.start), until=until)
        if wanted.kind is InputKind.STOCK_CLOSING:
            return replace(max(parts, key=lambda part: part.start), start=period.start)
        return _added(wanted, period.start, parts)

    def _parts(self, wanted: _Wanted, period: ReportPeriod) -> list[Figure]:
        """Return each quarter's months where all three are there, else the quarter, else the months there are."""
        parts: list[Figure] = []
        if period.grain == "month":
            return parts
        for first in dict.fromkeys(report_period("quarter", month).start for month in period.months):
            quarter = report_period("quarter", first)
            months = [self._at(wanted, report_period("month", month)) for month in quarter.months]
            present = [month for month in months if month is not None]
            whole = self._at(wanted, quarter) if len(present) < len(months) else None
            parts += present if whole is None else [whole]
        return parts

    def _coarser(self, wanted: _Wanted, period: ReportPeriod) -> ReportPeriod | None:
        for grain in ("quarter", "year"):
            longer = report_period(grain, period.start)
            if longer.end - longer.start > period.end - period.start and self._at(wanted, longer) is not None:
                return longer
        return None

    def _level(self, wanted: _Wanted, period: ReportPeriod) -> Figure | None:
        """Return a state that holds throughout the period: its own, else that of a longer period around it.

        Of months, land is that of the newest, staff the mean of those reported.
        """
        own = self._at(wanted, period)
        if own is not None:
            return own
        coarser = self._coarser(wanted, period)
        if coarser is not None:
            found = self._at(wanted, coarser)
            return None if found is None else replace(found, start=period.start, until=period.end)
        parts = self._parts(wanted, period)
        if not parts or any(part.amount is None for part in parts):
            return parts[0] if parts else wanted.nothing(period.start, period.start, Undefined.NOT_REPORTED)
        newest = max(parts, key=lambda part: part.start)
        if wanted.kind is InputKind.LAND_AREA:
            return replace(newest, start=period.start, until=period.end)
        amounts = [part.amount for part in parts if part.amount is not None]
        inputs = tuple(found for part in parts for found in part.inputs)
        return replace(
            newest, amount=math.fsum(amounts) / len(amounts), inputs=inputs, start=period.start, until=period.end
        )


def _added(wanted: _Wanted, start: date, parts: Sequence[Figure]) -> Figure:
    """Add figures; what one of them lacks, the sum lacks."""
    until = max(part.until for part in parts)
    for part in parts:
        if part.reason is not None:
            return wanted.nothing(start, until, part.reason, part.detail)
    return Figure(
        wanted.kind,
        wanted.key,
        math.fsum(part.amount for part in parts if part.amount is not None),
        wanted.unit,
        start,
        until,
        inputs=tuple(found for part in parts for found in part.inputs),
        price_year=wanted.price_year,
        deflators=tuple(dict.fromkeys(d for part in parts for d in part.deflators)),
    )


def report_months(figure: Figure) -> list[date]:
    """Return the first days of the months that a figure covers."""
    months = [figure.start]
    while (following := report_period("month", months[-1]).end) < figure.until:
        months.append(following)
    return months


def book(
    versions: Iterable[BusinessInput],
    *,
    industry: str = "",
    deflators: Iterable[Deflator] = (),
    sources: Mapping[str, ProductSource] | None = None,
    counters: Iterable[str] = (),
) -> Book:
    """Return a firm's book from all versions of what it reported."""
    return Book(counting(versions), industry, tuple(deflators), dict(sources or {}), frozenset(counters))
