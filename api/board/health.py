"""The health of the data: who sends, how late, and how much of the last day is covered. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from api.board.quantity import names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store.board import BoardEdge, BoardFirm, BoardPoint, Covered

HOURS: Final = 24
SILENT_INTERVALS: Final = 3
"""A point is silent when its newest reading is older than so many of its intervals."""
_LEAST_S: Final = 120.0


def health(
    now: datetime,
    start: datetime,
    points: Sequence[BoardPoint],
    firms: Sequence[BoardFirm],
    edges: Sequence[BoardEdge],
    covered: Sequence[Covered],
    quarantined: int,
) -> dict[str, Any]:
    """Return coverage of the whole hours `[start, start + 24 h)`, gateways and firms, the worst first.

    Args:
        now: decides what is silent.
        start: of the first hour.
        points: all that the role sees; virtual ones send nothing and are passed over.
        firms: their firms.
        edges: their gateways.
        covered: seconds by hour and by firm.
        quarantined: messages that wait for a person.
    """
    sending = [p for p in points if p.kind != "virtual"]
    per_hour = 3600.0 * len(sending)
    hours = []
    by_hour = {row.period: row for row in covered if row.period is not None}
    for k in range(HOURS):
        at = start + timedelta(hours=k)
        hours.append({"at": at, **_shares(by_hour.get(at), per_hour)})
    by_firm = {row.firm_id: row for row in covered if row.firm_id is not None}
    rows = []
    for firm in firms:
        mine = [p for p in sending if p.firm_id == firm.firm_id]
        gates = [edge for edge in edges if edge.firm_id == firm.firm_id]
        if mine or gates:
            rows.append(_firm(now, firm, mine, gates, by_firm.get(firm.firm_id)))
    rows.sort(key=lambda row: (row["online"] is not False, not row["silent"], row["measured"] or 0.0, row["id"]))
    sums = by_firm.values()
    day_s = per_hour * HOURS
    return {
        "hours": hours,
        "measured": None if not day_s else round(sum(row.measured_s for row in sums) / day_s, 4),
        "estimated": None if not day_s else round(sum(row.estimated_s for row in sums) / day_s, 4),
        "firms": rows,
        "points": len(sending),
        "silent": sum(row["silent"] for row in rows),
        "edges": len(edges),
        "online": sum(edge.online is True for edge in edges),
        "newest": _newest(sending),
        "stale_after_s": max(_LEAST_S, SILENT_INTERVALS * min((p.interval_s for p in sending), default=0)),
        "quarantined": quarantined,
    }


def _firm(
    now: datetime, firm: BoardFirm, points: Sequence[BoardPoint], edges: Sequence[BoardEdge], covered: Covered | None
) -> dict[str, Any]:
    reported = [edge for edge in edges if edge.online is not None]
    return {
        "id": firm.firm_id,
        **names(firm),
        "points": len(points),
        "silent": sum(_silent(point, now) for point in points),
        "newest": _newest(points),
        "edges": len(edges),
        "online": None if not reported else all(edge.online for edge in edges),
        "buffered": sum(edge.buffered_batches or 0 for edge in reported),
        "clock_ms": max((edge.clock_offset_ms or 0 for edge in reported), key=abs, default=None),
        **_shares(covered, 3600.0 * HOURS * len(points)),
        "href": f"/v1/edges/status?firm_id={firm.firm_id}",
    }


def _silent(point: BoardPoint, now: datetime) -> bool:
    return point.newest is None or (now - point.newest).total_seconds() > SILENT_INTERVALS * point.interval_s


def _newest(points: Sequence[BoardPoint]) -> datetime | None:
    return max((p.newest for p in points if p.newest is not None), default=None)


def _shares(covered: Covered | None, due_s: float) -> dict[str, float | None]:
    if due_s <= 0:
        return {"measured": None, "estimated": None}
    if covered is None:
        return {"measured": 0.0, "estimated": 0.0}
    return {"measured": round(covered.measured_s / due_s, 4), "estimated": round(covered.estimated_s / due_s, 4)}
