"""Carbon dioxide of electricity by purpose, green power, and what a change of the grid's factor does.

Which factor holds is decided by what the number is for: see `park/data/factors-co2.toml`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from park.errors import IndicatorError
from park.factors import Basis, FactorKind, choose, load_factors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from park.factors import Factor, FactorRegistry

GWP: Final = {"co2": 1.0, "ch4": 28.0, "n2o": 265.0}
"""kg CO2 equivalent per kg, AR5 over 100 years."""


class Purpose(StrEnum):
    """What electricity's CO2 is computed for: each has a series of factors of its own."""

    LOCATION_PROVINCIAL = "location_provincial"
    LOCATION_NATIONAL = "location_national"
    LOCATION_REGIONAL = "location_regional"
    MARKET_RESIDUAL = "market_residual"
    FOSSIL = "fossil"
    ZERO_CARBON_PARK = "zero_carbon_park"
    ETS_REPORTING = "ets_reporting"


GREEN_COUNTS: Final = frozenset({Purpose.MARKET_RESIDUAL, Purpose.ZERO_CARBON_PARK})
"""Purposes for which power with a green certificate is zero; a location-based number knows only the grid."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Green certificates of one vintage: 1 certificate is 1 MWh.

    Attributes:
        vintage: year in which the power was made.
        retired: whether they were taken out of the market for this use; only then do they count.
        contract: the contract whose power they stand for; that power must not be counted a second time.
    """

    mwh: float
    vintage: int
    retired: bool
    contract: str | None = None


@dataclass(frozen=True, slots=True)
class PowerCarbon:
    """CO2 of electricity for one purpose, with the factor it was made with."""

    kg: float
    purpose: Purpose
    factor: Factor
    green_kwh: float


def electricity_co2(
    kwh: float,
    purpose: Purpose,
    on: date,
    *,
    region: str = "CN-CQ",
    green_kwh: float = 0.0,
    registry: FactorRegistry | None = None,
) -> PowerCarbon:
    """Return the CO2 of electricity that was bought.

    Args:
        kwh: net of what was handed on.
        purpose: what the number is for; it decides the factor and whether green power counts.
        on: a day of the period.
        region: where it was used, after ISO 3166-2.
        green_kwh: with certificates that `green_power` accepted; at most as much as was bought counts.
        registry: of factors; the package's own by default.

    Raises:
        NoFactorError: the registry has none for this purpose, region and day.
    """
    factor = choose(registry or load_factors(), FactorKind.TO_CO2, "electricity", Basis.PURCHASED, purpose, region, on)
    green = min(max(green_kwh, 0.0), max(kwh, 0.0)) if purpose in GREEN_COUNTS else 0.0
    return PowerCarbon(factor.convert(kwh - green, "kWh"), purpose, factor, green)


def green_power(certificates: Iterable[Certificate], contracts_mwh: dict[str, float], year: int) -> float:
    """Return the green power of a year, kWh: retired certificates of that year, and contracts without certificates.

    Raises:
        IndicatorError: certificates stand for more than their contract delivered.
    """
    uncovered = dict(contracts_mwh)
    total = 0.0
    for certificate in certificates:
        if not certificate.retired or certificate.vintage != year:
            continue
        total += certificate.mwh
        if certificate.contract is not None:
            left = uncovered.get(certificate.contract, 0.0) - certificate.mwh
            if left < -1e-9:
                msg = f"certificates of {year} for {certificate.contract} exceed what it delivered by {-left:g} MWh"
                raise IndicatorError(msg)
            uncovered[certificate.contract] = left
    return 1000.0 * (total + sum(uncovered.values()))


def co2_equivalent_kg(gases_kg: dict[str, float]) -> float:
    """Return several greenhouse gases as CO2, kg; `IndicatorError` for a gas without a warming potential here."""
    unknown = sorted(gases_kg.keys() - GWP.keys())
    if unknown:
        raise IndicatorError(f"no global warming potential for {', '.join(unknown)}; known are {', '.join(GWP)}")
    return math.fsum(kg * GWP[gas] for gas, kg in gases_kg.items())


def use_and_factor(kwh_0: float, factor_0: float, kwh_1: float, factor_1: float) -> tuple[float, float]:
    """Split a change of electricity's CO2 into what use did and what the grid's factor did; without residual.

    Logarithmic means (LMDI). Where one side is zero the whole change is the use's.
    """
    before, after = kwh_0 * factor_0, kwh_1 * factor_1
    if before <= 0 or after <= 0:
        return after - before, 0.0
    weight = before if math.isclose(before, after, rel_tol=1e-12) else (after - before) / math.log(after / before)
    return weight * math.log(kwh_1 / kwh_0), weight * math.log(factor_1 / factor_0)
