"""What a baseline is fitted to: periods with their energy, production and degree days, and which of them count.

NaN is unknown, which is never zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Spacing = Literal["day", "week", "month"]
LeftOut = Literal["declared", "shut_down", "no_data", "no_variables"]

HEATING_BASE_C: Final = 18.0
COOLING_BASE_C: Final = 26.0
"""Base temperatures of degree days in Chinese practice: HDD18 and CDD26."""
PRODUCTION: Final = "production"
WEATHER: Final = ("hdd18", "cdd26")
SHUT_DOWN_SHARE: Final = 0.05
"""A period that produces less than this share of the median is a shut-down, not a point of the model."""


@dataclass(frozen=True, slots=True)
class Observations:
    """Periods of one grain in order; arrays of shape (n,).

    Attributes:
        start_us: start of each period, microseconds since 1970.
        days: its true length in days of 24 hours.
        energy: what was used, in `unit`; NaN: unknown.
        values: sums over the period of each variable; NaN: unknown.
        units: of the variables.
        declared: periods with a day that somebody declared unusual.
    """

    grain: Spacing
    unit: str
    start_us: NDArray[np.int64]
    days: Floats
    energy: Floats
    values: Mapping[str, Floats]
    units: Mapping[str, str] = field(default_factory=dict)
    declared: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Return the number of periods."""
        return len(self.start_us)

    def where(self, chosen: NDArray[np.bool_]) -> Observations:
        """Return the chosen periods."""
        return Observations(
            self.grain,
            self.unit,
            self.start_us[chosen],
            self.days[chosen],
            self.energy[chosen],
            {name: column[chosen] for name, column in self.values.items()},
            self.units,
            None if self.declared is None else self.declared[chosen],
        )


def degree_days(mean_c: Floats) -> tuple[Floats, Floats]:
    """Return HDD18 and CDD26 of days with these mean outdoor temperatures."""
    return np.maximum(0.0, HEATING_BASE_C - mean_c), np.maximum(0.0, mean_c - COOLING_BASE_C)


def grouped(
    daily: Observations, grain: Spacing, group: NDArray[np.int64], lengths: Mapping[int, float]
) -> Observations:
    """Sum days into weeks or months; a group that lacks a day, or a day's value, is unknown.

    Args:
        daily: observations of days.
        grain: of the groups.
        group: start of the group that each day lies in, microseconds since 1970.
        lengths: of each group in days; what its days fall short of it is a lack.
    """
    starts, of = np.unique(group, return_inverse=True)
    n = len(starts)
    days = np.array([lengths[int(start)] for start in starts])
    whole = np.abs(np.bincount(of, daily.days, n) - days) < 1e-6
    declared = None if daily.declared is None else np.bincount(of, daily.declared, n) > 0

    def summed(column: Floats) -> Floats:
        return np.where(whole, np.bincount(of, column, n), np.nan)

    values = {name: summed(column) for name, column in daily.values.items()}
    return Observations(grain, daily.unit, starts, days, summed(daily.energy), values, daily.units, declared)


def production_floors(observed: Observations) -> dict[str, float]:
    """Return for each product the production per day below which a period is a shut-down."""
    floors = {}
    for name, column in observed.values.items():
        per_day = column / observed.days
        made = per_day[per_day > 0]
        if name.partition(":")[0] == PRODUCTION and len(made):
            floors[name] = SHUT_DOWN_SHARE * float(np.median(made))
    return floors


def left_out(observed: Observations, variables: Sequence[str], floors: Mapping[str, float]) -> list[LeftOut | None]:
    """Return why each period is no point of a model, None where it is one.

    A shut-down is a period in which every product stays below its floor; it is told from missing production.
    """
    n = len(observed)
    down = np.full(n, bool(floors))
    for name, floor in floors.items():
        column = observed.values.get(name, np.full(n, np.nan))
        down &= column / observed.days < floor
    silent = np.zeros(n, bool)
    for name in variables:
        silent |= np.isnan(observed.values.get(name, np.full(n, np.nan)))
    why: list[LeftOut | None] = []
    for k in range(n):
        if observed.declared is not None and observed.declared[k]:
            why.append("declared")
        elif down[k]:
            why.append("shut_down")
        elif math.isnan(observed.energy[k]):
            why.append("no_data")
        else:
            why.append("no_variables" if silent[k] else None)
    return why


def design(observed: Observations, variables: Sequence[str]) -> Floats:
    """Return averages per day of the variables, a column of ones first; shape (n, 1 + variables), NaN: unknown."""
    unknown = np.full(len(observed), np.nan)
    columns = [observed.values.get(name, unknown) / observed.days for name in variables]
    found: Floats = np.column_stack([np.ones(len(observed)), *columns])
    return found
