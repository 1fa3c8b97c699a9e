"""The process: opens the pool, listens, answers until it is told to stop, then finishes what it began."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import structlog
import uvicorn

from api.app import create_app
from api.errors import ListenError
from store.browse import check_ready
from store.errors import StoreError
from store.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.settings import ApiSettings

_log = structlog.get_logger()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the command owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def run(settings: ApiSettings, *, stop: asyncio.Event) -> None:
    """Serve until `stop` is set.

    The database may come later or go away: requests get a problem document meanwhile and `/readyz` says what is
    missing.

    Raises:
        ListenError: the address is taken or not ours.
    """
    listener = _listen(settings.host, settings.port)
    with contextlib.closing(listener):
        pool_context = open_pool(
            settings.database_url,
            application="greenpark api",
            min_size=0,
            max_size=settings.pool_size,
            read_only=True,
        )
        async with pool_context as pool:
            try:
                await check_ready(pool)
            except StoreError as error:
                _log.warning("api.not_ready", reason=str(error))
            app = create_app(settings, pool)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=settings.grace_s,
            )
            server = _Server(config)
            host, port = listener.getsockname()[:2]
            _log.info("api.listening", host=host, port=port)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(sockets=[listener]), name="api serve")
                # The hub ends first: the streams of open boards would hold up the server's end.
                others = [
                    group.create_task(app.state.hub.run(stop), name="api board"),
                    group.create_task(_stop_when(stop, server), name="api stop"),
                ]
                serving.add_done_callback(lambda _: [other.cancel() for other in others])
            _log.info("api.stopped")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.setblocking(False)  # noqa: FBT003  (the socket interface)
    except OSError as error:
        listener.close()
        raise ListenError(host, port, error) from error
    return listener


async def _stop_when(stop: asyncio.Event, server: uvicorn.Server) -> None:
    await stop.wait()
    server.should_exit = True
