"""The OpenAPI document and the pages, without a database."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.settings import ApiSettings


@pytest.fixture
def app():
    return create_app(ApiSettings(database_url="postgresql://u:hunter2@127.0.0.1:1/x"), None)


def operations(document: dict[str, Any]):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(node: Any):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from references(value)
    if isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_operation_is_complete(app) -> None:
    """Id, tag, summary, description, parameter meanings, security and errors stand in the document."""
    document = app.openapi()
    seen = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(seen) == len(set(seen)) >= 17
    tags = {tag["name"] for tag in document["tags"]}
    for path, method, operation in operations(document):
        at = f"{method} {path}"
        assert set(operation["tags"]) <= tags, at
        assert operation["summary"], at
        assert operation["description"], at
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter.get("description"), (at, parameter["name"])
        if path.startswith("/v1"):
            assert operation["security"] == [{"token": []}], at
            assert {"401", "403", "422", "500", "503"} <= set(operation["responses"]), at
            assert "404" in operation["responses"] or "{" not in path, at
        for status, response in operation["responses"].items():
            if status != "200":
                assert list(response["content"]) == ["application/problem+json"], (at, status)
                assert response["content"]["application/problem+json"]["examples"], (at, status)


def test_every_reference_resolves_and_no_foreign_error_model_is_left(app) -> None:
    """The document stands alone."""
    document = app.openapi()
    names = {ref.rpartition("/")[2] for ref in references(document)}
    assert names <= set(document["components"]["schemas"])
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_every_field_has_an_example_or_needs_none(app) -> None:
    """A reader sees what a value looks like."""
    for name, schema in app.openapi()["components"]["schemas"].items():
        for field, body in schema.get("properties", {}).items():
            plain = body.get("type") in {"integer", "number"} or (
                body.get("type") == "string" and "format" not in body and "enum" not in body and "const" not in body
            )
            assert not plain or "examples" in body or field == "notes", f"{name}.{field}"


class Loads(HTMLParser):
    """Collects what a page would load or link to."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"src", "href", "action", "srcset", "data"}:
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)


async def test_the_documentation_loads_nothing_from_another_host_and_runs_no_script(app) -> None:
    """Only own, existing addresses; the content security policy forbids the rest."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        page = await client.get("/docs")
        found = Loads()
        found.feed(page.text)
        assert not {"script", "iframe", "img", "link"} & found.tags
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "://" not in re.sub(r"<[^>]+>", "", page.text)
        assert len(found.ids) == len(set(found.ids))
        for address in found.addresses:
            assert address.startswith(("/", "#")), address
            if address.startswith("#"):
                assert address[1:] in found.ids
            elif address != "/readyz":
                assert (await client.get(address)).status_code == 200


async def test_the_boards_files_are_packed_and_asked_for_once(app) -> None:
    """The chart library travels small, and a browser that has a file is told that it is still the same."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        path = "/board/files/echarts.min.js"
        packed, plain = await client.get(path), await client.get(path, headers={"Accept-Encoding": "identity"})
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        again = await client.get(path, headers={"If-None-Match": packed.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        page = await client.get("/")
        assert page.headers["content-security-policy"].startswith("default-src 'self'")
        for wrong in ("/board/files/nothing.js", "/board/files/..%2Ffiles.py", "/board/files/__init__.py"):
            assert (await client.get(wrong)).status_code == 404


async def test_the_default_pages_are_gone(app) -> None:
    """FastAPI's own pages load scripts from elsewhere; they are not served."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        assert (await client.get("/redoc")).status_code == 404
        assert "swagger" not in (await client.get("/docs")).text.lower()


async def test_every_problem_type_is_described_where_it_points(app) -> None:
    """`type` leads to an explanation."""
    from api.problems import KINDS  # noqa: PLC0415

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        text = (await client.get("/docs")).text
    for kind in KINDS:
        assert f'id="problem-{kind}"' in text


def test_settings_do_not_show_the_password() -> None:
    """The address of the database is no part of the repr."""
    assert "hunter2" not in repr(ApiSettings(database_url="postgresql://u:hunter2@h/x"))
