"""Baselines in words, in both languages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cli.options import Lang, table

if TYPE_CHECKING:
    from park.baselines import Fit
    from store.baselines import BaselineRow

_WORDS: Final = {
    Lang.EN: {
        "usable": "usable",
        "kept": "in force",
        "not": "NOT usable, failed: ",
        "scatter": "scatter",
        "alike": "autocorrelation",
        "alarm": "alarm beyond",
        "points": "periods",
        "left": "left out",
        "dropped": "no part of the model",
        "none": "too little to fit",
        "over": "uses more than the baseline",
        "under": "uses less than the baseline",
        "calm": "no alarm",
        "sum": "running sum",
        "saved": "savings",
        "of": "of the expected use",
        "sure": "significant",
        "unsure": "not significant",
        "beyond": "periods beyond the model's range",
        "base": "base period",
        "force": "in force",
        "day": "a day",
        "why": "because",
    },
    Lang.ZH: {
        "usable": "可用",
        "kept": "已生效",
        "not": "不可用，未通过：",
        "scatter": "离散度",
        "alike": "自相关",
        "alarm": "报警限",
        "points": "个时段",
        "left": "剔除",
        "dropped": "未进入模型",
        "none": "数据过少，无法拟合",
        "over": "用能高于基准",
        "under": "用能低于基准",
        "calm": "无报警",
        "sum": "累计和",
        "saved": "节能量",
        "of": "占预期用能",
        "sure": "显著",
        "unsure": "不显著",
        "beyond": "个时段超出模型范围",
        "base": "基准期",
        "force": "有效期",
        "day": "每天",
        "why": "原因",
    },
}


def heading(row: BaselineRow, lang: Lang) -> str:
    """Return one line on what a baseline is: periods, author, reason, and what followed it."""
    word = _WORDS[lang]
    until = "" if row.valid_to is None else row.valid_to - timedelta(days=1)
    return (
        f"#{row.baseline_id} {row.indicator_id} ({row.grain})  {word['base']} {row.base_from}.."
        f"{row.base_to - timedelta(days=1)}  {word['force']} {row.valid_from}..{until}  "
        f"{row.author}: {row.reason}" + (f"  -> #{row.superseded_by}" if row.superseded_by else "")
    )


def told(model: Fit, lang: Lang, *, kept: bool = False) -> str:
    """Return a model for people: the equation, its terms, its gates, and whether it may be used."""
    word = _WORDS[lang]
    verdict = (word["kept"] if kept else word["usable"]) if model.usable else word["not"] + ", ".join(model.failed)
    if not model.coefficients or model.sigma is None:
        return f"{word['none']}: {verdict}"
    terms = " + ".join(
        f"{c.value:.6g} {c.unit}" + (f" * {c.name}" if k else "") for k, c in enumerate(model.coefficients)
    )
    rows: list[tuple[object, ...]] = [("", "", "SE", "t", "p")]
    rows += [
        (c.name, f"{c.value:.6g} {c.unit}", f"{c.standard_error:.3g}", f"{c.t:.2f}", f"{c.p:.2g}")
        for c in model.coefficients
    ]
    gates = [
        (gate.name, "-" if gate.value is None else f"{gate.value:.4g}", gate.asked, "ok" if gate.passed else "FAILED")
        for gate in model.gates
    ]
    left = ", ".join(f"{count} {reason}" for reason, count in model.left_out.items())
    alike = f"{word['alike']} {model.autocorrelation:.2f}; {word['alarm']} {model.h:.2f}"
    lines = [
        f"E = {terms}",
        table(rows, ""),
        table(gates, ""),
        f"{model.periods} {word['points']}; {word['scatter']} {model.sigma:.4g} {model.unit} {word['day']}; " + alike,
    ]
    if left:
        lines.append(f"{word['left']}: {left}")
    if model.dropped:
        lines.append(f"{word['dropped']}: {', '.join(model.dropped)}")
    return "\n".join([*lines, verdict])


def outcome(each: dict[str, Any], lang: Lang) -> list[str]:
    """Return where the running sum stands, and the savings, as lines."""
    word, lines = _WORDS[lang], []
    newest, saved = each["newest"], each["savings"]
    if newest is not None:
        state = word[newest.alarm or "calm"]
        lines.append(f"{word['sum']} {newest.cusum:+,.6g} {newest.unit} ({newest.period:%Y-%m-%d}): {state}")
    if saved is not None:
        share = "" if saved.share is None else f", {100 * saved.share:.2f} % {word['of']}"
        lines.append(
            f"{word['saved']} {saved.savings:,.6g} ± {saved.uncertainty:,.4g} {saved.unit} "
            f"({100 * saved.confidence:.0f} %){share}; {saved.periods} {word['points']}, "
            f"{saved.extrapolated} {word['beyond']}; {word['sure' if saved.significant else 'unsure']}"
        )
    return lines
