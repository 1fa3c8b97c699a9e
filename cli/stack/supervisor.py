"""Services started in order, watched, started again where asked, and stopped in reverse order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from cli.stack.errors import ProcessExitedError, StackError
from cli.stack.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Service(Protocol):
    """Something that a `Supervisor` starts, watches and stops."""

    @property
    def name(self) -> str: ...

    @property
    def running(self) -> bool: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def wait(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Restart:
    """Start a service again when it ends: at most `most` times within `window_s`."""

    most: int = 5
    window_s: float = 60.0
    delay_s: float = 0.5


class Supervisor:
    """Starts services in order, watches them, and stops what it started in reverse order.

    Use as an asynchronous context manager: leaving it, by whatever way, stops everything.
    """

    def __init__(self, *, on_event: Callable[[str, str], None] = lambda _name, _event: None) -> None:
        """`on_event` is told (name, "started" | "ended" | "restarted" | "given up" | "stopped")."""
        self._on_event = on_event
        self._services: dict[str, Service] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[ProcessExitedError] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()

    @property
    def services(self) -> dict[str, Service]:
        """What was started and not stopped, by name, in the order of starting."""
        return dict(self._services)

    async def start(self, service: Service, *, restart: Restart | None = None) -> None:
        """Start a service, wait until it is ready, and watch it from then on.

        Raises:
            ValueError: a service of this name is here already.
            ProcessError: it did not become ready.
        """
        if service.name in self._services:
            raise ValueError(f"a service named {service.name} was started already")
        self._services[service.name] = service
        try:
            await service.start()
        except BaseException:
            del self._services[service.name]
            raise
        self._on_event(service.name, "started")
        self._watchers[service.name] = asyncio.create_task(self._watch(service, restart), name=f"watch {service.name}")

    async def stop(self, name: str) -> None:
        """Stop one service; unknown names are ignored."""
        service = self._services.pop(name, None)
        watcher = self._watchers.pop(name, None)
        if watcher is not None:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        if service is not None:
            await service.stop()
            self._on_event(name, "stopped")

    async def stop_all(self) -> None:
        """Stop everything that was started here, last first; one failure does not keep the others alive."""
        errors: list[BaseException] = []
        cancelled = False
        for name in reversed(list(self._services)):
            stopping = asyncio.create_task(self.stop(name), name=f"stop {name}")
            while not stopping.done():
                try:
                    await asyncio.wait((stopping,))
                except asyncio.CancelledError:  # an impatient second Ctrl-C: each stop has its own limit
                    cancelled = True
            if (error := stopping.exception()) is not None:
                errors.append(error)
        if cancelled:
            raise asyncio.CancelledError
        if errors:
            raise BaseExceptionGroup("some services did not stop cleanly", errors)

    async def failed(self) -> ProcessExitedError:
        """Wait until a watched service has ended for good, unasked."""
        return await asyncio.shield(self._failure_future())

    def _failure_future(self) -> asyncio.Future[ProcessExitedError]:
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    async def _watch(self, service: Service, restart: Restart | None) -> None:
        ends: deque[float] = deque()
        while True:
            code = await service.wait()
            self._on_event(service.name, "ended")
            now = time.monotonic()
            ends.append(now)
            while restart is not None and now - ends[0] > restart.window_s:
                ends.popleft()
            if restart is None or len(ends) > restart.most:
                break
            await asyncio.sleep(restart.delay_s)
            try:
                await service.start()
            except StackError:
                continue  # counted as another end by the next wait()
            self._on_event(service.name, "restarted")
        self._on_event(service.name, "given up")
        failure = self._failure_future()
        if not failure.done():
            log = service.spec.log if isinstance(service, Child) else None
            said = service.said if isinstance(service, Child) else ""
            failure.set_result(ProcessExitedError(service.name, code=code, log=log, tail=said))
