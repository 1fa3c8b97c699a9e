"""A TCP proxy on loopback that misbehaves on request: it cuts what passes, or holds it and then cuts."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine

_CHUNK_BYTES: Final = 65_536
_RESET_AT_ONCE: Final = struct.pack("ii", 1, 0)


class Proxy:
    """Passes on to `127.0.0.1:target`, from `port` once started; an absent target refuses."""

    def __init__(self, target: int) -> None:
        """Open nothing yet."""
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._links: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more and end every connection."""
        if self._server is not None:
            self._server.close()
        links = list(self._links)
        self.cut()
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def cut(self) -> int:
        """Reset every connection, with what is on the way in it; return how many there were."""
        count = 0
        for writers in list(self._links.values()):
            count += len(writers) > 1
            for writer in writers:
                _reset(writer)
        return count

    async def hold(self, seconds: float) -> int:
        """Let nothing through for a while, as a dead link would, then cut."""
        self._flowing.clear()
        try:
            await asyncio.sleep(seconds)
            return self.cut()
        finally:
            self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = (writer,)
        there: asyncio.StreamWriter | None = None
        try:
            answers, there = await asyncio.open_connection("127.0.0.1", self._target)
            self._links[task] = (writer, there)
            await _first_of(self._pump(reader, there), self._pump(answers, writer))
        except OSError:
            pass  # refused: so is the caller, below
        finally:
            del self._links[task]
            for end in (writer, there):
                if end is not None:
                    end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


async def _first_of(*coroutines: Coroutine[None, None, None]) -> None:
    """Wait until one has ended, then end the others."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.transport.is_closing():
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
    writer.transport.abort()
