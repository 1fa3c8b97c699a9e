"""Who hears of an episode, in the database: areas of duty, calendars, firms, and what the tables refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest

from alerts import rules
from alerts.engine import State, Transition, finish, step
from alerts.message import cause_key
from alerts.routing import Matter, is_news, recipients_of, topics_of
from alerts.rules import Severity
from alerts.telling import tell
from store import duty, episodes, outbox, recipients
from store.recipients import AreaRow, RecipientRow
from store.samples import Subject
from store.tenants import add_tenant

from .conftest import T0
from .test_message import worst

if TYPE_CHECKING:
    from alerts.rules import Rule

    from .conftest import World

stack = pytest.mark.stack

RULE = msgspec.structs.replace(
    next(rule for rule in rules.load() if rule.id == "water_reuse_low"),
    hold_open_s=0.0,
    hold_clear_s=0.0,
    max_gap_s=3600.0,
)
SILENT = msgspec.structs.replace(
    next(rule for rule in rules.load() if isinstance(rule, rules.Silence)),
    hold_open_s=0.0,
    hold_clear_s=0.0,
    max_gap_s=3600.0,
)


def subject(world: World, firm: str | None = "a", point: str | None = None) -> Subject:
    firm_id = None if firm is None else world.firms[firm]
    scope = "park" if firm is None else "firm" if point is None else "point"
    scope_id = {
        "park": world.park_id,
        "firm": firm_id,
        "point": world.points.get((firm or "", point or "")),
    }[scope]
    assert scope_id is not None
    names = (firm, f"企业{firm}", f"Firm {firm}") if firm else (None, None, None)
    points = (point, f"表{point}", f"Meter {point}") if point else (None, None, None)
    return Subject(scope, scope_id, world.park_id, firm_id, "Asia/Shanghai", "p", "园区", "The Park", *names, *points)


async def told(world: World, about: Subject, rule: Rule = RULE, *, upto: State = State.OPEN) -> dict[str, list[str]]:
    """Open an episode (and take it on to `upto`), and return who was told of each state, by name."""
    transitions: list[Transition] = list(step(rule, None, worst(rule)).transitions)
    opened = next(t for t in transitions if t.to_state is State.OPEN)
    ended = next(t for t in transitions if t.to_state is State.RESOLVED)
    retracted = finish(ended.after, State.RETRACTED, ended.at, "disproved")
    taken = {State.OPEN: [opened], State.RESOLVED: [opened, ended], State.RETRACTED: [opened, ended, retracted]}[upto]
    number = await world.connection.fetchval("SELECT count(*) FROM episode")
    new = episodes.NewEpisode(
        about.park_id,
        about.firm_id,
        rule.id,
        1,
        f"{cause_key(rule, about)}/{number}",
        about.scope,
        about.scope_id,
        rule.severity.value,
        "题",
        "Title",
    )
    after = opened.after
    state = episodes.EpisodeState(
        "open", after.began, after.opened, None, dict(after.evidence), after.seen, 0, False, True
    )
    episode_id = await episodes.insert_episode(world.connection, new, state)
    for transition in taken:
        transition_id = await episodes.add_transition(
            world.connection, episode_id, transition.from_state, transition.to_state, transition.at, by="engine"
        )
        await tell(
            world.connection,
            world.settings,
            rule,
            about,
            transition,
            episode_id=episode_id,
            transition_id=transition_id,
            now=T0,
        )
    rows = await world.connection.fetch(
        "SELECT o.body->>'event' AS event, r.name FROM outbox o JOIN recipient r USING (recipient_id)"
        " WHERE o.episode_id = $1 ORDER BY o.outbox_id",
        episode_id,
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["event"], []).append(row["name"])
    return {event: sorted(names) for event, names in found.items()}


async def person(world: World, name: str, firm: str | None = None, **more: Any) -> int:
    return await recipients.add_recipient(
        world.connection,
        park_id=world.park_id,
        firm_id=None if firm is None else world.firms[firm],
        name=name,
        channel="webhook",
        address=f"http://127.0.0.1/{name}",
        **more,
    )


# Areas of duty ------------------------------------------------------------------------------------------------------


@stack
async def test_managers_hear_by_carrier_topic_and_zone_and_firms_of_themselves(world: World) -> None:
    """Water goes to who is there for water, in their zone; another zone's and another topic's manager hear nothing."""
    for code in ("east", "west"):
        await world.connection.execute(
            "INSERT INTO zone (park_id, code, name_zh, name_en) VALUES ($1, $2, $2, $2)", world.park_id, code
        )
    await world.connection.execute(
        "INSERT INTO firm_zone (firm_id, zone_id) SELECT $1, zone_id FROM zone WHERE code = 'east'", world.firms["a"]
    )
    await world.connection.execute(
        "INSERT INTO firm_zone (firm_id, zone_id, valid_to) SELECT $1, zone_id, '2020-01-01' FROM zone"
        " WHERE code = 'west'",
        world.firms["a"],
    )
    for name, area in (
        ("water", {"topic": "water"}),
        ("fresh water", {"carrier": "recirculated_water"}),
        ("east water", {"topic": "water", "zone": "east"}),
        ("west water", {"topic": "water", "zone": "west"}),
        ("energy", {"topic": "energy"}),
        ("firm b", {"firm": "b"}),
        ("data", {"topic": "data"}),
    ):
        await recipients.add_area(world.connection, await person(world, name), **area)
    await person(world, "all")
    await person(world, "people of a", "a")
    await person(world, "people of b", "b")
    heard = await told(world, subject(world))
    assert heard == {"open": ["all", "east water", "fresh water", "people of a", "water"]}
    silent = await told(world, subject(world, "a", "fresh"), SILENT)
    assert silent == {"open": ["all", "data", "people of a"]}


@stack
async def test_an_alert_that_no_area_covers_falls_to_all_managers(world: World) -> None:
    """A gap between two areas must not swallow an alert, and firms do not fill it."""
    await recipients.add_area(world.connection, await person(world, "energy"), topic="energy")
    await recipients.add_area(world.connection, await person(world, "emissions"), topic="emissions")
    await person(world, "people of b", "b")
    assert await told(world, subject(world)) == {"open": ["emissions", "energy"]}


@stack
async def test_who_is_told_on_duty_only_hears_in_their_turn(world: World) -> None:
    """The calendar decides for those; others hear always; without anybody on duty all of them hear."""
    first, second = await person(world, "first"), await person(world, "second")
    for recipient_id in (first, second):
        await recipients.set_times(world.connection, recipient_id, on_call_only=True)
    assert await told(world, subject(world)) == {"open": ["first", "second"]}
    await duty.set_rotation(
        world.connection,
        world.park_id,
        "night",
        valid_from=T0.date() - timedelta(days=1),
        handover=time(8),
        turn_days=1,
        members=[first, second],
    )
    assert await told(world, subject(world)) == {"open": ["second"]}
    await duty.add_stand_in(
        world.connection,
        world.park_id,
        "night",
        starts=T0 - timedelta(hours=1),
        ends=T0 + timedelta(hours=1),
        recipient_id=first,
    )
    assert await told(world, subject(world)) == {"open": ["first"]}
    await recipients.remove_recipient(world.connection, first)
    assert await told(world, subject(world)) == {"open": ["second"]}


@stack
async def test_the_end_goes_to_whoever_was_told_the_beginning(world: World) -> None:
    """Who came later hears nothing of it, who has left neither, and nobody hears of the end alone."""
    early, leaving = await person(world, "early"), await person(world, "leaving")
    transitions = await told(world, subject(world), upto=State.RETRACTED)
    assert transitions == {name: ["early", "leaving"] for name in ("open", "resolved", "retracted")}
    await recipients.remove_recipient(world.connection, leaving)
    await recipients.set_times(world.connection, early, on_call_only=True)
    await person(world, "late")
    again = await told(world, subject(world), upto=State.RESOLVED)
    assert again == {"open": ["late"], "resolved": ["late"]}


@stack
async def test_the_message_carries_a_chart_of_what_it_is_about(world: World) -> None:
    """The indicator's newest values, in the body of every message of an opening."""
    await person(world, "manager")
    for k in range(-4, 3):
        await world.indicator("a", k, 90.0 - k if k != -2 else None)
    await told(world, subject(world))
    [row] = await world.outbox()
    assert [value for _, value in row["body"]["series"]] == [94, 93, None, 91, 90]
    assert row["body"]["sparkline"] == "█▇ ▃▁"
    assert row["body"]["series_limit"] == (RULE.open.limit if RULE.usual_days is None else None)


