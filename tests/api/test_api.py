"""The HTTP interface, over the real database and under the log-in that it has in production."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from store.pool import connected

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.stack

RANGE = {"from": "2026-03-03T00:00:00Z", "to": "2026-03-06T00:00:00Z"}
WIDE = {"from": "2024-01-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}


async def ids(client: httpx.AsyncClient, path: str, name: str) -> list[int]:
    return [item[name] for item in (await get(client, path))["items"]]


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def everything(client: httpx.AsyncClient, path: str, **params: Any) -> list[Any]:
    """Walk all pages."""
    items, cursor = [], {}
    for _ in range(2000):
        page = await get(client, path, **params, **cursor)
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}
    raise AssertionError("pages without end")


def example_params(operation: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {
        p["name"]: known[p["name"]]
        for p in operation.get("parameters", [])
        if p["in"] == "query" and (p.get("required") or p["name"] == "history")
    }


def belongs_to_others(body: Any, firm_ids: set[int], point_ids: set[int], park_ids: set[int]) -> list[Any]:
    """Every object in an answer that names a firm, park or point outside these."""
    found = []
    if isinstance(body, dict):
        if body.get("firm_id") not in firm_ids | {None}:
            found.append(body)
        if body.get("point_id") not in point_ids | {None} or body.get("park_id") not in park_ids | {None}:
            found.append(body)
        if "firm_id" in body and body["firm_id"] is None and len(firm_ids) == 1:
            found.append(body)  # a row of the whole park is not a firm's to see
        for value in body.values():
            found += belongs_to_others(value, firm_ids, point_ids, park_ids)
    if isinstance(body, list):
        for value in body:
            found += belongs_to_others(value, firm_ids, point_ids, park_ids)
    return found


async def test_a_tenant_never_sees_another_on_any_route(served) -> None:
    """Every GET of the OpenAPI document: lists hold only the tenant's own rows, foreign ids do not exist."""
    document = served.app.openapi()
    visited = Counter()
    tenants = {"a": ("east", ["a"]), "b": ("east", ["b"]), "c": ("west", ["c"]), "east": ("east", ["a", "b"])}
    async with served.client("east") as east, served.client("west") as west:
        points = {}
        for client in (east, west):
            for item in await everything(client, "/v1/points"):
                points.setdefault(item["firm_id"], []).append(item["point_id"])
        episodes = [i for c in (east, west) for i in await everything(c, "/v1/episodes")]
        inputs = [i for c in (east, west) for i in await everything(c, "/v1/business-inputs")]
    entry = {"kind": "staff", "period": "2026-02", "amount": 1, "unit": "person"}
    for token, (park, members) in tenants.items():
        own = {served.planted.firm_ids[code] for code in members}
        own_points = {p for f in own for p in points[f]}
        own_park = {served.planted.park_ids[park]}
        foreign_point = next(p for f, ps in points.items() if f not in own for p in ps)
        async with served.client(token) as client:
            for path, methods in document["paths"].items():
                if not path.startswith("/v1"):
                    continue
                for subject in ("own", "foreign"):
                    mine = subject == "own"
                    fills = {
                        "park_id": min(own_park)
                        if mine
                        else next(iter(set(served.planted.park_ids.values()) - own_park)),
                        "firm_id": min(own) if mine else next(f for f in points if f not in own),
                        "point_id": min(own_points) if mine else foreign_point,
                        "episode_id": next(
                            e["episode_id"]
                            for e in episodes
                            if (e["firm_id"] in own) == mine and e["firm_id"] is not None
                        ),
                        "indicator_id": "water_reuse_rate",
                    }
                    known = (
                        fills | {"grain": "day", "scope": "firm", "scope_id": fills["firm_id"], "history": True} | WIDE
                    )
                    if path == "/v1/consumption":
                        known |= {"grain": "hour"} | RANGE
                    if path == "/v1/readings":
                        known |= RANGE
                    assert set(re.findall(r"{(\w+)}", path)) <= set(fills), f"teach this test about {path}"
                    if "get" in methods:
                        answer = await client.get(path.format(**fills), params=example_params(methods["get"], known))
                        body = answer.json()
                        assert belongs_to_others(body, own, own_points, own_park) == [], path
                        names_a_thing = "{" in path.replace("{indicator_id}", "") or path in {
                            "/v1/consumption",
                            "/v1/readings",
                        }
                        if mine or not names_a_thing:
                            assert answer.status_code == 200, (path, body)
                        else:
                            assert answer.status_code == 404, (path, body)
                        if mine and "items" in body:
                            assert body["items"], f"{path} is empty: it proves nothing"
                        visited[path] += 1
                    if "post" in methods and not mine:
                        others = [i["input_id"] for i in inputs if i["firm_id"] not in own]
                        bodies = {
                            "/v1/firms/{firm_id}/business-inputs": {"inputs": [entry]},
                            "/v1/business-inputs/status": {"input_ids": others, "status": "frozen", "reason": "mine"},
                            "/v1/episodes/{episode_id}/assign": {"to": "me"},
                            "/v1/episodes/{episode_id}/snooze": {},
                            "/v1/episodes/{episode_id}/comments": {"text": "mine"},
                        }
                        answer = await client.post(path.format(**fills), json=bodies.get(path))
                        assert answer.status_code in {403, 404}, (path, answer.text)
                        visited[path] += 1
    assert set(visited) == {path for path in document["paths"] if path.startswith("/v1")}


