"""`greenpark indicators` and `greenpark scorecard`: what is computed, by which factors, and what cards make of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from cli.errors import MissingError
from cli.main import app
from park.definition import FirmDefinition, ParkDefinition
from park.factors import load_factors
from park.indicators import load_catalogue
from park.scorecards import card_ids
from store.errors import UnknownNameError
from store.pool import connected
from store.registry import apply_definition


def greenpark(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_indicator_is_listed_in_both_languages() -> None:
    """For machines with terms and source, for people with the formula."""
    document = json.loads(greenpark("indicators", "list", "--json"))
    assert [i["id"] for i in document["indicators"]] == [i.id for i in load_catalogue().indicators]
    assert all(i["source"] and i["numerator"] for i in document["indicators"])
    assert "工业用水重复利用率" in greenpark("indicators", "list")
    assert "Industrial water reuse rate" in greenpark("indicators", "list", "--lang", "en")


def test_factors_come_with_source_and_the_flag_of_verification() -> None:
    """All of them, or those of one carrier; an unknown carrier is answered with the known ones."""
    document = json.loads(greenpark("indicators", "factors", "--json"))
    assert len(document["factors"]) == len(load_factors().factors)
    assert all(f["source"] and isinstance(f["verified"], bool) for f in document["factors"])
    water = greenpark("indicators", "factors", "fresh_water")
    assert "0.0857 kgce" in water
    assert "0.2571 kgce" in water
    result = CliRunner().invoke(app, ["indicators", "factors", "wine"])
    assert isinstance(result.exception, MissingError)
    assert "natural_gas" in str(result.exception)


def test_every_card_is_listed() -> None:
    """With what of it the catalogue computes, and how many gaps it has."""
    document = json.loads(greenpark("scorecard", "list", "--json"))
    assert [card["id"] for card in document["cards"]] == list(card_ids())
    assert "GB/T 36132-2025" in greenpark("scorecard", "list", "--lang", "en")


@pytest.mark.stack
def test_a_card_is_scored_from_what_stands_in_the_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The year's reuse rate is taken, a person adds what is not computed, the sector's table gives points."""
    asyncio.run(_lay(database_url))
    monkeypatch.setenv("GREENPARK_DATABASE_URL", database_url)
    plain = json.loads(greenpark("scorecard", "show", "p/a", "green-factory-2025", "--year", "2025", "--json"))
    reuse = next(item for item in plain["items"] if item["id"] == "water-reuse")
    assert (reuse["value"], reuse["points"], plain["total"]) == (92.0, None, None)
    missing = next(item for item in plain["items"] if item["id"] == "carbon-intensity")
    assert missing["reason"] == "not_reported"
    words = ("scorecard", "show", "p/a", "green-factory-2025", "--year", "2025", "--level", "water-reuse=80:95")
    scored = json.loads(greenpark(*words, "--level", "platform=4:8", "--value", "platform=6", "--json"))
    assert scored["known"] == pytest.approx(8 * (0.6 + 0.4 * 12 / 15) + 6 * 0.8)
    assert scored["known_weight"] == 14
    assert "known" in greenpark(*words, "--lang", "en")
    for bad in (("p/x", "green-factory-2025"), ("p/a", "green-factory-2025", "--value", "wine=1")):
        assert isinstance(
            CliRunner().invoke(app, ["scorecard", "show", *bad]).exception, UnknownNameError | MissingError
        )
    for bad in ("platform", "platform=high", "platform=4"):
        result = CliRunner().invoke(app, ["scorecard", "show", "p/a", "green-factory-2025", "--level", bad])
        assert isinstance(result.exception, MissingError), bad


async def _lay(database_url: str) -> None:
    firm = FirmDefinition(code="a", name_zh="甲", name_en="A", industry="C36")
    async with connected(database_url) as connection:
        await apply_definition(connection, ParkDefinition(code="p", name_zh="园", name_en="P", firms=[firm]))
        year = datetime(2024, 12, 31, 16, tzinfo=UTC)
        for indicator, value, reason in (
            ("water_reuse_rate", 92.0, None),
            ("co2_per_output_value", None, "not_reported"),
        ):
            await connection.execute(
                "INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, value,"
                " unit, coverage, reason, closed, lineage, run_id)"
                " SELECT park_id, firm_id, 'firm', firm_id, $1, 'year', $2, $3, '%', 1, $4, true, '{}', 0 FROM firm",
                indicator,
                year,
                value,
                reason,
            )