@stack
async def test_in_a_maintenance_window_nobody_is_told_neither_beginning_nor_end(world: World) -> None:
    """An episode that was opened quietly stays quiet."""
    await person(world, "manager")
    await world.connection.execute("ALTER TABLE episode ALTER COLUMN quiet SET DEFAULT true")
    assert await told(world, subject(world), upto=State.RETRACTED) == {}


@stack
async def test_what_was_over_long_ago_is_no_news_and_what_still_goes_on_is(world: World) -> None:
    """Data that come days late, and histories, wake nobody; an old episode that lasts until now does."""
    await person(world, "manager")
    opened = next(t for t in step(RULE, None, worst(RULE)).transitions if t.to_state is State.OPEN)
    later = T0 + timedelta(days=3)
    over = replace(opened, after=replace(opened.after, ended=T0 + timedelta(hours=1), seen=T0 + timedelta(hours=1)))
    lasting = replace(opened, after=replace(opened.after, seen=later - timedelta(minutes=5)))
    assert not is_news(opened, later, 86_400)
    assert not is_news(over, later, 86_400)
    assert is_news(lasting, later, 86_400)
    assert is_news(opened, opened.at + timedelta(hours=20), 86_400)
    for transition, count in ((over, 0), (lasting, 1)):
        episode_id, transition_id = await world.episode("a")
        told_to = await tell(
            world.connection,
            world.settings,
            RULE,
            subject(world),
            transition,
            episode_id=episode_id,
            transition_id=transition_id,
            now=later,
        )
        assert told_to == count


