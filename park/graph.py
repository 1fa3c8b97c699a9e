"""Which meter stands under which, and whether what went in comes out.

A node is a point with others under it. What it measured, plus what is generated or discharged behind it, less its
declared loss, should have passed the points under it; the rest is unaccounted: a loss, a tap without a meter, a theft,
or a wrong multiplier. What is not known of one of them is not known of the balance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from park.errors import GraphError, UnitError
from park.points import Kind
from park.units import conversion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
END: Final = datetime.max.replace(tzinfo=UTC)
MIN_COVERAGE: Final = 0.95
"""Below this share of the time, of the worst point, a balance over a period says nothing."""

MULTIPLIERS: Final = tuple(
    sorted(
        {2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 25, 30, 40, 50, 60, 80, 100, 120, 160, 200, 300, 400, 1000, 10000}
    )
)
"""Ratios of current and voltage transformers, and of their mistakes, that are met."""


class Role(StrEnum):
    """What a point does for the node it stands under."""

    LOAD = "load"
    """Takes from the node: a sub-meter, a transfer to another firm, the charging of a storage."""
    GENERATION = "generation"
    """Feeds into the node: made on site."""
    DISCHARGE = "discharge"
    """Feeds into the node: given back by a storage."""


@dataclass(frozen=True, slots=True)
class Node:
    """A point as the graph sees it.

    Attributes:
        key: `firm/code`.
        loss_share: share of what reaches it that is lost before its children, as declared.
    """

    key: str
    kind: Kind
    carrier: str
    unit: str
    role: Role = Role.LOAD
    loss_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Edge:
    """`child` stands under `parent` for `[valid_from, valid_to)`; both are keys."""

    child: str
    parent: str
    valid_from: datetime = BEGINNING
    valid_to: datetime = END

    def overlaps(self, other: Edge) -> bool:
        """Tell whether there is an instant at which both hold."""
        return self.valid_from < other.valid_to and other.valid_from < self.valid_to


def check_graph(nodes: Mapping[str, Node], edges: Iterable[Edge]) -> None:
    """Raise `GraphError` unless the edges make a forest at every instant, of one carrier each.

    A point has at most one parent at a time, of its own carrier and in a unit that can be converted, and never stands
    above itself.
    """
    of_child: dict[str, list[Edge]] = {}
    for edge in edges:
        _check_edge(nodes, edge)
        for other in of_child.setdefault(edge.child, []):
            if edge.overlaps(other):
                raise GraphError(
                    edge.child,
                    f"stands under {other.parent} and {edge.parent} at once; end one before the other begins",
                )
        of_child[edge.child].append(edge)
    for child in of_child:
        _check_above(of_child, child)


def _check_edge(nodes: Mapping[str, Node], edge: Edge) -> None:
    if edge.parent not in nodes:
        raise GraphError(edge.child, f"its parent {edge.parent} is no point of this park")
    if edge.valid_to <= edge.valid_from:
        raise GraphError(edge.child, f"under {edge.parent} it ends before it begins")
    child, parent = nodes[edge.child], nodes[edge.parent]
    for node in (child, parent):
        if node.kind is Kind.GAUGE:
            raise GraphError(edge.child, f"{node.key} is a gauge; a balance needs counters or amounts")
    if child.carrier != parent.carrier:
        raise GraphError(edge.child, f"measures {child.carrier}, its parent {parent.key} {parent.carrier}")
    try:
        conversion(child.unit, parent.unit)
    except UnitError as error:
        raise GraphError(edge.child, f"under {parent.key}: {error}") from None


def _check_above(of_child: Mapping[str, Sequence[Edge]], child: str) -> None:
    # The stretch of time narrows on the way up: edges that never held together make no circle.
    stack: list[tuple[tuple[str, ...], datetime, datetime]] = [((child,), BEGINNING, END)]
    while stack:
        path, begin, end = stack.pop()
        for edge in of_child.get(path[-1], ()):
            a, b = max(begin, edge.valid_from), min(end, edge.valid_to)
            if a >= b:
                continue
            if edge.parent == child:
                raise GraphError(child, f"stands above itself: {' under '.join((*path, child))}")
            if edge.parent not in path:
                stack.append(((*path, edge.parent), a, b))


@dataclass(frozen=True, slots=True)
class Flow:
    """What one point moved in one period, in its own unit.

    Attributes:
        quantity: None: unknown, which is not zero.
        coverage: share of the elapsed time that is measured or estimated, 0 to 1.
    """

    node: Node
    quantity: float | None
    coverage: float


@dataclass(frozen=True, slots=True)
class Balance:
    """A node's balance over one period, in the unit of its point; None: unknown.

    Attributes:
        supply: the node's own quantity and what is fed in under it.
        load: what its other children took.
        loss: declared, not measured.
        unaccounted: `supply - load - loss`; below zero more came out than went in.
        share: unaccounted over supply.
        coverage: of the worst-covered point.
        unknown: keys of the points that make it unknown.
    """

    key: str
    supply: float | None
    load: float | None
    loss: float | None
    unaccounted: float | None
    share: float | None
    coverage: float
    unknown: tuple[str, ...] = ()


def balance(parent: Flow, children: Sequence[Flow], *, min_coverage: float = MIN_COVERAGE) -> Balance:
    """Return the balance of a node. One point that is unknown or covers too little leaves it unknown."""
    everyone = (parent, *children)
    unknown = tuple(flow.node.key for flow in everyone if flow.quantity is None or flow.coverage < min_coverage)
    coverage = min(flow.coverage if flow.quantity is not None else 0.0 for flow in everyone)
    if unknown:
        return Balance(parent.node.key, None, None, None, None, None, coverage, unknown)
    supply, load = parent.quantity or 0.0, 0.0
    for flow in children:
        quantity = (flow.quantity or 0.0) * conversion(flow.node.unit, parent.node.unit)
        if flow.node.role is Role.LOAD:
            load += quantity
        else:
            supply += quantity
    loss = supply * parent.node.loss_share
    rest = supply - load - loss
    return Balance(parent.node.key, supply, load, loss, rest, rest / supply if supply > 0 else None, coverage)


@dataclass(frozen=True, slots=True)
class Moved:
    """What a point moved in a period, in its own unit, and the seconds of it that are measured or estimated."""

    quantity: float | None
    covered_s: float


def balances(
    nodes: Mapping[str, Node],
    edges: Iterable[Edge],
    moved: Mapping[str, Moved],
    start: datetime,
    end: datetime,
    *,
    now: datetime,
) -> list[Balance]:
    """Return the balance of every node with children over `[start, end)`, by key; of a period that runs, so far.

    A child that stands under its parent for a part of the period only leaves the balance unknown: what it moved in
    that part is another question.
    """
    elapsed_s = (min(end, now) - start).total_seconds()
    children: dict[str, list[Flow]] = {}
    for edge in edges:
        if edge.valid_from >= end or edge.valid_to <= start:
            continue
        flow = _flow(nodes[edge.child], moved, elapsed_s)
        if edge.valid_from > start or edge.valid_to < end:
            flow = Flow(flow.node, None, 0.0)
        children.setdefault(edge.parent, []).append(flow)
    return [balance(_flow(nodes[key], moved, elapsed_s), flows) for key, flows in sorted(children.items())]


def _flow(node: Node, moved: Mapping[str, Moved], elapsed_s: float) -> Flow:
    found = moved.get(node.key)
    if found is None or found.quantity is None or elapsed_s <= 0:
        return Flow(node, None, 0.0)
    return Flow(node, found.quantity, min(found.covered_s / elapsed_s, 1.0))


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A point whose multiplier seems wrong: with its quantities times `factor` the balance closes.

    Attributes:
        key: the point.
        factor: what its multiplier is to be multiplied with, such as 40 or 0.025.
        rest_before, rest_after: median share that is unaccounted as it is, and with the factor.
    """

    key: str
    factor: float
    rest_before: float
    rest_after: float


