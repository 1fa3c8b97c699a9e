"""Every error as an RFC 9457 problem document: what is wrong, where, and what to do."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.errors import ProblemError
from store.browse import NoSuchRoleError, TooSlowError
from store.errors import EpisodeStateError, StoreError

MEDIA_TYPE: Final = "application/problem+json"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of problem."""

    status: int
    title: str
    advice: str


KINDS: Final[dict[str, Kind]] = {
    "unauthenticated": Kind(401, "No valid token", "Send `Authorization: Bearer <token>` with a token of this park."),
    "forbidden": Kind(403, "Not allowed with this token", "Use a token that may do this, or ask for one."),
    "not-found": Kind(404, "Not found", "Check the path and the id; what a token may not see does not exist for it."),
    "method-not-allowed": Kind(405, "Method not allowed", "See the Allow header."),
    "conflict": Kind(409, "The state does not allow this", "Read the resource again and decide anew."),
    "too-large": Kind(413, "The request is too large", "Send less."),
    "invalid": Kind(422, "The request is wrong", "Mend what `errors` lists: `where`, `what`, and what to `do`."),
    "bad-request": Kind(400, "The request cannot be read", "Send a well-formed HTTP request."),
    "internal": Kind(500, "A mistake of ours", "Try again; if it stays, report time and path."),
    "unavailable": Kind(503, "The database is not ready", "Try again soon; `/readyz` says what is missing."),
    "too-slow": Kind(503, "The query took too long", "Ask for a shorter range or a coarser grain."),
}

_ADVICE: Final[dict[str, str]] = {
    "missing": "add it",
    "extra_forbidden": "leave it out",
    "json_invalid": "send valid JSON",
    "int_parsing": "send a whole number",
    "greater_than_equal": "send a larger value",
    "less_than_equal": "send a smaller value",
    "literal_error": "use one of the listed values",
    "enum": "use one of the listed values",
    "bool_parsing": "send true or false",
}


def problem(kind: str, request: Request, detail: str, **more: Any) -> dict[str, Any]:
    """Return the problem document of this kind for this request."""
    known = KINDS[kind]
    return {
        "type": f"/docs#problem-{kind}",
        "title": known.title,
        "status": known.status,
        "detail": detail,
        "instance": request.url.path,
        **more,
    }


def answer(
    kind: str, request: Request, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Return the response that carries the problem."""
    body = problem(kind, request, detail, **more)
    return JSONResponse(body, KINDS[kind].status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def not_found(what: str, number: int) -> ProblemError:
    """Return the problem of something that is not there, or not for this token."""
    return ProblemError("not-found", f"no {what} {number} here; list /v1/{what}s to see what this token may read")


def invalid(where: str, what: str, do: str) -> ProblemError:
    """Return the problem of one wrong part of the request."""
    return ProblemError("invalid", f"{where}: {what}; {do}", errors=[{"where": where, "what": what, "do": do}])


def install(app: FastAPI) -> None:
    """Let every error of the application leave as a problem document."""
    handlers: dict[type[Exception], Callable[[Request, Any], Any]] = {
        ProblemError: _on_problem,
        RequestValidationError: _on_validation,
        HTTPException: _on_http,
        StoreError: _on_store,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _on_problem(request: Request, error: ProblemError) -> JSONResponse:
    more: dict[str, Any] = {"errors": error.errors} if error.errors else {}
    return answer(error.kind, request, error.detail, headers=error.headers, **more)


async def _on_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [_explained(one) for one in error.errors()]
    first = errors[0]
    return answer("invalid", request, f"{first['where']}: {first['what']}; {first['do']}", errors=errors)


def _explained(error: Mapping[str, Any]) -> dict[str, str]:
    where = ".".join(str(part) for part in error["loc"])
    # Our own validators put the advice behind a semicolon.
    what, _, advice = str(error["msg"]).removeprefix("Value error, ").partition("; ")
    return {"where": where, "what": what, "do": advice or _ADVICE.get(error["type"], "see /docs for what is expected")}


async def _on_http(request: Request, error: HTTPException) -> JSONResponse:
    by_status = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}
    kind = by_status.get(error.status_code, "bad-request" if error.status_code < 500 else "internal")
    phrase = HTTPStatus(KINDS[kind].status).phrase
    detail = {
        "not-found": f"nothing is served at {request.url.path}; /docs lists what is",
        "method-not-allowed": f"{request.method} is not served at {request.url.path}",
    }.get(kind, f"{phrase}: {error.detail}")
    return answer(kind, request, detail, headers=error.headers)


async def _on_store(request: Request, error: StoreError) -> JSONResponse:
    if isinstance(error, NoSuchRoleError):
        _log.warning("api.role_missing", role=error.role)
        return answer("forbidden", request, "the tenant of this token cannot be acted as; ask for a new token")
    if isinstance(error, EpisodeStateError):
        return answer("conflict", request, str(error))
    if isinstance(error, TooSlowError):
        return answer("too-slow", request, f"{error}; ask for a shorter range or a coarser grain")
    _log.warning("api.store_unavailable", path=request.url.path, reason=str(error))
    # What the server said may name hosts and users: that is for the log and for /readyz on our own machine.
    return answer("unavailable", request, "the database is not ready; try again soon", headers={"Retry-After": "5"})


def mistake(request: Request, error: Exception) -> JSONResponse:
    """Log what nobody foresaw and return the problem that tells nothing of it."""
    # As plain text: a renderer that shows local variables would show tokens.
    _log.error("api.mistake", path=request.url.path, traceback="".join(traceback.format_exception(error)))
    return answer("internal", request, "this is a mistake of ours; it was logged with this time and path")
