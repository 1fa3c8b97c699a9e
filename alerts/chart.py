"""Small charts for messages: a line of block characters, and a picture for e-mail. Pure.

E-mail programs show no SVG and run no script, so the picture is a PNG, drawn here: a drawing library would weigh more
than all else that the alerts need.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Picture = NDArray[np.float64]

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_FINE: Final = 3
"""Drawn so many times finer and then averaged: smooth edges."""
_PAPER: Final = (255.0, 255.0, 255.0)
_LINE: Final = (31.0, 111.0, 84.0)
_AREA: Final = (224.0, 240.0, 233.0)
_LIMIT: Final = (200.0, 50.0, 47.0)
_GRID: Final = (226.0, 230.0, 228.0)
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def sparkline(values: Sequence[float | None], width: int = 24) -> str:
    """Return the newest `width` values as blocks; an unknown one is a space, and only unknown ones are nothing."""
    shown = list(values)[-width:]
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = high - low
    return "".join(
        " " if value is None else _BLOCKS[min(int((value - low) / span * 8), 7) if span > 0 else 3] for value in shown
    )


def picture(
    values: Sequence[float | None], limit: float | None = None, *, width: int = 560, height: int = 140
) -> bytes:
    """Return a PNG of a line over equal steps, with the limit dashed; a gap in the values is a gap in the line.

    Args:
        values: oldest first; None: unknown.
        limit: drawn as a line where given.
        width: in pixels.
        height: in pixels.
    """
    columns, rows = width * _FINE, height * _FINE
    image: Picture = np.empty((rows, columns, 3))
    image[:] = _PAPER
    known = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    finite = known[np.isfinite(known)]
    inside = [*finite.tolist(), *([] if limit is None else [limit])]
    low, high = (min(inside), max(inside)) if inside else (0.0, 1.0)
    margin = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    low, high = low - margin, high + margin

    def row_of(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return (high - value) / (high - low) * (rows - 1)

    for share in (0.25, 0.5, 0.75):
        at = int(rows * share)
        image[at : at + _FINE] = _GRID
    if len(finite):
        x = np.linspace(0, max(len(known) - 1, 0), columns)
        before = np.floor(x).astype(int)
        after = np.minimum(before + 1, len(known) - 1)
        y = known[before] + (known[after] - known[before]) * (x - before)
        _draw(image, row_of(y))
    if limit is not None:
        at = int(row_of(np.array([limit]))[0])
        dashed = (np.arange(columns) // (6 * _FINE)) % 2 == 0
        image[at - _FINE // 2 : at + _FINE, dashed] = _LIMIT
    small = image.reshape(height, _FINE, width, _FINE, 3).mean(axis=(1, 3))
    return _png(np.rint(small).astype(np.uint8))


def _draw(image: Picture, y: NDArray[np.float64]) -> None:
    """Draw a line of two pixels and the area under it; column by column, each as high as the step to the next."""
    thick = _FINE
    rows = np.arange(image.shape[0])[:, None]
    following = np.append(y[1:], y[-1])
    following = np.where(np.isfinite(following), following, y)
    top, bottom = np.minimum(y, following) - thick, np.maximum(y, following) + thick
    with np.errstate(invalid="ignore"):
        image[(rows > bottom) & np.isfinite(y)] = _AREA
        image[(rows >= top) & (rows <= bottom)] = _LINE


def _png(pixels: NDArray[np.uint8]) -> bytes:
    height, width, _ = pixels.shape
    raw = np.zeros((height, 1 + width * 3), dtype=np.uint8)  # each row begins with its filter: none
    raw[:, 1:] = pixels.reshape(height, width * 3)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw.tobytes(), 9)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
