"""`greenpark ledger`: what is held for a person, and what persons decided."""

from __future__ import annotations

import asyncio
import getpass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from cli.errors import MissingError, RefusedError
from cli.options import Json, OfPark, SettingsFile, ask, emit, table
from cli.settings import load_settings

if TYPE_CHECKING:
    from store.edits import EditRow, HeldRow, Made, NamedPoint

app = typer.Typer(
    help="The consumption ledger: what is held, and a person's decisions, each with author and reason.\n\nReadings are "
    "never touched: a decision is applied when buckets are computed, gives a new revision, and can be revoked.",
    no_args_is_help=True,
)

PointName = Annotated[str, typer.Argument(metavar="PARK/FIRM/POINT", help="Codes, as `park show` lists them.")]
Author = Annotated[str | None, typer.Option(help="Who decides; without it the user of this machine.")]
Reason = Annotated[str, typer.Option(help="Why, for whoever asks later.")]


def author_or_user(author: str | None) -> str:
    """Return who acts."""
    return author or getpass.getuser()


def instant(text: str, time_zone: str) -> datetime:
    """Read a time; without an offset it is meant in the park's zone. Raises `MissingError`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is no time: write it as 2026-04-22T10:15 (in the park's zone) or with +08:00"
        raise MissingError(msg) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(time_zone))


@app.command("held")
def list_held(
    park: OfPark = None,
    firm: Annotated[str | None, typer.Option(help="Only of this firm, by code.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Quantities at most.")] = 200,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """List quantities that wait for a decision, oldest first: they are counted nowhere."""
    from park.registers import Step  # noqa: PLC0415
    from store.edits import held  # noqa: PLC0415

    async def question(connection: Any) -> list[HeldRow]:
        return await held(connection, park, firm, limit)

    found = ask(settings, question)
    rows = [(h.point, f"{h.bucket:%Y-%m-%dT%H:%MZ}", f"{h.held:g}", h.unit, _flags(Step(h.flags))) for h in found]
    emit(found, table(rows, "nothing is held"), as_json=json_output)


def _flags(flags: Any) -> str:
    return " ".join(str(flag.name).lower() for flag in flags)


@app.command()
def decide(
    point: PointName,
    bucket: Annotated[str, typer.Argument(help="A time in the bucket that `ledger held` shows.")],
    reason: Reason,
    accept: Annotated[bool, typer.Option("--accept", help="It was consumption: count it.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="It was none: count nothing for it.")] = False,
    value: Annotated[float | None, typer.Option(help="Count this instead, in the point's unit.")] = None,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Decide about a held quantity: accept it, reject it, or count another value instead."""
    if accept + reject + (value is not None) != 1:
        msg = "give exactly one of --accept, --reject and --value"
        raise RefusedError(msg)
    kind = "accept" if accept else "reject" if reject else "replace"

    async def question(connection: Any) -> Made:
        from store.edits import decide, point_named  # noqa: PLC0415

        named = await point_named(connection, point)
        at = instant(bucket, named.time_zone)
        return await decide(connection, named, at, kind, value, author_or_user(author), reason)

    _show(ask(settings, question), as_json=json_output)


@app.command()
def edit(
    point: PointName,
    start: Annotated[str, typer.Argument(metavar="FROM", help="First bucket's start; without an offset local.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Last bucket's end.")],
    value: Annotated[float, typer.Option(help="What the range counts in all, in the point's unit.")],
    reason: Reason,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Say what a range of buckets counts, whatever was read: spread evenly, and marked as estimated."""

    async def question(connection: Any) -> Made:
        from store.edits import point_named, set_quantity  # noqa: PLC0415

        named = await point_named(connection, point)
        span = (instant(start, named.time_zone), instant(end, named.time_zone))
        return await set_quantity(connection, named, span, value, author_or_user(author), reason)

    _show(ask(settings, question), as_json=json_output)


def _show(made: Made, *, as_json: bool) -> None:
    text = f"decision {made.edit_id}, version {made.version}: {made.quantity:g} counts; it is computed now"
    emit(made, text, as_json=as_json)


@app.command()
def revoke(
    edit_id: Annotated[int, typer.Argument(metavar="ID", help="Number that `ledger history` shows.")],
    reason: Reason,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Take a decision back: what was computed holds again."""

    async def question(connection: Any) -> None:
        from store.edits import revoke  # noqa: PLC0415

        await revoke(connection, edit_id, author_or_user(author), reason)

    ask(settings, question)
    text = f"decision {edit_id} is revoked; its buckets are computed now"
    emit({"edit_id": edit_id, "revoked": True}, text, as_json=json_output)


@app.command()
def history(point: PointName, settings: SettingsFile = None, json_output: Json = False) -> None:
    """List all decisions about a point, revoked ones too."""
    from store.edits import history, point_named  # noqa: PLC0415

    async def question(connection: Any) -> tuple[NamedPoint, list[EditRow]]:
        named = await point_named(connection, point)
        return named, await history(connection, named.point_id)

    named, found = ask(settings, question)
    rows = [
        (
            e.edit_id,
            e.kind,
            f"v{e.version}",
            f"{e.t_from:%Y-%m-%dT%H:%MZ}",
            f"{e.t_to:%Y-%m-%dT%H:%MZ}",
            f"{e.quantity:g} {named.unit}",
            f"{e.author}: {e.reason}",
            "" if e.revoked is None else f"revoked by {e.revoked_by}: {e.revoked_reason}",
        )
        for e in found
    ]
    emit(found, table(rows, "no decisions"), as_json=json_output)


@app.command()
def rebuild(
    park: Annotated[str | None, typer.Option(help="Only this park, by code.")] = None,
    firm: Annotated[str | None, typer.Option(help="Only firms of this code.")] = None,
    point: Annotated[str | None, typer.Option(help="Only points of this code.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="From this day of the park's zone on.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="To the end of this day.")] = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Compute the ledger and its indicators again from raw readings, all of it or a part.

    It is the code that live readings take. Only what comes out different is written, as a revision that keeps the old.
    """
    from cli.rebuild import Rebuild, run_rebuild  # noqa: PLC0415
    from streams.settings import StreamsSettings  # noqa: PLC0415

    wanted = Rebuild(park, firm, point, first and first.date(), last and last.date())
    loaded = load_settings(settings)
    result = asyncio.run(run_rebuild(loaded.room("streams", StreamsSettings, database_url=loaded.database_url), wanted))
    text = (
        f"{result.points:,} points of {result.firms:,} firms in {result.seconds:,.1f} s: {result.buckets:,} buckets "
        f"differed, {result.revisions:,} of them were closed"
    )
    emit(result, text, as_json=json_output)
