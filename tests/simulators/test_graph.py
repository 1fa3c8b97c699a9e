"""The meters of a simulated firm stand under its incomer, and what its truth moved balances there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from park.graph import Flow, Role, balance
from park.points import Kind
from park.relations import node_of
from simulators.firms import SLOTS, profile
from simulators.parks import park, parks
from simulators.quantities import MICRO, quantities


@pytest.mark.parametrize("name", parks())
def test_every_electricity_meter_stands_under_the_incomer(name: str) -> None:
    """Counters behind the incomer have it as their parent; what is made on site or discharged feeds in."""
    simulated = park(name, 1, origin=datetime(2025, 1, 1, tzinfo=UTC))
    for firm, document in zip(simulated.firms, simulated.definition.firms, strict=True):
        flows = {point.code: point.flow.name for point in firm.points}
        for point in document.points:
            behind = flows[point.code].startswith("electricity.") and point.kind is not Kind.GAUGE
            parents = [flows[parent.point] for parent in point.parents]
            assert parents == (["electricity"] if behind else [])
            fed = flows[point.code].rpartition(".")[2] in {"solar", "generated", "discharge"}
            assert (point.role is not Role.LOAD) == (behind and fed)


def test_a_firm_with_roof_and_battery_balances_to_what_has_no_meter() -> None:
    """Import, sun and battery less export, charge and sub-meter leave the loads without a meter, and the losses."""
    moved = {
        flow: int(each.sum()) / MICRO
        for flow, each in quantities(profile("pv-storage"), 1.0, 1, "f01", 1_928_000, 30 * SLOTS).items()
    }
    simulated = park("full", 1, origin=datetime(2025, 1, 1, tzinfo=UTC))
    k = next(k for k, firm in enumerate(simulated.firms) if firm.profile == profile("pv-storage"))
    firm, document = simulated.firms[k], simulated.definition.firms[k]
    flows = {point.code: point.flow.name for point in firm.points}
    nodes = {flows[point.code]: node_of(firm.code, point) for point in document.points if point.kind is not Kind.GAUGE}
    per_unit = {"kWh": 1.0, "MWh": 1e3}
    at = {name: Flow(n, moved[name] / per_unit[n.unit], 1.0) for name, n in nodes.items() if name.startswith("electr")}
    found = balance(at["electricity"], [flow for name, flow in at.items() if name != "electricity"])
    unmetered = sum(
        moved[name]
        for load in profile("pv-storage").electricity.loads
        if (name := f"electricity.{load.code}") not in at
    )
    assert found.unaccounted is not None
    assert found.loss is not None
    assert found.unaccounted + found.loss == pytest.approx(unmetered + moved["electricity.loss"], rel=1e-6)
