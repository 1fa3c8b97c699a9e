"""What a rule's value is of: its unit, its limit, and the numbers behind it, in words. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from alerts.wording import GRAIN, HOW, LABELS, pick, unit
from park.errors import IndicatorError
from park.indicators import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alerts.rules import Rule

_UNITS: Final = {
    # kind of rule: unit of its value, where the sample names none
    "silence": "intervals",
    "frozen": "h",
    "held": "steps",
    "completeness": "%",
    "night_minimum": "%",
    "deviation": "σ",
    "baseline": "× h",
    "balance": "%",
    "emission_hourly": "%",
    "occurrence": "events",
    "demand": "%",
}
_EDGE: Final = {"offline": "min", "buffer": "batches", "clock": "s"}
_STANDING: Final = {
    "zh-CN": ("超前", "达标", "有风险", "偏离"),
    "en": ("ahead", "on pace", "at risk", "off"),
}


def kind_of(rule: Rule) -> str:
    """Return the kind of a rule as its file names it."""
    return str(rule.__struct_config__.tag)


def unit_of(rule: Rule, shown: Mapping[str, Any]) -> str:
    """Return the symbol of a value's unit, empty where it has none."""
    if "unit" in shown:
        return str(shown["unit"])
    kind, indicator = kind_of(rule), getattr(rule, "indicator", None)
    if indicator is not None:
        try:
            return load_catalogue().by_id(indicator).unit
        except IndicatorError:
            return ""
    if kind == "edge":
        return _EDGE.get(str(getattr(rule, "what", "")), "")
    if kind == "occurrence" and getattr(rule, "what", "") == "late_data":
        return "h"
    if kind == "quantity" and getattr(rule, "per", "hour") != "hour":
        return "%"
    return _UNITS.get(kind, "")


def limit_of(rule: Rule, shown: Mapping[str, Any]) -> float:
    """Return the limit that the value itself was held against.

    A sample may name a limit of the same scale as its value; one with `limit_unit` is what the value is a share of.
    """
    own = shown.get("limit")
    return rule.open.limit if own is None or "limit_unit" in shown else float(own)


def number(rule: Rule, value: Any, symbol: str, locale: str) -> str:
    """Return a value in words."""
    if value is None:
        return pick(locale, "未知", "unknown")
    if kind_of(rule) == "standing":
        return _STANDING[locale][min(max(round(float(value)), 0), 3)]
    return f"{float(value):.4g} {unit(symbol, locale)}".rstrip()


def limit_text(rule: Rule, shown: Mapping[str, Any], symbol: str, locale: str) -> str:
    """Return a limit in words."""
    limit = limit_of(rule, shown)
    if kind_of(rule) == "standing":
        return _STANDING[locale][min(max(int(limit), 0), 3)]
    return f"{limit:g} {unit(symbol, locale)}".rstrip()


def how(rule: Rule, shown: Mapping[str, Any], tz: Any, locale: str) -> str:
    """Say what the value is of."""
    told = shown.get(pick(locale, "how_zh", "how_en"))
    if told:
        return str(told)
    name, kind = _indicator(rule, locale), kind_of(rule)
    if name and getattr(rule, "usual_days", None) is not None:
        name = pick(locale, f"{name}与近期常态之差", f"{name} against what is usual")
    grain = getattr(rule, "grain", None)
    if name and grain in GRAIN[locale] and "period" in shown:
        start = datetime.fromisoformat(shown["period"]).astimezone(tz).strftime("%m-%d %H:%M")
        return pick(locale, f"{start} 起{GRAIN[locale][grain]}的{name}", f"{name}, {GRAIN[locale][grain]} from {start}")
    window_s = getattr(rule, "window_s", None)
    words = HOW.get(f"{kind}:{getattr(rule, 'what', '')}") or HOW.get(kind, ("数值", "value"))
    what = name or pick(locale, *words)
    if window_s is None:
        return what
    return pick(locale, f"近 {window_s:g} 秒的{what}", f"{what}, last {window_s:g} s")


def behind(rule: Rule, shown: Mapping[str, Any], locale: str) -> list[tuple[str, str]]:
    """Return label and text of the numbers that the value was made of, as far as the sample keeps them."""
    label = LABELS[locale]
    excess = shown.get("excess")
    symbol = str(excess.get("unit", "")) if isinstance(excess, dict) else ""
    indicator = getattr(rule, "indicator", None)
    if indicator is not None and not symbol:
        symbol = unit_of(rule, {})
    rows = [
        (label["actual"], shown.get("actual"), symbol),
        (label["usual"], shown.get("expected", shown.get("usual")), symbol),
        (label["mean"], shown.get("mean"), str(shown.get("limit_unit", ""))),
        (label["permitted"], shown.get("limit") if "limit_unit" in shown else None, str(shown.get("limit_unit", ""))),
        (label["target"], shown.get("target_value"), ""),
        (label["projection"], shown.get("projection"), ""),
    ]
    found = [
        (name, f"{float(value):.4g} {unit(of, locale)}".rstrip())
        for name, value, of in rows
        if isinstance(value, int | float)
    ]
    sentence = shown.get(pick(locale, "sentence_zh", "sentence_en"))
    return [*found, (label["note"], str(sentence))] if sentence else found


def _indicator(rule: Rule, locale: str) -> str:
    indicator = getattr(rule, "indicator", None)
    if indicator is None:
        return ""
    try:
        found = load_catalogue().by_id(indicator)
    except IndicatorError:
        return str(indicator)
    return pick(locale, found.name_zh, found.name_en)
