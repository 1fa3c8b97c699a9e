"""Runs every query of every dashboard as Grafana would send it, as the tenant's own role, on a real database.

A query must run for one value, several, All, and a value with a quote in it, with and without TimescaleDB's macros; its
columns must be what the panel needs; and a tenant that types another's ids must get what an id that does not exist
gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from dashboards.build import parsed
from dashboards.errors import DashboardError
from dashboards.lint import lint_dashboard, queries_of, variables_of
from dashboards.macros import Variable, View, expand, substitute
from store.browse import acquired, acting_as
from store.pool import open_pool
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.pool import Connection, Pool

_QUOTE: Final = "b'c"
_NOBODY: Final = "2147483647"


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        queries: statements that were run.
        failed: statements that the database or the panel would refuse, with the place and the reason.
        crossed_tenant: statements that showed something of another tenant.
        empty: queries that gave no row for any choice of a tenant that has firms; no error, but they prove little.
        lint: findings that need no database.
    """

    queries: int = 0
    failed: list[str] = field(default_factory=list)
    crossed_tenant: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    lint: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Tell whether nothing failed, crossed or was found by the linter."""
        return not (self.failed or self.crossed_tenant or self.lint)

    def as_json(self) -> dict[str, Any]:
        """Return counts, and the places in `details`."""
        return {
            "queries": self.queries,
            "failed": len(self.failed),
            "crossed_tenant": len(self.crossed_tenant),
            "empty": len(self.empty),
            "lint": len(self.lint),
            "details": {name: getattr(self, name) for name in ("failed", "crossed_tenant", "empty", "lint")},
        }


@dataclass(frozen=True, slots=True)
class Tenant:
    """A role, what it may choose, and what others may."""

    role: str
    park: str
    firms: tuple[str, ...]
    foreign_parks: tuple[str, ...]
    foreign_firms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen in the dashboard's variables."""

    name: str
    park: str
    firms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """One statement of a dashboard: where it stands, its form, and the dashboard's variables."""

    where: str
    sql: str
    form: str
    many: Mapping[str, bool]


async def check(url: str, *, now: datetime | None = None, days: int = 7) -> Report:
    """Check all dashboards against the database at `url`, for every tenant in it.

    Args:
        url: log-in that may act as the tenants.
        now: end of the range, default: the present.
        days: length of the range.
    """
    end = now or datetime.now(UTC)
    report = Report()
    documents = parsed()
    view = View(end - timedelta(days=days), end, timedelta(hours=1), timescaledb=True)
    for path, document in documents.items():
        report.lint += [f"{path}: {finding}" for finding in lint_dashboard(document, view)]
    async with open_pool(url, application="greenpark dashboards", min_size=0, max_size=2, read_only=True) as pool:
        tenants = await _tenants(pool)
        if not tenants:
            report.failed.append("no tenant in this database; make one with `greenpark token add PARK --label …`")
        for tenant in tenants:
            for path, document in documents.items():
                await _check_document(pool, tenant, path, document, view, report)
    return report


async def _tenants(pool: Pool) -> list[Tenant]:
    async with acquired(pool) as connection:
        rows = await connection.fetch(queries("tenants")["scopes"])
    parks = {str(row["park_id"]) for row in rows}
    firms = {str(firm) for row in rows for firm in row["firms"]}
    return [
        Tenant(
            row["role"],
            str(row["park_id"]),
            tuple(map(str, row["firms"])),
            tuple(sorted(parks - {str(row["park_id"])})),
            tuple(sorted(firms - set(map(str, row["firms"])))),
        )
        for row in rows
    ]


async def _check_document(
    pool: Pool, tenant: Tenant, path: str, document: Mapping[str, Any], view: View, report: Report
) -> None:
    many = variables_of(document)
    for place, sql, form in queries_of(document):
        query = Query(f"{path}: {place} as {tenant.role}", sql, form, many)
        # One transaction, so that now() stands still between what is compared.
        async with acting_as(pool, tenant.role) as connection:
            await connection.fetchval(queries("tenants")["bare_search_path"])
            await _check_own(connection, tenant, query, view, report)
            await _check_crossing(connection, tenant, query, view, report)


