"""Inputs that broke something somewhere: each is stored or held with a reason, and never harms its neighbours.

A file of `corpus/` is one payload; its name begins with what must become of it. Add what you find in the wild.
"""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ingest.decode import Readings, Rejected
from park.wire import JSON, MSGPACK, Reason

if TYPE_CHECKING:
    from ingest.commit import Arrival
    from tests.ingest.conftest import House

pytestmark = pytest.mark.stack
CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
MEMORY_B = 48 * 1024 * 1024
TOPICS = [
    "",
    "/",
    "greenpark",
    "greenpark/1/testpark/a/gw1",
    "greenpark/1/testpark/a/gw1/data/",
    "greenpark/1/testpark/a/gw1/data/more",
    "greenpark/1/testpark/a/gw1/DATA",
    "greenpark/2/testpark/a/gw1/data",
    "Greenpark/1/testpark/a/gw1/data",
    "greenpark/1/testpark/a//data",
    "greenpark/1/testpark/../gw1/data",
    "greenpark/1/testpark/+/gw1/data",
    "greenpark/1/testpark/a/#/data",
    "greenpark/1/testpark/a/gw1\0/data",
    "greenpark/1/testpark/a/gw1 /data",
    "greenpark/1/testpark/a/园/data",
    "greenpark/1/testpark/a/" + "x" * 60_000 + "/data",
    "$SYS/broker/uptime",
]


def arrival_of(house: House, file: Path) -> Arrival:
    return house.arrival(file.read_bytes(), content_type=MSGPACK if file.suffix == ".msgpack" else JSON)


async def test_every_input_of_the_corpus_ends_as_its_name_says(house: House) -> None:
    """All in one transaction: the good are stored, the others held with a reason, none stops another."""
    arrivals = [arrival_of(house, file) for file in CORPUS]
    for file, arrival in zip(CORPUS, arrivals, strict=True):
        good = isinstance(arrival.decoded, Readings) and arrival.decoded.rejected is None
        assert good == file.name.startswith("stored-"), (file.name, arrival.decoded)
    outcome = await house.write(*arrivals)
    good = [file for file in CORPUS if file.name.startswith("stored-")]
    assert outcome.batches == len(good) > 10
    assert sum(outcome.quarantined.values()) == await house.count("quarantine") == len(CORPUS) - len(good)
    rows = await house.connection.fetch("SELECT reason, detail, payload FROM quarantine")
    assert {row["reason"] for row in rows} <= {reason.value for reason in Reason}
    assert all(row["detail"] for row in rows)
    assert {bytes(row["payload"]) for row in rows} == {file.read_bytes() for file in CORPUS} - {
        file.read_bytes() for file in good
    }
    assert outcome.readings == await house.count("reading") > len(good)


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_no_input_takes_much_memory(file: Path) -> None:
    """A few bytes that promise four thousand million elements get none of them."""
    from ingest.decode import Registry, decode  # noqa: PLC0415 - measured alone

    payload = file.read_bytes()
    kind = MSGPACK if file.suffix == ".msgpack" else JSON
    tracemalloc.start()
    try:
        decode("greenpark/1/testpark/a/gw1/data", payload, kind, Registry(), 1_763_625_600_000, future_limit_ms=600_000)
        _, peak_b = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_b < MEMORY_B


async def test_a_topic_that_is_none_of_ours_is_held_with_the_good_beside_it(house: House) -> None:
    """Whatever the topic is, the message is kept and says where it came from."""
    payload = json.dumps({"points": ["gw1-E0"], "t": [house.now_ms], "v": [1.5]}).encode()
    arrivals = [house.arrival(payload)]
    arrivals += [house.arrival_at(topic, payload) for topic in TOPICS]
    for arrival in arrivals[1:]:
        assert isinstance(arrival.decoded, Rejected), arrival.topic
    outcome = await house.write(*arrivals)
    assert (outcome.readings, sum(outcome.quarantined.values())) == (1, len(TOPICS))
    assert await house.count("quarantine") == len(TOPICS)
