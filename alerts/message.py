"""What a message says: a sentence for people and the same as fields for machines, in the recipient's language. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from alerts.engine import State
from alerts.rules import IndicatorThreshold, IndicatorWindow, Rate, Rule, Severity, Silence
from park.calendar import zone
from park.indicators import load_catalogue

if TYPE_CHECKING:
    from alerts.engine import Transition
    from store.samples import Subject

VERSION: Final = 1

_SEVERITY: Final = {
    "zh-CN": {"info": "提示", "warning": "警告", "major": "重要", "critical": "紧急"},
    "en": {severity.value: severity.value for severity in Severity},
}
_NEWS: Final = {
    "zh-CN": {State.OPEN: "告警", State.RESOLVED: "已恢复", State.RETRACTED: "已撤回"},
    "en": {State.OPEN: "Alert", State.RESOLVED: "Resolved", State.RETRACTED: "Retracted"},
}
_GRAIN: Final = {
    "zh-CN": {"bucket": "15分钟", "hour": "小时", "day": "日", "month": "月", "year": "年"},
    "en": {"bucket": "quarter hour", "hour": "hour", "day": "day", "month": "month", "year": "year"},
}


def titles(rule: Rule, subject: Subject) -> tuple[str, str]:
    """Return an episode's title in Chinese and English."""
    return (
        rule.title_zh.format_map(_names(rule, subject, "zh-CN")),
        rule.title_en.format_map(_names(rule, subject, "en")),
    )


def cause_key(rule: Rule, subject: Subject) -> str:
    """Name rule and subject: one cause has one unfinished episode."""
    return f"{rule.id}/{subject.scope}/{subject.scope_id}"


def dedupe_key(cause: str, transition: Transition, recipient_id: int) -> str:
    """Name one message: an episode comes to each of its states once, so what is sent again has the same key."""
    return f"{cause}/{transition.after.began:%Y%m%dT%H%M%S.%fZ}/{transition.to_state}/{recipient_id}"


def compose(
    rule: Rule, subject: Subject, transition: Transition, *, episode_id: int, locale: str, public_url: str
) -> dict[str, Any]:
    """Return the body of a message: what, where, since when, how much against which limit, coverage, and the link."""
    progress = transition.after
    shown = _shown(transition)
    unit, value = _unit(rule, shown, locale), float(shown["value"])
    zh = locale == "zh-CN"
    tz = zone(subject.time_zone)
    link = f"{public_url.rstrip('/')}/episodes/{episode_id}" if public_url else None
    return {
        "version": VERSION,
        "event": transition.to_state.value,
        "episode_id": episode_id,
        "rule_id": rule.id,
        "severity": rule.severity.value,
        "locale": locale,
        "title": titles(rule, subject)[0 if zh else 1],
        "text": _text(rule, subject, transition, unit, value, locale),
        "park": {"code": subject.park_code, "name": subject.park_zh if zh else subject.park_en},
        "firm": _named(subject.firm_code, subject.firm_zh if zh else subject.firm_en),
        "point": _named(subject.point_code, subject.point_zh if zh else subject.point_en),
        "began": progress.began.astimezone(tz).isoformat(),
        "opened": None if progress.opened is None else progress.opened.astimezone(tz).isoformat(),
        "ended": None if progress.ended is None else progress.ended.astimezone(tz).isoformat(),
        "at": transition.at.astimezone(tz).isoformat(),
        "note": transition.note,
        "value": value,
        "unit": unit,
        "limit": rule.open.limit,
        "comparator": "below" if rule.open.below is not None else "above",
        "source": (rule.source_zh if zh else rule.source_en) or None,
        "coverage": shown["coverage"],
        "provisional": not shown["final"],
        "evidence": dict(progress.evidence),
        "link": link,
    }


def _unit(rule: Rule, shown: dict[str, Any], locale: str) -> str:
    """Return the unit of a rule's value."""
    if isinstance(rule, IndicatorThreshold | IndicatorWindow):
        return load_catalogue().by_id(rule.indicator).unit
    if isinstance(rule, Silence):
        return "个采集周期" if locale == "zh-CN" else "intervals"
    return str(shown.get("unit", ""))


def _shown(transition: Transition) -> dict[str, Any]:
    """Return the sample that a message speaks of: what opened it, or the last one where it is over."""
    evidence = transition.after.evidence
    found: dict[str, Any] = evidence["opened" if transition.to_state is State.OPEN else "last"]
    return found


