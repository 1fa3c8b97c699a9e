"""What the alerts room tells Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

PASS_SECONDS: Final = Histogram(
    "greenpark_alerts_pass_seconds", "Time of one evaluation pass.", buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
)
TRANSITIONS: Final = Counter("greenpark_alerts_transitions", "Changes of an episode's state.", ["to_state"])
BROKEN_RULES: Final = Gauge("greenpark_alerts_broken_rules", "Current rules that this program cannot read.")
FAILED_PASSES: Final = Counter("greenpark_alerts_failed_passes", "Passes that a lost database ended.", ["loop"])
SENT: Final = Counter("greenpark_alerts_sent", "Attempts to hand a message over.", ["channel", "result"])
SEND_SECONDS: Final = Histogram(
    "greenpark_alerts_send_seconds",
    "Time a channel took to hand one message over or fail.",
    ["channel"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
EXPIRED: Final = Counter("greenpark_alerts_expired", "Messages given up because their time had passed.")
WAITING: Final = Gauge("greenpark_alerts_waiting_messages", "Messages that are not delivered yet.")
OLDEST_WAITING_SECONDS: Final = Gauge("greenpark_alerts_oldest_waiting_seconds", "Age of the oldest waiting message.")
HELD: Final = Counter("greenpark_alerts_held", "Messages held back to come in a summary.", ["reason"])
SUMMARIES: Final = Counter("greenpark_alerts_summaries", "Summaries of messages that were held back.")
ESCALATED: Final = Counter("greenpark_alerts_escalated", "Episodes that went a step up because nobody acknowledged.")
DIGESTS: Final = Counter("greenpark_alerts_digests", "Digests put into the outbox.", ["kind"])
FAILING_CHANNELS: Final = Gauge("greenpark_alerts_failing_channels", "Recipients whose channel takes no messages now.")
