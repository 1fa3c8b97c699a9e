"""Which firms belong together: zones, industries, chains, panels, all dated and many-to-many; and sums over them.

A firm in two zones counts in both, and once in the park. Who belongs to a group is settled on the first day of each
month (of a shorter period: on its own first day), because a month is the shortest period that business is reported
for. A firm that joins or leaves during a year counts with the months in which it belongs, both sides of a ratio alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from park.errors import DataFileError
from park.ratios import LeftOut, Ratio, park_ratio
from park.reasons import Undefined

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from park.definition import FirmDefinition, ParkDefinition
    from park.indicators import Indicator


class GroupKind(StrEnum):
    """What sort of group. Stored as the scope of its numbers: never rename."""

    ZONE = "zone"
    INDUSTRY = "industry"
    CHAIN = "chain"
    PANEL = "panel"


BEGINNING: Final = date.min
END: Final = date.max
PANELS: Final[dict[str, tuple[str, str]]] = {
    "above_scale": ("规模以上工业企业", "industry above designated size"),
    "key_energy_user": ("重点用能单位", "key energy users"),
}
"""Panels that every park has; a firm's flags of these names put it there."""


class GroupDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A chain, a panel, or an industry that is to have a name; zones are listed as zones."""

    kind: GroupKind
    code: str
    name_zh: str
    name_en: str


class MembershipDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A firm belongs to a group for `[valid_from, valid_to)`.

    A dated industry replaces the firm's `industry` in roll-ups, a dated panel its flag of the same name.
    """

    kind: GroupKind
    code: str
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def begin(self) -> date:
        """Return the first day."""
        return self.valid_from or BEGINNING

    @property
    def end(self) -> date:
        """Return the day after the last."""
        return self.valid_to or END


@dataclass(frozen=True, slots=True)
class Group:
    """One group by its number in the database."""

    kind: GroupKind
    group_id: int


@dataclass(frozen=True, slots=True)
class Membership:
    """A firm belongs to a group for `[valid_from, valid_to)`."""

    firm_id: int
    group: Group
    valid_from: date = BEGINNING
    valid_to: date = END

    def holds(self, day: date) -> bool:
        """Tell whether the firm belongs to it on this day."""
        return self.valid_from <= day < self.valid_to


def memberships_of(firm: FirmDefinition) -> list[MembershipDefinition]:
    """Return all memberships of a firm of a checked document, those of its plain fields included."""
    dated = {(m.kind, m.code) for m in firm.memberships}
    found = list(firm.memberships)
    found += [_plain(GroupKind.ZONE, code) for code in firm.zones]
    if not any(kind is GroupKind.INDUSTRY for kind, _ in dated):
        found.append(_plain(GroupKind.INDUSTRY, firm.industry))
    for code, holds in (("above_scale", firm.above_scale), ("key_energy_user", firm.key_energy_user)):
        if holds and (GroupKind.PANEL, code) not in dated:
            found.append(_plain(GroupKind.PANEL, code))
    return found


def _plain(kind: GroupKind, code: str) -> MembershipDefinition:
    return MembershipDefinition(kind=kind, code=code)


def groups_of(definition: ParkDefinition) -> list[GroupDefinition]:
    """Return the industries, chains and panels of a checked document; an unnamed industry is called by its code."""
    found = {(group.kind, group.code): group for group in definition.groups}
    for code, (name_zh, name_en) in PANELS.items():
        panel = GroupDefinition(kind=GroupKind.PANEL, code=code, name_zh=name_zh, name_en=name_en)
        found.setdefault((GroupKind.PANEL, code), panel)
    for firm in definition.firms:
        for member in memberships_of(firm):
            if member.kind is GroupKind.INDUSTRY:
                name = GroupDefinition(kind=member.kind, code=member.code, name_zh=member.code, name_en=member.code)
                found.setdefault((member.kind, member.code), name)
    return list(found.values())


