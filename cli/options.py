"""What several commands share: options, how they print, how they ask the database."""

from __future__ import annotations

import asyncio
import unicodedata
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from cli.errors import RefusedError
from cli.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        "-s",
        envvar="GREENPARK_SETTINGS",
        help="TOML file; without it /etc/greenpark/greenpark.toml and GREENPARK_… variables.",
    ),
]
Var = Annotated[Path, typer.Option("--var", help="Directory of our own database, broker and logs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]
ParkCode = Annotated[str, typer.Argument(help="Code of the park.")]
OfPark = Annotated[str | None, typer.Option("--park", help="Only of this park, by code.")]

T = TypeVar("T")


class Lang(StrEnum):
    """Languages of what people see."""

    ZH = "zh-CN"
    EN = "en"


def emit(document: object, text: str, *, as_json: bool) -> None:
    """Print the document as JSON, or the text for people."""
    print(msgspec.json.encode(document).decode() if as_json else text)


def table(rows: Sequence[Sequence[object]], empty: str) -> str:
    """Return rows as aligned columns, or `empty` where there are none. A Chinese character takes two columns."""
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(c + " " * (w - _width(c)) for c, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines) or empty


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def ask(file: Path | None, question: Callable[[Any], Awaitable[T]]) -> T:
    """Put a question to the database that the settings name, and return its answer.

    Raises:
        MissingError, SettingsError: no database is named.
        StoreError: it does not answer, or has not this program's schema.
        RefusedError: its user may not do this.
    """
    import asyncpg  # noqa: PLC0415

    from store.migrations import check_schema  # noqa: PLC0415
    from store.pool import connected  # noqa: PLC0415

    url = load_settings(file).database_url

    async def answer() -> T:
        async with connected(url, application="greenpark command") as connection:
            await check_schema(connection)
            return await question(connection)

    try:
        return asyncio.run(answer())
    except asyncpg.InsufficientPrivilegeError as error:
        msg = f"the database user may not do this ({error}); use the address of the database's owner"
        raise RefusedError(msg) from None
