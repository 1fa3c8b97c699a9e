"""What was held back comes as one message: by quiet hours, or because a recipient had its fill for an hour."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from alerts import metrics
from alerts.notices import notice
from alerts.pacing import quiet_until
from alerts.rules import Severity
from alerts.wording import SEVERITY, pick
from store import outbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from alerts.settings import AlertsSettings
    from store.outbox import Held
    from store.pool import Connection

_LISTED: Final = 50
_STATES: Final = {
    "zh-CN": {
        "open": "未恢复",
        "resolved": "已恢复",
        "retracted": "已撤回",
        "escalated": "升级",
    },
    "en": {"open": "open", "resolved": "resolved", "retracted": "retracted", "escalated": "escalated"},
}


def compose(held: Sequence[Held], locale: str) -> dict[str, Any]:
    """Return the summary of held messages: one line for each episode, as it stands by the last of them.

    Every key that it tells of is in `keys`, so that a receiver can count them as arrived.
    """
    last: dict[int | str, Held] = {}
    for one in held:
        last[one.episode_id if one.episode_id is not None else one.dedupe_key] = one
    worst = max((Severity(one.severity) for one in held), key=lambda severity: severity.rank)
    lines = sorted(last.values(), key=lambda one: (-Severity(one.severity).rank, one.outbox_id))
    states = Counter(str(one.body.get("event", "open")) for one in lines)
    quiet = any(one.held_reason == "quiet" for one in held)
    why = pick(
        locale,
        "免打扰时段内" if quiet else "超出每小时上限而暂缓的",
        "during the quiet hours" if quiet else "beyond the hourly limit",
    )
    counts = pick(locale, "，", ", ").join(
        f"{count} {_STATES[locale].get(state, state)}" for state, count in sorted(states.items())
    )
    title = pick(
        locale, f"【汇总】{why} {len(lines)} 条告警（{counts}）", f"[Summary] {len(lines)} alerts {why} ({counts})"
    )
    rows = [
        [
            SEVERITY[locale].get(one.severity, one.severity),
            _STATES[locale].get(str(one.body.get("event")), str(one.body.get("event", ""))),
            str(one.body.get("title", "")),
            str(one.body.get("began", ""))[:16].replace("T", " "),
        ]
        for one in lines[:_LISTED]
    ]
    more = len(lines) - len(rows)
    text = "\n".join([title, *(" · ".join(cell for cell in row if cell) for row in rows)])
    if more:
        text += "\n" + pick(locale, f"……另有 {more} 条", f"… and {more} more")
    head = pick(locale, "级别|状态|告警|起始", "Severity|State|Alert|Since").split("|")
    return notice(
        kind="summary",
        event="summary",
        severity=worst.value,
        locale=locale,
        title=title,
        text=text,
        sections=[{"title": "", "head": head, "rows": rows}],
        keys=[one.dedupe_key for one in held],
        more=more,
    )


async def send_summaries(connection: Connection, settings: AlertsSettings, now: datetime) -> int:
    """Put every summary that is due into the outbox, or let a single held message go; return how many."""
    done = 0
    for recipient_id in await outbox.recipients_with_held(connection, now):
        async with connection.transaction():
            locked = await outbox.lock_held(connection, recipient_id)
            if locked is None:
                continue
            recipient, held = locked
            loud = Severity(recipient.quiet_min_severity)
            ends = quiet_until(recipient.quiet_from, recipient.quiet_to, now, recipient.time_zone)
            if ends is not None:
                muted = [one.outbox_id for one in held if Severity(one.severity).rank < loud.rank]
                await outbox.postpone(connection, muted, ends)
                held = [one for one in held if Severity(one.severity).rank >= loud.rank]
            if not held or min(one.held_until for one in held) > now:
                continue
            if len(held) == 1:
                await outbox.release(connection, held[0].outbox_id, now)
                done += 1
                continue
            body = compose(held, recipient.locale)
            summary_id = await outbox.enqueue_other(
                connection,
                recipient_id=recipient_id,
                kind="summary",
                severity=body["severity"],
                dedupe_key=f"summary/{recipient_id}/{held[0].outbox_id}-{held[-1].outbox_id}",
                body=body,
                due=now,
                expires=now + timedelta(seconds=settings.message_ttl_s),
            )
            if summary_id is None:
                continue
            await outbox.mark_summarised(connection, [one.outbox_id for one in held], summary_id)
            metrics.SUMMARIES.inc()
            done += 1
    return done
