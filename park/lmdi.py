"""What moved an amount or an intensity: activity, structure, intensity, by firm (LMDI-I, additive, without residual).

An amount is `E = Σ Q·S_i·I_i` with the activity `Q = Σ Q_i`, the shares `S_i = Q_i / Q` and the intensities
`I_i = E_i / Q_i`. The logarithmic mean `L(a, b) = (a - b) / (ln a - ln b)` weighs the logarithm of each factor's change
(Ang, B. W. 2015, LMDI decomposition approach: a guide for implementation). Arrays are by firm, in one order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Parts:
    """Each firm's part of the change; the three together are the firm's whole effect."""

    activity: NDArray[np.float64]
    structure: NDArray[np.float64]
    intensity: NDArray[np.float64]

    @property
    def effect(self) -> NDArray[np.float64]:
        """Return the change each firm made."""
        return self.activity + self.structure + self.intensity


def amount_change(e0: ArrayLike, e1: ArrayLike, q0: ArrayLike, q1: ArrayLike) -> Parts:
    """Split `Σ e1 - Σ e0`, amounts that firms used to make `q0` and `q1`; in the unit of the amounts.

    Analytic limits instead of small numbers: a firm that enters or leaves is structure; one that began or ceased to use
    anything while it made something is intensity. What a firm used without making anything has neither share nor
    intensity: its activity part is kept and the rest is intensity. Amounts below zero (sold more than bought) have no
    logarithm; of such a firm the parts are Shapley's, which add up as well.

    Raises:
        ValueError: nothing was made in one of the periods, or something negative was.
    """
    a0, a1, b0, b1 = _arrays(e0, e1, q0, q1)
    total0, total1 = float(b0.sum()), float(b1.sum())
    return _parts(a0, a1, b0 / total0, b1 / total1, float(np.log(total1 / total0)), total1 / total0)


def intensity_change(e0: ArrayLike, e1: ArrayLike, q0: ArrayLike, q1: ArrayLike) -> Parts:
    """Split `Σ e1 / Σ q1 - Σ e0 / Σ q0` into structure and intensity, in the unit of the ratio; activity is zero.

    Limits and errors as of `amount_change`.
    """
    a0, a1, b0, b1 = _arrays(e0, e1, q0, q1)
    total0, total1 = float(b0.sum()), float(b1.sum())
    return _parts(a0 / total0, a1 / total1, b0 / total0, b1 / total1, 0.0, 1.0)


def log_mean(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the logarithmic mean of positive numbers; of equal ones, themselves; with a zero, zero."""
    x, y = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    with np.errstate(divide="ignore", invalid="ignore"):
        # log1p keeps its digits where the two are nearly equal, the difference where one is next to nothing.
        log = np.where(np.abs(x - y) < y / 2, np.log1p((x - y) / y), np.log(x) - np.log(y))
        mean = np.where(np.abs(log) < 1e-12, (x + y) / 2, (x - y) / log)
    return np.where((x <= 0) | (y <= 0), 0.0, mean)


def _arrays(*columns: ArrayLike) -> list[NDArray[np.float64]]:
    arrays = [np.asarray(column, float) for column in columns]
    if any(array.shape != arrays[0].shape or array.ndim != 1 for array in arrays):
        raise ValueError("one number per firm is expected in each column")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("a firm whose amount is unknown cannot be split; leave it out of both periods")
    for made in arrays[2:]:
        if (made < 0).any() or made.sum() <= 0:
            raise ValueError("what the firms made must be zero or more, and more than zero together")
    return arrays


def _parts(
    w0: NDArray[np.float64],
    w1: NDArray[np.float64],
    s0: NDArray[np.float64],
    s1: NDArray[np.float64],
    grown: float,
    growth: float,
) -> Parts:
    change = w1 - w0
    activity, structure, intensity = np.zeros_like(change), np.zeros_like(change), np.zeros_like(change)
    made = (s0 > 0) & (s1 > 0)
    used = (w0 > 0) & (w1 > 0)
    weight = log_mean(w1, w0)
    activity[used] = weight[used] * grown
    both = made & used
    structure[both] = weight[both] * np.log(s1[both] / s0[both])
    # Entered or left: the share goes to or comes from nothing, and what was used with it.
    moved = ((s0 == 0) & (w0 == 0) & (s1 > 0)) | ((s1 == 0) & (w1 == 0) & (s0 > 0))
    structure[moved] = change[moved]
    negative = (w0 < 0) | (w1 < 0)
    if negative.any():
        shapley = _shapley(w0[negative], w1[negative], s0[negative], s1[negative], growth)
        activity[negative], structure[negative] = shapley
    intensity = change - activity - structure
    return Parts(activity, structure, intensity)


def _shapley(
    w0: NDArray[np.float64],
    w1: NDArray[np.float64],
    s0: NDArray[np.float64],
    s1: NDArray[np.float64],
    growth: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return activity and structure of `w = Q·s·I` (Q from 1 to `growth`); without a share all of it is intensity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        i0, i1 = w0 / s0, w1 / (growth * s1)
    # An absent firm has the intensity of the period in which it was there.
    i0, i1 = np.where(s0 > 0, i0, i1), np.where(s1 > 0, i1, i0)
    known = np.isfinite(i0) & np.isfinite(i1) & ((s0 > 0) | (w0 == 0)) & ((s1 > 0) | (w1 == 0))
    i0, i1 = np.where(known, i0, 0.0), np.where(known, i1, 0.0)

    def of(
        x0: NDArray[np.float64],
        x1: NDArray[np.float64],
        y0: NDArray[np.float64],
        y1: NDArray[np.float64],
        z0: NDArray[np.float64],
        z1: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        return (x1 - x0) * (2 * y0 * z0 + 2 * y1 * z1 + y0 * z1 + y1 * z0) / 6

    q0, q1 = np.ones_like(w0), np.full_like(w0, growth)
    return of(q0, q1, s0, s1, i0, i1), of(s0, s1, q0, q1, i0, i1)
