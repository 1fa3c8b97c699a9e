"""What can be wrong with a replay; a wrong mapping is a `park.errors.DataFileError`.

ReplayError
├── RowsError         the file cannot be read, or rows in it are wrong; names file, line and column
├── SendError         the broker does not take the readings, or nobody confirms them
└── IncompleteError   everything was sent, and the database lacks some of it; says why
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 5


class ReplayError(CliError):
    """Root of what can go wrong with a replay."""


class RowsError(ReplayError):
    """A file of readings cannot be used.

    Attributes:
        bad: what is wrong, one line each, as far as it was kept.
        count: how many rows are wrong; 0 if it is not about rows.
    """

    def __init__(self, message: str, bad: Sequence[str] = (), count: int = 0) -> None:
        """Show the first few rows."""
        lines = [message, *(f"  {line}" for line in bad[:_SHOWN])]
        if count > _SHOWN:
            lines.append(f"  … and {count - min(_SHOWN, len(bad))} more")
        super().__init__("\n".join(lines))
        self.bad = tuple(bad)
        self.count = count


class SendError(ReplayError):
    """The readings do not get through; what did is kept, and the next run goes on there."""


class IncompleteError(ReplayError):
    """Everything was sent and confirmed, and the database lacks readings all the same."""
