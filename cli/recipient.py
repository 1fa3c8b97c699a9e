"""`greenpark recipient`: who is told of alerts, of which, and when."""

from __future__ import annotations

import sys
from datetime import datetime, time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import MissingError, RefusedError
from cli.options import Json, Lang, OfPark, ParkCode, SettingsFile, ask, emit, table

if TYPE_CHECKING:
    from alerts.settings import AlertsSettings
    from store.recipients import AreaRow, NamedRecipient

app = typer.Typer(
    help="Who is told of alerts: a park's managers hear of all its firms, a firm's people of that firm only.",
    no_args_is_help=True,
)

RecipientId = Annotated[int, typer.Argument(metavar="ID", help="Number that `recipient list` shows.")]


class Severity(StrEnum):
    """From which severity on somebody is told."""

    INFO = "info"
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"


class Topic(StrEnum):
    """What somebody is there for."""

    ENERGY = "energy"
    WATER = "water"
    EMISSIONS = "emissions"
    DATA = "data"


class Digest(StrEnum):
    """Which digest somebody gets."""

    DAILY = "daily"
    WEEKLY = "weekly"
    OFF = "off"


@app.command()
def add(
    park: ParkCode,
    name: Annotated[str, typer.Option(help="Who it is, for people.")],
    firm: Annotated[str | None, typer.Option(help="Only alerts of this firm; without it the whole park.")] = None,
    address_file: Annotated[
        Path, typer.Option(help="File that holds the address alone; - is standard input, or a question.")
    ] = Path("-"),
    channel: Annotated[
        str, typer.Option(help="How it is told: webhook, email, sms, wecom, dingtalk, feishu, or apprise.")
    ] = "webhook",
    locale: Annotated[Lang, typer.Option(help="Language of its messages.")] = Lang.ZH,
    min_severity: Annotated[Severity, typer.Option(help="Nothing below this.")] = Severity.INFO,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Have alerts sent to an address; the same address again changes name, language and severity.

    An address may hold a secret, so it is never an argument:

    echo https://example.org/hook/TOKEN | greenpark recipient add tongliang --name "duty office"

    It is sealed with the key of address_key_file in [alerts], if that is set. Instead of the address itself, file:/path
    or env:NAME may be given: then the alerts process looks it up there.
    """
    from alerts.addresses import holds_secret, read_key, seal  # noqa: PLC0415
    from alerts.channels import CHANNELS, check_address  # noqa: PLC0415
    from alerts.errors import AddressError  # noqa: PLC0415
    from store import recipients, registry  # noqa: PLC0415
    from store.errors import UnknownNameError  # noqa: PLC0415

    if channel not in CHANNELS:
        msg = f"--channel {channel}: unknown; known are {', '.join(sorted(CHANNELS))}"
        raise RefusedError(msg)
    given = _address(address_file)
    try:
        check_address(channel, given)
    except AddressError as error:
        raise RefusedError(str(error)) from None
    key_file = alerts_settings(settings).address_key_file
    kept = given if key_file is None or not holds_secret(given) else seal(given, read_key(key_file))

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
            address=kept,
            locale=locale.value,
            min_severity=min_severity.value,
        )

    recipient_id = ask(settings, question)
    text = f"recipient {recipient_id}: {shown(given)}; try it: greenpark alerts send-test {recipient_id}"
    if holds_secret(kept):
        text += "\nits address lies in the database as it is: `greenpark recipient seal` encrypts it"
    emit({"recipient_id": recipient_id}, text, as_json=json_output)


@app.command("list")
def list_all(park: OfPark = None, settings: SettingsFile = None, json_output: Json = False) -> None:
    """List who is told, of what, and when; of an address, only where it leads to is shown."""
    from store import duty, recipients, registry  # noqa: PLC0415

    async def question(connection: Any) -> list[dict[str, Any]]:
        found = await recipients.list_recipients(connection, park)
        areas: dict[int, list[str]] = {}
        for one in await registry.parks(connection):
            for area in await recipients.areas(connection, one.park_id):
                areas.setdefault(area.recipient_id, []).append(_area_text(area))
        digests: dict[int, list[str]] = {}
        for subscription in await duty.subscriptions(connection):
            digests.setdefault(subscription.recipient_id, []).append(subscription.kind)
        failing = {one.recipient_id: one.last_error for one in await recipients.failing(connection)}
        return [
            _document(one, areas.get(one.recipient_id, []), digests.get(one.recipient_id, []), failing) for one in found
        ]

    documents = ask(settings, question)
    rows = [
        (
            one["recipient_id"],
            one["park"],
            one["firm"],
            one["name"],
            one["channel"],
            one["address"],
            one["locale"],
            one["min_severity"],
            "; ".join(one["areas"]) or None,
            one["quiet"],
            None if one["hourly_limit"] >= 100_000 else f"{one['hourly_limit']}/h",
            "on call" if one["on_call_only"] else None,
            ", ".join(one["digests"]) or None,
            f"FAILS: {one['failing']}" if one["failing"] else None,
        )
        for one in documents
    ]
    emit(documents, table(rows, "nobody is told yet: `greenpark recipient add PARK --name …`"), as_json=json_output)


@app.command()
def remove(recipient_id: RecipientId, settings: SettingsFile = None, json_output: Json = False) -> None:
    """Tell somebody nothing more. What was sent stays on record, what waits is given up, the address is forgotten."""
    from store.recipients import remove_recipient  # noqa: PLC0415

    given_up = ask(settings, lambda connection: remove_recipient(connection, recipient_id))
    document = {"recipient_id": recipient_id, "messages_given_up": given_up}
    emit(document, f"removed; {given_up} waiting messages were given up", as_json=json_output)


@app.command("duty")
def area(
    recipient_id: RecipientId,
    topic: Annotated[Topic | None, typer.Option(help="Only of this.")] = None,
    carrier: Annotated[str | None, typer.Option(help="Only of this carrier, such as steam.")] = None,
    zone: Annotated[str | None, typer.Option(help="Only of firms in this zone, by code.")] = None,
    firm: Annotated[str | None, typer.Option(help="Only of this firm, by code.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Take all areas away.")] = False,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Give somebody an area of duty. All that is named together must fit; each call adds an area, and one is enough.

    Without any area, somebody is there for everything. An alert in nobody's area goes to all managers of the park.
    """
    from park.units import CARRIERS  # noqa: PLC0415
    from store import recipients  # noqa: PLC0415

    named = (topic, carrier, zone, firm)
    if everything == any(one is not None for one in named):
        raise RefusedError("give --topic, --carrier, --zone or --firm (together they narrow), or --everything alone")
    if carrier is not None and carrier not in CARRIERS:
        msg = f"--carrier {carrier}: unknown; known are {', '.join(sorted(CARRIERS))}"
        raise RefusedError(msg)

    async def question(connection: Any) -> int:
        if everything:
            await recipients.recipient(connection, recipient_id)
            return await recipients.clear_areas(connection, recipient_id)
        await recipients.add_area(
            connection,
            recipient_id,
            carrier=carrier,
            topic=None if topic is None else topic.value,
            zone=zone,
            firm=firm,
        )
        return 0

    cleared = ask(settings, question)
    text = f"{cleared} areas taken away: told of everything" if everything else "area added"
    emit({"recipient_id": recipient_id, "cleared": cleared}, text, as_json=json_output)


@app.command()
def times(
    recipient_id: RecipientId,
    quiet: Annotated[
        str | None, typer.Option(help="Quiet hours by the park's clock, such as 22:00-07:00; `none` ends them.")
    ] = None,
    loud: Annotated[Severity | None, typer.Option(help="From this severity on, quiet hours do not hold.")] = None,
    hourly_limit: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="So many messages an hour; the rest comes as one summary.")
    ] = None,
    on_call_only: Annotated[
        bool | None, typer.Option("--on-call-only/--always", help="Only while a calendar has them on duty.")
    ] = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Say when somebody is told. What is held back comes as a summary; nothing is lost."""
    from store import recipients  # noqa: PLC0415

    hours = None if quiet is None else (None, None) if quiet == "none" else _hours(quiet)

    async def question(connection: Any) -> NamedRecipient:
        await recipients.set_times(
            connection,
            recipient_id,
            on_call_only=on_call_only,
            quiet=hours,
            quiet_min_severity=None if loud is None else loud.value,
            hourly_limit=hourly_limit,
        )
        return await recipients.recipient(connection, recipient_id)

    found = ask(settings, question)
    document = _document(found, [], [], {})
    text = (
        f"recipient {recipient_id}: quiet {document['quiet'] or 'never'}, {found.quiet_min_severity} and worse at any "
        f"hour, {found.hourly_limit} an hour, {'on duty only' if found.on_call_only else 'always'}"
    )
    kept = ("recipient_id", "quiet", "quiet_min_severity", "hourly_limit", "on_call_only")
    emit({name: document[name] for name in kept}, text, as_json=json_output)


@app.command()
def digest(
    recipient_id: RecipientId,
    kind: Annotated[Digest, typer.Argument(help="daily, weekly (for the industry meeting), or off.")],
    at: Annotated[str, typer.Option(help="Hour by the park's clock.")] = "08:00",
    weekday: Annotated[int, typer.Option(min=1, max=7, help="Of the weekly one; 1 is Monday.")] = 1,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Send somebody a digest: of yesterday, or of the seven days before the weekday. A firm's is about itself."""
    from store import duty, recipients  # noqa: PLC0415

    hour = clock_time(at)

    async def question(connection: Any) -> list[str]:
        await recipients.recipient(connection, recipient_id)
        if kind is Digest.OFF:
            return await duty.unsubscribe(connection, recipient_id)
        await duty.subscribe(connection, recipient_id, kind.value, hour, weekday)
        return []

    ended = ask(settings, question)
    text = f"ended: {', '.join(ended) or 'there was none'}" if kind is Digest.OFF else f"{kind.value} at {hour:%H:%M}"
    emit({"recipient_id": recipient_id, "kind": kind.value, "ended": ended}, text, as_json=json_output)


