"""What goes beyond a limit or the usual, in quantity and CO2. Pure.

Where it is told per hour it stays per hour: the worst hour times the length of an episode would be more than was lost.
Money is told where a sample brings it: no price is kept here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from park.errors import FactorError, UnitError
from park.factors import Basis, FactorKind, choose, load_factors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

_PER_HOUR: Final = "/h"
_FACTORS: Final = {
    # carrier: basis and purpose of the factor to CO2, nationwide
    "electricity": (Basis.PURCHASED, "location_national"),
    "heat": (Basis.PURCHASED, "general"),
    "steam": (Basis.PURCHASED, "general"),
    "natural_gas": (Basis.DIRECT, "general"),
}


def cost_of(excess: Mapping[str, Any] | None, carrier: str | None, on: date) -> dict[str, float]:
    """Return what an excess comes to, by unit.

    Args:
        excess: `quantity` and `unit`; a unit per hour ends in `/h`.
        carrier: of the point; None: no CO2 can be told.
        on: the day whose factor holds.
    """
    if not excess or excess.get("quantity") is None or not excess.get("unit"):
        return {}
    quantity, unit = float(excess["quantity"]), str(excess["unit"])
    plain = unit.removesuffix(_PER_HOUR)
    found = {unit: quantity}
    if carrier in _FACTORS:
        basis, purpose = _FACTORS[carrier]
        try:
            factor = choose(load_factors(), FactorKind.TO_CO2, carrier, basis, purpose, "CN", on)
            tonnes = factor.convert(quantity, plain) * (0.001 if factor.result_unit == "kgCO2" else 1.0)
        except (FactorError, UnitError):
            return found
        found["tCO2" + unit[len(plain) :]] = tonnes
    return found
