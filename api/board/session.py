"""How a browser gets to the board: a token typed once becomes a cookie that scripts cannot read.

On the machine itself a token file may stand in (`board_token_file`): then the board opens without typing anything.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import structlog

from api.access import COOKIE

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import Request, Response

_log = structlog.get_logger()
_KEEP_S: Final = 400 * 86_400
"""A screen in a meeting room is signed in once; the token's own end ends it."""
_PROXIES: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def remember(response: Response, request: Request, token: str) -> None:
    """Let the browser keep the token where scripts and other sites do not reach it."""
    response.set_cookie(
        COOKIE, token, max_age=_KEEP_S, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )


def forget(response: Response, request: Request) -> None:
    """Let the browser forget the token."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https")


def local_token(request: Request, file: Path | None) -> str | None:
    """Return the token of the file, for a browser on this machine that asked this machine by a name of its own.

    Another name (a site that lets its name point at 127.0.0.1) or a proxy between us means that it may be somebody
    else who looks.
    """
    if file is None or not _from_here(request):
        return None
    try:
        return file.read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("board.token_file", file=str(file), reason=str(error))
        return None


def _from_here(request: Request) -> bool:
    if any(name in request.headers for name in _PROXIES):
        return False
    if request.headers.get("sec-fetch-site") not in {None, "same-origin", "none"}:
        return False
    host = request.url.hostname or ""
    return (
        request.client is not None and _is_loopback(request.client.host) and (host == "localhost" or _is_loopback(host))
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