async def test_filters_cannot_widen_the_view(served) -> None:
    """Asking for another firm's rows by filter gives none."""
    foreign = served.planted.firm_ids["b"]
    async with served.client("a") as client:
        for path in ("/v1/points", "/v1/episodes", "/v1/edges/status"):
            assert (await get(client, path, firm_id=foreign))["items"] == []
        standings = await get(client, "/v1/standings", scope="firm", scope_id=foreign, history=True)
        values = await get(
            client, "/v1/indicators/water_reuse_rate/values", grain="day", scope="firm", scope_id=foreign, **WIDE
        )
    assert standings["items"] == values["items"] == []


async def test_paging_visits_each_row_once(served) -> None:
    """Whatever the page size, the pages together are the whole list, in order, without doubles."""
    async with served.client("east") as client:
        points = await ids(client, "/v1/points", "point_id")
        lists = {
            "/v1/firms": {},
            "/v1/points": {},
            "/v1/standings": {"history": True},
            "/v1/episodes": {},
            "/v1/edges/status": {},
            "/v1/readings": {"point_id": points[0]} | RANGE,
            "/v1/consumption": {"point_id": points[:3], "grain": "day"} | WIDE,
            "/v1/indicators/water_reuse_rate/values": {"grain": "month"} | WIDE,
        }
        for path, params in lists.items():
            whole = (await get(client, path, **params, limit=1000))["items"]
            for limit in (1, 3, 7):
                assert await everything(client, path, **params, limit=limit) == whole, path
            assert len(whole) > 1, path


async def test_new_rows_do_not_shift_pages(served, database_url: str) -> None:
    """An episode that begins between two pages is neither a double nor does it hide another."""
    async with served.client("east") as client:
        before = await ids(client, "/v1/episodes", "episode_id")
        first = await get(client, "/v1/episodes", limit=2)
        async with connected(database_url) as connection:
            await connection.execute(
                "INSERT INTO episode (park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state,"
                " severity, began, opened, title_zh, title_en, evidence, seen)"
                " SELECT park_id, firm_id, 'new', 1, 'new', scope, scope_id, 'open', 'info', began + interval '1 day',"
                " seen, '', '', '{}', seen"
                " FROM episode ORDER BY park_id, episode_id LIMIT 1"
            )
        rest = await get(client, "/v1/episodes", cursor=first["next"])
        assert len((await get(client, "/v1/episodes"))["items"]) == len(before) + 1
    assert [item["episode_id"] for item in first["items"] + rest["items"]] == before


async def test_a_gap_is_not_zero(served) -> None:
    """Buckets say measured, estimated and missing apart; unknown is null."""
    async with served.client("a") as client:
        point = (await ids(client, "/v1/points", "point_id"))[0]
        rows = await everything(client, "/v1/consumption", point_id=point, grain="bucket", **RANGE)
    kinds = Counter((row["measured"] is None, row["estimated"] is None, row["missing_s"]) for row in rows)
    assert set(kinds) == {(False, True, 0), (True, False, 0), (True, True, 900)}
    assert all(row["unit"] == "kWh" for row in rows)


async def test_a_running_period_is_provisional_and_its_rest_not_missing(served) -> None:
    """Only what has passed can be missing; a day has its true length in the park's zone."""
    async with served.client("a") as client:
        point = (await ids(client, "/v1/points", "point_id"))[0]
        rows = await everything(client, "/v1/consumption", point_id=point, grain="day", **RANGE)
    # 10:00 UTC is 18:00 in Shanghai: the day of the 5th began at 16:00 UTC on the 4th.
    today = rows[-1]
    assert today["period"] == "2026-03-04T16:00:00Z"
    assert (today["provisional"], today["seconds"]) == (True, 86_400)
    assert today["missing_s"] == 18 * 3600 - today["measured_s"] - today["estimated_s"]
    assert not rows[-2]["provisional"]


