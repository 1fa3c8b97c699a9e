"""What can keep ingest from working.

IngestError
├── SettingsError        a setting is wrong; names it
├── BrokerError          the broker refuses us; says why and what to do
├── NotConnectedError    there is no connection to the broker at the moment; try again
└── NotHeldError         a message that is not in quarantine, or not in a state to be replayed
"""

from __future__ import annotations


class IngestError(Exception):
    """Root of every error raised by the `ingest` room."""


class SettingsError(IngestError):
    """A setting is wrong."""


class BrokerError(IngestError):
    """The broker refuses us, and trying again will not help."""


class NotConnectedError(IngestError):
    """There is no connection to the broker at the moment."""


class NotHeldError(IngestError):
    """A quarantine id that is not there, or whose message is not held.

    Attributes:
        quarantine_id: what was asked for.
    """

    def __init__(self, quarantine_id: int, state: str | None) -> None:
        """Say what there is instead."""
        found = "does not exist" if state is None else f"is {state}"
        super().__init__(f"quarantined message {quarantine_id} {found}; see `greenpark quarantine list`")
        self.quarantine_id = quarantine_id
