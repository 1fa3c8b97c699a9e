"""Units of measurement, and the carriers that are measured in them.

A quantity is stored in the unit its point declares; it is converted only here, and only within a dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from park.errors import UnitError


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: `1 symbol = scale × base unit of the dimension`."""

    symbol: str
    dimension: str
    scale: float


_UNITS: Final = {
    unit.symbol: unit
    for unit in (
        Unit("kWh", "energy", 1.0),
        Unit("MWh", "energy", 1e3),
        Unit("Wh", "energy", 1e-3),
        Unit("MJ", "energy", 1 / 3.6),
        Unit("GJ", "energy", 1e3 / 3.6),
        Unit("kvarh", "reactive energy", 1.0),
        Unit("Mvarh", "reactive energy", 1e3),
        Unit("m3", "volume", 1.0),
        Unit("L", "volume", 1e-3),
        Unit("10^4m3", "volume", 1e4),
        Unit("t", "mass", 1e3),
        Unit("kg", "mass", 1.0),
        Unit("g", "mass", 1e-3),
        Unit("piece", "count", 1.0),
        Unit("kW", "power", 1.0),
        Unit("MW", "power", 1e3),
        Unit("W", "power", 1e-3),
        Unit("kvar", "reactive power", 1.0),
        Unit("m3/h", "flow", 1.0),
        Unit("L/s", "flow", 3.6),
        Unit("t/h", "mass flow", 1e3),
        Unit("kg/h", "mass flow", 1.0),
        Unit("mg/m3", "concentration in gas", 1.0),
        Unit("mg/L", "concentration in water", 1.0),
        Unit("MPa", "pressure", 1.0),
        Unit("kPa", "pressure", 1e-3),
        Unit("degC", "temperature", 1.0),
        Unit("%", "share", 1.0),
    )
}

# The unit of the integral of a rate over one hour.
_PER_HOUR: Final = {"kW": "kWh", "MW": "MWh", "kvar": "kvarh", "m3/h": "m3", "t/h": "t", "kg/h": "kg"}

CARRIERS: Final[dict[str, str]] = {
    # carrier: dimension of what is consumed
    "electricity": "energy",
    "reactive_energy": "reactive energy",
    "natural_gas": "volume",
    "diesel": "mass",
    "coal": "mass",
    "steam": "mass",
    "heat": "energy",
    "compressed_air": "volume",
    "fresh_water": "volume",
    "recirculated_water": "volume",
    "cascaded_water": "volume",
    "recycled_water": "volume",
    "reclaimed_water": "volume",
    "rain_water": "volume",
    "wastewater": "volume",
    "product": "*",
    "solid_waste": "mass",
    "so2": "mass",
    "nox": "mass",
    "particulate": "mass",
    "cod": "mass",
    "ammonia_nitrogen": "mass",
    "stack_gas": "volume",
}
"""Every carrier, and the dimension of its consumption (`*`: as the point declares)."""


def unit(symbol: str) -> Unit:
    """Return the unit with this symbol, or raise `UnitError` naming the known ones."""
    try:
        return _UNITS[symbol]
    except KeyError:
        msg = f"unknown unit {symbol!r}; known are {', '.join(sorted(_UNITS))}"
        raise UnitError(msg) from None


def conversion(from_symbol: str, to_symbol: str) -> float:
    """Return `k` with `quantity_in_to = k × quantity_in_from`, or raise `UnitError`."""
    source, target = unit(from_symbol), unit(to_symbol)
    if source.dimension != target.dimension:
        msg = f"{from_symbol} measures {source.dimension}, {to_symbol} measures {target.dimension}: not convertible"
        raise UnitError(msg)
    if source.dimension == "temperature" and source != target:
        msg = "temperatures are not converted by a factor"
        raise UnitError(msg)
    return source.scale / target.scale


def consumed_unit(rate_symbol: str) -> str:
    """Return the unit of a rate integrated over hours (`kW` gives `kWh`), or raise `UnitError`."""
    try:
        return _PER_HOUR[rate_symbol]
    except KeyError:
        msg = f"{rate_symbol!r} is not a rate that can be integrated; rates are {', '.join(sorted(_PER_HOUR))}"
        raise UnitError(msg) from None


def check_carrier_unit(carrier: str, symbol: str) -> None:
    """Raise `UnitError` unless `symbol` (of a register or an interval) can measure `carrier`."""
    if carrier not in CARRIERS:
        msg = f"unknown carrier {carrier!r}; known are {', '.join(sorted(CARRIERS))}"
        raise UnitError(msg)
    expected = CARRIERS[carrier]
    if expected not in {"*", unit(symbol).dimension}:
        msg = f"{carrier} is measured as {expected}, but {symbol} measures {unit(symbol).dimension}"
        raise UnitError(msg)
