"""What can go wrong with alerts.

AlertsError
├── StartError           the process cannot start; says what is missing and what to do
├── AddressError         where a recipient's address is kept, it cannot be had
└── ChannelError         a message could not be handed over this time
    └── RefusedError     the receiver will never take this message: sending it again is useless

A wrong rule file is a `park.errors.DataFileError`, which names file and field.
"""

from __future__ import annotations


class AlertsError(Exception):
    """Root of every error raised by the `alerts` room."""


class StartError(AlertsError):
    """The process cannot start."""


class AddressError(AlertsError):
    """An address cannot be had from where it is kept. Its text must hold no address: addresses carry secrets."""


class ChannelError(AlertsError):
    """A message could not be handed over. Its text must hold no address: addresses carry secrets.

    Attributes:
        retry_after_s: how long the receiver asked us to wait, None if it did not say.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """Keep the receiver's wish beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(ChannelError):
    """The receiver will never take this message."""
