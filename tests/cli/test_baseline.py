"""`greenpark baseline`: fits, refuses what fails a gate, shows savings, and ends what the plant has outgrown."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.streams.conftest import world_at
from tests.streams.test_baselines import Plant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.stack


@pytest.fixture
async def plant(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Plant]:
    """A plant with 15 months of daily values, and the command pointed at its database."""
    monkeypatch.setenv("GREENPARK_DATABASE_URL", database_url)
    async with world_at(database_url) as world:
        made = Plant(world)
        await made.lay()
        yield made


async def command(*arguments: str, code: int = 0) -> str:
    """Run `greenpark baseline …` in a thread of its own, and return what it prints."""
    done = await asyncio.to_thread(CliRunner().invoke, app, ["baseline", *arguments])
    assert done.exit_code == code, done.output + str(done.exception)
    return done.output


BASE = ("--base", "2025-01-01..2025-12-31")


async def test_a_baseline_is_fitted_shown_listed_superseded_and_ended(plant: Plant) -> None:
    """The whole life of a baseline by commands, each of which tells machines and people."""
    told = json.loads(await command("fit", "p/a", *BASE, "--because", "first", "--author", "Li", "--json"))
    assert told["kept"]
    assert told["usable"]
    assert set(told["variables"]) == {"production:cell", "hdd18"}
    assert told["residuals"] > 90
    shown = json.loads(await command("show", "p/a", "--until", "2026-03-31", "--json"))
    [one] = shown["baselines"]
    assert one["savings"]["periods"] == 90
    assert one["newest"]["baseline_id"] == told["baseline_id"]
    assert [gate["passed"] for gate in one["fit"]["gates"]] == [True] * len(one["fit"]["gates"])
    await command("fit", "p/a", "--base", "2025-03-01..2026-02-28", "--because", "new line", "--author", "Li")
    rows = json.loads(await command("list", "--json"))["baselines"]
    assert [(row["valid_from"], row["valid_to"], row["superseded_by"] is None) for row in rows] == [
        ("2026-01-01", "2026-03-01", False),
        ("2026-03-01", None, True),
    ]
    assert "new line" in await command("list")
    await command("end", "p/a", "--from", "2026-04-01", "--because", "new roof", "--author", "Li")
    rows = json.loads(await command("list", "--json"))["baselines"]
    assert (rows[1]["valid_to"], rows[1]["end_reason"]) == ("2026-04-01", "new roof")


async def test_what_fails_a_gate_is_told_and_not_kept(plant: Plant) -> None:
    """Half a year is too short: exit status 1, the gate by name, and the baseline in force stays."""
    await command("fit", "p/a", *BASE)
    told = json.loads(await command("fit", "p/a", "--base", "2025-07-01..2025-12-31", "--json", code=1))
    assert "base_days" in told["failed"]
    assert not told["kept"]
    assert "base_days" in await command("fit", "p/a", "--base", "2025-07-01..2025-12-31", code=1)
    [row] = json.loads(await command("list", "--json"))["baselines"]
    assert row["valid_to"] is None
    assert await plant.connection.fetchval("SELECT count(*) FROM run WHERE cause LIKE 'baseline%'") == 1


async def test_a_trial_keeps_nothing(plant: Plant) -> None:
    """`--try` shows the fit of a model that would pass, and the database is as before."""
    told = json.loads(await command("fit", "p/a", *BASE, "--on", "production:cell", "--on", "hdd18", "--try", "--json"))
    assert told["usable"]
    assert not told["kept"]
    assert await plant.connection.fetchval("SELECT count(*) FROM baseline") == 0


async def test_people_read_it_in_both_languages(plant: Plant) -> None:
    """The verdict and the savings are words of the language asked for."""
    await command("fit", "p/a", *BASE)
    assert "节能量" in await command("show", "p/a", "--lang", "zh-CN")
    assert "savings" in await command("show", "p/a", "--lang", "en")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "p/none"), "firm"),
        (("fit", "p/a", *BASE, "--on", "production:glass"), "production:glass"),
        (("fit", "p/a", *BASE, "--energy", "electricity"), "no day with a value"),
        (("fit", "p/a", "--base", "2025"), "FROM..TO|stretch"),
        (("fit", "p/a", "--base", "2025-02-01..2025-01-01"), "before the first"),
        (("show", "p/a"), "baseline fit p/a"),
        (("end", "p/a", "--from", "2026-01-01", "--because", "x"), "baseline list"),
    ],
)
async def test_what_is_wrong_is_named(plant: Plant, arguments: tuple[str, ...], message: str) -> None:
    """An unknown firm, variable or day, and a baseline that is not there: the message says what to do."""
    done = await asyncio.to_thread(CliRunner().invoke, app, ["baseline", *arguments])
    assert done.exit_code == 1
    assert re.search(message, str(done.exception)), done.exception
    assert plant.firm_id
