"""`greenpark quarantine`: messages that could not be taken, looked at and, once their cause is mended, taken."""

from __future__ import annotations

import base64
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.errors import RefusedError
from cli.options import Json, SettingsFile, ask, emit, table

if TYPE_CHECKING:
    from ingest.quarantine import HeldMessage, Replayed

app = typer.Typer(
    help="Messages that could not be taken, kept as they came: list, show, replay, discard.\n\nUsually: "
    "`quarantine list` says why they are held, `park apply` mends the cause, `quarantine replay --all` takes them. "
    "Replaying twice changes nothing.",
    no_args_is_help=True,
)

Ids = Annotated[list[int], typer.Argument(metavar="ID…", help="Numbers that `quarantine list` shows.")]
Reason = Annotated[str | None, typer.Option(help="Only messages held for this reason, such as unknown_point.")]
Topic = Annotated[str | None, typer.Option(help="Only topics that begin so, such as greenpark/1/tongliang/.")]


class State(StrEnum):
    """What became of a message."""

    HELD = "held"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    ALL = "all"


@app.command("list")
def list_messages(
    reason: Reason = None,
    topic: Topic = None,
    state: Annotated[State, typer.Option(help="Held ones by default.")] = State.HELD,
    after: Annotated[int, typer.Option(help="Go on after this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Messages at most.")] = 50,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """List messages, oldest first, with the count of all that are held by reason."""
    from store.quarantine import held_counts, list_held  # noqa: PLC0415

    async def question(connection: Any) -> tuple[dict[str, int], list[HeldMessage]]:
        wanted = None if state is State.ALL else state.value
        found = await list_held(
            connection,
            state=wanted,  # type: ignore[arg-type]  # the enum's values are its words
            reason=reason,
            topic_prefix=topic,
            after=after,
            limit=limit,
        )
        return await held_counts(connection), found

    counts, messages = ask(settings, question)
    rows = [
        (m.quarantine_id, f"{m.received:%F %T}Z", m.topic, m.reason, f"{m.times_seen}×", m.detail) for m in messages
    ]
    summary = ", ".join(f"{count} {why}" for why, count in counts.items()) or "nothing"
    lines = [table(rows, "no such message"), "", f"held: {summary}"]
    if len(messages) == limit:
        lines.append(f"there may be more: --after {messages[-1].quarantine_id}")
    document = {"held": counts, "messages": [_as_dict(message) for message in messages]}
    emit(document, "\n".join(lines), as_json=json_output)


@app.command()
def show(
    message_id: Annotated[int, typer.Argument(metavar="ID", help="Number that `quarantine list` shows.")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Show one message with its payload."""
    from ingest.quarantine import show as look_up  # noqa: PLC0415

    message = ask(settings, lambda connection: look_up(connection, message_id))
    payload = _payload(message.payload)
    document = _as_dict(message) | payload
    lines = [(name.replace("_", " "), value) for name, value in document.items() if name not in payload]
    text = payload.get("payload_text") or f"(base64) {payload['payload_base64']}"
    emit(document, f"{table(lines, '')}\n\n{text}", as_json=json_output)


@app.command()
def replay(
    message_ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID…]", help="Numbers that `quarantine list` shows.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every held message.")] = False,
    reason: Reason = None,
    topic: Topic = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Take held messages as if they came now: by number, by --reason or --topic, or --all.

    What is stored already changes nothing. What is still wrong stays held, and the exit status is then 1.
    """
    from ingest import quarantine  # noqa: PLC0415

    if bool(message_ids) == (everything or reason is not None or topic is not None):
        raise RefusedError("name the messages: either numbers, or --reason, --topic or --all")
    if everything and (reason is not None or topic is not None):
        raise RefusedError("--all is every held message; leave it out to replay by --reason or --topic")
    now_ms = time.time_ns() // 1_000_000

    async def question(connection: Any) -> list[Replayed]:
        if message_ids:
            return await quarantine.replay(connection, message_ids, now_ms=now_ms)
        found = quarantine.replay_all(connection, now_ms=now_ms, reason=reason, topic_prefix=topic)
        return [done async for done in found]

    done = ask(settings, question)
    held = [one for one in done if one.held]
    document = {
        "taken": len(done) - len(held),
        "still_held": len(held),
        "readings": sum(one.readings for one in done),
        "conflicts": sum(one.conflicts for one in done),
        "messages": done,
    }
    lines = [f"{one.quarantine_id} is still held: {one.detail}" for one in held]
    told = "{taken} taken, {still_held} still held; {readings} new readings, {conflicts} in conflict"
    emit(document, "\n".join([*lines, told.format_map(document)]), as_json=json_output)
    if held:
        raise typer.Exit(1)


@app.command()
def discard(message_ids: Ids, settings: SettingsFile = None, json_output: Json = False) -> None:
    """Mark held messages as of no use. They are kept, and a redelivery of the same message stays discarded."""
    from ingest.quarantine import discard as give_up  # noqa: PLC0415

    async def question(connection: Any) -> None:
        # All or none: a wrong number among them changes nothing.
        async with connection.transaction():
            for message_id in message_ids:
                await give_up(connection, message_id)

    ask(settings, question)
    emit({"discarded": message_ids}, f"{len(message_ids)} discarded", as_json=json_output)


def _as_dict(message: HeldMessage) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(message, builtin_types=(bytes,))
    del fields["payload"]
    return fields


def _payload(payload: bytes) -> dict[str, str]:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    # Control characters would reach the terminal.
    if all(character.isprintable() or character in "\n\t" for character in text):
        return {"payload_text": text}
    return {"payload_base64": base64.b64encode(payload).decode()}
