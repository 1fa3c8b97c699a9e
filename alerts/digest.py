"""Digests: what a day or a week was like, at an hour that the recipient chose, by the park's clock.

The daily one tells of the day before; the weekly one, for the meeting of the park with its firms, of the seven days
before its day. A manager's is about the park, a firm's about that firm alone.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from alerts import metrics
from alerts.chart import sparkline
from alerts.notices import notice
from alerts.wording import SEVERITY, pick
from park.calendar import zone
from park.errors import IndicatorError
from park.indicators import load_catalogue
from store import briefing, duty, outbox

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from alerts.settings import AlertsSettings
    from store.briefing import Briefing, DayValue, EpisodeLine
    from store.duty import Subscription
    from store.pool import Connection

LATE: Final = timedelta(hours=20)
"""A digest that could not be sent for so long is left out: the next one is near."""
_LISTED: Final = 15
_STATE: Final = {
    "zh-CN": {"open": "未恢复", "acknowledged": "处理中", "resolved": "已恢复", "retracted": "已撤回"},
    "en": {"open": "open", "acknowledged": "in hand", "resolved": "resolved", "retracted": "retracted"},
}
_STANDING: Final = {
    "zh-CN": {"ahead": "超前", "on_pace": "达标", "at_risk": "有风险", "off": "偏离", "undefined": "无法判定"},
    "en": {"ahead": "ahead", "on_pace": "on pace", "at_risk": "at risk", "off": "off", "undefined": "undefined"},
}


def due_period(
    kind: str, at: time, weekday: int, since: datetime, now: datetime, tz: ZoneInfo
) -> tuple[datetime, datetime] | None:
    """Return the period [start, end) of the newest digest that should have been sent by now, None if there is none.

    Args:
        kind: `daily` or `weekly`.
        at: local time at which it is sent.
        weekday: of the weekly one, 1 is Monday.
        since: when it was ordered; what was due before is not sent.
        now: any instant.
        tz: the park's zone; a day with a change of clocks is one day.
    """
    day = now.astimezone(tz).date()
    if now < datetime.combine(day, at, tz):
        day -= timedelta(days=1)
    if kind == "weekly":
        day -= timedelta(days=(day.isoweekday() - weekday) % 7)
    sent = datetime.combine(day, at, tz).astimezone(UTC)
    if sent < since or now - sent > LATE:
        return None
    first = day - timedelta(days=7 if kind == "weekly" else 1)
    midnight = time(0, 0)
    return datetime.combine(first, midnight, tz).astimezone(UTC), datetime.combine(day, midnight, tz).astimezone(UTC)


async def send_digests(connection: Connection, settings: AlertsSettings, now: datetime) -> int:
    """Put every digest that is due into the outbox, once; return how many."""
    done = 0
    for subscription in await duty.subscriptions(connection):
        tz = zone(subscription.time_zone)
        period = due_period(subscription.kind, subscription.at, subscription.weekday, subscription.since, now, tz)
        if period is None:
            continue
        start, end = period
        key = f"digest/{subscription.kind}/{subscription.recipient_id}/{start.astimezone(tz):%Y-%m-%d}"
        if await duty.digest_known(connection, key):
            continue
        found = await briefing.briefing(
            connection,
            park_id=subscription.park_id,
            firm_id=subscription.firm_id,
            start=start,
            end=end,
            days_from=min(start, end - timedelta(days=8)),
        )
        added = await outbox.enqueue_other(
            connection,
            recipient_id=subscription.recipient_id,
            kind="digest",
            severity="info",
            dedupe_key=key,
            body=compose(subscription, found, public_url=settings.public_url),
            due=now,
            expires=now + timedelta(seconds=settings.message_ttl_s),
        )
        if added is not None:
            metrics.DIGESTS.labels(subscription.kind).inc()
            done += 1
    return done


def compose(subscription: Subscription, found: Briefing, *, public_url: str) -> dict[str, Any]:
    """Return the body of a digest."""
    locale, tz = subscription.locale, zone(subscription.time_zone)
    whose = pick(locale, subscription.firm_zh or subscription.park_zh, subscription.firm_en or subscription.park_en)
    first, last = found.start.astimezone(tz), (found.end - timedelta(seconds=1)).astimezone(tz)
    days = f"{first:%Y-%m-%d}" if subscription.kind == "daily" else f"{first:%Y-%m-%d} – {last:%m-%d}"
    name = pick(
        locale,
        "日报" if subscription.kind == "daily" else "产业周会简报",
        "daily digest" if subscription.kind == "daily" else "weekly industry meeting",
    )
    title = pick(locale, f"【{name}】{whose} {days}", f"[{name}] {whose}, {days}")
    lines = _overview(subscription, found)
    sections = [
        part
        for part in (
            _standings(found, locale),
            _indicators(found, locale, tz, weekly=subscription.kind == "weekly"),
            _episodes(found, locale, tz, of_park=subscription.firm_id is None),
            _firms(found, locale),
        )
        if part["rows"]
    ]
    text = "\n".join([title, *lines, *(line for part in sections for line in _as_text(part))])
    return notice(
        kind="digest",
        event=subscription.kind,
        severity="info",
        locale=locale,
        title=title,
        text=text,
        facts=[line.split(pick(locale, "：", ": "), 1) for line in lines],
        sections=sections,
        link=public_url.rstrip("/") + "/" if public_url else None,
        start=found.start.isoformat(),
        end=found.end.isoformat(),
        park={"code": subscription.park_code, "name": pick(locale, subscription.park_zh, subscription.park_en)},
        firm=None if subscription.firm_code is None else {"code": subscription.firm_code, "name": whose},
    )


def _overview(subscription: Subscription, found: Briefing) -> list[str]:
    locale = subscription.locale
    unfinished = sum(one.state in {"open", "acknowledged"} for one in found.episodes)
    unowned = sum(one.state == "open" for one in found.episodes)
    retracted = sum(one.state == "retracted" and one.fresh for one in found.episodes)
    states = Counter(one.state for one in found.standings)
    behind = states["off"] + states["at_risk"]
    lines = [
        pick(
            locale,
            f"告警：新增 {found.opened} 条（上一同长时段 {found.before} 条），未恢复 {unfinished} 条，"
            f"其中无人确认 {unowned} 条" + (f"，撤回 {retracted} 条" if retracted else ""),
            f"Alerts: {found.opened} new ({found.before} in the period before), {unfinished} not over, "
            f"{unowned} of them taken on by nobody" + (f", {retracted} retracted" if retracted else ""),
        )
    ]
    if found.standings:
        lines.append(
            pick(
                locale,
                f"目标：{len(found.standings)} 项中 {behind} 项有风险或偏离，{states['undefined']} 项无法判定",
                f"Targets: {behind} of {len(found.standings)} at risk or off, {states['undefined']} undefined",
            )
        )
    if found.coverage is not None:
        share = f"{min(found.coverage, 1.0) * 100:.1f} %"
        lines.append(pick(locale, f"数据完整率：{share}", f"Data coverage: {share}"))
    if found.undelivered:
        lines.append(
            pick(locale, f"未送达：{found.undelivered} 条消息", f"Not delivered: {found.undelivered} messages")
        )
    return lines


def _standings(found: Briefing, locale: str) -> dict[str, Any]:
    return {
        "title": pick(locale, "目标进度", "Targets"),
        "head": pick(locale, "状态|说明", "State|In words").split("|"),
        "rows": [
            [_STANDING[locale].get(one.state, one.state), pick(locale, one.sentence_zh, one.sentence_en)]
            for one in found.standings[:_LISTED]
        ],
    }


def _indicators(found: Briefing, locale: str, tz: ZoneInfo, *, weekly: bool) -> dict[str, Any]:
    """Return the last day's values beside the day before; nothing is added up over days: ratios cannot be."""
    by_id: dict[str, list[DayValue]] = {}
    for day in found.days:
        by_id.setdefault(day.indicator_id, []).append(day)
    last_day = (found.end - timedelta(seconds=1)).astimezone(tz).date()
    rows = []
    for indicator_id, days in by_id.items():
        try:
            indicator = load_catalogue().by_id(indicator_id)
        except IndicatorError:
            continue
        values = {day.period.astimezone(tz).date(): day for day in days}
        newest, before = values.get(last_day), values.get(last_day - timedelta(days=1))
        if newest is None:
            continue
        change = ""
        if newest.value is not None and before is not None and before.value:
            change = f"{(newest.value / before.value - 1) * 100:+.1f} %"
        row = [
            pick(locale, indicator.name_zh, indicator.name_en),
            pick(locale, "无法计算", "undefined") if newest.value is None else f"{newest.value:,.4g} {newest.unit}",
            change,
            f"{newest.coverage * 100:.0f} %",
        ]
        if weekly:
            course = [values.get(last_day - timedelta(days=k)) for k in range(6, -1, -1)]
            row.append(sparkline([None if day is None else day.value for day in course]))
        rows.append(row)
    head = pick(locale, "指标|最近一日|较前一日|覆盖率", "Indicator|Last day|On the day before|Coverage").split("|")
    return {
        "title": pick(locale, "指标", "Indicators"),
        "head": [*head, *([pick(locale, "七日走势", "Seven days")] if weekly else [])],
        "rows": rows,
    }


