"""Text messages through the SMS service of Alibaba Cloud (阿里云短信), as an Apprise plugin.

The account is an Apprise URL, `aliyunsms://KEY_ID:KEY_SECRET@TEMPLATE_CODE/?sign=SIGN_NAME`; a recipient's address is
a phone number. In China a text message is a template that was approved before; ours must have these variables:

    ${event}${severity}：${title}，起始 ${since}，请登录平台查看。

The service knows no keys of messages; ours is sent as `OutId`, by which its records can be searched.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec
from apprise.exception import AppriseImproperlyConfigured
from apprise.plugins import NotifyBase

from alerts.channels.apprising import ASSET, account, post
from alerts.errors import ChannelError, RefusedError
from alerts.wording import SEVERITY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from alerts.channels.threads import Threads

PHONE: Final = re.compile(r"(?:\+|00)?[1-9]\d{6,14}")
_VARIABLE_CHARACTERS: Final = 35
"""What the carriers allow in one variable of a template."""
_EVENTS: Final = {
    "zh-CN": {
        "open": "告警",
        "resolved": "已恢复",
        "retracted": "已撤回",
        "escalated": "升级",
        "summary": "汇总",
        "test": "测试",
    },
    "en": {
        "open": "Alert ",
        "resolved": "Resolved ",
        "retracted": "Retracted ",
        "escalated": "Escalated ",
        "test": "Test ",
    },
}
_NUMBER_AT_FAULT: Final = frozenset({"isv.MOBILE_NUMBER_ILLEGAL", "isv.BLACK_KEY_CONTROL_LIMIT"})
_TOO_FAST: Final = frozenset({"isv.BUSINESS_LIMIT_CONTROL", "isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL"})


def sign(parameters: Mapping[str, str], key_secret: str, method: str = "POST") -> str:
    """Return the signature of a call, HMAC-SHA1 over its sorted parameters.

    Source: Alibaba Cloud, "Request signatures" of RPC-style APIs, signature version 1.0.
    """
    canonical = "&".join(f"{_percent(name)}={_percent(value)}" for name, value in sorted(parameters.items()))
    text = f"{method}&{_percent('/')}&{_percent(canonical)}"
    return base64.b64encode(hmac.new(f"{key_secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


class AliyunSms(NotifyBase):  # type: ignore[misc]  # Apprise's plugins are not typed
    """Text messages by template."""

    service_name = "Aliyun SMS"
    service_url = "https://www.aliyun.com/product/sms"
    secure_protocol = "aliyunsms"
    notify_url = "https://dysmsapi.aliyuncs.com/"
    templates = ("{schema}://{user}:{password}@{template}/{targets}",)

    def __init__(self, template: str, sign_name: str, targets: list[str] | None = None, **more: Any) -> None:
        """Keep what a call needs."""
        super().__init__(**more)
        if not (self.user and self.password and template and sign_name):
            msg = "aliyunsms:// needs KEY_ID:KEY_SECRET@TEMPLATE_CODE/?sign=SIGN_NAME"
            raise AppriseImproperlyConfigured(msg)
        self.template = template
        self.sign_name = sign_name
        self.targets = targets or []

    @staticmethod
    def parse_url(url: str) -> Any:
        """Return the arguments that a URL gives, None if it is none."""
        found: Any = NotifyBase.parse_url(url, verify_host=False)
        if not found:
            return found
        query = found.get("qsd", {})
        return found | {
            "template": NotifyBase.unquote(found["host"]),
            "sign_name": NotifyBase.unquote(query.get("sign", "")),
            "targets": NotifyBase.split_path(found["fullpath"]),
        }

    def url(self, privacy: bool = False, *_args: Any, **_more: Any) -> str:  # noqa: FBT001, FBT002  (Apprise's signature)
        """Return the account as a URL, its secret hidden on request."""
        secret = "****" if privacy else quote(str(self.password), safe="")
        targets = "/".join(quote(target) for target in self.targets)
        return f"{self.secure_protocol}://{quote(str(self.user))}:{secret}@{self.template}/{targets}?sign={quote(self.sign_name)}"

    def send(self, body: str, title: str = "", **_more: Any) -> bool:
        """Send to all targets, the way Apprise asks for it."""
        shown = {"locale": "zh-CN", "event": "open", "title": title or body}
        try:
            for target in self.targets:
                self.deliver(target, shown, key="", timeout=self.request_timeout)
        except ChannelError:
            return False
        return True

    def deliver(self, number: str, body: Mapping[str, Any], *, key: str, timeout: tuple[float, float]) -> None:
        """Send one message; blocks."""
        parameters = {
            "AccessKeyId": str(self.user),
            "Action": "SendSms",
            "Format": "JSON",
            "OutId": hashlib.sha256(key.encode()).hexdigest()[:32],
            "PhoneNumbers": number.removeprefix("+86").removeprefix("+"),
            "RegionId": "cn-hangzhou",
            "SignName": self.sign_name,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": secrets.token_hex(16),
            "SignatureVersion": "1.0",
            "TemplateCode": self.template,
            "TemplateParam": msgspec.json.encode(variables(body)).decode(),
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Version": "2017-05-25",
        }
        signature = sign(parameters, str(self.password))
        answer = post(self.notify_url, None, timeout=timeout, params=parameters | {"Signature": signature})
        code = str(answer.get("Code"))
        if code == "OK":
            return
        if code in _NUMBER_AT_FAULT:
            raise RefusedError(f"the SMS gateway refused the number for good ({code})")
        if code in _TOO_FAST:
            raise ChannelError(f"the SMS gateway was sent too much ({code})", retry_after_s=3600.0)
        shown = code if re.fullmatch(r"[A-Za-z._]{1,60}", code) else "no code"
        raise ChannelError(f"the SMS gateway did not take the message ({shown}); check account, sign name and template")


def variables(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of the template, each as long as the carriers allow."""
    locale = str(body.get("locale", "zh-CN"))
    event, severity = str(body.get("event", "open")), str(body.get("severity", ""))
    since = str(body.get("began") or "")[5:16].replace("T", " ")
    found = {
        "event": _EVENTS.get(locale, {}).get(event, "") or _EVENTS["zh-CN"].get(event, "通知"),
        "severity": SEVERITY.get(locale, {}).get(severity, severity) or "-",
        "title": str(body.get("title", "")) or "-",
        "since": since or "-",
    }
    return {name: _short(value) for name, value in found.items()}


