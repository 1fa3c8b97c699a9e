"""What was read held against what is stored. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cli.bench.numbered import STRIDE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cli.bench.numbered import Poll


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of readings, where nothing else is said.

    Attributes:
        generated: that must be stored: all that an edge's buffer ever took.
        stored: rows found.
        lost: generated and not stored.
        doubled: rows beyond the first of the same reading.
        altered: rows whose value, or value at that time, nobody has read.
        in_doubt: polls that a kill met before the next one; those that the buffer took count as generated.
        conflicts, quarantined: readings kept aside, and messages held: neither may happen.
        given_up: batches that a full buffer gave up; the load is chosen so that none is.
    """

    generated: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    altered: int = 0
    in_doubt: int = 0
    conflicts: int = 0
    quarantined: int = 0
    given_up: int = 0

    @property
    def exact(self) -> bool:
        """Tell whether exactly what was generated is stored."""
        faults = (self.lost, self.doubled, self.altered, self.conflicts, self.quarantined, self.given_up)
        return not any(faults) and self.generated == self.stored

    def plus(self, other: Verdict) -> Verdict:
        """Return the sum."""
        return Verdict(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def minus(self, other: Verdict) -> Verdict:
        """Return the difference."""
        return Verdict(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


class Held(NamedTuple):
    """The stored rows of one point."""

    t_ms: NDArray[np.int64]
    value: NDArray[np.float64]


def judge(polls: Iterable[Poll], appended: int, held: Sequence[Held]) -> Verdict:
    """Judge one edge.

    Args:
        polls: its log.
        appended: how many batches its buffer has ever numbered: what settles the polls in doubt.
        held: the rows of each of its points, in the order of its device.
    """
    logged = list(polls)
    points = len(held)
    times = np.full(max((poll.number for poll in logged), default=-1) + 1, -1, np.int64)
    kept = np.zeros(len(times), bool)
    for poll in logged:
        times[poll.number] = poll.t_ms
        kept[poll.number] = poll.kept
    counts = np.zeros((points, len(times)), np.int64)
    altered = 0
    for k, rows in enumerate(held):
        number, rest = np.divmod(rows.value, STRIDE)
        known = (rest == k) & (number >= 0) & (number < len(times))
        index = np.where(known, number, 0).astype(np.int64)
        known &= times[index] == rows.t_ms if len(times) else False
        altered += int((~known).sum())
        counts[k] = np.bincount(index[known], minlength=len(times))
    present = (counts > 0).sum(axis=0)
    doubtful = (times >= 0) & ~kept
    # What is stored of a poll in doubt was taken by the buffer: then all of it must be there.
    must = kept | (doubtful & (present > 0))
    lost = int((points - present[must]).sum())
    # And the buffer may have taken polls of which nothing at all is stored.
    lost += max(appended - int(must.sum()), 0) * points
    return Verdict(
        generated=max(appended, int(must.sum())) * points,
        stored=sum(len(rows.value) for rows in held),
        lost=lost,
        doubled=int(np.maximum(counts - 1, 0).sum()),
        altered=altered,
        in_doubt=int(doubtful.sum()),
    )
