"""Reads what the board shows of one subject, in one transaction of the tenant's role, for the pure parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from api.board import power
from api.board.flow import energy_flow
from api.board.health import HOURS, health
from api.board.quantity import Span, coal_worth, names
from api.board.targets import standings, tiles
from api.board.water import water_balance
from park.calendar import period, zone
from store import board

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from park.calendar import Grain
    from store.board import BoardFirm, BoardPoint, Subject
    from store.pool import Connection

SECTIONS: Final = ("head", "tiles", "targets", "episodes", "flow", "water", "load", "health")
EPISODES: Final = 30
"""Open episodes that the board lists; it says how many more there are."""


@dataclass(frozen=True, slots=True)
class View:
    """Whose board: a park (None: the first that the role sees), or one firm of it."""

    park_id: int | None = None
    firm_id: int | None = None


async def gather(connection: Connection, view: View, now: datetime) -> dict[str, Any] | None:
    """Return every section of the board, None where the role does not see the subject.

    A role that sees no park as such but a single firm gets that firm's board.
    """
    subject = await board.subject(connection, view.park_id)
    if subject is None:
        return None
    firms = await board.firms(connection, subject.park_id)
    firm_id = view.firm_id
    if firm_id is None and not subject.whole and len(firms) == 1:
        firm_id = firms[0].firm_id
    mine = firms if firm_id is None else [firm for firm in firms if firm.firm_id == firm_id]
    if firm_id is not None and not mine:
        return None
    return await _sections(connection, subject, firms, mine, firm_id, now)


async def _sections(
    connection: Connection,
    subject: Subject,
    firms: Sequence[BoardFirm],
    mine: Sequence[BoardFirm],
    firm_id: int | None,
    now: datetime,
) -> dict[str, Any]:
    park_id, tz = subject.park_id, zone(subject.time_zone)
    day, month, year = (_span(grain, now, tz) for grain in ("day", "month", "year"))
    yesterday = period("day", day.start - timedelta(hours=1), tz).start
    points = await board.points(connection, park_id, firm_id, now)
    rows = await board.standings(connection, park_id, firm_id)
    scope, scope_id = ("park", park_id) if firm_id is None else ("firm", firm_id)
    values = await board.indicators(
        connection, scope, scope_id, days=(day.start, yesterday), month=month.start, year=year.start
    )
    return {
        "head": _head(subject, firms, mine, firm_id),
        "tiles": tiles(values, scope, scope_id, day, yesterday),
        "targets": standings(rows, mine, firm_id=firm_id, year=year),
        "episodes": await _episodes(connection, park_id, firm_id, firms),
        **await _flows(connection, points, mine, (day, month), firm_id, tz),
        "load": await _load(connection, points, mine, firm_id, now),
        "health": await _health(connection, points, mine, park_id, firm_id, now, tz),
    }


def _span(grain: Grain, now: datetime, tz: ZoneInfo) -> Span:
    found = period(grain, now, tz)
    return Span(grain, found.start, found.end, now)


def _head(
    subject: Subject, firms: Sequence[BoardFirm], mine: Sequence[BoardFirm], firm_id: int | None
) -> dict[str, Any]:
    listed = [{"id": firm.firm_id, **names(firm)} for firm in firms]
    return {
        "park": {"id": subject.park_id, "code": subject.code, **names(subject), "zone": subject.time_zone},
        "whole": subject.whole,
        "firm": None if firm_id is None else {"id": firm_id, **names(mine[0])},
        "firms": listed,
    }


async def _episodes(
    connection: Connection, park_id: int, firm_id: int | None, firms: Sequence[BoardFirm]
) -> dict[str, Any]:
    whose = {firm.firm_id: names(firm) for firm in firms}
    rows = await board.episodes(connection, park_id, firm_id, EPISODES)
    items = [
        {
            "id": row.episode_id,
            "severity": row.severity,
            "state": row.state,
            "zh": row.title_zh,
            "en": row.title_en,
            "firm": None if row.firm_id is None else whose.get(row.firm_id),
            "firm_id": row.firm_id,
            "began": row.began,
            "href": f"/v1/episodes/{row.episode_id}",
        }
        for row in rows
    ]
    return {"items": items, "total": rows[0].total if rows else 0}


async def _flows(
    connection: Connection,
    points: Sequence[BoardPoint],
    firms: Sequence[BoardFirm],
    spans: tuple[Span, Span],
    firm_id: int | None,
    tz: ZoneInfo,
) -> dict[str, Any]:
    day, month = spans
    ids = [point.point_id for point in points]
    amounts = await board.amounts(connection, ids, day.start, month.start)
    balances = await board.balances(connection, ids, day.start, month.start)
    flow: dict[str, Any] = {"unit": "kgce"}
    water: dict[str, Any] = {"unit": "m3"}
    for span in spans:
        moved = {row.point_id: row for row in amounts if row.grain == span.grain}
        balanced = {row.point_id: row for row in balances if row.grain == span.grain}
        worth = coal_worth(points, span.start.astimezone(tz).date())
        drawn = energy_flow(span, points, firms, moved, balanced, worth, firm_id=firm_id)
        flow[span.grain] = {"start": span.start, **drawn}
        water[span.grain] = {"start": span.start, **water_balance(span, points, firms, moved, balanced)}
    return {"flow": flow, "water": water}


async def _load(
    connection: Connection, points: Sequence[BoardPoint], firms: Sequence[BoardFirm], firm_id: int | None, now: datetime
) -> dict[str, Any]:
    found = power.members(points, firm_id=firm_id)
    whole, small = power.split(found)
    rows = await board.load(connection, whole, now - 2 * power.STEPS * power.STEP) if whole else []
    rows += await board.load(connection, small, now - (power.SPARK + 1) * power.STEP) if small else []
    called = {f.firm_id: names(f) for f in firms} if firm_id is None else {p.point_id: names(p) for p in points}
    return power.curve(now, found, rows, called)


async def _health(
    connection: Connection,
    points: Sequence[BoardPoint],
    firms: Sequence[BoardFirm],
    park_id: int,
    firm_id: int | None,
    now: datetime,
    tz: ZoneInfo,
) -> dict[str, Any]:
    hour = period("hour", now, tz).start
    start = hour - timedelta(hours=HOURS)
    ids = [point.point_id for point in points if point.kind != "virtual"]
    covered = await board.coverage(connection, ids, start, hour)
    edges = await board.edges(connection, park_id, firm_id)
    held = await board.quarantined(connection, park_id, firm_id)
    return health(now, start, points, firms, edges, covered, held)