class Sms:
    """A channel of text messages from one account."""

    def __init__(self, account_file: Path | None, threads: Threads) -> None:
        """Read the account when there is something to send."""
        self._file = account_file
        self._threads = threads

    async def send(self, address: str, body: Mapping[str, Any], *, key: str) -> None:
        """Send one text message; see `alerts.channels.Channel`."""
        await self._threads.run(partial(self._send, address, body, key))

    async def close(self) -> None:
        """Nothing stays open."""

    def _send(self, address: str, body: Mapping[str, Any], key: str) -> None:
        found = AliyunSms.parse_url(account(self._file, "sms_url_file"))
        if not found or found.get("schema") != AliyunSms.secure_protocol:
            raise ChannelError("sms_url_file holds no aliyunsms:// URL")
        try:
            gateway = AliyunSms(**found | {"asset": ASSET})
        except AppriseImproperlyConfigured as error:
            raise ChannelError(f"sms_url_file: {error}") from None
        timeout_s = self._threads.timeout_s
        gateway.deliver(address, body, key=key, timeout=(timeout_s, timeout_s))


def _percent(text: str) -> str:
    return quote(text, safe="~")


def _short(text: str) -> str:
    return text if len(text) <= _VARIABLE_CHARACTERS else text[: _VARIABLE_CHARACTERS - 1] + "…"
