"""What the HTTP interface needs to be told."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the `api` room.

    Attributes:
        database_url: where the store is; the log-in must be a member of `greenpark_service`.
        host, port: where to listen. Loopback by default: put a TLS proxy in front for other machines.
        pool_size: database connections, and so requests that read at once.
        max_body_bytes: larger request bodies are refused.
        grace_s: how long running requests may go on after stop.
    """

    database_url: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    pool_size: int = 8
    max_body_bytes: int = 16_384
    grace_s: int = 10
