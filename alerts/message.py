"""What a message about an episode says: sentences for people and the same as fields for machines. Pure.

Every message, also a summary or a digest, is one body of plain data; a channel shows of it what it can:

    title, text        a line and a paragraph, for whatever shows text only
    severity, event    for colour and order
    facts              label and value, for a table
    sections           headed tables, of digests and summaries
    series             for a small chart
    link               where to look further
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from alerts import measure
from alerts.chart import sparkline
from alerts.cost import cost_of
from alerts.engine import State
from alerts.wording import LABELS, NEWS, SEVERITY, pick, unit
from park.calendar import zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alerts.engine import Transition
    from alerts.rules import Rule, Severity
    from store.samples import Subject

VERSION: Final = 1
_WHEN: Final = "%Y-%m-%d %H:%M:%S"


def titles(rule: Rule, subject: Subject) -> tuple[str, str]:
    """Return an episode's title in Chinese and English."""
    return (
        rule.title_zh.format_map(_names(rule, subject, "zh-CN")),
        rule.title_en.format_map(_names(rule, subject, "en")),
    )


def cause_key(rule: Rule, subject: Subject) -> str:
    """Name rule and subject: one cause has one unfinished episode."""
    part = getattr(subject, "part", "")
    return f"{rule.id}/{subject.scope}/{subject.scope_id}" + (f"/{part}" if part else "")


def dedupe_key(cause: str, episode_id: int, transition: Transition, recipient_id: int) -> str:
    """Name one message, so that what is sent again has the same key.

    An episode begins once and is retracted once. One that goes on after it was over, because corrected data show so, is
    news, and so is its new end: those are named by their instant too. An episode that begins again where one was
    retracted is another one.
    """
    state = str(transition.to_state)
    again = transition.to_state is State.OPEN and transition.from_state is State.RESOLVED
    if again or transition.to_state is State.RESOLVED:
        state += f"-{transition.at:%Y%m%dT%H%M%S.%fZ}"
    return f"{cause}/{transition.after.began:%Y%m%dT%H%M%S.%fZ}/{episode_id}/{state}/{recipient_id}"


def compose(
    rule: Rule,
    subject: Subject,
    transition: Transition,
    *,
    episode_id: int,
    locale: str,
    public_url: str,
    severity: Severity | None = None,
    carrier: str | None = None,
    series: Sequence[tuple[datetime, float | None]] = (),
    series_limit: float | None = None,
) -> dict[str, Any]:
    """Return the body of a message: what, where, since when, how much against which limit, cost, coverage, the link.

    Args:
        rule: as it held.
        subject: what the episode is about.
        transition: what there is to tell.
        episode_id: names the episode in the link.
        locale: `zh-CN` or `en`.
        public_url: where people open links; empty: no link.
        severity: of the episode, where it is worse than its rule's.
        carrier: of the point that it is about, if it is about one.
        series: recent values for the chart, oldest first.
        series_limit: the limit, where it is of their scale.
    """
    progress, shown = transition.after, _shown(transition)
    zh = locale == "zh-CN"
    tz = zone(subject.time_zone)
    value = shown.get("value")
    link = f"{public_url.rstrip('/')}/episodes/{episode_id}" if public_url else None
    news = NEWS[locale][transition.to_state]
    title = titles(rule, subject)[0 if zh else 1]
    cost = _cost(transition, carrier)
    facts = _facts(rule, subject, transition, cost, locale)
    how_bad = (severity or rule.severity).value
    return {
        "version": VERSION,
        "kind": "episode",
        "event": transition.to_state.value,
        "episode_id": episode_id,
        "rule_id": rule.id,
        "severity": how_bad,
        "locale": locale,
        "title": title,
        "headline": f"【{news}·{SEVERITY[locale][how_bad]}】{title}"
        if zh
        else f"[{news}, {SEVERITY[locale][how_bad]}] {title}",
        "text": _text(rule, subject, transition, how_bad, cost, locale),
        "facts": facts,
        "park": {"code": subject.park_code, "name": subject.park_zh if zh else subject.park_en},
        "firm": _named(subject.firm_code, subject.firm_zh if zh else subject.firm_en),
        "point": _named(subject.point_code, subject.point_zh if zh else subject.point_en),
        "began": progress.began.astimezone(tz).isoformat(),
        "opened": None if progress.opened is None else progress.opened.astimezone(tz).isoformat(),
        "ended": None if progress.ended is None else progress.ended.astimezone(tz).isoformat(),
        "at": transition.at.astimezone(tz).isoformat(),
        "note": transition.note,
        "value": None if value is None else float(value),
        "unit": measure.unit_of(rule, shown),
        "limit": measure.limit_of(rule, shown),
        "comparator": "below" if rule.open.below is not None else "above",
        "source": _source(rule, shown, locale),
        "coverage": shown.get("coverage"),
        "provisional": not shown.get("final", True),
        "cost": cost or None,
        "evidence": dict(progress.evidence),
        "series": [[t.astimezone(tz).isoformat(), v] for t, v in series],
        "series_limit": series_limit,
        "sparkline": sparkline([v for _, v in series]),
        "link": link,
    }


