"""Each administrative command does on a real database, broker or file what its help says, for people and machines."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.recipient import shown
from cli.settings import PREFIX
from park.definition import FirmDefinition, ParkDefinition, PointDefinition
from park.points import Kind
from park.wire import ROOT, Batch, encode
from store import registry
from store.pool import connected
from store.quarantine import Held, hold
from store.tenants import grant_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

PARK = "cmdpark"
EPISODE = """
    INSERT INTO episode (park_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began, opened,
                         title_zh, title_en, evidence, seen)
    SELECT park_id, 'r', 1, 'c', 'park', park_id, 'open', 'major', now(), now(), '水泵停机', 'pump stopped', '{}', now()
    FROM park RETURNING episode_id
"""


def definition(*codes: str) -> ParkDefinition:
    points = [
        PointDefinition(
            code=code, name_zh=code, name_en=code, kind=Kind.REGISTER, carrier="electricity", unit="kWh", edge="gw1"
        )
        for code in codes
    ]
    firm = FirmDefinition(code="a", name_zh="甲", name_en="A", industry="test", edges=["gw1"], points=points)
    return ParkDefinition(code=PARK, name_zh="园", name_en="Park", firms=[firm])


class Command:
    """The command against one database."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = url
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("GREENPARK_DATABASE_URL", url)

    def __call__(self, *words: str, code: int = 0, given: str = "") -> str:
        """Run it and return what it prints."""
        answer: Result = CliRunner().invoke(app, list(words), input=given)
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        assert answer.exit_code == code, answer.output
        return answer.stdout

    def json(self, *words: str, code: int = 0, given: str = "") -> Any:
        """Run it with --json and return the document."""
        return json.loads(self(*words, "--json", code=code, given=given))

    def sql(self, statement: Callable[[Any], Any]) -> Any:
        """Do something on a connection."""

        async def work() -> Any:
            async with connected(self.url) as connection:
                return await statement(connection)

        return asyncio.run(work())


