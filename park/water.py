"""Water: what a site takes in, uses again, gives away and loses, and whether that closes.

All amounts in m³ over one and the same period. Each pass of a loop counts: 1 000 m³/h in a loop are 24 000 m³ a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

OPEN_BALANCE: Final = 0.05
"""Share of the intake beyond which a balance is open (GB/T 12452 practice)."""
_EVAPORATION_PER_DEGC: Final = 0.00153


@dataclass(frozen=True, slots=True)
class WaterBalance:
    """The boundary of a site: `intake = consumed + discharged + leaked + handed on`."""

    intake: float
    consumed: float
    discharged: float
    leaked: float
    handed_on: float = 0.0

    @property
    def out(self) -> float:
        """Return what is accounted for."""
        return self.consumed + self.discharged + self.leaked + self.handed_on

    @property
    def opening(self) -> float | None:
        """Return `|in − out| / in`, None without an intake."""
        return abs(self.intake - self.out) / self.intake if self.intake > 0 else None

    @property
    def closes(self) -> bool:
        """Tell whether at most `OPEN_BALANCE` is unaccounted for."""
        return self.opening is not None and self.opening <= OPEN_BALANCE

    @property
    def leakage_rate(self) -> float | None:
        """Return `K_l = V_l / V_i`, None without an intake."""
        return self.leaked / self.intake if self.intake > 0 else None


@dataclass(frozen=True, slots=True)
class Reuse:
    """Fresh water and the three systems in which water is used again, each pass counted (GB/T 7119)."""

    fresh: float
    circulating: float = 0.0
    cascaded: float = 0.0
    treated: float = 0.0

    @property
    def reused(self) -> float:
        """Return what the three systems moved together."""
        return self.circulating + self.cascaded + self.treated

    @property
    def rate(self) -> float | None:
        """Return `R = V_r / (V_i + V_r)`, 0 to 1; None where no water was used."""
        used = self.fresh + self.reused
        return self.reused / used if used > 0 else None


def together(sites: Iterable[Reuse]) -> Reuse:
    """Return several sites as one: sums, so that the rate is a ratio of sums and never a mean of rates."""
    found = list(sites)
    return Reuse(
        sum(site.fresh for site in found),
        sum(site.circulating for site in found),
        sum(site.cascaded for site in found),
        sum(site.treated for site in found),
    )


def passes_m3(flow_m3_h: float, hours: float) -> float:
    """Return what a loop moves: every pass counts."""
    return flow_m3_h * hours


def evaporation_m3_h(circulating_m3_h: float, cooling_degc: float) -> float:
    """Return what a cooling tower evaporates, about: `0.00153 × Q × ΔT`."""
    return _EVAPORATION_PER_DEGC * circulating_m3_h * cooling_degc


def cycles(makeup: float, blowdown: float, drift: float = 0.0) -> float | None:
    """Return the cycles of concentration of a cooling tower, `N = M / (B + D)`; None where nothing is drained."""
    drained = blowdown + drift
    return makeup / drained if drained > 0 else None


def makeup(evaporated: float, blowdown: float, drift: float = 0.0) -> float:
    """Return the water that keeps a cooling tower full: `M = E + B + D`."""
    return evaporated + blowdown + drift
