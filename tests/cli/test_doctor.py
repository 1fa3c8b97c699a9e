"""Doctor tells what is wrong and what to do, of a real database and a real broker, and where there is neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.checks import broker as broker_checks
from cli.checks import database as database_checks
from cli.checks.finding import look
from cli.doctor import Finding, check_settings, examine, show
from cli.mqtt import Session, Welcome, linked
from cli.settings import Settings
from cli.stack import ports
from cli.stack.mosquitto import INGEST, MONITOR, Broker, BrokerSettings, Listener
from cli.stack.places import service_user
from cli.stack.processes import Child, ProcessSpec
from ingest.inbox import Address, parse_broker_url
from store.health import Connections, Roles
from store.pool import connected

if TYPE_CHECKING:
    from pathlib import Path

    from cli.stack.components import Components
    from cli.stack.places import Places


def settings(database_url: str = "", broker_url: str = "") -> Settings:
    sections = {"database": {"url": database_url}, "broker": {"url": broker_url}}
    return Settings("environment", {name: fields for name, fields in sections.items() if fields["url"]})


def named(findings: list[Finding], what: str) -> Finding:
    [found] = [finding for finding in findings if finding.what == what]
    return found


def heeded(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings if finding.level != "ok"}


async def test_without_settings_it_names_the_variables_and_still_looks_at_the_machine() -> None:
    """Nothing is set: two bad findings that name the variable each, and the machine is examined all the same."""
    findings = await examine(settings())
    assert "GREENPARK_DATABASE_URL" in named(findings, "database").do
    assert "GREENPARK_BROKER_URL" in named(findings, "broker").do
    assert {"python", "packages", "time zones", "memory"} <= {f.what for f in findings if f.level == "ok"}


async def test_addresses_where_nobody_listens_are_bad_and_no_password_is_shown() -> None:
    """Nothing listens: one bad finding each, and neither says the password."""
    port = ports.any_free()
    findings = await examine(
        settings(f"postgresql://someone:hushhush@127.0.0.1:{port}/x", f"mqtt://someone:hushhush@127.0.0.1:{port}")
    )
    assert [named(findings, what).level for what in ("database", "broker")] == ["bad", "bad"]
    assert "hushhush" not in show(findings)
    assert all(finding.do for finding in findings if finding.level != "ok")


def test_the_command_exits_with_1_and_prints_json_when_something_is_bad() -> None:
    """`greenpark doctor --json` is one JSON document, and its exit status says that something is bad."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")}
    argv = [sys.executable, "-m", "cli.main", "doctor", "--json"]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert {"level", "what", "found", "do"} == set(json.loads(done.stdout)[0])


async def test_a_check_that_fails_is_a_finding_of_its_own() -> None:
    """An error inside a check is told as a finding and goes no further."""

    def broken() -> Finding:
        raise ZeroDivisionError("so it goes")

    [finding] = await look("arithmetic", broken)
    assert (finding.level, finding.what) == ("bad", "arithmetic")
    assert "so it goes" in finding.found


def test_unknown_fields_of_a_section_are_told() -> None:
    """A misspelt setting is found before a process trips over it."""
    wrong = Settings("file.toml", {"database": {"url": "x"}, "streams": {"pol_s": 1}})
    [finding] = check_settings(wrong)
    assert finding.level == "bad"
    assert "[streams] pol_s" in finding.found


@pytest.mark.stack
async def test_our_own_database_passes_but_for_what_tests_switch_off(database_url: str) -> None:
    """A migrated database of ours is well, except that the tests' server is told to be fast and not safe."""
    findings = await database_checks.examine_database(settings(database_url))
    assert named(findings, "schema").level == "ok"
    assert named(findings, "TimescaleDB preload").level == "ok"
    assert "edition" in named(findings, "TimescaleDB").found
    assert named(findings, "disk of the database").level in {"ok", "warn"}
    assert named(findings, "clock of the database").level == "ok"
    off = [finding for finding in findings if finding.what == "durability"]
    assert {finding.do.split()[3] for finding in off} == {"fsync", "synchronous_commit", "full_page_writes"}
    assert set(heeded(findings)) <= {"durability", "disk of the database"}


@pytest.mark.stack
async def test_an_empty_database_is_told_to_migrate(empty_database_url: str) -> None:
    """A database without our schema: bad, and the command that mends it."""
    finding = named(await database_checks.examine_database(settings(empty_database_url)), "schema")
    assert (finding.level, finding.do) == ("bad", "greenpark migrate")


