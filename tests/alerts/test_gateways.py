"""A gateway that is away is one episode, although nothing comes from there that would say so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from alerts import rules

from .conftest import QUARTER, T0

if TYPE_CHECKING:
    from .conftest import World

pytestmark = pytest.mark.stack

SHIPPED = tuple(one for one in rules.load() if one.id in {"edge_offline", "point_silent"})


async def test_a_gateway_that_goes_away_is_one_episode_and_its_points_are_none(world: World) -> None:
    """It opens by the passing of time alone, covers its points, and ends when the gateway is back."""
    await world.rules(SHIPPED)
    minute = timedelta(minutes=1)
    for point in ("fresh", "loop"):
        await world.readings("a", point, [(T0 + k * minute, 1.0) for k in range(16)])
    await world.edge_status("a", T0)
    await world.evaluate(T0 + 16 * minute)
    assert await world.states() == []
    await world.edge_status("a", T0 + 16 * minute, online=False)
    await world.evaluate(T0 + 17 * minute)
    assert await world.states() == []
    for hours in (1, 2, 3):
        await world.evaluate(T0 + timedelta(hours=hours))
    [(cause, state)] = await world.states()
    assert (cause.split("/")[0], state) == ("edge_offline", "open")
    back = T0 + timedelta(hours=3)
    await world.edge_status("a", back)
    for point in ("fresh", "loop"):
        await world.readings("a", point, [(back + k * minute, 2.0) for k in range(61)])
    await world.marks("a", since=back - QUARTER)
    await world.evaluate(back + timedelta(hours=1))
    assert [state for cause, state in await world.states() if cause.startswith("edge")] == ["resolved"]


async def test_what_is_older_than_history_days_stands_as_it_is(world: World) -> None:
    """A year that is loaded at once makes no alerts of last year."""
    await world.rules(SHIPPED)
    await world.readings("a", "fresh", [(T0, 1.0)])
    await world.readings("a", "loop", [(T0 + k * QUARTER, 1.0) for k in range(40)])
    await world.marks("a", since=T0)
    await world.evaluate(T0 + timedelta(days=60))
    assert await world.states() == []
