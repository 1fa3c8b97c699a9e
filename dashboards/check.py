"""Runs every query of every dashboard as Grafana would send it, as the tenant's own role, on a real database.

A query must run for one value, several, All, and a value with a quote in it, with and without TimescaleDB's macros; its
columns must be what the panel needs; and a tenant that types another's codes must get what a code that does not exist
gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from dashboards.build import FOLDER, PARK_ONLY, parsed
from dashboards.errors import DashboardError
from dashboards.lint import Statement, lint_dashboard, lint_provisioning, queries_of, range_of, variables_of
from dashboards.macros import Variable, View, expand, substitute
from store.browse import acquired, acting_as
from store.pool import open_pool
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.pool import Connection, Pool

QUOTE: Final = "b'c"
_NOBODY: Final = "nobody-has-this-code"
_NUMBERS: Final = frozenset({"float8", "float4", "int8", "int4", "int2", "numeric"})


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        queries: statements that were expanded and had to hold; equal texts run once.
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
    """A role, the codes it may choose, and those of others."""

    role: str
    park: str
    whole: bool
    firms: tuple[str, ...]
    foreign_parks: tuple[str, ...]
    foreign_firms: tuple[str, ...]


Choice = dict[str, tuple[str, ...]]
"""What is chosen in each variable of a dashboard."""


async def check(url: str, *, now: datetime | None = None, days: int | None = None) -> Report:
    """Check all dashboards against the database at `url`, for every tenant in it.

    Args:
        url: log-in that may act as the tenants.
        now: end of the range, default: the present.
        days: length of the range, default: that with which each page opens.
    """
    end = now or datetime.now(UTC)
    report = Report()
    documents = parsed()
    views = {
        path: View(
            end - (range_of(document) if days is None else timedelta(days=days)),
            end,
            timedelta(hours=1),
            timescaledb=True,
        )
        for path, document in documents.items()
    }
    for path, document in documents.items():
        report.lint += [f"{path}: {finding}" for finding in lint_dashboard(document, views[path])]
    report.lint += [f"provisioning: {finding}" for finding in lint_provisioning(FOLDER.parent / "provisioning")]
    async with open_pool(url, application="greenpark dashboards", min_size=0, max_size=2, read_only=True) as pool:
        tenants = await tenants_of(pool)
        if not tenants:
            report.failed.append("no tenant in this database; make one with `greenpark token add PARK --label …`")
        for tenant in tenants:
            for path, document in documents.items():
                # One transaction, so that now() stands still between what is compared.
                async with acting_as(pool, tenant.role) as connection:
                    await connection.fetchval(queries("tenants")["bare_search_path"])
                    await _Session(connection, tenant, path, document, views[path], report).run()
    return report


async def tenants_of(pool: Pool) -> list[Tenant]:
    """Return every tenant that has a role."""
    async with acquired(pool) as connection:
        rows = await connection.fetch(queries("tenants")["scopes"])
    parks = {row["park"] for row in rows}
    firms = {firm for row in rows for firm in row["firms"]}
    return [
        Tenant(
            row["role"],
            row["park"],
            row["whole"],
            tuple(row["firms"]),
            tuple(sorted(parks - {row["park"]})),
            tuple(sorted(firms - set(row["firms"]))),
        )
        for row in rows
    ]


class _Session:
    """One dashboard as one tenant."""

    def __init__(
        self, connection: Connection, tenant: Tenant, path: str, document: Mapping[str, Any], view: View, report: Report
    ) -> None:
        self._connection, self._tenant, self._document = connection, tenant, document
        self._views = [View(view.start, view.end, view.interval, timescaledb) for timescaledb in (True, False)]
        self._report, self._path = report, path
        self._many = variables_of(document)
        self._of_the_platform = path.rpartition("/")[2].removesuffix(".json") in PARK_ONLY
        self._seen: dict[str, list[Any] | str] = {}

    async def run(self) -> None:
        """Try every statement with every choice."""
        options = await self._options()
        for statement in queries_of(self._document):
            seen = 0
            for name, choice in _own_choices(options, self._many):
                for view in self._views:
                    seen += len(await self._try(statement, name, choice, view) or ())
            if not seen and self._tenant.firms and not self._of_others(statement):
                self._report.empty.append(self._where(statement))
            for name, tried, harmless in _crossings(self._tenant, options, self._many):
                got = await self._try(statement, name, tried, self._views[0])
                wanted = await self._try(statement, name, harmless, self._views[0])
                if got is not None and wanted is not None and got != wanted:
                    self._report.crossed_tenant.append(f"{self._where(statement)}, {name}")

    def _of_others(self, statement: Statement) -> bool:
        """Tell whether a query is of the park alone, so that a firm rightly gets nothing."""
        return not self._tenant.whole and (self._of_the_platform or "scope = 'park'" in statement.sql)

    async def _options(self) -> Choice:
        """Return what the tenant can choose from in each variable, asked as Grafana asks: one after the other."""
        options: Choice = {}
        for variable in self._document["templating"]["list"]:
            first = {name: values[:1] or (_NOBODY,) for name, values in options.items()}
            place = f"variable {variable['name']}"
            statement = Statement(place, variable["query"], "table", frozenset({"__text", "__value"}))
            rows = await self._try(statement, "options", first, self._views[0])
            values = tuple(row["__value"] for row in rows or ())
            options[variable["name"]] = values
            foreign = {"park": self._tenant.foreign_parks, "firm": self._tenant.foreign_firms}
            if set(values) & set(foreign.get(variable["name"], ())):
                self._report.crossed_tenant.append(f"{self._where(statement)}, offered")
        return options

    def _where(self, statement: Statement) -> str:
        return f"{self._path}: {statement.place} as {self._tenant.role}"

    async def _try(self, statement: Statement, name: str, choice: Choice, view: View) -> list[Any] | None:
        try:
            variables = {key: Variable(values, many=self._many[key]) for key, values in choice.items()}
            text = expand(substitute(statement.sql, variables), view)
        except DashboardError as error:
            self._report.failed.append(f"{self._where(statement)}, {name}: {error}")
            return None
        self._report.queries += 1
        if text not in self._seen:
            self._seen[text] = await self._fetched(statement, text)
        found = self._seen[text]
        if isinstance(found, str):
            self._report.failed.append(f"{self._where(statement)}, {name}: {found}")
            return None
        return found

    async def _fetched(self, statement: Statement, text: str) -> list[Any] | str:
        try:
            async with self._connection.transaction():
                return await fetch(self._connection, statement, text)
        except (asyncpg.PostgresError, DashboardError) as error:
            return f"{type(error).__name__} {error}"


def _own_choices(options: Choice, many: Mapping[str, bool]) -> list[tuple[str, Choice]]:
    def chosen(several: slice, one: int) -> Choice:
        return {
            name: (values[several] if many[name] else values[one:][:1] or values[-1:]) or (_NOBODY,)
            for name, values in options.items()
        }

    odd: Choice = dict.fromkeys(options, (QUOTE,))
    among = {name: (*values, QUOTE) if many[name] else values[:1] or (QUOTE,) for name, values in options.items()}
    return [
        ("one value", chosen(slice(1), 0)),
        ("several", chosen(slice(2), 1)),
        ("All", chosen(slice(None), 2)),
        ("a value with a quote", odd),
        ("a quote among others", among),
    ]


def _crossings(tenant: Tenant, options: Choice, many: Mapping[str, bool]) -> list[tuple[str, Choice, Choice]]:
    """Another tenant's codes must give exactly what codes of nobody give, in every mixture."""

    def chosen(park: str, firms: Sequence[str]) -> Choice:
        given = {"park": (park,), "firm": tuple(firms) if many.get("firm") else tuple(firms)[-1:]}
        return {name: given.get(name) or values[:1] or (_NOBODY,) for name, values in options.items()}

    own, foreign = tenant.firms, tenant.foreign_firms
    if not foreign:
        return []
    found = [
        ("foreign firms", chosen(tenant.park, foreign), chosen(tenant.park, [_NOBODY])),
        ("own and foreign firms", chosen(tenant.park, own + foreign), chosen(tenant.park, [*own, _NOBODY])),
    ]
    for park in tenant.foreign_parks:
        nobody = chosen(_NOBODY, [_NOBODY])
        found.append((f"foreign park {park}", chosen(park, own + foreign), nobody))
    return found


