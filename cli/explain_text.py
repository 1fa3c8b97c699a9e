"""A standing and all that stands below it, for people, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cli.options import Lang
from park.reasons import SENTENCES, Undefined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

_WORDS: Final = {
    Lang.EN: {
        "plan": "plan",
        "says": "says",
        "version": "version",
        "park_says": "the park says",
        "value": "value of the year",
        "covered": "covered",
        "revision": "revision",
        "run": "run",
        "factors": "factors",
        "unverified": "NOT verified",
        "verified": "verified",
        "enters": "of",
        "firms": "firms",
        "moved": "moved the park by",
        "out": "not counted",
        "outside": "not an industrial firm",
        "numerator": "numerator",
        "denominator": "denominator",
        "estimated": "estimated",
        "not_counted": "not counted",
        "nothing": "nothing known",
        "readings": "readings",
        "batch": "batch",
        "stored": "stored",
        "reported": "reported",
        "by": "by",
        "runs": "runs",
        "history": "before",
        "more": "one quarter of an hour down to each reading: greenpark explain bucket",
        "no_value": "no value of the year",
    },
    Lang.ZH: {
        "plan": "规划",
        "says": "原文",
        "version": "版本",
        "park_says": "园区说明",
        "value": "本年数值",
        "covered": "覆盖率",
        "revision": "修订",
        "run": "运算",
        "factors": "系数",
        "unverified": "未核实",
        "verified": "已核实",
        "enters": "用于",
        "firms": "企业",
        "moved": "对园区的影响",
        "out": "未计入",
        "outside": "非工业企业",
        "numerator": "分子",
        "denominator": "分母",
        "estimated": "估算",
        "not_counted": "不计入",
        "nothing": "无数据",
        "readings": "读数",
        "batch": "批次",
        "stored": "入库",
        "reported": "填报",
        "by": "填报人",
        "runs": "运算记录",
        "history": "以往",
        "more": "某一刻钟直至每个读数：greenpark explain bucket",
        "no_value": "无本年数值",
    },
}


def standing_text(document: Mapping[str, Any], lang: Lang) -> str:
    """Return the walk from a standing to its readings as an indented text."""
    lines = [document["subject"]]
    for one in document["standings"]:
        lines += _standing(one, lang)
    return "\n".join(lines)


def _standing(one: Mapping[str, Any], lang: Lang) -> Iterator[str]:
    word, now, target, pack = _WORDS[lang], one["now"], one["target"] or {}, one["pack"]
    yield f"  {now['sentence_zh' if lang is Lang.ZH else 'sentence_en']}"
    where = target.get("source") or {}
    rows = ", ".join(map(str, where.get("lines", [])))
    printed = f"  {word['says']}: {where['as_printed']}" if where.get("as_printed") else ""
    yield f"  {word['plan']} {pack['document'] or ''}  {where.get('chapter', '')} {rows}{printed}"
    sha = "" if pack["sha256"] is None else f", sha256 {pack['sha256'][:12]}"
    yield f"    {now['pack_id']} {word['version']} {now['pack_version']}{sha}; {now['target_id']}"
    for name in ("oddity", "notes"):
        if target.get(name):
            yield f"    {target[name]}"
    if one["override"] is not None:
        said = one["override"]
        yield f"    {word['park_says']} {_number(said['value'])} {_number(said['base_value'])}: {said['source']}"
    yield from _value(one, lang)
    yield from _factors(one.get("factors", []), lang)
    if one.get("firms"):
        yield f"  {word['firms']}"
        for firm in one["firms"]:
            yield from _firm(firm, lang)
    yield f"  {word['runs']}"
    for run in one["runs"]:
        yield f"    {run['run_id']}  {_time(run['finished'])}  {run['code_version']}  {run['cause']}"
    if len(one["history"]) > 1:
        yield f"  {word['history']}"
        for past in one["history"][1:6]:
            yield f"    {_time(past['as_of'])}  {past['state']}  {_number(past['value'])}"
    yield f"  {word['more']}"


def _value(one: Mapping[str, Any], lang: Lang) -> Iterator[str]:
    word, value, indicator = _WORDS[lang], one["value"], one.get("indicator") or {}
    if indicator.get("formula"):
        name = indicator["name_zh" if lang is Lang.ZH else "name_en"]
        yield f"  {name}  {indicator['formula']}  [{indicator['id']}; {indicator['source']}]"
    if value is None:
        yield f"  {word['no_value']}"
        return
    now = value["now"]
    said = _reason(now["reason"], lang) if now["reason"] else f"{_number(now['value'])} {now['unit']}"
    yield (
        f"  {word['value']} {said} = {_number(now['numerator'])} / {_number(now['denominator'])}; "
        f"{word['covered']} {100 * now['coverage']:.1f} %; {word['revision']} {now['revision']}; "
        f"{word['run']} {now['run_id']}"
    )


def _factors(factors: list[dict[str, Any]], lang: Lang) -> Iterator[str]:
    word = _WORDS[lang]
    if factors:
        yield f"  {word['factors']}"
    for factor in factors:
        unit = f" {factor['result_unit']}/{factor['unit']}" if factor.get("unit") else ""
        flag = word["verified" if factor["verified"] else "unverified"]
        yield (
            f"    {factor['id']} {_number(factor['value'])}{unit}  {flag}  {factor.get('source') or ''}  "
            f"{word['enters']} {' '.join(factor['firms'])}"
        )


def _firm(firm: Mapping[str, Any], lang: Lang) -> Iterator[str]:
    word = _WORDS[lang]
    name = firm["name_zh" if lang is Lang.ZH else "name_en"]
    if firm["counted"]:
        share = "" if firm["share"] is None else f" ({100 * firm['share']:.1f} %)"
        below = "" if firm["denominator"] is None else f" / {_number(firm['denominator'])}"
        value = f"{_number(firm['value'])} {firm['unit']}"
        yield f"    {firm['firm']} {name}  {_number(firm['numerator'])}{share}{below} = {value}"
    else:
        why = word["outside"] if not firm["industrial"] else _reason(firm["reason"] or "no_data", lang)
        yield f"    {firm['firm']} {name}  {word['out']}: {why}"
    if firm["contribution"] is not None:
        moved = firm["contribution"]
        yield f"      {word['moved']} {_number(moved['effect'], sign=True)} {moved['unit']}"
    for entry in firm["reported"]:
        for given in entry["inputs"]:
            yield (
                f"      {word['reported']} {given.get('kind', '')} {given.get('key', '')} {given.get('period', '')} "
                f"{_number(given.get('amount'))} {given.get('unit', '')}  {word['by']} {given.get('author', '')}"
            )
    for point in firm["points"]:
        yield from _point(point, lang)


def _point(point: Mapping[str, Any], lang: Lang) -> Iterator[str]:
    word = _WORDS[lang]
    name = point["name_zh" if lang is Lang.ZH else "name_en"]
    amount = word["nothing"] if point["quantity"] is None else f"{_number(point['quantity'])} {point['unit']}"
    guessed = f", {_number(point['estimated'])} {word['estimated']}" if point["estimated"] else ""
    counts = []
    for part in point["counts"]:
        by = ""
        if "factor" in part:
            by = f" [{part['factor']}{'' if part['verified'] else ', ' + word['unverified']}]"
        counts.append(
            f"{word[part['side']]} x {_number(part['coefficient'])}{by} = {_number(part['adds'])} {part['unit']}"
        )
    yield f"      {point['point']} {name}  {amount}{guessed}; {'; '.join(counts) or word['not_counted']}"
    for reading in point["readings"]:
        came = str(reading["batch_id"])
        if reading["boot"] is not None:
            came = f"{reading['edge']} {reading['boot']}/{reading['seq']}"
        when = "" if reading["stored"] is None else f"  {word['stored']} {_time(reading['stored'])}"
        yield f"        {_time(reading['t'])}  {_number(reading['value'])}  {word['batch']} {came}{when}"


def _reason(code: str, lang: Lang) -> str:
    zh, en = SENTENCES[Undefined(code)]
    return zh if lang is Lang.ZH else en


def _number(value: float | None, *, sign: bool = False) -> str:
    return "-" if value is None else f"{value:{'+' if sign else ''},.6g}"


def _time(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S%z")
