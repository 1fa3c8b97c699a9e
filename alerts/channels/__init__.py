"""Ways to reach people, by name. A new one is a module beside this file and a line in `CHANNELS`.

`webhook` and `email` tell a receiver the key of a message, so that one that came twice can be dropped. The others are
robots and gateways of others, which know no keys: a message whose answer was lost is seen twice there.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from alerts.addresses import Sealed, is_reference, read_key
from alerts.channels.threads import Threads
from alerts.channels.webhook import Webhook
from alerts.errors import AddressError, ChannelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from alerts.settings import AlertsSettings


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


def _webhook(settings: AlertsSettings, _threads: Threads) -> Channel:
    return Webhook(settings.send_timeout_s)


def _email(settings: AlertsSettings, threads: Threads) -> Channel:
    from alerts.channels.email import Email  # noqa: PLC0415  (Apprise is loaded where it is used)

    return Email(settings.email_url_file, threads)


def _sms(settings: AlertsSettings, threads: Threads) -> Channel:
    from alerts.channels.sms import Sms  # noqa: PLC0415

    return Sms(settings.sms_url_file, threads)


def _robot(name: str) -> Callable[[AlertsSettings, Threads], Channel]:
    def make(_settings: AlertsSettings, threads: Threads) -> Channel:
        from alerts.channels.robots import Robot  # noqa: PLC0415

        return Robot(name, threads)

    return make


CHANNELS: Final[dict[str, Callable[[AlertsSettings, Threads], Channel]]] = {
    # name as it stands in `recipient.channel`
    "webhook": _webhook,
    "email": _email,
    "sms": _sms,
    "wecom": _robot("wecom"),
    "dingtalk": _robot("dingtalk"),
    "feishu": _robot("feishu"),
    "apprise": _robot("apprise"),
}


def check_address(channel: str, address: str) -> None:
    """Tell at once what would fail at night.

    Raises:
        AddressError: the channel cannot reach such an address. It never tells the address.
    """
    if not address or not address.isprintable() or " " in address:
        raise AddressError(f"the address is {_FORMS[channel]}; write it alone, on one line")
    if is_reference(address):
        return
    if not _reachable(channel, address):
        raise AddressError(f"the address is {_FORMS[channel]}; write it alone, on one line")


def _reachable(channel: str, address: str) -> bool:
    if channel == "email":
        return _MAIL.fullmatch(address) is not None
    if channel == "sms":
        return _PHONE.fullmatch(address) is not None
    if channel == "webhook":
        try:
            parts = urlsplit(address)
        except ValueError:
            return False
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    from alerts.channels import robots  # noqa: PLC0415  (Apprise is loaded where it is used)

    if channel == "apprise":
        return robots.known_scheme(address)
    try:
        robots.robot(channel, address)
    except ChannelError:
        return False
    return True


_MAIL: Final = re.compile(r"[^@\s<>,;\"]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_PHONE: Final = re.compile(r"(?:\+|00)?[1-9]\d{6,14}")
_FORMS: Final = {
    "webhook": "no http or https URL",
    "email": "no mail address",
    "sms": "no phone number",
    "wecom": "no WeCom robot's, such as https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…",
    "dingtalk": "no DingTalk robot's, such as https://oapi.dingtalk.com/robot/send?access_token=…&secret=SEC…",
    "feishu": "no Feishu robot's, such as https://open.feishu.cn/open-apis/bot/v2/hook/…?secret=…",
    "apprise": "none that Apprise knows and that leads to people",
}


def open_channels(settings: AlertsSettings) -> dict[str, Channel]:
    """Return every channel, opened when a message needs it; then it is told too if an account or a key is lacking.

    Raises:
        StartError: the key file is set and cannot be used.
    """
    threads = Threads(settings.channel_threads, settings.send_timeout_s)
    key = None if settings.address_key_file is None else read_key(settings.address_key_file)
    return {name: Sealed(partial(make, settings, threads), key) for name, make in CHANNELS.items()}
