"""The ledger's benchmarks run, and what they measured is right: the same as a computation from scratch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cli.bench.fresh import _Looks
from cli.bench.meters import compare, correct_multipliers, lay, mark, set_up
from cli.errors import MissingError
from cli.rebuild import Rebuild, run_rebuild
from store.pool import connected, open_pool
from streams import ledger
from streams.process import once
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.stack

DAY = timedelta(days=1)
START = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def var(components: Any) -> Iterator[Path]:
    """A directory for a stack that shares the components of the checkout."""
    directory = Path(tempfile.mkdtemp(prefix="greenpark-bench-"))
    directory.chmod(0o755)
    checkout = Path(__file__).resolve().parents[2]
    (directory / "components").symlink_to(checkout / "var" / "components")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def bench(var: Path, *arguments: str) -> dict[str, Any]:
    """Run `greenpark bench` and return its document."""
    argv = [sys.executable, "-m", "cli.main", "bench", *arguments, "--var", str(var), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_short_form_of_bench_ledger_runs(var: Path) -> None:
    """Buckets a second, and the ratio to reading alone."""
    result = bench(var, "ledger", "--points", "5", "--days", "2", "--repeats", "2")
    assert result["readings"] == 5 * 2 * 96
    assert result["buckets"] == 5 * (2 * 96 - 1)
    assert result["buckets_per_s"] > 0
    assert 0 < result["ratio_to_reading"] < 5


def test_the_short_form_of_bench_late_equals_from_scratch(var: Path) -> None:
    """Late readings and a corrected multiplier, by real processes of streams."""
    result = bench(var, "late", "--firms", "2", "--points", "12", "--days", "2")
    assert result["points"] == 24
    assert result["equals_from_scratch"] is True
    assert result["late"]["revisions"] >= 24 * 2 * 96
    assert result["multiplier"]["revisions"] > result["late"]["revisions"]
    assert 0 < result["seconds"] < 60


@pytest.mark.parametrize("many", [1, 10**9], ids=["copied", "merged"])
async def test_both_ways_of_writing_equal_a_computation_from_scratch(
    database_url: str, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Whether columns are copied or rows are merged, late readings and a new multiplier give the same ledger."""
    monkeypatch.setattr(ledger, "MANY_BUCKETS", many)
    settings = StreamsSettings(database_url)
    async with connected(database_url) as connection, open_pool(database_url, application="test") as pool:
        field = await set_up(connection, 2, 3, START - DAY)
        kept = []
        for a, b in ((0, 1), (3, 4), (1, 2), (2, 3)):
            for edge in field.edges:
                await lay(connection, edge, START + a * DAY, START + b * DAY, 700)
            await mark(connection, field, START + a * DAY, START + b * DAY, "test")
            await once(settings, pool)
            assert (await compare(connection, field)).equal
            kept.append(await connection.fetchval("SELECT count(*) FROM consumption_revision"))
        await correct_multipliers(connection, 2, 3, START - DAY, 2.5)
        assert not (await compare(connection, field)).equal
        await once(settings, pool)
        assert (await compare(connection, field)).equal
        kept.append(await connection.fetchval("SELECT count(*) FROM consumption_revision"))
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert kept[-1] - kept[-2] == 6 * (4 * 96)


async def test_a_rebuild_mends_what_somebody_broke(database_url: str) -> None:
    """Rows altered behind the ledger's back come back for the days asked for, and for no others."""
    settings = StreamsSettings(database_url)
    async with connected(database_url) as connection, open_pool(database_url, application="test") as pool:
        field = await set_up(connection, 2, 3, START - DAY)
        for edge in field.edges:
            await lay(connection, edge, START, START + 3 * DAY, 900)
        await mark(connection, field, START, START + 3 * DAY, "test")
        await once(settings, pool)
        await connection.execute("UPDATE consumption SET measured = measured + 1 WHERE extract(minute FROM bucket) = 0")
        part = await run_rebuild(settings, Rebuild(first=date(2025, 3, 2), last=date(2025, 3, 2)))
        assert part.points == 6
        assert 6 * 24 <= part.buckets < 6 * 40
        assert not (await compare(connection, field)).equal
        whole = await run_rebuild(settings, Rebuild())
        assert whole.buckets == whole.revisions > 0
        assert (await compare(connection, field)).equal
        assert (await run_rebuild(settings, Rebuild())).buckets == 0
        with pytest.raises(MissingError, match="--firm nobody"):
            await run_rebuild(settings, Rebuild(firm="nobody"))
        assert await connection.fetchval("SELECT count(*) FROM dirty") == 0


def test_freshness_counts_from_the_reading_to_the_look_that_shows_it() -> None:
    """A reading is shown by the first look that covers it; what no look shows has its age at the last one."""
    looks = _Looks([100.0, 101.0, 102.0], [{}, {("bucket", 7): 10.0}, {("bucket", 7): 10.0}])
    delays, unseen = looks.delays({7: np.array([90.0, 100.0, 101.5])}, "bucket", 95.0)
    assert delays == [1.0, 0.5]
    assert unseen == 1
