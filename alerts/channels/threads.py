"""Work that blocks, in threads, with a time limit.

A thread cannot be ended. One whose time is over is left behind and keeps its place until it comes back; when all places
are taken, new work is refused at once. The threads are daemons, so one that hangs does not keep the process from
ending.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from alerts.errors import ChannelError

if TYPE_CHECKING:
    from collections.abc import Callable


class Threads:
    """At most `most` threads, each given `timeout_s` seconds."""

    def __init__(self, most: int, timeout_s: float) -> None:
        """Start nothing yet."""
        self.timeout_s = timeout_s
        self._most = most
        self._places = threading.Semaphore(most)

    async def run(self, work: Callable[[], None]) -> None:
        """Run work in a thread.

        Raises:
            ChannelError: its time is over, or too many still hang.
            whatever the work raises.
        """
        if not self._places.acquire(blocking=False):
            raise ChannelError(f"{self._most} earlier sends still hang; see channel_threads")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[BaseException | None] = loop.create_future()

        def settle(outcome: BaseException | None) -> None:
            if not done.done():
                done.set_result(outcome)

        def body() -> None:
            outcome: BaseException | None = None
            try:
                work()
            except BaseException as error:  # noqa: BLE001  (it is raised again where it is waited for)
                outcome = error
            finally:
                self._places.release()
            try:
                loop.call_soon_threadsafe(settle, outcome)
            except RuntimeError:
                return  # the loop has ended meanwhile: nobody waits

        threading.Thread(target=body, name="alerts channel", daemon=True).start()
        finished: set[Any]
        finished, _ = await asyncio.wait({done}, timeout=self.timeout_s)
        if not finished:
            done.cancel()
            raise ChannelError(f"no answer within {self.timeout_s:g} s")
        outcome = done.result()
        if outcome is not None:
            raise outcome