async def fetch(connection: Connection, statement: Statement, text: str) -> list[Any]:
    """Run an expanded statement and return its rows.

    Raises:
        DashboardError: its columns or their order are not what the panel needs.
    """
    prepared = await connection.prepare(text)
    columns = {a.name: a.type.name for a in prepared.get_attributes()}
    if len(columns) != len(prepared.get_attributes()):
        raise DashboardError("two columns have the same name")
    if statement.columns is None:
        _check_series(columns)
    elif statement.columns != set(columns):
        different = ", ".join(sorted(statement.columns ^ set(columns)))
        raise DashboardError(f"columns and headings differ: {different}")
    rows: list[Any] = await prepared.fetch()
    if statement.form == "time_series" and any(a["time"] > b["time"] for a, b in pairwise(rows)):
        raise DashboardError("rows must come in the order of time")
    return rows


def _check_series(columns: Mapping[str, str]) -> None:
    if columns.get("time") not in {"timestamptz", "float8", "int8"}:
        raise DashboardError("a time series needs a column time")
    numbers = [name for name, kind in columns.items() if kind in _NUMBERS]
    texts = [name for name, kind in columns.items() if kind == "text"]
    if not set(numbers) - {"time"}:
        raise DashboardError("a time series needs a number")
    if texts not in ([], ["metric"]):
        raise DashboardError("name the text column metric, or the series get odd names")
