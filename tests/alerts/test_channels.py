"""Channels: what receivers get, how refusals are told apart, and that no secret is told."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller

from alerts.addresses import AddressError, new_key, read_key, reveal, seal
from alerts.channels import CHANNELS, letter, open_channels
from alerts.channels.email import Email
from alerts.channels.robots import DingTalk, Feishu, Robot, WeCom, feishu_sign, fit, robot
from alerts.channels.sms import AliyunSms, Sms, sign, variables
from alerts.channels.threads import Threads
from alerts.errors import ChannelError, RefusedError, StartError
from alerts.settings import AlertsSettings

from .robots import DINGTALK_SECRET, FEISHU_SECRET, SMS_SECRET, Service, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = {
    "kind": "episode",
    "event": "open",
    "severity": "major",
    "locale": "zh-CN",
    "title": "甲厂：循环用水骤降 <b>",
    "headline": "【告警·重要】甲厂：循环用水骤降 <b>",
    "text": "【告警·重要】甲厂：循环用水骤降；地点：园区。",
    "facts": [["地点", "园区 · 甲厂"], ["数值", "41 %"]],
    "limit": 60,
    "series_limit": 60,
    "began": "2025-11-20T16:00:00+08:00",
    "series": [[f"2025-11-20T{hour:02}:00:00+08:00", 80.0 - hour] for hour in range(20)],
    "sparkline": "█▇▆▅",
    "link": "https://park.example/episodes/5?a=1&b=2",
}
THREADS = Threads(4, 5.0)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Robots and SMS gateway on loopback, under the names that the plugins call."""
    found = Service()
    server = serve(found)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(DingTalk, "notify_url", f"{found.url}/robot/send?access_token={{token}}")
    monkeypatch.setattr(WeCom, "notify_url", f"{found.url}/cgi-bin/webhook/send?key={{key}}")
    monkeypatch.setattr(Feishu, "notify_url", f"{found.url}/open-apis/bot/v2/hook/{{token}}/")
    monkeypatch.setattr(AliyunSms, "notify_url", f"{found.url}/")
    yield found
    server.shutdown()
    server.server_close()


ROBOTS = {
    "dingtalk": f"https://oapi.dingtalk.com/robot/send?access_token=abc123&secret={DINGTALK_SECRET}",
    "wecom": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=wecom-key",
    "feishu": f"https://open.feishu.cn/open-apis/bot/v2/hook/aa-bb-cc?secret={FEISHU_SECRET}",
}


# Signatures ---------------------------------------------------------------------------------------------------------


def test_signatures_are_those_that_the_services_publish() -> None:
    """Alibaba Cloud's two documented examples; Feishu's as OpenSSL computes it."""
    sms = {
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "45e25e9b-0a6f-4070-8c85-2956eda1b466",
        "AccessKeyId": "testId",
        "SignatureVersion": "1.0",
        "Timestamp": "2017-07-12T02:42:19Z",
        "Format": "XML",
        "Action": "SendSms",
        "Version": "2017-05-25",
        "RegionId": "cn-hangzhou",
        "PhoneNumbers": "15300000001",
        "SignName": "阿里云短信测试专用",
        "TemplateCode": "SMS_71390007",
        "TemplateParam": '{"customer":"test"}',
        "OutId": "123",
    }
    assert sign(sms, "testSecret", "GET") == "zJDF+Lrzhj/ThnlvIToysFRq6t4="
    regions = {
        "Timestamp": "2016-02-23T12:46:24Z",
        "Format": "XML",
        "AccessKeyId": "testid",
        "Action": "DescribeRegions",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
        "Version": "2014-05-26",
        "SignatureVersion": "1.0",
    }
    assert sign(regions, "testsecret", "GET") == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="
    assert feishu_sign("SECdemo-secret", 1599360473) == "Ld5ul8kGHwTtepyl6C3MfZhZ/N7+wOZLuO5jgK7yvzc="


# Robots -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROBOTS)
async def test_a_robot_takes_a_signed_message_at_the_address_that_its_service_shows(
    service: Service, name: str
) -> None:
    """The service's own address with the secret behind it; signature, title, facts and link arrive."""
    await Robot(name, THREADS).send(ROBOTS[name], BODY, key="k")
    [(_, query, body)] = service.requests
    shown = str(body)
    assert "循环用水骤降" in shown
    assert "41 %" in shown
    assert BODY["link"] in shown
    assert DINGTALK_SECRET not in shown + str(query)
    assert FEISHU_SECRET not in shown