async def _check_own(connection: Connection, tenant: Tenant, query: Query, view: View, report: Report) -> None:
    seen = 0
    for timescaledb in (True, False):
        variant = View(view.start, view.end, view.interval, timescaledb)
        for choice in _own_choices(tenant):
            seen += len(await _run(connection, query, choice, variant, report) or ())
    if not seen and tenant.firms:
        report.empty.append(query.where)


def _own_choices(tenant: Tenant) -> list[Choice]:
    return [
        Choice("one value", tenant.park, tenant.firms[:1] or (_NOBODY,)),
        Choice("several", tenant.park, (tenant.firms * 2)[:2] or (_NOBODY,)),
        Choice("All", tenant.park, tenant.firms or (_NOBODY,)),
        Choice("a value with a quote", _QUOTE, (*tenant.firms, _QUOTE)),
        Choice("a quote among others", tenant.park, (*tenant.firms, _QUOTE)),
    ]


async def _check_crossing(connection: Connection, tenant: Tenant, query: Query, view: View, report: Report) -> None:
    """Another tenant's ids must give exactly what ids of nobody give, in every mixture."""
    own, foreign = tenant.firms, tenant.foreign_firms
    mixtures = [
        (Choice("foreign firms", tenant.park, foreign), Choice("nobody", tenant.park, (_NOBODY,))),
        (Choice("own and foreign firms", tenant.park, own + foreign), Choice("own", tenant.park, (*own, _NOBODY))),
    ]
    for park in tenant.foreign_parks:
        nobody = Choice("nobody", _NOBODY, (_NOBODY,))
        mixtures.append((Choice(f"foreign park {park}", park, own + foreign), nobody))
    for tried, harmless in mixtures:
        if tried.firms:
            got = await _run(connection, query, tried, view, report)
            wanted = await _run(connection, query, harmless, view, report)
            if got is not None and wanted is not None and got != wanted:
                report.crossed_tenant.append(f"{query.where}, {tried.name}")


async def _run(connection: Connection, query: Query, choice: Choice, view: View, report: Report) -> list[Any] | None:
    values = {"park": (choice.park,), "firm": choice.firms}
    try:
        variables = {name: Variable(values[name], many=quoted) for name, quoted in query.many.items()}
        text = expand(substitute(query.sql, variables), view)
        report.queries += 1
        async with connection.transaction():
            return await _fetch(connection, text, query.form)
    except (asyncpg.PostgresError, DashboardError) as error:
        report.failed.append(f"{query.where}, {choice.name}: {type(error).__name__} {error}")
        return None


async def _fetch(connection: Connection, text: str, form: str) -> list[Any]:
    statement = await connection.prepare(text)
    columns = {a.name: a.type.name for a in statement.get_attributes()}
    if len(columns) != len(statement.get_attributes()):
        raise DashboardError("two columns have the same name")
    if form == "time_series":
        _check_series(columns)
    rows: list[Any] = await statement.fetch()
    if form == "time_series" and any(a["time"] > b["time"] for a, b in pairwise(rows)):
        raise DashboardError("rows must come in the order of time")
    return rows


def _check_series(columns: Mapping[str, str]) -> None:
    if columns.get("time") not in {"timestamptz", "float8", "int8"}:
        raise DashboardError("a time series needs a column time")
    numbers = [name for name, kind in columns.items() if kind in {"float8", "float4", "int8", "int4", "numeric"}]
    texts = [name for name, kind in columns.items() if kind == "text"]
    if not set(numbers) - {"time"}:
        raise DashboardError("a time series needs a number")
    if texts not in ([], ["metric"]):
        raise DashboardError("name the text column metric, or the series get odd names")
