"""Which of our optional packages a command needs, told where one is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

MODULES: Final = {
    "edge": frozenset({"aiomqtt", "paho", "prometheus_client", "pymodbus"}),
    "server": frozenset(
        {
            "aiomqtt",
            "apprise",
            "asyncpg",
            "cryptography",
            "fastapi",
            "grafana_foundation_sdk",
            "httpx",
            "mqtt5",
            "numpy",
            "paho",
            "prometheus_client",
            "pydantic",
            "requests",
            "rich",
            "starlette",
            "tomli_w",
            "uvicorn",
            "uvloop",
            "yaml",
        }
    ),
}
"""Modules of the extras in pyproject.toml, and those of their own dependencies that we import."""


def missing_package(error: ModuleNotFoundError, arguments: Sequence[str]) -> MissingError | None:
    """Return what to install for a command, None if the missing module belongs to no extra of ours: a defect."""
    module = (error.name or "").partition(".")[0]
    if not any(module in modules for modules in MODULES.values()):
        return None
    words = [argument for argument in arguments if not argument.startswith("-")]
    if words[:1] == ["edge"] or words[:2] == ["run", "edge"]:
        extra = "edge"
    elif module in MODULES["server"]:
        extra = "server"
    else:
        extra = "edge,server"
    command = " ".join(["greenpark", *words[: 2 if words[:1] in (["run"], ["edge"]) else 1]])
    return MissingError(f"{command} needs {module}, which is not installed here: pip install 'greenpark[{extra}]'")
