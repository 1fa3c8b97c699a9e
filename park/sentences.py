"""What a standing says to people, in Chinese and English, with every number of the judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from park.targets import Comparator

if TYPE_CHECKING:
    from park.targets import Target

WORDS: Final[dict[str, tuple[str, str]]] = {
    "ahead": ("超前", "ahead"),
    "on_pace": ("正常", "on pace"),
    "at_risk": ("有风险", "at risk"),
    "off": ("未达进度", "off"),
    "undefined": ("无法判断", "undefined"),
}
SIGNS: Final[dict[Comparator, str]] = {
    Comparator.GE: "≥",
    Comparator.GT: ">",
    Comparator.LE: "≤",
    Comparator.LT: "<",
    Comparator.ABOUT: "≈",
    Comparator.BETWEEN: "≥",
    Comparator.QUOTA: "≤",
}


def undefined(target: Target, zh: str, en: str) -> tuple[str, str]:
    """Say why a target cannot be judged."""
    state = WORDS["undefined"]
    return f"{target.name_zh}：{state[0]}，{zh}", f"{target.name_en}: {state[1]}, because {en}"


def level(
    target: Target,
    state: str,
    value: float,
    ends: float,
    low: float | None,
    high: float | None,
    goal: float,
    year: int | None,
) -> tuple[str, str]:
    """Say how a level at a year's end stands."""
    sign = sign_of(target)
    unit = "" if not target.unit else f" {target.unit}"
    width_zh = width_en = ""
    if low is not None and high is not None:
        width_zh = f"（{number(low)}–{number(high)}）"
        width_en = f" ({number(low)} to {number(high)})"
    same = year is None or year >= target.target_year or goal == target.value
    wanted = target.target_year if same or year is None else year
    shown = target.value if target.value is not None and wanted == target.target_year else goal
    last_zh = last_en = ""
    if wanted != target.target_year:
        last_zh = f"，{target.target_year} 年 {number(target.value or 0.0)}{unit}"
        last_en = f", {number(target.value or 0.0)}{unit} by {target.target_year}"
    zh = (
        f"{target.name_zh}：本年至今 {number(value)}{unit}，预计全年 {number(ends)}{unit}{width_zh}，"
        f"目标 {sign} {number(shown)}{unit}（{wanted} 年{last_zh}）：{WORDS[state][0]}"
    )
    en = (
        f"{target.name_en}: {number(value)}{unit} this year so far, {number(ends)}{unit} projected for the "
        f"year{width_en}, target {sign} {number(shown)}{unit} ({wanted}{last_en}): {WORDS[state][1]}"
    )
    return zh, en


def decline(
    target: Target, state: str, so_far: float, done: float, gone: float, needed: float | None
) -> tuple[str, str]:
    """Say how a cumulative decline stands; shares, not percent, come in."""
    need_zh = need_en = ""
    if needed is not None:
        need_zh = f"，今后每年需下降 {number(100 * needed)} %"
        need_en = f", {number(100 * needed)} % a year needed from here"
    goal = number(target.value or 0.0)
    zh = (
        f"{target.name_zh}：较 {target.base_year} 年累计下降 {number(100 * so_far)} %，"
        f"目标 {goal} %（{target.target_year} 年），完成进度 {number(100 * done)} %，"
        f"时间进度 {number(100 * gone)} %{need_zh}：{WORDS[state][0]}"
    )
    en = (
        f"{target.name_en}: {number(100 * so_far)} % below {target.base_year}, target {goal} % by "
        f"{target.target_year}, {number(100 * done)} % of the way in {number(100 * gone)} % of the time{need_en}: "
        f"{WORDS[state][1]}"
    )
    return zh, en


def sign_of(target: Target) -> str:
    """Return the sign that stands before the target's number."""
    if target.comparator in SIGNS:
        return SIGNS[target.comparator]
    strict = target.comparator is Comparator.BETTER_THAN_REFERENCE
    if target.upward:
        return ">" if strict else "≥"
    return "<" if strict else "≤"


def number(value: float) -> str:
    """Format with two decimals, or four significant digits where that shows more."""
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.4g}"