async def test_an_indicator_tells_what_it_is_made_of(served) -> None:
    """Value, numerator, denominator, coverage, lineage and code version; undefined says why."""
    async with served.client("a") as client:
        reuse = await get(client, "/v1/indicators/water_reuse_rate/values", grain="day", scope="firm", **WIDE)
        energy = await get(client, "/v1/indicators/energy_per_product/values", grain="day", **WIDE)
        earlier = await get(
            client,
            "/v1/indicators/water_reuse_rate/revisions",
            grain="day",
            scope="firm",
            scope_id=served.planted.firm_ids["a"],
            **WIDE,
        )
        catalogue = (await get(client, "/v1/indicators"))["items"]
    row = reuse["items"][0]
    assert None not in {row["value"], row["numerator"], row["denominator"]}
    assert (row["coverage"], row["code_version"], row["superseded"]) == (0.9, "0", None)
    assert {row["value"] for row in energy["items"]} == {None}
    assert all(row["reason"] for row in energy["items"])
    assert earlier["items"][0]["superseded"]
    assert {"water_reuse_rate", "energy_per_product"} <= {item["id"] for item in catalogue}


async def test_only_current_standings_unless_history_is_asked_for(served) -> None:
    """The default is what holds now; an undefined one carries its reason."""
    async with served.client("east") as client:
        now = (await get(client, "/v1/standings"))["items"]
        ever = (await get(client, "/v1/standings", history=True))["items"]
        undefined = (await get(client, "/v1/standings", state="undefined"))["items"]
    assert {row["current"] for row in now} == {True}
    assert len(ever) == 2 * len(now)
    assert {row["reason"] for row in undefined} == {"no_baseline"}


async def test_acknowledging_is_recorded_once_under_the_tokens_label(served) -> None:
    """The first call changes the state and writes one transition; the second changes nothing."""
    async with served.client("writer of a") as client:
        episode = (await get(client, "/v1/episodes", state="open"))["items"][0]
        path = f"/v1/episodes/{episode['episode_id']}"
        for _ in range(2):
            answer = await client.post(f"{path}/acknowledge", json={"note": "在路上"})
            assert (answer.status_code, answer.json()["state"]) == (200, "acknowledged")
        steps = [s for s in (await get(client, f"{path}/transitions"))["items"] if s["to_state"] == "acknowledged"]
    assert [(s["by"], s["note"], s["from_state"]) for s in steps] == [("writer of a", "在路上", "open")]


async def test_acknowledging_needs_the_right_to_write_and_an_open_episode(served) -> None:
    """403 for a reading token, 404 for another's episode, 409 for one that has ended."""
    async with served.client("a") as reader, served.client("b") as other, served.client("writer of a") as writer:
        open_, ended = [
            (await get(reader, "/v1/episodes", state=state))["items"][0]["episode_id"] for state in ("open", "resolved")
        ]
        answers = [
            await reader.post(f"/v1/episodes/{open_}/acknowledge"),
            await other.post(f"/v1/episodes/{open_}/acknowledge"),
            await writer.post(f"/v1/episodes/{ended}/acknowledge"),
        ]
        assert [answer.status_code for answer in answers] == [403, 404, 409]
        for answer in answers:
            check_problem(answer)
        assert (await get(reader, f"/v1/episodes/{open_}"))["state"] == "open"


