"""Episodes in a real database."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alerts import rules
from alerts.evaluate import Memory, evaluate
from store.episodes import acknowledge, list_episodes
from store.errors import EpisodeStateError, UnknownNameError
from store.pool import connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .conftest import World

pytestmark = pytest.mark.stack

T0 = datetime.fromisoformat("2025-11-20T08:00:00+00:00")
QUARTER = timedelta(minutes=15)
RULE = """
[[rule]]
id = "reuse"
kind = "indicator_threshold"
indicator = "water_reuse_rate"
severity = "warning"
open = {{ below = 88 }}
clear = {{ above = 90 }}
hold_open_s = {hold_open_s}
hold_clear_s = {hold_clear_s}
title_zh = "{{firm}}：低于 {{limit}} %"
title_en = "{{firm}}: below {{limit}} %"
{more}
"""
WINDOW = """
[[rule]]
id = "collapse"
kind = "indicator_window"
indicator = "water_reuse_rate"
window_s = 20
every_s = 5
severity = "major"
open = { below = 88 }
clear = { above = 90 }
hold_open_s = 5
hold_clear_s = 5
title_zh = "{firm}：骤降"
title_en = "{firm}: collapse"
"""


def reuse(hold_open_s: float = 0, hold_clear_s: float = 0, more: str = "") -> tuple[rules.Rule, ...]:
    return rules.parse(RULE.format(hold_open_s=hold_open_s, hold_clear_s=hold_clear_s, more=more), "test.toml")


async def series(world: World, firm: str, values: Sequence[float | None]) -> datetime:
    for k, value in enumerate(values):
        await world.indicator(firm, k, value, coverage=1.0 if value is not None else 0.0)
    return T0 + len(values) * QUARTER


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([95, 89, 95], []),
        ([95, 87], ["pending"]),
        ([95, 87, 87], ["open"]),
        ([95, 87, 89, 87], ["pending"]),
        ([87, 87, 89, 91], ["open"]),
        ([87, 87, 91, 89, 91], ["open"]),
        ([87, 87, 91, 91], ["resolved"]),
        ([87, 87, None, None], ["open"]),
        ([None, None, None], []),
    ],
)
async def test_limits_and_holds_both_ways(world: World, values: list[float | None], expected: list[str]) -> None:
    """A quarter hour must be followed by a second before the episode opens, or clears; between the limits it stays."""
    await world.rules(reuse(900, 900))
    now = await series(world, "a", values)
    await world.evaluate(now)
    assert [state for _, state in await world.states()] == expected


async def test_looking_again_changes_nothing(world: World) -> None:
    """The same numbers evaluated ten times, by fresh and by old processes, give the same transitions and messages."""
    await world.rules(reuse())
    await world.recipient("http://127.0.0.1:9/")
    now = await series(world, "a", [87, 95, 87, 95, 70])
    await world.evaluate(now)
    before = [tuple(r) for r in await world.connection.fetch("SELECT * FROM episode_transition ORDER BY 1")]
    memory = Memory()
    for k in range(10):
        done = await world.evaluate(now, memory if k % 2 else None, sweep=k % 3 == 0)
        assert done.transitions == []
    assert before == [tuple(r) for r in await world.connection.fetch("SELECT * FROM episode_transition ORDER BY 1")]
    assert [state for _, state in await world.states()] == ["resolved", "resolved", "open"]
    assert len(await world.outbox()) == 5


async def test_a_condition_that_did_not_hold_leaves_no_trace(world: World) -> None:
    """An episode that was pending and never opened is gone with its transitions."""
    await world.rules(reuse(900))
    await world.evaluate(await series(world, "a", [95, 87]))
    assert [state for _, state in await world.states()] == ["pending"]
    await world.evaluate(await series(world, "a", [95, 87, 95]))
    assert await world.states() == []
    assert await world.connection.fetchval("SELECT count(*) FROM episode_transition") == 0


async def test_four_workers_make_the_same_episodes_as_one(world: World) -> None:
    """Four workers over growing data, three times over and out of step, some killed midway: one episode per cause."""
    await world.rules(reuse(900, 900))
    await world.recipient("http://127.0.0.1:9/")
    values = {"a": [95, 87, 80, 87, 91, 92, 95], "b": [87, 87, 95, 95, 60, 60, 60]}
    for firm, of_firm in values.items():
        await series(world, firm, of_firm)
    settings = replace(world.settings, catch_up_s=20_000)
    ends = [T0 + k * QUARTER for k in range(1, 8)] * 3
    chance = random.Random(7)

    async def work() -> None:
        async with connected(world.url) as connection:
            memory = Memory()
            for now in chance.sample(ends, len(ends)):
                await evaluate(connection, settings, memory, now)

    async def killed(after_s: float) -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(after_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await asyncio.gather(work(), work(), work(), work(), *(killed(0.05 * k) for k in range(1, 5)))
    cause_a, cause_b = (f"reuse/firm/{world.firms[firm]}" for firm in "ab")
    assert await world.states() == [(cause_b, "resolved"), (cause_a, "resolved"), (cause_b, "open")]
    rows = await world.connection.fetch(
        "SELECT e.cause_key, t.to_state, t.at FROM episode_transition t JOIN episode e USING (episode_id)"
        " ORDER BY e.cause_key, transition_id"
    )
    quarter = {T0 + k * QUARTER: k for k in range(1, 8)}
    assert [(r["cause_key"], r["to_state"], quarter[r["at"]]) for r in rows] == [
        (cause_a, "pending", 2),
        (cause_a, "open", 3),
        (cause_a, "resolved", 6),
        (cause_b, "pending", 1),
        (cause_b, "open", 2),
        (cause_b, "resolved", 4),
        (cause_b, "pending", 5),
        (cause_b, "open", 6),
    ]
    keys = [row["dedupe_key"] for row in await world.outbox()]
    assert len(keys) == len(set(keys)) == 5


async def test_a_revision_that_disproves_an_episode_retracts_it(world: World) -> None:
    """Corrected numbers take an open episode back and tell who was told; the same for a resolved one, once."""
    await world.rules(reuse(900))
    await world.recipient("http://127.0.0.1:9/", locale="en")
    now = await series(world, "a", [87, 87])
    await series(world, "b", [87, 87, 95])
    await world.evaluate(now + QUARTER)
    assert [state for _, state in await world.states()] == ["open", "resolved"]
    for firm in "ab":
        await world.indicator(firm, 1, 96)
    for _ in range(3):
        await world.evaluate(now + QUARTER)
    assert [state for _, state in await world.states()] == ["retracted", "retracted"]
    events = [row["body"]["event"] for row in await world.outbox()]
    assert sorted(events) == ["open", "open", "resolved", "retracted", "retracted"]
    assert "never was" in (await world.outbox())[-1]["body"]["text"]


async def test_a_revision_that_leaves_the_condition_retracts_nothing(world: World) -> None:
    """A corrected number that still meets the condition, or is unknown now, leaves the episode."""
    await world.rules(reuse(900))
    now = await series(world, "a", [87, 87])
    await world.evaluate(now)
    await world.indicator("a", 1, 80)
    await world.evaluate(now)
    await world.indicator("a", 1, None, coverage=0.1)
    await world.evaluate(now)
    assert [state for _, state in await world.states()] == ["open"]


async def test_a_running_period_opens_early_and_recovers_without_being_retracted(world: World) -> None:
    """A provisional number opens; when the same period recovers the episode is resolved, not retracted."""
    await world.rules(reuse(more="running_after_s = 60"))
    await world.indicator("a", 0, 50, closed=False)
    await world.readings("a", "loop", [(T0 + timedelta(seconds=30), 1.0)])
    await world.evaluate(T0 + timedelta(seconds=31))
    assert await world.states() == []
    await world.readings("a", "loop", [(T0 + timedelta(seconds=90), 1.0)])
    await world.evaluate(T0 + timedelta(seconds=91))
    (episode,) = await list_episodes(world.connection)
    assert (episode.state, episode.opened, episode.confirmed) == ("open", T0 + timedelta(seconds=90), False)
    await world.indicator("a", 0, 95, closed=False)
    await world.readings("a", "loop", [(T0 + timedelta(seconds=300), 1.0)])
    for _ in range(2):
        await world.evaluate(T0 + timedelta(seconds=301))
    await world.indicator("a", 0, 96, closed=True)
    await world.evaluate(T0 + QUARTER)
    assert [state for _, state in await world.states()] == ["resolved"]


async def test_a_provisional_episode_that_its_final_number_confirmed_can_be_retracted(world: World) -> None:
    """Once the ended period bore it out, a later revision disproves it."""
    await world.rules(reuse(more="running_after_s = 60"))
    await world.indicator("a", 0, 50, closed=False)
    await world.readings("a", "loop", [(T0 + timedelta(seconds=90), 1.0)])
    await world.evaluate(T0 + timedelta(seconds=91))
    await world.indicator("a", 0, 50, closed=True)
    await world.evaluate(T0 + QUARTER)
    assert (await list_episodes(world.connection))[0].confirmed
    await world.indicator("a", 0, 97, closed=True)
    await world.evaluate(T0 + QUARTER)
    assert [state for _, state in await world.states()] == ["retracted"]


async def test_the_park_has_episodes_of_its_own(world: World) -> None:
    """A rule of the park's scope is held against the park's row."""
    await world.rules(reuse(more='scope = "park"'))
    await world.indicator(None, 0, 50)
    await world.indicator("a", 0, 50)
    await world.evaluate(T0 + QUARTER)
    assert await world.states() == [(f"reuse/park/{world.park_id}", "open")]


async def pump(world: World, firm: str, seconds: range, *, stops: float | None) -> None:
    """10 m³ an hour of fresh water, 190 recirculated until the pump stops; the meters are polled a second apart."""
    fresh = [(T0 + timedelta(seconds=s), 5000 + s * 10 / 3600) for s in seconds]
    loop = [
        (T0 + timedelta(seconds=s + 1), 900_000 + min(s + 1, 1e9 if stops is None else stops) * 190 / 3600)
        for s in seconds
    ]
    await world.readings(firm, "fresh", fresh)
    await world.readings(firm, "loop", loop)


async def test_a_stopped_pump_is_noticed_in_seconds(world: World) -> None:
    """Window and hold of a demo: live, the episode is open within 30 s of the fault; the other firm has none."""
    await world.rules(rules.parse(WINDOW, "test.toml"))
    memory = Memory()
    opened = None
    for s in range(0, 200, 5):
        for firm in "ab":
            await pump(world, firm, range(s, s + 5, 5), stops=100 if firm == "a" else None)
        done = await world.evaluate(T0 + timedelta(seconds=s + 1), memory, sweep=s % 30 == 0)
        if done.told and opened is None:
            opened = s
    assert opened is not None
    assert 110 <= opened <= 130
    (episode,) = await list_episodes(world.connection)
    assert (episode.firm_id, episode.state) == (world.firms["a"], "open")
    assert episode.evidence["opened"]["denominator"] > 0


async def test_a_window_rule_gives_the_same_whenever_it_is_asked(world: World) -> None:
    """Evaluated once afterwards, the readings give the very transitions that they gave live."""
    await world.rules(rules.parse(WINDOW, "test.toml"))
    memory = Memory()
    for s in range(0, 120, 5):
        await pump(world, "a", range(s, s + 5, 5), stops=50)
        await world.evaluate(T0 + timedelta(seconds=s + 1), memory, sweep=False)
    query = "SELECT to_state, at FROM episode_transition ORDER BY transition_id"
    live = [tuple(row) for row in await world.connection.fetch(query)]
    assert [state for state, _ in live] == ["pending", "open"]
    await world.connection.execute("TRUNCATE episode CASCADE")
    await world.evaluate(T0 + timedelta(seconds=120))
    assert [tuple(row) for row in await world.connection.fetch(query)] == live


async def test_four_workers_on_readings_make_the_same_episodes_as_one(world: World) -> None:
    """The rules that read readings too: four workers out of step, three times over, agree with one in order."""
    await world.rules(rules.parse(WINDOW, "test.toml"))
    for firm, (first, last) in {"a": (50, 100), "b": (80, 120)}.items():
        for s in range(0, 200, 5):
            stood_s = min(max(s - first, 0), last - first)
            await world.readings(firm, "fresh", [(T0 + timedelta(seconds=s), 5000 + s * 10 / 3600)])
            await world.readings(firm, "loop", [(T0 + timedelta(seconds=s), 9000 + (s - stood_s) * 190 / 3600)])
    query = """SELECT cause_key, to_state, at FROM episode_transition JOIN episode USING (episode_id)
        ORDER BY cause_key, transition_id"""
    instants = [T0 + timedelta(seconds=s) for s in range(0, 210, 10)]
    memory = Memory()
    for k, now in enumerate(instants):
        await world.evaluate(now, memory, sweep=k % 4 == 0)
    alone = [tuple(row) for row in await world.connection.fetch(query)]
    assert [state for _, state, _ in alone] == ["pending", "open", "resolved"] * 2
    await world.connection.execute("TRUNCATE episode CASCADE")
    chance = random.Random(3)

    async def work() -> None:
        async with connected(world.url) as connection:
            own = Memory()
            for k, now in enumerate(chance.sample(instants * 3, len(instants) * 3)):
                await evaluate(connection, world.settings, own, now, sweep=k % 4 == 0)

    await asyncio.gather(*(work() for _ in range(4)))
    assert [tuple(row) for row in await world.connection.fetch(query)] == alone


async def test_a_worker_does_not_go_on_with_what_it_has_not_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An episode begun meanwhile by a worker that was behind: time that we had passed over does not count as held."""
    await world.rules(rules.parse(WINDOW.replace("hold_open_s = 5", "hold_open_s = 100"), "test.toml"))
    cause = f"collapse/firm/{world.firms['a']}"
    for s in range(0, 300, 5):
        stood_s = min(max(s - 50, 0), 50) + max(s - 200, 0)
        await world.readings("a", "fresh", [(T0 + timedelta(seconds=s), 5000 + s * 10 / 3600)])
        await world.readings("a", "loop", [(T0 + timedelta(seconds=s), 9000 + (s - stood_s) * 190 / 3600)])
    await world.evaluate(T0 + timedelta(seconds=80))
    assert await world.states() == [(cause, "pending")]
    memory = Memory({cause: T0 + timedelta(seconds=215)})
    with monkeypatch.context() as patched:
        patched.setattr("store.episodes.newest_of_causes", _none_yet)
        done = await world.evaluate(T0 + timedelta(seconds=230), memory, sweep=False)
        assert done.transitions == []
    await world.evaluate(T0 + timedelta(seconds=230), memory, sweep=False)
    (row,) = await world.connection.fetch("SELECT state, began FROM episode")
    assert (row["state"], row["began"] > T0 + timedelta(seconds=200)) == ("pending", True)


