"""The water balance: what came in, what went out, what went round, and what of it nobody measured. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.board.quantity import Sum, consumption_href, names, number, tidy, total
from park.errors import UnitError
from park.units import conversion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.board.quantity import Span
    from store.board import BoardAmount, BoardBalance, BoardFirm, BoardPoint

_IN: Final = ("fresh_water", "reclaimed_water", "rain_water")
_ROUND: Final = ("recirculated_water", "cascaded_water", "recycled_water")
CARRIERS: Final = frozenset({*_IN, *_ROUND, "wastewater"})


def water_balance(
    span: Span,
    points: Sequence[BoardPoint],
    firms: Sequence[BoardFirm],
    amounts: Mapping[int, BoardAmount],
    balances: Mapping[int, BoardBalance],
) -> dict[str, Any]:
    """Return the balance of the running day or month in m³.

    Sub-meters (points under another that is seen) do not count again. The difference of what came in and went out is
    water that evaporated, left in products, or passed no meter; it is said only where all of both is known.
    """
    seen = {p.point_id for p in points}
    water = [p for p in points if p.carrier in CARRIERS and p.kind != "gauge" and p.parent_id not in seen]
    worth = _cubic_metres(points)

    def of(carrier: str, directions: frozenset[str]) -> Sum:
        mine = [p for p in water if p.carrier == carrier and p.direction in directions]
        return total(mine, amounts, span, worth)

    came = {carrier: of(carrier, frozenset({"in"})) for carrier in _IN}
    handed = of("fresh_water", frozenset({"out"}))
    discharged = of("wastewater", frozenset({"out"}))
    round_ = {carrier: of(carrier, frozenset({"in", "internal"})) for carrier in _ROUND}
    ways = [found for found in (*came.values(), handed, discharged) if found.points]
    supply = sum(found.quantity or 0.0 for found in came.values())
    away = (handed.quantity or 0.0) + (discharged.quantity or 0.0)
    # Who takes water in without a meter on what he discharges would turn his sewage into evaporation.
    unmetered = _without_discharge(water)
    whole = bool(ways) and not unmetered and all(found.known == found.points for found in ways)
    return {
        "in": [_way(carrier, found, span) for carrier, found in came.items() if found.points],
        "out": [
            _way(name, found, span)
            for name, found in (("wastewater", discharged), ("handed_on", handed))
            if found.points
        ],
        "round": [_way(carrier, found, span) for carrier, found in round_.items() if found.points],
        "rest": tidy(supply - away) if whole and discharged.points else None,
        "rest_share": tidy((supply - away) / supply) if whole and discharged.points and supply > 0 else None,
        "unmetered": len(unmetered),
        "nodes": _nodes(points, firms, balances, worth),
        "partial": any(found.partial for found in ways),
    }


def _way(name: str, found: Sum, span: Span) -> dict[str, Any]:
    return {"id": name, **number(found, "m3", consumption_href(found.ids, span))}


def _cubic_metres(points: Sequence[BoardPoint]) -> dict[int, float]:
    worth: dict[int, float] = {}
    for point in points:
        try:
            worth[point.point_id] = conversion(point.unit, "m3")
        except UnitError:
            continue
    return worth


def _without_discharge(water: Sequence[BoardPoint]) -> set[int]:
    takers = {p.firm_id for p in water if p.carrier in _IN and p.direction == "in"}
    return takers - {p.firm_id for p in water if p.carrier == "wastewater" and p.direction == "out"}


def _nodes(
    points: Sequence[BoardPoint],
    firms: Sequence[BoardFirm],
    balances: Mapping[int, BoardBalance],
    worth: Mapping[int, float],
) -> list[dict[str, Any]]:
    """Return the metered networks with what is unaccounted for in them, the largest first."""
    whose = {firm.firm_id: names(firm) for firm in firms}
    found = []
    for point in points:
        balance = balances.get(point.point_id)
        if balance is None or point.carrier not in CARRIERS or point.point_id not in worth:
            continue
        rest = None if balance.unaccounted is None else balance.unaccounted * worth[point.point_id]
        share = None if rest is None or not balance.supply else rest / (balance.supply * worth[point.point_id])
        said = {**names(point), "firm": whose[point.firm_id], "rest": tidy(rest), "share": tidy(share)}
        found.append(said | {"unknown": balance.unknown})
    return sorted(found, key=lambda node: -(node["rest"] or 0.0))
