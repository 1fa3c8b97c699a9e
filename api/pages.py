"""The interface's documentation for people, without a script and without another host."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Any, Final

from api.problems import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8884}"
    "section{margin-top:2.5rem}h3{margin-bottom:0}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

_RULES_ZH: Final = (
    "时间一律为带时区的 RFC 3339；空值表示未知，不等于零；列表用 cursor 翻页；"
    "错误为 application/problem+json。请求需带 Authorization: Bearer 令牌。"
)


def documentation(document: Mapping[str, Any]) -> str:
    """Return the documentation page of an OpenAPI document."""
    parts = [
        f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>",
        *(f"<p>{escape(line)}</p>" for line in document["info"]["description"].splitlines()),
        f'<p lang="zh-CN">{_RULES_ZH}</p>',
        '<p><a href="/openapi.json">openapi.json</a></p>',
    ]
    for tag in document["tags"]:
        parts.append(f"<section><h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>")
        for path, method, operation in _operations(document):
            if tag["name"] in operation["tags"]:
                parts.append(_operation(path, method, operation))
        parts.append("</section>")
    parts.append("<section><h2>Problems</h2><table><tr><th>type</th><th>status</th><th>what to do</th></tr>")
    parts += [
        f'<tr id="problem-{name}"><td><code>{name}</code></td><td>{kind.status}</td>'
        f"<td>{escape(kind.title)}. {escape(kind.advice)}</td></tr>"
        for name, kind in KINDS.items()
    ]
    parts.append("</table></section><section><h2>Answers</h2>")
    parts += [_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    parts.append("</section>")
    return _page(f"{document['info']['title']} · API", "\n".join(parts), lang="en")


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code> ({p['in']}{', required' if p.get('required') else ''})</td>"
        f"<td>{escape(_type(p['schema']))}</td><td>{escape(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", [])
    )
    table = f"<table><tr><th>parameter</th><th>type</th><th>meaning</th></tr>{rows}</table>" if rows else ""
    content = operation["responses"]["200"]["content"]["application/json"]["schema"]
    statuses = ", ".join(sorted(operation["responses"]))
    return (
        f'<h3 id="{operation["operationId"]}"><code>{method} {escape(path)}</code></h3>'
        f"<p>{escape(operation['description'])}</p>{table}"
        f"<p>200: {_linked(content)}. Statuses: {statuses}.</p>"
    )


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{escape(_type(body))}</td>"
        f"<td>{escape(body.get('description', ''))}</td></tr>"
        for field, body in schema.get("properties", {}).items()
    )
    meaning = escape(schema.get("description", ""))
    return f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{meaning}</p><table>{rows}</table>'


def _linked(schema: Mapping[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else escape(_type(schema))


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("format") or schema.get("const") or schema.get("type", "any"))


def _page(title: str, body: str, *, lang: str) -> str:
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )
