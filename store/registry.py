"""Parks, firms, points and meters in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from park.edits import Edit
from park.points import Direction, Installation, Kind, Label, Point
from store.emissions import set_limits
from store.errors import UnknownNameError
from store.graph import apply_relations
from store.memberships import apply_memberships
from store.queries import queries
from store.standings import apply_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
    from store.pool import Connection

_INSTALLATION_FIELDS = (
    "serial",
    "modulus",
    "multiplier",
    "valid_from",
    "valid_to",
    "first_reading",
    "last_reading",
    "resolution",
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a park document did."""

    park_id: int
    firms: int
    points: int
    recomputed_points: int
    """Points whose meaning or meters changed, so that their numbers are computed again."""


@dataclass(frozen=True, slots=True)
class ParkRow:
    """One park."""

    park_id: int
    code: str
    name_zh: str
    name_en: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class FirmRow:
    """One firm."""

    firm_id: int
    park_id: int
    code: str
    name_zh: str
    name_en: str
    industry: str
    industrial: bool
    status: str


@dataclass(frozen=True, slots=True)
class MeteredPoint:
    """A point with the meters that stood there, oldest first."""

    point: Point
    product: str | None
    unit_id: int | None
    installations: tuple[Installation, ...]
    edits: tuple[Edit, ...] = ()


async def apply_definition(connection: Connection, definition: ParkDefinition) -> Applied:
    """Bring the registry to what the document says, in one transaction; nothing that was read is touched.

    Points that the document leaves out stay: they hold readings. Meters that were exchanged or corrected by command or
    by an edge's report stay too: the document, written before, would undo it.
    """
    sql = queries("registry")
    recomputed = points = 0
    firm_ids: dict[str, int] = {}
    async with connection.transaction():
        park_id = await connection.fetchval(
            sql["upsert_park"], definition.code, definition.name_zh, definition.name_en, definition.time_zone
        )
        zones = {
            z.code: await connection.fetchval(sql["upsert_zone"], park_id, z.code, z.name_zh, z.name_en)
            for z in definition.zones
        }
        for pack in definition.target_packs:
            await connection.execute(sql["adopt_pack"], park_id, pack)
        await apply_targets(connection, park_id, definition)
        for firm in definition.firms:
            firm_ids[firm.code], changed = await _apply_firm(connection, park_id, firm)
            recomputed += changed
            points += len(firm.points)
        await apply_memberships(connection, park_id, zones, firm_ids, definition)
        recomputed += await apply_relations(connection, park_id, definition)
    return Applied(park_id, len(definition.firms), points, recomputed)


async def _apply_firm(connection: Connection, park_id: int, firm: FirmDefinition) -> tuple[int, int]:
    """Apply one firm with its points; return its id and how many points are computed again."""
    sql = queries("registry")
    firm_id = await connection.fetchval(
        sql["upsert_firm"],
        park_id,
        firm.code,
        firm.name_zh,
        firm.name_en,
        firm.uscc,
        firm.industry,
        firm.industrial,
    )
    units = {
        u.code: await connection.fetchval(sql["upsert_unit"], firm_id, u.code, u.name_zh, u.name_en) for u in firm.units
    }
    edges = {code: await connection.fetchval(sql["upsert_edge"], park_id, firm_id, code) for code in firm.edges}
    recomputed = 0
    for point in firm.points:
        unit_id = None if point.unit_code is None else units[point.unit_code]
        edge_id = edges[point.edge] if point.edge else None
        recomputed += await _apply_point(connection, (park_id, firm_id, unit_id, edge_id), point)
    return firm_id, recomputed


async def _apply_point(
    connection: Connection, owner: tuple[int, int, int | None, int | None], point: PointDefinition
) -> bool:
    sql = queries("registry")
    row = await connection.fetchrow(
        sql["upsert_point"],
        *owner,
        point.code,
        point.name_zh,
        point.name_en,
        point.kind.value,
        point.carrier,
        point.direction.value,
        point.unit,
        point.interval_s,
        point.label.value,
        point.product,
        point.rate_limit_per_h,
    )
    changed = bool(row["changed"])
    wanted = [_fields(meter) for meter in sorted(point.installations, key=lambda meter: meter.valid_from)]
    rows = await connection.fetch(sql["installations_of_point"], row["point_id"])
    by_command = await connection.fetchval(sql["meters_changed"], row["point_id"])
    if wanted and not by_command and wanted != [tuple(r[name] for name in _INSTALLATION_FIELDS) for r in rows]:
        await connection.execute(sql["delete_installations"], row["point_id"])
        await connection.executemany(sql["insert_installation"], [(row["point_id"], *fields) for fields in wanted])
        changed = True
    if point.kind is Kind.GAUGE:
        changed |= await set_limits(connection, row["point_id"], point.limits)
    if changed:
        await connection.execute(sql["mark_dirty_all"], row["point_id"], "park document")
    return changed