def _episodes(found: Briefing, locale: str, tz: ZoneInfo, *, of_park: bool) -> dict[str, Any]:
    def row(one: EpisodeLine) -> list[str]:
        cells = [
            SEVERITY[locale][one.severity],
            _STATE[locale].get(one.state, one.state),
            pick(locale, one.title_zh, one.title_en),
            f"{one.began.astimezone(tz):%m-%d %H:%M}",
        ]
        return [*cells, pick(locale, one.firm_zh or "", one.firm_en or "")] if of_park else cells

    head = pick(locale, "级别|状态|告警|起始", "Severity|State|Alert|Since").split("|")
    more = len(found.episodes) - _LISTED
    title = pick(locale, "告警", "Alerts")
    if more > 0:
        title += pick(locale, f"（列出 {_LISTED} 条，另有 {more} 条）", f" ({_LISTED} listed, {more} more)")
    return {
        "title": title,
        "head": [*head, *([pick(locale, "企业", "Firm")] if of_park else [])],
        "rows": [row(one) for one in found.episodes[:_LISTED]],
    }


def _firms(found: Briefing, locale: str) -> dict[str, Any]:
    return {
        "title": pick(locale, "告警最多的企业", "Firms with the most alerts"),
        "head": pick(locale, "企业|新增|未恢复", "Firm|New|Not over").split("|"),
        "rows": [[pick(locale, one.name_zh, one.name_en), str(one.opened), str(one.unfinished)] for one in found.firms],
    }


def _as_text(section: dict[str, Any]) -> list[str]:
    return ["", f"■ {section['title']}", *(" · ".join(cell for cell in row if cell) for row in section["rows"])]