def cost_text(cost: Mapping[str, Any] | None, locale: str) -> str:
    """Return what something costs as words, empty where nothing is known."""
    if not cost:
        return ""
    known = [(symbol, amount) for symbol, amount in cost.items() if isinstance(amount, int | float)]
    return pick(locale, "，", ", ").join(f"{amount:,.4g} {unit(symbol, locale)}" for symbol, amount in known)


def charted(evidence: Mapping[str, Any]) -> list[tuple[datetime, float | None]]:
    """Return the values that evidence keeps for a chart, oldest first; nothing where it keeps none."""
    chart = evidence.get("chart") or {}
    values, step_s = chart.get("values") or [], float(chart.get("step_s") or 0)
    if not values or "t0" not in chart:
        return []
    t0 = datetime.fromisoformat(chart["t0"])
    return [(t0 + timedelta(seconds=k * step_s), value) for k, value in enumerate(values)]


def _cost(transition: Transition, carrier: str | None) -> dict[str, float]:
    """Return what it costs, by unit: told by the sample, or what goes beyond the limit."""
    progress, shown = transition.after, _shown(transition)
    told = shown.get("cost")
    if isinstance(told, dict) and told:
        return told
    if transition.to_state is State.RETRACTED:
        return {}
    excess = progress.evidence.get("excess") or shown.get("excess")
    return cost_of(excess, carrier, progress.began.date())


def _covered(evidence: Mapping[str, Any], locale: str) -> str:
    count = evidence.get("covered")
    return pick(locale, f"{count} 个计量点", f"{count} points") if count else ""


def _source(rule: Rule, shown: Mapping[str, Any], locale: str) -> str | None:
    name = pick(locale, "source_zh", "source_en")
    return str(shown.get(name) or getattr(rule, name) or "") or None


def _shown(transition: Transition) -> dict[str, Any]:
    """Return the sample that a message speaks of: what opened it, or the last one where it is over."""
    evidence = transition.after.evidence
    first = "opened" if transition.to_state is State.OPEN else "last"
    found: dict[str, Any] = evidence.get(first) or evidence.get("last") or evidence.get("worst") or {}
    return found


def _where(subject: Subject, locale: str) -> str:
    names = (
        (subject.park_zh, subject.firm_zh, subject.point_zh)
        if locale == "zh-CN"
        else (subject.park_en, subject.firm_en, subject.point_en)
    )
    return " · ".join(name for name in names if name)


def _coverage(shown: Mapping[str, Any], locale: str) -> str:
    if shown.get("coverage") is None:
        return ""
    share = f"{shown['coverage'] * 100:.0f} %"
    if not shown.get("final", True):
        share += pick(locale, "，数值为未结束时段的暂定值", ", a provisional number of a running period")
    return share


