"""What the command line itself can find wrong; the rooms' errors are shown as they are.

CliError
├── SettingsError    a settings file or environment variable is wrong; names it
├── MissingError     something that must be given was not: a database, a broker, a file
├── RefusedError     asked to do what would do harm here
└── BrokerError      the broker, as a command sees it
    ├── BrokerAwayError      nobody answers, or no longer
    └── BrokerRefusedError   it answers no: log-in, or a message
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


class BrokerError(CliError):
    """The broker does not do what a command needs."""


class BrokerAwayError(BrokerError):
    """Nobody answers at the broker's address, or no longer."""


class BrokerRefusedError(BrokerError):
    """The broker says no.

    Attributes:
        code: MQTT 5 reason code, such as 0x86 (user or password) and 0x87 (rights).
    """

    def __init__(self, code: int, message: str) -> None:
        """Keep the code beside the message for people."""
        super().__init__(message)
        self.code = code
