"""The past of a firm as columns of readings, fast enough to lay down a year of a park in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import to_us
from park.points import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from simulators.parks import SimulatedPark
    from simulators.totals import Effect

ROWS_PER_BLOCK: Final = 50_000


@dataclass(frozen=True, slots=True)
class Block:
    """Readings of one firm by rising time; columns of shape (n,).

    Attributes:
        codes: codes of the points.
        point: index into `codes`, int32.
        t_us: instant, microseconds since 1970, int64.
        value: dial value before any multiplier, float64.
    """

    codes: tuple[str, ...]
    point: NDArray[np.int32]
    t_us: NDArray[np.int64]
    value: NDArray[np.float64]


def history(
    simulated: SimulatedPark,
    firm_code: str,
    start: datetime,
    end: datetime,
    step_s: int = 900,
    effects: Sequence[Effect] = (),
) -> Iterator[Block]:
    """Yield the readings of every register of a firm at `start`, `start + step_s`, … before `end`.

    The live meters show the same values at the same instants, so that history laid down up to now goes on without a
    seam.

    Raises:
        UnknownName: no such firm.
        SimulatedTime: `start` lies before the park's origin.
    """
    firm = simulated.firm(firm_code)
    registers = [point for point in firm.points if point.kind is Kind.REGISTER]
    codes = tuple(point.code for point in registers)
    instants = np.arange(to_us(start), to_us(end), step_s * 1_000_000, dtype=np.int64)
    per_block = max(1, ROWS_PER_BLOCK // max(1, len(codes)))
    index = np.arange(len(codes), dtype=np.int32)
    for at in range(0, len(instants), per_block):
        t_us = instants[at : at + per_block]
        value = np.empty((len(t_us), len(codes)))
        for k, point in enumerate(registers):
            value[:, k] = firm.dials(point, t_us, effects)
        yield Block(codes, np.tile(index, len(t_us)), np.repeat(t_us, len(codes)), value.ravel())
