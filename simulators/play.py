"""Playing a stream: in real time, faster, or as fast as the other side takes it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from simulators.stream import Delivery


async def play(
    deliveries: Iterable[Delivery],
    send: Callable[[Delivery], Awaitable[None]],
    *,
    speed: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Send every message at its time.

    Args:
        deliveries: by time of arrival, as in `Stream.deliveries` or from `stream.load`.
        send: sends one message; what it waits for slows the stream only where `speed` is None.
        speed: 1 is real time, 60 an hour a minute; None: each message as soon as the one before has been sent.
        progress: called about once a second with the number of messages and the time of the last one (µs).
        monotonic: seconds that never go back.

    Returns:
        How many messages were sent.
    """
    sent, began, first_us = 0, monotonic(), None
    told = began
    async with asyncio.TaskGroup() as tasks:
        for delivery in deliveries:
            first_us = delivery.at_us if first_us is None else first_us
            if speed is None:
                await send(delivery)
            else:
                wait_s = (delivery.at_us - first_us) / 1e6 / speed - (monotonic() - began)
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                tasks.create_task(_sent(send, delivery), name=f"play {sent}")
            sent += 1
            if progress is not None and monotonic() - told >= 1.0:
                told = monotonic()
                progress(sent, delivery.at_us)
    return sent


async def _sent(send: Callable[[Delivery], Awaitable[None]], delivery: Delivery) -> None:
    await send(delivery)
