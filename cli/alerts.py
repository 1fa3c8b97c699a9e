"""`greenpark alerts`: episodes seen and taken on from a terminal."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import typer

from cli.alert_actions import register
from cli.options import Json, Lang, OfPark, SettingsFile, ask, emit, table

app = typer.Typer(
    help="Alerts: each is one episode from start to end. List them, take one on, hand it over, put it off; try a rule "
    "on the past. Who is told: `greenpark recipient`.",
    no_args_is_help=True,
)


register(app)


@app.command("list")
def list_all(
    park: OfPark = None,
    firm: Annotated[str | None, typer.Option(help="Only of this firm, by code.")] = None,
    over: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 50,
    lang: Annotated[Lang, typer.Option(help="Language of the titles.", envvar="GREENPARK_LANG")] = Lang.ZH,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """List alerts that are open or acknowledged, newest first. Times are UTC."""
    from store.episodes import list_episodes  # noqa: PLC0415

    found = ask(
        settings,
        lambda connection: list_episodes(connection, park=park, firm=firm, unfinished=not over, limit=limit),
    )
    rows = [
        (
            one.episode_id,
            one.severity,
            one.state,
            f"{one.began:%F %T}Z",
            "…" if one.ended is None else f"{one.ended:%F %T}Z",
            one.title_zh if lang is Lang.ZH else one.title_en,
        )
        for one in found
    ]
    emit([msgspec.to_builtins(one) for one in found], table(rows, "no alert"), as_json=json_output)


@app.command()
def acknowledge(
    episode_id: Annotated[int, typer.Argument(metavar="ID", help="Number that `alerts list` shows.")],
    note: Annotated[str | None, typer.Option(help="What is being done about it; kept with the episode.")] = None,
    by: Annotated[str | None, typer.Option(help="Who takes it on; without it the name you are logged in as.")] = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Take an open alert on. Doing it twice changes nothing; the first name stays."""
    from store.episode_actions import acknowledge as take_on  # noqa: PLC0415

    who = by or getpass.getuser()
    now = datetime.now(UTC)
    taken = ask(settings, lambda connection: take_on(connection, episode_id, who, note, now))
    document = {"episode_id": episode_id, "by": who, "taken_on_now": taken}
    text = f"episode {episode_id}: acknowledged by {who}" if taken else f"episode {episode_id}: somebody already had"
    emit(document, text, as_json=json_output)


@app.command("send-test")
def send_test(
    recipient_id: Annotated[int, typer.Argument(metavar="RECIPIENT", help="Number that `recipient list` shows.")],
    wait_s: Annotated[float, typer.Option("--wait", min=0, max=600, help="How many seconds to wait for it.")] = 30.0,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Send somebody a test message the way alerts go, and say what became of it. Needs a running alerts process."""
    import asyncio  # noqa: PLC0415
    import secrets  # noqa: PLC0415

    from alerts.notices import trial  # noqa: PLC0415
    from store import outbox, recipients  # noqa: PLC0415

    async def question(connection: Any) -> outbox.Fate:
        one = await recipients.recipient(connection, recipient_id)
        now = datetime.now(UTC)
        outbox_id = await outbox.enqueue_other(
            connection,
            recipient_id=recipient_id,
            kind="test",
            severity="info",
            dedupe_key=f"test/{recipient_id}/{secrets.token_hex(8)}",
            body=trial(one.name, one.park, one.locale),
            due=now,
            expires=now + timedelta(minutes=10),
        )
        assert outbox_id is not None
        found = await outbox.fate(connection, outbox_id)
        while found.state == "waiting" and (datetime.now(UTC) - now).total_seconds() < wait_s:
            await asyncio.sleep(0.2)
            found = await outbox.fate(connection, outbox_id)
        return found

    found = ask(settings, question)
    said = {
        "delivered": "delivered",
        "failed": f"refused: {found.last_error}",
        "expired": f"given up: {found.last_error}",
    }.get(
        found.state,
        f"not yet after {found.attempts} attempts: {found.last_error}"
        if found.attempts
        else "nobody has tried to send it: does `greenpark run alerts` run?",
    )
    emit(msgspec.to_builtins(found), said, as_json=json_output)
    if found.state != "delivered":
        raise typer.Exit(1)