@pytest.mark.parametrize("name", ROBOTS)
async def test_a_no_inside_an_http_200_is_a_no(service: Service, name: str) -> None:
    """Robots refuse in the body of a 200: that is tried again, too fast waits, too long is given up."""
    channel = Robot(name, THREADS)
    field = "code" if name == "feishu" else "errcode"
    service.answer = 200, f'{{"{field}": 310000, "errmsg": "no"}}'.encode(), 0.0
    with pytest.raises(ChannelError, match="310000") as caught:
        await channel.send(ROBOTS[name], BODY, key="k")
    assert not isinstance(caught.value, RefusedError)
    fast, long = {"dingtalk": (130101, 460101), "wecom": (45009, 40058), "feishu": (11232, 11246)}[name]
    service.answer = 200, f'{{"{field}": {fast}}}'.encode(), 0.0
    with pytest.raises(ChannelError) as caught:
        await channel.send(ROBOTS[name], BODY, key="k")
    assert caught.value.retry_after_s == 60
    service.answer = 200, f'{{"{field}": {long}}}'.encode(), 0.0
    with pytest.raises(RefusedError):
        await channel.send(ROBOTS[name], BODY, key="k")
    for answer in ((200, b"<html>", 0.0), (200, b"[]", 0.0), (200, b"{}", 0.0), (502, b"bad gateway", 0.0)):
        service.answer = answer
        with pytest.raises(ChannelError):
            await channel.send(ROBOTS[name], BODY, key="k")


async def test_a_wrong_secret_is_noticed(service: Service) -> None:
    """The stand-in checks with its own code, so a wrong signature does not pass."""
    for name, secret in (("dingtalk", DINGTALK_SECRET), ("feishu", FEISHU_SECRET)):
        with pytest.raises(ChannelError, match="did not take"):
            await Robot(name, THREADS).send(ROBOTS[name].replace(secret, secret[::-1]), BODY, key="k")


async def test_a_long_digest_fits_a_robot(service: Service) -> None:
    """WeCom takes 4096 bytes of Markdown: a long message is cut between lines and keeps its link."""
    rows = [["重要", "未恢复", f"企业{n}：工业用水重复利用率低于 88 %", "11-20 16:00"] for n in range(200)]
    body = {**BODY, "facts": [], "sections": [{"title": "告警", "head": [], "rows": rows}]}
    await Robot("wecom", THREADS).send(ROBOTS["wecom"], body, key="k")
    content = service.requests[0][2]["markdown"]["content"]
    assert len(content.encode()) <= 4096
    assert content.endswith(f"({BODY['link']})")
    assert fit(["一二三", "四五六"], 12) == "一二三…"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("dingtalk", f"https://oapi.dingtalk.com.evil.example/robot/send?access_token=abc123&secret={DINGTALK_SECRET}"),
        ("dingtalk", "https://oapi.dingtalk.com/robot/send"),
        ("feishu", "https://open.feishu.cn/other"),
        ("wecom", "wecombot://"),
        ("wecom", "mailto://x@y"),
        ("feishu", f"https://open.feishu.cn/open-apis/bot/v2/hook/aa?secret={FEISHU_SECRET}%0A"),
    ],
)
def test_an_address_of_no_robot_is_refused_without_telling_it(name: str, address: str) -> None:
    """What is no address of the service is a clear error that holds no secret."""
    with pytest.raises(ChannelError, match="mend the recipient") as caught:
        robot(name, address)
    assert "SEC" not in str(caught.value)
    assert "Secret0" not in str(caught.value)


def test_apprise_addresses_do_as_well() -> None:
    """A robot may be given as an Apprise URL, Feishu's with the secret before the token."""
    found = robot("feishu", f"feishu://{FEISHU_SECRET}@aa-bb-cc")
    assert (found.token, found.secret) == ("aa-bb-cc", FEISHU_SECRET)
    assert robot("dingtalk", f"dingtalk://{DINGTALK_SECRET}@abc123").secret == DINGTALK_SECRET


async def test_whatever_else_apprise_knows_is_a_channel(service: Service) -> None:
    """Channel `apprise` takes any of its addresses, but none that leads to this machine."""
    service.answer = 200, b"{}", 0.0
    await Robot("apprise", THREADS).send(service.url.replace("http://", "json://") + "/hook", BODY, key="k")
    assert "循环用水骤降" in service.requests[0][2]["message"]
    service.answer = 500, b"", 0.0
    with pytest.raises(ChannelError, match="did not take"):
        await Robot("apprise", THREADS).send(service.url.replace("http://", "json://") + "/hook", BODY, key="k")
    for address in ("syslog://", "dbus://", "nonsense"):
        with pytest.raises(ChannelError, match="mend the recipient"):
            await Robot("apprise", THREADS).send(address, BODY, key="k")


# Text messages ------------------------------------------------------------------------------------------------------


