"""Data files that lie beside the code: TOML, checked field by field when they are read."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, TypeVar

import msgspec

from park.errors import DataFileError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_T = TypeVar("_T")
_PLACE = re.compile(r"^(?P<message>.*) - at `(?:key in )?\$\.?(?P<field>.*)`$", re.DOTALL)


def folder() -> Traversable:
    """Return the folder of the package's own data files, wherever it is installed."""
    return resources.files("park") / "data"


def parse(text: str, file: str, kind: type[_T]) -> _T:
    """Parse TOML into `kind` (a msgspec Struct), or raise `DataFileError` naming file and field."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataFileError(file, "", f"not TOML: {error}") from None
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        found = _PLACE.match(str(error))
        if found is None:
            raise DataFileError(file, "", str(error)) from None
        raise DataFileError(file, found["field"], found["message"]) from None