def _facts(
    rule: Rule, subject: Subject, transition: Transition, cost: Mapping[str, float], locale: str
) -> list[list[str]]:
    """Return label and value of all that is known."""
    label, shown, progress = LABELS[locale], _shown(transition), transition.after
    tz, symbol = zone(subject.time_zone), measure.unit_of(rule, shown)
    side = pick(locale, "低于", "below") if rule.open.below is not None else pick(locale, "高于", "above")
    worst = progress.evidence.get("worst", {}).get("value")
    value, how = measure.number(rule, shown.get("value"), symbol, locale), measure.how(rule, shown, tz, locale)
    rows = [
        (label["where"], _where(subject, locale)),
        (label["since"], progress.began.astimezone(tz).strftime(_WHEN)),
        (label["until"], "" if progress.ended is None else progress.ended.astimezone(tz).strftime(_WHEN)),
        (label["value"], pick(locale, f"{value}（{how}）", f"{value} ({how})")),
        (label["worst"], "" if worst is None else measure.number(rule, worst, symbol, locale)),
        (label["limit"], f"{side} {measure.limit_text(rule, shown, symbol, locale)}"),
        *measure.behind(rule, shown, locale),
        (label["source"], _source(rule, shown, locale) or ""),
        (label["cost"], cost_text(cost, locale)),
        (label["covered"], _covered(progress.evidence, locale)),
        (label["coverage"], _coverage(shown, locale)),
    ]
    return [[name, text] for name, text in rows if text]


def _text(
    rule: Rule, subject: Subject, transition: Transition, how_bad: str, cost: Mapping[str, float], locale: str
) -> str:
    progress, shown = transition.after, _shown(transition)
    tz, symbol = zone(subject.time_zone), measure.unit_of(rule, shown)
    began, at = (t.astimezone(tz).strftime(_WHEN) for t in (progress.began, transition.at))
    title = titles(rule, subject)[0 if locale == "zh-CN" else 1]
    news, severity = NEWS[locale][transition.to_state], SEVERITY[locale][how_bad]
    where, how, coverage = _where(subject, locale), measure.how(rule, shown, tz, locale), _coverage(shown, locale)
    number = measure.number(rule, shown.get("value"), symbol, locale)
    worst = measure.number(rule, progress.evidence.get("worst", {}).get("value"), symbol, locale)
    limit = measure.limit_text(rule, shown, symbol, locale)
    below, source = rule.open.below is not None, _source(rule, shown, locale)
    spent = cost_text(cost, locale)
    covered = _covered(progress.evidence, locale)
    behind = pick(locale, "，", ", ").join(f"{name} {said}" for name, said in measure.behind(rule, shown, locale))
    if locale == "zh-CN":
        parts = [f"【{news}·{severity}】{title}", f"地点：{where}", f"起始：{began}"]
        if transition.to_state is State.OPEN:
            side = "低于" if below else "高于"
            parts.append(f"{how}为 {number}，{side}限值 {limit}" + (f"（依据：{source}）" if source else ""))
        elif transition.to_state is State.RESOLVED:
            parts.append(f"于 {at} 恢复，现为 {number}；最差 {worst}，限值 {limit}")
        else:
            parts.append(f"更正后的数据表明未达到告警条件（限值 {limit}），请忽略此前的告警")
        parts += [behind] if behind and transition.to_state is not State.RETRACTED else []
        parts += [f"影响：{spent}"] if spent else []
        parts += [f"涉及 {covered}"] if covered else []
        parts += [f"数据覆盖率 {coverage}"] if coverage else []
        return "；".join(parts) + "。"
    parts = [f"[{news}, {severity}] {title}", f"where: {where}", f"since {began}"]
    if transition.to_state is State.OPEN:
        side = "below" if below else "above"
        parts.append(f"{how}: {number}, {side} the limit of {limit}" + (f" ({source})" if source else ""))
    elif transition.to_state is State.RESOLVED:
        parts.append(f"back in order at {at} with {number}; worst {worst}, limit {limit}")
    else:
        parts.append(f"corrected data show that it never was (limit {limit}); please disregard the alert")
    parts += [behind] if behind and transition.to_state is not State.RETRACTED else []
    parts += [f"cost: {spent}"] if spent else []
    parts += [f"covers {covered}"] if covered else []
    parts += [f"coverage {coverage}"] if coverage else []
    return "; ".join(parts) + "."


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
        "unit": unit(measure.unit_of(rule, {}), locale),
    }