@app.command("seal")
def seal_all(settings: SettingsFile = None, json_output: Json = False) -> None:
    """Encrypt the addresses in the database with the key of address_key_file in [alerts], made if it is not there.

    Keep the file: whoever has it and the database reads the addresses, and without it they must be entered again. The
    alerts process and this command need the same file.
    """
    from alerts.addresses import holds_secret, new_key, read_key, seal  # noqa: PLC0415
    from store import recipients  # noqa: PLC0415

    file = alerts_settings(settings).address_key_file
    if file is None:
        raise MissingError("set address_key_file in [alerts], or GREENPARK_ALERTS_ADDRESS_KEY_FILE, to a file of yours")
    made = False
    if not file.exists():
        try:
            file.touch(mode=0o600, exist_ok=False)
            file.write_text(new_key(), encoding="ascii")
        except OSError as error:
            msg = f"{file}: {error.strerror}"
            raise MissingError(msg) from None
        made = True
    key = read_key(file)

    async def question(connection: Any) -> int:
        open_ones = [one for one in await recipients.list_recipients(connection) if holds_secret(one.address)]
        for one in open_ones:
            await recipients.reseal(connection, one.recipient_id, one.address, seal(one.address, key))
        return len(open_ones)

    sealed = ask(settings, question)
    text = f"{sealed} addresses sealed with {file}" + (" (new: keep a copy in a safe place)" if made else "")
    emit({"sealed": sealed, "key_made": made}, text, as_json=json_output)


