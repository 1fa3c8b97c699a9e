"""Heat of steam over feed water. A table's value per tonne lies some 40 % higher; the two never share a trend."""

from __future__ import annotations

from typing import Final

FEED_WATER_KJ_KG: Final = 83.74
"""Enthalpy of water at 20 °C, from which the heat in steam is counted in the accounting guides."""
TCE_PER_GJ: Final = 0.03412
KGCE_KJ: Final = 29_307.6
"""Heat of 1 kg of standard coal, kJ: 7 000 kcal."""


def steam_heat_gj(mass_t: float, enthalpy_kj_kg: float) -> float:
    """Return the heat in steam, GJ: `m × (h − 83.74) / 1000`.

    Args:
        mass_t: tonnes.
        enthalpy_kj_kg: of the steam at its measured state; 2 777.1 kJ/kg is saturated steam of 1.0 MPa.
    """
    return mass_t * (enthalpy_kj_kg - FEED_WATER_KJ_KG) / 1000


def steam_tce(mass_t: float, enthalpy_kj_kg: float) -> float:
    """Return steam in standard coal by its heat, tce."""
    return steam_heat_gj(mass_t, enthalpy_kj_kg) * TCE_PER_GJ


def kgce_per_unit(ncv_kj: float) -> float:
    """Return a fuel's coefficient from its measured net calorific value, kJ per unit: `k = Q_net / 29 307.6`."""
    return ncv_kj / KGCE_KJ
