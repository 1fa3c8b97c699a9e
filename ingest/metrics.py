"""What ingest shows to Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MESSAGES: Final = Counter("greenpark_ingest_messages_total", "Messages taken from the broker and done with")
READINGS: Final = Counter("greenpark_ingest_readings_total", "Readings newly stored")
DUPLICATES: Final = Counter("greenpark_ingest_duplicate_messages_total", "Messages that had been stored before")
CONFLICTS: Final = Counter(
    "greenpark_ingest_conflicting_readings_total", "Readings kept aside because the stored one differs"
)
COLLISIONS: Final = Counter(
    "greenpark_ingest_copy_collisions_total", "Straight copies taken back because a reading was there already"
)
QUARANTINED: Final = Counter("greenpark_ingest_quarantined_messages_total", "Messages put into quarantine", ["reason"])
TAKEN_OVER: Final = Counter(
    "greenpark_ingest_sessions_taken_over_total", "Times that another worker of our name threw us out at the broker"
)
WATERMARKS: Final = Counter("greenpark_ingest_watermarks_published_total", "Committed watermarks told to edges")
TRANSACTION_S: Final = Histogram(
    "greenpark_ingest_transaction_seconds",
    "Time of a committed transaction",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0),
)
TRANSACTION_MESSAGES: Final = Histogram(
    "greenpark_ingest_transaction_messages",
    "Messages stored together",
    buckets=(1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000),
)
TRANSACTION_READINGS: Final = Histogram(
    "greenpark_ingest_transaction_readings",
    "Readings newly stored together",
    buckets=(0, 10, 100, 1_000, 10_000, 30_000, 100_000, 300_000),
)
LAG_S: Final = Histogram(
    "greenpark_ingest_lag_seconds",
    "From receiving a message to its commit, the oldest of each transaction",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0),
)
SENT_LAG_S: Final = Gauge(
    "greenpark_ingest_sent_lag_seconds", "From the edge's first sending to the commit, newest batch, edge's clock"
)
UNACKED_MESSAGES: Final = Gauge("greenpark_ingest_unacknowledged_messages", "Messages received but not acknowledged")
UNACKED_BYTES: Final = Gauge("greenpark_ingest_unacknowledged_bytes", "Payload bytes received but not acknowledged")
CONNECTED: Final = Gauge("greenpark_ingest_connected", "1 while the broker sends us messages")
EDGES: Final = Gauge("greenpark_ingest_known_edges", "Edges in the registry")
WATERMARKS_PENDING: Final = Gauge("greenpark_ingest_watermarks_pending", "Watermarks not told yet")