def suspect_multiplier(
    parent: NDArray[np.float64],
    children: Mapping[str, NDArray[np.float64]],
    *,
    key: str = "parent",
    closes: float = 0.03,
    open_at: float = 0.10,
    at_least: int = 8,
) -> Suspicion | None:
    """Return the one point whose multiplier, wrong by a usual ratio, would explain the node's balance.

    Args:
        parent: what reached the node in each of n buckets or periods after its declared loss, shape (n,); NaN: unknown.
        children: what each child took, in the unit of the parent, same shape each; what feeds in is negative.
        key: name of the parent in the answer.
        closes: share of the supply within which a balance counts as closed.
        open_at: share from which one is suspicious at all.
        at_least: buckets in which everything is known and something flows.

    Returns:
        None where the balance closes, nothing explains it in nine of ten buckets, or several points would.
    """
    if not children:
        return None
    taken = np.stack(list(children.values()))
    usable = ~(np.isnan(parent) | np.isnan(taken).any(axis=0)) & (parent > 0)
    if int(usable.sum()) < at_least:
        return None
    parent, taken = parent[usable], taken[:, usable]
    total = taken.sum(axis=0)
    before = float(np.median(np.abs(parent - total) / np.maximum(parent, np.abs(total))))
    if before < open_at:
        return None
    found = [
        (key, factor, np.abs(parent * factor - total) / (parent * factor))
        for factor in _candidates(float(np.median(total / parent)))
    ]
    for name, own in zip(children, taken, strict=True):
        rest, flowing = parent - (total - own), own > 0
        seen = float(np.median(rest[flowing] / own[flowing])) if flowing.any() else 0.0
        found += [(name, factor, np.abs(rest - own * factor) / parent) for factor in _candidates(seen)]
    closing = [
        Suspicion(name, factor, before, float(np.median(after)))
        for name, factor, after in found
        if float(np.mean(after <= closes)) >= 0.9
    ]
    return closing[0] if len(closing) == 1 else None


