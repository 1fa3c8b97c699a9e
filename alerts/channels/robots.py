"""Chat robots: WeCom (企业微信), DingTalk (钉钉), Feishu (飞书), and whatever else Apprise knows.

An address is what the service shows when the robot is made, its web address, with the secret of the signature added as
`&secret=…` (`?secret=…`); or an Apprise URL. Robots say in the body of their answer whether they took a message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from apprise import Apprise
from apprise.exception import AppriseImproperlyConfigured
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.wecombot import NotifyWeComBot

from alerts.channels import letter
from alerts.channels.apprising import ASSET, post
from alerts.errors import ChannelError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alerts.channels.threads import Threads

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{8,128}")
_CARD_COLOURS: Final = {"info": "blue", "warning": "yellow", "major": "orange", "critical": "red"}
_LOCAL: Final = frozenset(
    {"syslog", "rsyslog", "dbus", "qt", "kde", "glib", "gnome", "macosx", "windows", "file", "files", "ncfile"}
)
"""Schemes of Apprise that reach this machine, not a person."""


def feishu_sign(secret: str, timestamp_s: int) -> str:
    """Return the signature of a Feishu robot: HMAC-SHA256 over nothing, the key being time and secret.

    Source: Feishu Open Platform, custom bot guide, "signature verification".
    """
    return base64.b64encode(hmac.new(f"{timestamp_s}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


def fit(lines: list[str], most: int) -> str:
    """Return lines as one text of at most so many UTF-8 bytes, cut between lines where possible."""
    text = "\n".join(lines)
    if len(text.encode()) <= most:
        return text
    return text.encode()[: most - 3].decode(errors="ignore").rsplit("\n", 1)[0] + "…"


class WeCom(NotifyWeComBot):  # type: ignore[misc]  # Apprise's plugins are not typed
    """A WeCom group robot: Markdown of at most 4096 bytes."""

    max_bytes: ClassVar[int] = 4096

    def deliver(self, body: Mapping[str, Any], timeout: tuple[float, float]) -> None:
        """Send one message; blocks."""
        tint = "info" if letter.colour(body) not in letter.COLOURS.values() else "warning"
        head = [f'### <font color="{tint}">{letter.subject(body)}</font>']
        tail = [f"[{_open(body)}]({body['link']})"] if body.get("link") else []
        room = self.max_bytes - len("\n".join([*head, *tail]).encode()) - 2
        text = "\n".join([*head, fit([f"> {line}" if line else "" for line in letter.lines(body)], room), *tail])
        answer = post(self.api_url, {"msgtype": "markdown", "markdown": {"content": text}}, timeout=timeout)
        _check(answer.get("errcode"), too_fast={45009, 45033}, too_long={40058, 45002})


class DingTalk(NotifyDingTalk):  # type: ignore[misc]
    """A DingTalk group robot, signed where a secret is given: Markdown of at most 20 000 bytes."""

    max_bytes: ClassVar[int] = 18_000

    def deliver(self, body: Mapping[str, Any], timeout: tuple[float, float]) -> None:
        """Send one message; blocks."""
        params = {}
        if self.secret:
            timestamp, sign = self.get_signature()
            # Apprise quotes the signature, and requests would do it once more.
            params = {"timestamp": timestamp, "sign": _unquoted(sign)}
        lines = [*letter.lines(body), *([f"[{_open(body)}]({body['link']})"] if body.get("link") else [])]
        # Without an empty line between them, lines of its Markdown run together.
        text = fit([f"#### {letter.subject(body)}", *(f"{line}  " for line in lines)], self.max_bytes)
        payload = {"msgtype": "markdown", "markdown": {"title": letter.subject(body), "text": text}}
        answer = post(self.notify_url.format(token=self.token), payload, timeout=timeout, params=params)
        _check(answer.get("errcode"), too_fast={130101, 410100}, too_long={460101})


class Feishu(NotifyFeishu):  # type: ignore[misc]
    """A Feishu group robot, signed where a secret is given: a card of at most 20 kB. Apprise's own cannot sign."""

    max_bytes: ClassVar[int] = 12_000

    def __init__(self, token: str, secret: str = "", **more: Any) -> None:
        """Keep the secret beside the token."""
        super().__init__(token, **more)
        self.secret = secret

    def deliver(self, body: Mapping[str, Any], timeout: tuple[float, float]) -> None:
        """Send one message; blocks."""
        signature = {}
        if self.secret:
            now = int(time.time())
            signature = {"timestamp": str(now), "sign": feishu_sign(self.secret, now)}
        over = letter.colour(body) not in letter.COLOURS.values()
        template = "green" if over else _CARD_COLOURS.get(str(body.get("severity")), "yellow")
        text = {"tag": "lark_md", "content": fit(letter.lines(body), self.max_bytes)}
        elements: list[dict[str, Any]] = [{"tag": "div", "text": text}]
        if body.get("link"):
            button = {"tag": "button", "type": "primary", "url": body["link"]}
            elements.append(
                {"tag": "action", "actions": [button | {"text": {"tag": "plain_text", "content": _open(body)}}]}
            )
        title = {"tag": "plain_text", "content": letter.subject(body)}
        card = {"header": {"title": title, "template": template}, "elements": elements}
        payload = signature | {"msg_type": "interactive", "card": card}
        answer = post(self.notify_url.format(token=self.token).rstrip("/"), payload, timeout=timeout)
        _check(answer.get("code", answer.get("StatusCode")), too_fast={11232, 11233, 99991400}, too_long={11246})


