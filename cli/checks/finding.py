"""A finding, and how a check that fails becomes one instead of hiding the others."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

Level = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: `bad`: it will not work, or data can be lost; `warn`: it may hurt later.
        what: what was looked at.
        found: what there is.
        do: what to do about it, with the exact command or setting; empty where all is well.
    """

    level: Level
    what: str
    found: str
    do: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def ok(what: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding("ok", what, found)


def warn(what: str, found: str, do: str) -> Finding:
    """Return that it may hurt later."""
    return Finding("warn", what, found, do)


def bad(what: str, found: str, do: str) -> Finding:
    """Return that it will not work."""
    return Finding("bad", what, found, do)


async def look(what: str, check: Callable[..., Any], *args: Any) -> list[Finding]:
    """Run a check, ordinary or asynchronous; one that fails is a finding itself, so that the others are heard."""
    try:
        answer: Finding | Iterable[Finding] | Awaitable[Finding | Iterable[Finding]] = check(*args)
        if inspect.isawaitable(answer):
            answer = await answer
        return [answer] if isinstance(answer, Finding) else list(answer)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the other checks still run
        return [
            bad(
                what,
                f"could not be checked: {type(error).__name__}: {error}",
                "see whether the other findings explain it",
            )
        ]