@pytest.mark.stack
async def test_a_role_with_few_rights_is_examined_as_far_as_it_can_see(database_url: str) -> None:
    """A plain role cannot see every setting; no check fails for it, and it hears that it may not make roles."""
    async with connected(database_url) as connection:
        await connection.execute("DROP ROLE IF EXISTS plain_doctor")
        await connection.execute("CREATE ROLE plain_doctor LOGIN PASSWORD 'plain'")
    try:
        host = database_url.rpartition("@")[2]
        findings = await database_checks.examine_database(settings(f"postgresql://plain_doctor:plain@{host}"))
        assert not [
            finding for finding in findings if "could not be checked" in finding.found and finding.what != "schema"
        ]
        assert "CREATEROLE" in named(findings, "role privilege").do
        assert named(findings, "TimescaleDB preload").level == "ok"
    finally:
        async with connected(database_url) as connection:
            await connection.execute("DROP ROLE plain_doctor")


def test_clock_differences_are_judged_beyond_what_the_way_there_explains() -> None:
    """A second is much where the answer came at once, and nothing where it took two."""
    assert database_checks.judge_clock(0.5, 0.001).level == "ok"
    assert database_checks.judge_clock(-3.0, 0.001).level == "warn"
    assert database_checks.judge_clock(3.0, 2.5).level == "ok"
    assert database_checks.judge_clock(-90.0, 0.001).level == "bad"


def test_connections_of_ours_do_not_count_as_taken() -> None:
    """A running stack is no reason to warn; a full server is."""
    assert database_checks.judge_connections(Connections(97, 80, 20)).level == "ok"
    assert database_checks.judge_connections(Connections(97, 80, 0)).level == "warn"
    assert database_checks.judge_connections(Connections(20, 18, 0)).level == "bad"


def test_missing_roles_are_told() -> None:
    """A schema whose roles were dropped is found out."""
    findings = database_checks._roles(Roles(("greenpark_service",), "me"), ['ALTER ROLE "me" CREATEROLE;'])
    assert [finding.level for finding in findings] == ["bad", "warn"]
    assert "greenpark_tenant" in findings[0].found


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("postgresql://u@127.0.0.1:5432/x", True),
        ("postgresql://u@localhost/x", True),
        ("postgresql:///x?host=/run/postgresql", True),
        ("postgresql://u@db.example/x", False),
    ],
)
def test_only_a_local_servers_disk_is_looked_at(url: str, local: bool) -> None:
    """The disk here says nothing about a server elsewhere."""
    assert database_checks.is_local(url) is local


@pytest.mark.stack
async def test_our_own_broker_passes_for_ingests_user(broker: Broker) -> None:
    """The broker that we set up gets no warning, and a message makes the round trip, live and retained."""
    findings = await broker_checks.examine_broker(settings(broker_url=broker.url_for(INGEST)))
    assert heeded(findings) == {}
    assert "QoS 1" in named(findings, "round trip").found
    assert named(findings, "retained messages").found == "kept"
    assert named(findings, "anonymous access").found == "refused"


@pytest.mark.stack
async def test_a_visit_leaves_nothing_behind_at_the_broker(broker: Broker) -> None:
    """No retained message of doctor's stays: a subscriber that comes later gets none."""
    await broker_checks.examine_broker(settings(broker_url=broker.url_for(INGEST)))
    async with linked(parse_broker_url(broker.url_for(INGEST)), Session("later")) as link:
        assert await link.subscribe("greenpark/1/doctor/#") < 0x80
        assert await broker_checks._get(link, "greenpark/1/doctor/#") is None
        assert link.messages.empty()


@pytest.mark.stack
async def test_a_user_that_may_not_publish_is_told_which_right_ingest_needs(broker: Broker) -> None:
    """The monitor's user may read $SYS but not publish: the version is known, the round trip is not tried."""
    findings = await broker_checks.examine_broker(settings(broker_url=broker.url_for(MONITOR)))
    assert "topic write" in named(findings, "round trip").do
    assert "mosquitto version 2" in named(findings, "broker version").found


@pytest.mark.stack
async def test_a_wrong_password_is_told_apart_from_a_broker_that_is_away(broker: Broker) -> None:
    """The broker answers, and says no: the finding says so, and what to do."""
    wrong = settings(broker_url=f"mqtt://{INGEST}:wrong@127.0.0.1:{broker.port}")
    findings = await broker_checks.examine_broker(wrong)
    finding = named(findings, "broker")
    assert finding.level == "bad"
    assert "refuses the log-in" in finding.found
    assert "mosquitto_passwd" in finding.do
    assert "wrong" not in finding.found


