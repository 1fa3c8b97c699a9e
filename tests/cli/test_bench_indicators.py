"""The benchmark of indicators runs in its short form, and what it measures is what streams do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cli.bench.indicator_park import NOW, POINTS, lay, mark, quantities, wanted
from store.ledger import WaitingFirm
from store.pool import connected
from streams.process import pass_park, pass_values

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.stack


@pytest.fixture
def var(components: Any) -> Iterator[Path]:
    """A directory for a stack that shares the components of the checkout."""
    directory = Path(tempfile.mkdtemp(prefix="greenpark-bench-"))
    directory.chmod(0o755)
    checkout = Path(__file__).resolve().parents[2]
    (directory / "components").symlink_to(checkout / "var" / "components")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_the_short_form_of_bench_indicators_runs(var: Path) -> None:
    """Three days of parks of one and three firms: seconds, CPU, stages and growth for machines."""
    argv = [sys.executable, "-m", "cli.main", "bench", "indicators", "--sizes", "1,3", "--days", "3", "--repeats", "1"]
    done = subprocess.run(
        [*argv, "--var", str(var), "--json"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["firm_year_s"] > 0
    assert result["firm_year_cpu_s"] > 0
    assert result["hundred_firms_s"] is None, "a hundred firms were not asked for"
    assert [size["firms"] for size in result["sizes"]] == [1, 3]
    assert result["points"] == 20
    # 192 buckets and 48 hours of the last two days, three days, one month, one year
    assert result["periods"] == 192 + 48 + 3 + 1 + 1
    assert result["values"] > 500
    assert result["defined"] > 0.7 * result["values"], "what is measured is the making of numbers, not of reasons"
    assert result["standings"] > 0
    assert result["growth"] > 0
    assert result["stages"]["indicators"] > 0


async def test_what_is_laid_down_is_evaluated_as_from_readings(database_url: str) -> None:
    """Days and a month of a firm come out as sums of its quantities, and the park's standing follows."""
    async with connected(database_url) as connection:
        laid = await lay(connection, "two", 2, 3)
        periods = await mark(connection, laid, 24.0)
        assert periods == len(wanted(laid, 24.0)) == 96 + 24 + 3 + 1 + 1
        for firm in laid.firms:
            await pass_values(connection, WaitingFirm(firm.firm_id, laid.park_id, laid.time_zone), now=NOW)
        await pass_park(connection, laid.park_id, laid.time_zone, now=NOW)
        rows = await connection.fetch(
            "SELECT point_id, code FROM point"
            " WHERE firm_id = $1 AND carrier = 'electricity' AND direction <> 'internal'",
            laid.firms[0].firm_id,
        )
        amounts = {code: amount for code, _, _, _, amount in POINTS}
        start = int(laid.start.timestamp()) * 1_000_000
        day = np.arange(start, start + 86_400_000_000, 900_000_000, dtype=np.int64)
        net = sum(
            (1 if row["code"] == "E-001" else -1) * quantities(row["point_id"], amounts[row["code"]], day).sum()
            for row in rows
        )
        held = await connection.fetchval(
            "SELECT value FROM indicator_value"
            " WHERE firm_id = $1 AND indicator_id = 'electricity_use' AND grain = 'day' AND period = $2",
            laid.firms[0].firm_id,
            laid.start,
        )
        assert held == pytest.approx(net, rel=1e-9)
        assert await connection.fetchval("SELECT count(*) FROM standing WHERE park_id = $1", laid.park_id) > 0
        assert await connection.fetchval("SELECT count(*) FROM dirty_firm") == 0
