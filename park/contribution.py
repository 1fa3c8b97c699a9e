"""Who moved a park's number between two periods: each firm's effect, and the effects add up to the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from park import lmdi

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Member:
    """A firm's sums in the two periods.

    Attributes:
        n0, n1: numerators; None: unknown, which is not zero.
        d0, d1: denominators; of an indicator without one, not looked at.
        new: nothing of the firm is known before the second period: it entered, its first sums are true zeros.
        gone: the firm closed: its last sums are true zeros.
    """

    firm_id: int
    n0: float | None
    n1: float | None
    d0: float | None = None
    d1: float | None = None
    new: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one firm did to the park's number; structure and intensity are None where there is no denominator."""

    firm_id: int
    value_from: float | None
    value_to: float | None
    effect: float
    structure: float | None
    intensity: float | None
    came: Literal["entered", "left"] | None


@dataclass(frozen=True, slots=True)
class Change:
    """The park's change over the firms that are known in both periods, and who could not be counted."""

    value_from: float
    value_to: float
    contributions: tuple[Contribution, ...]
    unknown: tuple[int, ...]


def change(members: Sequence[Member], *, scale: float, divides: bool) -> Change | None:
    """Return who moved the park's value, largest effect first; None where one of the periods has no value.

    A ratio of sums is split by LMDI-I (`park.lmdi`); of a plain sum each firm's effect is its own difference.
    """
    known: list[tuple[Member, tuple[float, float, float, float]]] = []
    unknown: list[int] = []
    for member in members:
        sums = _sums(member, divides=divides)
        if sums is None:
            unknown.append(member.firm_id)
        else:
            known.append((member, sums))
    if not known:
        return None
    n0, n1, d0, d1 = np.array([sums for _, sums in known]).T
    if not divides:
        structure = intensity = None
        effect = scale * (n1 - n0)
        totals = (scale * float(n0.sum()), scale * float(n1.sum()))
    else:
        if min(d0.sum(), d1.sum()) <= 0 or min(d0.min(), d1.min()) < 0:
            return None
        parts = lmdi.intensity_change(n0, n1, d0, d1)
        structure, intensity, effect = scale * parts.structure, scale * parts.intensity, scale * parts.effect
        totals = (scale * float(n0.sum() / d0.sum()), scale * float(n1.sum() / d1.sum()))
    found = [
        Contribution(
            firm_id=member.firm_id,
            value_from=_value(sums[0], sums[2], scale, divides=divides),
            value_to=_value(sums[1], sums[3], scale, divides=divides),
            effect=float(effect[i]),
            structure=None if structure is None else float(structure[i]),
            intensity=None if intensity is None else float(intensity[i]),
            came="entered" if member.new else "left" if member.gone else None,
        )
        for i, (member, sums) in enumerate(known)
    ]
    found.sort(key=lambda one: (-abs(one.effect), one.firm_id))
    return Change(*totals, tuple(found), tuple(unknown))


def _sums(member: Member, *, divides: bool) -> tuple[float, float, float, float] | None:
    before = (0.0, 0.0) if member.new else (member.n0, member.d0 if divides else 0.0)
    after = (0.0, 0.0) if member.gone else (member.n1, member.d1 if divides else 0.0)
    n0, d0, n1, d1 = *before, *after
    if n0 is None or n1 is None or d0 is None or d1 is None:
        return None
    return n0, n1, d0, d1


def _value(numerator: float, denominator: float, scale: float, *, divides: bool) -> float | None:
    if not divides:
        return scale * numerator
    return None if denominator <= 0 else scale * numerator / denominator
