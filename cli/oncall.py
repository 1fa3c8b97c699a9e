"""`greenpark oncall` and `greenpark escalation`: who is on duty, and who hears when nobody acknowledges."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import RefusedError
from cli.options import Json, OfPark, ParkCode, SettingsFile, ask, emit, table
from cli.recipient import Severity, clock_time

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

app = typer.Typer(help="On-call calendars: managers of a park take turns by its clock.", no_args_is_help=True)
ladder_app = typer.Typer(
    help="The ladder of a park: whom to tell of an alert that nobody has acknowledged.", no_args_is_help=True
)

Calendar = Annotated[str, typer.Argument(help="Code of the calendar, such as night.")]
_SPAN = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@app.command()
def rotate(
    park: ParkCode,
    calendar: Calendar,
    member: Annotated[
        list[int] | None, typer.Option(help="A recipient's number; once for each, in their order. None ends it.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="First day, such as 2025-12-01; else today.")] = None,
    handover: Annotated[str, typer.Option(help="When turns change, by the park's clock.")] = "08:00",
    turn_days: Annotated[int, typer.Option(min=1, max=366, help="How many days a turn lasts.")] = 7,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Have managers take turns from a day on. What was before that day stays as it was."""
    from park.calendar import zone  # noqa: PLC0415
    from store import duty, registry  # noqa: PLC0415

    hour = clock_time(handover)

    async def question(connection: Any) -> date:
        found = await registry.park_named(connection, park)
        first = datetime.now(UTC).astimezone(zone(found.time_zone)).date() if since is None else _day(since)
        await duty.set_rotation(
            connection,
            found.park_id,
            calendar,
            valid_from=first,
            handover=hour,
            turn_days=turn_days,
            members=member or [],
        )
        return first

    first = ask(settings, question)
    members = member or []
    text = f"{calendar}: {len(members)} take turns of {turn_days} days from {first} {hour:%H:%M} on"
    document = {"calendar": calendar, "from": first, "members": members}
    emit(document, text if members else f"{calendar} ends on {first}", as_json=json_output)


