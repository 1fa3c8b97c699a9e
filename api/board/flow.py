"""The energy flow as a Sankey diagram: carriers, firms or meters, what leaves again, is lost, or is unaccounted for.

All in kgce, equivalent value (当量值), so that carriers can stand beside each other. Unknown flows are no links of
width zero: they are named beside the diagram. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from api.board.quantity import Sum, consumption_href, names, tidy, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from api.board.quantity import Span
    from store.board import BoardAmount, BoardBalance, BoardFirm, BoardPoint

MOST_FIRMS: Final = 12
"""Firms that stand alone in a park's diagram; the smaller ones are one node."""
MOST_METERS: Final = 14
_FED: Final = frozenset({"generation", "discharge"})


@dataclass(slots=True)
class _Link:
    value: float = 0.0
    estimated: float = 0.0
    partial: bool = False
    ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Drawing:
    """Nodes and links while they are collected."""

    span: Span
    worth: Mapping[int, float]
    amounts: Mapping[int, BoardAmount]
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[tuple[str, str], _Link] = field(default_factory=lambda: defaultdict(_Link))
    unknown: list[dict[str, Any]] = field(default_factory=list)
    over: list[dict[str, Any]] = field(default_factory=list)

    def node(self, key: str, kind: str, **more: Any) -> str:
        self.nodes.setdefault(key, {"id": key, "kind": kind, **more})
        return key

    def flow(self, source: str, target: str, point: BoardPoint, whose: Mapping[str, str]) -> None:
        """Draw what passed a point; a flow that nobody knows is only named."""
        found = total([point], self.amounts, self.span, self.worth)
        if found.quantity is None:
            self.unknown.append({**names(point), "code": point.code, "firm": dict(whose)})
            return
        self._add(source, target, found)

    def rest(self, source: str, kind: str, value: float, node: BoardPoint) -> None:
        """Draw what a balance says is lost or unaccounted for."""
        self._add(source, self.node(kind, kind), Sum(value, 0.0, 1, 1, partial=False, ids=(node.point_id,)))

    def _add(self, source: str, target: str, found: Sum) -> None:
        link = self.links[source, target]
        link.value += found.quantity or 0.0
        link.estimated += found.estimated
        link.partial |= found.partial
        link.ids += found.ids


def energy_flow(
    span: Span,
    points: Sequence[BoardPoint],
    firms: Sequence[BoardFirm],
    amounts: Mapping[int, BoardAmount],
    balances: Mapping[int, BoardBalance],
    worth: Mapping[int, float],
    *,
    firm_id: int | None,
) -> dict[str, Any]:
    """Return nodes, links and what is unknown.

    Args:
        span: the running day or month.
        points: all that the role sees; those without worth are no energy and are passed over.
        firms: their firms.
        amounts: what points moved in the span.
        balances: of those points that are nodes, in the span.
        worth: kgce per unit of each energy point.
        firm_id: a firm's own diagram, down to its meters; None: the park's, down to its firms.
    """
    drawing = _Drawing(span, worth, amounts)
    energy = {p.point_id: p for p in points if p.point_id in worth and p.kind != "gauge"}
    whose = {firm.firm_id: names(firm) for firm in firms}
    if firm_id is None:
        _park(drawing, energy, firms, whose)
    else:
        _firm(drawing, energy, whose)
    for point_id, balance in sorted(balances.items()):
        point = energy.get(point_id)
        if point is not None:
            _rest(drawing, point, balance, _place(drawing, point, firm_id), whose[point.firm_id])
    return _drawn(drawing, MOST_FIRMS if firm_id is None else MOST_METERS)


def _park(
    drawing: _Drawing,
    energy: Mapping[int, BoardPoint],
    firms: Sequence[BoardFirm],
    whose: Mapping[int, Mapping[str, str]],
) -> None:
    for firm in firms:
        drawing.node(f"firm:{firm.firm_id}", "firm", firm_id=firm.firm_id, **names(firm))
    handed: set[tuple[int, int]] = set()
    for point in energy.values():
        place, said = f"firm:{point.firm_id}", whose[point.firm_id]
        parent = energy.get(point.parent_id) if point.parent_id is not None else None
        if parent is not None and parent.firm_id != point.firm_id:
            # A transfer reaches its firm through another one; a circle of transfers cannot be drawn as a flow.
            if _reaches(handed, point.firm_id, parent.firm_id):
                continue
            handed.add((parent.firm_id, point.firm_id))
            drawing.flow(f"firm:{parent.firm_id}", place, point, said)
        elif point.direction == "out":
            drawing.flow(place, drawing.node("export", "export"), point, said)
        elif point.role in _FED and parent is not None:
            drawing.flow(drawing.node(f"onsite:{point.role}", "onsite", role=point.role), place, point, said)
        elif point.direction == "in" and parent is None:
            drawing.flow(drawing.node(f"carrier:{point.carrier}", "carrier", carrier=point.carrier), place, point, said)


