"""What a flow should be by what drives it: least squares over earlier hours, for many points at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Amounts = NDArray[np.float64]

_RIDGE: Final = 1e-6
_ROOM: Final = 0.03
"""A driver may always move by this share of its level."""
_FURTHEST: Final = 10.0
"""Leverage times the number of hours: 1 at the mean, 10 at three standard deviations of a driver."""
FIT_AT_ONCE: Final = 400
"""Rows of one step: the sums of more do not stay in a core's cache."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Shape (p, c), of the columns asked for; NaN: unknown.

    Attributes:
        residual: what was moved less what was expected.
        expected: what the drivers explain.
        error: standard error of the fit.
        level: mean flow of the hours that the fit rests on.
    """

    residual: Amounts
    expected: Amounts
    error: Amounts
    level: Amounts


def fit(
    y: Amounts,
    x: Amounts,
    known: NDArray[np.bool_],
    columns: NDArray[np.int64],
    *,
    least: int,
    lag: int,
    window: int,
) -> Fitted:
    """Fit each column on the first half, at least `least`, of the known hours from `window` to `lag` before it.

    Args:
        y: flows, shape (p, n).
        x: drivers, the first of them ones, shape (p, n, k).
        known: which hours may be used; what y and x hold in the others does not matter.
        columns: for which hours the expectation is wanted, shape (c,).
        least: hours that a fit needs.
        lag: hours before it that are left out.
        window: hours that a fit may reach back.
    """
    parts = [
        _fit(
            y[a : a + FIT_AT_ONCE],
            x[a : a + FIT_AT_ONCE],
            known[a : a + FIT_AT_ONCE],
            columns,
            least=least,
            lag=lag,
            window=window,
        )
        for a in range(0, len(y), FIT_AT_ONCE)
    ]
    if not parts:
        empty = np.zeros((0, len(columns)))
        return Fitted(empty, empty, empty, empty)
    return Fitted(
        np.concatenate([part.residual for part in parts]),
        np.concatenate([part.expected for part in parts]),
        np.concatenate([part.error for part in parts]),
        np.concatenate([part.level for part in parts]),
    )


def _fit(
    y: Amounts, x: Amounts, known: NDArray[np.bool_], columns: NDArray[np.int64], *, least: int, lag: int, window: int
) -> Fitted:
    p, n, k = x.shape
    yz, xz = np.where(known, y, 0.0), np.where(known[:, :, np.newaxis], x, 0.0)
    xx = _summed(np.einsum("pni,pnj->pnij", xz, xz))
    xy = _summed(xz * yz[:, :, np.newaxis])
    yy = _summed(yz**2)
    count = _summed(known.astype(np.int64))
    first = np.maximum(columns - window, 0)
    until = np.maximum(columns - lag + 1, first)
    available = count[:, until] - count[:, first]
    taken = np.maximum(least, available // 2)
    last = np.empty((p, len(columns)), np.int64)
    for row in range(p):
        last[row] = np.searchsorted(count[row], count[row, first] + taken[row])
    enough = (available >= least) & (last <= n)
    last = np.minimum(last, n)
    rows = np.arange(p)[:, np.newaxis]
    a, b, c = xx[rows, last] - xx[:, first], xy[rows, last] - xy[:, first], yy[rows, last] - yy[:, first]
    scale = np.sqrt(np.maximum(np.einsum("pcii->pci", a), 1e-30))
    scaled = a / (scale[..., :, np.newaxis] * scale[..., np.newaxis, :]) + _RIDGE * np.eye(k)
    weights = np.linalg.solve(scaled, (b / scale)[..., np.newaxis])[..., 0] / scale
    at = xz[:, columns]
    expected = np.einsum("pci,pci->pc", at, weights)
    left = np.maximum(c - np.einsum("pci,pci->pc", b, weights), 0.0)
    error = np.sqrt(left / np.maximum(taken - k, 1))
    # How far a driver lies from what the fit has seen, in variances, with room for a driver that hardly varied.
    size = np.maximum(taken, 1)[..., np.newaxis]
    roomy = scaled + _ROOM**2 * np.eye(k)
    unit = at / scale
    leverage = np.einsum("pci,pci->pc", unit, np.linalg.solve(roomy, unit[..., np.newaxis])[..., 0])
    inside = leverage * size[..., 0] <= _FURTHEST
    good = enough & inside & known[:, columns]
    level = _total(_summed(yz), rows, first, last) / size[..., 0]
    for out in (expected, error, level):
        out[~good] = np.nan
    return Fitted(yz[:, columns] - expected, expected, error, level)


def _total(total: Amounts, rows: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]) -> Amounts:
    """Return the sum of the flows that a fit rests on."""
    found: Amounts = total[rows, last] - total[:, first]
    return found


def _summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    head = np.zeros((len(values), 1, *values.shape[2:]), values.dtype)
    return np.concatenate([head, np.cumsum(values, axis=1)], axis=1)


def trailing_mean(values: Amounts, counts: NDArray[np.bool_], hours: int) -> Amounts:
    """Return at each column the mean of the last `hours` columns that count; NaN unless enough of them are known.

    Args:
        values: shape (p, n); NaN: unknown.
        counts: which columns count, shape (n,).
        hours: how many of them.
    """
    out = np.full(values.shape, np.nan)
    chosen = np.flatnonzero(counts)
    ever = np.logical_or.reduce(np.isfinite(values[:, chosen]), axis=0)
    # Before the first that is known there is nothing to average: residuals are made of the last days only.
    chosen = chosen[max(int(np.argmax(ever)) - hours, 0) :] if ever.any() else chosen[:0]
    if len(chosen) < hours:
        return out
    some = values[:, chosen]
    known = np.isfinite(some)
    total, number = _summed(np.where(known, some, 0.0)), _summed(known.astype(np.float64))
    mean = (total[:, hours:] - total[:, :-hours]) / np.maximum(number[:, hours:] - number[:, :-hours], 1)
    mean[number[:, hours:] - number[:, :-hours] < max(1, np.ceil(0.6 * hours))] = np.nan
    mean[~known[:, hours - 1 :]] = np.nan
    # Hours that lie far apart say nothing together.
    far = chosen[hours - 1 :] - chosen[: len(chosen) - hours + 1] > hours + 24
    mean[:, far] = np.nan
    out[:, chosen[hours - 1 :]] = mean
    return out