async def _none_yet(*_: object) -> dict[str, object]:
    return {}


async def test_missing_readings_are_not_a_stopped_pump(world: World) -> None:
    """A meter that sends nothing leaves the ratio unknown: no episode."""
    await world.rules(rules.parse(WINDOW, "test.toml"))
    await pump(world, "a", range(0, 100, 5), stops=None)
    await world.readings("a", "fresh", [(T0 + timedelta(seconds=s), 5000 + s * 10 / 3600) for s in range(100, 200, 5)])
    await world.evaluate(T0 + timedelta(seconds=200))
    assert await world.states() == []


async def test_a_corrected_multiplier_retracts_what_it_caused(world: World) -> None:
    """A flow that was too high only because a multiplier was wrong: the review on the readings takes it back."""
    await world.rules(
        rules.parse(
            """
[[rule]]
id = "flow"
kind = "rate"
where = { carriers = ["fresh_water"] }
window_s = 10
every_s = 5
severity = "warning"
open = { above = 400 }
clear = { below = 300 }
title_zh = "{subject}"
title_en = "{subject} above {limit}"
""",
            "test.toml",
        )
    )
    await world.connection.execute("UPDATE installation SET multiplier = 50")
    await world.readings("a", "fresh", [(T0 + timedelta(seconds=s), 100 + s * 10 / 3600) for s in range(0, 65, 5)])
    await world.evaluate(T0 + timedelta(seconds=61))
    (episode,) = await list_episodes(world.connection)
    assert (episode.scope, episode.state, episode.title_en) == ("point", "open", "Firm a · Meter fresh above 400")
    assert episode.evidence["opened"]["value"] == pytest.approx(500)
    await world.connection.execute("UPDATE installation SET multiplier = 1")
    await world.evaluate(T0 + timedelta(seconds=61))
    assert [state for _, state in await world.states()] == ["retracted"]