@app.command()
def stand_in(
    park: ParkCode,
    calendar: Calendar,
    recipient_id: Annotated[int, typer.Argument(metavar="ID", help="Who stands in.")],
    starts: Annotated[str, typer.Option("--from", help="By the park's clock, such as 2025-12-24T18:00.")],
    ends: Annotated[str, typer.Option("--to", help="By the park's clock.")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Let somebody take the duty of a calendar for a time; the newest entry holds."""
    from park.calendar import zone  # noqa: PLC0415
    from store import duty, registry  # noqa: PLC0415

    async def question(connection: Any) -> int:
        found = await registry.park_named(connection, park)
        tz = zone(found.time_zone)
        first, last = _instant(starts, tz), _instant(ends, tz)
        if last <= first:
            raise RefusedError("--to must be after --from")
        return await duty.add_stand_in(
            connection, found.park_id, calendar, starts=first, ends=last, recipient_id=recipient_id
        )

    entry = ask(settings, question)
    emit({"stand_in_id": entry}, f"recipient {recipient_id} stands in, {starts} to {ends}", as_json=json_output)


@app.command("list")
def list_all(
    park: OfPark = None,
    ahead: Annotated[int, typer.Option(min=1, max=60, help="How many turns to show.")] = 4,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Show who is on duty now and next, by the park's clock."""
    from alerts.oncall import on_duty  # noqa: PLC0415
    from park.calendar import zone  # noqa: PLC0415
    from store import duty, recipients, registry  # noqa: PLC0415

    now = datetime.now(UTC)

    async def question(connection: Any) -> list[dict[str, Any]]:
        found = []
        for one in await registry.parks(connection):
            if park is not None and one.code != park:
                continue
            tz = zone(one.time_zone)
            names = {row.recipient_id: row.name for row in await recipients.recipients(connection, one.park_id)}
            rows = await duty.rotations(connection, one.park_id)
            entries = await duty.stand_ins(connection, one.park_id, now)
            for code in sorted({row.code for row in rows}):
                mine = [row for row in rows if row.code == code]
                instant = now
                for _ in range(ahead):
                    turn = on_duty(mine, [e for e in entries if e.oncall_id == mine[0].oncall_id], instant, tz)
                    if turn is None:
                        break
                    found.append(
                        {
                            "park": one.code,
                            "calendar": code,
                            "recipient_id": turn.recipient_id,
                            "name": names.get(turn.recipient_id),
                            "from": max(turn.starts, instant).astimezone(tz).isoformat(timespec="minutes"),
                            "to": turn.ends.astimezone(tz).isoformat(timespec="minutes"),
                            "stands_in": turn.stands_in,
                            "now": instant == now,
                        }
                    )
                    instant = turn.ends
        return found

    turns = ask(settings, question)
    rows = [
        (
            "now" if one["now"] else "then",
            one["park"],
            one["calendar"],
            f"{one['recipient_id']} {one['name']}",
            one["from"],
            one["to"],
            "stands in" if one["stands_in"] else None,
        )
        for one in turns
    ]
    emit(turns, table(rows, "nobody is on call: `greenpark oncall rotate PARK night --member ID`"), as_json=json_output)


@ladder_app.command("add")
def add_step(
    park: ParkCode,
    after: Annotated[str, typer.Option(help="How long nobody has acknowledged: 15m, 2h.")],
    to: Annotated[int | None, typer.Option(help="A recipient's number.")] = None,
    calendar: Annotated[str | None, typer.Option(help="Or whoever this calendar has on duty.")] = None,
    min_severity: Annotated[Severity, typer.Option(help="Nothing below this.")] = Severity.MAJOR,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Add a step: one manager, or whoever is on duty, hears when nobody has acknowledged for so long."""
    from store import duty, registry  # noqa: PLC0415

    if (to is None) == (calendar is None):
        raise RefusedError("give --to or --calendar")
    matched = _SPAN.fullmatch(after)
    if matched is None or int(matched[1]) == 0:
        raise RefusedError("--after: a number and s, m, h or d, such as 15m")
    after_s = int(matched[1]) * _SECONDS[matched[2]]

    async def question(connection: Any) -> int:
        park_id = (await registry.park_named(connection, park)).park_id
        return await duty.add_step(
            connection,
            park_id,
            min_severity=min_severity.value,
            after_s=after_s,
            recipient_id=to,
            calendar=calendar,
        )

    step_id = ask(settings, question)
    emit({"step_id": step_id}, f"step {step_id}: after {after}, {min_severity.value} and worse", as_json=json_output)


@ladder_app.command("list")
def list_steps(park: OfPark = None, settings: SettingsFile = None, json_output: Json = False) -> None:
    """Show the ladders."""
    import msgspec  # noqa: PLC0415

    from store.duty import steps  # noqa: PLC0415

    found = ask(settings, lambda connection: steps(connection, park))
    rows = [
        (
            one.step_id,
            one.park,
            one.min_severity,
            f"after {timedelta(seconds=one.after_s)}",
            f"calendar {one.calendar}" if one.calendar else f"{one.recipient_id} {one.name}",
        )
        for one in found
    ]
    empty = "no step yet: `greenpark escalation add PARK --after 15m --calendar night`"
    emit([msgspec.to_builtins(one) for one in found], table(rows, empty), as_json=json_output)


@ladder_app.command("remove")
def remove_step(
    step_id: Annotated[int, typer.Argument(metavar="ID", help="Number that `escalation list` shows.")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Take a step out of the ladder."""
    from store.duty import remove_step as take_out  # noqa: PLC0415

    ask(settings, lambda connection: take_out(connection, step_id))
    emit({"step_id": step_id}, "removed", as_json=json_output)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"--from {text}: no day such as 2025-12-01"
        raise RefusedError(msg) from None


def _instant(text: str, tz: ZoneInfo) -> datetime:
    """Return an instant: by the park's clock, unless the text names an offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text}: no time such as 2025-12-24T18:00"
        raise RefusedError(msg) from None
    return (found.replace(tzinfo=tz) if found.tzinfo is None else found).astimezone(UTC)
