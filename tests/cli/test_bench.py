"""The benchmarks run and their figures fit together; how fast they are is not judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cli.bench.ingest import IngestBench
from cli.bench.load import Senders, Shape, Timing
from cli.bench.overload import _Backlog
from cli.errors import RefusedError
from park.wire import MSGPACK, Committed, decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def var(components: Any, stack_places: Any) -> Iterator[Path]:
    """A var directory that shares the checkout's components."""
    root = stack_places.root / "bench-var"
    root.mkdir(exist_ok=True)
    link = root / "components"
    if not link.exists():
        link.symlink_to(CHECKOUT / "var/components")
    return root


def bench(var: Path, name: str, *options: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "cli.main", "bench", name, "--json", "--var", str(var), *options]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GREENPARK_")}
    done = subprocess.run(argv, capture_output=True, cwd=CHECKOUT, env=environ, check=False, timeout=100)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.stack
@pytest.mark.slow
def test_the_short_form_of_ingest_gives_every_figure(var: Path) -> None:
    """A grid, its ratio to COPY, and the latency at half of the maximum; nothing is lost."""
    found = bench(var, "ingest", "--seconds", "1", "--warm-up", "0.5", "--sizes", "10", "--workers", "2")
    assert {(cell["size"], cell["workers"]) for cell in found["grid"]} == {(10, 2)}
    assert found["lost"] == found["doubled"] == 0
    best = max(cell["readings_per_s"] for cell in found["grid"])
    assert found["readings_per_s"] == best > 0
    assert found["ratio_to_copy"] == pytest.approx(best / found["copy_readings_per_s"], abs=0.001)
    assert found["copy_readings_per_s"] >= max(rate["readings_per_s"] for rate in found["copy"]["tries"]) / 10
    (latency,) = found["latency"]
    assert 0 < latency["p50_s"] <= latency["p99_s"] <= latency["max_s"]
    assert found["device_to_queryable_p99_s"] == latency["p99_s"]
    assert latency["offered_per_s"] == pytest.approx(best / 2, rel=0.01)


@pytest.mark.stack
@pytest.mark.slow
def test_the_short_form_of_overload_loses_nothing(var: Path) -> None:
    """More than can be taken is offered; afterwards all of it is there, once, and the memory is told."""
    options = (
        "--seconds",
        "1",
        "--calibrate",
        "0.5",
        "--factor",
        "3",
        "--edges",
        "20",
        "--points",
        "100",
        "--size",
        "20",
    )
    found = bench(var, "overload", *options)
    assert found["lost"] == found["acknowledged_lost"] == found["doubled"] == 0
    assert found["offered"] == found["stored"] > 0
    assert found["offered_per_s"] > 2 * found["sustainable_per_s"]
    assert set(found["peak_rss_mb_of"]) == {"broker", "ingest", "postgres"}
    assert min(found["peak_rss_mb_of"].values()) > 1
    assert found["drain_s"] > 0


@pytest.mark.parametrize("size", [1, 5, 10])
async def test_senders_send_every_batch_once_and_can_send_it_again(size: int) -> None:
    """An edge's batches count up without a hole, its points are all there each round, and a repetition is the same."""
    shape = Shape(edges=3, points=10, size=size)
    senders = Senders(shape, Timing(1_000_000.0, 60_000.0), "boot")
    sent: dict[int, list[bytes]] = {edge: [] for edge in range(3)}

    class Link:
        def __init__(self, edge: int) -> None:
            self.edge = edge

        def publish(self, _head: bytes, tail: bytes, _tag: int) -> None:
            sent[self.edge].append(tail[tail.index(MSGPACK.encode()) + len(MSGPACK) :])

        def flush(self) -> None:
            pass

    senders._links = [Link(edge) for edge in range(3)]
    senders.send_to(2 * shape.messages - 1)
    senders.send_to(2 * shape.messages)
    for edge in range(3):
        batches = [decode_batch(payload, MSGPACK) for payload in sent[edge]]
        assert [batch.seq for batch in batches] == list(range(senders.batches_of(edge))) == list(range(20 // size))
        readings = {(code, t) for batch in batches for code, t in zip(batch.points, batch.t, strict=True)}
        assert len(readings) == 20
        assert [batch.t[0] for batch in batches] == np.rint(senders.due_ms(edge, np.arange(20 // size))).tolist()
        first = [(batch.points, batch.t, batch.v) for batch in batches]
        sent[edge].clear()
        senders.send_again(edge, np.arange(20 // size))
        again = [decode_batch(payload, MSGPACK) for payload in sent[edge]]
        assert [(batch.points, batch.t, batch.v) for batch in again] == first


def test_a_backlog_keeps_to_the_window_and_to_what_is_missing() -> None:
    """Oldest first, 64 in flight at most, nothing twice, nothing that the watermark covers."""
    backlog = _Backlog(0)
    mark = Committed("b", 10, [(12, 20), (30, 200)])
    first = backlog.due(mark, 300)
    assert first.tolist() == [10, 11, *range(20, 30), *range(200, 252)]
    assert backlog.due(mark, 300).tolist() == []
    later = Committed("b", 220)
    assert backlog.due(later, 300).tolist() == list(range(252, 284))
    assert backlog.due(Committed("b", 284), 300).tolist() == list(range(284, 300))


@pytest.mark.parametrize(
    "wrong", [{"sizes": (3,)}, {"workers": (2, 1)}, {"workers": (99,)}, {"seconds": 0.0}, {"edges": 0}]
)
def test_a_plan_that_cannot_be_measured_is_refused(wrong: dict[str, Any]) -> None:
    """What does not fit together is said before anything is started."""
    with pytest.raises(RefusedError):
        IngestBench(**wrong)
