"""Settings of one ingest worker."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """What one worker needs.

    Attributes:
        database_url: `postgresql://user:password@host:port/database`.
        broker_url: `mqtt://user:password@host:port`, or `mqtts://` for TLS; user and password percent-encoded.
        worker: names this worker among those that share the load; stable over restarts, because the broker keeps what
            a worker has not acknowledged under its name. Letters, digits, `-`, `_`.
        ca_file: certificates to trust instead of the system's.
        share_group: workers of one group get each message once among them.
        session_expiry_s: how long the broker keeps what waits for an absent worker.
        receive_maximum: messages the broker may send before the first is acknowledged; with `max_unacked_bytes` this
            bounds memory. The broker's own `max_inflight_messages` bounds it too, and throughput with it.
        max_unacked_bytes: beyond this, nothing more is read from the socket until something is committed.
        max_messages, max_bytes: the most that goes into one transaction.
        linger_s: how long a transaction waits for company.
        lanes: transactions under way at the same time; while one commits, the next is decoded.
        future_limit_s: readings further ahead of our clock go to quarantine.
        transaction_limit_s: a transaction that takes longer is given up and tried again.
        registry_interval_s: how often new points and edges are looked for even if no message names them.
        watermark_interval_s: at most one watermark for each edge in this time.
        summary_interval_s: how often a summary is logged.
    """

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    worker: str = "1"
    ca_file: str | None = None
    share_group: str = "ingest"
    session_expiry_s: int = 14 * 86_400
    keepalive_s: int = 30
    receive_maximum: int = 10_000
    max_unacked_bytes: int = 64 * 1024 * 1024
    max_messages: int = 5_000
    max_bytes: int = 16 * 1024 * 1024
    linger_s: float = 0.05
    lanes: int = 2
    future_limit_s: float = 600.0
    transaction_limit_s: float = 60.0
    registry_interval_s: float = 30.0
    watermark_interval_s: float = 0.2
    summary_interval_s: float = 60.0
