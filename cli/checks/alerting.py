"""Who is told: every park has somebody, every channel has what it needs, and none fails."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from alerts.addresses import SEALED, holds_secret, read_key
from alerts.channels import CHANNELS
from alerts.errors import StartError
from alerts.settings import AlertsSettings
from cli.checks.finding import Finding, bad, look, ok, warn
from cli.errors import CliError
from store import recipients
from store.errors import StoreError
from store.migrations import check_schema
from store.pool import connected

if TYPE_CHECKING:
    from cli.settings import Settings
    from store.recipients import Failing, NamedRecipient


async def examine_alerting(settings: Settings) -> list[Finding]:
    """Look at who is told, where there is a database of this schema; without one, the other checks say so."""
    try:
        given = settings.room("alerts", AlertsSettings, database_url=settings.database_url)
        async with connected(given.database_url, application="greenpark doctor") as connection:
            await check_schema(connection)
            people = await recipients.list_recipients(connection)
            lonely = await recipients.parks_without_managers(connection)
            failing = await recipients.failing(connection)
    except (CliError, StoreError):
        return []
    return [
        *await look("who is told", check_managers, people, lonely),
        *await look("channels", check_channels, people, given),
        *await look("addresses", check_addresses, people, given),
        *await look("failing channels", check_failing, failing),
    ]


def check_managers(people: list[NamedRecipient], lonely: list[str]) -> Finding:
    """Every park has a manager who is told."""
    if lonely:
        return warn(
            "who is told",
            f"nobody is told of all alerts of {', '.join(lonely)}",
            f'greenpark recipient add {lonely[0]} --name "managers" --channel email',
        )
    return ok("who is told", f"{len(people)} recipients")


def check_channels(people: list[NamedRecipient], given: AlertsSettings) -> list[Finding]:
    """Every channel that somebody has is known here, and has its account."""
    used = Counter(one.channel for one in people)
    found = []
    for channel in sorted(used.keys() - CHANNELS.keys()):
        advice = "remove them and add them again: greenpark recipient list"
        found.append(bad("channels", f"{used[channel]} recipients have the channel {channel!r}, unknown here", advice))
    for channel, setting, file in (
        ("email", "email_url_file", given.email_url_file),
        ("sms", "sms_url_file", given.sms_url_file),
    ):
        if not used[channel]:
            continue
        if file is None:
            what = f"{used[channel]} recipients of {channel}, and no account to send with"
            found.append(bad("channels", what, f"set {setting} in [alerts]"))
        elif not file.is_file():
            found.append(bad("channels", f"{setting} {file} is not there", "write the account into it, as one URL"))
    return found or [ok("channels", ", ".join(f"{count} {name}" for name, count in sorted(used.items())) or "none yet")]


def check_addresses(people: list[NamedRecipient], given: AlertsSettings) -> Finding:
    """Secrets of addresses are sealed, and the key for them is there."""
    sealed = sum(one.address.startswith(SEALED) for one in people)
    plain = sum(holds_secret(one.address) for one in people)
    if given.address_key_file is None:
        if sealed:
            return bad(
                "addresses", f"{sealed} addresses are sealed, and no key is set", "set address_key_file in [alerts]"
            )
    elif sealed or given.address_key_file.exists():
        try:
            read_key(given.address_key_file)
        except StartError as error:
            return bad("addresses", str(error), "restore the file, or enter the addresses again")
    if plain:
        return warn(
            "addresses",
            f"{plain} addresses with secrets lie in the database as they are",
            "set address_key_file in [alerts], then: greenpark recipient seal",
        )
    return ok("addresses", f"{sealed} sealed, none with an open secret")


def check_failing(failing: list[Failing]) -> list[Finding]:
    """Every channel takes messages."""
    return [
        bad(
            "failing channels",
            f"recipient {one.recipient_id} {one.name} ({one.channel}) since {one.since:%F %T}Z: {one.last_error}",
            f"mend it, then: greenpark alerts send-test {one.recipient_id}",
        )
        for one in failing
    ] or [ok("failing channels", "none")]
