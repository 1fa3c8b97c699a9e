"""Waiting for an event or a while, whichever comes first."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def either(first: asyncio.Event, second: asyncio.Event) -> None:
    """Wait until one of two events is set."""
    tasks = [asyncio.ensure_future(event.wait()) for event in (first, second)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def happens(event: asyncio.Event, within_s: float) -> bool:
    """Wait until the event is set, at most `within_s`; tell whether it is.

    `asyncio.wait_for` would do, but in Python 3.11 it swallows a cancellation that meets the event.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(max(within_s, 0.0)):
            await event.wait()
    return event.is_set()
