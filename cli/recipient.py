"""`greenpark recipient`: who is told of alerts."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from cli.errors import MissingError, RefusedError
from cli.options import Json, Lang, OfPark, ParkCode, SettingsFile, ask, emit, table

app = typer.Typer(
    help="Who is told of alerts: a park's managers hear of all its firms, a firm's people of that firm only.",
    no_args_is_help=True,
)


class Severity(StrEnum):
    """From which severity on somebody is told."""

    INFO = "info"
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"


@app.command()
def add(
    park: ParkCode,
    name: Annotated[str, typer.Option(help="Who it is, for people.")],
    firm: Annotated[str | None, typer.Option(help="Only alerts of this firm; without it the whole park.")] = None,
    address_file: Annotated[
        Path, typer.Option(help="File that holds the address alone; - is standard input, or a question.")
    ] = Path("-"),
    channel: Annotated[str, typer.Option(help="How it is told.")] = "webhook",
    locale: Annotated[Lang, typer.Option(help="Language of its messages.")] = Lang.ZH,
    min_severity: Annotated[Severity, typer.Option(help="Nothing below this.")] = Severity.INFO,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Have alerts sent to an address; the same address again changes name, language and severity.

    An address may hold a secret, so it is never an argument:

    echo https://example.org/hook/TOKEN | greenpark recipient add tongliang --name "duty office"
    """
    from alerts.channels import CHANNELS  # noqa: PLC0415
    from store import recipients, registry  # noqa: PLC0415
    from store.errors import UnknownNameError  # noqa: PLC0415

    if channel not in CHANNELS:
        msg = f"--channel {channel}: unknown; known are {', '.join(sorted(CHANNELS))}"
        raise RefusedError(msg)
    address = _address(address_file)

    async def question(connection: Any) -> int:
        park_id = (await registry.park_named(connection, park)).park_id
        firm_ids = {row.code: row.firm_id for row in await registry.firms(connection, park_id)}
        if firm is not None and firm not in firm_ids:
            raise UnknownNameError("firm", f"{park}/{firm}")
        return await recipients.add_recipient(
            connection,
            park_id=park_id,
            firm_id=None if firm is None else firm_ids[firm],
            name=name,
            channel=channel,
            address=address,
            locale=locale.value,
            min_severity=min_severity.value,
        )

    recipient_id = ask(settings, question)
    emit({"recipient_id": recipient_id}, f"recipient {recipient_id}: {shown(address)}", as_json=json_output)


@app.command("list")
def list_all(park: OfPark = None, settings: SettingsFile = None, json_output: Json = False) -> None:
    """List who is told; of an address, only its host is shown."""
    from store.recipients import list_recipients  # noqa: PLC0415

    found = ask(settings, lambda connection: list_recipients(connection, park))
    documents = [
        {
            "recipient_id": one.recipient_id,
            "park": one.park,
            "firm": one.firm,
            "name": one.name,
            "channel": one.channel,
            "address": shown(one.address),
            "locale": one.locale,
            "min_severity": one.min_severity,
        }
        for one in found
    ]
    rows = [tuple(document.values()) for document in documents]
    emit(documents, table(rows, "nobody is told yet: `greenpark recipient add PARK --name …`"), as_json=json_output)


@app.command()
def remove(
    recipient_id: Annotated[int, typer.Argument(metavar="ID", help="Number that `recipient list` shows.")],
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Tell somebody nothing more. What was sent stays on record, what waits is given up, the address is forgotten."""
    from store.recipients import remove_recipient  # noqa: PLC0415

    given_up = ask(settings, lambda connection: remove_recipient(connection, recipient_id))
    document = {"recipient_id": recipient_id, "messages_given_up": given_up}
    emit(document, f"removed; {given_up} waiting messages were given up", as_json=json_output)


def shown(address: str) -> str:
    """Return what of an address is no secret."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}/…"


def _address(file: Path) -> str:
    if str(file) == "-":
        text = typer.prompt("address", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            msg = f"{file}: {error.strerror}"
            raise MissingError(msg) from None
    address = str(text).strip()
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and address.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in address:
        raise RefusedError("the address is no http or https URL; write it alone, on one line")
    return address
