"""Typed access to groups of firms: what a park document says about them, who belongs when, and what of theirs waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from park.membership import (
    PANELS,
    Group,
    GroupKind,
    Membership,
    MembershipDefinition,
    groups_of,
    memberships_of,
)
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from park.definition import FirmDefinition, ParkDefinition
    from store.pool import Connection

_Row = tuple[Any, date, date]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group with its names."""

    kind: GroupKind
    group_id: int
    code: str
    name_zh: str
    name_en: str


async def apply_memberships(
    connection: Connection,
    park_id: int,
    zones: Mapping[str, int],
    firm_ids: Mapping[str, int],
    definition: ParkDefinition,
) -> None:
    """Bring groups, memberships and products to what the document says, in the caller's transaction.

    Firms that the document leaves out keep theirs. Where something changed, the groups' numbers are computed again for
    every period that has any.
    """
    sql = queries("memberships")
    groups: dict[tuple[GroupKind, str], int] = {(GroupKind.ZONE, code): zone for code, zone in zones.items()}
    for group in groups_of(definition):
        groups[group.kind, group.code] = await connection.fetchval(
            sql["upsert_group"], park_id, group.kind.value, group.code, group.name_zh, group.name_en
        )
    changed = False
    for firm in definition.firms:
        firm_id = firm_ids[firm.code]
        changed |= await _apply_members(connection, firm_id, groups, memberships_of(firm))
        await _apply_products(connection, firm_id, firm)
    if changed:
        await connection.execute(sql["mark_all"], park_id)


async def _apply_members(
    connection: Connection,
    firm_id: int,
    groups: Mapping[tuple[GroupKind, str], int],
    wanted: Sequence[MembershipDefinition],
) -> bool:
    zone = [(groups[m.kind, m.code], m.begin, m.end) for m in wanted if m.kind is GroupKind.ZONE]
    flag = [(m.code, m.begin, m.end) for m in wanted if m.kind is GroupKind.PANEL]
    rest = [(groups[m.kind, m.code], m.begin, m.end) for m in wanted if m.kind in {GroupKind.INDUSTRY, GroupKind.CHAIN}]
    flags = sorted(set(PANELS) | {code for kind, code in groups if kind is GroupKind.PANEL})
    # One after the other: it is one connection.
    done = [
        await _replace(connection, firm_id, "zone_members", "zone_member", zone),
        await _replace(connection, firm_id, "group_members", "group_member", rest),
        await _replace(connection, firm_id, "flags", "flag", flag, flags),
    ]
    return any(done)


async def _replace(
    connection: Connection, firm_id: int, read: str, row: str, wanted: Sequence[_Row], *among: object
) -> bool:
    """Make some memberships of a firm what they should be; return whether they were not."""
    sql = queries("memberships")
    have = [(r["id"], r["valid_from"], r["valid_to"]) for r in await connection.fetch(sql[read], firm_id, *among)]
    if sorted(have) == sorted(wanted):
        return False
    await connection.execute(sql[f"delete_{row}s"], firm_id, *among)
    await connection.executemany(sql[f"insert_{row}"], [(firm_id, *one) for one in wanted])
    return True


async def _apply_products(connection: Connection, firm_id: int, firm: FirmDefinition) -> None:
    sql = queries("memberships")
    have = [tuple(row) for row in await connection.fetch(sql["products"], firm_id)]
    wanted = sorted((p.code, p.name_zh, p.name_en, p.unit, p.source.value) for p in firm.products)
    if sorted(have) == wanted:
        return
    await connection.execute(sql["delete_products"], firm_id)
    await connection.executemany(sql["insert_product"], [(firm_id, *one) for one in wanted])
    await connection.execute(sql["mark_firm"], firm_id)


async def memberships(connection: Connection, park_id: int) -> list[Membership]:
    """Return every membership of a park."""
    return [
        Membership(row["firm_id"], Group(GroupKind(row["kind"]), row["group_id"]), row["valid_from"], row["valid_to"])
        for row in await connection.fetch(queries("memberships")["memberships"], park_id)
    ]


async def groups(connection: Connection, park_id: int) -> list[GroupRow]:
    """Return the groups of a park with their names."""
    return [
        GroupRow(GroupKind(row["kind"]), row["group_id"], row["code"], row["name_zh"], row["name_en"])
        for row in await connection.fetch(queries("memberships")["groups"], park_id)
    ]


async def mark_groups(connection: Connection, park_id: int, touched: Sequence[tuple[str, datetime]]) -> None:
    """Have the numbers of a park's groups computed again in some periods."""
    if touched:
        grains, periods = zip(*touched, strict=True)
        await connection.execute(queries("memberships")["mark"], park_id, list(grains), list(periods))


async def waiting_groups(connection: Connection) -> list[tuple[int, str]]:
    """Return parks `(id, time zone)` whose groups wait."""
    return [tuple(row) for row in await connection.fetch(queries("memberships")["waiting"])]


async def lock_groups(connection: Connection, park_id: int) -> bool:
    """Try to become the one worker of a park's groups until the transaction ends."""
    return bool(await connection.fetchval(queries("memberships")["lock"], park_id))


async def take_groups(connection: Connection, park_id: int, limit: int) -> list[tuple[str, datetime]]:
    """Take what waits for a park's groups: grains and periods, those longest waiting, at most so many."""
    return [tuple(row) for row in await connection.fetch(queries("memberships")["take"], park_id, limit)]


@dataclass(frozen=True, slots=True)
class Part:
    """A firm in a group for a period, and one of the parts that its value is made of; see the query `sums`."""

    group: Group
    firm_id: int
    period: tuple[str, datetime]
    part: tuple[str, datetime]
    parts: int


@dataclass(frozen=True, slots=True)
class UnitSource:
    """A point of a unit that stands under no other point of it."""

    unit_id: int
    firm_id: int
    point_id: int
    carrier: str
    direction: str
    unit: str
    product: str | None
    role: str


async def group_sums(connection: Connection, park_id: int, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Return the sums over groups of each indicator and period, as `store.indicators.park_sums` does for the park."""
    columns: list[list[Any]] = [[] for _ in range(8)]
    for one in parts:
        row = (one.group.kind.value, one.group.group_id, one.firm_id, *one.period, *one.part, one.parts)
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    found = []
    for record in await connection.fetch(queries("memberships")["sums"], park_id, *columns):
        fields = dict(record)
        fields["bases"] = sorted({basis for text in fields["bases"] or () for basis in text.split("\n")})
        found.append(fields)
    return found


async def defined_groups(
    connection: Connection, park_id: int, periods: Sequence[tuple[str, datetime]]
) -> list[dict[str, Any]]:
    """Return which values of groups stand in some periods and are defined."""
    grains, starts = [grain for grain, _ in periods], [start for _, start in periods]
    return [dict(row) for row in await connection.fetch(queries("memberships")["defined"], park_id, grains, starts)]


async def unit_sources(connection: Connection, park_id: int) -> list[UnitSource]:
    """Return the points of a park's units."""
    return [UnitSource(**dict(row)) for row in await connection.fetch(queries("memberships")["unit_sources"], park_id)]
