"""Messages that are about no single episode: a channel that fails or works again, a test."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from alerts import metrics
from alerts.message import VERSION
from alerts.wording import pick
from park.calendar import zone
from store import outbox, recipients

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from alerts.settings import AlertsSettings
    from store.pool import Connection
    from store.recipients import RecipientRow, UntoldFailure

_log = structlog.get_logger()


def notice(
    *,
    kind: str,
    event: str,
    severity: str,
    locale: str,
    title: str,
    text: str,
    facts: Sequence[Sequence[str]] = (),
    sections: Sequence[dict[str, Any]] = (),
    link: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a body with the same fields that a message about an episode has."""
    return {
        "version": VERSION,
        "kind": kind,
        "event": event,
        "severity": severity,
        "locale": locale,
        "title": title,
        "headline": title,
        "text": text,
        "facts": [list(fact) for fact in facts],
        "sections": list(sections),
        "link": link,
        **more,
    }


def trial(name: str, park: str, locale: str) -> dict[str, Any]:
    """Return the message that shows somebody that a channel works."""
    title = pick(locale, "【测试】告警通道测试", "[Test] The alert channel works")
    text = pick(
        locale,
        f"{title}；园区 {park} 将通过此通道通知“{name}”。无需处理。",
        f"{title}: the park {park} will tell {name!r} this way. Nothing is to be done.",
    )
    return notice(kind="test", event="test", severity="info", locale=locale, title=title, text=text)


def helpers(everybody: Sequence[RecipientRow], failing: int, also_failing: set[int]) -> list[RecipientRow]:
    """Choose who is told that a recipient's channel fails: the other managers whose own channels work.

    Those that are reached by another kind of channel, where there are any: the same gateway may be what is broken.
    """
    broken = next((one for one in everybody if one.recipient_id == failing), None)
    others = [
        one
        for one in everybody
        if one.firm_id is None and one.recipient_id != failing and one.recipient_id not in also_failing
    ]
    elsewhere = [one for one in others if broken is None or one.channel != broken.channel]
    return elsewhere or others


async def tell_of_failing_channels(connection: Connection, settings: AlertsSettings, now: datetime) -> int:
    """Tell the others of every channel that has failed for a while or will not mend; return how many were failing."""
    failing = await recipients.failing(connection)
    metrics.FAILING_CHANNELS.set(len(failing))
    if not failing:
        return 0
    broken = {one.recipient_id for one in failing}
    async with connection.transaction():
        since = now - timedelta(seconds=settings.channel_alarm_s)
        for failure in await recipients.untold_failures(connection, since):
            everybody = await recipients.recipients(connection, failure.park_id)
            chosen = helpers(everybody, failure.recipient_id, broken)
            for recipient in chosen:
                await _tell_of(connection, settings, failure, recipient, now)
            await recipients.mark_failure_told(connection, failure.recipient_id, now)
            _log.error(
                "channel_fails",
                recipient_id=failure.recipient_id,
                channel=failure.channel,
                since=failure.since.isoformat(),
                attempts=failure.attempts,
                error=failure.last_error,
                told=len(chosen),
            )
    return len(failing)


async def _tell_of(
    connection: Connection, settings: AlertsSettings, failure: UntoldFailure, recipient: RecipientRow, now: datetime
) -> None:
    locale = recipient.locale
    since = failure.since.astimezone(zone(failure.time_zone)).strftime("%Y-%m-%d %H:%M:%S")
    title = pick(
        locale,
        f"【告警·重要】告警通道失效：{failure.name}（{failure.channel}）",
        f"[Alert, major] A channel takes no messages: {failure.name} ({failure.channel})",
    )
    text = pick(
        locale,
        f"{title}；自 {since} 起 {failure.attempts} 次发送失败；原因：{failure.last_error}。"
        "发往该接收人的告警暂时无法送达。",
        f"{title}; {failure.attempts} attempts failed since {since}; {failure.last_error}. "
        "Alerts for this recipient do not arrive at present.",
    )
    await outbox.enqueue_other(
        connection,
        recipient_id=recipient.recipient_id,
        kind="channel",
        severity="major",
        dedupe_key=f"{_key(failure.recipient_id, failure.since)}/{recipient.recipient_id}",
        body=notice(kind="channel", event="open", severity="major", locale=locale, title=title, text=text),
        due=now,
        expires=now + timedelta(seconds=settings.message_ttl_s),
    )


async def channel_works(
    connection: Connection, settings: AlertsSettings, recipient_id: int, since: datetime, now: datetime
) -> None:
    """Tell those who were told that a channel failed that it works again, in the transaction that noted it."""
    works = await recipients.recipient(connection, recipient_id)
    for told_id, locale in await recipients.told_of_failure(connection, _key(recipient_id, since)):
        title = pick(
            locale,
            f"【已恢复】告警通道恢复：{works.name}（{works.channel}）",
            f"[Resolved] The channel works again: {works.name} ({works.channel})",
        )
        text = title + pick(locale, "。", ".")
        await outbox.enqueue_other(
            connection,
            recipient_id=told_id,
            kind="channel",
            severity="major",
            dedupe_key=f"{_key(recipient_id, since)}/{told_id}/works",
            body=notice(kind="channel", event="resolved", severity="major", locale=locale, title=title, text=text),
            due=now,
            expires=now + timedelta(seconds=settings.message_ttl_s),
        )


def _key(recipient_id: int, since: datetime) -> str:
    return f"channel/{recipient_id}/{since:%Y%m%dT%H%M%S.%fZ}"
