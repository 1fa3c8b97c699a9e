"""What alert rules are held against: subjects, indicator rows, readings and silences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from park.calendar import to_us
from park.points import Direction, Installation, Kind, Label, Point
from store.queries import queries
from store.registry import MeteredPoint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule watches: a park, zone, firm, edge, unit or point, with the names that people know it by.

    An edge, unit or zone stands in the place of the point. `part` tells causes of one subject and rule apart, such as
    the targets of a standing.
    """

    scope: str
    scope_id: int
    park_id: int
    firm_id: int | None
    time_zone: str
    park_code: str
    park_zh: str
    park_en: str
    firm_code: str | None
    firm_zh: str | None
    firm_en: str | None
    point_code: str | None
    point_zh: str | None
    point_en: str | None
    part: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which subjects a rule is for; an empty list (and `park_ids` None) leaves the choice open."""

    park_ids: list[int] | None = None
    parks: Sequence[str] = ()
    firms: Sequence[str] = ()
    industries: Sequence[str] = ()
    carriers: Sequence[str] = ()
    points: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class IndicatorRow:
    """An indicator's value in one period."""

    scope_id: int
    period: datetime
    value: float | None
    numerator: float | None
    denominator: float | None
    unit: str
    coverage: float
    reason: str | None
    closed: bool
    revision: int
    run_id: int


@dataclass(frozen=True, slots=True)
class Series:
    """Raw readings of one point by rising time; all arrays have shape (n,)."""

    t_us: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]


def no_readings() -> Series:
    """Return the series of a point that read nothing."""
    return Series(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int16))


async def subjects(connection: Connection, scope: str, chosen: Chosen) -> list[Subject]:
    """Return the parks, the active firms, or the points of active firms, that were chosen."""
    given: list[Any] = [chosen.park_ids, list(chosen.parks)]
    if scope in {"firm", "point"}:
        given += [list(chosen.firms), list(chosen.industries), list(chosen.carriers)]
    if scope == "point":
        given.append(list(chosen.points))
    rows = await connection.fetch(queries("samples")[f"{scope}_subjects"], *given)
    return [Subject(**dict(row)) for row in rows]


async def indicator_rows(
    connection: Connection, *, scope: str, ids: Collection[int], indicator_id: str, grain: str, since: datetime
) -> list[IndicatorRow]:
    """Return the values of periods that start at or after `since`, by subject and time."""
    rows = await connection.fetch(queries("samples")["indicator_rows"], scope, list(ids), indicator_id, grain, since)
    return [IndicatorRow(**dict(row)) for row in rows]


async def newest(connection: Connection, scope: str, ids: Collection[int]) -> dict[int, datetime]:
    """Return the newest instant that each firm or park told of anything."""
    rows = await connection.fetch(queries("samples")[f"newest_of_{scope}s"], list(ids))
    return {row["scope_id"]: row["newest"] for row in rows}


async def points_of_firms(
    connection: Connection, firm_ids: Collection[int], carriers: Collection[str]
) -> dict[int, list[MeteredPoint]]:
    """Return each firm's points of some carriers, with their meters."""
    rows = await connection.fetch(queries("samples")["points_of_firms"], list(firm_ids), list(carriers))
    found: dict[int, list[MeteredPoint]] = {}
    for metered in await _with_meters(connection, rows):
        found.setdefault(metered.point.firm_id, []).append(metered)
    return found


async def points(connection: Connection, point_ids: Collection[int]) -> dict[int, MeteredPoint]:
    """Return points with their meters."""
    rows = await connection.fetch(queries("samples")["points"], list(point_ids))
    return {metered.point.point_id: metered for metered in await _with_meters(connection, rows)}


async def _with_meters(connection: Connection, rows: Sequence[Any]) -> list[MeteredPoint]:
    meters: dict[int, list[Installation]] = {}
    ids = [row["point_id"] for row in rows]
    for row in await connection.fetch(queries("samples")["installations"], ids):
        fields = dict(row)
        meters.setdefault(fields.pop("point_id"), []).append(Installation(**fields))
    found = []
    for row in rows:
        fields = dict(row)
        product, unit_id = fields.pop("product"), fields.pop("unit_id")
        fields |= {
            "kind": Kind(row["kind"]),
            "direction": Direction(row["direction"]),
            "label": Label(row["label"]),
        }
        found.append(MeteredPoint(Point(**fields), product, unit_id, tuple(meters.get(row["point_id"], ()))))
    return found


async def readings(connection: Connection, since: Mapping[int, datetime], until: datetime) -> dict[int, Series]:
    """Return raw readings, each point's from its own instant on; a point without any is left out."""
    if not since:
        return {}
    rows = await connection.fetch(
        queries("samples")["readings"], list(since), list(since.values()), min(since.values()), until
    )
    ids = np.fromiter((row["point_id"] for row in rows), np.int64, len(rows))
    t_us = np.fromiter((to_us(row["t"]) for row in rows), np.int64, len(rows))
    value = np.fromiter((row["value"] for row in rows), np.float64, len(rows))
    quality = np.fromiter((row["quality"] for row in rows), np.int16, len(rows))
    found = {}
    for point_id in np.unique(ids):
        a, b = np.searchsorted(ids, [point_id, point_id + 1])
        found[int(point_id)] = Series(t_us[a:b], value[a:b], quality[a:b])
    return found


@dataclass(frozen=True, slots=True)
class Contracted:
    """A contracted demand, in kW, and where it is written."""

    value: float
    source_zh: str
    source_en: str


async def contracted(connection: Connection, point_ids: Collection[int], at: datetime) -> dict[int, Contracted]:
    """Return the contracted demand of the points that have one at an instant."""
    rows = await connection.fetch(queries("samples")["contracted"], list(point_ids), at)
    return {row["point_id"]: Contracted(row["value"], row["source_zh"], row["source_en"]) for row in rows}