def _fields(meter: InstallationDefinition) -> tuple[Any, ...]:
    return tuple(getattr(meter, name) for name in _INSTALLATION_FIELDS)


async def park_named(connection: Connection, code: str) -> ParkRow:
    """Return the park with this code, or raise `UnknownNameError`."""
    for row in await parks(connection):
        if row.code == code:
            return row
    raise UnknownNameError("park", code)


async def parks(connection: Connection) -> list[ParkRow]:
    """Return all parks by code."""
    return [ParkRow(**dict(row)) for row in await connection.fetch(queries("registry")["parks"])]


async def firms(connection: Connection, park_id: int) -> list[FirmRow]:
    """Return the firms of a park by code."""
    return [FirmRow(**dict(row)) for row in await connection.fetch(queries("registry")["firms"], park_id)]


async def target_packs(connection: Connection, park_id: int) -> list[str]:
    """Return the ids of the target packs that a park answers for."""
    rows = await connection.fetch(queries("registry")["packs_of_park"], park_id)
    return [row["pack_id"] for row in rows]


async def metered_points(connection: Connection, firm_id: int) -> list[MeteredPoint]:
    """Return a firm's points with their meters."""
    return await metered_points_of(connection, [firm_id])


async def metered_points_of(connection: Connection, firm_ids: Sequence[int]) -> list[MeteredPoint]:
    """Return the points of some firms with their meters, by point."""
    firm_ids = list(firm_ids)
    sql = queries("registry")
    meters: dict[int, list[Installation]] = {}
    for row in await connection.fetch(sql["installations_of_firms"], firm_ids):
        fields = dict(row)
        meters.setdefault(fields.pop("point_id"), []).append(Installation(**fields))
    edits: dict[int, list[Edit]] = {}
    for row in await connection.fetch(queries("edits")["of_firms"], firm_ids):
        fields = dict(row)
        edits.setdefault(fields.pop("point_id"), []).append(Edit(**fields))
    return [
        MeteredPoint(
            Point(
                point_id=row["point_id"],
                firm_id=row["firm_id"],
                code=row["code"],
                kind=Kind(row["kind"]),
                carrier=row["carrier"],
                direction=Direction(row["direction"]),
                unit=row["unit"],
                interval_s=row["interval_s"],
                label=Label(row["label"]),
                rate_limit_per_h=row["rate_limit_per_h"],
            ),
            row["product"],
            row["unit_id"],
            tuple(meters.get(row["point_id"], ())),
            tuple(edits.get(row["point_id"], ())),
        )
        for row in await connection.fetch(sql["points_of_firms"], firm_ids)
    ]


class EdgeRow(msgspec.Struct, frozen=True):
    """One edge with the codes of its topics and its points."""

    edge_id: int
    park_id: int
    firm_id: int
    park: str
    firm: str
    edge: str
    points: dict[str, tuple[int, str]]
    """Point code to (point id, registered unit)."""


async def edges(connection: Connection) -> list[EdgeRow]:
    """Return every edge with its points: what ingest needs to know."""
    sql = queries("registry")
    points: dict[int, dict[str, tuple[int, str]]] = {}
    for row in await connection.fetch(sql["points_of_edges"]):
        points.setdefault(row["edge_id"], {})[row["code"]] = (row["point_id"], row["unit"])
    return [EdgeRow(**dict(row), points=points.get(row["edge_id"], {})) for row in await connection.fetch(sql["edges"])]


@dataclass(frozen=True, slots=True)
class PointName:
    """A point as people know it."""

    code: str
    carrier: str
    unit: str
    name_zh: str
    name_en: str


async def point_names(connection: Connection, firm_id: int) -> list[PointName]:
    """Return a firm's points by code."""
    rows = await connection.fetch(queries("registry")["point_names"], firm_id)
    return [PointName(**dict(row)) for row in rows]


async def registry_version(connection: Connection) -> int:
    """Return a number that changes when points or edges do: what caches of `edges` compare."""
    version: int = await connection.fetchval(queries("registry")["registry_version"])
    return version