async def test_silence_is_measured_on_the_edges_clock(world: World) -> None:
    """A point is silent when its online edge has told much newer things; not when the whole edge is behind or off."""
    await world.rules(
        rules.parse(
            """
[[rule]]
id = "silent"
kind = "silence"
severity = "warning"
open = { above = 10 }
clear = { below = 2 }
title_zh = "{subject}"
title_en = "{subject}"
""",
            "test.toml",
        )
    )
    minute = timedelta(minutes=1)
    for firm in "ab":
        for point in ("fresh", "loop"):
            await world.readings(firm, point, [(T0 - 90 * minute + k * minute, 1.0) for k in range(90)])
    await world.marks("a", "b", since=T0 - 2 * QUARTER)
    await world.evaluate(T0 + timedelta(hours=3))
    assert await world.states() == []
    # From now on one point of a tells nothing, and the whole edge of b.
    await world.readings("a", "loop", [(T0 + k * minute, 2.0) for k in range(120)])
    await world.marks("a", "b", since=T0)
    await world.evaluate(T0 + timedelta(hours=3))
    cause = f"silent/point/{world.points['a', 'fresh']}"
    assert await world.states() == [(cause, "open")]
    await world.readings("a", "fresh", [(T0 + timedelta(minutes=119), 2.0)])
    await world.readings("a", "loop", [(T0 + k * minute, 2.0) for k in range(120, 125)])
    await world.marks("a", since=T0 + timedelta(minutes=105))
    await world.evaluate(T0 + timedelta(hours=3))
    assert await world.states() == [(cause, "resolved")]