def alerts_settings(file: Path | None) -> AlertsSettings:
    """Return the settings of the alerts room."""
    from alerts.settings import AlertsSettings  # noqa: PLC0415
    from cli.settings import load_settings  # noqa: PLC0415

    loaded = load_settings(file)
    return loaded.room("alerts", AlertsSettings, database_url=loaded.database_url)


def shown(address: str) -> str:
    """Return what of an address is no secret."""
    from alerts.addresses import shown as harmless  # noqa: PLC0415

    return harmless(address)


def clock_time(text: str) -> time:
    """Return a time of day such as 08:00, or raise `RefusedError`."""
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007  (a time of day has no zone)
    except ValueError:
        msg = f"{text!r} is no time of day such as 08:00"
        raise RefusedError(msg) from None


def _hours(text: str) -> tuple[time, time]:
    first, dash, last = text.partition("-")
    if not dash:
        raise RefusedError("--quiet: give two times of day, such as 22:00-07:00, or none")
    starts, ends = clock_time(first), clock_time(last)
    if starts == ends:
        raise RefusedError("--quiet: the two times are the same; leave somebody out with --min-severity instead")
    return starts, ends


def _document(one: NamedRecipient, areas: list[str], digests: list[str], failing: dict[int, str]) -> dict[str, Any]:
    quiet = None if one.quiet_from is None or one.quiet_to is None else f"{one.quiet_from:%H:%M}-{one.quiet_to:%H:%M}"
    return {
        "recipient_id": one.recipient_id,
        "park": one.park,
        "firm": one.firm,
        "name": one.name,
        "channel": one.channel,
        "address": shown(one.address),
        "locale": one.locale,
        "min_severity": one.min_severity,
        "areas": areas,
        "quiet": quiet,
        "quiet_min_severity": one.quiet_min_severity,
        "hourly_limit": one.hourly_limit,
        "on_call_only": one.on_call_only,
        "digests": digests,
        "failing": failing.get(one.recipient_id),
    }


def _area_text(area: AreaRow) -> str:
    return " ".join(part for part in (area.topic, area.carrier, area.zone, area.firm) if part)


def _address(file: Path) -> str:
    if str(file) == "-":
        text = typer.prompt("address", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            msg = f"{file}: {error.strerror}"
            raise MissingError(msg) from None
    return str(text).strip()