def _text(rule: Rule, subject: Subject, transition: Transition, unit: str, value: float, locale: str) -> str:
    progress, shown, evidence = transition.after, _shown(transition), transition.after.evidence
    tz = zone(subject.time_zone)
    zh = locale == "zh-CN"
    began = progress.began.astimezone(tz).strftime("%Y-%m-%d %H:%M:%S")
    at = transition.at.astimezone(tz).strftime("%Y-%m-%d %H:%M:%S")
    title = titles(rule, subject)[0 if zh else 1]
    news, severity = _NEWS[locale][transition.to_state], _SEVERITY[locale][rule.severity.value]
    where = " · ".join(
        name
        for name in (
            (subject.park_zh, subject.firm_zh, subject.point_zh)
            if zh
            else (subject.park_en, subject.firm_en, subject.point_en)
        )
        if name
    )
    source = rule.source_zh if zh else rule.source_en
    worst = float(evidence["worst"]["value"])
    how = _how(rule, shown, tz, locale)
    coverage = f"{shown['coverage'] * 100:.0f} %"
    number = f"{value:.4g} {unit}"
    limit = f"{rule.open.limit:g} {unit}"
    below = rule.open.below is not None
    if zh:
        parts = [f"【{news}·{severity}】{title}", f"地点：{where}", f"起始：{began}"]
        if transition.to_state is State.OPEN:
            side = "低于" if below else "高于"
            parts.append(f"{how}为 {number}，{side}限值 {limit}" + (f"（依据：{source}）" if source else ""))
        elif transition.to_state is State.RESOLVED:
            parts.append(f"于 {at} 恢复，现为 {number}；最差 {worst:.4g} {unit}，限值 {limit}")
        else:
            parts.append(f"更正后的数据表明未达到告警条件（限值 {limit}），请忽略此前的告警")
        parts.append(f"数据覆盖率 {coverage}" + ("，数值为未结束时段的暂定值" if not shown["final"] else ""))
        return "；".join(parts) + "。"
    parts = [f"[{news}, {severity}] {title}", f"where: {where}", f"since {began}"]
    if transition.to_state is State.OPEN:
        side = "below" if below else "above"
        parts.append(f"{how}: {number}, {side} the limit of {limit}" + (f" ({source})" if source else ""))
    elif transition.to_state is State.RESOLVED:
        parts.append(f"back in order at {at} with {number}; worst {worst:.4g} {unit}, limit {limit}")
    else:
        parts.append(f"corrected data show that it never was (limit {limit}); please disregard the alert")
    parts.append(f"coverage {coverage}" + (", a provisional number of a running period" if not shown["final"] else ""))
    return "; ".join(parts) + "."


def _how(rule: Rule, shown: dict[str, Any], tz: Any, locale: str) -> str:
    """Say what the value is of."""
    zh = locale == "zh-CN"
    if isinstance(rule, IndicatorThreshold):
        start = datetime.fromisoformat(shown["period"]).astimezone(tz).strftime("%m-%d %H:%M")
        grain = _GRAIN[locale][rule.grain]
        name = load_catalogue().by_id(rule.indicator)
        return f"{start} 起{grain}的{name.name_zh}" if zh else f"{name.name_en}, {grain} from {start}"
    if isinstance(rule, IndicatorWindow):
        name = load_catalogue().by_id(rule.indicator)
        seconds = f"{rule.window_s:g}"
        return f"近 {seconds} 秒的{name.name_zh}" if zh else f"{name.name_en}, last {seconds} s"
    if isinstance(rule, Rate):
        return f"近 {rule.window_s:g} 秒的流量" if zh else f"flow, last {rule.window_s:g} s"
    return "距最近一次读数" if zh else "since the newest reading"


def _named(code: str | None, name: str | None) -> dict[str, str | None] | None:
    return None if code is None else {"code": code, "name": name}


def _names(rule: Rule, subject: Subject, locale: str) -> dict[str, str]:
    zh = locale == "zh-CN"
    park = subject.park_zh if zh else subject.park_en
    firm = (subject.firm_zh if zh else subject.firm_en) or park
    point = subject.point_zh if zh else subject.point_en
    return {
        "park": park,
        "firm": firm,
        "subject": f"{firm} · {point}" if point else firm,
        "limit": f"{rule.open.limit:g}",
        "unit": _unit(rule, {}, locale),
    }
