"""E-mail: an HTML letter with its chart inside, and the same as plain text.

The account is an Apprise URL, so that what Apprise knows of mail providers holds here. Submission is our own: Apprise
says only yes or no, and whether a server refused a message for ever or for now decides what happens to it. The key of a
message is in `Idempotency-Key` and makes its `Message-ID`, by which mailboxes and mail programs drop what came twice.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from functools import partial
from typing import TYPE_CHECKING, Any

from apprise.exception import AppriseImproperlyConfigured

from alerts.channels import letter
from alerts.channels.apprising import ASSET, NotifyEmail, account
from alerts.errors import ChannelError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from alerts.channels.threads import Threads


class Email:
    """Sends letters from one account."""

    def __init__(self, account_file: Path | None, threads: Threads) -> None:
        """Read the account when there is something to send, so that it may be changed at any time."""
        self._file = account_file
        self._threads = threads

    async def send(self, address: str, body: Mapping[str, Any], *, key: str) -> None:
        """Send one letter; see `alerts.channels.Channel`."""
        await self._threads.run(partial(self._send, address, body, key))

    async def close(self) -> None:
        """Nothing stays open."""

    def _send(self, address: str, body: Mapping[str, Any], key: str) -> None:
        mailer = _mailer(account(self._file, "email_url_file"), address)
        name, sender = mailer.from_addr[0], mailer.from_addr[1]
        message = compose(address, body, key, sender=sender, name=str(name or "greenpark"))
        try:
            _submit(mailer, sender, address, message, self._threads.timeout_s)
        except smtplib.SMTPRecipientsRefused as error:
            code = next((code for code, _ in error.recipients.values()), 0)
            raise _refusal(code, "the recipient") from None
        except smtplib.SMTPAuthenticationError as error:
            raise ChannelError(f"the mail server does not take the account's log-in (SMTP {error.smtp_code})") from None
        except smtplib.SMTPSenderRefused as error:
            raise ChannelError(f"the mail server refused the sender (SMTP {error.smtp_code})") from None
        except smtplib.SMTPDataError as error:
            raise _refusal(error.smtp_code, "the message") from None
        except smtplib.SMTPResponseException as error:
            raise ChannelError(f"the mail server answers SMTP {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelError(f"no connection to the mail server ({type(error).__name__})") from None


def compose(address: str, body: Mapping[str, Any], key: str, *, sender: str, name: str) -> EmailMessage:
    """Return the letter: plain text, and HTML with its chart."""
    message = EmailMessage(policy=SMTP)
    message["From"] = formataddr((name, sender))
    message["To"] = address
    message["Subject"] = letter.subject(body)
    message["Date"] = format_datetime(datetime.now(UTC))
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{digest}.greenpark@{sender.rpartition('@')[2]}>"
    message["Idempotency-Key"] = key
    message["Auto-Submitted"] = "auto-generated"
    if body.get("severity") == "critical" and body.get("event") == "open":
        message["Importance"] = "high"
    picture = letter.chart(body)
    message.set_content(letter.plain(body))
    message.add_alternative(letter.letter(body, with_chart=picture is not None), subtype="html")
    if picture is not None:
        part: Any = message.get_payload(1)
        part.add_related(picture, "image", "png", cid=f"<{letter.CHART}>", filename="chart.png", disposition="inline")
    return message


def _mailer(url: str, address: str) -> Any:
    found: Any = NotifyEmail.parse_url(url)
    if not found:
        raise ChannelError("email_url_file holds no mailto:// or mailtos:// URL")
    try:
        return NotifyEmail(**found | {"targets": [address], "asset": ASSET})
    except (AppriseImproperlyConfigured, TypeError):
        raise ChannelError("email_url_file: the account is incomplete; it needs a server and a sender") from None


def _submit(mailer: Any, sender: str, address: str, message: EmailMessage, timeout_s: float) -> None:
    context = ssl.create_default_context()
    if not mailer.verify_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    server: smtplib.SMTP
    if mailer.secure and mailer.secure_mode == "ssl":
        server = smtplib.SMTP_SSL(mailer.smtp_host, mailer.port, timeout=timeout_s, context=context)
    else:
        server = smtplib.SMTP(mailer.smtp_host, mailer.port, timeout=timeout_s)
    try:
        if mailer.secure and mailer.secure_mode == "starttls":
            server.starttls(context=context)
        if mailer.user and mailer.password:
            server.login(mailer.user, mailer.password)
        server.send_message(message, sender, [address])
    finally:
        # It took the message or not: what the farewell says changes nothing.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()


def _refusal(code: int, what: str) -> ChannelError:
    if code >= 500:
        return RefusedError(f"the mail server refused {what} for good (SMTP {code})")
    return ChannelError(f"the mail server does not take {what} now (SMTP {code})")
