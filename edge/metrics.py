"""What an edge tells Prometheus. `edge` is `{park}/{firm}/{edge}`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

POLLS = Counter("greenpark_edge_polls_total", "Polls of a device by outcome", ("edge", "device", "outcome"))
POLL_SECONDS = Histogram("greenpark_edge_poll_seconds", "Time to read a device", ("edge",))
TICKS_SKIPPED = Counter("greenpark_edge_ticks_skipped_total", "Polls left out: the one before took too long", ("edge",))
READINGS = Counter("greenpark_edge_readings_total", "Readings written to disk", ("edge",))
READINGS_ABSENT = Counter("greenpark_edge_readings_absent_total", "Points that gave no value", ("edge", "reason"))
BUFFER_BATCHES = Gauge("greenpark_edge_buffer_batches", "Batches on disk", ("edge",))
BUFFER_BYTES = Gauge("greenpark_edge_buffer_bytes", "Payload on disk", ("edge",))
GIVEN_UP_BATCHES = Counter("greenpark_edge_given_up_batches_total", "Oldest batches given up, full", ("edge",))
GIVEN_UP_READINGS = Counter("greenpark_edge_given_up_readings_total", "Readings given up, full", ("edge",))
SENT = Counter("greenpark_edge_sent_batches_total", "Batches handed to the broker by kind", ("edge", "kind"))
COMMITTED_BATCHES = Counter("greenpark_edge_committed_batches_total", "Batches covered by the watermark", ("edge",))
COMMITTED_READINGS = Counter("greenpark_edge_committed_readings_total", "Readings covered by the watermark", ("edge",))
IN_FLIGHT = Gauge("greenpark_edge_in_flight_batches", "Batches sent and not covered yet", ("edge",))
WATERMARK_SECONDS = Gauge("greenpark_edge_watermark_timestamp_seconds", "When the watermark last came", ("edge",))
CONNECTED = Gauge("greenpark_edge_connected", "1 while the broker is connected", ("edge",))
CONNECTIONS = Counter("greenpark_edge_connections_total", "Connections made to the broker", ("edge",))
CLOCK_STEPS = Counter("greenpark_edge_clock_steps_total", "Steps of the wall clock", ("edge",))
