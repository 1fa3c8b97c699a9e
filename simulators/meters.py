"""Meters as they are: a dial that counts whole steps of its resolution, turns over, and is exchanged now and then."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulators.errors import SimulatedTime
from simulators.quantities import MICRO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulators.firms import MeterModel

    Micro = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Meter:
    """One physical meter at a point during `[from_us, to_us)`.

    Attributes:
        serial: its number plate.
        model: what the dial looks like.
        multiplier: CT × PT; the dial shows the quantity divided by it.
        start_ticks: the dial at `from_us`, in steps of the resolution.
        step: millionths of the flow's unit that make one step of the dial.
    """

    serial: str
    model: MeterModel
    multiplier: float
    start_ticks: int
    step: int
    from_us: int
    to_us: int | None = None

    @property
    def modulus_ticks(self) -> int:
        """Return how many steps the dial has before it turns over."""
        return round(self.model.modulus / self.model.resolution)

    def ticks(self, moved: int) -> int:
        """Return the dial in steps after `moved` millionths have passed since the installation."""
        return (self.start_ticks + moved // self.step) % self.modulus_ticks

    def dial(self, ticks: int) -> float:
        """Return what a reader makes of the registers: raw × resolution, or the float that the meter sends."""
        # 35 × 0.01 is 0.35000000000000003; 35 / 100 is what the dial says, and what readers make of it.
        inverse = self._steps_per_unit
        value = ticks * self.model.resolution if inverse is None else ticks / inverse
        return float(np.float32(value)) if self.model.type == "f32" else value

    @property
    def _steps_per_unit(self) -> int | None:
        resolution = self.model.resolution
        inverse = round(1 / resolution) if resolution < 1 else 0
        return inverse if inverse and 1 / inverse == resolution else None

    def dials(self, moved: Micro) -> NDArray[np.float64]:
        """Return `dial(ticks(moved))` of an array."""
        ticks = (self.start_ticks + moved // self.step) % self.modulus_ticks
        inverse = self._steps_per_unit
        value = (ticks * self.model.resolution if inverse is None else ticks / inverse).astype(np.float64)
        return value.astype(np.float32).astype(np.float64) if self.model.type == "f32" else value


def step_of(model: MeterModel, multiplier: float, base_per_unit: float) -> int:
    """Return the millionths of the flow's unit in one step of a dial, at least 1."""
    return max(1, round(model.resolution * multiplier * base_per_unit * MICRO))


def start_ticks(model: MeterModel, serial: str, start_share: float | None) -> int:
    """Return where a dial stands when it is installed: as told, or anywhere in the first half of the dial."""
    ticks = round(model.modulus / model.resolution)
    if start_share is None:
        start_share = int.from_bytes(hashlib.blake2b(serial.encode(), digest_size=4).digest(), "big") / 2**33
    return int(ticks * start_share) % ticks


def at(meters: tuple[Meter, ...], t_us: int) -> Meter:
    """Return the meter that hung there at `t_us`."""
    for meter in meters:
        if meter.from_us <= t_us and (meter.to_us is None or t_us < meter.to_us):
            return meter
    msg = f"no meter was installed then; the first is {meters[0].serial}" if meters else "this point has no meter"
    raise SimulatedTime(msg)