class Robot:
    """A channel to robots of one service."""

    def __init__(self, service: str, threads: Threads) -> None:
        """Serve `wecom`, `dingtalk`, `feishu`, or anything by `apprise`."""
        self._service = service
        self._threads = threads

    async def send(self, address: str, body: Mapping[str, Any], *, key: str) -> None:  # noqa: ARG002
        """Send one message; robots know no keys. See `alerts.channels.Channel`."""
        await self._threads.run(partial(self._send, address, body))

    async def close(self) -> None:
        """Nothing stays open."""

    def _send(self, address: str, body: Mapping[str, Any]) -> None:
        timeout_s = self._threads.timeout_s
        if self._service == "apprise":
            _by_apprise(address, body)
        else:
            robot(self._service, address).deliver(body, (timeout_s, timeout_s))


def robot(service: str, address: str) -> Any:
    """Return the robot at an address.

    Raises:
        ChannelError: the address is none of this service. It never tells the address.
    """
    make, native = _SERVICES[service]
    parts = urlsplit(address)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    secret = query.get("secret", "")
    if secret and not _SECRET.fullmatch(secret):
        raise ChannelError(f"the secret of the {service} robot is none; mend the recipient")
    found: Any = None
    if parts.scheme == "https":
        token = native(parts.path, query) if parts.hostname in _HOSTS[service] else None
        found = token and {"key" if service == "wecom" else "token": token}
        if found and secret:
            found["secret"] = secret
    elif parts.scheme == make.secure_protocol:
        found = make.parse_url(address)
        if found and service == "feishu" and (found.get("user") or secret):
            found["secret"] = found.get("user") or secret
    try:
        return make(**found | {"asset": ASSET})
    except (AppriseImproperlyConfigured, TypeError):
        raise ChannelError(f"the address is no {service} robot's; mend the recipient") from None


_HOSTS: Final = {
    "wecom": {"qyapi.weixin.qq.com"},
    "dingtalk": {"oapi.dingtalk.com"},
    "feishu": {"open.feishu.cn", "open.larksuite.com"},
}
_SERVICES: Final[dict[str, tuple[Any, Any]]] = {
    # class, and the token in the service's own address: from path and query
    "wecom": (WeCom, lambda _path, query: query.get("key")),
    "dingtalk": (DingTalk, lambda _path, query: query.get("access_token")),
    "feishu": (Feishu, lambda path, _query: path.rstrip("/").rpartition("/hook/")[2] or None),
}


def known_scheme(address: str) -> bool:
    """Tell whether Apprise knows the scheme of an address, and it leads to people."""
    scheme = address.partition("://")[0].lower()
    return scheme not in _LOCAL and Apprise.instantiate(address, asset=ASSET, suppress_exceptions=True) is not None


def _by_apprise(address: str, body: Mapping[str, Any]) -> None:
    if address.partition("://")[0].lower() in _LOCAL:
        raise ChannelError("the address leads to this machine, not to a person; mend the recipient")
    plugin: Any = Apprise.instantiate(address, asset=ASSET, suppress_exceptions=True)
    if plugin is None:
        raise ChannelError("Apprise does not know the address; mend the recipient")
    plugin.request_rate_per_sec = 0  # it would sleep in our thread; the pace is kept by the outbox
    if not plugin.notify(title=letter.subject(body), body=letter.plain(body)):
        raise ChannelError(f"{plugin.service_name} did not take the message")


def _check(code: object, *, too_fast: set[int], too_long: set[int]) -> None:
    """Turn a robot's own answer into what we know: 0 is yes."""
    if code == 0:
        return
    if code in too_long:
        raise RefusedError(f"the robot refused the message as too long (code {code})")
    if code in too_fast:
        raise ChannelError(f"the robot was sent too much (code {code})", retry_after_s=60.0)
    if not isinstance(code, int):
        raise ChannelError("the answer is not what this robot answers")
    raise ChannelError(f"the robot did not take the message (code {code}); check its token, secret and key words")


def _open(body: Mapping[str, Any]) -> str:
    return "查看详情" if body.get("locale") == "zh-CN" else "Open"


def _unquoted(signature: str) -> str:
    return signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
