"""`greenpark edge`: an agent's configuration, read as the agent would read it, and pushed to it."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from pathlib import Path  # noqa: TC003 - typer reads it when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import MissingError
from cli.options import Json, SettingsFile, emit

if TYPE_CHECKING:
    from edge.config import EdgeConfig
    from ingest.inbox import Address

app = typer.Typer(
    help="The agent at a firm: check its configuration, push another one. It runs with `greenpark run edge`.",
    no_args_is_help=True,
)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The agent's TOML file, such as /etc/greenpark/edge.toml.")],
    json_output: Json = False,
) -> None:
    """Read a configuration as the agent would, and print what it would poll and where it would send it.

    Names, types, duplicates and protocols are checked, and that the password is there. No meter and no broker is
    spoken to. Field names of a mistake are exact: edges[0].devices[1].points[2].code.
    """
    from edge.config import load_configs, password_of  # noqa: PLC0415

    configs = load_configs(file)
    for config in configs:
        password_of(config.broker, str(file))
    agents = [_agent(config) for config in configs]
    emit({"file": str(file), "agents": agents}, "\n\n".join(map(_text, agents)), as_json=json_output)


@app.command()
def key(
    file: Annotated[Path, typer.Argument(help="Where to write it: 0600, not over another file.")],
    json_output: Json = False,
) -> None:
    """Make a key with which pushes to an edge are signed.

    Bring the same file to the gateway, and name it there as config_key_file: without it an edge takes nothing from
    outside. One key for each edge.
    """
    from edge.pushed import KEY_BYTES  # noqa: PLC0415

    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(secrets.token_hex(KEY_BYTES) + "\n")
    except OSError as error:
        raise MissingError(f"{file}: {error.strerror}") from None
    emit({"file": str(file)}, f"{file}: a new key", as_json=json_output)


@app.command()
def push(
    file: Annotated[Path, typer.Argument(help="An agent's TOML file with the devices it is to poll from now on.")],
    key_file: Annotated[Path, typer.Option("--key", help="The edge's key; see `greenpark edge key`.")],
    edge: Annotated[str | None, typer.Option(help="park/firm/edge, where the file has several.")] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Number of this push; default: the time, in seconds. It must rise.")
    ] = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Sign an agent's devices and hand them to the broker, which keeps them for the edge until it is there.

    Only what is polled changes ([[edges.devices]], batch_s, silent_after): the broker, the buffer and the key stay as
    the gateway's own file says. Nothing buffered is touched. The edge answers with an event, config_applied or
    config_refused, which `greenpark edge check` cannot know: look at edge_event or the data-quality page.
    """
    from cli.settings import load_settings  # noqa: PLC0415
    from edge.config import load_configs  # noqa: PLC0415
    from edge.pushed import Push, parse_key, signed  # noqa: PLC0415
    from ingest.inbox import parse_broker_url  # noqa: PLC0415
    from park.wire import Channel  # noqa: PLC0415

    configs = {config.topic.user: config for config in load_configs(file)}
    if edge is None and len(configs) > 1:
        raise MissingError(f"{file} has {', '.join(configs)}: say which with --edge")
    address = next(iter(configs)) if edge is None else edge
    if (config := configs.get(address)) is None:
        raise MissingError(f"{file} has no {address}; it has {', '.join(configs)}")
    try:
        secret = parse_key(key_file.read_text("ascii"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise MissingError(f"{key_file}: {error}") from None
    now_ms = time.time_ns() // 1_000_000
    wanted = Push(
        version=version or now_ms // 1_000,
        issued=now_ms,
        devices=config.devices,
        batch_s=config.batch_s,
        silent_after=config.silent_after,
    )
    loaded = load_settings(settings)
    address_of = parse_broker_url(loaded.broker_url)
    ca_file = loaded.sections.get("ingest", {}).get("ca_file")
    topic = str(config.topic.to(Channel.CONFIG))
    online = asyncio.run(_publish(address_of, ca_file, topic, signed(wanted, address, secret)))
    told = {"edge": address, "version": wanted.version, "devices": len(wanted.devices), "online": online}
    where = "the edge is connected" if online else "the edge takes it when it connects"
    text = f"{address}: version {wanted.version} with {len(wanted.devices)} devices is at the broker; {where}"
    emit(told, text, as_json=json_output)


async def _publish(address: Address, ca_file: str | None, topic: str, payload: bytes) -> bool:
    from cli.mqtt import Session, linked  # noqa: PLC0415

    async with linked(address, Session(f"greenpark-push-{secrets.token_hex(4)}", ca_file=ca_file)) as link:
        return await link.publish(topic, payload, retain=True)


def _agent(config: EdgeConfig) -> dict[str, Any]:
    broker = config.broker
    scheme = "mqtts" if broker.tls else "mqtt"
    return {
        "agent": config.topic.user,
        "broker": f"{scheme}://{broker.username or config.topic.user}@{broker.host}:{broker.port}",
        "topic": str(config.topic),
        "buffer": config.buffer.path,
        "devices": [
            {
                "name": device.name,
                "protocol": device.protocol,
                "address": f"{device.host}:{device.port}",
                "unit_id": device.unit_id,
                "poll_s": device.poll_s,
                "points": [
                    {
                        "code": point.code,
                        "function": point.function,
                        "address": point.address,
                        "type": point.type,
                        "word_order": point.word_order,
                        "scale": point.scale,
                    }
                    for point in device.points
                ],
            }
            for device in config.devices
        ],
    }


def _text(agent: dict[str, Any]) -> str:
    lines = [f"{agent['agent']}  to {agent['broker']}", f"  buffer {agent['buffer']}"]
    for device in agent["devices"]:
        lines.append(
            f"  every {device['poll_s']:g} s  {device['name']}  {device['protocol']} {device['address']}"
            f" unit {device['unit_id']}"
        )
        lines += [
            f"    {point['code']:<12} {point['function']} {point['address']:>5}  {point['type']} × {point['scale']:g}"
            + (", low word first" if point["word_order"] == "little" else "")
            for point in device["points"]
        ]
    if not agent["devices"]:
        lines.append("  no device: it would poll nothing")
    return "\n".join(lines)
