"""The dashboards' benchmark runs in a short form, on a park that it makes itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dashboards.build import parsed
from dashboards.lint import queries_of
from store.panels import ParkYear, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def var(components: Any) -> Iterator[Path]:
    """A directory for a stack that shares the components of the checkout."""
    directory = Path(tempfile.mkdtemp(prefix="greenpark-bench-"))
    directory.chmod(0o755)
    (directory / "components").symlink_to(Path(__file__).resolve().parents[2] / "var" / "components")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.stack
def test_the_short_form_runs_every_query(var: Path) -> None:
    """Every query of every page is measured, the slowest ten are named, and the database is taken away."""
    argv = [sys.executable, "-m", "cli.main", "bench", "dashboards", "--firms", "2", "--points", "20", "--days", "3"]
    argv += ["--repeats", "1", "--var", str(var), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    statements = sum(len(list(queries_of(board))) for path, board in parsed().items() if path.startswith("en/"))
    assert result["queries"] == statements
    assert result["buckets"] == pytest.approx(2 * 20 * 3 * 96, rel=0.01)
    assert 0 < result["p50_ms"] <= result["p95_ms"]
    assert result["cpu_p50_ms"] > 0
    slowest = [slow["p95_ms"] for slow in result["slowest"]]
    assert len(slowest) == 10
    assert slowest == sorted(slowest, reverse=True)
    assert not (var / "bench-dashboards" / "postgres").exists()


def test_the_year_is_made_in_stretches_without_gap_or_overlap() -> None:
    """The last stretch is shorter where the days do not divide."""
    end = datetime(2026, 1, 1, tzinfo=UTC)
    made = list(stretches(ParkYear(1, 1, 365, end, 1, 1)))
    assert made[0][0] == end - timedelta(days=365)
    assert made[-1][1] == end
    assert all(a[1] == b[0] for a, b in pairwise(made))
