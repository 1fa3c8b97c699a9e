"""What the indicators of a firm truly are in a period, worked out here from true quantities.

Independent on purpose: neither the platform's catalogue nor its factors nor its formulas are used, so that an error in
one of them shows. The coefficients are written down once more, with where they come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from park.units import conversion
from park.units import unit as unit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# GB/T 2589: standard coal. 3 600 kJ/kWh over 29 307.6 kJ/kgce, as printed; natural gas of 38 931 kJ/m3; low-pressure
# steam of 3 763 kJ/kg.
KGCE: Final = {"electricity": 0.1229, "natural_gas": 1.33, "steam": 0.1286, "heat": 0.03412 * 3.6}
COAL_RATE: Final = {2020: 0.3055, 2021: 0.3015, 2022: 0.3007, 2023: 0.3019, 2024: 0.3024}
"""Net-supply coal rate of thermal power, kgce/kWh; a year not yet published takes the last."""
GAS_KGCO2: Final = 389.31e-4 * 15.3 * 0.99 * 44 / 12
"""GJ/m3 × kgC/GJ × oxidised share × 44/12."""
STEAM_KGCO2: Final = 110 * (2777.1 - 83.74) / 1e6
"""0.11 t/GJ over saturated steam at 1 MPa from feed water of 20 °C."""
WATER_KGCE: Final = 0.2571
"""GB/T 2589-2020, annex B: 7.54 MJ for each tonne of bought water (0.0857 in 2008)."""
HEAT_KGCO2: Final = 110 * 0.0036
GRID: Final = {2021: 0.4743, 2022: 0.5227, 2023: 0.5581}
"""Chongqing, kgCO2/kWh, yearly notices; a year not yet published takes the last."""
NATION: Final = {2021: 0.5568, 2022: 0.5366, 2023: 0.5306}
ZERO_CARBON_PARK: Final = 0.8325
_CANONICAL: Final = {"energy": "kWh", "reactive energy": "kvarh", "volume": "m3", "mass": "kg"}
_RECIRCULATED: Final = ("recirculated_water", "direct_recirculated_water", "condensate")
_REUSED: Final = (*_RECIRCULATED, "cascaded_water", "recycled_water")
_NET: Final = {"in": 1.0, "out": -1.0}
_ANY: Final = {"in": 1.0, "out": 1.0, "internal": 1.0}
_INSIDE: Final = {"internal": 1.0}
_MADE: Final = ("solar_electricity", "wind_electricity", "hydro_electricity")


class Unknowable(Exception):  # noqa: N818  (a finding, not a failure)
    """The indicator is undefined; `reason` is what the platform should say."""

    def __init__(self, reason: str) -> None:
        """Keep the reason's code."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Source:
    """What one point truly moved, in kWh, kvarh, m3 or kg, products as counted; `step` of its dial likewise."""

    row: int
    carrier: str
    direction: str
    unit: str
    product: str | None
    quantity: float
    step: float = 0.0


def source(
    row: int, carrier: str, direction: str, unit: str, product: str | None, quantity: float, step: float
) -> Source:
    """Return a source with its quantity in the unit that the formulas count in."""
    symbol = unit if carrier == "product" else _CANONICAL.get(unit_of(unit).dimension, unit)
    scale = conversion(unit, symbol)
    return Source(row, carrier, direction, symbol, product, quantity * scale, step * scale)


