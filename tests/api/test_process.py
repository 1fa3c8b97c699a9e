"""The process: listens, answers over a real socket, stops when told, and says clearly why it cannot start."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import structlog

from api.errors import ListenError
from api.process import run
from api.settings import ApiSettings

pytestmark = pytest.mark.stack


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def running(settings: ApiSettings):
    """The process in a task, with its stop."""
    stop = asyncio.Event()
    task = asyncio.create_task(run(settings, stop=stop))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client:
            for _ in range(200):
                with suppress(httpx.TransportError):
                    await client.get("/healthz")
                    break
                assert not task.done(), task.exception()
                await asyncio.sleep(0.02)
            yield client, stop, task
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def test_it_serves_until_it_is_told_to_stop(database_url: str) -> None:
    """Ready over a real socket; after stop the task ends and the port is free again."""
    settings = ApiSettings(database_url=database_url, port=free_port())
    async with running(settings) as (client, stop, task):
        assert (await client.get("/readyz")).status_code == 200
        stop.set()
        await asyncio.wait_for(asyncio.shield(task), 10)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", settings.port))


async def test_a_taken_port_is_named() -> None:
    """The error says the address and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}.*choose another port"):
            await run(ApiSettings(database_url="postgresql://x", port=port), stop=asyncio.Event())


async def test_without_a_database_it_is_alive_and_not_ready_and_keeps_the_password() -> None:
    """It starts, says 503 with a problem, and neither answer nor log shows the password."""
    settings = ApiSettings(database_url="postgresql://u:hunter2@127.0.0.1:1/x", port=free_port())
    with structlog.testing.capture_logs() as lines:
        async with running(settings) as (client, _, _):
            assert (await client.get("/healthz")).status_code == 200
            for path in ("/readyz", "/v1/firms"):
                answer = await client.get(path, headers={"Authorization": "Bearer gp_x"})
                assert answer.status_code == 503
                assert answer.json()["type"] == "/docs#problem-unavailable"
                assert "hunter2" not in answer.text
    assert "api.not_ready" in {line["event"] for line in lines}
    assert "hunter2" not in repr(lines)


async def test_a_request_that_fails_inside_is_a_problem_without_secrets(database_url: str, monkeypatch, caplog) -> None:
    """A mistake of ours answers 500 in the same form; the traceback in the log holds no token."""

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("api.access.grant_of", broken)
    settings = ApiSettings(database_url=database_url, port=free_port())
    with structlog.testing.capture_logs() as lines:
        async with running(settings) as (client, _, _):
            answer = await client.get("/v1/firms", headers={"Authorization": "Bearer gp_secret"})
    assert (answer.status_code, answer.json()["type"]) == (500, "/docs#problem-internal")
    assert "ZeroDivisionError" in next(line["traceback"] for line in lines if line["event"] == "api.mistake")
    assert "gp_secret" not in repr(lines)
    assert "ZeroDivisionError" not in caplog.text  # not a second time by the server, whose format we do not choose
