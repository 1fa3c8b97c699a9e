"""From a standing down: target and its version, firms, what each point adds by which factor, and its readings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from park.calendar import Grain, Period, period
from park.errors import IndicatorError
from park.evaluation import PointSource
from park.factors import load_factors
from park.indicators import load_catalogue
from park.lineage import point_parts
from park.points import Direction
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from park.factors import Factor
    from park.indicators import Indicator
    from store.pool import Connection

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Whose value: a park, or one of its firms."""

    park_id: int
    firm_id: int | None
    tz: ZoneInfo


async def walk(
    connection: Connection, place: Place, indicator_id: str, grain: Grain, at: datetime, *, standing_id: int | None
) -> Document:
    """Return what a value is made of: `indicator`, `firms` with their points and readings, and `factors`.

    Args:
        connection: to the store.
        place: whose value it is.
        indicator_id: which.
        grain: of the value.
        at: an instant of its period.
        standing_id: whose contributions by firm are told too; None: none.
    """
    sql = queries("explain")
    span = period(grain, at, place.tz)
    try:
        indicator = load_catalogue().by_id(indicator_id)
    except IndicatorError:
        return {"indicator": {"id": indicator_id}, "firms": [], "factors": []}  # written by an older catalogue
    given = (place.park_id, place.firm_id, indicator_id, grain, span.start)
    rows = [dict(row) for row in await connection.fetch(sql["firms_of_value"], *given)]
    ids = sorted({point_id for row in rows for point_id in (row["lineage"] or {}).get("points", [])})
    points = [dict(row) for row in await connection.fetch(sql["points_of_value"], ids, grain, span.start)]
    ends: dict[int, list[Document]] = {}
    for end in await connection.fetch(sql["reading_ends"], ids, span.start, span.end):
        fields = dict(end)
        ends.setdefault(fields.pop("point_id"), []).append(fields)
    moved = {}
    if standing_id is not None:
        for part in await connection.fetch(sql["contributions"], standing_id):
            fields = dict(part)
            moved[fields.pop("firm_id")] = fields
    inputs = await _inputs(connection, rows)
    firms = []
    for row in rows:
        mine = [point for point in points if point["firm_id"] == row["firm_id"]]
        firms.append(_firm(row, mine, rows, ends, moved.get(row["firm_id"]), inputs, indicator, span, place.tz))
    return {
        "indicator": {name: getattr(indicator, name) for name in ("id", "name_zh", "name_en", "formula", "source")},
        "firms": firms,
        "factors": _factors(firms, rows),
    }


def _firm(
    row: Mapping[str, Any],
    points: Sequence[Document],
    rows: Sequence[Mapping[str, Any]],
    ends: Mapping[int, list[Document]],
    moved: Document | None,
    inputs: Mapping[int, Document],
    indicator: Indicator,
    span: Period,
    tz: ZoneInfo,
) -> Document:
    lineage = row["lineage"] or {}
    counted = [other for other in rows if other["industrial"] and other["reason"] is None and other["numerator"]]
    whole = sum(other["numerator"] for other in counted)
    inside = row["industrial"] and row["reason"] is None and row["numerator"] is not None
    return {
        "firm": row["firm"],
        "name_zh": row["name_zh"],
        "name_en": row["name_en"],
        "counted": bool(inside),
        "share": row["numerator"] / whole if inside and whole else None,
        **{name: row[name] for name in ("numerator", "denominator", "value", "unit", "coverage", "reason")},
        "industrial": row["industrial"],
        "revision": row["revision"],
        "run_id": row["run_id"],
        "contribution": moved,
        "reported": [
            entry | {"inputs": [inputs.get(one["id"], one) for one in entry.get("inputs", [])]}
            for entry in lineage.get("reported", [])
        ],
        "points": _points(points, ends, lineage, indicator, span, tz),
    }


def _points(
    points: Sequence[Document],
    ends: Mapping[int, list[Document]],
    lineage: Mapping[str, Any],
    indicator: Indicator,
    span: Period,
    tz: ZoneInfo,
) -> list[Document]:
    sources = [
        PointSource(p["point_id"], p["carrier"], Direction(p["direction"]), p["unit"], p["product"]) for p in points
    ]
    used = {factor["id"]: factor for factor in lineage.get("factors", [])}
    parts: dict[int, list[Document]] = {}
    for part in point_parts(indicator, sources, load_factors(), on=span.start.astimezone(tz).date()):
        parts.setdefault(part.point_id, []).append(
            {"side": part.side, "coefficient": part.coefficient, "unit": part.unit}
            | ({} if part.factor is None else {"factor": part.factor.id, "verified": _verified(part.factor, used)})
        )
    found = []
    for point in points:
        quantity = _quantity(point)
        mine = parts.get(point["point_id"], [])
        counts = [part | {"adds": None if quantity is None else quantity * part["coefficient"]} for part in mine]
        kept = {k: v for k, v in point.items() if k not in {"point_id", "firm_id", "product"}}
        found.append(kept | {"quantity": quantity, "counts": counts, "readings": ends.get(point["point_id"], [])})
    return sorted(found, key=lambda p: -max((abs(c["adds"] or 0.0) for c in p["counts"]), default=0.0))


def _verified(factor: Factor, used: Mapping[str, Any]) -> bool:
    """Tell what was so when the value was computed, if it says."""
    return bool(used.get(factor.id, {}).get("verified", factor.verified))


def _quantity(point: Mapping[str, Any]) -> float | None:
    if point["measured"] is None and point["estimated"] is None:
        return None
    return float((point["measured"] or 0.0) + (point["estimated"] or 0.0))


def _factors(firms: Sequence[Document], rows: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Return every factor once, with its source, whether it is verified, and which firms it enters through."""
    known = {factor.id: factor for factor in load_factors().factors}
    found: dict[str, Document] = {}
    for row in rows:
        for used in (row["lineage"] or {}).get("factors", []):
            factor = known.get(used["id"])
            entry = found.setdefault(used["id"], dict(used) | _described(factor) | {"firms": []})
            entry["firms"].append(row["firm"])
    order = {firm["firm"]: k for k, firm in enumerate(firms)}
    return sorted(found.values(), key=lambda f: (min(order[code] for code in f["firms"]), f["id"]))


def _described(factor: Factor | None) -> Document:
    if factor is None:
        return {"source": None}
    names = ("unit", "result_unit", "basis", "purpose", "edition", "region", "valid_from", "valid_to", "source")
    return {name: getattr(factor, name) for name in names}


async def _inputs(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> dict[int, Document]:
    ids = [
        one["id"]
        for row in rows
        for entry in (row["lineage"] or {}).get("reported", [])
        for one in entry.get("inputs", [])
    ]
    found = await connection.fetch(queries("explain")["inputs"], ids) if ids else []
    return {row["input_id"]: dict(row) for row in found}
