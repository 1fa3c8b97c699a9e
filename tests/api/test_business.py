"""Business inputs over HTTP: a firm enters its own, a park audits, and the same again changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from store.pool import connected

if TYPE_CHECKING:
    from tests.api.conftest import Served

pytestmark = pytest.mark.stack

MARCH_IS_NOT_OVER = "2026-03"


def entry(**more: Any) -> dict[str, Any]:
    return {"kind": "staff", "period": "2026-02", "amount": 80, "unit": "person", **more}


async def firm_id(served: Served, name: str) -> int:
    async with served.client(name) as client:
        [firm] = (await client.get("/v1/firms")).json()["items"]
    return int(firm["firm_id"])


async def post(served: Served, token: str, path: str, body: Any) -> Any:
    async with served.client(token) as client:
        return await client.post(f"/v1/{path}", json=body)


async def enter(served: Served, token: str, of: str, *entries: dict[str, Any]) -> Any:
    return await post(served, token, f"firms/{await firm_id(served, of)}/business-inputs", {"inputs": list(entries)})


async def test_a_firm_enters_its_own_and_the_same_again_changes_nothing(served: Served) -> None:
    """The version is stored under the token's label, waits to be computed, and a repeated request finds it there."""
    first = await enter(served, "writer of a", "a", entry())
    assert first.status_code == 200
    [number] = first.json()["new"]
    again = await enter(served, "writer of a", "a", entry())
    assert again.json() == {"new": [], "unchanged": 1, "refused": []}
    async with served.client("a") as client:
        [found] = (await client.get("/v1/business-inputs", params={"kind": "staff"})).json()["items"]
    expected = {"input_id": number, "amount": 80.0, "status": "submitted", "version": 1, "author": "writer of a"}
    assert expected.items() <= found.items()
    async with connected(served.url) as connection:
        causes = await connection.fetch("SELECT DISTINCT grain FROM dirty_firm WHERE cause = 'business input'")
    assert {row["grain"] for row in causes} == {"month", "year"}


async def test_no_firm_enters_or_sees_another_s(served: Served) -> None:
    """Another firm does not exist for it, in its park or in another; the park's token may enter for each."""
    for token in ("b", "c", "west"):
        answer = await enter(served, token, "a", entry())
        assert answer.status_code == 404, token
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await enter(served, "east", "a", entry())).status_code == 200
    async with served.client("b") as client:
        assert (await client.get("/v1/business-inputs", params={"kind": "staff"})).json()["items"] == []
    async with connected(served.url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM business_input WHERE kind = 'staff'") == 1


async def test_a_token_that_may_only_read_enters_nothing(served: Served) -> None:
    """403, and nothing is stored."""
    assert (await enter(served, "a", "a", entry())).status_code == 403
    assert (
        await post(served, "a", "business-inputs/status", {"input_ids": [1], "status": "audited", "reason": "x"})
    ).status_code == 403


async def test_each_input_is_taken_or_refused_by_itself(served: Served) -> None:
    """A wrong one is named by its place and field with what to do; the good ones beside it are stored."""
    answer = await enter(
        served,
        "writer of a",
        "a",
        entry(),
        entry(period=MARCH_IS_NOT_OVER, kind="value_added", unit="10^4CNY", price_basis="current"),
        entry(unit="t"),
        entry(workshop="nowhere"),
    )
    assert answer.status_code == 200
    body = answer.json()
    assert len(body["new"]) == 1
    assert [part["where"] for part in body["refused"]] == [
        "body.inputs.1.period",
        "body.inputs.2.unit",
        "body.inputs.3.workshop",
    ]
    alone = await enter(served, "writer of a", "a", entry(unit="t"))
    assert alone.status_code == 422
    assert alone.json()["errors"][0]["where"] == "body.inputs.0.unit"


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": []},
        {"inputs": [entry(period="soon")]},
        {"inputs": [entry(kind="profit")]},
        {"inputs": [entry(amount="many")]},
        {"inputs": [entry(colour="red")]},
        {},
    ],
)
async def test_a_body_that_is_none_is_a_problem_document(served: Served, body: dict[str, Any]) -> None:
    """422 with what is wrong and what to do; nothing is stored."""
    answer = await post(served, "writer of a", f"firms/{await firm_id(served, 'a')}/business-inputs", body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert all(part["do"] for part in answer.json()["errors"])


async def test_only_the_park_audits_and_frozen_asks_for_a_reason(served: Served) -> None:
    """A firm does not audit itself; what replaces a frozen version gives a reason and waits for its own audit."""
    [number] = (await enter(served, "writer of a", "a", entry())).json()["new"]
    change = {"input_ids": [number], "status": "frozen", "reason": "year closed"}
    assert (await post(served, "writer of a", "business-inputs/status", change)).status_code == 403
    assert (await post(served, "west", "business-inputs/status", change)).status_code == 404
    assert (await post(served, "east", "business-inputs/status", change)).json() == {"changed": [number]}
    assert (await post(served, "east", "business-inputs/status", change)).json() == {"changed": []}
    refused = await enter(served, "writer of a", "a", entry(amount=81))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["where"] == "body.inputs.0.reason"
    taken = await enter(served, "writer of a", "a", entry(amount=81, reason="left out one shift"))
    assert len(taken.json()["new"]) == 1
    async with served.client("a") as client:
        history = (await client.get("/v1/business-inputs", params={"kind": "staff", "history": True})).json()["items"]
    assert [(row["version"], row["status"], row["newest"]) for row in history] == [
        (1, "frozen", False),
        (2, "submitted", True),
    ]


async def test_a_list_is_cut_into_pages_that_join_without_a_seam(served: Served) -> None:
    """Asking on with the cursor gives every version once."""
    months = [entry(period=f"2025-{month:02d}", amount=month) for month in range(1, 8)]
    await enter(served, "writer of a", "a", *months)
    seen, cursor = [], {}
    async with served.client("a") as client:
        while True:
            page = (await client.get("/v1/business-inputs", params={"kind": "staff", "limit": 3, **cursor})).json()
            seen += [row["amount"] for row in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        spring = (await client.get("/v1/business-inputs", params={"period": "2025Q2"})).json()["items"]
    assert seen == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert [row["period"] for row in spring] == ["2025-04", "2025-05", "2025-06"]


async def test_the_groups_of_a_park_name_the_scopes_of_its_numbers(served: Served) -> None:
    """A tenant sees the groups of its own park and of no other."""
    async with served.client("a") as client:
        [park] = (await client.get("/v1/parks")).json()["items"]
        found = (await client.get(f"/v1/parks/{park['park_id']}/groups")).json()["items"]
    assert {"panel", "industry"} <= {group["kind"] for group in found}
    async with served.client("west") as client:
        assert (await client.get(f"/v1/parks/{park['park_id']}/groups")).status_code == 404
