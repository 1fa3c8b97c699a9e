"""How the points of a park document stand to each other: parents, roles, losses, formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from park.errors import DataFileError, FormulaError, GraphError
from park.formula import Formula, parse, resolve
from park.graph import BEGINNING, END, Edge, Node, Role, check_graph
from park.points import Direction, Kind

if TYPE_CHECKING:
    from park.definition import FirmDefinition, ParkDefinition, PointDefinition


def key(firm: str, point: str) -> str:
    """Return the name of a point within its park."""
    return f"{firm}/{point}"


def edges_of(firm: str, point: PointDefinition) -> list[Edge]:
    """Return what a point stands under."""
    return [
        Edge(
            key(firm, point.code),
            key(parent.firm or firm, parent.point),
            parent.valid_from or BEGINNING,
            parent.valid_to or END,
        )
        for parent in point.parents
    ]


def inputs_of(firm: FirmDefinition) -> dict[str, dict[str, float]]:
    """Return each virtual point of a checked firm as measured points with their factors."""
    formulas = {point.code: parse(point.formula) for point in firm.points if point.formula is not None}
    return resolve(formulas, {point.code: point.unit for point in firm.points})


def check_relations(definition: ParkDefinition, file: str) -> None:
    """Raise `DataFileError` unless parents make a forest, and formulas can be computed."""
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    places: dict[str, str] = {}
    for f, firm in enumerate(definition.firms):
        _check_formulas(file, f"firms[{f}]", firm)
        for p, point in enumerate(firm.points):
            at = places[key(firm.code, point.code)] = f"firms[{f}].points[{p}]"
            if not 0 <= point.loss_share < 1:
                raise DataFileError(file, f"{at}.loss_share", f"{point.loss_share}: a share from 0 to below 1")
            if point.role is not Role.LOAD and not point.parents:
                raise DataFileError(file, f"{at}.role", f"{point.role} is fed in under a parent; name it in parents")
            for parent in point.parents:
                if any(t is not None and t.tzinfo is None for t in (parent.valid_from, parent.valid_to)):
                    raise DataFileError(file, f"{at}.parents", "times need a zone, such as +08:00")
            nodes[key(firm.code, point.code)] = node_of(firm.code, point)
            edges += edges_of(firm.code, point)
    try:
        check_graph(nodes, edges)
    except GraphError as error:
        raise DataFileError(file, f"{places[error.point]}.parents", str(error)) from None


def node_of(firm: str, point: PointDefinition) -> Node:
    """Return a point as the meter graph sees it."""
    return Node(key(firm, point.code), point.kind, point.carrier, point.unit, point.role, point.loss_share)


def _check_formulas(file: str, at: str, firm: FirmDefinition) -> None:
    by_code = {point.code: point for point in firm.points}
    units = {point.code: point.unit for point in firm.points}
    formulas: dict[str, Formula] = {}
    places: dict[str, str] = {}
    for p, point in enumerate(firm.points):
        place = places[point.code] = f"{at}.points[{p}].formula"
        if (point.formula is None) == (point.kind is Kind.VIRTUAL):
            raise DataFileError(file, place, "a virtual point has a formula, and no other point has one")
        if point.formula is not None:
            try:
                formulas[point.code] = parse(point.formula)
            except FormulaError as error:
                raise DataFileError(file, place, str(error)) from None
    for code in formulas:
        try:
            inputs = resolve({code: formulas[code], **_below(formulas, code)}, units)[code]
        except FormulaError as error:
            raise DataFileError(file, places[code], str(error)) from None
        for name in inputs:
            _check_input(file, places[code], by_code[code], by_code[name])


def _below(formulas: dict[str, Formula], code: str) -> dict[str, Formula]:
    """Return the formulas that a formula rests on, so that an error is told where it is."""
    found: dict[str, Formula] = {}
    stack = [code]
    while stack:
        for name in formulas[stack.pop()].codes:
            if name in formulas and name not in found:
                found[name] = formulas[name]
                stack.append(name)
    return found


def _check_input(file: str, place: str, virtual: PointDefinition, measured: PointDefinition) -> None:
    if measured.kind is Kind.GAUGE:
        raise DataFileError(file, place, f"{measured.code} is a gauge; a formula needs counters or amounts")
    if virtual.direction is not Direction.INTERNAL and measured.direction is virtual.direction:
        raise DataFileError(
            file,
            place,
            f"{measured.code} counts as {measured.direction} itself, and so would what is made of it: "
            "give the virtual point the direction internal",
        )
