"""Typed access to what firms report: versions, audits, deflators. Nothing here is ever updated or deleted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from park.business import (
    BusinessInput,
    Finality,
    InputKind,
    InputName,
    PriceBasis,
    ReportPeriod,
    Status,
    next_version,
    report_period,
)
from park.calendar import period
from park.errors import BusinessInputError
from park.figures import Book, Deflator, ProductSource, book
from store.errors import UnknownNameError
from store.indicators import mark_values
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.pool import Connection

_FIRST, _LAST = date(1990, 1, 1), date(2201, 1, 1)


@dataclass(frozen=True, slots=True)
class ReportingFirm:
    """A firm, and what its inputs may name.

    Attributes:
        workshops: code to id of its units.
        sources: product code to declared source.
        counters: products with a counter at the edge.
    """

    firm_id: int
    park_id: int
    code: str
    uscc: str | None
    industry: str
    time_zone: str
    workshops: dict[str, int]
    sources: dict[str, ProductSource]
    counters: frozenset[str]

    @property
    def products(self) -> frozenset[str]:
        """Return the products that are known; empty: the firm declares none and counts none."""
        return self.counters | frozenset(self.sources)

    def today(self, now: datetime) -> date:
        """Return the date in the park's zone."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()


@dataclass(frozen=True, slots=True)
class Entered:
    """What became of one input: the version that holds it, and whether it is new; or why it was refused."""

    given: BusinessInput
    stored: BusinessInput | None = None
    error: BusinessInputError | None = None

    @property
    def is_new(self) -> bool:
        """Tell whether something was stored."""
        return self.stored is not None


@dataclass(frozen=True, slots=True)
class InputRow:
    """One version as it is listed, with the firm it is of."""

    firm: str
    firm_id: int
    park_id: int
    found: BusinessInput
    newest: bool


@dataclass(frozen=True, slots=True)
class StateRow:
    """One step of an audit."""

    input_id: int
    status: str
    author: str
    reason: str
    at: datetime


async def reporting_firms(connection: Connection, park_id: int, firm_id: int | None = None) -> list[ReportingFirm]:
    """Return the firms of a park by code, or one of them."""
    found = []
    for row in await connection.fetch(queries("business")["firms"], park_id, firm_id):
        fields = dict(row)
        ids, sources = fields.pop("workshop_ids"), fields.pop("sources")
        fields["workshops"] = dict(zip(fields["workshops"], ids, strict=True))
        declared = zip(fields.pop("products"), sources, strict=True)
        fields["sources"] = {code: ProductSource(source) for code, source in declared}
        fields["counters"] = frozenset(fields["counters"])
        found.append(ReportingFirm(**fields))
    return found


async def reporting_firm(connection: Connection, firm_id: int) -> ReportingFirm:
    """Return one firm, or raise `UnknownNameError`."""
    park_id = await connection.fetchval(queries("business")["park_of_firm"], firm_id)
    if park_id is None:
        raise UnknownNameError("firm", str(firm_id))
    [found] = await reporting_firms(connection, park_id, firm_id)
    return found


async def versions(
    connection: Connection, firm_id: int, first: date = _FIRST, end: date = _LAST
) -> list[BusinessInput]:
    """Return every version of a firm's inputs whose periods begin in `[first, end)`."""
    rows = await connection.fetch(queries("business")["versions"], firm_id, first, end)
    return [_input(dict(row)) for row in rows]


async def book_of(connection: Connection, firm_id: int, first: date, end: date) -> Book:
    """Return what counts of a firm's inputs for all periods that overlap `[first, end)`, for `Book.figure`."""
    firm = await reporting_firm(connection, firm_id)
    found = await versions(connection, firm_id, report_period("year", first).start, end)
    return book(
        found,
        industry=firm.industry,
        deflators=await deflators(connection, firm.park_id),
        sources=firm.sources,
        counters=firm.counters,
    )


