"""`greenpark meter`: which meters stood at a point, exchanged or corrected, dated and retroactive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.ledger import Author, PointName, Reason, author_or_user, instant
from cli.options import Json, SettingsFile, ask, emit, table

if TYPE_CHECKING:
    from park.points import Installation
    from store.meters import MeterChange

app = typer.Typer(
    help="Meters at a point: list, replace, correct a multiplier.\n\nA change may lie any time back: everything that "
    "it touches is computed again, as a new revision. The park document no longer changes the meters of such a point.",
    no_args_is_help=True,
)


@app.command("list")
def list_meters(point: PointName, settings: SettingsFile = None, json_output: Json = False) -> None:
    """List the meters that stood at a point, and who changed what."""
    from store.edits import point_named  # noqa: PLC0415
    from store.meters import changes, meters  # noqa: PLC0415

    async def question(connection: Any) -> tuple[list[Installation], list[MeterChange]]:
        named = await point_named(connection, point)
        return await meters(connection, named.point_id), await changes(connection, named.point_id)

    found, made = ask(settings, question)
    text = [_table(found)]
    text += [f"{c.made:%Y-%m-%dT%H:%MZ}  {c.kind} from {c.at:%Y-%m-%dT%H:%MZ}  {c.author}: {c.reason}" for c in made]
    emit({"meters": found, "changes": made}, "\n".join(text), as_json=json_output)


@app.command()
def replace(
    point: PointName,
    at: Annotated[str, typer.Argument(help="When; without an offset in the park's zone.")],
    serial: Annotated[str, typer.Option(help="The new meter's serial number.")],
    reason: Reason,
    last: Annotated[float | None, typer.Option(help="Last dial reading of the old meter.")] = None,
    first: Annotated[float | None, typer.Option(help="First dial reading of the new meter.")] = None,
    multiplier: Annotated[float | None, typer.Option(help="CT × PT; without it the old meter's.")] = None,
    modulus: Annotated[float | None, typer.Option(help="What the dial counts to; without it the old meter's.")] = None,
    resolution: Annotated[float | None, typer.Option(help="The dial's smallest step.")] = None,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Put up another meter, now or any time back. Without --last and --first what passed between is unknown."""
    from park.meters import installed_at  # noqa: PLC0415
    from park.points import Installation  # noqa: PLC0415
    from store.edits import point_named  # noqa: PLC0415
    from store.meters import meters, replace_meter  # noqa: PLC0415

    async def question(connection: Any) -> list[Installation]:
        named = await point_named(connection, point)
        when = instant(at, named.time_zone)
        old = installed_at(await meters(connection, named.point_id), when)
        fresh = Installation(
            installation_id=0,
            serial=serial,
            modulus=modulus if modulus is not None or old is None else old.modulus,
            multiplier=multiplier if multiplier is not None else 1.0 if old is None else old.multiplier,
            valid_from=when,
            valid_to=None,
            first_reading=first,
            resolution=resolution if resolution is not None or old is None else old.resolution,
        )
        return await replace_meter(connection, named, fresh, last, author_or_user(author), reason)

    found = ask(settings, question)
    emit(found, _table(found), as_json=json_output)


@app.command("correct-multiplier")
def correct(
    point: PointName,
    multiplier: Annotated[float, typer.Argument(help="CT × PT as it truly is.")],
    reason: Reason,
    since: Annotated[str | None, typer.Option(help="From when on; without it since the meter was put up.")] = None,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Correct a multiplier, any time back: everything since is computed again from the readings."""
    from store.edits import point_named  # noqa: PLC0415
    from store.meters import correct_multiplier  # noqa: PLC0415

    async def question(connection: Any) -> list[Installation]:
        named = await point_named(connection, point)
        when = None if since is None else instant(since, named.time_zone)
        return await correct_multiplier(connection, named, multiplier, when, author_or_user(author), reason)

    found = ask(settings, question)
    emit(found, _table(found), as_json=json_output)


def _table(found: list[Installation]) -> str:
    head = ("serial", "from", "to", "multiplier", "modulus", "first", "last")
    rows = [
        (
            m.serial,
            f"{m.valid_from:%Y-%m-%dT%H:%MZ}",
            None if m.valid_to is None else f"{m.valid_to:%Y-%m-%dT%H:%MZ}",
            f"{m.multiplier:g}",
            m.modulus,
            m.first_reading,
            m.last_reading,
        )
        for m in found
    ]
    return table([head, *rows] if rows else [], "no meter stands there: its readings are not counted")
