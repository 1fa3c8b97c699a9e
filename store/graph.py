"""Typed access to the meter graph: parents, virtual points, balances, tariff periods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from park.graph import BEGINNING, END, Edge, Moved, Node, Role, check_graph
from park.points import Kind
from park.relations import inputs_of, key
from store.copying import fetch_columns
from store.ledger import LedgerRows
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from park.definition import FirmDefinition, ParkDefinition
    from park.graph import Balance
    from store.pool import Connection

_ROW = ("int4", "timestamptz", "float8", "float8", "float4", "float4", "float8", "int2", "bool", "int2", "int8")


@dataclass(frozen=True, slots=True)
class Graph:
    """The meters of a park that stand under each other; `ids` and `firms` by the key of a node."""

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]
    ids: dict[str, int]
    firms: dict[str, int]

    @property
    def members(self) -> set[str]:
        """Return the keys of all points that have a parent or a child."""
        return {key for edge in self.edges for key in (edge.child, edge.parent)}


@dataclass(frozen=True, slots=True)
class TariffRow:
    """What a point moved in one tariff class of a day, in the unit of the point; NaN: nothing of that sort."""

    point_id: int
    period: datetime
    table_id: str
    tariff_class: str
    measured: float
    estimated: float
    measured_s: float
    estimated_s: float


async def apply_relations(connection: Connection, park_id: int, definition: ParkDefinition) -> int:
    """Bring parents, roles, losses and formulas to what the document says, in the caller's transaction.

    Returns how many virtual points are computed again.

    Raises:
        GraphError: together with the points that the document leaves out, the graph is no forest.
    """
    sql = queries("graph")
    rows = await connection.fetch(sql["ids"], park_id)
    ids = {row["key"]: row["point_id"] for row in rows}
    firms = {row["key"]: row["firm_id"] for row in rows}
    before = await graph(connection, park_id)
    recomputed = 0
    for firm in definition.firms:
        mine = {point.code: ids[key(firm.code, point.code)] for point in firm.points}
        for point in firm.points:
            await connection.execute(sql["set_node"], mine[point.code], point.role, point.loss_share, point.formula)
        await connection.execute(sql["delete_parents"], list(mine.values()))
        parents = [
            (mine[point.code], ids[key(parent.firm or firm.code, parent.point)], parent.valid_from, parent.valid_to)
            for point in firm.points
            for parent in point.parents
        ]
        await connection.executemany(sql["insert_parent"], parents)
        if firm.points:
            firm_id = firms[key(firm.code, firm.points[0].code)]
            recomputed += await _apply_inputs(connection, firm_id, firm, mine)
    after = await graph(connection, park_id)
    check_graph(after.nodes, after.edges)
    if _shape(before) != _shape(after):
        members = [ids[name] for name in sorted(before.members | after.members)]
        await connection.execute(sql["mark_balances"], park_id, members)
    return recomputed


def _shape(found: Graph) -> tuple[frozenset[Edge], dict[str, Node]]:
    return frozenset(found.edges), {name: found.nodes[name] for name in found.members}


async def _apply_inputs(connection: Connection, firm_id: int, firm: FirmDefinition, ids: Mapping[str, int]) -> int:
    sql = queries("graph")
    stored = await virtual_inputs(connection, [firm_id])
    recomputed = 0
    wanted = {ids[code]: {ids[name]: k for name, k in inputs.items()} for code, inputs in inputs_of(firm).items()}
    for point_id in sorted(set(ids.values()) & (set(stored) | set(wanted))):
        new = wanted.get(point_id, {})
        if stored.get(point_id, {}) == new:
            continue
        await connection.execute(sql["delete_inputs"], point_id)
        await connection.executemany(sql["insert_input"], [(point_id, name, k) for name, k in new.items()])
        await connection.execute(sql["mark_virtual"], point_id, "park document")
        recomputed += 1
    return recomputed


async def graph(connection: Connection, park_id: int) -> Graph:
    """Return the meter graph of a park."""
    sql = queries("graph")
    rows = await connection.fetch(sql["nodes"], park_id)
    keys = {row["point_id"]: row["key"] for row in rows}
    edges = tuple(
        Edge(
            keys[row["point_id"]],
            keys[row["parent_id"]],
            row["valid_from"] or BEGINNING,
            row["valid_to"] or END,
        )
        for row in await connection.fetch(sql["parents"], park_id)
    )
    nodes = {
        row["key"]: Node(
            row["key"], Kind(row["kind"]), row["carrier"], row["unit"], Role(row["role"]), row["loss_share"]
        )
        for row in rows
    }
    ids = {row["key"]: row["point_id"] for row in rows}
    return Graph(nodes, edges, ids, {row["key"]: row["firm_id"] for row in rows})


async def in_graph(connection: Connection, point_ids: Iterable[int]) -> set[int]:
    """Return those of some points that have a parent or a child."""
    return {row["point_id"] for row in await connection.fetch(queries("graph")["in_graph"], sorted(point_ids))}


async def givers_of(connection: Connection, firm_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs `(firm, giver)`: behind which other firms' meters these firms take something.

    The values of a giver change with the readings of a taker.
    """
    rows = await connection.fetch(queries("graph")["givers_of"], list(firm_ids))
    return [(row["firm_id"], row["giver_id"]) for row in rows]


