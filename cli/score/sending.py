"""Sends a scenario's stream to the broker as its edges would: one connection an edge, in order, acknowledged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiomqtt

from park.wire import parse_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simulators.stream import Delivery

_WINDOW: Final = 16
"""Batches of an edge under way at once: four hours of quarter hours, less than what counts as late."""


async def send(
    deliveries: Sequence[Delivery],
    passwords: Mapping[str, str],
    *,
    port: int,
    host: str = "127.0.0.1",
    progress: Callable[[int], None] = lambda _sent: None,
) -> None:
    """Send every delivery as fast as the broker acknowledges; each edge's own order is kept.

    Args:
        deliveries: in order of arrival.
        passwords: of each edge's user, by `park/firm/edge`.
        port: of the broker.
        host: of the broker.
        progress: told of every hundred messages.
    """
    by_edge: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        by_edge.setdefault(parse_topic(delivery.topic).user, []).append(delivery)
    async with asyncio.TaskGroup() as group:
        for user, mine in by_edge.items():
            group.create_task(_edge(user, passwords[user], mine, host, port, progress), name=f"send {user}")


async def _edge(
    user: str, password: str, deliveries: Sequence[Delivery], host: str, port: int, progress: Callable[[int], None]
) -> None:
    window = asyncio.Semaphore(_WINDOW)
    async with aiomqtt.Client(
        host,
        port,
        username=user,
        password=password,
        identifier=f"score-{user}",
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=60,
        max_queued_outgoing_messages=0,
    ) as client:
        # aiomqtt warns of many publish calls under way; here they are bounded by the window.
        client.pending_calls_threshold = _WINDOW + 1

        async def one(delivery: Delivery) -> None:
            try:
                await client.publish(delivery.topic, delivery.payload(), qos=1)
            finally:
                window.release()

        async with asyncio.TaskGroup() as group:
            for k, delivery in enumerate(deliveries, 1):
                await window.acquire()
                # Tasks start in the order of their making, so the edge's order is kept.
                group.create_task(one(delivery))
                if k % 100 == 0:
                    progress(100)
        progress(len(deliveries) % 100)
