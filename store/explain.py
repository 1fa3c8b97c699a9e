"""The lineage of one number: from a standing or an indicator down to readings and the batches that brought them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from park.calendar import BUCKET_S, GRAINS, from_us, period, to_us, zone
from park.factors import load_factors
from park.lineage import step_names, steps
from store.edits import history
from store.errors import EditError, UnknownNameError
from store.ledger import Window, readings
from store.meters import changes
from store.queries import queries
from store.registry import metered_points
from store.walk import Place, walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.edits import NamedPoint
    from store.pool import Connection

_US = BUCKET_S * 1_000_000
Document = dict[str, Any]
"""Plain data: what, its values, and below it what it was made of."""


async def explain_bucket(connection: Connection, point: NamedPoint, at: datetime) -> Document:
    """Return the lineage of the bucket that holds `at`, down to its readings and their batches."""
    sql = queries("explain")
    start = from_us(to_us(at) // _US * _US)
    end = start + timedelta(seconds=BUCKET_S)
    row = await connection.fetchrow(sql["bucket"], point.point_id, start)
    revisions = [dict(r) for r in await connection.fetch(sql["bucket_revisions"], point.point_id, start)]
    [metered] = [m for m in await metered_points(connection, point.firm_id) if m.point.point_id == point.point_id]
    raw = await readings(connection, [Window(point.point_id, start, start)])
    span = (to_us(start), to_us(end))
    walked = steps(metered.point, metered.installations, raw.t_us, raw.value, raw.quality, span)
    # A step may begin or end far outside the bucket, as over a gap: its readings are shown too.
    first = min([start, *(from_us(line.t0_us) for line in walked)])
    last = max([end, *(from_us(line.t1_us) for line in walked)])
    found = await connection.fetch(sql["readings"], point.point_id, max(first, start), min(last, end))
    runs = [r["run_id"] for r in ([row] if row else [])] + [
        r[k] for r in revisions for k in ("run_id", "superseded_by")
    ]
    return {
        "what": "bucket",
        "point": point.name,
        "unit": point.unit,
        "bucket": start,
        "now": None if row is None else dict(row) | {"flags": step_names(row["flags"])},
        "revisions": [r | {"flags": step_names(r["flags"])} for r in revisions],
        "runs": await _runs(connection, runs),
        "meters": [
            meter
            for meter in metered.installations
            if meter.valid_from < end and (meter.valid_to is None or meter.valid_to >= start)
        ],
        "meter_changes": await changes(connection, point.point_id),
        "decisions": [e for e in await history(connection, point.point_id) if e.t_from < end and e.t_to > start],
        "steps": [
            {"from": from_us(line.t0_us), "to": from_us(line.t1_us), "dial_from": line.value0, "dial_to": line.value1}
            | {name: getattr(line, name) for name in ("serial", "multiplier", "counted", "held", "adjustment", "names")}
            for line in walked
        ],
        "readings": [dict(r) for r in found],
        "kept_aside": [dict(r) for r in await connection.fetch(sql["conflicts"], point.point_id, start, end)],
    }


async def explain_indicator(
    connection: Connection, subject: str, indicator_id: str, grain: str, at: datetime | str
) -> Document:
    """Return the lineage of one value of a park or firm: revisions, runs, factors with their sources, and its points.

    Raises:
        UnknownNameError: no such park or firm.
        EditError: there is no such value.
    """
    sql = queries("explain")
    scope, scope_id, park_id, time_zone = await _subject(connection, subject)
    tz = zone(time_zone)
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    when = when if when.tzinfo is not None else when.replace(tzinfo=tz)
    known_grain = next((name for name in GRAINS if name == grain), None)
    if known_grain is None and grain != "bucket":
        raise EditError(f"no grain {grain!r}; there are bucket, {', '.join(GRAINS)}")
    start = from_us(to_us(when) // _US * _US) if known_grain is None else period(known_grain, when, tz).start
    key = (scope, scope_id, indicator_id, grain, start)
    row = await connection.fetchrow(sql["indicator"], *key)
    if row is None:
        raise EditError(f"{subject} has no {indicator_id} for the {grain} of {start.astimezone(tz):%Y-%m-%d %H:%M}")
    revisions = [dict(r) for r in await connection.fetch(sql["indicator_revisions"], *key)]
    runs = [row["run_id"], *(r[k] for r in revisions for k in ("run_id", "superseded_by"))]
    known = {factor.id: factor for factor in load_factors().factors}
    factors = []
    for used in row["lineage"].get("factors", []):
        factor = known.get(used["id"])
        factors.append(used | {"source": None if factor is None else factor.source})
    amounts = await connection.fetch(sql["amounts"], row["lineage"].get("points", []), grain, start)
    members = await connection.fetch(sql["members"], park_id, indicator_id, grain, start) if scope == "park" else []
    return {
        "what": "indicator",
        "subject": subject,
        "now": {k: v for k, v in dict(row).items() if k != "lineage"},
        "catalogue": row["lineage"].get("catalogue"),
        "detail": row["lineage"].get("detail"),
        "estimated_share": row["lineage"].get("estimated_share"),
        "revisions": revisions,
        "runs": await _runs(connection, runs),
        "factors": factors,
        "firms": [dict(r) for r in members],
        "left_out": row["lineage"].get("left_out", []),
        "points": [dict(r) | {"flags": step_names(r["flags"])} for r in amounts],
    }


async def explain_standing(connection: Connection, subject: str, target_id: str) -> Document:
    """Return the lineage of a standing: the target's text and pack, the year's value, and what that is made of.

    Below the value stand the firms, below each firm its points with what they add by which factor, and the first and
    the last reading of the year with the batches that brought them.

    Raises:
        UnknownNameError: no such park or firm.
        EditError: the target is not judged here.
    """
    sql = queries("explain")
    scope, scope_id, park_id, time_zone = await _subject(connection, subject)
    tz = zone(time_zone)
    rows = await connection.fetch(sql["standing"], scope, scope_id, target_id)
    if not rows:
        raise EditError(f"{subject} has no standing against {target_id!r}")
    place = Place(park_id, scope_id if scope == "firm" else None, tz)
    found = []
    for row in rows:
        body = row["body"] or {}
        target = next((t for t in body.get("targets", []) if t.get("id") == target_id), None)
        past = await connection.fetch(sql["standing_history"], scope, scope_id, row["pack_id"], target_id)
        indicator_id = row["indicator_id"] or (target or {}).get("indicator")
        at = row["period"] or row["as_of"]
        value, below = None, {}
        if indicator_id:
            try:
                value = await explain_indicator(connection, subject, indicator_id, "year", at)
            except EditError:
                value = None
            below = await walk(connection, place, indicator_id, "year", at, standing_id=row["standing_id"])
        said = None if row["override_id"] is None else await connection.fetchrow(sql["override"], row["override_id"])
        found.append(
            {
                "now": {k: v for k, v in dict(row).items() if k not in {"body", "sha256", "loaded"}},
                "pack": {name: body.get(name) for name in ("id", "version", "name_zh", "name_en", "document", "issuer")}
                | {"sha256": row["sha256"], "loaded": row["loaded"]},
                "target": target,
                "override": None if said is None else dict(said),
                "history": [dict(r) for r in past],
                "runs": await _runs(connection, [r["run_id"] for r in past]),
                "value": value,
            }
            | below
        )
    return {"what": "standing", "subject": subject, "standings": found}


async def _subject(connection: Connection, subject: str) -> tuple[str, int, int, str]:
    park, _, firm = subject.partition("/")
    row = await connection.fetchrow(queries("explain")["subject"], park, firm or None)
    if row is None:
        raise UnknownNameError("firm" if firm else "park", subject)
    scope, scope_id = ("firm", row["firm_id"]) if firm else ("park", row["park_id"])
    return scope, scope_id, row["park_id"], row["time_zone"]


async def _runs(connection: Connection, ids: Iterable[int]) -> list[Document]:
    return [dict(row) for row in await connection.fetch(queries("explain")["runs"], sorted(set(ids)))]
