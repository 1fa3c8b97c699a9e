"""The benchmark of alerts runs in short: a quiet park stays quiet, an edge that goes dark is one episode."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.stack


@pytest.fixture
def var(components: Any) -> Iterator[Path]:
    """A directory for a stack that shares the components of the checkout."""
    directory = Path(tempfile.mkdtemp(prefix="greenpark-bench-"))
    directory.chmod(0o755)
    (directory / "components").symlink_to(Path(__file__).resolve().parents[2] / "var" / "components")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_an_edge_that_goes_dark_is_one_episode_and_a_quiet_past_is_none(var: Path) -> None:
    """Sixty points at two gateways, all default rules: no false episode, and one for the thirty that fall silent."""
    sizes = ["--points", "60", "--per-firm", "30", "--days", "3", "--hours", "1"]
    argv = [sys.executable, "-m", "cli.main", "bench", "alerts", *sizes, "--var", str(var), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["points"], result["buckets"]) == (60, 4)
    assert result["seconds_per_bucket"] > 0
    assert result["false_episodes"] == 0
    assert (result["storm_points"], result["storm_episodes"], result["storm_covered"]) == (30, 1, 30)
