"""Groups of firms in the database: they follow the park document, and their numbers follow them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from park.definition import load_definition
from park.membership import GroupKind
from store.memberships import groups, mark_groups, memberships, take_groups
from store.pool import connected
from store.registry import apply_definition

pytestmark = pytest.mark.stack

DOCUMENT = """
code: p
name_zh: 园
name_en: Park
zones: [{code: east, name_zh: 东, name_en: East}, {code: west, name_zh: 西, name_en: West}]
groups: [{kind: chain, code: cars, name_zh: 汽车产业链, name_en: Cars}]
firms:
- code: f01
  name_zh: 一
  name_en: One
  industry: C36
  zones: [east, west]
  products: [{code: car, name_zh: 车, name_en: Car, unit: piece, source: reported}]
- code: f02
  name_zh: 二
  name_en: Two
  industry: C13
  above_scale: false
  memberships:
  - {kind: chain, code: cars, valid_from: 2025-01-01}
  - {kind: panel, code: above_scale, valid_from: 2026-04-01}
"""


async def belong(connection, park_id: int) -> set[tuple[str, str, str, date, date]]:
    names = {(g.kind, g.group_id): g.code for g in await groups(connection, park_id)}
    firms = {row["firm_id"]: row["code"] for row in await connection.fetch("SELECT firm_id, code FROM firm")}
    return {
        (firms[m.firm_id], m.group.kind.value, names[m.group.kind, m.group.group_id], m.valid_from, m.valid_to)
        for m in await memberships(connection, park_id)
    }


async def test_memberships_follow_the_document_and_back(database_url: str) -> None:
    """Zones, industries, chains and panels are what the document says, dated as it says, also after it changed."""
    async with connected(database_url) as connection:
        park_id = (await apply_definition(connection, load_definition(DOCUMENT, "p.yaml"))).park_id
        ever = (date.min, date.max)
        assert await belong(connection, park_id) == {
            ("f01", "zone", "east", *ever),
            ("f01", "zone", "west", *ever),
            ("f01", "industry", "C36", *ever),
            ("f01", "panel", "above_scale", *ever),
            ("f02", "industry", "C13", *ever),
            ("f02", "chain", "cars", date(2025, 1, 1), date.max),
            ("f02", "panel", "above_scale", date(2026, 4, 1), date.max),
        }
        await apply_definition(connection, load_definition(DOCUMENT.replace("[east, west]", "[west]"), "p.yaml"))
        assert ("f01", "zone", "east", *ever) not in await belong(connection, park_id)
        assert ("f01", "zone", "west", *ever) in await belong(connection, park_id)


async def test_groups_have_names_in_both_languages(database_url: str) -> None:
    """A named chain keeps its names; the panels that every park has are there."""
    async with connected(database_url) as connection:
        park_id = (await apply_definition(connection, load_definition(DOCUMENT, "p.yaml"))).park_id
        found = {(g.kind, g.code): (g.name_zh, g.name_en) for g in await groups(connection, park_id)}
    assert found[GroupKind.CHAIN, "cars"] == ("汽车产业链", "Cars")
    assert found[GroupKind.PANEL, "above_scale"][0] == "规模以上工业企业"


async def test_only_a_change_has_numbers_computed_again(database_url: str) -> None:
    """Applying the same document marks nothing; a changed membership marks every period that has a firm's number."""
    async with connected(database_url) as connection:
        definition = load_definition(DOCUMENT, "p.yaml")
        park_id = (await apply_definition(connection, definition)).park_id
        await connection.execute("DELETE FROM dirty_group")
        firm_id = await connection.fetchval("SELECT firm_id FROM firm WHERE code = 'f01'")
        await connection.execute(
            """INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, unit,
                                            coverage, closed, lineage, run_id)
               VALUES ($1, $2, 'firm', $2, 'x', 'month', '2026-02-28 16:00Z', '%', 1, true, '{}', 1)""",
            park_id,
            firm_id,
        )
        await apply_definition(connection, definition)
        assert await connection.fetchval("SELECT count(*) FROM dirty_group") == 0
        await apply_definition(connection, load_definition(DOCUMENT.replace("[east, west]", "[west]"), "p.yaml"))
        assert await connection.fetchval("SELECT count(*) FROM dirty_group WHERE grain = 'month'") == 1
        assert await connection.fetchval("SELECT count(*) FROM dirty_firm") == 0
        await apply_definition(connection, load_definition(DOCUMENT.replace("unit: piece", "unit: t"), "p.yaml"))
        assert await connection.fetchval("SELECT count(*) FROM dirty_firm WHERE firm_id = $1", firm_id) == 1


async def test_what_waits_longest_is_taken_first_and_nothing_starves(database_url: str) -> None:
    """A running day that is marked again and again does not keep the year waiting."""
    async with connected(database_url) as connection:
        park_id = (await apply_definition(connection, load_definition(DOCUMENT, "p.yaml"))).park_id
        year, month, day = (datetime(2026, m, d, tzinfo=UTC) for m, d in ((1, 1), (5, 1), (5, 20)))
        await mark_groups(connection, park_id, [("day", day), ("month", month), ("year", year)])
        await connection.execute("UPDATE dirty_group SET marked = marked - interval '5 minutes'")
        taken = await take_groups(connection, park_id, 2)
        assert set(taken) == {("year", year), ("month", month)}
        await mark_groups(connection, park_id, [("month", month), ("year", year)])
        assert await take_groups(connection, park_id, 1) == [("day", day)]
        assert len(await take_groups(connection, park_id, 9)) == 2
        assert await take_groups(connection, park_id, 9) == []


async def test_parks_that_were_there_before_get_their_groups(empty_database_url: str) -> None:
    """The migration makes industries and panels of the firms and flags that a park has already."""
    from store.migrations import migrate  # noqa: PLC0415

    await migrate(empty_database_url, target=1)
    async with connected(empty_database_url) as connection:
        await connection.execute(
            """INSERT INTO park (code, name_zh, name_en) VALUES ('old', '旧', 'Old');
               INSERT INTO firm (park_id, code, name_zh, name_en, industry)
               VALUES (1, 'a', '甲', 'A', 'C36'), (1, 'b', '乙', 'B', 'C36');
               INSERT INTO firm_flag (firm_id, flag) VALUES (1, 'above_scale')"""
        )
    await migrate(empty_database_url, target=2)
    async with connected(empty_database_url) as connection:
        found = {(m.group.kind.value, m.firm_id) for m in await memberships(connection, 1)}
    assert found == {("industry", 1), ("industry", 2), ("panel", 1)}
