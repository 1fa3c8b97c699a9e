"""Settings: one TOML file, or environment variables, or both (the environment wins).

    [database]
    url = "postgresql://greenpark:secret@127.0.0.1:5432/greenpark"

    [broker]
    url = "mqtts://ingest:secret@127.0.0.1:8883"

    [api]
    port = 8000

Every field of every section can come from a variable: `GREENPARK_DATABASE_URL`, `GREENPARK_API_PORT`. The two addresses
hold secrets: `url_file` and `GREENPARK_DATABASE_URL_FILE` name a file that holds the address instead.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from cli.errors import MissingError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX: Final = "GREENPARK_"
DEFAULT_FILE: Final = Path("/etc/greenpark/greenpark.toml")
ROOMS: Final = ("ingest", "streams", "alerts", "api")
_SECTIONS: Final = ("database", "broker", "log", "metrics", "edge", *ROOMS)
_ADDRESSES: Final = ("database", "broker")
_URL: Final = frozenset({"url", "url_file"})
_OTHERS: Final = {"GREENPARK_SETTINGS", "GREENPARK_LANG", "GREENPARK_SECRETS", "GREENPARK_NO_BROWSER"}
"""Variables with our prefix that are no settings of these sections."""
_FOREIGN: Final = ("GREENPARK_GRAFANA_", "GREENPARK_SERVICE_", "GREENPARK_PORT")
"""Beginnings of variables that are for others: Grafana's data source; those that Kubernetes makes for a service."""

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
    """All sections as they were given, with their origin for messages.

    Attributes:
        origin: the file, or `environment`.
        variables: the environment's variable that gave (section, field), where one did.
    """

    origin: str
    sections: dict[str, dict[str, Any]] = field(repr=False)
    variables: Mapping[tuple[str, str], str] = field(default_factory=dict)

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
                raise SettingsError(self.place(section, name), _unknown(name, known - set(given)))
        try:
            return msgspec.convert(values, kind, strict=False, dec_hook=_decode)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at ")
            raise SettingsError(self.place(section, place.strip("`$.")), message) from None

    def place(self, section: str, name: str) -> str:
        """Return where a field was given, for messages."""
        return self.variables.get((section, name)) or f"{self.origin} [{section}] {name}"

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
        SettingsError: not TOML, an unknown section or variable, an unreadable file, an address given twice.
    """
    environ = os.environ if environ is None else environ
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    sections = {} if file is None else _read(file)
    given, variables = _from_environ(environ)
    for section, values in given.items():
        kept = sections.get(section, {})
        if section in _ADDRESSES and values.keys() & _URL:
            # An address in the file, in whatever form, does not count beside one in a variable.
            kept = {name: value for name, value in kept.items() if name not in _URL}
        sections[section] = kept | values
    settings = Settings(str(file) if file is not None else "environment", sections, variables)
    for section in _ADDRESSES:
        if section in sections:
            sections[section] = _address(settings, section)
    return settings


def _from_environ(environ: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str]]:
    """Return sections as variables give them, and the variable of each field."""
    sections: dict[str, dict[str, Any]] = {}
    variables = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in _OTHERS or variable.startswith(_FOREIGN):
            continue
        section, _, name = variable.removeprefix(PREFIX).lower().partition("_")
        if section not in _SECTIONS or not name:
            raise SettingsError(variable, _unknown_variable(variable))
        variables[section, name] = variable
        sections.setdefault(section, {})[name] = value
    return sections, variables


def _address(settings: Settings, section: str) -> dict[str, Any]:
    """Return the section of an address with the address itself, read from its file if need be."""
    given = settings.sections[section]
    for name in given:
        if name not in _URL:
            raise SettingsError(settings.place(section, name), _unknown(name, _URL))
    if len(given) == len(_URL):
        both = " and ".join(settings.place(section, name) for name in sorted(given))
        raise SettingsError(both, "give the address or the file that holds it, not both")
    if "url_file" in given:
        return {"url": _secret(given["url_file"], settings.place(section, "url_file"))}
    return given


def _unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"unknown; did you mean {close[0]}?" if close else f"unknown; known are {', '.join(sorted(known))}"


def _unknown_variable(variable: str) -> str:
    section, _, rest = variable.removeprefix(PREFIX).partition("_")
    close = difflib.get_close_matches(section.lower(), _SECTIONS, n=1)
    if close and rest:
        return f"unknown; did you mean {PREFIX}{close[0].upper()}_{rest}?"
    return f"unknown; write {PREFIX}<SECTION>_<FIELD> with a section of {', '.join(_SECTIONS)}"


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


def _secret(name: object, where: str) -> str:
    if not isinstance(name, str):
        raise SettingsError(where, "expected the name of a file")
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(where, f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(where, f"{name}: not UTF-8") from None


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
