"""The application: routes, errors, limits, and one log line per request."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics, pages, problems
from api.board.hub import Hub
from api.errors import ProblemError
from api.openapi import document, query_names
from api.routes import alerts, business, health, live, numbers, registry, standing
from api.settings import ApiSettings
from store.pool import Pool

_log = structlog.get_logger()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: ApiSettings, pool: Pool, *, clock: Callable[[], datetime] = _utc_now) -> FastAPI:
    """Return the application.

    Args:
        settings: limits.
        pool: connections whose log-in is a member of `greenpark_service`, read-only by default.
        clock: the time now, with a zone.

    The live board's pages are served once its hub runs (`app.state.hub.run`).
    """
    app = FastAPI(title="GreenPark", version=version("greenpark"), docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.pool = pool
    app.state.clock = clock
    app.state.hub = Hub(
        settings.database_url, pool, clock, gap_s=settings.board_gap_s, most_clients=settings.board_clients
    )
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    problems.install(app)
    for module in (registry, numbers, business, standing, alerts, health, live):
        app.include_router(module.router)
    app.state.query_names = query_names(document(app))

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> HTMLResponse:
        return HTMLResponse(pages.documentation(document(app)), headers=pages.HEADERS)

    app.add_middleware(_BodyLimit, most=settings.max_body_bytes)
    app.add_middleware(_Watch)
    return app


class _BodyLimit:
    """Refuses a body that is longer than it may be, declared or not."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise ProblemError("too-large", f"the body is longer than {self._most} bytes; send less")
            return message

        await self._app(scope, limited, send)


class _Watch:
    """Counts and times each request, adds the headers that every answer carries, writes one line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        started = False

        async def noted(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                headers = [*message["headers"], (b"x-content-type-options", b"nosniff")]
                if all(name != b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # noqa: BLE001  (the last stop; uvicorn would log it with its local variables)
            response = problems.mistake(Request(scope), error)
            if not started:
                await response(scope, receive, noted)
        finally:
            took_s = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "unmatched")
            metrics.REQUESTS.labels(scope["method"], route, status).inc()
            metrics.DURATION_S.labels(route).observe(took_s)
            label = scope.get("state", {}).get("label")
            _log.debug(
                "api.request", method=scope["method"], route=route, status=status, took_s=round(took_s, 4), token=label
            )
