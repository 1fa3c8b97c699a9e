"""The short form of the crash and outage benchmarks: what is stored is exactly what was read, whatever dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]


def bench(var: Path, *arguments: str) -> dict[str, Any]:
    """Run a benchmark as the command line does, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "bench", *arguments, "--json", "--var", str(var)],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_killed_processes_and_cut_connections_lose_and_double_nothing(var: Path) -> None:
    """Edges, broker, two ingest workers and the database are killed with -9 under load, connections are cut."""
    found = bench(var, "crash", "--kills", "8", "--cuts", "4", "--gap", "0.8", "--resend", "2")
    assert found["kills"] == 8
    assert sum(found["hits"].values()) == 8
    assert found["connections_cut"] > 0
    assert found["generated"] == found["stored"] > 1000
    assert (found["lost"], found["doubled"], found["altered"], found["conflicts"], found["quarantined"]) == (0,) * 5
    assert found["drain_s"] < 60


def test_outages_end_in_exact_equality_with_live_readings_first(var: Path) -> None:
    """Database away, broker away, edges back with a backlog: all of it arrives, once, and what is new does not wait."""
    found = bench(var, "outage", "--seconds", "3", "--hours", "1", "--edges", "2", "--points", "20", "--resend", "2")
    database, broker, offline = found["outages"]
    for outage in (database, broker, offline):
        assert outage["generated"] == outage["stored"] > 100
        assert (outage["lost"], outage["doubled"], outage["altered"]) == (0, 0, 0)
    assert database["waiting"] > 30
    assert offline["generated"] >= 2 * 360 * 20
    assert offline["live_p99_s"] < 5
