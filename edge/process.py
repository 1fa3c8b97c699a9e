"""Edge agents as a process: one on a gateway, several in a demo."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from edge.agent import Agent
from edge.backoff import Backoff
from edge.buffer import Buffer, move_aside, new_boot
from edge.clock import Clock
from edge.config import check_configs
from edge.disk import Disk
from edge.errors import BufferCorruptError, BufferUnusableError, DiskBufferError, PushRefusedError
from edge.pushed import recalled
from edge.waiting import happens
from park.wire import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.config import EdgeConfig

_log = structlog.get_logger()


async def run(configs: Sequence[EdgeConfig], *, stop: asyncio.Event) -> None:
    """Run one agent per configuration until `stop` is set; then all write what they have and say offline.

    A broker or meter that is away is waited for. A damaged buffer is moved aside and reported.

    Raises:
        EdgeError: it cannot start: the configuration is wrong, or a buffer is unusable or in use.
    """
    check_configs(list(configs))
    opened: list[tuple[Disk, str | None]] = []
    try:
        for config in configs:
            disk, lost = await asyncio.to_thread(open_buffer, config)
            opened.append((disk, lost))
        agents = [_agent(config, disk) for config, (disk, _) in zip(configs, opened, strict=True)]
    except BaseException:
        for disk, _ in opened:
            await disk.close()
        raise
    async with asyncio.TaskGroup() as group:
        for agent, (disk, lost) in zip(agents, opened, strict=True):
            group.create_task(_keep(agent, disk, lost, stop), name=f"{agent.config.topic.user}: agent")


def _agent(config: EdgeConfig, disk: Disk) -> Agent:
    """Return the agent of a configuration, with what the park pushed last; where that is unusable, with the file's."""
    try:
        config, version = recalled(config)
    except PushRefusedError as error:
        _log.error("config_not_recalled", edge=config.topic.user, reason=str(error))
        version = 0
    return Agent(config, disk, version=version)


async def _keep(agent: Agent, disk: Disk, lost: str | None, stop: asyncio.Event) -> None:
    """Run the agent; when its buffer's file fails, open it again, or a new one, without touching its neighbours."""
    backoff = Backoff(1.0, 60.0, random.uniform)
    while True:
        try:
            # A task of its own: one whose group failed goes on counting as cancelled in Python 3.11, and in 3.11.2,
            # Debian 12's, its next time-out ends it without a word.
            attempt = _attempt(agent, disk, lost, stop)
            failed = await asyncio.create_task(attempt, name=f"{agent.config.topic.user}: attempt")
        finally:
            await disk.close()
        if failed is None:
            return
        while failed is not None:
            _log.error("buffer_failed", edge=agent.config.topic.user, reason=str(failed))
            if await happens(stop, backoff.next()):
                return
            try:
                disk, lost = await asyncio.to_thread(open_buffer, agent.config)
                failed = None
            except DiskBufferError as error:
                failed = error
        agent = Agent(agent.config, disk, version=agent.version)


async def _attempt(agent: Agent, disk: Disk, lost: str | None, stop: asyncio.Event) -> DiskBufferError | None:
    failed: list[DiskBufferError] = []
    try:
        if lost is not None:
            body: dict[str, str | float | int | bool | None] = {"cause": "its file was damaged", "kept_as": lost}
            await agent.uplink.report(Event("state_lost", disk.buffer.boot, Clock().now_ms(), body=body))
        await agent.run(stop)
    except* DiskBufferError as group:
        failed.append(_first(group))
    return failed[0] if failed else None


def _first(group: BaseExceptionGroup[DiskBufferError]) -> DiskBufferError:
    error: DiskBufferError | BaseExceptionGroup[DiskBufferError] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def open_buffer(config: EdgeConfig) -> tuple[Disk, str | None]:
    """Open an edge's buffer, making its directory and file if need be. Blocking.

    Returns:
        The buffer, and where a damaged file was moved to, if it was.

    Raises:
        BufferInUseError, BufferUnusableError
    """
    path = config.buffer.path
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BufferUnusableError(path, f"its directory cannot be made: {error.strerror}") from None
    try:
        return Disk(_open(config)), None
    except BufferCorruptError as error:
        kept_as = move_aside(path, str(Clock().now_ms()))
        _log.error("buffer_corrupt", edge=config.topic.user, reason=str(error), kept_as=kept_as)
        return Disk(_open(config)), kept_as


def _open(config: EdgeConfig) -> Buffer:
    limits = config.buffer
    return Buffer(
        limits.path,
        config.topic.user,
        lambda: new_boot(Clock().now_ms(), os.urandom(10)),
        max_bytes=limits.max_bytes,
        min_free_bytes=limits.min_free_bytes,
    )
