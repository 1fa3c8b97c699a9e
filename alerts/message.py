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

from alerts.chart import sparkline
from alerts.cost import cost_of
from alerts.engine import State
from alerts.wording import GRAIN, HOW, LABELS, NEWS, SEVERITY, pick, unit
from park.calendar import zone
from park.errors import IndicatorError
from park.indicators import load_catalogue

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
        "unit": _unit(rule, shown),
        "limit": _limit(rule, shown),
        "comparator": "below" if rule.open.below is not None else "above",
        "source": _source(rule, shown, locale),
        "coverage": shown.get("coverage"),
        "provisional": not shown.get("final", True),
        "cost": cost or None,
        "evidence": dict(progress.evidence),
        "series": [[t.astimezone(tz).isoformat(), v] for t, v in series],
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


def kind_of(rule: Rule) -> str:
    """Return the kind of a rule as its file names it."""
    return str(rule.__struct_config__.tag)


def _unit(rule: Rule, shown: Mapping[str, Any]) -> str:
    """Return the symbol of a value's unit."""
    indicator = getattr(rule, "indicator", None)
    if "unit" in shown:
        return str(shown["unit"])
    if indicator is not None:
        try:
            return load_catalogue().by_id(indicator).unit
        except IndicatorError:
            return ""
    return "intervals" if kind_of(rule) == "silence" else ""


def _limit(rule: Rule, shown: Mapping[str, Any]) -> float:
    """Return the limit that a value was held against: the subject's own where it has one."""
    own = shown.get("limit")
    return rule.open.limit if own is None else float(own)


def _source(rule: Rule, shown: Mapping[str, Any], locale: str) -> str | None:
    name = pick(locale, "source_zh", "source_en")
    return str(shown.get(name) or getattr(rule, name) or "") or None


def _shown(transition: Transition) -> dict[str, Any]:
    """Return the sample that a message speaks of: what opened it, or the last one where it is over."""
    evidence = transition.after.evidence
    first = "opened" if transition.to_state is State.OPEN else "last"
    found: dict[str, Any] = evidence.get(first) or evidence.get("last") or evidence.get("worst") or {}
    return found


def _number(value: Any, symbol: str, locale: str) -> str:
    return pick(locale, "未知", "unknown") if value is None else f"{float(value):.4g} {unit(symbol, locale)}".rstrip()


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
    tz, symbol = zone(subject.time_zone), _unit(rule, shown)
    side = pick(locale, "低于", "below") if rule.open.below is not None else pick(locale, "高于", "above")
    worst = progress.evidence.get("worst", {}).get("value")
    rows = [
        (label["where"], _where(subject, locale)),
        (label["since"], progress.began.astimezone(tz).strftime(_WHEN)),
        (label["until"], "" if progress.ended is None else progress.ended.astimezone(tz).strftime(_WHEN)),
        (label["value"], f"{_number(shown.get('value'), symbol, locale)}（{_how(rule, shown, tz, locale)}）")
        if locale == "zh-CN"
        else (label["value"], f"{_number(shown.get('value'), symbol, locale)} ({_how(rule, shown, tz, locale)})"),
        (label["worst"], "" if worst is None else _number(worst, symbol, locale)),
        (label["limit"], f"{side} {_limit(rule, shown):g} {unit(symbol, locale)}".rstrip()),
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
    tz, symbol = zone(subject.time_zone), _unit(rule, shown)
    began, at = (t.astimezone(tz).strftime(_WHEN) for t in (progress.began, transition.at))
    title = titles(rule, subject)[0 if locale == "zh-CN" else 1]
    news, severity = NEWS[locale][transition.to_state], SEVERITY[locale][how_bad]
    where, how, coverage = _where(subject, locale), _how(rule, shown, tz, locale), _coverage(shown, locale)
    number = _number(shown.get("value"), symbol, locale)
    worst = _number(progress.evidence.get("worst", {}).get("value"), symbol, locale)
    limit = f"{_limit(rule, shown):g} {unit(symbol, locale)}".rstrip()
    below, source = rule.open.below is not None, _source(rule, shown, locale)
    spent = cost_text(cost, locale)
    covered = _covered(progress.evidence, locale)
    if locale == "zh-CN":
        parts = [f"【{news}·{severity}】{title}", f"地点：{where}", f"起始：{began}"]
        if transition.to_state is State.OPEN:
            side = "低于" if below else "高于"
            parts.append(f"{how}为 {number}，{side}限值 {limit}" + (f"（依据：{source}）" if source else ""))
        elif transition.to_state is State.RESOLVED:
            parts.append(f"于 {at} 恢复，现为 {number}；最差 {worst}，限值 {limit}")
        else:
            parts.append(f"更正后的数据表明未达到告警条件（限值 {limit}），请忽略此前的告警")
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
    parts += [f"cost: {spent}"] if spent else []
    parts += [f"covers {covered}"] if covered else []
    parts += [f"coverage {coverage}"] if coverage else []
    return "; ".join(parts) + "."


def _how(rule: Rule, shown: Mapping[str, Any], tz: Any, locale: str) -> str:
    """Say what the value is of."""
    told = shown.get(pick(locale, "how_zh", "how_en"))
    if told:
        return str(told)
    name, kind = _indicator(rule, locale), kind_of(rule)
    grain = getattr(rule, "grain", None)
    if name and grain in GRAIN[locale] and "period" in shown:
        start = datetime.fromisoformat(shown["period"]).astimezone(tz).strftime("%m-%d %H:%M")
        return pick(locale, f"{start} 起{GRAIN[locale][grain]}的{name}", f"{name}, {GRAIN[locale][grain]} from {start}")
    window_s = getattr(rule, "window_s", None)
    what = name or pick(locale, *HOW.get(kind, ("数值", "value")))
    if window_s is None:
        return what
    return pick(locale, f"近 {window_s:g} 秒的{what}", f"{what}, last {window_s:g} s")


def _indicator(rule: Rule, locale: str) -> str:
    indicator = getattr(rule, "indicator", None)
    if indicator is None:
        return ""
    found = load_catalogue().by_id(indicator)
    return pick(locale, found.name_zh, found.name_en)


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
        "unit": unit(_unit(rule, {}), locale),
    }
