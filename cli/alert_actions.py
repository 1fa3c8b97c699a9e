"""`greenpark alerts assign|snooze|comment|maintenance|limit|test`: what people do about alerts, from a terminal."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path  # noqa: TC003  (typer reads annotations at run time)
from typing import Annotated, Any

import msgspec
import typer

from cli.errors import RefusedError
from cli.options import Json, OfPark, ParkCode, SettingsFile, ask, emit, table

EpisodeId = Annotated[int, typer.Argument(metavar="ID", help="Number that `alerts list` shows.")]
By = Annotated[str | None, typer.Option(help="Who does it; without it the name you are logged in as.")]
Moment = Annotated[str, typer.Option(help="Time with an offset, such as 2026-03-02T08:00:00+08:00.")]

maintenance_app = typer.Typer(
    help="Times in which rules do not look: work on a meter, a planned stop.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `greenpark alerts`."""
    for name, command in (
        ("assign", assign),
        ("snooze", snooze),
        ("comment", comment),
        ("limit", limit),
        ("test", try_rule),
    ):
        app.command(name)(command)
    app.add_typer(maintenance_app, name="maintenance")


def moment(text: str, option: str) -> datetime:
    """Return a time with an offset, or raise `RefusedError`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(f"{option}: {text!r} is no time; write 2026-03-02T08:00:00+08:00") from None
    if found.tzinfo is None:
        raise RefusedError(f"{option}: {text!r} has no offset; write +08:00 behind it")
    return found


def assign(
    episode_id: EpisodeId,
    to: Annotated[str | None, typer.Option(help="Who is to take care of it; left out: nobody.")] = None,
    by: By = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Hand an alert to somebody."""
    from store.episode_actions import assign as hand  # noqa: PLC0415

    who = by or getpass.getuser()
    ask(settings, lambda connection: hand(connection, episode_id, to, who, datetime.now(UTC)))
    emit(
        {"episode_id": episode_id, "assignee": to},
        f"episode {episode_id}: assigned to {to or 'nobody'}",
        as_json=json_output,
    )


