"""Named queries: every statement lives in a commented `.sql` file beside this module.

A file holds queries, each introduced by `-- name: the_name`; comments up to the next name belong to it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def queries(file: str) -> dict[str, str]:
    """Return the named queries of `store/sql/{file}.sql`.

    Raises:
        ValueError: if a name stands twice.
    """
    text = files("store").joinpath("sql", f"{file}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    names = parts[::2]
    if len(set(names)) != len(names):
        msg = f"{file}.sql names a query twice"
        raise ValueError(msg)
    return {name: body.strip() for name, body in zip(names, parts[1::2], strict=True)}