def check_problem(answer: httpx.Response) -> Any:
    """Check the form that every error has."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "instance"}
    assert body["status"] == answer.status_code
    assert body["type"].startswith("/docs#problem-")
    assert body["detail"]
    return body


async def test_without_a_valid_token_nothing_is_told(served) -> None:
    """401 with the challenge, the same for an existing and a missing thing."""
    async with served.client(None) as client:
        for token in (None, "", "gp_guess", served.tokens["expired"], "\u00e9"):
            headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
            for path in ("/v1/firms", "/v1/firms/1", "/v1/firms/999", "/v1/readings"):
                answer = await client.get(path, headers=headers)
                assert answer.status_code == 401, token
                assert answer.headers["www-authenticate"].startswith("Bearer")
                check_problem(answer)


@pytest.mark.parametrize("token", ["service", "ghost"])
async def test_a_token_of_no_tenant_reads_nothing(served, token: str) -> None:
    """A token that names the service role, or a role that is gone, is refused, never widened."""
    async with served.client(token) as client:
        answer = await client.get("/v1/firms")
    assert answer.status_code == 403
    check_problem(answer)


WRONG = [
    ("/v1/readings", {"point_id": 1, "from": "2026-03-03T00:00:00", "to": "2026-03-04T00:00:00Z"}, "query.from"),
    (
        "/v1/readings",
        {"point_id": 1, "from": "2026-03-03T00:00:00 08:00", "to": "2026-03-04T00:00:00Z"},
        "query.from",
    ),
    ("/v1/readings", {"point_id": 1, "from": "2026-03-03", "to": "2026-03-04T00:00:00Z"}, "query.from"),
    ("/v1/readings", {"point_id": 1, "from": "1763625600", "to": "2026-03-04T00:00:00Z"}, "query.from"),
    ("/v1/readings", {"point_id": 1, "from": "0001-01-01T00:00:00+14:00", "to": RANGE["to"]}, "query.from"),
    ("/v1/readings", {"point_id": 1, "from": "9999-12-31T23:59:59-14:00", "to": RANGE["to"]}, "query.from"),
    ("/v1/readings", {"point_id": 1, "from": RANGE["to"], "to": RANGE["from"]}, "query.to"),
    ("/v1/readings", {"point_id": 1} | WIDE, "query.to"),
    ("/v1/readings", {"point_id": 1}, "query.from"),
    ("/v1/readings", {"point_id": 99999999999} | RANGE, "query.point_id"),
    ("/v1/consumption", {"point_id": 1, "grain": "week"} | RANGE, "query.grain"),
    ("/v1/consumption", {"point_id": 1, "grain": "bucket"} | WIDE, "query.to"),
    ("/v1/firms", {"limit": 0}, "query.limit"),
    ("/v1/firms", {"limit": 1001}, "query.limit"),
    ("/v1/firms", {"cursor": "nonsense"}, "query.cursor"),
    ("/v1/firms", {"cursor": "W10"}, "query.cursor"),
    ("/v1/firms", {"cursor": "\u00e9"}, "query.cursor"),
    ("/v1/firms", {"prak_id": 1}, "query.prak_id"),
    ("/v1/points", {"carrier": "a\x00b"}, "query.carrier"),
    ("/v1/firms/zero", {}, "path.firm_id"),
    ("/v1/firms/0", {}, "path.firm_id"),
    ("/v1/standings", {"scope_id": 1}, "query.scope"),
]


async def test_a_wrong_request_is_told_what_where_and_what_to_do(served) -> None:
    """422 names the part, what is wrong with it and the way out."""
    async with served.client("a") as client:
        for path, params, where in WRONG:
            answer = await client.get(path, params=params)
            assert answer.status_code == 422, (path, params, answer.text)
            errors = check_problem(answer)["errors"]
            assert errors[0]["where"] == where, (path, params)
            assert errors[0]["what"]
            assert errors[0]["do"]


async def test_a_cursor_belongs_to_its_query(served) -> None:
    """A cursor of one list or filter is refused by another."""
    async with served.client("east") as client:
        cursor = (await get(client, "/v1/points", limit=1))["next"]
        other = await client.get("/v1/points", params={"cursor": cursor, "carrier": "electricity"})
        elsewhere = await client.get("/v1/firms", params={"cursor": cursor})
        again = await client.get("/v1/points", params={"cursor": cursor, "limit": 5})
    assert [other.status_code, elsewhere.status_code, again.status_code] == [422, 422, 200]


async def test_wrong_bodies_are_refused(served) -> None:
    """Not JSON, unknown fields, surrogates and control characters, too long: a problem each, never a crash."""
    async with served.client("writer of a") as client:
        episode = (await get(client, "/v1/episodes", state="open"))["items"][0]["episode_id"]
        path = f"/v1/episodes/{episode}/acknowledge"
        headers = {"Content-Type": "application/json"}
        for body, status in (
            (b"{", 422),
            (b'{"nota": "x"}', 422),
            (b'{"note": "\\ud800"}', 422),
            (b'{"note": "a\\u0000b"}', 422),
            (b'{"note": 1}', 422),
            (b"\xff\xfe", 422),
            (b'{"note": "' + b"x" * 20_000 + b'"}', 413),
        ):
            answer = await client.post(path, content=body, headers=headers)
            assert answer.status_code in {status, 400}, (body[:40], answer.text)
            check_problem(answer)
        assert (await get(client, f"/v1/episodes/{episode}"))["state"] == "open"


async def test_unknown_paths_and_methods_are_problems(served) -> None:
    """404 and 405 speak problem+json too."""
    async with served.client("a") as client:
        missing, method = await client.get("/v1/nothing"), await client.delete("/v1/firms")
    assert (missing.status_code, method.status_code) == (404, 405)
    assert check_problem(missing)
    assert check_problem(method)
    assert method.headers["allow"] == "GET"


async def test_the_log_in_has_no_writing_connection_by_accident(served) -> None:
    """What reads runs in a read-only transaction as the tenant: the connection itself proves it."""
    from store.browse import acting_as  # noqa: PLC0415

    role = served.planted.roles["east", "a"]
    async with acting_as(served.app.state.pool, role) as connection:
        assert await connection.fetchval("SELECT current_user") == role
        assert await connection.fetchval("SHOW transaction_read_only") == "on"
    async with served.app.state.pool.acquire() as connection:
        assert await connection.fetchval("SELECT current_user") == "test_api_login"
        assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")


async def test_answers_follow_the_document(served) -> None:
    """Times are RFC 3339 with offset, and every list answers in the order and form that OpenAPI says."""
    document = served.app.openapi()
    async with served.client("east") as client:
        points = await ids(client, "/v1/points", "point_id")
        for path, params in {
            "/v1/parks": {},
            "/v1/firms": {},
            "/v1/points": {},
            "/v1/readings": {"point_id": points[0]} | RANGE,
            "/v1/consumption": {"point_id": points[0], "grain": "bucket"} | RANGE,
            "/v1/indicators": {},
            "/v1/indicators/water_reuse_rate/values": {"grain": "day"} | WIDE,
            "/v1/standings": {},
            "/v1/episodes": {},
            "/v1/edges/status": {},
            "/readyz": {},
        }.items():
            template = path.replace("water_reuse_rate", "{indicator_id}")
            schema = document["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            check(await get(client, path, **params), schema, document, path)
        times = [row["t"] for row in await everything(client, "/v1/readings", point_id=points[0], **RANGE)]
    assert all(a < b for a, b in pairwise(times))


def check(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str) -> None:
    """A small JSON Schema validator: what the document uses, and an error for what it does not know."""
    if "$ref" in schema:
        check(value, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, at)
        return
    if "anyOf" in schema:
        failures = []
        for one in schema["anyOf"]:
            try:
                check(value, one, document, at)
            except AssertionError as error:
                failures.append(error)
        assert len(failures) < len(schema["anyOf"]), (at, value, failures)
        return
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
    kind = schema.get("type")
    if kind == "null":
        assert value is None, at
    elif kind is not None:
        assert isinstance(value, kinds[kind]), (at, value)
        assert kind == "boolean" or not isinstance(value, bool), (at, value)
    if "enum" in schema:
        assert value in schema["enum"], (at, value)
    if schema.get("format") == "date-time":
        assert datetime.fromisoformat(value).tzinfo is not None, (at, value)
    if kind == "object" and "properties" in schema:
        assert set(schema.get("required", [])) <= set(value), (at, value)
        assert schema.get("additionalProperties", True) or set(value) <= set(schema["properties"]), (at, value)
        for name, item in value.items():
            check(item, schema["properties"][name], document, f"{at}.{name}")
    if kind == "array":
        for n, item in enumerate(value):
            check(item, schema["items"], document, f"{at}[{n}]")


async def test_readiness_says_what_is_missing(served, database_url: str) -> None:
    """A schema of another version makes it not ready, with the command to run; liveness stays."""
    async with connected(database_url) as connection:
        await connection.execute("UPDATE public.greenpark_migration SET number = 9999 WHERE number = 1")
    async with served.client(None) as client:
        ready, alive = await client.get("/readyz"), await client.get("/healthz")
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert "newer greenpark" in check_problem(ready)["detail"]


async def test_a_broken_connection_is_replaced(served, database_url: str) -> None:
    """When the server closes every connection (a restart does), the next request is answered all the same.

    The pauses let the news of the end arrive before, during and after the next use.
    """
    async with served.client("a") as client, connected(database_url) as administrator:
        for n in range(30):
            await get(client, "/v1/firms")
            await administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test api'"
            )
            await asyncio.sleep(n % 10 * 0.0005)
            assert (await get(client, "/v1/firms"))["items"]
