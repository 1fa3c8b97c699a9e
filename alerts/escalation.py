"""What nobody acknowledges goes a step up.

A park's ladder names whom to tell after how long, from which severity on: a person, or whoever a calendar has on duty.
Where the park has no ladder, a rule that asks for escalation (`escalate_after_s`) reaches all managers of the park.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from alerts import metrics, oncall
from alerts.notices import notice
from alerts.wording import LABELS, SEVERITY, duration, pick
from park.calendar import zone
from store import duty, outbox, recipients

if TYPE_CHECKING:
    from datetime import datetime

    from alerts.settings import AlertsSettings
    from store.duty import TakenStep
    from store.pool import Connection


def compose(taken: TakenStep, opening: dict[str, Any] | None, *, locale: str, public_url: str) -> dict[str, Any]:
    """Return the message of a step: what the opening said, how long nobody has acknowledged, and who was told."""
    label = LABELS[locale]
    waited = duration(taken.after_s, locale)
    severity = SEVERITY[locale][taken.severity]
    title = pick(locale, taken.title_zh, taken.title_en)
    headline = pick(locale, f"【升级·{severity}】{title}", f"[Escalated, {severity}] {title}")
    told = pick(locale, "、", ", ").join(taken.told)
    sentence = pick(
        locale,
        f"{headline}；{waited}内无人确认" + (f"；已通知：{told}" if told else ""),
        f"{headline}; nobody has acknowledged for {waited}" + (f"; told before: {told}" if told else ""),
    )
    facts = [[label["waited"], waited], *([[label["told"], told]] if told else [])]
    base = opening or {}
    same = base.get("locale") == locale
    text = f"{sentence}\n{base['text']}" if same and "text" in base else sentence + pick(locale, "。", ".")
    link = f"{public_url.rstrip('/')}/episodes/{taken.episode_id}" if public_url else None
    return notice(
        kind="escalation",
        event="escalated",
        severity=taken.severity,
        locale=locale,
        title=title,
        text=text,
        facts=[*facts, *(base.get("facts", []) if same else [])],
        link=link,
        headline=headline,
        episode_id=taken.episode_id,
        began=taken.began.astimezone(zone(taken.time_zone)).isoformat(),
        park={"code": taken.park_code, "name": pick(locale, taken.park_zh, taken.park_en)},
        series=base.get("series", []),
        sparkline=base.get("sparkline", ""),
        limit=base.get("limit"),
        series_limit=base.get("series_limit"),
        unit=base.get("unit"),
    )


async def escalate(connection: Connection, settings: AlertsSettings, now: datetime) -> int:
    """Take every step that is due, and put its messages into the outbox; return how many messages."""
    done = 0
    async with connection.transaction():
        for taken in await duty.take_steps(connection, now):
            for recipient_id in await _whom(connection, taken, now):
                recipient = await recipients.recipient(connection, recipient_id)
                opening = await duty.opening(connection, taken.episode_id, recipient.locale)
                body = compose(taken, opening and opening[0], locale=recipient.locale, public_url=settings.public_url)
                added = await outbox.enqueue(
                    connection,
                    episode_id=taken.episode_id,
                    transition_id=opening and opening[1],
                    recipient_id=recipient_id,
                    dedupe_key=f"escalation/{taken.episode_id}/{taken.step_id}/{recipient_id}",
                    body=body,
                    due=now,
                    expires=now + timedelta(seconds=settings.message_ttl_s),
                    kind="escalation",
                )
                done += added is not None
    metrics.ESCALATED.inc(done)
    return done


async def _whom(connection: Connection, taken: TakenStep, now: datetime) -> list[int]:
    if taken.recipient_id is not None:
        return [taken.recipient_id]
    everybody = [one for one in await recipients.recipients(connection, taken.park_id) if one.firm_id is None]
    managers = [one.recipient_id for one in everybody]
    if taken.oncall_id is None:
        return managers
    turns = oncall.all_on_duty(
        await duty.rotations(connection, taken.park_id),
        await duty.stand_ins(connection, taken.park_id, now),
        now,
        zone(taken.time_zone),
    )
    turn = turns.get(taken.oncall_id)
    # A calendar with a gap must not end the ladder.
    return managers if turn is None else [turn.recipient_id]
