"""A park in which nothing goes wrong makes no alert."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack


@pytest.mark.timeout(200)
def test_every_trade_works_for_two_days_without_an_alert(components: Any) -> None:
    """The short form of the quiet month: one firm of each of the thirteen trades."""
    var = Path(tempfile.mkdtemp(prefix="greenpark-quiet-"))
    var.chmod(0o755)
    try:
        (var / "components").symlink_to(Path(__file__).resolve().parents[2] / "var" / "components")
        sizes = ["--firms", "13", "--days", "2"]
        argv = [sys.executable, "-m", "cli.main", "simulate", "quiet", *sizes, "--var", str(var), "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(done.stdout)
        assert (found["firms"], found["days"], found["false"]) == (13, 2, 0)
    finally:
        shutil.rmtree(var, ignore_errors=True)
