"""Recipients, calendars, ladders and test messages from a terminal, on a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from alerts.addresses import SEALED, read_key, reveal
from cli.checks.alerting import examine_alerting
from cli.errors import MissingError, RefusedError
from cli.settings import load_settings
from store import registry
from store.errors import UnknownNameError, UnsuitableError
from store.pool import connected

from .test_commands import PARK, Command, definition

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.stack


@pytest.fixture
def command(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command against a migrated database with one park, one firm and one point."""
    here = Command(database_url, monkeypatch)
    here.sql(lambda connection: registry.apply_definition(connection, definition("E-1")))
    return here


HOOK = "https://oapi.dingtalk.com/robot/send?access_token=abc123&secret=SEChushhush0123"


def add(command: Command, name: str, address: str, channel: str = "webhook", *more: str) -> int:
    words = ["recipient", "add", PARK, "--name", name, "--channel", channel, *more]
    found: int = command.json(*words, given=address + "\n")["recipient_id"]
    return found


def stored(command: Command, sql: str) -> Any:
    async def ask() -> Any:
        async with connected(command.url, application="test") as connection:
            return await connection.fetchval(sql)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("email", "nobody"),
        ("email", "a@b.example, c@d.example"),
        ("sms", "emergency"),
        ("dingtalk", "https://oapi.dingtalk.com.evil.example/robot/send?access_token=abc123&secret=SECsecret0123"),
        ("feishu", "https://open.feishu.cn/"),
        ("wecom", "https://example.org/?key=SECsecret0123"),
        ("apprise", "syslog://"),
    ],
)
def test_an_address_that_the_channel_cannot_reach_is_refused(
    command: Command,
    channel: str,
    address: str,
) -> None:
    """Each channel looks at its own form of address, and the refusal holds no secret."""
    with pytest.raises(RefusedError, match="the address is no") as caught:
        add(command, "x", address, channel)
    assert "SECsecret" not in str(caught.value)


