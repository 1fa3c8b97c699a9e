"""What the command line itself can find wrong; the rooms' errors are shown as they are.

CliError
├── SettingsError    a settings file or environment variable is wrong; names it
├── MissingError     something that must be given was not: a database, a broker, a file
└── RefusedError     asked to do what would do harm here
"""

from __future__ import annotations


class CliError(Exception):
    """Root of every error raised by the `cli` room."""


class SettingsError(CliError):
    """A settings file or an environment variable is wrong.

    Attributes:
        where: file and field, or variable.
    """

    def __init__(self, where: str, message: str) -> None:
        """Name the place first."""
        super().__init__(f"{where}: {message}")
        self.where = where


class MissingError(CliError):
    """Something that must be given was not."""


class RefusedError(CliError):
    """What was asked would do harm here."""
