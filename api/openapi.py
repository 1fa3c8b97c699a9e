"""The OpenAPI document: every operation with its errors, its security and its examples."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.models import Problem
from api.problems import KINDS, MEDIA_TYPE

TAGS: Final = [
    {"name": "registry", "description": "Parks, firms and points. 园区、企业和计量点。"},
    {"name": "numbers", "description": "Readings, consumption and indicators. 读数、用量和指标。"},
    {"name": "business", "description": "What firms report: production, value, land, staff, waste. 企业填报数据。"},
    {"name": "targets", "description": "Standing against the targets of the plans. 对照规划目标的进展。"},
    {"name": "alerts", "description": "Episodes: each alert from start to end. 告警事件。"},
    {"name": "edges", "description": "Gateways at the firms. 企业网关。"},
    {"name": "health", "description": "For supervisors and load balancers. 存活与就绪检查。"},
]
DESCRIPTION: Final = """Live energy, water and emissions of an industrial park, held against the park's own targets.
Instants are RFC 3339 with an offset; answers are in UTC. Null is unknown, which is not zero.
Lists come in pages: repeat the request with `cursor` set to `next`.
Errors are RFC 9457 problem documents that say what is wrong, where, and what to do."""


def errors(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for problems of these kinds."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        known = KINDS[kind]
        example = {
            "type": f"/docs#problem-{kind}",
            "title": known.title,
            "status": known.status,
            "detail": known.advice,
            "instance": "/v1/…",
        }
        entry = found.setdefault(
            known.status,
            {
                "description": known.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][kind] = {"summary": known.title, "value": example}
    return found


COMMON: Final = ("unauthenticated", "forbidden", "invalid", "internal", "unavailable", "too-slow")


def document(app: FastAPI) -> dict[str, Any]:
    """Return the complete document; made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, tags=TAGS, routes=app.routes)
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs", {}))
        schemas["Problem"] = schema
        app.openapi_schema = made
    return app.openapi_schema


def query_names(document: dict[str, Any]) -> dict[tuple[str, str], frozenset[str]]:
    """Return the query parameters of each (path, method)."""
    return {
        (path, method): frozenset(p["name"] for p in operation.get("parameters", []) if p["in"] == "query")
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