def test_addresses_are_sealed_from_the_setting_on_and_by_command(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a key doctor warns; `seal` makes one and seals what is there; what is added later is sealed at once."""
    open_one = add(command, "open", HOOK, "dingtalk")
    add(command, "mail", "manager@park.example", "email")
    add(command, "elsewhere", f"file:{tmp_path}/hook", "feishu")
    with pytest.raises(MissingError, match="address_key_file"):
        command("recipient", "seal")
    warned = {one.what: one.level for one in asyncio.run(examine_alerting(load_settings(None)))}
    assert warned == {"who is told": "ok", "channels": "bad", "addresses": "warn", "failing channels": "ok"}
    key = tmp_path / "address.key"
    monkeypatch.setenv("GREENPARK_ALERTS_ADDRESS_KEY_FILE", str(key))
    assert command.json("recipient", "seal") == {"sealed": 1, "key_made": True}
    assert command.json("recipient", "seal") == {"sealed": 0, "key_made": False}
    assert key.stat().st_mode & 0o077 == 0
    kept = stored(command, f"SELECT address FROM recipient WHERE recipient_id = {open_one}")
    assert kept.startswith(SEALED)
    assert reveal(kept, read_key(key)) == HOOK
    assert add(command, "again, by another name", HOOK, "dingtalk") == open_one
    everything = stored(command, "SELECT string_agg(r::text, ' ') FROM recipient AS r")
    assert "hushhush" not in everything
    listed = command.json("recipient", "list")
    assert [one["address"] for one in listed] == ["sealed", "m…@park.example", f"file:{tmp_path}/hook"]
    mail = tmp_path / "mail.url"
    mail.write_text("mailto://127.0.0.1?from=a@b.example")
    monkeypatch.setenv("GREENPARK_ALERTS_EMAIL_URL_FILE", str(mail))
    assert {one.level for one in asyncio.run(examine_alerting(load_settings(None)))} == {"ok"}
    key.unlink()
    assert "bad" in {one.level for one in asyncio.run(examine_alerting(load_settings(None)))}


def test_areas_times_and_digests_are_set_and_shown(command: Command) -> None:
    """What was set is in the list; what makes no sense is refused with what would."""
    person = str(add(command, "water", "http://127.0.0.1:9/"))
    command("recipient", "duty", person, "--topic", "water", "--firm", "a")
    command("recipient", "duty", person, "--carrier", "steam")
    command("recipient", "times", person, "--quiet", "22:00-07:00", "--loud", "major", "--hourly-limit", "5")
    command("recipient", "times", person, "--on-call-only")
    command("recipient", "digest", person, "daily", "--at", "07:30")
    [one] = command.json("recipient", "list")
    assert one["areas"] == ["water a", "steam"]
    assert (one["quiet"], one["quiet_min_severity"], one["hourly_limit"]) == ("22:00-07:00", "major", 5)
    assert (one["on_call_only"], one["digests"]) == (True, ["daily"])
    command("recipient", "times", person, "--quiet", "none", "--always")
    command("recipient", "duty", person, "--everything")
    assert command.json("recipient", "digest", person, "off")["ended"] == ["daily"]
    [one] = command.json("recipient", "list")
    assert (one["areas"], one["quiet"], one["on_call_only"], one["digests"]) == ([], None, False, [])
    for words in (
        ["duty", person],
        ["duty", person, "--everything", "--topic", "water"],
        ["duty", person, "--carrier", "gold"],
        ["times", person, "--quiet", "22:00"],
        ["times", person, "--quiet", "22:00-22:00"],
        ["times", person, "--quiet", "25:00-07:00"],
        ["digest", person, "daily", "--at", "noon"],
    ):
        with pytest.raises(RefusedError):
            command("recipient", *words)
    for words in (["duty", person, "--zone", "nowhere"], ["times", "99"], ["digest", "99", "daily"]):
        with pytest.raises(UnknownNameError):
            command("recipient", *words)


def test_a_calendar_shows_who_is_on_duty_now_and_next(command: Command) -> None:
    """Turns meet, a stand-in goes first, and only the park's managers can be members."""
    first, second = (add(command, name, f"http://127.0.0.1:9/{name}") for name in ("one", "two"))
    of_firm = add(command, "firm", "http://127.0.0.1:9/f", "webhook", "--firm", "a")
    since = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    members = ["--member", str(first), "--member", str(second)]
    command("oncall", "rotate", PARK, "night", *members, "--from", since, "--turn-days", "7")
    turns = command.json("oncall", "list", "--ahead", "3")
    assert [(one["recipient_id"], one["now"]) for one in turns] == [(first, True), (second, False), (first, False)]
    assert turns[0]["to"] == turns[1]["from"]
    assert turns[0]["to"].endswith("T08:00+08:00")
    now = datetime.now(UTC)
    words = ["--from", (now - timedelta(hours=1)).isoformat(), "--to", (now + timedelta(hours=1)).isoformat()]
    command("oncall", "stand-in", PARK, "night", str(second), *words)
    turns = command.json("oncall", "list", "--ahead", "2")
    assert [(one["recipient_id"], one["stands_in"]) for one in turns] == [(second, True), (first, False)]
    with pytest.raises(UnsuitableError, match="no manager"):
        command("oncall", "rotate", PARK, "night", "--member", str(of_firm))
    with pytest.raises(RefusedError, match="after --from"):
        command("oncall", "stand-in", PARK, "night", str(second), "--from", "2025-12-02T08:00", "--to", "2025-12-01")
    with pytest.raises(UnknownNameError, match="oncall list"):
        command("oncall", "stand-in", PARK, "day", str(second), "--from", "2025-12-01T08:00", "--to", "2025-12-02")
    step = command.json("escalation", "add", PARK, "--after", "15m", "--calendar", "night")["step_id"]
    command("escalation", "add", PARK, "--after", "2h", "--to", str(first), "--min-severity", "critical")
    ladder = command.json("escalation", "list")
    assert [(one["after_s"], one["calendar"], one["recipient_id"]) for one in ladder] == [
        (900, "night", None),
        (7200, None, first),
    ]
    command("escalation", "remove", str(step))
    assert len(command.json("escalation", "list", "--park", PARK)) == 1
    for words in (["--after", "15m"], ["--after", "soon", "--to", str(first)], ["--after", "0m", "--to", str(first)]):
        with pytest.raises(RefusedError):
            command("escalation", "add", PARK, *words)


def test_a_test_message_says_when_nobody_sends_it(command: Command) -> None:
    """Without an alerts process the command ends with an error that says so; the message waits and expires."""
    person = str(add(command, "one", "http://127.0.0.1:9/"))
    said = command.json("alerts", "send-test", person, "--wait", "0.3", code=1)
    assert (said["state"], said["attempts"]) == ("waiting", 0)
    assert stored(command, "SELECT body->>'title' FROM outbox WHERE kind = 'test'") == "【测试】告警通道测试"


def test_doctor_names_the_park_without_anybody(command: Command) -> None:
    """A park of which nobody is told is a warning with the command that helps."""
    found = asyncio.run(examine_alerting(load_settings(None)))
    [lonely] = [one for one in found if one.what == "who is told"]
    assert lonely.level == "warn"
    assert PARK in lonely.found
    assert "recipient add" in lonely.do
