"""What each point of a firm gives over a time, as columns, before and after what is wrong with its meter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from park.points import Kind
from park.units import unit
from simulators.errors import SimulatedTime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from simulators.parks import SimulatedFirm, SimulatedPoint
    from simulators.quantities import Micro
    from simulators.totals import Effect

    Count = Callable[[NDArray[np.int64]], Micro]
    """What a meter has counted by each instant since the park's origin, in millionths of the flow's unit."""

_US_PER_S: Final = 1_000_000
_MICRO: Final = 1e6


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one point; columns of shape (n,).

    Attributes:
        t_us: device time, microseconds since 1970, int64.
        value: as it goes on the wire, float64.
        quality: 0 good, 1 uncertain, 2 bad, uint8.
        sent_us: true time at which the edge has it to send, int64.
        lane: readings of one instant and lane travel in one batch; 0 is the ordinary poll, int16.
    """

    t_us: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    sent_us: NDArray[np.int64]
    lane: NDArray[np.int16]

    def keep(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Series:
        """Return the readings chosen by mask or by index."""
        return Series(
            self.t_us[chosen], self.value[chosen], self.quality[chosen], self.sent_us[chosen], self.lane[chosen]
        )

    def and_then(self, more: Series) -> Series:
        """Return these readings followed by more."""
        return Series(
            np.concatenate([self.t_us, more.t_us]),
            np.concatenate([self.value, more.value]),
            np.concatenate([self.quality, more.quality]),
            np.concatenate([self.sent_us, more.sent_us]),
            np.concatenate([self.lane, more.lane]),
        )

    def valued(self, value: NDArray[np.float64]) -> Series:
        """Return the readings with other values."""
        return replace(self, value=value)


def plain(t_us: NDArray[np.int64], value: NDArray[np.float64]) -> Series:
    """Return good readings, each sent when it was taken."""
    n = len(t_us)
    return Series(t_us, value, np.zeros(n, np.uint8), t_us.copy(), np.zeros(n, np.int16))


def instants(start_us: int, end_us: int, step_s: int) -> NDArray[np.int64]:
    """Return the multiples of `step_s` in `[start_us, end_us]`."""
    step_us = step_s * _US_PER_S
    return np.arange(-(-start_us // step_us) * step_us, end_us + 1, step_us, dtype=np.int64)


def counted(firm: SimulatedFirm, point: SimulatedPoint, effects: Sequence[Effect]) -> Count:
    """Return what a meter without fault counts: the truth."""
    return lambda t_us: firm.totals.at(point.flow.name, t_us, effects)


def readings(
    firm: SimulatedFirm,
    point: SimulatedPoint,
    count: Count,
    start_us: int,
    end_us: int,
    step_s: int,
    effects: Sequence[Effect] = (),
) -> Series:
    """Return what a point gives from `start_us` to `end_us`, both included.

    Registers are read every `step_s`; intervals and gauges give one value at the end of each of their own intervals.
    """
    if point.kind is Kind.REGISTER:
        t_us = instants(start_us, end_us, step_s)
        return plain(t_us, _dials(firm, point, count, t_us))
    length_us = point.interval_s * _US_PER_S
    t_us = instants(start_us + length_us, end_us, point.interval_s)
    moved = (count(t_us) - count(t_us - length_us)).astype(np.float64)
    if point.kind is Kind.INTERVAL:
        return plain(t_us, moved / (_MICRO * point.base_per_unit))
    return plain(t_us, _gauge(firm, point, moved, t_us, length_us, effects))


def _dials(firm: SimulatedFirm, point: SimulatedPoint, count: Count, t_us: NDArray[np.int64]) -> NDArray[np.float64]:
    total, value = count(t_us), np.full(t_us.shape, np.nan)
    for meter in point.meters:
        inside = t_us >= meter.from_us
        if meter.to_us is not None:
            inside &= t_us < meter.to_us
        start = count(np.array([max(meter.from_us, firm.totals.origin_us)], np.int64))
        value[inside] = meter.dials(total[inside] - start)
    if np.any(np.isnan(value)):
        msg = f"{firm.code}/{point.code}: no meter was installed at the start; begin at the park's origin or later"
        raise SimulatedTime(msg)
    return value


def _gauge(
    firm: SimulatedFirm,
    point: SimulatedPoint,
    moved: NDArray[np.float64],
    t_us: NDArray[np.int64],
    length_us: int,
    effects: Sequence[Effect],
) -> NDArray[np.float64]:
    """Return mean rates, or mean concentrations in the gas or water that carries the flow."""
    dimension = unit(point.unit).dimension
    if not dimension.startswith("concentration"):
        return moved / (_MICRO * point.base_per_unit) * (3_600_000_000 / length_us)
    carrier = "stack_gas" if dimension.endswith("gas") else "wastewater"
    at = firm.totals.at(carrier, t_us, effects)
    volume = (at - firm.totals.at(carrier, t_us - length_us, effects)).astype(np.float64)
    # g/m³ is mg/L; mg/m³ is a thousandth of it. Without flow there is nothing to measure.
    scale = 1000.0 if carrier == "stack_gas" else 1.0
    return np.round(np.where(volume > 0, moved / np.maximum(volume, 1.0), 0.0) * scale, 3)
