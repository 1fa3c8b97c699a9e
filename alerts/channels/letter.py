"""A message as people read it: an HTML letter, plain text, and lines for chat robots. Pure.

Mail programs know little CSS and no scripts: tables, and styles on the elements themselves.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from alerts.chart import picture
from alerts.wording import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLOURS: Final = {"info": "#2f6fb2", "warning": "#b7791f", "major": "#c2410c", "critical": "#b42318"}
_GOOD: Final = "#1f6f54"
_OVER: Final = frozenset({"resolved", "retracted", "test"})
CHART: Final = "chart"
"""Name of the picture that the letter shows."""
_FONT: Final = "font-family:'PingFang SC','Microsoft YaHei','Helvetica Neue',Arial,sans-serif"
_CELL: Final = "padding:6px 10px;border-bottom:1px solid #e6eae8;font-size:14px;line-height:20px;vertical-align:top"


def colour(body: Mapping[str, Any]) -> str:
    """Return the colour of a message: green when it is over, otherwise that of its severity."""
    if body.get("event") in _OVER or body.get("kind") == "digest":
        return _GOOD
    return COLOURS.get(str(body.get("severity")), COLOURS["warning"])


def subject(body: Mapping[str, Any]) -> str:
    """Return a line for the head of a message."""
    return " ".join(str(body.get("headline") or body.get("title") or "").split())


def chart(body: Mapping[str, Any]) -> bytes | None:
    """Return the picture of a message's series, None if there is too little to draw."""
    values = [point[1] for point in body.get("series") or ()]
    if sum(value is not None for value in values) < 2:
        return None
    limit = body.get("series_limit")
    known = [value for value in values if value is not None]
    span = max(known) - min(known)
    # A limit far off would flatten the line.
    near = isinstance(limit, int | float) and min(known) - 3 * span <= limit <= max(known) + 3 * span
    return picture(values, float(limit) if near and limit is not None else None)


def plain(body: Mapping[str, Any]) -> str:
    """Return the message as text: what it says, the chart as blocks, and where to look further."""
    parts = [str(body.get("text", ""))]
    if body.get("sparkline"):
        parts.append(f"{_labels(body)['chart']} {body['sparkline']}")
    if body.get("link"):
        parts.append(str(body["link"]))
    return "\n".join(part for part in parts if part)


def lines(body: Mapping[str, Any]) -> list[str]:
    """Return the message as short lines without its headline, for robots: facts, or else the text."""
    found = [f"{name}: {value}" for name, value in body.get("facts") or ()]
    for section in body.get("sections") or ():
        found += ["", *([f"**{section['title']}**"] if section["title"] else [])]
        found += [" · ".join(str(cell) for cell in row if cell) for row in section["rows"]]
    if not found:
        found = [str(body.get("text", ""))]
    if body.get("sparkline"):
        found.append(str(body["sparkline"]))
    return found


def letter(body: Mapping[str, Any], *, with_chart: bool) -> str:
    """Return the message as an HTML letter. `with_chart`: a picture named `cid:chart` comes with it."""
    label = _labels(body)
    tint = colour(body)
    inner = [
        f'<tr><td style="background:{tint};height:6px;line-height:6px;font-size:0">&nbsp;</td></tr>',
        (
            f'<tr><td style="padding:20px 24px 4px;font-size:19px;line-height:27px;font-weight:600;color:{tint}">'
            f"{escape(subject(body))}</td></tr>"
        ),
    ]
    if body.get("facts"):
        inner.append(f'<tr><td style="padding:8px 14px">{_facts(body["facts"])}</td></tr>')
    elif not body.get("sections"):
        inner.append(_paragraph(str(body.get("text", ""))))
    if body.get("note"):
        inner.append(_paragraph(str(body["note"])))
    if with_chart:
        inner.append(
            '<tr><td style="padding:8px 24px"><div style="font-size:12px;color:#66706b;padding-bottom:4px">'
            f'{escape(label["chart"])}</div><img src="cid:{CHART}" width="552" alt="{escape(str(body["sparkline"]))}" '
            'style="width:100%;max-width:552px;border:1px solid #e6eae8"></td></tr>'
        )
    inner += [_section(section) for section in body.get("sections") or ()]
    if body.get("link"):
        inner.append(
            f'<tr><td style="padding:16px 24px 8px"><a href="{escape(str(body["link"]), quote=True)}" style="'
            f"background:{tint};color:#ffffff;text-decoration:none;padding:10px 20px;border-radius:4px;font-size:14px;"
            f'display:inline-block">{escape(label["open"])}</a></td></tr>'
        )
    inner.append(
        f'<tr><td style="padding:16px 24px 20px;font-size:12px;line-height:18px;color:#8a938e">'
        f"{escape(label['footer'])}</td></tr>"
    )
    language = escape(str(body.get("locale", "zh-CN")))
    return (
        f'<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"></head>'
        f'<body style="margin:0;padding:16px;background:#f3f5f4;color:#1d2521;{_FONT}">'
        '<table role="presentation" align="center" width="600" cellspacing="0" cellpadding="0" style="max-width:600px;'
        'width:100%;background:#ffffff;border:1px solid #dfe4e1;border-radius:6px;border-collapse:separate">'
        + "".join(inner)
        + "</table></body></html>"
    )


def _labels(body: Mapping[str, Any]) -> dict[str, str]:
    return LABELS.get(str(body.get("locale")), LABELS["zh-CN"])


def _paragraph(text: str) -> str:
    shown = "<br>".join(escape(line) for line in text.splitlines())
    return f'<tr><td style="padding:8px 24px;font-size:14px;line-height:22px">{shown}</td></tr>'


def _facts(facts: Sequence[Sequence[str]]) -> str:
    rows = "".join(
        f'<tr><td style="{_CELL};color:#66706b;white-space:nowrap;width:1%">{escape(str(name))}</td>'
        f'<td style="{_CELL}">{escape(str(value))}</td></tr>'
        for name, value in facts
    )
    return f'<table role="presentation" width="100%" cellspacing="0" cellpadding="0">{rows}</table>'


def _section(section: Mapping[str, Any]) -> str:
    head = "".join(
        f'<th align="left" style="{_CELL};color:#66706b;font-weight:500;font-size:12px">{escape(str(cell))}</th>'
        for cell in section["head"]
    )
    rows = "".join(
        "<tr>" + "".join(f'<td style="{_CELL};font-size:13px">{escape(str(cell))}</td>' for cell in row) + "</tr>"
        for row in section["rows"]
    )
    title = (
        f'<div style="font-size:15px;font-weight:600;padding:10px 10px 4px">{escape(str(section["title"]))}</div>'
        if section["title"]
        else ""
    )
    return (
        f'<tr><td style="padding:8px 14px">{title}<table width="100%" cellspacing="0" cellpadding="0">'
        f"<tr>{head}</tr>{rows}</table></td></tr>"
    )
