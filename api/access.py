"""Who asks: a bearer token, the tenant role it acts as, and the parts every request shares."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from api.errors import ProblemError
from api.paging import FIRST, LAST, Paging
from api.problems import invalid
from store.browse import acquired, acting_as
from store.pool import Connection, Pool
from store.tenants import Grant, grant_of

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token of one tenant, made with `greenpark token add`; it reads what that tenant may see.",
)


COOKIE: Final = "greenpark_board"
"""Holds the token of a browser that opened the board; scripts cannot read it, other sites cannot send it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated request.

    Attributes:
        pool: connections of the service; tenant data are read through `reading` only.
        grant: what the token allows.
        now: the time of the request.
    """

    pool: Pool
    grant: Grant
    now: datetime

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """Lend a connection that sees what this tenant may see, read-only."""
        async with acting_as(self.pool, self.grant.role) as connection:
            yield connection


async def _visitor(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    token = credentials.credentials if credentials is not None else _of_cookie(request)
    if token is None:
        header = {"WWW-Authenticate": 'Bearer realm="greenpark"'}
        raise ProblemError("unauthenticated", "send the header Authorization: Bearer <token>", headers=header)
    pool, clock = request.app.state.pool, request.app.state.clock
    async with acquired(pool) as connection:
        grant = await grant_of(connection, token)
    if grant is None:
        header = {"WWW-Authenticate": 'Bearer realm="greenpark", error="invalid_token"'}
        raise ProblemError("unauthenticated", "this token is unknown or has expired; ask for a new one", headers=header)
    request.state.label = grant.label
    return Caller(pool, grant, clock())


def _of_cookie(request: Request) -> str | None:
    # The board's session reads and never writes: another site can make a browser send a form, but not read an answer.
    if request.method not in {"GET", "HEAD"} or request.headers.get("sec-fetch-site") == "cross-site":
        return None
    return request.cookies.get(COOKIE)


Visiting = Annotated[Caller, Depends(_visitor)]
"""A caller of the board: with a token, or with the session that a token opened."""


async def _caller(request: Request, visitor: Visiting) -> Caller:
    _refuse_unknown_parameters(request)
    return visitor


def _refuse_unknown_parameters(request: Request) -> None:
    # A misspelt filter that is silently left out answers a question that nobody asked.
    known = request.app.state.query_names[request.scope["route"].path, request.method.lower()]
    for name in request.query_params:
        if name not in known:
            do = f"leave it out; known here are {', '.join(sorted(known))}" if known else "leave it out"
            raise invalid(f"query.{name[:64]}", "there is no such parameter", do)


Authenticated = Annotated[Caller, Depends(_caller)]


def paging(default: int, most: int) -> Callable[..., Paging]:
    """Return the dependency that reads `limit` and `cursor`, with this endpoint's bounds."""

    def read(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=most, description="Rows at most on this page.")] = default,
        cursor: Annotated[
            str | None, Query(max_length=400, description="`next` of the page before; the filters must be the same.")
        ] = None,
    ) -> Paging:
        filters = sorted((k, v) for k, v in request.query_params.multi_items() if k not in {"limit", "cursor"})
        return Paging(limit, cursor, f"{request.url.path}?{urlencode(filters)}")

    return read


Paged = Annotated[Paging, Depends(paging(100, 1000))]
PagedMany = Annotated[Paging, Depends(paging(1000, 10_000))]


def parse_instant(text: Any) -> datetime:
    """Parse RFC 3339 with an offset.

    Raises:
        ValueError: what is wrong; after a semicolon, what to do.
    """
    shown = str(text)[:40]
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        hint = "; write + as %2B in a URL" if " " in shown else "; write it like 2025-11-20T08:00:00+08:00"
        raise ValueError(f"{shown!r} is no RFC 3339 time{hint}") from None
    if "T" not in shown.upper():
        raise ValueError(f"{shown!r} has no time of day; write it like 2025-11-20T08:00:00+08:00")
    if instant.tzinfo is None:
        raise ValueError(f"{shown!r} has no offset; add one, such as +08:00 (write + as %2B in a URL) or Z")
    if not FIRST.replace(tzinfo=None) <= instant.replace(tzinfo=None) <= LAST.replace(tzinfo=None):
        raise ValueError(f"{shown!r} is out of range; use a time from 1970 to 2200")
    return max(FIRST, min(instant.astimezone(UTC), LAST))


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed; leave them out")
    return text


Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2025-11-20T00:00:00+08:00"]}),
]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]
LongId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
From = Annotated[Instant, Query(alias="from", description="Start, inclusive. RFC 3339 with offset.")]
To = Annotated[Instant, Query(description="End, exclusive. RFC 3339 with offset.")]


def check_range(start: datetime, end: datetime, *, days: int) -> None:
    """Raise a problem unless `start < end` and the range is at most so many days."""
    if end <= start:
        raise invalid("query.to", "is not after from", "give a later end")
    if (end - start).total_seconds() > days * 86_400:
        raise invalid("query.to", f"the range is longer than {days} days", "ask in pieces, or for a coarser grain")