async def deflators(connection: Connection, park_id: int) -> list[Deflator]:
    """Return a park's deflators, the newest version of each."""
    return [Deflator(**dict(row)) for row in await connection.fetch(queries("business")["deflators"], park_id)]


async def enter(
    connection: Connection, firm: ReportingFirm, given: Sequence[BusinessInput], *, now: datetime
) -> list[Entered]:
    """Store new versions of a firm's inputs in one transaction, and have what they touch computed again.

    Inputs must have passed `park.business.check_input`. What changes nothing is left out; what a frozen version forbids
    is refused, and stops none of the others.
    """
    sql = queries("business")
    done: list[Entered] = []
    async with connection.transaction():
        await connection.execute(sql["lock_firm"], firm.firm_id)
        known: dict[InputName, list[BusinessInput]] = {}
        for old in await versions(connection, firm.firm_id):
            known.setdefault(old.name, []).append(old)
        touched: list[ReportPeriod] = []
        for new in given:
            try:
                wanted = next_version(known.get(new.name, ()), new)
            except BusinessInputError as error:
                done.append(Entered(new, error=error))
                continue
            stored = None if wanted is None else await _insert(connection, firm, wanted)
            if stored is not None:
                known.setdefault(new.name, []).append(stored)
                touched.append(new.name.period)
            done.append(Entered(new, stored))
        await _mark(connection, [firm.firm_id], firm.time_zone, touched, "business input", now)
    return done


async def _insert(connection: Connection, firm: ReportingFirm, new: BusinessInput) -> BusinessInput:
    name = new.name
    workshop = None if name.workshop is None else firm.workshops[name.workshop]
    input_id = await connection.fetchval(
        queries("business")["insert"],
        firm.park_id,
        firm.firm_id,
        workshop,
        name.kind.value,
        name.key,
        None if name.price_basis is None else name.price_basis.value,
        name.price_year,
        name.period.grain,
        name.period.start,
        new.version,
        new.amount,
        new.unit,
        new.finality.value,
        new.author,
        new.source,
        new.reason,
    )
    return replace(new, input_id=input_id)


async def set_status(
    connection: Connection, rows: Iterable[InputRow], status: Status, *, author: str, reason: str, now: datetime
) -> list[int]:
    """Audit or freeze versions; return the ids that were not so before. Freezing audits what was only submitted.

    Which version counts may change by it, so what they touch is computed again.
    """
    sql = queries("business")
    found = list(rows)
    ids = [row.found.input_id for row in found]
    async with connection.transaction():
        if status is Status.FROZEN:
            await connection.fetch(sql["set_state"], ids, Status.AUDITED.value, author, reason)
        changed = {
            row["input_id"] for row in await connection.fetch(sql["set_state"], ids, status.value, author, reason)
        }
        by_firm: dict[tuple[int, int], list[ReportPeriod]] = {}
        for row in found:
            if row.found.input_id in changed:
                by_firm.setdefault((row.park_id, row.firm_id), []).append(row.found.name.period)
        for (_, firm_id), periods in by_firm.items():
            firm = await reporting_firm(connection, firm_id)
            await _mark(connection, [firm_id], firm.time_zone, periods, f"business input {status}", now)
    return sorted(changed)


async def add_deflators(
    connection: Connection, park_id: int, time_zone: str, given: Sequence[Deflator], *, author: str, now: datetime
) -> int:
    """Store deflators that say something new; return how many, and have the firms they concern computed again."""
    sql = queries("business")
    new = 0
    async with connection.transaction():
        for one in given:
            version = await connection.fetchval(
                sql["add_deflator"], park_id, one.industry, one.base_year, one.year, one.value, one.source, author
            )
            if version is None:
                continue
            new += 1
            rows = await connection.fetch(sql["years_reported"], park_id, one.industry, one.year)
            year = report_period("year", date(one.year, 1, 1))
            await _mark(connection, [row["firm_id"] for row in rows], time_zone, [year], "deflator", now)
    return new