async def virtual_inputs(connection: Connection, firm_ids: Sequence[int]) -> dict[int, dict[int, float]]:
    """Return, for each virtual point of some firms, its measured points and their factors."""
    found: dict[int, dict[int, float]] = {}
    for row in await connection.fetch(queries("graph")["inputs"], list(firm_ids)):
        found.setdefault(row["point_id"], {})[row["input_id"]] = row["factor"]
    return found


async def buckets_of(
    connection: Connection, point_ids: Iterable[int], stretches: Sequence[tuple[datetime, datetime]]
) -> LedgerRows:
    """Return the ledger rows of some points in disjoint stretches `[start, stop)` of time."""
    args = (sorted(point_ids), [start for start, _ in stretches], [stop for _, stop in stretches])
    return LedgerRows(*await fetch_columns(connection, queries("graph")["buckets_of"], _ROW, *args))


async def period_amounts(
    connection: Connection, found: Graph, grain: str, starts: Sequence[datetime]
) -> dict[datetime, dict[str, Moved]]:
    """Return what the points of the graph moved in hours, days, months or years, by the start of the period."""
    rows = await connection.fetch(queries("graph")["period_amounts"], _member_ids(found), grain, list(starts))
    return _moved(found, rows)


async def bucket_amounts(
    connection: Connection, found: Graph, start: datetime, stop: datetime
) -> dict[datetime, dict[str, Moved]]:
    """Return what the points of the graph moved in the buckets of `[start, stop)`."""
    rows = await connection.fetch(queries("graph")["bucket_amounts"], _member_ids(found), start, stop)
    return _moved(found, rows)


def _member_ids(found: Graph) -> list[int]:
    return sorted(found.ids[name] for name in found.members)


def _moved(found: Graph, rows: Iterable[Mapping[str, Any]]) -> dict[datetime, dict[str, Moved]]:
    keys = {point_id: name for name, point_id in found.ids.items()}
    moved: dict[datetime, dict[str, Moved]] = {}
    for row in rows:
        moved.setdefault(row["period"], {})[keys[row["point_id"]]] = Moved(row["quantity"], row["covered_s"])
    return moved


async def write_balances(
    connection: Connection,
    park_id: int,
    found: Graph,
    grain: str,
    rows: Mapping[datetime, Sequence[Balance]],
    run_id: int,
) -> None:
    """Write the balances of some periods; nodes that are none any more lose theirs."""
    sql = queries("graph")
    nodes = [(found.ids[row.key], start) for start, each in rows.items() for row in each]
    points, starts = [point_id for point_id, _ in nodes], [start for _, start in nodes]
    await connection.execute(sql["delete_balances"], park_id, grain, list(rows), points, starts)
    await connection.executemany(
        sql["write_balance"],
        [
            (
                park_id,
                found.firms[row.key],
                found.ids[row.key],
                grain,
                start,
                row.supply,
                row.load,
                row.loss,
                row.unaccounted,
                row.share,
                row.coverage,
                list(row.unknown),
                run_id,
            )
            for start, each in rows.items()
            for row in each
        ],
    )


async def write_tariff(
    connection: Connection,
    point_ids: Sequence[int],
    days: Sequence[datetime],
    months: Sequence[tuple[datetime, datetime]],
    rows: Sequence[TariffRow],
    run_id: int,
) -> None:
    """Replace the tariff periods of points on some days, and sum the months `(start, end)` that hold them."""
    sql = queries("graph")
    ids = list(point_ids)
    await connection.execute(sql["delete_tariff"], ids, "day", list(days))
    columns = [[getattr(row, name) for row in rows] for name in TariffRow.__slots__]
    await connection.execute(sql["insert_tariff"], *columns, run_id)
    starts, ends = [start for start, _ in months], [end for _, end in months]
    await connection.execute(sql["delete_tariff"], ids, "month", starts)
    await connection.execute(sql["tariff_months"], ids, starts, ends, run_id)
