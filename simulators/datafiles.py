"""Reading the simulators' YAML files into checked structures."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from simulators.errors import DataError, UnknownName

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_T = TypeVar("_T")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def data() -> Traversable:
    """Return the directory of the shipped data files."""
    return files("simulators") / "data"


def shipped(directory: str) -> list[str]:
    """Return the names (without `.yaml`) of the shipped files of one directory, sorted."""
    found = (data() / directory).iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in found if entry.name.endswith(".yaml"))


def read(directory: str, name: str, what: str) -> tuple[str, str]:
    """Return (file name, text) of a shipped file, or raise `UnknownName`."""
    if name not in (known := shipped(directory)):
        raise UnknownName(what, name, known)
    file = f"{name}.yaml"
    return file, (data() / directory / file).read_text("utf-8")


def parse(text: str, file: str, kind: type[_T]) -> _T:
    """Parse YAML into `kind`, or raise `DataError` with file, field and what was expected."""
    try:
        raw: Any = yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader)
    except yaml.YAMLError as error:
        raise DataError(file, "", f"not YAML: {error}") from None
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        raise DataError(file, place.strip("`$."), message) from None
