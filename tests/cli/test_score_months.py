"""Months with what firms report are marked: what is right costs nothing; wrong numbers and reasons are found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cli.score.indicators import books
from cli.score.reporting import enter_reports
from cli.score.running import mark
from park.calendar import from_us, period, zone
from simulators import stream
from simulators.scenarios import load_scenario
from store.copying import copy_rows
from store.marking import point_ids
from store.pool import connected, open_pool
from store.registry import apply_definition
from streams.process import once
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from simulators.truth import Truth

SCENARIO = """
name: january
description: One month of two firms that report, one of them without value added.
description_zh: 两家企业一个月
park: reporting
only: [r01, r05]
start: 2026-01-01T00:00:00+08:00
days: 31
step_s: 900
"""


@pytest.fixture(scope="module")
def truth() -> Truth:
    """A month of a car-parts maker that reports all, and of a circuit maker that reports no value added."""
    return stream.build(load_scenario(SCENARIO, "january.yaml")).truth


@pytest.fixture
async def held(database_url: str, truth: Truth) -> AsyncIterator[Any]:
    """A platform that received exactly what was sent and reported, and computed it."""
    async with connected(database_url) as connection:
        await apply_definition(connection, truth.park)
        ids = await point_ids(connection, truth.park.code)
        of_row = np.array([ids[point.firm, point.code] for point in truth.points], np.int32)
        columns = [
            ("point_id", "int4", of_row[truth.reading_point]),
            ("t", "timestamptz", truth.reading_t_us),
            ("value", "float8", truth.reading_value),
            ("quality", "int2", truth.reading_quality.astype(np.int16)),
            ("batch_id", "int8", np.ones(len(truth.reading_point), np.int64)),
        ]
        await copy_rows(connection, "reading", columns)
        await connection.execute(
            "INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)"
            " SELECT firm_id, point_id, min(t), max(t), 'test' FROM reading JOIN point USING (point_id) GROUP BY 1, 2"
        )
        assert await enter_reports(connection, truth) == len(truth.reports) > 5
        async with open_pool(database_url, application="test") as pool:
            await once(StreamsSettings(database_url), pool)
        yield connection


def test_the_books_are_the_last_reports_and_the_industrys_deflator(truth: Truth) -> None:
    """A maker of car parts has a deflator of its own industry; the other takes that of all."""
    tz = zone(truth.park.time_zone)
    month = period("month", from_us(int(truth.bucket_us[0])), tz)
    assert books(truth, "r01", month, tz).deflators == {2025: 0.97, 2020: 1.11}
    assert books(truth, "r05", month, tz).deflators == {2025: 1.02, 2020: 1.11}
    assert ("value_added", "", "current", None) in books(truth, "r01", month, tz).amounts
    assert ("value_added", "", "current", None) not in books(truth, "r05", month, tz).amounts


@pytest.mark.stack
async def test_a_right_month_has_no_marks_and_planted_errors_are_found(held: Any, truth: Truth) -> None:
    """60 indicators agree; then a factor's error of a hundredth and a made-up value are each found by name."""
    marks = (await mark(held, truth)).indicators
    assert (marks.undefined_wrong, marks.wrong) == (0, ())
    assert marks.error_max < 1e-12
    assert len(marks.judged) >= 55
    assert "energy_per_value_added" in marks.judged
    await held.execute(
        "UPDATE indicator_value SET value = value * 1.01 WHERE indicator_id = 'energy_per_value_added'"
        " AND grain = 'month' AND firm_id = (SELECT firm_id FROM firm WHERE code = 'r01')"
    )
    await held.execute(
        "UPDATE indicator_value SET value = 3, reason = NULL WHERE indicator_id = 'co2_per_value_added'"
        " AND firm_id = (SELECT firm_id FROM firm WHERE code = 'r05')"
    )
    marks = (await mark(held, truth)).indicators
    assert marks.error_max == pytest.approx(0.01, rel=0.01)
    assert marks.worst.startswith("r01 energy_per_value_added month 2026-01-01")
    assert [line.partition(":")[0] for line in marks.wrong] == ["r05 co2_per_value_added month 2026-01-01"]
