"""What the HTTP interface needs to be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  (settings are converted from text by these types)


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the `api` room.

    Attributes:
        database_url: where the store is; the log-in must be a member of `greenpark_service`.
        host, port: where to listen. Loopback by default: put a TLS proxy in front for other machines.
        pool_size: database connections, and so requests that read at once.
        max_body_bytes: larger request bodies are refused.
        grace_s: how long running requests may go on after stop.
        board_token_file: a file with a token that the live board uses for browsers on this very machine that bring
            none. For a demonstration or a screen of its own; None: everybody signs in with a token.
        board_gap_s: least time between two states of a live board.
        board_clients: pages with a live board at once.
    """

    database_url: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    pool_size: int = 8
    max_body_bytes: int = 16_384
    grace_s: int = 10
    board_token_file: Path | None = None
    board_gap_s: float = 1.0
    board_clients: int = 200
