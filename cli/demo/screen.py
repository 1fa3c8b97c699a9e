"""The live view in a terminal, in Chinese or English: it takes the form that fits the terminal's size."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.demo.scene import FAULT_EVERY_S, FAULT_LASTS_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

    from store.overview import Counts

_WORDS: Final = {
    "title": ("绿园 · 示范园区", "GreenPark · demonstration park"),
    "running": ("已运行", "running for"),
    "rate": ("读数/秒", "readings/s"),
    "stored": ("已入库", "stored"),
    "lag": ("设备→可查询 p99", "device→queryable p99"),
    "lag_indicator": ("读数→指标 p99", "reading→indicator p99"),
    "quarantined": ("隔离", "quarantined"),
    "delivered": ("已送达告警", "alerts delivered"),
    "indicators": (
        "今日：综合能耗（当量值、等价值），单位产品能耗，工业用水重复利用率",
        "Today: comprehensive energy (equivalent, equal value), energy per product, water reuse",
    ),
    "firm": ("企业", "firm"),
    "energy": ("当量 kgce", "kgce eqv."),
    "energy_equal": ("等价 kgce", "kgce equal"),
    "per_product": ("单耗 kgce", "per product"),
    "reuse": ("重复利用 %", "reuse %"),
    "reuse_now": ("本刻钟 %", "¼ h %"),
    "standing": ("对标", "standing"),
    "targets": ("园区目标", "The park's targets"),
    "alerts": ("告警", "Alerts"),
    "none": ("无告警", "no alerts"),
    "stop": ("Ctrl-C 结束", "Ctrl-C ends it"),
    "board": ("看板", "board"),
    "token": ("令牌", "token"),
    "park": ("全园区", "whole park"),
    "more": ("另有 {n} 家企业，放大窗口可见", "{n} more firms in a taller window"),
    "fault_in": (
        "演示故障（循环水泵停机）将在 {s} 秒后发生",
        "a staged fault, a recirculation pump stops, comes in {s} s",
    ),
    "fault_now": (
        "演示故障进行中：循环水泵已停 {s} 秒",
        "the staged fault is on: a recirculation pump stopped {s} s ago",
    ),
    "ended": ("已退出", "ended"),
    "restarted": ("已重新启动", "started again"),
    "given up": ("反复退出，已放弃", "given up after repeated ends"),
    "database away": ("数据库没有应答，等待中", "the database does not answer; waiting"),
}
_STATES: Final = {
    "ahead": ("超前", "ahead", "bold green"),
    "on_pace": ("正常", "on pace", "green"),
    "at_risk": ("有风险", "at risk", "yellow"),
    "off": ("落后", "off", "bold red"),
    "undefined": ("无法判断", "undefined", "magenta"),
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
    "unlike_products": ("多种产品", "mixed"),
    "coverage_too_low": ("数据不足", "too few data"),
}
_MOST_TARGETS: Final = 8
_PRODUCTS: Final = {"piece": ("件", "piece"), "m3": ("m³", "m³")}


@dataclass(slots=True)
class View:
    """What the screen shows; filled by whoever watches.

    Attributes:
        fault_in_s: until the staged fault's first time; negative once it has come.
        troubles: when, which process, and what happened to it.
        zone: in which times are shown.
    """

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
    troubles: list[tuple[datetime, str, str]] = field(default_factory=list)
    zone: tzinfo = UTC
    now: datetime | None = None
    started: datetime | None = None


def render(view: View, lang: str, console: Console, *, height: int | None = None) -> RenderableType:
    """Return the view as it fits `console`.

    Args:
        view: what to show.
        lang: `zh-CN`, anything else is English.
        console: gives the width.
        height: lines there are; where they are few, frames, blank lines and then firms are left out. None: no limit.
    """
    k = 0 if lang == "zh-CN" else 1
    forms = [(2, len(view.firms)), (1, len(view.firms)), *((0, shown) for shown in range(len(view.firms), -1, -1))]
    for room, shown in forms:
        form = _form(view, k, console.width, room, shown)
        if height is None or len(console.render_lines(form, pad=False)) <= height:
            break
    return form


def _form(view: View, k: int, width: int, room: int, shown: int) -> RenderableType:
    """Return the view with frames (room 2), with headings only (1) or without (0), and so many firms."""
    alerts, targets = _alerts(view, k, 8 if room == 2 else 3), _targets(view, k)
    if room < 2:
        head = Text(f"{_word('title', k)}  ", "bold green").append_text(_clock(view, k))
        parts: list[RenderableType] = [head, _flow(view, k, width), _indicators(view, k, width, shown, roomy=False)]
        for name, part in (("targets", targets), ("alerts", alerts)):
            parts += [Text(_word(name, k), "bold")] * room + [part]
        return Group(*parts, _foot(view, k, width))
    title = Text(_word("title", k), "bold green")
    frame = "red" if any(e["state"] in {"open", "acknowledged"} for e in view.episodes) else "dim"
    return Group(
        Panel(_flow(view, k, width - 4), title=title, title_align="left", subtitle=_clock(view, k),
              subtitle_align="right", border_style="green"),
        _indicators(view, k, width, shown, roomy=True),
        Panel(targets, title=_word("targets", k), title_align="left", border_style="dim"),
        Panel(alerts, title=_word("alerts", k), title_align="left", border_style=frame),
        _foot(view, k, width),
    )  # fmt: skip


def _word(name: str, k: int) -> str:
    return _WORDS[name][k]


def _clock(view: View, k: int) -> Text:
    if view.now is None or view.started is None:
        return Text()
    minutes, seconds = divmod(max(0, int((view.now - view.started).total_seconds())), 60)
    shown = view.now.astimezone(view.zone).strftime("%H:%M:%S")
    return Text(f"{shown} {view.zone} · {_word('running', k)} {minutes}:{seconds:02}", "dim")


def _flow(view: View, k: int, width: int) -> Text:
    counts = view.counts
    pairs = [
        ("rate", f"{view.rate_per_s:.0f}"),
        ("stored", f"{view.stored:,}"),
        ("lag", _seconds(view.lag_s)),
        ("lag_indicator", _seconds(view.lag_indicator_s)),
        ("quarantined", str(counts.quarantined) if counts else "–"),
        ("delivered", str(counts.delivered) if counts else "–"),
    ]
    return _packed((Text(f"{_word(name, k)} ", "dim").append(value, "bold not dim") for name, value in pairs), width)


def _indicators(view: View, k: int, width: int, shown: int, *, roomy: bool) -> RenderableType:
    table = Table(expand=True, box=SIMPLE_HEAD if roomy else None, pad_edge=False, collapse_padding=True)
    if roomy:
        table.title, table.title_justify = _word("indicators", k), "left"
    table.add_column(_word("firm", k), no_wrap=True, max_width=max(8, min(24, width - 66)), overflow="ellipsis")
    for name in ("energy", "energy_equal", "per_product", "reuse", "reuse_now"):
        table.add_column(_word(name, k), justify="right", no_wrap=True)
    table.add_column(_word("standing", k), no_wrap=True)
    rows: list[tuple[str, int | None, str]] = [("park", None, _word("park", k))]
    # Where not all fit, firms with an alert stand first.
    alarmed = {e["firm_id"] for e in view.episodes if e["state"] in {"pending", "open", "acknowledged"}}
    order = sorted(view.firms.items(), key=lambda item: (shown < len(view.firms) and item[0] not in alarmed, item[0]))
    rows += [("firm", firm_id, names[k]) for firm_id, names in order[:shown]]
    states = {(s["scope"], s["scope_id"]): s["state"] for s in view.standings if s["target_id"].endswith("reuse")}
    for scope, firm_id, name in rows:
        found = {key[2]: row for key, row in view.day.items() if key[0] == scope and firm_id in (None, key[1])}
        now = {key[2]: row for key, row in view.bucket.items() if key[0] == scope and firm_id in (None, key[1])}
        state = next((s for (sc, sid), s in states.items() if sc == scope and firm_id in (None, sid)), None)
        table.add_row(
            Text(name, "bold" if scope == "park" else "red" if firm_id in alarmed else ""),
            _value(found.get("comprehensive_energy_equivalent"), 0, k),
            _value(found.get("comprehensive_energy_equal"), 0, k),
            _value(found.get("energy_per_product"), 3, k, unit=True),
            _value(found.get("water_reuse_rate"), 1, k),
            _value(now.get("water_reuse_rate"), 1, k),
            _state(state, k),
        )
    left_out = len(view.firms) - shown
    return Group(table, Text(_word("more", k).format(n=left_out), "dim")) if left_out > 0 else table


def _targets(view: View, k: int) -> Table:
    table = _list(2)
    park = [standing for standing in view.standings if standing["scope"] == "park"]
    # What the plan gives no number for, or nobody computes, comes last: it would push out what can be mended.
    park.sort(key=lambda one: (one["state"] == "undefined", one.get("reason") in {"no_number", "no_indicator"}))
    for standing in park[:_MOST_TARGETS]:
        sentence = str(standing["sentence_zh" if k == 0 else "sentence_en"])
        table.add_row(_state(standing["state"], k), _unrepeated(sentence, _STATES[standing["state"]][k]))
    if len(park) > _MOST_TARGETS:
        table.add_row("", Text(f"+{len(park) - _MOST_TARGETS}", "dim"))
    return table


def _unrepeated(sentence: str, state: str) -> str:
    """Return a standing's sentence without its state, which stands before it already."""
    for repeated in (f"：{state}，", f": {state}, because "):
        sentence = sentence.replace(repeated, repeated[0] + repeated[1:].partition(state)[0])
    return sentence.removesuffix(f"：{state}").removesuffix(f": {state}")