@dataclass(slots=True)
class Firm:
    """A firm's true inputs in one period, and which of them a formula has used.

    Attributes:
        demand_kwh: largest sum of a quarter of an hour of all bought electricity; None: not known.
        demand_step: how far the dials' steps can move it.
        hours: of the period.
        year: calendar year, which decides yearly coefficients.
    """

    sources: Sequence[Source]
    hours: float
    year: int
    demand_kwh: float | None = None
    demand_step: float = 0.0
    used: set[int] = field(default_factory=set)

    def sum(
        self, factors: Mapping[str, float] | Iterable[str], weights: Mapping[str, float], *, required: bool = False
    ) -> Sum:
        """Add up what the points of some carriers moved, by direction, each times its factor."""
        by = dict(factors) if isinstance(factors, dict) else dict.fromkeys(factors, 1.0)
        found = [s for s in self.sources if s.carrier in by and s.direction in weights]
        self.used |= {s.row for s in found}
        if required and not found:
            raise Unknowable("no_points")
        return Sum(len(found), math.fsum(weights[s.direction] * by[s.carrier] * s.quantity for s in found))

    def product(self) -> float:
        """Return what was made, of one kind; raises `Unknowable`."""
        made = [s for s in self.sources if s.carrier == "product"]
        self.used |= {s.row for s in made}
        if not made:
            raise Unknowable("no_points")
        if len({(s.unit, s.product) for s in made}) > 1:
            raise Unknowable("unlike_products")
        return math.fsum(s.quantity for s in made)


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum over points, and how many there were."""

    points: int
    total: float

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.points + other.points, self.total + other.total)

    @property
    def known(self) -> float:
        """Return the sum, or raise `Unknowable` if no point stands behind it."""
        if not self.points:
            raise Unknowable("no_points")
        return self.total


def of_year(series: Mapping[int, float], year: int) -> float:
    """Return the coefficient of a year; one not published yet takes the last."""
    past = [known for known in series if known <= year]
    if not past:
        raise Unknowable("no_factor")
    return series[max(past)]


def ratio(numerator: float, denominator: float, *, none: str = "zero_denominator", percent: bool = False) -> float:
    """Return a quotient, or raise `Unknowable`: with `none` where nothing divides, beyond 0 to 100 % as implausible."""
    if denominator <= 0:
        raise Unknowable(none)
    value = numerator / denominator * (100 if percent else 1)
    if percent and not -1e-9 <= value <= 100 + 1e-9:
        raise Unknowable("implausible")
    return value


def energy(firm: Firm, *, equal: bool = False) -> Sum:
    """Return net input as standard coal, kgce."""
    power = of_year(COAL_RATE, firm.year) if equal else KGCE["electricity"]
    made = dict.fromkeys(_MADE, KGCE["electricity"])
    return firm.sum(KGCE | {"electricity": power}, _NET) + firm.sum(made, _INSIDE)


def burnt(firm: Firm) -> Sum:
    """Return CO2 of fuels, kg."""
    return firm.sum({"natural_gas": GAS_KGCO2}, _NET)


def bought(firm: Firm, power: float) -> Sum:
    """Return CO2 of bought electricity at `power` kg/kWh, and of bought steam and heat, kg."""
    return firm.sum({"electricity": power, "steam": STEAM_KGCO2, "heat": HEAT_KGCO2}, _NET)


def _per_tce(firm: Firm, power: float) -> float:
    carbon = (burnt(firm) + bought(firm, power)).known
    return ratio(carbon, energy(firm).known)


def fresh(firm: Firm) -> float:
    """Return fresh water taken in, m3."""
    return firm.sum(("fresh_water",), _NET, required=True).total


def _reuse(firm: Firm, carriers: Sequence[str]) -> float:
    again = firm.sum(carriers, _INSIDE).total
    taken = fresh(firm)
    return ratio(again, taken + firm.sum(_REUSED, _INSIDE).total, percent=True)


def _loop(firm: Firm, again: Sequence[str], fresh: str) -> float:
    passed = firm.sum(again, _INSIDE, required=True).total
    makeup = firm.sum((fresh,), {"in": 1.0, "internal": 1.0}, required=True).total
    return ratio(passed, passed + makeup, percent=True)


def _with_media(firm: Firm) -> float:
    return (energy(firm) + firm.sum({"fresh_water": WATER_KGCE}, _NET)).known


def _returned(firm: Firm) -> float:
    back = firm.sum(("condensate",), _INSIDE, required=True).total
    steam_t = firm.sum(("steam",), {"in": 1.0, "internal": 1.0}, required=True).total / 1000
    return ratio(back, steam_t, percent=True)


def _of_treated(firm: Firm) -> float:
    taken = firm.sum(("reclaimed_water",), {"in": 1.0}, required=True).total
    return ratio(taken, firm.sum(("treated_wastewater",), _ANY, required=True).total, percent=True)


def _leaked(firm: Firm) -> float:
    leaked = firm.sum(("leaked_water",), _ANY, required=True).total
    return ratio(leaked, fresh(firm), percent=True)


def _clean(firm: Firm, *, renewable: bool) -> float:
    made = firm.sum(dict.fromkeys(_MADE, KGCE["electricity"]), _INSIDE).total
    clean = made if renewable else made + firm.sum({"natural_gas": KGCE["natural_gas"]}, _NET).total
    return ratio(clean, energy(firm).known, percent=True)


def _unconventional(firm: Firm) -> float:
    other = firm.sum(("reclaimed_water", "rain_water"), {"in": 1.0}).total
    return ratio(other, fresh(firm) + other, percent=True)


def _demand(firm: Firm) -> float:
    firm.sum(("electricity",), {"in": 1.0}, required=True)
    if firm.demand_kwh is None:
        raise Unknowable("no_data")
    return firm.demand_kwh * 4


def _load_factor(firm: Firm) -> float:
    used = firm.sum(("electricity",), {"in": 1.0}, required=True).total
    return ratio(used, _demand(firm) * firm.hours, percent=True)


def _power_factor(firm: Firm) -> float:
    active = firm.sum(("electricity",), {"in": 1.0}, required=True).total
    reactive = firm.sum(("reactive_energy",), {"in": 1.0}, required=True).total
    apparent = math.hypot(active, reactive)
    if apparent <= 0:
        raise Unknowable("zero_denominator")
    return active / apparent


def _electricity(firm: Firm) -> float:
    return firm.sum(("electricity",), _NET, required=True).total + firm.sum(_MADE, _INSIDE).total


def _closure(firm: Firm) -> float:
    gone = firm.sum(("consumed_water", "leaked_water"), _ANY)
    gone += firm.sum(("wastewater",), {"out": 1.0}, required=True)
    came = (firm.sum(("fresh_water",), _NET) + firm.sum(("reclaimed_water", "rain_water"), {"in": 1.0})).known
    if came <= 0:
        raise Unknowable("zero_denominator")
    return 100 * abs(came - gone.total) / came


def _discharged(carrier: str) -> Callable[[Firm], float]:
    return lambda firm: firm.sum((carrier,), {"out": 1.0}).known


TRUTHS: Final[Mapping[str, Callable[[Firm], float]]] = {
    "comprehensive_energy_equivalent": lambda f: energy(f).known,
    "comprehensive_energy_equal": lambda f: energy(f, equal=True).known,
    "energy_per_product": lambda f: ratio(energy(f).known, f.product(), none="no_production"),
    "comprehensive_energy_media": _with_media,
    "electricity_use": _electricity,
    "clean_energy_share": lambda f: _clean(f, renewable=False),
    "renewable_energy_share": lambda f: _clean(f, renewable=True),
    "maximum_demand": _demand,
    "load_factor": _load_factor,
    "power_factor": _power_factor,
    "fresh_water_intake": fresh,
    "water_reuse_rate": lambda f: _reuse(f, _REUSED),
    "water_circulating_rate": lambda f: _reuse(f, _RECIRCULATED),
    "water_cascade_rate": lambda f: _reuse(f, ("cascaded_water",)),
    "water_treated_reuse_rate": lambda f: _reuse(f, ("recycled_water",)),
    "cooling_recirculation_rate": lambda f: _loop(f, ("recirculated_water",), "cooling_makeup_water"),
    "direct_cooling_recirculation_rate": lambda f: _loop(
        f, ("direct_recirculated_water",), "direct_cooling_makeup_water"
    ),
    "process_water_reuse_rate": lambda f: _loop(f, ("recycled_water", "cascaded_water"), "process_fresh_water"),
    "wastewater_reuse_rate": lambda f: ratio(
        f.sum(("recycled_water",), _INSIDE).total,
        f.sum(("recycled_water",), _INSIDE).total + f.sum(("wastewater",), {"out": 1.0}, required=True).total,
        percent=True,
    ),
    "unconventional_water_share": _unconventional,
    "condensate_return_rate": _returned,
    "reclaimed_water_use_rate": _of_treated,
    "water_leakage_rate": _leaked,
    "water_balance_closure": _closure,
    "wastewater_discharge": _discharged("wastewater"),
    "water_per_product": lambda f: ratio(fresh(f), f.product(), none="no_production"),
    "co2_scope_1": lambda f: burnt(f).total,
    "co2_scope_2_location": lambda f: bought(f, of_year(GRID, f.year)).known,
    "co2_scope_2_national": lambda f: bought(f, of_year(NATION, f.year)).known,
    "co2_per_tce": lambda f: _per_tce(f, of_year(GRID, f.year)),
    "zero_carbon_park_energy_carbon": lambda f: _per_tce(f, ZERO_CARBON_PARK),
    "so2_discharge": _discharged("so2"),
    "nox_discharge": _discharged("nox"),
    "particulate_discharge": _discharged("particulate"),
    "vocs_discharge": _discharged("vocs"),
    "cod_discharge": _discharged("cod"),
    "ammonia_nitrogen_discharge": _discharged("ammonia_nitrogen"),
}
"""Every indicator that the simulators know the truth of without what firms report."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an indicator truly is: a value, or the reason why it has none.

    Attributes:
        bound: how far one step of each dial at both ends of the period can move the value.
        rows: points that it rests on.
    """

    value: float | None
    reason: str | None
    bound: float
    rows: frozenset[int]


def expected(indicator_id: str, firm: Firm) -> Expected:
    """Return what an indicator truly is for a firm and period; the id must be one of `TRUTHS`."""
    return judged(TRUTHS[indicator_id], firm)


def judged(formula: Callable[[Firm], float], firm: Firm) -> Expected:
    """Return what a formula truly gives for a firm and period."""
    value, reason, rows = _value(formula, firm)
    bound = 0.0
    if value is not None:
        for k, one in enumerate(firm.sources):
            if one.row in rows and one.step > 0:
                moved = [*firm.sources[:k], replace(one, quantity=one.quantity + 2 * one.step), *firm.sources[k + 1 :]]
                bound += _apart(value, _value(formula, replace(firm, sources=moved, used=set()))[0])
        if firm.demand_kwh is not None and firm.demand_step > 0:
            more = replace(firm, demand_kwh=firm.demand_kwh + firm.demand_step, used=set())
            bound += _apart(value, _value(formula, more)[0])
    return Expected(value, reason, 1.1 * bound, rows)


def _value(formula: Callable[[Firm], float], firm: Firm) -> tuple[float | None, str | None, frozenset[int]]:
    firm.used.clear()
    try:
        value = formula(firm)
    except Unknowable as unknown:
        return None, unknown.reason, frozenset(firm.used)
    return value, None, frozenset(firm.used)


def _apart(value: float, other: float | None) -> float:
    return abs(value - other) if other is not None else abs(value)