def snooze(
    episode_id: EpisodeId,
    hours: Annotated[float, typer.Option(help="For so long; 0 takes it up again.", min=0)] = 8.0,
    by: By = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Put an alert off: it stays open, but nobody above hears of it before."""
    from store.episode_actions import snooze as put_off  # noqa: PLC0415

    who, now = by or getpass.getuser(), datetime.now(UTC)
    until = now + timedelta(hours=hours) if hours > 0 else None
    ask(settings, lambda connection: put_off(connection, episode_id, until, who, now))
    text = "no longer put off" if until is None else f"put off until {until:%F %T}Z"
    emit({"episode_id": episode_id, "snoozed_until": until}, f"episode {episode_id}: {text}", as_json=json_output)


def comment(
    episode_id: EpisodeId,
    text: Annotated[str, typer.Argument(help="What is to be kept with it, at most 4000 characters.")],
    by: By = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Say something about an alert, also about one that is over."""
    from store.episode_actions import comment as say  # noqa: PLC0415

    if not 1 <= len(text) <= 4000:
        raise RefusedError("a comment has 1 to 4000 characters")
    who = by or getpass.getuser()
    number = ask(settings, lambda connection: say(connection, episode_id, text, who, datetime.now(UTC)))
    emit({"episode_id": episode_id, "comment_id": number}, f"episode {episode_id}: noted", as_json=json_output)


def limit(
    point: Annotated[str, typer.Argument(help="PARK/FIRM/POINT, by code.")],
    kind: Annotated[str, typer.Argument(help="emission_hourly, demand (kW), high or low.")],
    value: Annotated[float, typer.Argument(help="In the point's unit; demand in kW.")],
    source_zh: Annotated[str, typer.Option(help="Where it is written, in Chinese.")] = "",
    source_en: Annotated[str, typer.Option(help="Where it is written, in English.")] = "",
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Register a limit of one point that rules hold it against: a discharge permit, a contracted demand."""
    from store.alert_inputs import set_limit  # noqa: PLC0415
    from store.errors import UnknownNameError  # noqa: PLC0415
    from store.marking import point_ids  # noqa: PLC0415

    park, _, rest = point.partition("/")
    firm, _, code = rest.partition("/")
    if kind not in {"emission_hourly", "demand", "high", "low"}:
        raise RefusedError(f"{kind!r}: a limit is emission_hourly, demand, high or low")

    async def register_limit(connection: Any) -> None:
        ids = await point_ids(connection, park)
        if (firm, code) not in ids:
            raise UnknownNameError("point", point)
        await set_limit(connection, ids[firm, code], kind, value, source_zh=source_zh, source_en=source_en)

    ask(settings, register_limit)
    emit({"point": point, "kind": kind, "value": value}, f"{point}: {kind} {value:g}", as_json=json_output)


def try_rule(
    rule: Annotated[str, typer.Argument(help="Name of a rule of the file, or of the platform's own.")],
    since: Annotated[str, typer.Option("--from", help="Time with an offset: from here on.")],
    until: Annotated[str, typer.Option("--to", help="Time with an offset: up to here.")],
    park: OfPark = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Rules file; without it the platform's own rules.")
    ] = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Replay history with a rule and show which alerts it would have made. Nothing is written, nobody is told."""
    from alerts import rules  # noqa: PLC0415
    from alerts.trial import trial  # noqa: PLC0415

    chosen = [one for one in rules.load(file) if one.id == rule]
    if not chosen:
        raise RefusedError(f"no rule {rule!r} in {file or 'the platform`s own rules'}")
    first, last = moment(since, "--from"), moment(until, "--to")
    if last <= first:
        raise RefusedError("--to: must be after --from")
    found = ask(settings, lambda connection: trial(connection, chosen[0], first, last, park))
    rows = [
        (
            f"{one.began:%F %T}Z",
            "…" if one.ended is None else f"{one.ended:%F %T}Z",
            one.severity,
            one.title_en,
            f"{one.worst:.4g}",
        )
        for one in found
    ]
    emit([msgspec.to_builtins(one) for one in found], table(rows, "it would have made no alert"), as_json=json_output)


@maintenance_app.command("begin")
def begin(
    park: ParkCode,
    reason: Annotated[str, typer.Option(help="Why nobody is to be told.")],
    hours: Annotated[float, typer.Option(help="For so long from its beginning.", min=0.01)] = 4.0,
    since: Annotated[str | None, typer.Option("--from", help="Time with an offset; left out: now.")] = None,
    firm: Annotated[str | None, typer.Option(help="Only this firm, by code.")] = None,
    point: Annotated[str | None, typer.Option(help="Only this point of the firm, by code.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    by: By = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Have rules not look for some hours; what they said of that time already is judged again."""
    from store.episode_actions import begin_maintenance  # noqa: PLC0415

    if point is not None and firm is None:
        raise RefusedError("--point: name its --firm as well")
    start = datetime.now(UTC) if since is None else moment(since, "--from")
    end = start + timedelta(hours=hours)
    number = ask(
        settings,
        lambda connection: begin_maintenance(
            connection,
            park,
            firm=firm,
            point=point,
            rule_id=rule,
            t_from=start,
            t_to=end,
            reason=reason,
            author=by or getpass.getuser(),
        ),
    )
    emit(
        {"maintenance_id": number, "from": start, "to": end},
        f"maintenance {number}: until {end:%F %T %z}",
        as_json=json_output,
    )


@maintenance_app.command("end")
def end_now(
    maintenance_id: Annotated[int, typer.Argument(metavar="ID", help="Number that `maintenance list` shows.")],
    by: By = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """End a maintenance window before its time."""
    from store.episode_actions import end_maintenance  # noqa: PLC0415

    who = by or getpass.getuser()
    ended = ask(settings, lambda connection: end_maintenance(connection, maintenance_id, who, datetime.now(UTC)))
    text = f"maintenance {maintenance_id}: " + ("ended" if ended else "is over already, or never was")
    emit({"maintenance_id": maintenance_id, "ended_now": ended}, text, as_json=json_output)


@maintenance_app.command("list")
def list_windows(
    park: OfPark = None,
    over: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """List maintenance windows that run or are to come. Times are UTC."""
    from store.episode_actions import maintenance  # noqa: PLC0415

    found = ask(settings, lambda connection: maintenance(connection, park, datetime.now(UTC), over=over))
    rows = [
        (
            one.maintenance_id,
            one.park,
            one.firm,
            one.point,
            one.rule_id,
            f"{one.t_from:%F %T}Z",
            f"{one.t_to:%F %T}Z",
            one.reason,
        )
        for one in found
    ]
    emit([msgspec.to_builtins(one) for one in found], table(rows, "no maintenance"), as_json=json_output)