def _alerts(view: View, k: int, most: int) -> RenderableType:
    table = _list(3)
    for episode in view.episodes[:most]:
        began = episode["began"].astimezone(view.zone).strftime("%H:%M:%S")
        title = episode["title_zh" if k == 0 else "title_en"]
        table.add_row(Text(began, "dim"), _state(episode["state"], k), title)
    for at, name, event in view.troubles[-3:]:
        said = _WORDS[event][k] if event in _WORDS else event
        table.add_row(Text(f"{at.astimezone(view.zone):%H:%M:%S}", "dim"), Text(name, "red"), Text(said, "red"))
    parts: list[RenderableType] = [table] if table.row_count else [Text(_word("none", k), "dim")]
    if view.fault_in_s is not None:
        parts.append(_fault(view.fault_in_s, k))
    return Group(*parts)


def _fault(fault_in_s: float, k: int) -> Text:
    since_s = -fault_in_s % FAULT_EVERY_S
    if fault_in_s <= 0 and since_s < FAULT_LASTS_S:
        return Text(_word("fault_now", k).format(s=int(since_s)), "yellow")
    return Text(_word("fault_in", k).format(s=int(fault_in_s if fault_in_s > 0 else FAULT_EVERY_S - since_s)), "dim")


def _foot(view: View, k: int, width: int) -> Text:
    items = [
        Text(f"{_WORDS[name][k] if name in _WORDS else name} ", "dim").append(url, "cyan not dim")
        for name, url in view.urls.items()
    ]
    return _packed([*items, Text(_word("stop", k), "bold")], width)


def _list(columns: int) -> Table:
    """Return an empty table without lines whose last column wraps below itself."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns - 1):
        table.add_column(no_wrap=True)
    table.add_column()
    return table


def _packed(items: Iterable[Text], width: int) -> Text:
    """Return items side by side, none broken over two lines unless it is wider than a line."""
    line, used = Text(), 0
    for item in items:
        if used and used + 3 + cell_len(item.plain) > width:
            line.append("\n")
            used = 0
        if used:
            line.append("   ")
            used += 3
        line.append_text(item)
        used += cell_len(item.plain)
    return line


def _value(row: dict[str, Any] | None, digits: int, k: int, *, unit: bool = False) -> Text:
    if row is None:
        return Text("–", "dim")
    if row["value"] is None:
        return Text(_REASONS.get(str(row["reason"]), (str(row["reason"]), str(row["reason"])))[k], "dim")
    text = f"{row['value']:,.{digits}f}"
    product = row["unit"].partition("/")[2]
    return Text(f"{text} /{_PRODUCTS.get(product, (product, product))[k]}" if unit else text)


def _state(state: str | None, k: int) -> Text:
    if state is None:
        return Text("–", "dim")
    return Text(_STATES[state][k], _STATES[state][2])


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