def _firm(drawing: _Drawing, energy: Mapping[int, BoardPoint], whose: Mapping[int, Mapping[str, str]]) -> None:
    for point in energy.values():
        said = whose[point.firm_id]
        parent = energy.get(point.parent_id) if point.parent_id is not None else None
        if parent is None and point.direction == "in":
            source = drawing.node(f"carrier:{point.carrier}", "carrier", carrier=point.carrier)
            drawing.flow(source, _meter(drawing, point), point, said)
        elif parent is not None and point.role in _FED:
            source = drawing.node(f"onsite:{point.point_id}", "onsite", role=point.role, **names(point))
            drawing.flow(source, _meter(drawing, parent), point, said)
        elif parent is not None:
            target = drawing.node("export", "export") if point.direction == "out" else _meter(drawing, point)
            drawing.flow(_meter(drawing, parent), target, point, said)
        elif point.direction == "out":
            drawing.flow(_meter(drawing, point), drawing.node("export", "export"), point, said)


def _meter(drawing: _Drawing, point: BoardPoint) -> str:
    return drawing.node(f"meter:{point.point_id}", "meter", code=point.code, point_id=point.point_id, **names(point))


def _place(drawing: _Drawing, point: BoardPoint, firm_id: int | None) -> str:
    return f"firm:{point.firm_id}" if firm_id is None else _meter(drawing, point)


def _rest(drawing: _Drawing, point: BoardPoint, balance: BoardBalance, place: str, firm: Mapping[str, str]) -> None:
    worth = drawing.worth[point.point_id]
    if balance.loss is None or balance.unaccounted is None:
        said = {**names(point), "code": point.code, "firm": dict(firm), "balance": True, "points": balance.unknown}
        drawing.unknown.append(said)
        return
    if balance.loss > 0:
        drawing.rest(place, "loss", balance.loss * worth, point)
    if balance.unaccounted > 0:
        drawing.rest(place, "unaccounted", balance.unaccounted * worth, point)
    elif balance.unaccounted < 0 and balance.supply and -balance.unaccounted > 0.02 * balance.supply:
        share = tidy(-balance.unaccounted / balance.supply)
        drawing.over.append({**names(point), "code": point.code, "firm": dict(firm), "share": share})


def _reaches(edges: Iterable[tuple[int, int]], start: int, goal: int) -> bool:
    stack, seen = [start], {start}
    while stack:
        at = stack.pop()
        if at == goal:
            return True
        following = {b for a, b in edges if a == at} - seen
        seen |= following
        stack += following
    return False


def _drawn(drawing: _Drawing, most: int) -> dict[str, Any]:
    _gather_small(drawing, most)
    links = [
        {
            "s": source,
            "t": target,
            "v": tidy(link.value),
            "est": tidy(link.estimated / link.value),
            "partial": link.partial,
            "href": consumption_href(link.ids, drawing.span),
        }
        for (source, target), link in sorted(drawing.links.items())
        if link.value > 0
    ]
    drawn = {end for link in links for end in (link["s"], link["t"])}
    supplied = sum(
        link.value for (source, _), link in drawing.links.items() if source.startswith(("carrier", "onsite"))
    )
    return {
        "nodes": [node for key, node in sorted(drawing.nodes.items()) if key in drawn],
        "links": links,
        "unknown": drawing.unknown,
        "over": drawing.over,
        "supply": tidy(supplied) if links else None,
        "partial": any(link["partial"] for link in links) or bool(drawing.unknown),
    }


def _gather_small(drawing: _Drawing, most: int) -> None:
    """Put all but the largest ends into one node."""
    through: dict[str, float] = defaultdict(float)
    hands_on = {source for source, target in drawing.links if target.startswith(("firm:", "meter:"))}
    for (_, target), link in drawing.links.items():
        if target.startswith(("firm:", "meter:")) and target not in hands_on:
            through[target] += link.value
    small = set(sorted(through, key=lambda key: (-through[key], key))[most:])
    if len(small) < 2:
        return
    other = drawing.node("other", "other", count=len(small))
    for (source, target), link in list(drawing.links.items()):
        if source in small or target in small:
            kept = drawing.links[other if source in small else source, other if target in small else target]
            kept.value += link.value
            kept.estimated += link.estimated
            kept.partial |= link.partial
            kept.ids += link.ids
            del drawing.links[source, target]
