"""The live board: its page and files, the session that opens it, its state, and its events.

These serve the board's page; other systems read `/v1`, which is documented and stays.
"""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from api.access import COOKIE, Id, Visiting
from api.board import session
from api.board.files import HEADERS, PAGE, assets
from api.board.gather import View, gather
from api.board.stream import BoardStream
from api.errors import ProblemError
from store import browse
from store.tenants import Grant, grant_of

router = APIRouter(include_in_schema=False)

ParkId = Annotated[Id | None, Query(description="A park; without it the first that the token sees.")]
FirmId = Annotated[Id | None, Query(description="A firm of it; without it the whole park.")]


@router.get("/")
async def page(request: Request) -> Response:
    """Serve the page; it holds no data and needs no token."""
    return _file(request, PAGE, HEADERS)


@router.get("/board/files/{name}")
async def file(request: Request, name: str) -> Response:
    """Serve a file of the page."""
    if name not in assets():
        raise ProblemError("not-found", f"the board has no file {name[:64]!r}")
    return _file(request, name, {})


def _file(request: Request, name: str, headers: dict[str, str]) -> Response:
    asset = assets()[name]
    headers = {**headers, "ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.body, media_type=asset.media_type, headers=headers)


@router.get("/board/session")
async def opened(request: Request) -> Response:
    """Tell who looks. A browser on this machine may be let in by the token file."""
    token = request.cookies.get(COOKIE)
    grant = await _grant(request, token)
    fresh = None
    if grant is None:
        fresh = session.local_token(request, request.app.state.settings.board_token_file)
        grant = await _grant(request, fresh)
    if grant is None:
        response: Response = JSONResponse({"signed_in": False})
        if token is not None:
            session.forget(response, request)
        return response
    return await _answer(request, grant, fresh)


@router.post("/board/session")
async def sign_in(request: Request) -> Response:
    """Open a session with the token of the `Authorization` header, which no other site's form can send."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    grant = await _grant(request, token.strip()) if scheme.lower() == "bearer" else None
    if grant is None:
        raise ProblemError("unauthenticated", "this token is unknown or has expired; ask for a new one")
    return await _answer(request, grant, token.strip())


@router.delete("/board/session")
async def sign_out(request: Request) -> Response:
    """Forget the token."""
    response = Response(status_code=204)
    session.forget(response, request)
    return response


async def _answer(request: Request, grant: Grant, fresh: str | None) -> Response:
    request.state.label = grant.label
    async with browse.acting_as(request.app.state.pool, grant.role) as connection:
        parks = await browse.parks(connection, after=0, limit=100)
    listed = [{"id": park.park_id, "code": park.code, "zh": park.name_zh, "en": park.name_en} for park in parks]
    response = JSONResponse({"signed_in": True, "label": grant.label, "parks": listed})
    if fresh is not None:
        session.remember(response, request, fresh)
    return response


async def _grant(request: Request, token: str | None) -> Grant | None:
    if not token:
        return None
    async with browse.acquired(request.app.state.pool) as connection:
        return await grant_of(connection, token)


@router.get("/board/state")
async def state(visitor: Visiting, park: ParkId = None, firm: FirmId = None) -> Response:
    """Read every section of the board once."""
    async with visitor.reading() as connection:
        found: dict[str, Any] | None = await gather(connection, View(park, firm), visitor.now)
    if found is None:
        raise ProblemError("not-found", "no such park or firm here; /v1/parks and /v1/firms list what there is")
    return Response(msgspec.json.encode(found), media_type="application/json")


@router.get("/board/live", response_model=None)
async def live(
    request: Request, visitor: Visiting, park: ParkId = None, firm: FirmId = None, after: str | None = None
) -> BoardStream:
    """Send the board's sections as they change (server-sent events)."""
    token = request.cookies.get(COOKIE) or request.headers.get("authorization", "").partition(" ")[2]

    async def holds() -> bool:
        return await _grant(request, token) is not None

    seen = request.headers.get("last-event-id") or after
    clock = request.app.state.clock
    return BoardStream(request.app.state.hub, visitor.grant.role, View(park, firm), seen, clock=clock, holds=holds)