def suspect_node(
    nodes: Mapping[str, Node],
    edges: Sequence[Edge],
    key: str,
    buckets: Mapping[datetime, Mapping[str, Moved]],
    bucket_s: float,
) -> Suspicion | None:
    """Put a node's buckets before `suspect_multiplier`: those that every point covers, with the edges of their time."""
    parent: list[float] = []
    names = sorted({edge.child for edge in edges if edge.parent == key})
    taken: dict[str, list[float]] = {name: [] for name in names}
    kept = 1 - nodes[key].loss_share
    for start, moved in buckets.items():
        standing = {edge.child for edge in edges if edge.parent == key and edge.valid_from <= start < edge.valid_to}
        flows = {name: _flow(nodes[name], moved, bucket_s) for name in (key, *standing)}
        if any(flow.quantity is None or flow.coverage < MIN_COVERAGE for flow in flows.values()):
            continue
        parent.append((flows[key].quantity or 0.0) * kept)
        for name in names:
            quantity = flows[name].quantity or 0.0 if name in standing else 0.0
            sign = 1.0 if nodes[name].role is Role.LOAD else -kept
            taken[name].append(sign * quantity * conversion(nodes[name].unit, nodes[key].unit))
    return suspect_multiplier(np.array(parent), {name: np.array(values) for name, values in taken.items()}, key=key)


def _candidates(seen: float) -> list[float]:
    """Return the usual ratio nearest to the one seen, if it is near at all."""
    if not np.isfinite(seen) or seen <= 0:
        return []
    usual = [*map(float, MULTIPLIERS), *(1 / k for k in MULTIPLIERS)]
    nearest = min(usual, key=lambda k: abs(np.log(seen / k)))
    return [nearest] if abs(seen / nearest - 1) < 0.1 else []
