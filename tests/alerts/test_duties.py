"""What is due by the clock: summaries, escalation, digests, word of channels that fail. The clock is the test's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from alerts.channels import open_channels
from alerts.delivery import Delivery
from alerts.duties import attend
from store import duty, recipients
from store.episodes import acknowledge
from store.outbox import fate
from store.pool import connected, open_pool

if TYPE_CHECKING:
    from .conftest import Receiver, World

pytestmark = pytest.mark.stack

NIGHT = datetime(2025, 11, 20, 15, 0, tzinfo=UTC)
"""23:00 in the park."""
MORNING = datetime(2025, 11, 20, 23, 0, tzinfo=UTC)
"""07:00 of the next day in the park."""
NOON = datetime(2025, 11, 20, 4, 0, tzinfo=UTC)


async def delivered(world: World, now: datetime) -> None:
    """Deliver all that is due at `now`, and return when nothing is due any more."""
    settings = replace(world.settings, deliver_every_s=0.02, send_timeout_s=2.0, backoff_s=60.0, backoff_max_s=60.0)
    channels, rung = open_channels(settings), asyncio.Event()
    async with open_pool(world.url, application="test", max_size=4) as pool:
        delivery = Delivery(pool, channels, settings, lambda: now, lambda: 1.0)
        task = asyncio.create_task(delivery.run(rung))
        due = "SELECT count(*) FROM outbox WHERE state = 'waiting' AND next_attempt <= $1"
        try:
            async with asyncio.timeout(15):
                quiet = 0
                while quiet < 3:  # a message that was just claimed is for a moment neither due nor under way
                    quiet = 0 if await world.connection.fetchval(due, now) or delivery._busy else quiet + 1
                    await asyncio.sleep(0.03)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for channel in channels.values():
                await channel.close()


async def due(world: World, now: datetime, **more: Any) -> bool:
    return await attend(world.connection, replace(world.settings, **more), now)


async def send(world: World, person: int, key: str, now: datetime, severity: str = "warning", **more: Any) -> None:
    episode = more.pop("episode", None) or await world.episode(more.pop("firm", "a"), severity)
    await world.send(person, key, episode=episode, at=now, ttl_s=86_400, **more)


# Quiet hours --------------------------------------------------------------------------------------------------------


async def test_the_night_is_quiet_and_the_morning_brings_one_summary(world: World, receiver: Receiver) -> None:
    """Warnings wait, a critical one wakes; at the end of the quiet hours one message tells of all, with their keys."""
    person = await world.recipient(receiver.url)
    await recipients.set_times(world.connection, person, quiet=(time(22), time(7)))
    first = await world.episode("a")
    await send(world, person, "w1-open", NIGHT, episode=first)
    await send(world, person, "w1-resolved", NIGHT, episode=first, event="resolved")
    await send(world, person, "w2-open", NIGHT)
    await send(world, person, "critical", NIGHT, severity="critical")
    await delivered(world, NIGHT)
    assert receiver.accepted == ["critical"]
    await due(world, MORNING - timedelta(minutes=1))
    await delivered(world, MORNING - timedelta(minutes=1))
    assert receiver.accepted == ["critical"]
    await due(world, MORNING)
    await delivered(world, MORNING)
    [_, (_, key, body)] = receiver.requests
    assert key.startswith("summary/")
    assert body["kind"] == "summary"
    assert sorted(body["keys"]) == ["w1-open", "w1-resolved", "w2-open"]
    assert [row[1] for row in body["sections"][0]["rows"]] == ["已恢复", "未恢复"]
    rows = await world.outbox()
    assert [row["state"] for row in rows] == ["summarised", "summarised", "summarised", "delivered", "delivered"]
    await due(world, MORNING + timedelta(hours=1))
    await delivered(world, MORNING + timedelta(hours=1))
    assert len(receiver.requests) == 2


async def test_a_single_message_of_the_night_comes_as_itself(world: World, receiver: Receiver) -> None:
    """One held message needs no summary."""
    person = await world.recipient(receiver.url)
    await recipients.set_times(world.connection, person, quiet=(time(22), time(7)))
    await send(world, person, "only", NIGHT)
    await delivered(world, NIGHT)
    assert receiver.accepted == []
    await due(world, MORNING)
    await delivered(world, MORNING)
    assert receiver.accepted == ["only"]


# Limits -------------------------------------------------------------------------------------------------------------


async def test_what_is_more_than_the_limit_comes_as_a_summary(world: World, receiver: Receiver) -> None:
    """Of forty in an hour three are sent, and a critical one beyond them; the rest is one message, nothing is lost."""
    person, other = await world.recipient(f"{receiver.url}/a"), await world.recipient(f"{receiver.url}/b")
    await recipients.set_times(world.connection, person, hourly_limit=3)
    for n in range(40):
        await send(world, person, f"m{n:02}", NOON)
    await send(world, person, "critical", NOON, severity="critical")
    await send(world, other, "other", NOON)
    await delivered(world, NOON)
    assert sorted(receiver.accepted) == ["critical", "m00", "m01", "m02", "other"]
    later = NOON + timedelta(minutes=15)
    await send(world, person, "late", NOON + timedelta(minutes=5))
    await delivered(world, NOON + timedelta(minutes=5))
    await due(world, later - timedelta(seconds=1))
    assert await world.connection.fetchval("SELECT count(*) FROM outbox WHERE kind = 'summary'") == 0
    await due(world, later)
    await delivered(world, later)
    [body] = [body for _, _, body in receiver.requests if body.get("kind") == "summary"]
    assert sorted(body["keys"]) == sorted([*(f"m{n:02}" for n in range(3, 40)), "late"])
    assert len(receiver.accepted) == len(set(receiver.accepted)) == 6
    assert {row["state"] for row in await world.outbox()} == {"delivered", "summarised"}


async def test_a_summary_that_expires_takes_along_what_it_was_to_tell(world: World, receiver: Receiver) -> None:
    """Nothing counts as told by a message that nobody got."""
    receiver.answer = lambda _path, key: (503 if key.startswith("summary") else 200, {})
    person = await world.recipient(receiver.url)
    await recipients.set_times(world.connection, person, quiet=(time(22), time(7)))
    for n in range(3):
        await send(world, person, f"m{n}", NIGHT)
    await delivered(world, NIGHT)
    await due(world, MORNING)
    await delivered(world, MORNING)
    await delivered(world, MORNING + timedelta(days=2))
    rows = await world.outbox()
    assert [row["state"] for row in rows] == ["expired"] * 4
    assert all(row["last_error"] for row in rows)


async def test_four_workers_make_one_summary(world: World, receiver: Receiver) -> None:
    """Side by side they neither repeat a summary nor an escalation nor a digest."""
    person = await world.recipient(receiver.url)
    await recipients.set_times(world.connection, person, quiet=(time(22), time(7)))
    await duty.subscribe(world.connection, person, "daily", time(7), 1)
    await world.connection.execute("UPDATE digest_subscription SET since = '2020-01-01'")
    episode = await world.episode("a", "major")
    for n in range(5):
        await send(world, person, f"m{n}", NIGHT, episode=episode, severity="major")
    await duty.add_step(world.connection, world.park_id, min_severity="major", after_s=60, recipient_id=person)
    await delivered(world, NIGHT)
    late = datetime.now(UTC).replace(hour=23, minute=30) + timedelta(days=1)

    async def worker() -> None:
        async with connected(world.url, application="test") as connection:
            await attend(connection, world.settings, late)

    await asyncio.gather(*(worker() for _ in range(4)))
    kinds = await world.connection.fetch("SELECT kind, count(*) AS n FROM outbox WHERE kind <> 'episode' GROUP BY kind")
    assert {row["kind"]: row["n"] for row in kinds} == {"summary": 1, "escalation": 1, "digest": 1}


# Escalation ---------------------------------------------------------------------------------------------------------


async def test_what_nobody_acknowledges_goes_up_the_ladder_step_by_step(world: World) -> None:
    """After the first step whoever is on duty hears, after the second the director; each once."""
    officer, first, director = [await world.recipient(f"http://127.0.0.1:9/{name}") for name in ("o", "f", "d")]
    await duty.set_rotation(
        world.connection,
        world.park_id,
        "night",
        valid_from=date(2025, 1, 1),
        handover=time(8),
        turn_days=7,
        members=[first],
    )
    await duty.add_step(world.connection, world.park_id, min_severity="major", after_s=900, calendar="night")
    await duty.add_step(world.connection, world.park_id, min_severity="major", after_s=3600, recipient_id=director)
    now = datetime.now(UTC)
    episode = await world.episode("a", "major")
    await send(world, officer, "open", now, episode=episode)
    await send(world, officer, "mild", now, severity="warning")

    async def escalated() -> list[int]:
        rows = await world.connection.fetch("SELECT recipient_id FROM outbox WHERE kind = 'escalation' ORDER BY 1")
        return [row["recipient_id"] for row in rows]

    await due(world, now + timedelta(minutes=14))
    assert await escalated() == []
    for minutes, expected in ((16, [first]), (17, [first]), (61, [first, director]), (200, [first, director])):
        await due(world, now + timedelta(minutes=minutes))
        assert await escalated() == expected
    row = next(row for row in await world.outbox() if row["kind"] == "escalation")
    assert "15 分钟内无人确认" in row["body"]["text"]
    assert "企业 open" in row["body"]["text"]
    assert row["body"]["link"] == f"https://park.example/episodes/{episode[0]}"
    assert await world.connection.fetchval("SELECT escalated_at FROM episode WHERE episode_id = $1", episode[0])


@pytest.mark.parametrize("how", ["acknowledged", "over", "snoozed", "untold"])
async def test_what_somebody_took_on_is_not_escalated(world: World, how: str) -> None:
    """Acknowledged, over, snoozed, or told to nobody in the first place: no step is taken."""
    person = await world.recipient("http://127.0.0.1:9/")
    await duty.add_step(world.connection, world.park_id, min_severity="info", after_s=60, recipient_id=person)
    now = datetime.now(UTC)
    episode = await world.episode("a", "major")
    if how != "untold":
        await send(world, person, "open", now, episode=episode)
    if how == "acknowledged":
        await acknowledge(world.connection, episode[0], "Wang", None, now)
    elif how == "over":
        await world.connection.execute("UPDATE episode SET state = 'resolved'")
    elif how == "snoozed":
        await world.connection.execute("UPDATE episode SET snoozed_until = $1", now + timedelta(days=1))
    await due(world, now + timedelta(hours=1))
    assert [row["kind"] for row in await world.outbox()] == (["episode"] if how != "untold" else [])


async def test_without_a_ladder_the_rules_own_wish_reaches_all_managers(world: World) -> None:
    """`escalate_after_s` of a rule counts where the park has no steps, and reaches no firm."""
    first, second = [await world.recipient(f"http://127.0.0.1:9/{name}") for name in ("1", "2")]
    await world.recipient("http://127.0.0.1:9/a", "a")
    now = datetime.now(UTC)
    episode = await world.episode("a", "major")
    await world.connection.execute("UPDATE episode SET escalate_after_s = 600")
    await send(world, first, "open", now, episode=episode)
    await due(world, now + timedelta(minutes=11))
    told = {row["recipient_id"] for row in await world.outbox() if row["kind"] == "escalation"}
    assert told == {first, second}


# Channels that fail -------------------------------------------------------------------------------------------------


async def test_a_channel_that_fails_is_told_to_the_others_once_and_so_is_that_it_works(
    world: World, receiver: Receiver
) -> None:
    """After five minutes the other managers hear of it, firms do not: one message, and one when it works again."""
    receiver.answer = lambda path, _key: (503 if path.startswith("/broken") else 200, {})
    broken = await world.recipient(f"{receiver.url}/broken?token=SECRET")
    await world.recipient(f"{receiver.url}/well")
    await world.recipient(f"{receiver.url}/firm", "a")
    await send(world, broken, "m", NOON)
    for minutes in (0, 2, 4, 6, 8):
        await delivered(world, NOON + timedelta(minutes=minutes))
        await due(world, NOON + timedelta(minutes=minutes))
    await delivered(world, NOON + timedelta(minutes=8))
    told = [(path, body) for path, _, body in receiver.requests if path != "/broken?token=SECRET"]
    [(path, body)] = told
    assert (path, body["kind"], body["event"]) == ("/well", "channel", "open")
    assert "HTTP 503" in body["text"]
    assert "SECRET" not in str(body)
    [failing] = await recipients.failing(world.connection, "p")
    assert failing.attempts == 5
    receiver.answer = lambda _path, _key: (200, {})
    for minutes in (10, 11, 12):
        await delivered(world, NOON + timedelta(minutes=minutes))
        await due(world, NOON + timedelta(minutes=minutes))
    told = [(path, body) for path, _, body in receiver.requests if path != "/broken?token=SECRET"]
    assert [(path, body["event"]) for path, body in told] == [("/well", "open"), ("/well", "resolved")]
    assert await recipients.failing(world.connection) == []


async def test_a_refused_message_is_told_at_once(world: World, receiver: Receiver) -> None:
    """What will not mend by itself does not wait for five minutes."""
    receiver.answer = lambda path, _key: (422 if path == "/broken" else 200, {})
    broken = await world.recipient(f"{receiver.url}/broken")
    await world.recipient(f"{receiver.url}/well")
    await send(world, broken, "m", NOON)
    await delivered(world, NOON)
    await due(world, NOON)
    await delivered(world, NOON)
    assert [path for path, _, _ in receiver.requests] == ["/broken", "/well"]
    refused = await fate(world.connection, (await world.outbox())[0]["outbox_id"])
    assert (refused.state, refused.attempts) == ("failed", 1)


# Digests ------------------------------------------------------------------------------------------------------------


async def test_a_digest_comes_once_and_a_firms_holds_nothing_of_another(world: World, receiver: Receiver) -> None:
    """Yesterday's episodes and indicators at 08:00 of the park, in the reader's language."""
    park = await world.recipient(f"{receiver.url}/park", locale="en")
    firm = await world.recipient(f"{receiver.url}/a", "a")
    for person in (park, firm):
        await duty.subscribe(world.connection, person, "daily", time(8), 1)
    await duty.subscribe(world.connection, park, "weekly", time(9), 5)
    await world.connection.execute("UPDATE digest_subscription SET since = '2020-01-01'")
    for owner in ("a", "b", "b"):
        await world.episode(owner, "major")
    await world.connection.execute(
        "UPDATE episode SET title_zh = '企业' || firm_id || '告警', title_en = 'firm ' || firm_id"
    )
    midnight = datetime(2025, 11, 19, 16, 0, tzinfo=UTC)
    for day, value in ((-1, 80.0), (0, 88.0)):
        await world.connection.execute(
            "INSERT INTO indicator_value (park_id, scope, scope_id, indicator_id, grain, period, value, unit, coverage,"
            " closed, lineage, run_id)"
            " VALUES ($1, 'park', $1, 'water_reuse_rate', 'day', $2, $3, '%', 0.97, true, '{}', 1)",
            world.park_id,
            midnight + timedelta(days=day),
            value,
        )
    await world.connection.execute(
        "INSERT INTO standing (park_id, scope, scope_id, pack_id, pack_version, target_id, as_of, state, sentence_zh,"
        " sentence_en, run_id) VALUES ($1, 'park', $1, 'p', 1, 't', now(), 'off', '偏离目标', 'off its target', 1)",
        world.park_id,
    )
    eight = datetime(2025, 11, 21, 0, 0, tzinfo=UTC)
    await due(world, eight - timedelta(seconds=1))
    assert await world.outbox() == []
    for minutes in (0, 1, 61, 120):
        await due(world, eight + timedelta(minutes=minutes))
    await delivered(world, eight + timedelta(hours=2))
    found = {(path, body["event"]): body for path, _, body in receiver.requests}
    assert sorted(found) == [("/a", "daily"), ("/park", "daily"), ("/park", "weekly")]
    of_park, of_firm, weekly = found["/park", "daily"], found["/a", "daily"], found["/park", "weekly"]
    assert of_park["title"] == "[daily digest] The Park, 2025-11-20"
    assert "Alerts: 3 new (0 in the period before)" in of_park["text"]
    assert "off its target" in of_park["text"]
    assert "88 %" in of_park["text"]
    assert "+10.0 %" in of_park["text"]
    assert weekly["title"] == "[weekly industry meeting] The Park, 2025-11-14 – 11-20"
    mine, other = world.firms["a"], world.firms["b"]
    assert f"企业{mine}告警" in of_firm["text"]
    assert "新增 1 条" in of_firm["text"]
    assert f"企业{other}" not in str(of_firm)
    assert "off its target" not in str(of_firm)
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in of_park["text"])