async def test_a_text_message_is_signed_and_carries_its_key(service: Service, tmp_path: Path) -> None:
    """The gateway gets number, sign name, template and variables that the carriers allow; OutId names the message."""
    file = tmp_path / "sms.url"
    file.write_text(f"aliyunsms://keyId:{SMS_SECRET}@SMS_123456/?sign=%E9%93%9C%E6%A2%81%E5%9B%AD%E5%8C%BA\n")
    channel = Sms(file, THREADS)
    await channel.send("+8613800138000", {**BODY, "title": "很长的标题" * 20}, key="k1")
    await channel.send("13800138000", BODY, key="k2")
    first, second = (query for _, query, _ in service.requests)
    assert first["PhoneNumbers"] == second["PhoneNumbers"] == "13800138000"
    assert first["SignName"] == "铜梁园区"
    assert first["TemplateCode"] == "SMS_123456"
    assert first["OutId"] != second["OutId"]
    assert first["SignatureNonce"] != second["SignatureNonce"]
    found = variables({**BODY, "title": "很长的标题" * 20})
    assert found["event"] + found["severity"] == "告警重要"
    assert found["since"] == "11-20 16:00"
    assert max(map(len, found.values())) <= 35
    file.write_text("aliyunsms://keyId:wrong@SMS_123456/?sign=x")
    with pytest.raises(ChannelError, match="SignatureDoesNotMatch"):
        await channel.send("13800138000", BODY, key="k")
    service.answer = 200, b'{"Code": "isv.MOBILE_NUMBER_ILLEGAL"}', 0.0
    with pytest.raises(RefusedError):
        await channel.send("13800138000", BODY, key="k")
    service.answer = 400, b'{"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": "x"}', 0.0
    with pytest.raises(ChannelError) as caught:
        await channel.send("13800138000", BODY, key="k")
    assert caught.value.retry_after_s == 3600


# E-mail -------------------------------------------------------------------------------------------------------------


