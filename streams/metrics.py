"""What the processors tell Prometheus."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKETS_WRITTEN: Final = Counter("greenpark_streams_buckets_written", "Ledger rows that were new or changed.")
REVISIONS: Final = Counter("greenpark_streams_revisions", "Closed buckets that changed after they were published.")
PASS_SECONDS: Final = Histogram(
    "greenpark_streams_pass_seconds", "Time of one firm's pass.", buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
)
WAITED_SECONDS: Final = Histogram(
    "greenpark_streams_waited_seconds",
    "Age of the oldest live reading when its indicators were written.",
    buckets=(0.1, 0.3, 0.5, 1, 2, 3, 5, 10, 30),
)
WAITING_FIRMS: Final = Gauge("greenpark_streams_waiting_firms", "Firms with something to compute.")
FAILING: Final = Gauge("greenpark_streams_failing", "Firms and parks whose last computation failed; they rest.")
FAILED_PASSES: Final = Counter("greenpark_streams_failed_passes", "Passes rolled back; their work waits again.")
STAGE_SECONDS: Final = Counter("greenpark_streams_stage_seconds", "Time spent in each stage of the passes.", ["stage"])


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the time of a block to a stage."""
    began = time.perf_counter()
    try:
        yield
    finally:
        STAGE_SECONDS.labels(name).inc(time.perf_counter() - began)
