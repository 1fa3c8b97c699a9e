"""Settings: one TOML file, or environment variables, or both (the environment wins).

    [database]
    url = "postgresql://greenpark:secret@127.0.0.1:5432/greenpark"

    [broker]
    url = "mqtts://ingest:secret@127.0.0.1:8883"

    [api]
    port = 8000

Every field of every section can come from a variable: `GREENPARK_DATABASE_URL`, `GREENPARK_API_PORT`. A field or
variable ending in `_file` gives the name of a file that holds the value, so that secrets need not stand in either.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from cli.errors import MissingError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "GREENPARK_"
DEFAULT_FILE: Final = Path("/etc/greenpark/greenpark.toml")
ROOMS: Final = ("ingest", "streams", "alerts", "api")
_SECTIONS: Final = ("database", "broker", "log", "metrics", "edge", *ROOMS)
# Variables with our prefix that are no settings of these sections.
_OTHERS: Final = {"GREENPARK_SETTINGS", "GREENPARK_LANG"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How to log: `json` for machines, `console` for people."""

    level: str = "info"
    format: str = "json"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where a room answers Prometheus; port 0: nowhere."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections as they were given, with their origin for messages."""

    origin: str
    sections: dict[str, dict[str, Any]] = field(repr=False)

    @property
    def database_url(self) -> str:
        """Return the database's address, or raise `MissingError`."""
        return self._address("database", "postgresql://user:password@127.0.0.1:5432/greenpark")

    @property
    def broker_url(self) -> str:
        """Return the broker's address, or raise `MissingError`."""
        return self._address("broker", "mqtt://ingest:password@127.0.0.1:1883")

    @property
    def log(self) -> LogSettings:
        """Return how to log."""
        return self.room("log", LogSettings)

    @property
    def metrics(self) -> MetricsSettings:
        """Return where to answer Prometheus."""
        return self.room("metrics", MetricsSettings)

    def room(self, section: str, kind: type[T], **given: object) -> T:
        """Convert a section to the room's settings; `given` are values that come from elsewhere.

        Raises:
            SettingsError: an unknown field, or a value of the wrong type.
        """
        values = self.sections.get(section, {}) | given
        known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                raise SettingsError(
                    f"{self.origin} [{section}] {name}", f"unknown; known are {', '.join(sorted(known))}"
                )
        try:
            return msgspec.convert(values, kind, strict=False, dec_hook=_decode)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at ")
            raise SettingsError(f"{self.origin} [{section}] {place.strip('`$.')}", message) from None

    def _address(self, section: str, example: str) -> str:
        url = self.sections.get(section, {}).get("url")
        if not url:
            variable = f"{PREFIX}{section.upper()}_URL"
            msg = f"no {section}: set {variable}, or url in [{section}] of a settings file, to {example}"
            raise MissingError(msg)
        return str(url)


def load_settings(file: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the file (default: `/etc/greenpark/greenpark.toml` if it exists) and the environment.

    Raises:
        SettingsError: not TOML, an unknown section, an unreadable file.
    """
    environ = os.environ if environ is None else environ
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    sections = {} if file is None else _read(file)
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in _OTHERS:
            continue
        section, _, key = name.removeprefix(PREFIX).lower().partition("_")
        if section in _SECTIONS and key:
            sections.setdefault(section, {})[key] = value
    for section, values in sections.items():
        for key in [key for key in values if key.endswith("_file") and _is_secret(section, key)]:
            values[key.removesuffix("_file")] = _secret(values.pop(key), f"[{section}] {key}")
    return Settings(str(file) if file is not None else "environment", sections)


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


def _is_secret(section: str, key: str) -> bool:
    return section in {"database", "broker"} and key == "url_file"


def _secret(name: str, where: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(where, f"{name}: {error.strerror}") from None


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(str(file), error.strerror or "cannot be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(str(file), f"not TOML: {error}") from None
    for name, section in raw.items():
        if name not in _SECTIONS:
            raise SettingsError(f"{file} [{name}]", f"unknown section; known are {', '.join(_SECTIONS)}")
        if not isinstance(section, dict):
            raise SettingsError(f"{file} {name}", f"belongs into a section, such as [{_SECTIONS[0]}]")
    return raw
