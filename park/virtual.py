"""What a virtual point moved, bucket by bucket, from what its inputs moved.

Known only where every input covers the whole bucket: of two inputs that cover different parts of it, neither sum nor
difference means anything. Measured only where every input is measured; one estimate makes the whole an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from park.calendar import BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TOLERANCE_S: Final = 0.5
"""Coverage is stored in single precision; what lacks less than this is whole."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input over n buckets, shape (n,) each; NaN: nothing of that sort. A bucket without a row covers 0 seconds.

    Attributes:
        factor: what its quantity counts in the sum, units included.
    """

    factor: float
    measured: NDArray[np.float64]
    estimated: NDArray[np.float64]
    measured_s: NDArray[np.float64]
    estimated_s: NDArray[np.float64]
    flags: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Combined:
    """The sum over n buckets; NaN in both: missing."""

    measured: NDArray[np.float64]
    estimated: NDArray[np.float64]
    flags: NDArray[np.int16]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Tell which buckets have a quantity."""
        return ~(np.isnan(self.measured) & np.isnan(self.estimated))


def combine(inputs: Sequence[Input]) -> Combined:
    """Add up inputs (at least one) bucket by bucket; flags are those of any input."""
    shape = inputs[0].measured.shape
    total, flags = np.zeros(shape), np.zeros(shape, np.int16)
    whole, measured = np.ones(shape, bool), np.ones(shape, bool)
    for part in inputs:
        quantity = np.nan_to_num(part.measured, nan=0.0) + np.nan_to_num(part.estimated, nan=0.0)
        total += part.factor * quantity
        whole &= part.measured_s + part.estimated_s >= BUCKET_S - TOLERANCE_S
        whole &= ~(np.isnan(part.measured) & np.isnan(part.estimated))
        measured &= part.measured_s >= BUCKET_S - TOLERANCE_S
        flags |= part.flags
    return Combined(
        measured=np.where(whole & measured, total, np.nan),
        estimated=np.where(whole & ~measured, total, np.nan),
        flags=np.where(whole, flags, 0).astype(np.int16),
    )
