"""What the functions that make values share. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alerts.fold import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from alerts.frame import Frame, Ledger


def tick_of(ledger: Ledger, at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the column whose end is the first at or after each instant; may lie outside."""
    found: NDArray[np.int64] = -(-(at_us // 1 - ledger.start_us) // ledger.step_us) - 1
    return found


def per_point(
    frame: Frame,
    rows: NDArray[np.int64],
    value: NDArray[np.float64],
    *,
    ledger: Ledger | None = None,
    span_us: int = 0,
    coverage: NDArray[np.float64] | None = None,
    detail: Callable[[int, int], Mapping[str, Any]] | None = None,
) -> Values:
    """Return values of points at the ends of the ledger's buckets."""
    t_us = (ledger or frame.ledger).ends_us
    ids = frame.points.point_id[rows]
    if detail is None:
        return Values(ids, t_us, value, span_us, coverage)
    return Values(ids, t_us, value, span_us, coverage, detail)