# What the database refuses ------------------------------------------------------------------------------------------


@stack
@pytest.mark.parametrize("about", ["a", None])
async def test_the_database_refuses_another_firms_recipient(world: World, about: str | None) -> None:
    """Whatever a program computes: an episode of firm a, or of the park, cannot be addressed to firm b."""
    stranger = await person(world, "people of b", "b")
    if about is None:
        episode_id = await world.connection.fetchval(
            "INSERT INTO episode (park_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began,"
            " title_zh, title_en, evidence, seen) VALUES ($1, 'r', 1, 'c', 'park', $1, 'open', 'major', $2, 't', 't',"
            " '{}', $2) RETURNING episode_id",
            world.park_id,
            T0,
        )
    else:
        episode_id, _ = await world.episode(about)
    with pytest.raises(asyncpg.CheckViolationError, match="outbox_firm_only_its_own"):
        await outbox.enqueue(
            world.connection,
            episode_id=episode_id,
            transition_id=None,
            recipient_id=stranger,
            dedupe_key="k",
            body={},
            due=T0,
            expires=T0,
        )


@stack
@pytest.mark.parametrize(
    "forgery",
    [
        "SET recipient_firm = 0, firm_id = (SELECT firm_id FROM firm WHERE code = 'b')",  # the episode is of a
        "SET recipient_firm = 0, recipient_id = (SELECT recipient_id FROM recipient WHERE name = 'people of b')",
        "SET recipient_id = (SELECT recipient_id FROM recipient WHERE name = 'elsewhere')",
        "SET recipient_firm = (SELECT firm_id FROM firm WHERE code = 'b')",
        "SET park_id = (SELECT park_id FROM park WHERE code = 'q')",
    ],
)
async def test_no_row_of_the_outbox_can_be_bent_to_somebody_else(world: World, forgery: str) -> None:
    """Recipient, firm and park of a message are compared with the rows they name, whoever writes it."""
    await world.connection.execute("INSERT INTO park (code, name_zh, name_en) VALUES ('q', 'q', 'q')")
    await world.connection.execute(
        "INSERT INTO recipient (park_id, name, channel, address)"
        " SELECT park_id, 'elsewhere', 'webhook', 'x' FROM park WHERE code = 'q'"
    )
    await person(world, "people of b", "b")
    await world.send(await person(world, "manager"), "k", episode=await world.episode("a"))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await world.connection.execute(f"UPDATE outbox {forgery}")


