"""Counts and times of requests, by route template, never by concrete path; and of the live board."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("greenpark_api_requests", "Requests answered.", ["method", "route", "status"])
DURATION_S = Histogram(
    "greenpark_api_request_duration_seconds",
    "From the request's head to the end of the answer.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
BOARD_CLIENTS = Gauge("greenpark_api_board_clients", "Pages that look at the live board.")
BOARD_SECONDS = Histogram(
    "greenpark_api_board_seconds",
    "To compute one state of the live board.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
BOARD_DROPPED = Counter("greenpark_api_board_dropped", "Pages that were dropped because they did not read.")