class Inbox:
    """A mail server's handler that keeps what it takes; `answer` refuses."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.answer: dict[str, str] = {}
        self.wait_s = 0.0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if "rcpt" in self.answer:
            return self.answer["rcpt"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        await asyncio.sleep(self.wait_s)
        if "data" in self.answer:
            return self.answer["data"]
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[tuple[Inbox, Path]]:
    """A real SMTP server, and the file with the account that sends through it."""
    handler = Inbox()
    controller = Controller(handler, hostname="127.0.0.1", port=0)
    # Port 0: the controller would try to connect to it, so the port is chosen before.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        controller.port = free.getsockname()[1]
    controller.start()
    file = tmp_path / "mail.url"
    file.write_text(f"mailto://127.0.0.1:{controller.port}?from=alerts@park.example")
    yield handler, file
    controller.stop()


async def test_a_letter_shows_text_and_html_with_its_chart(inbox: tuple[Inbox, Path]) -> None:
    """Both forms say the same, the chart is inside, and the key stands in the head and makes the Message-ID."""
    handler, file = inbox
    await Email(file, THREADS).send("manager@park.example", BODY, key="cause/1/open/7")
    await Email(file, THREADS).send("manager@park.example", BODY, key="cause/1/open/7")
    first, again = handler.letters
    assert first["Subject"] == "【告警·重要】甲厂：循环用水骤降 <b>"
    assert first["Idempotency-Key"] == "cause/1/open/7"
    assert first["Message-ID"] == again["Message-ID"]
    assert (first["From"], first["To"]) == ("greenpark <alerts@park.example>", "manager@park.example")
    text, html = first.get_body(("plain",)).get_content(), first.get_body(("html",)).get_content()
    for part in (text, html):
        assert "循环用水骤降" in part
        assert "https://park.example/episodes/5?a=1&" in part
    assert "█▇▆▅" in text
    assert "<b>" not in html
    assert 'src="cid:chart"' in html
    [image] = [part for part in first.walk() if part.get_content_type() == "image/png"]
    assert image["Content-ID"] == "<chart>"
    assert image.get_content().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ({"rcpt": "550 5.1.1 no such user"}, True),
        ({"rcpt": "450 4.2.1 greylisted"}, False),
        ({"data": "554 5.7.1 spam"}, True),
        ({"data": "451 4.3.0 try later"}, False),
    ],
)
async def test_a_mail_servers_no_for_now_is_not_its_no_for_ever(
    inbox: tuple[Inbox, Path], answer: dict[str, str], final: bool
) -> None:
    """SMTP 4xx is tried again, 5xx about recipient or message ends it."""
    handler, file = inbox
    handler.answer = answer
    with pytest.raises(ChannelError) as caught:
        await Email(file, THREADS).send("manager@park.example", BODY, key="k")
    assert isinstance(caught.value, RefusedError) is final
    assert "manager" not in str(caught.value)


async def test_without_a_server_or_an_account_the_error_says_what_to_do(tmp_path: Path) -> None:
    """No account, no file, no URL, nobody there: each names the setting or the kind of error, never a password."""
    with pytest.raises(ChannelError, match="set email_url_file"):
        await Email(None, THREADS).send("a@b.example", BODY, key="k")
    file = tmp_path / "mail.url"
    with pytest.raises(ChannelError, match="email_url_file"):
        await Email(file, THREADS).send("a@b.example", BODY, key="k")
    for text in ("hunter2", "mailto://u:hunter2@127.0.0.1:1?from=a@b.example", "mailto://:hunter2@"):
        file.write_text(text)
        with pytest.raises(ChannelError) as caught:
            await Email(file, THREADS).send("a@b.example", BODY, key="k")
        assert "hunter2" not in str(caught.value)
    with pytest.raises(ChannelError, match="set sms_url_file"):
        await Sms(None, THREADS).send("13800138000", BODY, key="k")


# Time and threads ---------------------------------------------------------------------------------------------------


async def test_a_send_that_hangs_is_left_behind_and_takes_one_place(inbox: tuple[Inbox, Path]) -> None:
    """A server that does not answer costs the time limit; when all places hang, the next is refused at once."""
    handler, file = inbox
    handler.wait_s = 1.5
    threads = Threads(1, 0.2)
    channel = Email(file, threads)
    started = time.monotonic()
    with pytest.raises(ChannelError, match=r"no answer within 0\.2 s|no connection"):
        await channel.send("a@park.example", BODY, key="k")
    assert time.monotonic() - started < 1
    gate = threading.Event()
    stuck = Threads(1, 0.05)
    with pytest.raises(ChannelError, match="no answer"):
        await stuck.run(gate.wait)
    with pytest.raises(ChannelError, match="still hang"):
        await stuck.run(lambda: None)
    gate.set()
    async with asyncio.timeout(5):
        while True:
            try:
                await stuck.run(lambda: None)
                break
            except ChannelError:
                await asyncio.sleep(0.01)


# Addresses ----------------------------------------------------------------------------------------------------------


def test_a_sealed_address_shows_nothing_and_is_found_again(tmp_path: Path) -> None:
    """The same address becomes the same text, another key does not open it, and errors hold no part of it."""
    file = tmp_path / "address.key"
    file.write_text(new_key())
    key = read_key(file)
    address = ROBOTS["dingtalk"]
    kept = seal(address, key)
    assert seal(address, key) == kept == seal(kept, key)
    assert reveal(kept, key) == address
    assert "SEC" not in kept
    file.write_text(new_key())
    for other in (None, read_key(file)):
        with pytest.raises(AddressError) as caught:
            reveal(kept, other)
        assert DINGTALK_SECRET not in str(caught.value)
    file.write_text("too short")
    with pytest.raises(StartError, match="recipient seal"):
        read_key(file)


async def test_an_address_may_stay_in_a_file_or_a_variable(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the name is stored; the alerts process looks it up for each message, so it may be changed at any time."""
    file = tmp_path / "hook"
    file.write_text(ROBOTS["feishu"] + "\n")
    monkeypatch.setenv("DUTY_HOOK", ROBOTS["wecom"])
    channels = open_channels(AlertsSettings("postgresql://x"))
    await channels["feishu"].send(f"file:{file}", BODY, key="k")
    await channels["wecom"].send("env:DUTY_HOOK", BODY, key="k")
    assert len(service.requests) == 2
    for address in ("file:/nowhere/at/all", "env:NOT_THERE", "env:PATH;x"):
        with pytest.raises(ChannelError, match="recipient's address"):
            await channels["wecom"].send(address, BODY, key="k")


def test_every_channel_has_a_name_that_the_command_offers() -> None:
    """The names are those of the issue, and none is opened before it is needed."""
    assert set(CHANNELS) == {"webhook", "email", "sms", "wecom", "dingtalk", "feishu", "apprise"}
    assert set(open_channels(AlertsSettings("postgresql://x"))) == set(CHANNELS)


# The letter ---------------------------------------------------------------------------------------------------------


def test_a_letter_escapes_what_names_hold() -> None:
    """A name with HTML in it stays text."""
    html = letter.letter({**BODY, "title": "x", "facts": [["<i>", "<script>alert(1)</script>"]]}, with_chart=False)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_chart_leaves_out_a_limit_of_another_scale() -> None:
    """A limit far off the values would flatten the line; without values there is no chart."""
    near = letter.chart(BODY)
    far = letter.chart({**BODY, "series_limit": 1e6})
    assert near is not None
    assert far is not None
    assert near != far
    assert far == letter.chart({**BODY, "series_limit": None})
    assert letter.chart({**BODY, "series": []}) is None
