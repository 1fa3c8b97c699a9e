"""What indicators with reported inputs truly are in a month: as `simulators.indicators`, with the firm's own books.

What counts is the last report of each name. Value at constant prices is that reported at prices of the base year, or
the current one over the deflator of the firm's industry, else of all. Nothing of the platform's is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simulators.indicators import (
    GRID,
    ZERO_CARBON_PARK,
    Firm,
    Unknowable,
    bought,
    burnt,
    energy,
    fresh,
    of_year,
    ratio,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RESIDUAL: Final = {2022: 0.5856, 2023: 0.6096}
"""National average without market-traded non-fossil power, kgCO2/kWh: what is bought and not proven green."""
_MADE: Final = ("solar_electricity", "wind_electricity", "hydro_electricity")
_NET: Final = {"in": 1.0, "out": -1.0}


@dataclass(frozen=True, slots=True)
class Books:
    """What one firm reported of one month, as it counts in the end.

    Attributes:
        amounts: by kind, key, price basis and base year of constant prices.
        deflators: of the month's year, by base year; that of the firm's industry where there is one.
        counted_products: products that a counter counts: what is reported of them does not.
        year: of the month.
    """

    year: int
    amounts: Mapping[tuple[str, str, str | None, int | None], float] = field(default_factory=dict)
    deflators: Mapping[int, float] = field(default_factory=dict)
    counted_products: frozenset[str] = frozenset()

    def current(self, kind: str) -> float:
        """Return a value at current prices, 10⁴ yuan."""
        found = self.amounts.get((kind, "", "current", None))
        if found is None:
            raise Unknowable("not_reported")
        return found

    def constant(self, kind: str) -> float:
        """Return a value at prices of the plan's base year: 2025 for 2026 to 2030."""
        base = (self.year - 1) // 5 * 5
        own = self.amounts.get((kind, "", "constant", base))
        if own is not None:
            return own
        current = self.current(kind)
        if base not in self.deflators:
            raise Unknowable("no_deflator")
        return current / self.deflators[base]

    def product(self) -> float:
        """Return the one product that is reported and not counted."""
        made = [
            amount
            for (kind, key, _, _), amount in self.amounts.items()
            if kind == "production" and key not in self.counted_products
        ]
        if not made:
            raise Unknowable("not_reported")
        if len(made) > 1:
            raise Unknowable("unlike_products")
        return made[0]

    def waste(self, *destinations: str) -> float:
        """Return the general solid waste with these destinations, tonnes."""
        found = [
            amount
            for (kind, key, _, _), amount in self.amounts.items()
            if kind == "solid_waste" and key.startswith("general") and key.rpartition("/")[2] in destinations
        ]
        if not found:
            raise Unknowable("not_reported")
        return sum(found)


def _per(above: float, below: float, *, none: str = "zero_denominator") -> float:
    return ratio(above, below, none=none)


def _tce(firm: Firm, *, equal: bool = False) -> float:
    return energy(firm, equal=equal).known / 1000


def _carbon(firm: Firm, power: Mapping[int, float]) -> float:
    return (burnt(firm) + bought(firm, of_year(power, firm.year))).known


def _power(firm: Firm) -> float:
    return firm.sum(("electricity",), _NET, required=True).total + firm.sum(_MADE, {"internal": 1.0}).total


def _drained(firm: Firm) -> float:
    return firm.sum(("wastewater",), {"out": 1.0}, required=True).total


def _zero_carbon(firm: Firm) -> float:
    return _per((burnt(firm) + bought(firm, ZERO_CARBON_PARK)).known, energy(firm).known)


REPORTED: Final[Mapping[str, Callable[[Firm, Books], float]]] = {
    "comprehensive_energy_net": lambda f, b: energy(f).known,  # noqa: ARG005  (no stocks are reported)
    "energy_per_reported_product": lambda f, b: _per(energy(f).known, b.product(), none="no_production"),
    "energy_per_value_added": lambda f, b: _per(_tce(f), b.constant("value_added")),
    "energy_per_value_added_equal": lambda f, b: _per(_tce(f, equal=True), b.constant("value_added")),
    "energy_per_value_added_current": lambda f, b: _per(_tce(f), b.current("value_added")),
    "energy_per_output_value": lambda f, b: _per(_tce(f), b.constant("output_value")),
    "energy_per_output_value_current": lambda f, b: _per(_tce(f), b.current("output_value")),
    "energy_productivity": lambda f, b: _per(b.constant("value_added"), _tce(f)),
    "electricity_per_value_added": lambda f, b: _per(_power(f), b.constant("value_added")),
    "water_per_reported_product": lambda f, b: _per(fresh(f), b.product(), none="no_production"),
    "water_per_value_added": lambda f, b: _per(fresh(f), b.constant("value_added")),
    "water_per_output_value": lambda f, b: _per(fresh(f), b.constant("output_value")),
    "water_per_value_added_current": lambda f, b: _per(fresh(f), b.current("value_added")),
    "water_productivity": lambda f, b: _per(1e4 * b.constant("value_added"), fresh(f)),
    "wastewater_per_value_added": lambda f, b: _per(_drained(f), b.constant("value_added")),
    "co2_total_location": lambda f, b: _carbon(f, GRID),  # noqa: ARG005
    "co2_total_market": lambda f, b: _carbon(f, RESIDUAL),  # noqa: ARG005  (no certificates are reported)
    "co2_per_value_added": lambda f, b: _per(_carbon(f, GRID) / 1000, b.constant("value_added")),
    "co2_per_value_added_market": lambda f, b: _per(_carbon(f, RESIDUAL) / 1000, b.constant("value_added")),
    "co2_per_output_value": lambda f, b: _per(_carbon(f, GRID), b.constant("output_value")),
    "zero_carbon_park_intensity": lambda f, b: _zero_carbon(f),  # noqa: ARG005
    "solid_waste_utilisation_rate": lambda f, b: ratio(b.waste("utilised"), b.waste("generated"), percent=True),  # noqa: ARG005
    "solid_waste_per_value_added": lambda f, b: _per(b.waste("generated"), b.constant("value_added")),  # noqa: ARG005
}
"""Every indicator of a month that the simulators know the truth of with what firms report."""
