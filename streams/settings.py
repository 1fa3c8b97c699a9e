"""What can be set for the processors."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StreamsSettings:
    """Settings of the streams room.

    Attributes:
        database_url: where the store is.
        poll_s: how often to look for work when no notification came.
        fine_hours: indicators of buckets and hours are kept up to date for so long; older ones by day and longer.
        values_s: how long indicators wait, each batch of firms anew, for ledgers that are behind.
        min_pass_s: least time between two passes, so that a fast park is computed in batches.
    """

    database_url: str = field(repr=False)
    poll_s: float = 2.0
    fine_hours: int = 48
    min_pass_s: float = 0.25
    values_s: float = 0.4