async def _mark(
    connection: Connection,
    firm_ids: Sequence[int],
    time_zone: str,
    touched: Iterable[ReportPeriod],
    cause: str,
    now: datetime,
) -> None:
    """Have the months and years of reported periods computed again, and wake whoever computes.

    Of what was reported for a quarter or a year, those of its months that have numbers already.
    """
    tz = ZoneInfo(time_zone)
    periods = list(touched)

    def starts(grain: str, days: Iterable[date]) -> list[tuple[str, datetime]]:
        noons = {datetime(day.year, day.month, 1, 12, tzinfo=tz) for day in days}
        found = {period(grain, noon, tz).start for noon in noons}  # type: ignore[arg-type]
        return [(grain, start) for start in sorted(found) if start <= now]

    exact = starts("month", (p.start for p in periods if p.grain == "month"))
    exact += starts("year", (p.start for p in periods))
    known = starts("month", (month for p in periods if p.grain != "month" for month in p.months))
    for firm_id in firm_ids if exact else ():
        await mark_values(connection, firm_id, exact, cause, None)
        if known:
            sql = queries("business")["mark_known"]
            await connection.execute(sql, firm_id, [start for _, start in known], cause)
        await connection.execute(queries("business")["wake"], str(firm_id))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which inputs are listed; None: any. `first` and `end` bound the first days of their periods."""

    ids: tuple[int, ...] | None = None

    park_id: int | None = None
    firm_id: int | None = None
    kind: InputKind | None = None
    first: date | None = None
    end: date | None = None
    status: Status | None = None
    history: bool = False


async def listed(connection: Connection, wanted: Filter, *, after: int = 0, limit: int = 100_000) -> list[InputRow]:
    """Return inputs by id: the newest version of each, or with `history` all. A tenant's role sees its own only."""
    rows = await connection.fetch(
        queries("business")["listed"],
        wanted.park_id,
        wanted.firm_id,
        wanted.kind,
        wanted.first,
        wanted.end,
        wanted.history,
        wanted.status,
        after,
        limit,
        None if wanted.ids is None else list(wanted.ids),
    )
    found = []
    for row in rows:
        fields = dict(row)
        firm, firm_id, park_id, newest = (fields.pop(name) for name in ("firm", "firm_id", "park_id", "newest"))
        found.append(InputRow(firm, firm_id, park_id, _input(fields), newest))
    return found


async def sees_whole_park(connection: Connection, park_id: int) -> bool:
    """Tell whether the role of this session sees all of a park, as its managers do."""
    return bool(await connection.fetchval(queries("business")["sees_whole_park"], park_id))


async def parks_of(connection: Connection, input_ids: Sequence[int]) -> dict[int, int]:
    """Return the park of each version that the role of this session sees."""
    rows = await connection.fetch(queries("business")["seen"], list(input_ids))
    return {row["input_id"]: row["park_id"] for row in rows}


async def states_of(connection: Connection, input_ids: Sequence[int]) -> list[StateRow]:
    """Return who audited and froze some versions."""
    return [StateRow(**dict(row)) for row in await connection.fetch(queries("business")["states_of"], list(input_ids))]


def _input(fields: dict[str, Any]) -> BusinessInput:
    basis = fields["price_basis"]
    name = InputName(
        InputKind(fields["kind"]),
        ReportPeriod(fields["grain"], fields["period"]),
        fields["key"],
        None if basis is None else PriceBasis(basis),
        fields["price_year"],
        fields["workshop"],
    )
    return BusinessInput(
        name,
        fields["amount"],
        fields["unit"],
        Finality(fields["finality"]),
        Status(fields["status"]),
        fields["version"],
        fields["author"],
        fields["source"],
        fields["reason"],
        fields["entered"],
        fields["input_id"],
    )