async def test_a_changed_rule_is_a_new_version(world: World) -> None:
    """Old versions stay, the same file adds none, a rule that was taken out ends and so do its episodes."""
    await world.indicator("a", 0, 50)
    assert await world.rules(reuse()) == 1
    assert await world.rules(reuse(), T0 + timedelta(seconds=1)) == 0
    await world.evaluate(T0 + QUARTER)
    assert await world.rules(reuse(60), T0 + timedelta(seconds=2)) == 1
    rows = await world.connection.fetch("SELECT version, body, valid_to FROM rule ORDER BY version")
    assert [row["body"].get("hold_open_s", 0) for row in rows] == [0, 60]
    assert rows[0]["valid_to"] == T0 + timedelta(seconds=2)
    await world.evaluate(T0 + QUARTER)
    assert [state for _, state in await world.states()] == ["open"]
    assert await world.rules((), T0 + timedelta(seconds=3)) == 0
    await world.evaluate(T0 + QUARTER)
    assert [state for _, state in await world.states()] == ["resolved"]


async def test_an_unreadable_rule_stops_no_other(world: World) -> None:
    """A rule of a newer program is passed over, and its episodes stay."""
    await world.rules(reuse())
    await world.indicator("a", 0, 50)
    await world.evaluate(T0 + QUARTER)
    await world.rules(reuse(), T0)
    await world.connection.execute(
        "INSERT INTO rule (rule_id, version, body) VALUES ('future', 1, '{\"kind\": \"oracle\"}')"
    )
    await world.connection.execute("UPDATE episode SET rule_id = 'future', cause_key = 'future/firm/1'")
    await world.marks("a", since=T0)
    await world.evaluate(T0 + QUARTER)
    assert await world.states() == [("future/firm/1", "open"), (f"reuse/firm/{world.firms['a']}", "open")]


