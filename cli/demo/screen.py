"""The live view in a terminal, in Chinese or English."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from store.overview import Counts

_WORDS: Final = {
    "title": ("绿园 · 示范园区", "GreenPark · demonstration park"),
    "flow": ("数据流", "Data flow"),
    "rate": ("读数/秒", "readings/s"),
    "stored": ("已入库", "stored"),
    "lag": ("设备→可查询 p99", "device → queryable p99"),
    "lag_indicator": ("读数→指标 p99", "reading → indicator p99"),
    "quarantined": ("隔离", "quarantined"),
    "delivered": ("已送达告警", "alerts delivered"),
    "indicators": (
        "今日指标：综合能耗、单位产品能耗、工业用水重复利用率",
        "Today: comprehensive energy, energy per product, water reuse rate",
    ),
    "firm": ("企业", "firm"),
    "energy": ("当量 kgce", "kgce eqv."),
    "energy_equal": ("等价 kgce", "kgce equal"),
    "per_product": ("单耗 kgce", "kgce per"),
    "reuse": ("复用 %", "reuse"),
    "reuse_now": ("本刻钟", "now"),
    "standing": ("对标", "standing"),
    "targets": ("园区目标", "The park's targets"),
    "alerts": ("告警", "Alerts"),
    "none": ("无", "none"),
    "stop": ("Ctrl-C 结束", "Ctrl-C ends it"),
    "park": ("全园区", "whole park"),
    "fault": ("下一次演示故障", "next staged fault"),
}
_STATES: Final = {
    "ahead": ("超前", "ahead", "bold green"),
    "on_pace": ("正常", "on pace", "green"),
    "at_risk": ("有风险", "at risk", "yellow"),
    "off": ("落后", "off", "bold red"),
    "undefined": ("无法判断", "undefined", "dim"),
    "pending": ("待确认", "pending", "yellow"),
    "open": ("进行中", "open", "bold red"),
    "acknowledged": ("已确认", "acknowledged", "yellow"),
    "resolved": ("已恢复", "resolved", "green"),
    "retracted": ("已撤回", "retracted", "dim"),
}


_REASONS: Final = {
    "no_points": ("无计量点", "no meter"),
    "no_data": ("无数据", "no data"),
    "no_production": ("未生产", "no output"),
    "unlike_products": ("产品不同", "unlike"),
    "coverage_too_low": ("数据不足", "too few data"),
}


@dataclass(slots=True)
class View:
    """What the screen shows; filled by whoever watches."""

    urls: dict[str, str] = field(default_factory=dict)
    firms: dict[int, tuple[str, str]] = field(default_factory=dict)
    rate_per_s: float = 0.0
    stored: int = 0
    lag_s: float | None = None
    lag_indicator_s: float | None = None
    counts: Counts | None = None
    day: dict[tuple[str, int, str], dict[str, Any]] = field(default_factory=dict)
    bucket: dict[tuple[str, int, str], dict[str, Any]] = field(default_factory=dict)
    standings: list[dict[str, Any]] = field(default_factory=list)
    episodes: list[dict[str, Any]] = field(default_factory=list)
    fault_in_s: float | None = None
    troubles: list[str] = field(default_factory=list)
    zone: tzinfo = UTC


def render(view: View, lang: str) -> RenderableType:
    """Return the whole screen."""
    k = 0 if lang == "zh-CN" else 1
    return Group(_flow(view, k), _indicators(view, k), _targets(view, k), _alerts(view, k), _urls(view, k))


def _word(name: str, k: int) -> str:
    return _WORDS[name][k]


def _flow(view: View, k: int) -> Panel:
    line = Text()
    counts = view.counts
    pairs = [
        ("rate", f"{view.rate_per_s:.0f}"),
        ("stored", f"{view.stored:,}"),
        ("lag", _seconds(view.lag_s)),
        ("lag_indicator", _seconds(view.lag_indicator_s)),
        ("quarantined", str(counts.quarantined) if counts else "–"),
        ("delivered", str(counts.delivered) if counts else "–"),
    ]
    for name, value in pairs:
        line.append(f"{_word(name, k)} ", "dim").append(value, "bold").append("   ")
    return Panel(line, title=_word("title", k), title_align="left", border_style="green")


def _indicators(view: View, k: int) -> Table:
    table = Table(
        title=_word("indicators", k),
        title_justify="left",
        expand=True,
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column(_word("firm", k), no_wrap=True, max_width=18, overflow="ellipsis")
    for name in ("energy", "energy_equal", "per_product", "reuse", "reuse_now"):
        table.add_column(_word(name, k), justify="right", no_wrap=True)
    table.add_column(_word("standing", k))
    rows: list[tuple[str, int | None, str]] = [("park", None, _word("park", k))]
    rows += [("firm", firm_id, names[k]) for firm_id, names in sorted(view.firms.items(), key=lambda item: item[0])]
    states = {(s["scope"], s["scope_id"]): s["state"] for s in view.standings if s["target_id"].endswith("reuse")}
    for scope, firm_id, name in rows:
        found = {key[2]: row for key, row in view.day.items() if key[0] == scope and firm_id in (None, key[1])}
        now = {key[2]: row for key, row in view.bucket.items() if key[0] == scope and firm_id in (None, key[1])}
        state = next((s for (sc, sid), s in states.items() if sc == scope and firm_id in (None, sid)), None)
        table.add_row(
            Text(name, "bold" if scope == "park" else ""),
            _value(found.get("comprehensive_energy_equivalent"), 0, k),
            _value(found.get("comprehensive_energy_equal"), 0, k),
            _value(found.get("energy_per_product"), 3, k, unit=True),
            _value(found.get("water_reuse_rate"), 1, k),
            _value(now.get("water_reuse_rate"), 1, k),
            _state(state, k),
        )
    return table


def _targets(view: View, k: int) -> Panel:
    lines = Text()
    for standing in view.standings:
        if standing["scope"] == "park":
            lines.append_text(_state(standing["state"], k)).append("  ")
            lines.append(standing["sentence_zh" if k == 0 else "sentence_en"] + "\n")
    lines.rstrip()
    return Panel(lines, title=_word("targets", k), title_align="left")


def _alerts(view: View, k: int) -> Panel:
    lines = Text()
    for episode in view.episodes:
        began = episode["began"].astimezone(view.zone).strftime("%H:%M:%S")
        lines.append(f"{began} ", "dim").append_text(_state(episode["state"], k))
        lines.append(f"  {episode['title_zh' if k == 0 else 'title_en']}\n")
    if not view.episodes:
        lines.append(_word("none", k), "dim")
        if view.fault_in_s is not None and view.fault_in_s > 0:
            lines.append(f"   {_word('fault', k)}: {view.fault_in_s:.0f} s", "dim")
    for trouble in view.troubles[-3:]:
        lines.append(f"\n{trouble}", "red")
    lines.rstrip()
    return Panel(lines, title=_word("alerts", k), title_align="left", border_style="red" if view.episodes else "dim")


def _urls(view: View, k: int) -> Text:
    line = Text()
    for name, url in view.urls.items():
        line.append(f"{name} ", "dim").append(f"{url}  ", "cyan")
    return line.append(_word("stop", k), "dim")


def _value(row: dict[str, Any] | None, digits: int, k: int, *, unit: bool = False) -> Text:
    if row is None:
        return Text("–", "dim")
    if row["value"] is None:
        return Text(_REASONS.get(str(row["reason"]), (str(row["reason"]), str(row["reason"])))[k], "dim")
    text = f"{row['value']:,.{digits}f}"
    return Text(f"{text} /{row['unit'].partition('/')[2]}" if unit else text)


def _state(state: str | None, k: int) -> Text:
    if state is None:
        return Text("–", "dim")
    return Text(_STATES[state][k], _STATES[state][2])


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
