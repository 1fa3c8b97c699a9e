"""What a person decides about the ledger: how much counts of what was held, or in a range of buckets.

A decision never touches a reading. It is applied after everything else, so that what was computed stays visible
beside it, and the difference is an adjustment with a name, an author and a reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003  (dataclass fields are read at run time)
from typing import TYPE_CHECKING

import numpy as np

from park.calendar import BUCKET_S, BUCKET_US, to_us
from park.registers import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from park.buckets import Buckets


@dataclass(frozen=True, slots=True)
class Edit:
    """One decision that holds.

    Attributes:
        kind: `accept`, `reject` or `replace` what was held in one bucket, or `manual` for a range.
        t_from, t_to: buckets `[t_from, t_to)`.
        held: what was held when it was decided, in the point's unit; None for manual.
        quantity: what counts instead, in the point's unit, over the whole range.
    """

    edit_id: int
    kind: str
    version: int
    t_from: datetime
    t_to: datetime
    held: float | None
    quantity: float
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Adjustment:
    """By how much one decision changes what these buckets count, in the point's unit."""

    edit_id: int
    kind: str
    quantity: float
    buckets: int


def edited(found: Buckets, edits: Sequence[Edit]) -> tuple[Buckets, tuple[Adjustment, ...]]:
    """Apply decisions in the order in which they were made; a later one wins.

    A decision about a held quantity holds for that quantity: if new readings change it, it is held again. A manual
    quantity is spread evenly over its range, and is estimated: nobody measured it.

    Returns:
        The buckets, and what each decision that had an effect changed here.
    """
    adjustments = []
    for edit in sorted(edits, key=lambda edit: edit.edit_id):
        start_us, end_us = to_us(edit.t_from), to_us(edit.t_to)
        inside = (found.start_us >= start_us) & (found.start_us < end_us)
        if edit.kind != "manual":
            inside &= np.isclose(found.held, edit.held or 0.0, rtol=1e-9, atol=1e-9) & (found.held > 0)
        n = int(inside.sum())
        if n == 0:
            continue
        before = _counted(found)[inside].sum()
        found = _manual(found, edit, inside) if edit.kind == "manual" else _decided(found, edit, inside)
        adjustments.append(Adjustment(edit.edit_id, edit.kind, float(_counted(found)[inside].sum() - before), n))
    return found, tuple(adjustments)


def _counted(found: Buckets) -> np.ndarray:
    return np.nan_to_num(found.measured) + np.nan_to_num(found.estimated)


def _decided(found: Buckets, edit: Edit, inside: np.ndarray) -> Buckets:
    estimated, estimated_s = found.estimated, found.estimated_s
    if edit.kind != "reject":
        estimated = np.where(inside, np.nan_to_num(estimated) + edit.quantity, estimated)
        estimated_s = np.where(inside, BUCKET_S - found.measured_s, estimated_s)
    return replace(
        found,
        estimated=estimated,
        estimated_s=estimated_s,
        held=np.where(inside, 0.0, found.held),
        flags=np.where(inside, found.flags | np.int16(Step.EDITED), found.flags),
    )


def _manual(found: Buckets, edit: Edit, inside: np.ndarray) -> Buckets:
    share = edit.quantity / ((to_us(edit.t_to) - to_us(edit.t_from)) // BUCKET_US)
    return replace(
        found,
        measured=np.where(inside, np.nan, found.measured),
        estimated=np.where(inside, share, found.estimated),
        measured_s=np.where(inside, 0.0, found.measured_s),
        estimated_s=np.where(inside, float(BUCKET_S), found.estimated_s),
        held=np.where(inside, 0.0, found.held),
        flags=np.where(inside, found.flags | np.int16(Step.EDITED), found.flags),
    )
