"""The board's own files: one page, its modules and the chart library, all from this package and from no other host."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

CSP: Final = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS: Final = {"Content-Security-Policy": CSP, "Referrer-Policy": "no-referrer"}
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
PAGE: Final = "index.html"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; the tag changes with its contents. `packed` is the body in gzip, None where that saves little."""

    body: bytes
    packed: bytes | None
    media_type: str
    etag: str


@cache
def assets() -> dict[str, Asset]:
    """Return every file by name. What is not listed here is not served, whatever its path."""
    found = {}
    for file in files("api").joinpath("board", "static").iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            body = file.read_bytes()
            packed = gzip.compress(body, 6, mtime=0) if len(body) > 4096 else None
            found[file.name] = Asset(body, packed, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"')
    return found
