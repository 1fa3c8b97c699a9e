"""The marking is right: what the platform holds correctly costs nothing, and every planted error is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cli.score.marks import mark_alerts
from cli.score.running import _built, broken, mark, write_stream
from park.calendar import from_us
from simulators import stream
from simulators.scenarios import scenario
from store.copying import copy_rows
from store.marking import point_ids
from store.pool import connected, open_pool
from store.registry import apply_definition
from streams.process import once
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.score.marks import Score
    from simulators.truth import Truth


@pytest.fixture(scope="module")
def truth() -> Truth:
    """Two working days in which nothing goes wrong."""
    return stream.build(scenario("quiet")).truth


@pytest.fixture
async def held(database_url: str, truth: Truth) -> AsyncIterator[Any]:
    """A platform that received exactly what was sent, and computed it."""
    async with connected(database_url) as connection:
        await apply_definition(connection, truth.park)
        ids = await point_ids(connection, truth.park.code)
        of_row = np.array([ids[point.firm, point.code] for point in truth.points], np.int32)
        n = len(truth.reading_point)
        columns = [
            ("point_id", "int4", of_row[truth.reading_point]),
            ("t", "timestamptz", truth.reading_t_us),
            ("value", "float8", truth.reading_value),
            ("quality", "int2", truth.reading_quality.astype(np.int16)),
            ("batch_id", "int8", np.ones(n, np.int64)),
        ]
        await copy_rows(connection, "reading", columns)
        await connection.execute(
            "INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)"
            " SELECT firm_id, point_id, min(t), max(t), 'test' FROM reading JOIN point USING (point_id) GROUP BY 1, 2"
        )
        async with open_pool(database_url, application="test") as pool:
            await once(StreamsSettings(database_url), pool)
        yield connection


def point(score: Score, firm: str, code: str) -> Any:
    """Return the marks of one point."""
    return next(p for p in score.points if (p.firm, p.point) == (firm, code))


@pytest.mark.stack
async def test_a_platform_that_is_right_has_no_marks_against_it(held: Any, truth: Truth) -> None:
    """Nothing lost, doubled or altered; every bucket, sum and indicator equal to the truth."""
    score = await mark(held, truth)
    assert broken(score) == []
    assert score.readings.expected > 10_000
    assert score.error_ppm_max == 0
    assert sum(p.wrong_state + p.wrong_quantity for p in score.points) == 0
    assert score.indicators.compared >= 700
    assert score.indicators.error_max < 1e-12, "sums in another order differ in the last digit"
    assert score.indicators.undefined_wrong == 0


@pytest.mark.stack
async def test_planted_errors_in_readings_are_found(held: Any, truth: Truth) -> None:
    """A deleted, a doubled, a changed and an invented reading are each counted once."""
    await held.execute("DROP INDEX reading_once")
    first, second, third = await held.fetch("SELECT point_id, t FROM reading ORDER BY point_id, t LIMIT 3")
    where = " WHERE point_id = $1 AND t = $2"
    await held.execute("DELETE FROM reading" + where, *first)
    await held.execute("INSERT INTO reading SELECT * FROM reading" + where, *second)
    await held.execute("UPDATE reading SET value = value + 1" + where, *third)
    await held.execute("INSERT INTO reading VALUES ($1, '2026-03-30T00:00:01Z', 5, 0, 1)", first["point_id"])
    marks = (await mark(held, truth)).readings
    assert (marks.lost, marks.doubled, marks.altered, marks.unexpected) == (1, 1, 1, 1)


@pytest.mark.stack
async def test_a_wrong_number_planted_in_the_ledger_is_found(held: Any, truth: Truth) -> None:
    """One per cent more in one bucket shows at that point, in parts per million, and nowhere else."""
    ids = await point_ids(held, truth.park.code)
    row = await held.fetchrow(
        "UPDATE consumption SET measured = measured + 100 WHERE point_id = $1 AND bucket = $2 RETURNING measured",
        ids["f02", "E-001"],
        from_us(int(truth.bucket_us[50])),
    )
    assert row is not None
    score = await mark(held, truth)
    marks = point(score, "f02", "E-001")
    assert marks.error == pytest.approx(100, abs=2 * 2.0)
    assert marks.error_ppm > 1000
    assert marks.wrong_quantity == 1
    assert [p for p in score.points if p.error_ppm > 0] == [marks]
    assert any("ledger error" in line for line in broken(score))


@pytest.mark.stack
async def test_a_gap_shown_as_zero_and_an_estimate_shown_as_measured_are_found(held: Any, truth: Truth) -> None:
    """Measured, estimated and missing are three things, and each mistake is a wrong state."""
    ids = await point_ids(held, truth.park.code)
    buckets = [from_us(int(truth.bucket_us[k])) for k in (10, 20)]
    await held.execute("DELETE FROM consumption WHERE point_id = $1 AND bucket = $2", ids["f01", "W-001"], buckets[0])
    await held.execute(
        "UPDATE consumption SET estimated = measured, measured = NULL, estimated_s = 900, measured_s = 0"
        " WHERE point_id = $1 AND bucket = $2",
        ids["f01", "W-001"],
        buckets[1],
    )
    assert point(await mark(held, truth), "f01", "W-001").wrong_state == 2


@pytest.mark.stack
async def test_a_wrong_indicator_and_a_wrong_reason_are_found(held: Any, truth: Truth) -> None:
    """A value off by a tenth of a per cent, and one declared undefined, count apart."""
    day = "firm_id = (SELECT firm_id FROM firm WHERE code = 'f04') AND scope = 'firm' AND grain = 'day'"
    await held.execute(
        f"UPDATE indicator_value SET value = value * 1.01 WHERE {day} AND indicator_id = 'water_reuse_rate'"
    )
    await held.execute(
        "UPDATE indicator_value SET value = NULL, reason = 'no_data'"
        f" WHERE {day} AND indicator_id = 'comprehensive_energy_equal' AND value IS NOT NULL"
    )
    marks = (await mark(held, truth)).indicators
    assert marks.error_max == pytest.approx(0.01, rel=0.2)
    assert marks.worst.startswith("f04 water_reuse_rate")
    assert marks.undefined_wrong >= 2


def test_episodes_are_matched_with_the_faults_that_caused_them(truth: Truth) -> None:
    """Found, missed, doubled and false episodes, and the time it took, come out as counted by hand."""
    leak = scenario("water")
    built = stream.build(leak).truth
    wanted = [fault for fault in built.faults if fault.alert is not None]
    assert len(wanted) >= 3

    def episode(k: int, after_s: float, firm: str | None = None) -> dict[str, Any]:
        began = from_us(wanted[k].start_us + int(after_s * 1e6))
        return {
            "episode_id": k,
            "point": wanted[k].point,
            "firm": firm or wanted[k].firm,
            "rule_id": wanted[k].alert,
            "state": "open",
            "began": began,
            "opened": began,
            "ended": None,
        }

    episodes = [episode(0, 60), episode(0, 120), episode(1, 300), episode(1, 0, firm="nobody")]
    marks = mark_alerts(built, episodes, stray=2)
    assert marks.recall == pytest.approx(2 / len(wanted))
    assert marks.precision == pytest.approx(3 / 4)
    assert (marks.duplicates, marks.wrong_recipient) == (1, 2)
    assert marks.time_to_detect_median_s == pytest.approx(180)
    assert mark_alerts(truth, [], stray=0).recall is None
    assert isinstance(episodes[0]["began"], datetime)


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_everyday_scenario_is_taken_without_loss(components: Any) -> None:
    """The command starts a stack, sends two days with their faults, and reports nothing lost and nothing doubled."""
    var = Path(tempfile.mkdtemp(prefix="greenpark-score-"))
    var.chmod(0o755)
    try:
        (var / "components").symlink_to(Path(__file__).parents[2] / "var" / "components")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "cli.main",
                "simulate",
                "score",
                "--scenario",
                "everyday",
                "--var",
                str(var),
                "--json",
            ],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        score = json.loads(done.stdout)
        assert (score["readings"]["lost"], score["readings"]["doubled"]) == (0, 0)
        assert score["readings"]["expected"] > 40_000
        assert score["ledger"]["points"] > 70
        assert score["ledger"]["error_ppm_max"] <= 1
    finally:
        shutil.rmtree(var, ignore_errors=True)


@pytest.mark.parametrize("what", ["profiles", "faults", "scenarios"])
def test_what_can_be_simulated_is_listed(what: str) -> None:
    """At least ten profiles, thirty faults and twelve scenarios, each with a description."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "simulate", "list", "--json"], capture_output=True, text=True, check=True
    )
    entries = json.loads(done.stdout)[what]
    assert len(entries) >= {"profiles": 10, "faults": 30, "scenarios": 12}[what]
    assert all(len(entry["description"]) > 10 for entry in entries)


