"""`greenpark meter`, `ledger` and `explain` do on a real database what their help says, for people and machines."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.errors import MissingError
from cli.ledger import instant
from cli.main import app
from park.calendar import to_us
from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
from park.points import Kind
from store.copying import copy_rows
from store.pool import connected, open_pool
from store.registry import apply_definition
from streams.process import once
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import Callable

T0 = datetime(2025, 3, 3, 0, 0, tzinfo=UTC)
VALUES = [100.0, 110.0, 120.0, 5.0, 15.0, 25.0]


async def fill(url: str) -> None:
    """One register in a park in Shanghai; its meter was exchanged and nobody said so."""
    meter = InstallationDefinition(serial="M-1", valid_from=T0 - timedelta(days=9), modulus=1e6)
    point = PointDefinition(
        code="E", name_zh="E", name_en="E", kind=Kind.REGISTER, carrier="electricity", unit="kWh", edge="gw1",
        installations=[meter],
    )  # fmt: skip
    firm = FirmDefinition(code="f", name_zh="f", name_en="f", industry="t", edges=["gw1"], points=[point])
    async with connected(url) as connection, connection.transaction():
        await apply_definition(connection, ParkDefinition(code="p", name_zh="p", name_en="p", firms=[firm]))
        point_id = await connection.fetchval("SELECT point_id FROM point")
        n = len(VALUES)
        columns = [
            ("point_id", "int4", np.full(n, point_id)),
            ("t", "timestamptz", np.array([to_us(T0 + k * timedelta(minutes=15)) for k in range(n)])),
            ("value", "float8", np.array(VALUES)),
            ("quality", "int2", np.zeros(n, np.int16)),
            ("batch_id", "int8", np.zeros(n, np.int64)),
        ]
        await copy_rows(connection, "reading", columns)
        await connection.execute(
            "INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)"
            " SELECT p.firm_id, point_id, min(t), max(t), 'reading' FROM reading JOIN point AS p USING (point_id)"
            " GROUP BY 1, 2"
        )


async def compute(url: str) -> None:
    async with open_pool(url, application="test") as pool:
        await once(StreamsSettings(url), pool)


@pytest.fixture
def greenpark(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command, with the ledger computed before each answer; returns JSON where it is asked for."""
    monkeypatch.setenv("GREENPARK_DATABASE_URL", database_url)
    asyncio.run(fill(database_url))

    def command(*words: str, code: int = 0) -> Any:
        asyncio.run(compute(database_url))
        answer = CliRunner().invoke(app, list(words))
        if code:
            assert answer.exception is not None
            return str(answer.exception)
        assert answer.exit_code == 0, answer.output + str(answer.exception)
        return json.loads(answer.stdout) if "--json" in words else answer.stdout

    return command


@pytest.mark.stack
def test_what_is_held_is_listed_decided_revoked_and_told(greenpark) -> None:
    """From `held` to `history`: times without an offset are the park's, and the author is named."""
    [waits] = greenpark("ledger", "held", "--json")
    assert (waits["point"], waits["held"]) == ("p/f/E", 5.0)
    assert "held_reset" in greenpark("ledger", "held", "--park", "p")
    said = ("--reason", "seen", "--author", "Li")
    assert "5 counts" in greenpark("ledger", "decide", "p/f/E", "2025-03-03T08:40", "--accept", *said)
    assert "nothing is held" in greenpark("ledger", "held")
    found = greenpark("explain", "bucket", "p/f/E", "2025-03-03T08:40", "--json")
    assert (found["now"]["estimated"], found["now"]["revision"]) == (5.0, 1)
    assert "edit 1 by Li: seen" in greenpark("explain", "bucket", "p/f/E", "2025-03-03T00:40+00:00")
    greenpark("ledger", "revoke", "1", *said)
    assert len(greenpark("ledger", "held", "--json")) == 1
    [kept] = greenpark("ledger", "history", "p/f/E", "--json")
    assert (kept["author"], kept["revoked_by"]) == ("Li", "Li")
    made = greenpark("ledger", "edit", "p/f/E", "2025-03-03T08:00", "2025-03-03T09:00", "--value", "7", *said, "--json")
    assert made["version"] == 1
    assert greenpark("explain", "bucket", "p/f/E", "2025-03-03T08:40", "--json")["now"]["estimated"] == 1.75
    assert "manual" in greenpark("ledger", "history", "p/f/E")


@pytest.mark.stack
def test_a_meter_is_replaced_and_its_multiplier_corrected_in_one_command_each(greenpark) -> None:
    """The exchange is entered late, with its readings; nothing is held any more, and the list says who did it."""
    said = ("--reason", "work order 7", "--author", "Li")
    at = "2025-03-03T08:35"
    found = greenpark(
        "meter", "replace", "p/f/E", at, "--serial", "M-2", "--last", "123", "--first", "0", *said, "--json"
    )
    assert [(m["serial"], m["modulus"]) for m in found] == [("M-1", 1e6), ("M-2", 1e6)]
    assert greenpark("ledger", "held", "--json") == []
    assert "40" in greenpark("meter", "correct-multiplier", "p/f/E", "40", *said)
    assert greenpark("explain", "bucket", "p/f/E", "2025-03-03T09:05", "--json")["now"]["measured"] == 400.0
    assert "replace from 2025-03-03T00:35Z  Li: work order 7" in greenpark("meter", "list", "p/f/E")
    assert len(greenpark("meter", "list", "p/f/E", "--json")["changes"]) == 2


@pytest.mark.stack
def test_what_makes_no_sense_is_refused_in_a_line(greenpark) -> None:
    """Two decisions at once, an unknown point, a time that is none, a multiplier that is the same."""
    said = ("--reason", "x")
    assert "exactly one" in greenpark("ledger", "decide", "p/f/E", "2025-03-03T08:40", *said, code=1)
    assert "no point" in greenpark("meter", "list", "p/f/none", code=1)
    assert "is no time" in greenpark("explain", "bucket", "p/f/E", "yesterday", code=1)
    assert "already" in greenpark("meter", "correct-multiplier", "p/f/E", "1", *said, code=1)
    assert "no standing" in greenpark("explain", "standing", "p", "none", code=1)


def test_a_time_without_an_offset_is_the_parks() -> None:
    """What people write is local time; an offset is believed."""
    assert instant("2025-03-03T08:00", "Asia/Shanghai") == T0
    assert instant("2025-03-03T08:00+02:00", "Asia/Shanghai") == T0 + timedelta(hours=6)
    with pytest.raises(MissingError, match="no time"):
        instant("noon", "UTC")
