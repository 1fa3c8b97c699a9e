"""The whole way, as a person starts it: from a meter to a delivered alert, through a killed process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(300)]

LIVE_S = 40


def start(var: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the demonstration as the command line does."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "demo", "--var", str(var), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")},
    )


def wait_live(demo: subprocess.Popen[str], limit_s: float = 150) -> float:
    """Read what it says until it is live; return how long that took."""
    began = time.monotonic()
    assert demo.stderr is not None
    said = []
    for line in demo.stderr:
        said.append(line)
        if line.startswith("live after"):
            return time.monotonic() - began
        assert time.monotonic() - began < limit_s, line
    raise AssertionError(f"it ended before it was live: {''.join(said)}")


def pid_of(var: Path, name: str) -> int:
    """Return the process id that the run directory records."""
    return json.loads((var / "run" / f"{name}.pid").read_text())["pid"]


def ours(var: Path) -> list[str]:
    """Return the command lines of running processes that belong to this directory."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and int(process.name) != os.getpid():
                text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                if str(var).encode() in text:
                    found.append(text[:200].decode(errors="replace"))
        except OSError:
            continue
    return found


def wait_gone(var: Path, limit_s: float = 20) -> list[str]:
    """Wait until nothing of this directory runs; return what still does."""
    deadline = time.monotonic() + limit_s
    while (left := ours(var)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def look(var: Path) -> dict:
    """Open the board as a browser on this machine does, without a token; return what it shows."""
    port = json.loads((var / "ports.json").read_text())["api"]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as browser:
        assert browser.get("/").status_code == 200
        assert browser.get("/board/session").json()["signed_in"]
        return browser.get("/board/state").json()


@pytest.fixture(scope="module")
def killed_run(var: Path) -> dict:
    """A demonstration that was killed with -9 while it laid down the past."""
    demo = start(var)
    assert demo.stderr is not None
    for line in demo.stderr:
        if line.startswith("a year of history"):
            break
    time.sleep(5)
    demo.kill()
    demo.communicate()
    return {"left": wait_gone(var), "scene": json.loads((var / "demo" / "scene.json").read_text())}


@pytest.fixture(scope="module")
def first_run(var: Path, killed_run: dict) -> dict:
    """A run that goes on from there, whose ingest is killed in the middle; a second start is tried beside it."""
    report = var / "r.json"
    demo = start(var, "--seconds", str(LIVE_S), "--report", str(report))
    try:
        live_after_s = wait_live(demo)
        board = look(var)
        time.sleep(12)
        killed = pid_of(var, "ingest")
        os.kill(killed, signal.SIGKILL)
        beside = start(var, "--seconds", "1")
        _, said = beside.communicate(timeout=30)
        _, rest = demo.communicate(timeout=LIVE_S + 60)
    finally:
        demo.kill()
    assert demo.returncode == 0, rest
    return {
        "live_after_s": live_after_s,
        "board": board,
        "report": json.loads(report.read_text()),
        "beside": (beside.returncode, said),
        "left": ours(var),
        "ingest_log": (var / "log" / "ingest.log").read_text(),
    }


def test_a_demo_killed_while_it_lays_down_the_past_leaves_nothing_and_goes_on(
    killed_run: dict, first_run: dict, var: Path
) -> None:
    """All that it started ends with it, and the next start finishes the past of the same meters."""
    assert killed_run["left"] == []
    scene = json.loads((var / "demo" / "scene.json").read_text())
    assert scene == killed_run["scene"] | {"laid": True}
    assert first_run["report"]["standings"] > 0


def test_a_killed_ingest_loses_and_doubles_nothing(first_run: dict) -> None:
    """Every reading that an edge wrote is stored, once, although ingest was killed with -9."""
    readings = first_run["report"]["readings"]
    assert readings["committed"] == readings["sent"] > 1000
    assert (readings["doubled"], readings["quarantined"], readings["conflicting"]) == (0, 0, 0)
    assert first_run["ingest_log"].count('"event": "started"') >= 2


def test_readings_reach_indicators_standings_and_people(first_run: dict) -> None:
    """The staged pump failure opens an episode that arrives at the receiver."""
    report = first_run["report"]
    assert report["indicators"] > 1000
    assert report["standings"] > 0
    assert report["standing_states"]["undefined"] >= 2
    assert report["alerts"]["opened"] > 0
    assert report["alerts"]["delivered"] > 0


def test_the_board_opens_by_itself_and_is_full(first_run: dict) -> None:
    """Whoever opens the printed address sees the park: its targets, its flows, a day's load and the meters' health."""
    board = first_run["board"]
    assert board["head"]["park"]["code"] == "demo"
    assert any(item["state"] != "undefined" for item in board["targets"]["items"])
    assert len(board["flow"]["day"]["links"]) > 10
    assert sum(value is not None for value in board["load"]["v"]) > 90
    assert board["load"]["now"]["v"] > 0
    assert board["health"]["edges"] == 10


def test_a_second_start_beside_the_first_is_refused(first_run: dict) -> None:
    """One clear line names the process that works there."""
    code, said = first_run["beside"]
    assert code == 1
    assert "is in use by process" in said
    assert "Traceback" not in said


def test_it_leaves_nothing_running(first_run: dict) -> None:
    """When it ends, so has everything that it started."""
    assert first_run["left"] == []


def test_a_second_start_is_quick_and_ctrl_c_ends_it_cleanly(first_run: dict, var: Path) -> None:
    """History is there already; Ctrl-C reports and stops all it started."""
    demo = start(var)
    live_after_s = wait_live(demo)
    assert live_after_s < 10
    time.sleep(5)
    demo.send_signal(signal.SIGINT)
    out, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    report = json.loads(out[out.index("\n{") :])
    assert report["readings"]["committed"] == report["readings"]["sent"] > 0
    assert report["latency_s"]["device_to_queryable_p99"] < 2
    assert report["latency_s"]["reading_to_indicator_p99"] < 5
    assert ours(var) == []


def test_ctrl_c_while_the_stage_is_set_leaves_nothing(first_run: dict, var: Path) -> None:
    """An early Ctrl-C says so and leaves nothing behind."""
    demo = start(var)
    time.sleep(1.2)
    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode in {0, 130}, said
    assert "Traceback" not in said
    assert ours(var) == []