@pytest.mark.stack
async def test_mosquitto_as_it_comes_is_suspected_and_its_open_door_is_bad(
    components: Components, stack_places: Places, tmp_path: Path
) -> None:
    """Default limits drop acknowledged messages, and anonymous access lets anyone in: both are found from outside."""
    port = ports.any_free()
    config = tmp_path / "plain.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)

    async def listens() -> bool:
        return not ports.is_free(port)

    child = Child(
        ProcessSpec(
            "plain-broker", (str(components.mosquitto.server), "-c", str(config)), user=service_user("mosquitto")
        ),
        ready=listens,
    )
    await child.start()
    try:
        findings = await broker_checks.examine_broker(settings(broker_url=f"mqtt://127.0.0.1:{port}"))
    finally:
        await child.stop()
    assert "max_queued_messages" in named(findings, "broker limits").do
    assert named(findings, "anonymous access").level == "bad"


@pytest.mark.stack
async def test_a_listener_that_renames_clients_loses_ingest_no_message(
    components: Components, stack_places: Places, tmp_path: Path
) -> None:
    """Where the user name is the client id, doctor meets ingest's session, touches nothing in it, and says so."""
    port, renaming = ports.any_free(), ports.any_free()
    directory = stack_places.service / "renaming-broker"
    broker = Broker(
        components.mosquitto,
        directory,
        secret=stack_places.secrets / "renaming.json",
        port=port,
        user=service_user("mosquitto"),
        log=stack_places.logs / "renaming.log",
        more_listeners=(Listener(renaming, client_id_is_user=True),),
    )
    await broker.start()
    try:
        url = broker.url_for(INGEST)
        address = parse_broker_url(url)
        there = address._replace(port=renaming)
        topic = "greenpark/1/p/f/e/data"
        async with linked(there, Session("", clean=False, expiry_s=60, manual_ack=True)) as ingest:
            await ingest.subscribe(topic)
            password = broker.add_edge("p", "f", "e")
            edge = Address("127.0.0.1", port, tls=False, user="p/f/e", password=password)
            findings = await broker_checks.examine_broker(settings(broker_url=url.replace(str(port), str(renaming))))
            async with linked(edge, Session("e")) as publisher:
                await publisher.publish(topic, b"precious")
            assert "took over" in named(findings, "client id").found
            assert ingest.lost.is_set()
        async with linked(there, Session("", clean=False, expiry_s=0)) as again:
            assert again.welcome.session_present
            received = await broker_checks._get(again, topic)
            assert received is not None
            assert received.payload == b"precious"
    finally:
        await broker.stop()


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"ReceiveMaximum": 20}, "broker limits"),
        ({"MaximumPacketSize": 128 * 1024}, "packet size"),
        ({"MaximumQoS": 0}, "quality of service"),
        ({"SessionExpiryInterval": 3600}, "session expiry"),
        ({"RetainAvailable": 0}, "retained messages"),
        ({"SharedSubscriptionAvailable": 0}, "shared subscriptions"),
    ],
)
def test_each_limit_that_hurts_is_told_with_a_setting(limits: dict[str, int], what: str) -> None:
    """Whatever the broker announces too small gives exactly one finding, with what to set."""
    assert set(heeded(broker_checks.judge_limits(Welcome(session_present=False, limits=limits)))) == {what}


def test_a_broker_without_limits_is_well() -> None:
    """What is not announced is unlimited, by the standard."""
    assert heeded(broker_checks.judge_limits(Welcome(session_present=False, limits={}))) == {}


def test_dropped_messages_and_old_versions_are_told() -> None:
    """The broker's own counter betrays a queue that was too short."""
    said = {"version": "mosquitto version 2.0.5", "dropped": "7"}
    assert set(heeded(broker_checks.judge_version(said))) == {"broker version", "dropped messages"}
    assert heeded(broker_checks.judge_version({"version": "mosquitto version 2.0.21", "dropped": "0"})) == {}


def test_passwords_in_the_clear_are_heeded_only_across_a_network() -> None:
    """Plain MQTT is fine on loopback and a warning elsewhere; TLS is fine everywhere."""
    levels = [
        broker_checks.check_encryption(parse_broker_url(url)).level
        for url in ("mqtt://u@127.0.0.1", "mqtt://u@localhost", "mqtt://u@10.0.0.7", "mqtts://u@10.0.0.7")
    ]
    assert levels == ["ok", "ok", "warn", "ok"]


def test_settings_of_a_test_broker_exist() -> None:
    """The limits we set ourselves are beyond those that are suspected."""
    assert BrokerSettings((), None).max_inflight_messages > broker_checks.MOSQUITTO_INFLIGHT  # type: ignore[arg-type]
