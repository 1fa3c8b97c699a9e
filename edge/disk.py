"""The buffer behind a thread of its own.

A sync takes 1 ms on a server's SSD and 10 to 100 ms on a gateway's flash card; in the event loop it would hold up every
meter's time-out. One thread per buffer also keeps the order of calls.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.buffer import Buffer

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """Runs the methods of one `Buffer` one after the other, off the event loop."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="edge-buffer")

    async def call(self, method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a method of the buffer. Cancelling the wait does not undo it."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: method(*args, **kwargs))

    async def close(self) -> None:
        """Wait for what is running, and close the file."""
        try:
            await asyncio.shield(self.call(self.buffer.close))
        finally:
            self._executor.shutdown(wait=False)
