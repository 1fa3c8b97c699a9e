"""Ways to reach people, by name. A new one is a module beside this file and a line in `CHANNELS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from alerts.channels.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Channel(Protocol):
    """One way to hand messages over."""

    async def send(self, address: str, body: Mapping[str, Any], *, key: str) -> None:
        """Hand one message over.

        Args:
            address: the recipient's, in whatever form the channel understands; may hold a secret, so never log it.
            body: what `alerts.message.compose` made; `title` and `text` are ready for people.
            key: the same each time the same message is sent, so that the receiver can drop what it has already.

        Raises:
            ChannelError: not this time.
            RefusedError: not ever.
        """

    async def close(self) -> None:
        """Give back what was opened."""


CHANNELS: Final[dict[str, Callable[[float], Channel]]] = {
    # name as it stands in `recipient.channel`: from the time-out in seconds to a channel
    "webhook": Webhook,
}


def open_channels(timeout_s: float) -> dict[str, Channel]:
    """Open every channel."""
    return {name: make(timeout_s) for name, make in CHANNELS.items()}
