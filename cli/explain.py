"""`greenpark explain`: the lineage of one number, down to the readings and the batches that brought them."""

from __future__ import annotations

from dataclasses import is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.explain_text import standing_text
from cli.ledger import PointName, instant
from cli.options import Json, Lang, SettingsFile, ask, emit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

app = typer.Typer(
    help="The lineage of one number: a bucket, an indicator, a standing.\n\nFrom the value over its runs (cause and "
    "version of the code), revisions, meters, decisions and factors to the readings and the batches that brought them.",
    no_args_is_help=True,
)

Subject = Annotated[str, typer.Argument(metavar="PARK[/FIRM]", help="Codes, as `park show` lists them.")]


@app.command()
def bucket(
    point: PointName,
    time: Annotated[str, typer.Argument(help="A time in the quarter of an hour; without an offset local.")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Explain what a point counts in a quarter of an hour."""
    from store.edits import point_named  # noqa: PLC0415
    from store.explain import explain_bucket  # noqa: PLC0415

    async def question(connection: Any) -> dict[str, Any]:
        named = await point_named(connection, point)
        return await explain_bucket(connection, named, instant(time, named.time_zone))

    found = ask(settings, question)
    emit(found, tree(found), as_json=json_output)


@app.command()
def indicator(
    subject: Subject,
    name: Annotated[str, typer.Argument(metavar="INDICATOR", help="Such as water_reuse_rate.")],
    grain: Annotated[str, typer.Argument(help="bucket, hour, day, month or year.")],
    time: Annotated[str, typer.Argument(help="A time in the period, such as 2026-04-22; without an offset local.")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Explain an indicator's value: revisions, factors with their sources, firms, points."""
    from store.explain import explain_indicator  # noqa: PLC0415

    async def question(connection: Any) -> dict[str, Any]:
        when = instant(time, "UTC").isoformat() if "+" in time or time.endswith("Z") else time
        return await explain_indicator(connection, subject, name, grain, when)

    found = ask(settings, question)
    emit(found, tree(found), as_json=json_output)


@app.command()
def standing(
    subject: Subject,
    target: Annotated[str, typer.Argument(help="The target's id in its pack.")],
    settings: SettingsFile = None,
    lang: Annotated[Lang, typer.Option(help="Language of what people read.", envvar="GREENPARK_LANG")] = Lang.EN,
    json_output: Json = False,
) -> None:
    """Explain a standing: target and its version, the year's value, firms, factors with their sources, readings.

    Factors that were not compared with their source are marked, at the factor and at every point that uses one.
    """
    from store.explain import explain_standing  # noqa: PLC0415

    async def question(connection: Any) -> dict[str, Any]:
        return await explain_standing(connection, subject, target)

    found = ask(settings, question)
    emit(found, standing_text(found, lang), as_json=json_output)


def tree(document: Mapping[str, Any]) -> str:
    """Return a document as an indented tree; what is empty is left out, a list's entries are a line each."""
    return "\n".join(_lines(document, ""))


def _lines(document: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in document.items():
        if value is None or value in ((), [], "", {}):
            continue
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{name}"
            for entry in value:
                yield from _entry(entry, indent + "  ")
        else:
            yield f"{indent}{name}: {_text(value)}"


def _entry(entry: Any, indent: str) -> Iterator[str]:
    plain = msgspec.structs.asdict(entry) if isinstance(entry, msgspec.Struct) else entry
    if is_dataclass(entry) and not isinstance(entry, type):
        plain = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
    if not isinstance(plain, dict):
        yield f"{indent}- {_text(plain)}"
    elif any(isinstance(value, dict) for value in plain.values()):
        yield f"{indent}-"
        yield from _lines(plain, indent + "  ")
    else:
        parts = [f"{k} {_text(v)}" for k, v in plain.items() if v is not None and v not in ((), [], "")]
        yield f"{indent}- {', '.join(parts)}"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S%z")
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value)) if not any(isinstance(v, dict) for v in value) else f"{len(value)} entries"
    return str(value)
