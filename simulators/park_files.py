"""Park files: which firms of which profiles, how large, in which groups, and how they report."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from park.following import TargetSetting  # noqa: TC001  (msgspec resolves annotations)
from park.membership import GroupDefinition, MembershipDefinition  # noqa: TC001  (msgspec resolves annotations)
from simulators.business import PLAIN, DeflatorSpec, Reporting
from simulators.firms import Amount, Name, Section, Stop


class FirmSpec(Section, frozen=True, kw_only=True):
    """A firm of a park file: which profile, how large, and which of its points; by default all registers.

    Attributes:
        stops: planned stops beside those of its trade.
        memberships: chains, panels and dated zones; see `park.membership`.
        above_scale: whether it belongs to the panel of that name for ever.
        reporting: what is odd about its business reports.
    """

    code: Name
    name_zh: Name
    name_en: Name
    profile: Name
    scale: Amount = 1.0
    zones: tuple[str, ...] = ()
    points: tuple[str, ...] | Literal["all"] | None = None
    stops: tuple[Stop, ...] = ()
    memberships: tuple[MembershipDefinition, ...] = ()
    above_scale: bool = True
    reporting: Reporting = PLAIN


class ZoneSpec(Section, frozen=True, kw_only=True):
    """A part of the park."""

    code: Name
    name_zh: Name
    name_en: Name


class ParkSpec(Section, frozen=True, kw_only=True):
    """A park file."""

    code: Name
    name_zh: Name
    name_en: Name
    description: str = ""
    target_packs: tuple[str, ...] = ()
    target_settings: tuple[TargetSetting, ...] = ()
    zones: tuple[ZoneSpec, ...] = ()
    groups: tuple[GroupDefinition, ...] = ()
    deflators: tuple[DeflatorSpec, ...] = ()
    firms: Annotated[list[FirmSpec], msgspec.Meta(min_length=1)]
