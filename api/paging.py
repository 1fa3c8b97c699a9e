"""Pages by key: `next` holds where the page ended, so rows that come or go meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from api.problems import invalid
from park.calendar import from_us, to_us

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")

Key = tuple[int | str | datetime, ...]
FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_REFUSAL: Final = ("query.cursor", "this is no cursor of this query", "take `next` of the last page, or leave it out")


@dataclass(frozen=True, slots=True)
class Paging:
    """How much of a list is wanted, and from where.

    Attributes:
        limit: rows at most.
        cursor: `next` of the page before, None for the first page.
        query: path and filters; a cursor works only with the query that made it.
    """

    limit: int
    cursor: str | None
    query: str

    @property
    def fetch(self) -> int:
        """Return how many rows to read: one more tells whether there is a next page."""
        return self.limit + 1

    def after(self, *first: int | str | datetime) -> Any:
        """Return the key after which the page begins: the cursor's, or `first` for the first page."""
        if self.cursor is None:
            return first
        return _decode(self.cursor, self.query, first)

    def cut(self, rows: Sequence[_T], key: Callable[[_T], Key]) -> tuple[list[_T], str | None]:
        """Return the page's rows and the cursor of the next page, if there is one."""
        items = list(rows[: self.limit])
        if len(rows) <= self.limit:
            return items, None
        return items, _encode(self.query, key(items[-1]))


def _encode(query: str, key: Key) -> str:
    parts = [to_us(part) if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(msgspec.json.encode([_fingerprint(query), *parts])).decode().rstrip("=")


def _decode(cursor: str, query: str, like: Key) -> Key:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        mark, *parts = msgspec.json.decode(raw, type=list[int | str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise invalid(*_REFUSAL) from None
    if mark != _fingerprint(query) or len(parts) != len(like):
        raise invalid(*_REFUSAL)
    return tuple(_part(part, example) for part, example in zip(parts, like, strict=True))


def _part(part: int | str, example: int | str | datetime) -> int | str | datetime:
    if isinstance(example, str) and isinstance(part, str) and part.isprintable():
        return part
    if isinstance(example, datetime) and isinstance(part, int) and 0 <= part <= to_us(LAST):
        return from_us(part)
    if isinstance(example, int) and isinstance(part, int) and -1 <= part < 2**63:
        return part
    raise invalid(*_REFUSAL)


def _fingerprint(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()[:12]