@stack
async def test_a_firm_sees_the_messages_sent_to_it_and_none_that_was_sent_about_it(world: World) -> None:
    """Row-level security: what the park's managers were told of a firm is the park's to see."""
    await world.send(await person(world, "manager"), "to the park", episode=await world.episode("a"))
    await world.send(await person(world, "people of a", "a"), "to a", episode=await world.episode("a"))
    await world.send(await person(world, "people of b", "b"), "to b", episode=await world.episode("b"))
    seen = {}
    for firm in ("a", "b", None):
        role = await add_tenant(world.connection, "p", firm)
        await world.connection.execute(f"GRANT {role} TO CURRENT_USER")
        async with world.connection.transaction():
            await world.connection.execute(f"SET LOCAL ROLE {role}")
            seen[firm] = {row["dedupe_key"] for row in await world.connection.fetch("SELECT dedupe_key FROM outbox")}
            for table in ("recipient", "duty_area", "oncall", "escalation_step", "channel_failure"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    async with world.connection.transaction():
                        await world.connection.fetch(f"SELECT * FROM {table}")
    assert seen == {"a": {"to a"}, "b": {"to b"}, None: {"to the park", "to a", "to b"}}


@stack
async def test_duties_are_for_managers_of_the_park(world: World) -> None:
    """Calendars and ladders take no firm's people, and no recipient that is not there."""
    of_firm = await person(world, "people of a", "a")
    from store.errors import UnknownNameError, UnsuitableError  # noqa: PLC0415

    for members in ([of_firm], [999]):
        with pytest.raises(UnsuitableError, match="no manager"):
            await duty.set_rotation(
                world.connection,
                world.park_id,
                "c",
                valid_from=date(2025, 1, 1),
                handover=time(8),
                turn_days=1,
                members=members,
            )
    with pytest.raises(UnsuitableError, match="no manager"):
        await duty.add_step(world.connection, world.park_id, min_severity="major", after_s=60, recipient_id=of_firm)
    with pytest.raises(UnknownNameError, match="calendar"):
        await duty.add_step(world.connection, world.park_id, min_severity="major", after_s=60, calendar="none")
    with pytest.raises(UnknownNameError, match="zone"):
        await recipients.add_area(world.connection, await person(world, "m"), zone="nowhere")


# Pure ---------------------------------------------------------------------------------------------------------------


def test_an_area_needs_all_that_it_names_and_one_area_is_enough() -> None:
    """Carrier and zone in one area must both fit; two areas of one person are alternatives."""
    manager = RecipientRow(1, 1, None, "m", "webhook", "x", "en", "info")
    other = RecipientRow(2, 1, None, "o", "webhook", "x", "en", "info")
    matter = Matter(1, 7, Severity.MAJOR, frozenset({"steam"}), frozenset({"energy"}), frozenset({3}))

    def area(**more: Any) -> AreaRow:
        empty = dict.fromkeys(("carrier", "topic", "zone_id", "firm_id", "zone", "firm"))
        return AreaRow(1, 1, **(empty | more))

    both = {1: [area(carrier="steam", zone_id=4)]}
    assert recipients_of(matter, [manager, other], both) == [other]
    either = {1: [area(carrier="steam", zone_id=4), area(firm_id=7)]}
    assert recipients_of(matter, [manager, other], either) == [manager, other]


def test_topics_follow_from_what_is_measured() -> None:
    """Every kind of rule about measuring is `data`; wastewater is water and emissions; carbon is emissions."""
    assert topics_of("silence", ["electricity"]) == {"data"}
    assert topics_of("rate", ["electricity", "steam"]) == {"energy"}
    assert topics_of("rate", ["wastewater"]) == {"water", "emissions"}
    assert topics_of("balance", ["fresh_water"]) == {"water", "data"}
    assert topics_of("indicator_threshold", [], "co2_per_output") == {"emissions"}
    assert topics_of("rate", ["product"]) == frozenset()
