"""How long readings took to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.copying import fetch_columns
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from store.pool import Connection


async def delays_s(connection: Connection, ids: Sequence[int], start: datetime, end: datetime) -> NDArray[Any]:
    """Return, for each reading of some points in `[start, end)`, the seconds from its own time to its storing."""
    (found,) = await fetch_columns(connection, queries("arrivals")["delays"], ("float8",), list(ids), start, end)
    return found