@pytest.fixture
def command(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """A migrated database with one park, one firm and one point."""
    here = Command(database_url, monkeypatch)
    here.sql(lambda connection: registry.apply_definition(connection, definition("E-1")))
    yield here
    for row in here.sql(lambda c: c.fetch("SELECT DISTINCT role_name FROM tenant_scope")):
        role = row["role_name"]
        here.sql(lambda c, role=role: c.execute(f"DROP OWNED BY {role}; DROP ROLE {role}"))


def held(here: Command, *codes: str) -> None:
    """Put a batch of each point into quarantine, as ingest does with points that nobody knows."""
    now_ms = int(time.time() * 1000)
    messages = [
        Held(
            None, None, f"{ROOT}/{PARK}/a/gw1/data", None,
            encode(Batch(points=[code], t=[now_ms], v=[1.0], boot="b", seq=n)), "unknown_point", f"no point {code}",
        )
        for n, code in enumerate(codes)
    ]  # fmt: skip
    messages.append(Held(None, None, "greenpark/1/x", None, b"\xff\x00", "undecodable", "no JSON"))
    here.sql(lambda connection: hold(connection, messages))


@pytest.mark.stack
def test_quarantine_is_listed_shown_replayed_and_discarded(command: Command) -> None:
    """What was mended is taken once, what is still wrong stays held with exit status 1, what is useless goes."""
    held(command, "E-2", "E-3")
    found = command.json("quarantine", "list")
    assert found["held"] == {"undecodable": 1, "unknown_point": 2}
    ids = {message["detail"]: message["quarantine_id"] for message in found["messages"]}
    first, second, useless = ids["no point E-2"], ids["no point E-3"], ids["no JSON"]
    assert [m["quarantine_id"] for m in command.json("quarantine", "list", "--reason", "undecodable")["messages"]] == [
        useless
    ]
    text = command("quarantine", "list", "--limit", "2")
    assert text.count("×") == 2
    assert f"--after {sorted(ids.values())[1]}" in text
    assert "--after" not in command("quarantine", "list")
    assert '"E-2"' in command.json("quarantine", "show", str(first))["payload_text"]
    assert command.json("quarantine", "show", str(useless))["payload_base64"] == "/wA="
    assert "(base64) /wA=" in command("quarantine", "show", str(useless))
    command.sql(lambda connection: registry.apply_definition(connection, definition("E-1", "E-2")))
    done = command.json("quarantine", "replay", "--reason", "unknown_point", code=1)
    assert (done["taken"], done["still_held"], done["readings"]) == (1, 1, 1)
    assert "E-3" in next(message["detail"] for message in done["messages"] if message["held"])
    command.sql(lambda connection: registry.apply_definition(connection, definition("E-1", "E-2", "E-3")))
    assert command("quarantine", "replay", str(second)) == "1 taken, 0 still held; 1 new readings, 0 in conflict\n"
    assert command.json("quarantine", "discard", str(useless)) == {"discarded": [useless]}
    assert command.json("quarantine", "list")["messages"] == []
    assert len(command.json("quarantine", "list", "--state", "all")["messages"]) == 3
    assert command.json("quarantine", "replay", "--all")["messages"] == []


@pytest.mark.stack
def test_quarantine_does_nothing_where_it_is_not_clear_what_is_meant(command: Command) -> None:
    """No messages named, or named in two ways, or one that is not there: an error, and nothing has changed."""
    from cli.errors import RefusedError  # noqa: PLC0415
    from ingest.errors import NotHeldError  # noqa: PLC0415

    held(command, "E-1")
    for words in (["replay"], ["replay", "1", "--all"], ["replay", "--all", "--reason", "x"]):
        with pytest.raises(RefusedError):
            command("quarantine", *words)
    one = command.json("quarantine", "list")["messages"][0]["quarantine_id"]
    with pytest.raises(NotHeldError, match="9999"):
        command("quarantine", "discard", str(one), "9999")
    assert len(command.json("quarantine", "list")["messages"]) == 2


@pytest.mark.stack
def test_recipients_are_added_listed_and_removed_and_addresses_stay_secret(command: Command, tmp_path: Path) -> None:
    """The address comes from standard input or a file, and only its host is ever printed."""
    secret = "https://example.org/hook/hushhush"
    added = command.json("recipient", "add", PARK, "--name", "managers", given=secret + "\n")
    file = tmp_path / "address"
    file.write_text(secret + "2\n")
    words = ["recipient", "add", PARK, "--firm", "a", "--name", "甲方", "--address-file", str(file), "--locale", "en"]
    said = command(*words, "--min-severity", "major")
    assert "hushhush" not in said
    found = command.json("recipient", "list", "--park", PARK)
    assert [(one["firm"], one["name"], one["locale"], one["min_severity"]) for one in found] == [
        (None, "managers", "zh-CN", "info"),
        ("a", "甲方", "en", "major"),
    ]
    assert {one["address"] for one in found} == {"https://example.org/…"}
    assert "hushhush" not in command("recipient", "list")
    gone = command.json("recipient", "remove", str(added["recipient_id"]))
    assert gone == {"recipient_id": added["recipient_id"], "messages_given_up": 0}
    assert [one["firm"] for one in command.json("recipient", "list")] == ["a"]


@pytest.mark.stack
@pytest.mark.parametrize("address", ["", "example.org", "ftp://x/", "http://", "http://[", "http://x/ y"])
def test_an_address_that_cannot_be_reached_is_refused(command: Command, address: str) -> None:
    """What is no web address is told at once, and not by a failed delivery at night."""
    from cli.errors import RefusedError  # noqa: PLC0415

    with pytest.raises(RefusedError, match="no http or https URL"):
        command("recipient", "add", PARK, "--name", "x", given=address + "\n")
    with pytest.raises(RefusedError, match="known are apprise, dingtalk"):
        command("recipient", "add", PARK, "--name", "x", "--channel", "pigeon")
    assert command("recipient", "list").startswith("nobody is told yet")


def test_of_an_address_only_scheme_and_host_are_shown() -> None:
    """User, password, path and query may each hold a secret."""
    assert shown("https://user:pass@example.org:8443/token?key=1") == "https://example.org/…"


@pytest.mark.stack
def test_tenants_and_tokens_come_and_go(command: Command) -> None:
    """A role is made once and says how it logs in; a token works until it is revoked, all or none."""
    from store.errors import UnknownNameError  # noqa: PLC0415

    assert command("tenant", "list").startswith("no tenant yet")
    role = command.json("tenant", "add", PARK, "--firm", "a")["role"]
    assert command.json("tenant", "add", PARK, "--firm", "a")["role"] == role
    assert f"role={role}" in command("tenant", "add", PARK, "--firm", "a")
    token = command("token", "add", PARK, "--firm", "a", "--label", "ERP").strip()
    made = command.json("token", "add", PARK, "--label", "room", "--write", "--days", "2")
    assert made["expires"] is not None
    [erp, room] = command.json("token", "list")
    assert (erp["label"], erp["firm"], erp["may_write"], erp["expires"]) == ("ERP", "a", False, None)
    assert (room["label"], room["firm"], room["may_write"]) == ("room", None, True)
    assert token not in command("token", "list")
    assert [(one["firm"], one["tokens"]) for one in command.json("tenant", "list")] == [(None, 1), ("a", 1)]
    with pytest.raises(UnknownNameError):
        command("token", "revoke", str(erp["token_id"]), "9999")
    assert command.sql(lambda connection: grant_of(connection, token)) is not None
    assert command("token", "revoke", str(erp["token_id"])) == "revoked: ERP\n"
    assert command.sql(lambda connection: grant_of(connection, token)) is None
    with pytest.raises(UnknownNameError, match="greenpark park show"):
        command("tenant", "add", "nowhere")


@pytest.mark.stack
def test_an_alert_is_listed_and_taken_on(command: Command) -> None:
    """The list names it in either language; the first to acknowledge it stays, with the note."""
    episode_id = command.sql(lambda connection: connection.fetchval(EPISODE))
    assert "水泵停机" in command("alerts", "list", "--park", PARK)
    assert "pump stopped" in command("alerts", "list", "--lang", "en")
    assert command("alerts", "list", "--park", "another") == "no alert\n"
    words = ["alerts", "acknowledge", str(episode_id)]
    assert command.json(*words, "--note", "on the way", "--by", "Li") == {
        "episode_id": episode_id,
        "by": "Li",
        "taken_on_now": True,
    }
    assert "somebody already had" in command(*words, "--by", "Wang")
    [one] = command.json("alerts", "list")
    assert one["state"] == "acknowledged"
    row = command.sql(lambda connection: connection.fetchrow("SELECT by, note FROM episode_transition"))
    assert tuple(row) == ("Li", "on the way")


@pytest.mark.stack
def test_a_park_document_is_applied_and_told_as_json(command: Command, tmp_path: Path) -> None:
    """`park apply --json` says what it did."""
    file = tmp_path / "park.yaml"
    file.write_text(
        "code: second\nname_zh: 二\nname_en: Second\nfirms:\n"
        "  - {code: f, name_zh: 企, name_en: F, industry: test, points: []}\n"
    )
    done = command.json("park", "apply", str(file))
    assert (done["park"], done["firms"], done["points"], done["recomputed_points"]) == ("second", 1, 0, 0)
    assert command("park", "apply", str(file)).startswith("park second: 1 firms, 0 points")


@pytest.mark.stack
def test_a_worker_is_retired(database_url: str, broker) -> None:
    """One JSON document on stdout and the log on stderr; a worker that the broker does not know is told as such."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environ = own | {
        "GREENPARK_DATABASE_URL": database_url,
        "GREENPARK_BROKER_URL": broker.url_for("ingest"),
        "GREENPARK_INGEST_SHARE_GROUP": "retired",
    }

    def retire(worker: str) -> subprocess.CompletedProcess[str]:
        # In a process of its own, because it sets logging up.
        argv = [sys.executable, "-m", "cli.main", "ingest", "retire", worker, "--json"]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)

    done = retire("7")
    assert json.loads(done.stdout) == {"worker": "7", "known": False}, done.stderr
    assert "broker_connected" in done.stderr
    refused = retire("a/b")
    assert refused.returncode == 1
    assert "no worker's name" in refused.stderr


@pytest.mark.stack
def test_dashboards_are_built_and_tried(command: Command, tmp_path: Path) -> None:
    """Files are written once and then differ no more; the checker's verdict is its exit status."""
    assert len(command.json("dashboards", "build", "--to", str(tmp_path))["changed"]) >= 2
    assert "nothing to do" in command("dashboards", "build", "--to", str(tmp_path), "--check")
    next(tmp_path.glob("*/*.json")).unlink()
    assert "differs" in command("dashboards", "build", "--to", str(tmp_path), "--check", code=1)
    assert command.json("dashboards", "check", code=1)["failed"] == 1
    command("tenant", "add", PARK)
    found = command.json("dashboards", "check", "--now", "2025-11-20T08:00:00+08:00", "--days", "1")
    assert (found["failed"], found["crossed_tenant"], found["lint"]) == (0, 0, 0)
    assert found["queries"] > 50


EDGE = """
[broker]
host = "broker.example.org"
port = 8883
tls = true

[[edges]]
park = "p"
firm = "f"
edge = "g"
broker.password_file = "secret"
buffer.path = "b.buffer"

[[edges.devices]]
name = "main"
host = "10.0.0.5"
poll_s = 5
points = [{ code = "E-1", address = 7, type = "f32", scale = 0.1 }]
"""


def test_an_edge_file_is_read_as_the_agent_would(tmp_path: Path) -> None:
    """What it would poll and where it would send are told; a mistake is named by file and field."""
    from edge.errors import ConfigError  # noqa: PLC0415

    file = tmp_path / "edge.toml"
    file.write_text(EDGE)
    missing = CliRunner().invoke(app, ["edge", "check", str(file)])
    assert isinstance(missing.exception, ConfigError)
    assert "password_file" in str(missing.exception)
    (tmp_path / "secret").write_text("hushhush")
    answer = CliRunner().invoke(app, ["edge", "check", str(file), "--json"])
    assert "hushhush" not in answer.stdout
    [agent] = json.loads(answer.stdout)["agents"]
    assert agent["broker"] == "mqtts://p/f/g@broker.example.org:8883"
    assert agent["topic"] == f"{ROOT}/p/f/g/data"
    [device] = agent["devices"]
    assert (device["poll_s"], device["points"][0]["code"], device["points"][0]["scale"]) == (5.0, "E-1", 0.1)
    text = CliRunner().invoke(app, ["edge", "check", str(file)]).stdout
    assert "every 5 s" in text
    assert "E-1" in text
    file.write_text(EDGE.replace("f32", "f16"))
    wrong = CliRunner().invoke(app, ["edge", "check", str(file)]).exception
    assert "edges[0].devices[0].points[0].type" in str(wrong).replace("[...]", "[0]")


@pytest.mark.stack
def test_an_edge_is_let_in_by_our_own_broker(tmp_path: Path, components) -> None:
    """Its password is made once and kept; where there is no broker of ours, it says how to get one."""
    from cli.errors import MissingError  # noqa: PLC0415

    words = ["broker", "add-edge", "p", "f", "g", "--var", str(tmp_path), "--json"]
    assert isinstance(CliRunner().invoke(app, words).exception, MissingError)
    (tmp_path / "ports.json").write_text('{"broker": 1}')
    (tmp_path / "components").symlink_to(_components())
    first = json.loads(CliRunner().invoke(app, words).stdout)
    assert first["user"] == "p/f/g"
    assert len(first["password"]) > 20
    assert json.loads(CliRunner().invoke(app, words).stdout) == first


def _components() -> Path:
    from pathlib import Path  # noqa: PLC0415

    from cli.stack.places import open_places  # noqa: PLC0415

    return open_places(Path(__file__).resolve().parent.parent.parent / "var").components
