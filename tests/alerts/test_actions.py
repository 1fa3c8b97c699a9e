"""What people do about episodes is kept, and rules do not look where somebody is at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alerts import rules
from alerts.trial import trial
from park.errors import DataFileError
from store import episode_actions as actions
from store.errors import EpisodeStateError, UnknownNameError

from .conftest import QUARTER, T0

if TYPE_CHECKING:
    from .conftest import World

pytestmark = pytest.mark.stack

REUSE = """
[[rule]]
id = "reuse"
kind = "indicator_threshold"
indicator = "water_reuse_rate"
severity = "warning"
open = { below = 88 }
clear = { above = 90 }
title_zh = "{firm}"
title_en = "{firm}"
"""


async def test_every_action_is_a_step_of_the_episode_under_a_name(world: World) -> None:
    """Handing over, putting off, taking on and remarks are kept with who and when; none changes the state but one."""
    episode_id, _ = await world.episode()
    now = datetime.now(UTC)
    await actions.assign(world.connection, episode_id, "Li", "office", now)
    await actions.snooze(world.connection, episode_id, now + timedelta(hours=8), "office", now)
    assert await actions.comment(world.connection, episode_id, "阀门已订购", "Li", now) > 0
    row = await world.connection.fetchrow("SELECT * FROM episode WHERE episode_id = $1", episode_id)
    assert (row["state"], row["assignee"], row["snoozed_until"]) == ("open", "Li", now + timedelta(hours=8))
    assert await actions.acknowledge(world.connection, episode_id, "Li", None, now)
    assert not await actions.acknowledge(world.connection, episode_id, "Wang", None, now)
    row = await world.connection.fetchrow("SELECT * FROM episode WHERE episode_id = $1", episode_id)
    assert (row["state"], row["acknowledged_by"], row["snoozed_until"]) == ("acknowledged", "Li", None)
    steps = await world.connection.fetch("SELECT * FROM episode_transition WHERE by <> 'engine' ORDER BY transition_id")
    assert [(s["by"], s["from_state"], s["to_state"]) for s in steps] == [
        ("office", "open", "open"),
        ("office", "open", "open"),
        ("Li", "open", "acknowledged"),
    ]
    assert [(c.by, c.text) for c in await actions.comments(world.connection, episode_id)] == [("Li", "阀门已订购")]


async def test_what_is_over_takes_remarks_and_nothing_else(world: World) -> None:
    """An episode that has ended, and one that never was, are told apart."""
    episode_id, _ = await world.episode()
    now = datetime.now(UTC)
    await world.connection.execute("UPDATE episode SET state = 'resolved', ended = opened")
    with pytest.raises(EpisodeStateError):
        await actions.assign(world.connection, episode_id, "Li", "office", now)
    with pytest.raises(EpisodeStateError):
        await actions.snooze(world.connection, episode_id, None, "office", now)
    assert await actions.comment(world.connection, episode_id, "done", "office", now) > 0
    with pytest.raises(UnknownNameError):
        await actions.comment(world.connection, 999_999, "?", "office", now)


async def test_rules_do_not_look_into_a_maintenance_window(world: World) -> None:
    """Work that is announced opens nothing; once it is over the same number does, and other firms are watched."""
    await world.rules(rules.parse(REUSE, "test.toml"))
    window = await actions.begin_maintenance(
        world.connection, "p", firm="a", t_from=T0, t_to=T0 + 4 * QUARTER, reason="pump", author="office"
    )
    for firm in "ab":
        await world.indicator(firm, 1, 50)
    await world.evaluate(T0 + 2 * QUARTER)
    assert await world.states() == [(f"reuse/firm/{world.firms['b']}", "open")]
    assert len(await actions.maintenance(world.connection, "p", T0)) == 1
    assert await actions.end_maintenance(world.connection, window, "office", T0 + QUARTER)
    assert not await actions.end_maintenance(world.connection, window, "office", T0 + QUARTER)
    await world.indicator("a", 2, 50)
    await world.evaluate(T0 + 3 * QUARTER)
    assert len(await world.states()) == 2
    with pytest.raises(UnknownNameError):
        await actions.begin_maintenance(
            world.connection, "p", firm="nobody", t_from=T0, t_to=T0 + QUARTER, reason="x", author="office"
        )


async def test_a_rule_is_tried_on_the_past_without_a_trace(world: World) -> None:
    """What would have fired is shown, nothing is written and nobody is told; what has no history is refused."""
    (rule,) = rules.parse(REUSE, "test.toml")
    await world.recipient("http://127.0.0.1:9/")
    for k, value in enumerate([95, 70, 80, 95, 60]):
        await world.indicator("a", k, value)
    found = await trial(world.connection, rule, T0, T0 + 5 * QUARTER, "p")
    assert [(one.opened, one.ended, one.worst) for one in found] == [
        (T0 + 2 * QUARTER, T0 + 4 * QUARTER, 70),
        (T0 + 5 * QUARTER, None, 60),
    ]
    assert await trial(world.connection, rule, T0, T0 + QUARTER, "p") == []
    assert await world.states() == []
    assert await world.outbox() == []
    live = next(one for one in rules.load() if one.id == "water_reuse_collapse")
    with pytest.raises(DataFileError):
        await trial(world.connection, live, T0, T0 + QUARTER)
