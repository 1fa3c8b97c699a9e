"""Who is told: listed, removed, and remembered as far as messages name them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from park.definition import FirmDefinition, ParkDefinition
from store import outbox, recipients
from store.errors import UnknownNameError
from store.pool import connected
from store.registry import apply_definition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.stack

NOW = datetime(2025, 11, 20, tzinfo=UTC)
EPISODE = """
    INSERT INTO episode (park_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began, title_zh,
                         title_en, evidence, seen)
    VALUES ($1, 'r', 1, 'c', 'park', $1, 'open', 'major', now(), 't', 't', '{}', now()) RETURNING episode_id
"""
TRANSITION = """
    INSERT INTO episode_transition (episode_id, park_id, to_state, at, by) VALUES ($1, $2, 'open', now(), 'engine')
    RETURNING transition_id
"""


@pytest.fixture
async def park(database_url: str) -> AsyncIterator[tuple[Any, int]]:
    """A connection, and the id of a park with one firm."""
    firm = FirmDefinition(code="a", name_zh="a", name_en="a", industry="test", points=[])
    async with connected(database_url) as connection:
        done = await apply_definition(connection, ParkDefinition(code="p", name_zh="园", name_en="Park", firms=[firm]))
        yield connection, done.park_id


async def add(connection: Any, park_id: int, address: str) -> int:
    return await recipients.add_recipient(
        connection, park_id=park_id, firm_id=None, name="managers", channel="webhook", address=address
    )


async def test_a_removed_recipient_is_told_nothing_more(park) -> None:
    """Gone from who is told and from the list; its address is forgotten, and the same address may be added anew."""
    connection, park_id = park
    first = await add(connection, park_id, "http://x/secret")
    other = await add(connection, park_id, "http://y/")
    assert await recipients.remove_recipient(connection, first) == 0
    assert [row.recipient_id for row in await recipients.recipients(connection, park_id)] == [other]
    assert [(row.recipient_id, row.park) for row in await recipients.list_recipients(connection, "p")] == [(other, "p")]
    assert "secret" not in str(await connection.fetch("SELECT * FROM recipient"))
    assert await add(connection, park_id, "http://x/secret") not in {first, other}
    with pytest.raises(UnknownNameError, match="greenpark recipient list"):
        await recipients.remove_recipient(connection, first)


async def test_messages_on_their_way_to_a_removed_recipient_are_given_up_and_kept(park) -> None:
    """What waits is not sent any more; what was delivered stays on record."""
    connection, park_id = park
    episode_id = await connection.fetchval(EPISODE, park_id)
    transition_id = await connection.fetchval(TRANSITION, episode_id, park_id)
    recipient_id = await add(connection, park_id, "http://x/")
    for key in ("delivered", "waiting"):
        await outbox.enqueue(
            connection,
            episode_id=episode_id,
            transition_id=transition_id,
            recipient_id=recipient_id,
            dedupe_key=key,
            body={},
            due=NOW,
            expires=NOW + timedelta(days=1),
        )
    [first] = await outbox.claim(connection, NOW, limit=1, lease_s=1)
    await outbox.mark_delivered(connection, first.outbox_id, NOW)
    assert await recipients.remove_recipient(connection, recipient_id) == 1
    rows = await connection.fetch("SELECT dedupe_key, state FROM outbox ORDER BY outbox_id")
    assert [tuple(row) for row in rows] == [("delivered", "delivered"), ("waiting", "expired")]
    assert await outbox.claim(connection, NOW + timedelta(hours=1), limit=9, lease_s=1) == []


async def test_people_have_a_limit_from_the_start_and_machines_do_not(park) -> None:
    """Thirty an hour for who reads, as good as none for a webhook; changing the name keeps what was set."""
    connection, park_id = park
    hook = await add(connection, park_id, "http://x/")
    mail = await recipients.add_recipient(
        connection, park_id=park_id, firm_id=None, name="m", channel="email", address="m@park.example"
    )
    limits = {one.recipient_id: one.hourly_limit for one in await recipients.list_recipients(connection)}
    assert limits == {hook: 100_000, mail: 30}
    await recipients.set_times(connection, hook, hourly_limit=5)
    assert await add(connection, park_id, "http://x/") == hook
    assert (await recipients.recipient(connection, hook)).hourly_limit == 5