def test_an_unknown_scenario_is_one_clear_line() -> None:
    """The message names what there is."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "simulate", "score", "--scenario", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "everyday" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_written_stream_is_the_same_every_time_and_can_be_marked_from_its_file(tmp_path: Path) -> None:
    """Two runs with one seed write the same bytes; stream and truth are read back as they were."""
    texts = []
    for name in ("one", "two"):
        file, truth_file, messages = write_stream("network", tmp_path / name, None)
        texts.append(file.read_bytes())
        assert messages == len(texts[-1].splitlines()) - 1
    assert texts[0] == texts[1]
    built, *_ = _built(str(file), None)
    whole = stream.build(scenario("network"))
    assert built.digest() == whole.digest()
    assert np.array_equal(built.truth.micro, whole.truth.micro)
    assert truth_file.exists()


def test_a_wrong_scenario_file_is_one_line_with_file_field_and_expectation(tmp_path: Path) -> None:
    """The message names the file, the field and what was expected."""
    file = tmp_path / "odd.yaml"
    file.write_text(
        "name: odd\ndescription: x\ndescription_zh: x\npark: nowhere\nstart: 2026-03-18T00:00:00+08:00\ndays: 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "simulate", "write", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "odd.yaml" in done.stderr
    assert "park" in done.stderr
    assert "expected one of" in done.stderr
