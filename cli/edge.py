"""`greenpark edge`: an agent's configuration, read as the agent would read it."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Json, emit

if TYPE_CHECKING:
    from edge.config import EdgeConfig

app = typer.Typer(
    help="The agent at a firm: check its configuration. It runs with `greenpark run edge`.", no_args_is_help=True
)


@app.callback()
def group() -> None:
    """Keep `check` a command of its own although it is the only one."""


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
