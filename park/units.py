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
        Unit("kgce", "standard coal", 1.0),
        Unit("tce", "standard coal", 1e3),
        Unit("kgCO2", "carbon dioxide", 1.0),
        Unit("tCO2", "carbon dioxide", 1e3),
        Unit("CNY", "money", 1.0),
        Unit("10^4CNY", "money", 1e4),
        Unit("10^8CNY", "money", 1e8),
        Unit("m2", "area", 1.0),
        Unit("mu", "area", 1e4 / 15),
        Unit("hm2", "area", 1e4),
        Unit("km2", "area", 1e6),
        Unit("10^4m2", "area", 1e4),
        Unit("person", "persons", 1.0),
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
    # made on site from what nobody sells: the roof's photovoltaics and the like
    "solar_electricity": "energy",
    "wind_electricity": "energy",
    "hydro_electricity": "energy",
    "natural_gas": "volume",
    "lng": "mass",
    "lpg": "mass",
    "coke_oven_gas": "volume",
    "blast_furnace_gas": "volume",
    "converter_gas": "volume",
    "refinery_gas": "mass",
    "hydrogen": "volume",
    "biogas": "volume",
    "diesel": "mass",
    "gasoline": "mass",
    "kerosene": "mass",
    "fuel_oil": "mass",
    "crude_oil": "mass",
    "methanol": "mass",
    "coal": "mass",
    "anthracite": "mass",
    "lignite": "mass",
    "washed_coal": "mass",
    "coal_middlings": "mass",
    "coal_slurry": "mass",
    "coke": "mass",
    "steam": "mass",
    "heat": "energy",
    "waste_heat": "energy",
    # energy media: counted where they are bought
    "compressed_air": "volume",
    "blast_air": "volume",
    "oxygen": "volume",
    "nitrogen": "volume",
    "co2_gas": "volume",
    "acetylene": "volume",
    "calcium_carbide": "mass",
    "softened_water": "mass",
    "deaerated_water": "mass",
    # water: taken in, used again, given away
    "fresh_water": "volume",
    "recirculated_water": "volume",
    "direct_recirculated_water": "volume",
    "cooling_makeup_water": "volume",
    "direct_cooling_makeup_water": "volume",
    "process_fresh_water": "volume",
    "cascaded_water": "volume",
    "recycled_water": "volume",
    "condensate": "volume",
    "reclaimed_water": "volume",
    "rain_water": "volume",
    "consumed_water": "volume",
    "leaked_water": "volume",
    "wastewater": "volume",
    "treated_wastewater": "volume",
    "product": "*",
    # raw materials that give off CO2 in the process
    "limestone": "mass",
    "dolomite": "mass",
    "magnesite": "mass",
    "soda_ash": "mass",
    "solid_waste": "mass",
    "so2": "mass",
    "nox": "mass",
    "particulate": "mass",
    "cod": "mass",
    "ammonia_nitrogen": "mass",
    "total_nitrogen": "mass",
    "total_phosphorus": "mass",
    "vocs": "mass",
    "stack_gas": "volume",
    # weather: a gauge in degC, whose mean over the day gives degree days
    "outdoor_temperature": "temperature",
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