async def test_acknowledging(world: World) -> None:
    """An open episode is acknowledged once, stays one episode, clears as before; others refuse with the reason."""
    await world.rules(reuse())
    now = await series(world, "a", [50])
    await world.evaluate(now)
    (episode,) = await list_episodes(world.connection, park="p", firm="a")
    assert await acknowledge(world.connection, episode.episode_id, "Li", "on my way", now)
    assert not await acknowledge(world.connection, episode.episode_id, "Wang", None, now)
    await world.evaluate(await series(world, "a", [50, 50, 95]))
    assert [state for _, state in await world.states()] == ["resolved"]
    rows = await world.connection.fetch("SELECT to_state, by, note FROM episode_transition ORDER BY transition_id")
    assert [tuple(row) for row in rows][2] == ("acknowledged", "Li", "on my way")
    with pytest.raises(EpisodeStateError, match="resolved"):
        await acknowledge(world.connection, episode.episode_id, "Li", None, now)
    with pytest.raises(UnknownNameError):
        await acknowledge(world.connection, 10**9, "Li", None, now)
    assert await list_episodes(world.connection) == []


async def test_each_hears_only_of_what_concerns_them_in_their_language(world: World) -> None:
    """The park's manager hears of both firms, each firm of itself, and nobody of less than they asked for."""
    park = await world.recipient("http://127.0.0.1:9/park", locale="en")
    a = await world.recipient("http://127.0.0.1:9/a", "a")
    b = await world.recipient("http://127.0.0.1:9/b", "b")
    await world.recipient("http://127.0.0.1:9/quiet", min_severity="major")
    await world.rules(reuse())
    await series(world, "a", [50])
    await world.evaluate(await series(world, "b", [60]))
    rows = await world.outbox()
    assert sorted((row["recipient_id"], row["firm_id"]) for row in rows) == sorted(
        [(park, world.firms["a"]), (park, world.firms["b"]), (a, world.firms["a"]), (b, world.firms["b"])]
    )
    body = next(row["body"] for row in rows if row["recipient_id"] == a)
    assert body["firm"] == {"code": "a", "name": "企业a"}
    assert body["title"] == "企业a：低于 88 %"
    assert (body["value"], body["limit"], body["unit"], body["coverage"]) == (50, 88, "%", 1.0)
    assert body["began"] == "2025-11-20T16:15:00+08:00"
    assert body["link"] == f"https://park.example/episodes/{body['episode_id']}"
    english = next(row["body"] for row in rows if row["recipient_id"] == park)
    assert "Firm" in english["text"]
    assert "The Park" in english["text"]


async def test_a_transition_and_its_messages_come_together(world: World) -> None:
    """When the message cannot be written, the transition is not either: the next worker does both."""
    await world.rules(reuse())
    await world.recipient("http://127.0.0.1:9/")
    now = await series(world, "a", [50])
    await world.connection.execute("ALTER TABLE outbox ADD CONSTRAINT broken CHECK (false)")
    with pytest.raises(Exception, match="broken"):
        await world.evaluate(now)
    assert await world.states() == []
    await world.connection.execute("ALTER TABLE outbox DROP CONSTRAINT broken")
    await world.evaluate(now)
    assert len(await world.outbox()) == 1
