"""Meters stand under each other as a forest, and a balance says what is unaccounted, or that it does not know."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.errors import GraphError
from park.graph import MULTIPLIERS, Edge, Flow, Node, Role, balance, check_graph, suspect_multiplier
from park.points import Kind

JULY, AUGUST = datetime(2025, 7, 1, tzinfo=UTC), datetime(2025, 8, 1, tzinfo=UTC)


def node(key: str, unit: str = "kWh", carrier: str = "electricity", **more: object) -> Node:
    return Node(key, Kind.REGISTER, carrier, unit, **more)  # type: ignore[arg-type]


NODES = {n.key: n for n in (*map(node, "abcd"), node("w", "m3", "fresh_water"), node("m", "MWh"))} | {
    "g": Node("g", Kind.GAUGE, "electricity", "kW")
}


@pytest.mark.parametrize(
    ("edges", "point", "says"),
    [
        ([Edge("a", "b"), Edge("b", "a")], "a", "a under b under a"),
        ([Edge("a", "a")], "a", "a under a"),
        ([Edge("a", "b"), Edge("b", "c"), Edge("c", "d"), Edge("d", "b")], "b", "above itself"),
        ([Edge("a", "b"), Edge("a", "c")], "a", "under b and c at once"),
        ([Edge("a", "b", valid_to=AUGUST), Edge("a", "c", valid_from=JULY)], "a", "at once"),
        ([Edge("a", "w")], "a", "measures electricity, its parent w fresh_water"),
        ([Edge("a", "x")], "a", "x is no point"),
        ([Edge("g", "a")], "g", "gauge"),
        ([Edge("a", "b", AUGUST, JULY)], "a", "before it begins"),
    ],
)
def test_what_is_no_forest_is_refused_by_name(edges: list[Edge], point: str, says: str) -> None:
    """Circles, two parents at once and mixed media are refused, naming the points."""
    with pytest.raises(GraphError, match=says) as caught:
        check_graph(NODES, edges)
    assert caught.value.point == point


def test_a_meter_may_move_to_another_parent() -> None:
    """Edges are dated: one after the other is no second parent, and turning two meters round is no circle."""
    check_graph(NODES, [Edge("a", "b", valid_to=JULY), Edge("a", "c", valid_from=JULY), Edge("m", "a")])
    check_graph(NODES, [Edge("a", "b", valid_to=JULY), Edge("b", "a", valid_from=JULY)])


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12, unique_by=lambda pair: pair[0]))
def test_a_graph_is_taken_exactly_if_every_walk_up_ends(pairs: list[tuple[int, int]]) -> None:
    """Whatever the edges: refused if and only if a point is met again on the way up."""
    nodes = {str(k): node(str(k)) for k in range(8)}
    above = dict(pairs)
    circle = False
    for start in above:
        at, steps = start, 0
        while at in above and steps < 9:
            at, steps = above[at], steps + 1
        circle |= steps == 9
    edges = [Edge(str(a), str(b)) for a, b in pairs]
    if circle:
        with pytest.raises(GraphError):
            check_graph(nodes, edges)
    else:
        check_graph(nodes, edges)


def flow(key: str, quantity: float | None, coverage: float = 1.0, unit: str = "kWh", **more: object) -> Flow:
    return Flow(node(key, unit, **more), quantity, coverage)  # type: ignore[arg-type]


def test_a_balance_is_what_went_in_less_what_came_out() -> None:
    """Generation and discharge are supply, a declared loss is not unaccounted, units are converted."""
    found = balance(
        flow("in", 1000, loss_share=0.02),
        [
            flow("a", 600),
            flow("b", 0.5, unit="MWh"),
            flow("sun", 150, role=Role.GENERATION),
            flow("bat", 50, role=Role.DISCHARGE),
        ],
    )
    assert (found.supply, found.load, found.loss) == (1200, 1100, 24)
    assert found.unaccounted == pytest.approx(76)
    assert found.share == pytest.approx(76 / 1200)


@pytest.mark.parametrize("silent", [flow("b", None, 0.0), flow("b", 10, 0.5)])
def test_what_is_unknown_of_one_is_unknown_of_the_balance(silent: Flow) -> None:
    """A silent child is not a loss: it is named instead."""
    found = balance(flow("in", 100), [flow("a", 60), silent])
    assert found.unaccounted is None
    assert found.share is None
    assert found.unknown == ("b",)
    assert found.coverage == silent.coverage


def test_a_node_at_rest_has_no_share() -> None:
    """Nothing over nothing is no share."""
    assert balance(flow("in", 0), [flow("a", 0)]).share is None
    assert balance(flow("in", 0), [flow("a", 0)]).unaccounted == 0


@given(
    st.lists(st.lists(st.floats(1, 1e4), min_size=12, max_size=12), min_size=1, max_size=4),
    st.floats(0, 0.2),
    st.floats(-0.3, 0.3),
)
def test_the_parts_of_a_balance_add_up(taken: list[list[float]], loss: float, hidden: float) -> None:
    """Supply is load, loss and unaccounted, whatever they are; hidden consumption is found again."""
    for column in zip(*taken, strict=True):
        supply = sum(column) / (1 - loss) * (1 + hidden)
        found = balance(flow("in", supply, loss_share=loss), [flow(str(k), q) for k, q in enumerate(column)])
        assert found.supply is not None
        assert found.load is not None
        assert found.loss is not None
        assert found.unaccounted is not None
        assert found.load + found.loss + found.unaccounted == pytest.approx(found.supply)
        assert found.unaccounted == pytest.approx(sum(column) * hidden, abs=1e-6 * supply)


def loads(seed: int, n: int = 3, buckets: int = 32) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"c{k}": rng.uniform(50, 500, buckets) for k in range(n)}


@given(st.integers(0, 10_000), st.sampled_from(MULTIPLIERS), st.booleans(), st.integers(0, 2))
def test_a_wrong_multiplier_is_found(seed: int, k: int, too_large: bool, which: int) -> None:
    """A child whose multiplier is wrong by K is named with what mends it."""
    children = loads(seed)
    parent = sum(children.values()) * 1.005
    wrong = float(k) if too_large else 1 / k
    found = suspect_multiplier(parent, children | {f"c{which}": children[f"c{which}"] * wrong})
    if found is not None:  # a small child that vanishes among the others is not found; a wrong answer is never given
        assert found.key == f"c{which}"
    if too_large or k <= 3:
        assert found is not None
        assert found.factor == pytest.approx(1 / wrong)


@pytest.mark.parametrize("k", [10, 25, 40, 100])
def test_a_wrong_multiplier_of_the_parent_is_found(k: int) -> None:
    """All children agree and the parent does not: it is the parent's."""
    children = loads(k)
    found = suspect_multiplier(sum(children.values()) / k, children, key="E-001")
    assert found is not None
    assert (found.key, found.factor) == ("E-001", k)


def test_nothing_is_suspected_without_reason() -> None:
    """A closed balance, a steady leak, noise, too few buckets or two explanations give no suggestion."""
    children = loads(1)
    parent = sum(children.values())
    rng = np.random.default_rng(2)
    assert suspect_multiplier(parent * 1.02, children) is None
    assert suspect_multiplier(parent * 1.3, children) is None
    assert suspect_multiplier(parent * rng.uniform(0.2, 5, 32), children) is None
    few = {name: values[:5] for name, values in children.items()}
    assert suspect_multiplier(parent[:5], few | {"c0": few["c0"] / 40}) is None
    twins = {"x": np.full(32, 10.0), "y": np.full(32, 10.0)}
    assert suspect_multiplier(np.full(32, 410.0), twins) is None
    unknown = children | {"c0": np.full(32, np.nan)}
    assert suspect_multiplier(parent, unknown) is None
    assert suspect_multiplier(parent, {}) is None
