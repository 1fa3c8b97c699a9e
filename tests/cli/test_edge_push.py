"""`greenpark edge key` and `edge push`: what reaches the broker is what the edge's key opens."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

import aiomqtt
import pytest
from typer.testing import CliRunner

from cli.main import app
from edge.pushed import opened, parse_key

if TYPE_CHECKING:
    from pathlib import Path

    from cli.stack.mosquitto import Broker

pytestmark = pytest.mark.stack
FILE = """
[[edges]]
park = "{park}"
firm = "f"
edge = "{edge}"
buffer = {{ path = "buffer" }}
[[edges.devices]]
name = "m"
host = "192.0.2.1"
points = [{{ code = "E-1", address = 0, type = "u32" }}]
"""


async def retained(broker: Broker, park: str, edge: str) -> bytes:
    password = broker.add_edge(park, "f", edge)
    user = f"{park}/f/{edge}"
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username=user, password=password, protocol=aiomqtt.ProtocolVersion.V5
    ) as client:
        await client.subscribe(f"greenpark/1/{user}/config", qos=1)
        async with asyncio.timeout(10):
            message = await anext(aiter(client.messages))
        assert message.retain
        return bytes(message.payload)  # type: ignore[arg-type]


def test_a_push_waits_at_the_broker_and_the_edges_key_opens_it(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key, push and what the edge will read; a second key of the same name is not written over the first."""
    monkeypatch.setenv("GREENPARK_BROKER_URL", broker.url_for("ingest"))
    park, key, file = f"push{secrets.token_hex(4)}", tmp_path / "gw.key", tmp_path / "edge.toml"
    file.write_text(FILE.format(park=park, edge="gw1") + FILE.format(park=park, edge="gw2").replace('"buffer"', '"b2"'))
    run = CliRunner()
    assert run.invoke(app, ["edge", "key", str(key)], catch_exceptions=False).exit_code == 0
    assert key.stat().st_mode & 0o077 == 0
    assert run.invoke(app, ["edge", "key", str(key)]).exit_code != 0
    assert run.invoke(app, ["edge", "push", str(file), "--key", str(key)]).exit_code != 0, "which of the two?"
    address = f"{park}/f/gw2"
    found = run.invoke(
        app,
        ["edge", "push", str(file), "--key", str(key), "--edge", address, "--version", "5", "--json"],
        catch_exceptions=False,
    )
    assert found.exit_code == 0
    assert json.loads(found.stdout) == {"edge": address, "version": 5, "devices": 1, "online": False}
    push = opened(asyncio.run(retained(broker, park, "gw2")), address, parse_key(key.read_text()))
    assert (push.version, push.devices[0].points[0].code) == (5, "E-1")