def check_memberships(definition: ParkDefinition, file: str) -> None:
    """Raise `DataFileError` unless every membership names a group of this park, and none overlaps itself."""
    seen = set[tuple[GroupKind, str]]()
    for g, group in enumerate(definition.groups):
        if group.kind is GroupKind.ZONE:
            raise DataFileError(file, f"groups[{g}].kind", "zones are listed under zones")
        if (group.kind, group.code) in seen:
            raise DataFileError(file, f"groups[{g}].code", f"{group.kind} {group.code!r} is named twice")
        seen.add((group.kind, group.code))
    known = {
        GroupKind.ZONE: {zone.code for zone in definition.zones},
        GroupKind.CHAIN: {code for kind, code in seen if kind is GroupKind.CHAIN},
        GroupKind.PANEL: {code for kind, code in seen if kind is GroupKind.PANEL} | set(PANELS),
    }
    for f, firm in enumerate(definition.firms):
        for m, member in enumerate(firm.memberships):
            at = f"firms[{f}].memberships[{m}]"
            codes = known.get(member.kind)
            if codes is not None and member.code not in codes:
                have = ", ".join(sorted(codes)) or "none"
                raise DataFileError(file, f"{at}.code", f"no {member.kind} {member.code!r} in this park; it has {have}")
            if not member.code:
                raise DataFileError(file, f"{at}.code", "a code is needed")
            if member.begin >= member.end:
                raise DataFileError(file, f"{at}.valid_to", "it ends before it begins")
        _check_overlaps(file, f"firms[{f}]", memberships_of(firm))


def _check_overlaps(file: str, at: str, members: Sequence[MembershipDefinition]) -> None:
    ordered = sorted(members, key=lambda m: (m.kind, m.code, m.begin))
    for before, after in pairwise(ordered):
        if (before.kind, before.code) == (after.kind, after.code) and after.begin < before.end:
            raise DataFileError(
                file, f"{at}.memberships", f"{after.kind} {after.code!r} is given twice for {after.begin}"
            )


def groups(memberships: Iterable[Membership]) -> list[Group]:
    """Return the groups that have ever had a member, in order."""
    return sorted({m.group for m in memberships}, key=lambda group: (group.kind, group.group_id))


def belonging(memberships: Iterable[Membership], group: Group, days: Sequence[date]) -> dict[int, tuple[date, ...]]:
    """Return the firms of a group, each with those of `days` on which it belongs; firms with none are left out.

    A firm is listed once, however many stretches make up its membership.
    """
    found: dict[int, set[date]] = {}
    for member in memberships:
        if member.group == group:
            on = {day for day in days if member.holds(day)}
            if on:
                found.setdefault(member.firm_id, set()).update(on)
    return {firm_id: tuple(sorted(found[firm_id])) for firm_id in sorted(found)}


def group_ratio(
    indicator: Indicator,
    group_id: int,
    whole: Mapping[int, Ratio],
    parts: Mapping[int, Sequence[Ratio]],
    *,
    excluded: Collection[int] = (),
) -> Ratio:
    """Return a group's value as the ratio of its members' sums.

    The database adds the same where there are many (`store/sql/memberships.sql`); a test holds the two together.

    Args:
        indicator: of all the ratios.
        group_id: becomes the subject of the result.
        whole: firm to its value, of firms that belong for the whole period.
        parts: firm to its monthly values in the months in which it belongs, of the others.
        excluded: firms that belong into no industrial sum.
    """
    members = [whole[firm_id] for firm_id in sorted(whole)]
    members += [summed(indicator, firm_id, parts[firm_id]) for firm_id in sorted(parts)]
    return park_ratio(indicator, members, excluded=excluded, subject_id=group_id)


def summed(indicator: Indicator, firm_id: int, months: Sequence[Ratio]) -> Ratio:
    """Return a firm's ratio over some months: the sums of both sides. What one month lacks, the sum lacks.

    Raises:
        ValueError: there are no months.
    """
    if not months:
        msg = f"no months of firm {firm_id} to add"
        raise ValueError(msg)
    lacking = next((month for month in months if month.reason is not None), None)
    products = {month.product for month in months} - {None}
    reason = None if lacking is None else lacking.reason
    if reason is None and len(products) > 1:
        reason = Undefined.UNLIKE_PRODUCTS
    above, below = [m.numerator for m in months], [m.denominator for m in months]
    first = months[0]
    return replace(
        first,
        subject_id=firm_id,
        numerator=_sum(above),
        denominator=_sum(below) if indicator.denominator else None,
        reason=reason,
        coverage=min(month.coverage for month in months),
        estimated_share=max(month.estimated_share for month in months),
        factors=tuple({f.id: f for month in months for f in month.factors}.values()),
        points=tuple(sorted({point for month in months for point in month.points})),
        ignored=tuple(sorted({point for month in months for point in month.ignored})),
        left_out=tuple(LeftOut(left.subject_id, left.reason) for month in months for left in month.left_out),
        detail="" if lacking is None else lacking.detail,
    )


def _sum(amounts: Iterable[float | None]) -> float | None:
    known = list(amounts)
    return None if any(amount is None for amount in known) else math.fsum(a for a in known if a is not None)
