"""The alerts process as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alerts.addresses import new_key, read_key, seal
from alerts.errors import StartError
from alerts.notices import trial
from alerts.process import run
from park.calendar import zone
from park.errors import DataFileError
from store import duty, outbox

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Receiver, World

pytestmark = pytest.mark.stack
SHANGHAI = zone("Asia/Shanghai")

RULE = """
[[rule]]
id = "reuse"
kind = "indicator_threshold"
indicator = "water_reuse_rate"
grain = "hour"
severity = "warning"
open = { below = 88 }
clear = { above = 90 }
title_zh = "{firm}：低于 {limit} %"
title_en = "{firm}: below {limit} %"
"""


async def hour(world: World, firm: str, value: float, ago_h: int) -> None:
    await world.connection.execute(
        "INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, value, unit,"
        " coverage, closed, lineage, run_id)"
        " VALUES ($1, $2, 'firm', $2, 'water_reuse_rate', 'hour', $3, $4, '%', 1, true, '{}', 1)",
        world.park_id,
        world.firms[firm],
        datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=ago_h),
        value,
    )
    # A firm is evaluated as far as its own readings have come.
    await world.readings(firm, "fresh", [(datetime.now(UTC), 1.0)])
    await world.marks(firm, since=datetime.now(UTC) - timedelta(hours=ago_h))
    await world.connection.execute(f"NOTIFY greenpark_standing, '{world.park_id}'")


async def test_from_a_notification_to_the_receiver_and_over_a_lost_database(
    world: World, receiver: Receiver, tmp_path: Path
) -> None:
    """A notified number is told within seconds; when every connection is cut, the next one is told as well."""
    rules_file = tmp_path / "rules.toml"
    rules_file.write_text(RULE)
    await world.recipient(receiver.url)
    settings = replace(
        world.settings,
        rules_file=rules_file,
        evaluate_every_s=60,
        min_pass_s=0.05,
        deliver_every_s=60,
        catch_up_s=14_400,
    )
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings, stop=stop))
    try:
        async with asyncio.timeout(10):
            while not await world.connection.fetchval(  # noqa: ASYNC110  (in the database)
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'greenpark alerts' AND state = 'idle'"
                " AND query NOT LIKE 'LISTEN%' AND datname = current_database()"
            ):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        await hour(world, "a", 50, 2)
        await receiver.until(lambda: len(receiver.accepted) == 1, 5)
        cut = await world.connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name LIKE 'greenpark alerts%' AND datname = current_database()"
        )
        assert cut >= 2
        await hour(world, "b", 50, 2)
        await receiver.until(lambda: len(receiver.accepted) == 2, 15)
    finally:
        stop.set()
        await asyncio.wait_for(process, 5)
    assert [body["firm"]["code"] for _, _, body in receiver.requests] == ["a", "b"]


async def test_a_test_message_and_a_digest_go_the_way_of_alerts(
    world: World, receiver: Receiver, tmp_path: Path
) -> None:
    """The running process sends what a command put there and what is due by the clock, to a sealed address."""
    key_file, rules_file = tmp_path / "address.key", tmp_path / "rules.toml"
    key_file.write_text(new_key())
    rules_file.write_text("")
    person = await world.recipient(seal(f"{receiver.url}/duty?token=SECRET", read_key(key_file)))
    now = datetime.now(UTC)
    await duty.subscribe(world.connection, person, "daily", (now.astimezone(SHANGHAI) - timedelta(hours=1)).time(), 1)
    await world.connection.execute("UPDATE digest_subscription SET since = '2020-01-01'")
    await outbox.enqueue_other(
        world.connection,
        recipient_id=person,
        kind="test",
        severity="info",
        dedupe_key="test/1",
        body=trial("duty office", "p", "en"),
        due=now,
        expires=now + timedelta(minutes=5),
    )
    settings = replace(world.settings, rules_file=rules_file, address_key_file=key_file)
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings, stop=stop))
    try:
        await receiver.until(lambda: len(receiver.accepted) == 2, 15)
    finally:
        stop.set()
        await asyncio.wait_for(process, 5)
    assert {path for path, _, _ in receiver.requests} == {"/duty?token=SECRET"}
    assert sorted(body["kind"] for _, _, body in receiver.requests) == ["digest", "test"]


async def test_it_does_not_start_on_a_wrong_rule_or_without_a_database(world: World, tmp_path: Path) -> None:
    """The error says what is wrong, and holds no password."""
    wrong = tmp_path / "rules.toml"
    wrong.write_text(RULE.replace("below = 88", "beneath = 88"))
    with pytest.raises(DataFileError, match=r"rules\.toml: rule\[0\]\.open"):
        await run(replace(world.settings, rules_file=wrong), stop=asyncio.Event())
    nowhere = replace(world.settings, database_url="postgresql://u:hunter2@127.0.0.1:1/x")
    with pytest.raises(StartError) as caught:
        await run(nowhere, stop=asyncio.Event())
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(nowhere)


async def test_it_wants_its_own_schema(empty_database_url: str, world: World) -> None:
    """An empty database is refused with the command that helps."""
    with pytest.raises(StartError, match="greenpark migrate"):
        await run(replace(world.settings, database_url=empty_database_url), stop=asyncio.Event())
