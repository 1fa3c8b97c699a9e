"""The board over the real database: who gets in, what each tenant sees, and what streams do when things go wrong."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from api import metrics
from api.access import COOKIE
from api.board.gather import SECTIONS, View
from api.board.hub import Hub
from api.board.stream import BoardStream
from api.errors import ProblemError
from api.settings import ApiSettings
from store.pool import connected
from tests.api.conftest import NOW
from tests.api.test_process import free_port, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.stack


async def board(client: httpx.AsyncClient, **query: int) -> Any:
    answer = await client.get("/board/state", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(found: Any, names: set[str]) -> set[int]:
    """Every id under one of these names, at any depth."""
    if isinstance(found, dict):
        mine = {value for name, value in found.items() if name in names and isinstance(value, int)}
        return mine.union(*(ids(value, names) for value in found.values()))
    return set().union(*(ids(value, names) for value in found)) if isinstance(found, list) else set()


async def test_a_park_sees_its_park_and_a_firm_only_itself(served) -> None:
    """Row-level security decides: nothing on a firm's board, in any section, is another's or the park's own."""
    firm_ids = served.planted.firm_ids
    async with served.client("east") as east, served.client("a") as a:
        park, own = await board(east), await board(a)
        as_park = await board(east, firm=firm_ids["a"])
    assert set(park) == set(own) == set(SECTIONS)
    assert {firm["id"] for firm in park["head"]["firms"]} == {firm_ids["a"], firm_ids["b"]}
    assert (park["head"]["whole"], own["head"]["whole"]) == (True, False)
    assert own["head"]["firm"]["id"] == firm_ids["a"]
    assert ids(own, {"firm_id"}) <= {firm_ids["a"]}
    assert {firm["id"] for firm in own["head"]["firms"]} == {firm_ids["a"]}
    said = json.dumps(own, ensure_ascii=False)
    assert "企业'b'" not in said
    assert len(park["targets"]["items"]) == len(own["targets"]["items"]) == 2
    assert park["targets"]["items"][0]["firms"]
    assert park["targets"]["items"][0]["id"] not in {item["id"] for item in own["targets"]["items"]}
    assert {item["firm_id"] for item in park["episodes"]["items"]} == {None, firm_ids["a"], firm_ids["b"]}
    assert {item["firm_id"] for item in own["episodes"]["items"]} == {firm_ids["a"]}
    for section in ("targets", "episodes", "flow", "water", "load"):
        assert as_park[section] == own[section], section


async def test_another_tenants_board_does_not_exist(served) -> None:
    """Foreign parks and firms are not found, as if they were not there; without a token nothing is."""
    foreign = [
        {"park": served.planted.park_ids["west"]},
        {"firm": served.planted.firm_ids["b"]},
        {"firm": served.planted.firm_ids["c"]},
        {"firm": 2**31 - 1},
    ]
    async with served.client("a") as a, served.client(None) as nobody:
        for query in foreign:
            assert (await a.get("/board/state", params=query)).status_code == 404
        for path in ("/board/state", "/board/live"):
            assert (await nobody.get(path)).status_code == 401
        assert (await nobody.get("/board/session")).json() == {"signed_in": False}


async def test_every_number_of_the_board_leads_to_its_explanation(served) -> None:
    """Every address in the state is answered to the same visitor, with the rows that the number was made of."""

    def hrefs(found: Any) -> set[str]:
        if isinstance(found, dict):
            here = {v for name, v in found.items() if name.endswith("href") and v}
            return here.union(*(hrefs(v) for v in found.values()))
        return set().union(*(hrefs(v) for v in found)) if isinstance(found, list) else set()

    for token in ("east", "a"):
        async with served.client(token) as client:
            found = hrefs(await board(client))
            assert {href.split("?")[0].rstrip("0123456789") for href in found} >= {
                "/v1/consumption", "/v1/standings", "/v1/episodes/", "/v1/edges/status",
                "/v1/indicators/water_reuse_rate/values",
            }  # fmt: skip
            for href in found:
                answer = await client.get(href)
                assert answer.status_code == 200, href
                assert answer.json().get("items", answer.json()), href


async def test_numbers_agree_with_the_ledger(served) -> None:
    """The board's water and flow are sums of the ledger's own rows, with the estimated part told."""
    async with served.client("a") as client:
        state = await board(client)
        way = state["water"]["day"]["in"][0]
        rows = (await client.get(way["href"])).json()["items"]
    assert way["v"] == pytest.approx(sum((row["measured"] or 0) + (row["estimated"] or 0) for row in rows))
    assert way["est"] == pytest.approx(sum(row["estimated"] or 0 for row in rows) / way["v"], rel=1e-4)
    electricity = next(link for link in state["flow"]["day"]["links"] if link["s"] == "carrier:electricity")
    assert electricity["v"] == pytest.approx(way["v"] * 0.1229, rel=1e-4)
    assert state["health"]["points"] == 4
    assert None in state["load"]["v"]


async def test_a_token_opens_a_session_that_reads_and_never_writes(served) -> None:
    """The cookie is for this browser's pages alone; it reads the interface, and acknowledging needs the token."""
    async with served.client("writer of a") as client:
        token = client.headers["authorization"]
        answer = await client.post("/board/session")
        cookie = answer.headers["set-cookie"]
        assert answer.json()["signed_in"]
        for part in ("HttpOnly", "SameSite=strict", "Path=/"):
            assert part in cookie
        del client.headers["authorization"]
        assert (await board(client))["head"]["firm"]
        episodes = (await client.get("/v1/episodes")).json()["items"]
        assert episodes
        path = f"/v1/episodes/{episodes[0]['episode_id']}/acknowledge"
        assert (await client.post(path)).status_code == 401
        assert (await client.get("/v1/firms", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 401
        assert (await client.post("/board/session")).status_code == 401
        assert (await client.delete("/board/session")).status_code == 204
        assert COOKIE not in client.cookies
        assert (await client.get("/board/state")).status_code == 401
        bad = await client.post("/board/session", headers={"Authorization": token + "x"})
        assert bad.status_code == 401


async def test_the_token_file_lets_in_a_browser_on_this_machine_and_nobody_else(served, tmp_path: Path) -> None:
    """Another address, another name of this machine, a proxy or another site's page gets nothing."""
    file = tmp_path / "token"
    file.write_text(served.tokens["east"] + "\n")
    app = served.app
    app.state.settings = ApiSettings(database_url="postgresql://x", board_token_file=file)

    async def asked(client: str = "127.0.0.1", base: str = "http://127.0.0.1:8000", **headers: str) -> bool:
        transport = httpx.ASGITransport(app, client=(client, 5000))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=named) as visitor:
            answer = await visitor.get("/board/session")
            assert ("set-cookie" in answer.headers) == answer.json()["signed_in"]
            return answer.json()["signed_in"]

    assert await asked()
    assert await asked(base="http://localhost:8000", sec_fetch_site="same-origin")
    assert await asked(client="::1", base="http://[::1]:8000")
    assert await asked(cookie=f"{COOKIE}=gp_of_yesterday")
    assert not await asked(client="10.0.0.9")
    assert not await asked(base="http://rebound.example:8000")
    assert not await asked(x_forwarded_for="10.0.0.9")
    assert not await asked(forwarded="for=10.0.0.9")
    assert not await asked(sec_fetch_site="cross-site")
    file.unlink()
    assert not await asked()


class Events:
    """The events of one stream, one after another."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.parts = self.read()

    async def read(self) -> AsyncIterator[tuple[str, str | None, Any]]:
        event, number, data = "", None, None
        async for line in self.answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "id":
                number = value
            elif name == "data":
                data = json.loads(value)
            elif not line and event:
                yield event, number, data
                event, number, data = "", None, None

    async def next(self, wanted: str, limit_s: float = 15.0) -> tuple[str | None, Any]:
        async with asyncio.timeout(limit_s):
            async for event, number, data in self.parts:
                if event == wanted:
                    return number, data
        raise AssertionError(f"the stream ended before {wanted}")


@asynccontextmanager
async def watching(client: httpx.AsyncClient, token: str, path: str = "/board/live", **headers: str):
    headers = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    async with client.stream("GET", path, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer)


async def test_a_stream_begins_with_everything_then_sends_what_changed(served) -> None:
    """A notification brings the sections that differ and no others; who comes back gets only what it has missed."""
    firm = served.planted.firm_ids["a"]
    async with (
        running(ApiSettings(served.url, port=free_port(), board_gap_s=0.05)) as (client, _, _),
        watching(client, served.tokens["east"]) as events,
        connected(served.url) as database,
    ):
        first, state = await events.next("state")
        assert set(state) == set(SECTIONS)
        _, beat = await events.next("beat")
        assert beat["failing_since"] is None
        assert beat["computed"]
        await database.execute("UPDATE episode SET state = 'resolved' WHERE firm_id = $1", firm)
        await database.execute(f"NOTIFY greenpark_dirty, '{firm}'")
        second, state = await events.next("state")
        assert set(state) == {"episodes"}
        assert firm not in {item["firm_id"] for item in state["episodes"]["items"]}
        async with watching(client, served.tokens["east"], last_event_id=first) as again:
            number, state = await again.next("state")
            assert (number, set(state)) == (second, {"episodes"})
        async with watching(client, served.tokens["east"], path=f"/board/live?after={second}") as again:
            parts = [event async for event, _, _ in _some(again, 1)]
            assert parts == ["beat"]
        async with watching(client, served.tokens["east"], last_event_id="another-process.999") as again:
            _, state = await again.next("state")
            assert set(state) == set(SECTIONS)


async def _some(events: Events, count: int) -> AsyncIterator[tuple[str, str | None, Any]]:
    async for part in events.parts:
        yield part
        count -= 1
        if count == 0:
            return


async def test_streams_end_at_once_when_the_process_stops(served) -> None:
    """Open boards do not hold up the end; they are told, so that they come back."""
    async with (
        running(ApiSettings(served.url, port=free_port())) as (client, stop, task),
        watching(client, served.tokens["a"]) as events,
    ):
        await events.next("state")
        stop.set()
        await events.next("bye", 3)
        async with asyncio.timeout(3):
            await asyncio.shield(task)


async def test_a_board_survives_the_database_and_says_that_it_was_away(served) -> None:
    """Connections that the server cuts are made again, and what changed meanwhile is shown."""
    async with (
        running(ApiSettings(served.url, port=free_port(), board_gap_s=0.05)) as (client, _, _),
        watching(client, served.tokens["a"]) as events,
        connected(served.url) as database,
    ):
        await events.next("state")
        await asyncio.sleep(0.3)
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE $1"
        assert await database.fetchval(cut, "greenpark api%") >= 2
        await database.execute("UPDATE episode SET state = 'resolved'")
        _, state = await events.next("state", 20)
        assert state["episodes"]["total"] == 0


async def test_a_token_that_ends_ends_its_stream(served, monkeypatch) -> None:
    """A stream that runs for hours does not outlive the right to it."""
    monkeypatch.setattr("api.board.stream.RECHECK_S", 0.1)
    monkeypatch.setattr("api.board.stream.BEAT_S", 0.1)
    async with (
        running(ApiSettings(served.url, port=free_port())) as (client, _, _),
        watching(client, served.tokens["a"]) as events,
        connected(served.url) as database,
    ):
        await events.next("state")
        await database.execute("UPDATE api_token SET expires = now() WHERE label = 'reader of a'")
        assert await events.next("gone", 5) == (None, {"why": "token"})


async def test_a_foreign_subject_ends_the_stream(served) -> None:
    """The stream says that there is nothing here, and tells no more."""
    async with running(ApiSettings(served.url, port=free_port())) as (client, _, _):
        path = f"/board/live?firm={served.planted.firm_ids['b']}"
        async with watching(client, served.tokens["a"], path=path) as events:
            assert await events.next("gone") == (None, {"why": "subject"})


async def test_a_page_that_does_not_read_is_dropped_and_holds_nothing(served, monkeypatch) -> None:
    """Its writes time out, it leaves the hub, and others go on; a page too many is refused."""
    monkeypatch.setattr("api.board.stream.SEND_S", 0.2)
    hub = Hub(served.url, served.app.state.pool, lambda: NOW, gap_s=0.05, most_clients=2)
    stop = asyncio.Event()
    task = asyncio.create_task(hub.run(stop))
    role = served.planted.roles["east", None]

    async def holds() -> bool:
        return True

    async def stuck(message: Any) -> None:
        if message["type"] == "http.response.body" and b"event: state" in message.get("body", b""):
            await asyncio.sleep(60)

    async def never() -> Any:
        await asyncio.sleep(60)

    dropped = metrics.BOARD_DROPPED._value.get()
    page = BoardStream(hub, role, View(), None, clock=lambda: NOW, holds=holds)
    async with hub.subscribed(role, View()) as channel:
        reading = asyncio.create_task(page({"type": "http"}, never, stuck))
        await asyncio.sleep(0.05)
        assert hub.clients == 2
        with pytest.raises(ProblemError, match="2 boards are open already"):
            async with hub.subscribed(role, View()):
                pass
        await asyncio.wait_for(reading, 10)
        assert metrics.BOARD_DROPPED._value.get() == dropped + 1
        assert hub.clients == 1
        assert channel.version > 0
    assert hub.clients == 0
    stop.set()
    await asyncio.wait_for(task, 5)


async def test_a_new_park_without_anything_has_a_board(database_url: str) -> None:
    """The first minutes: nothing is known, nothing is zero, nothing fails."""
    from api.board.gather import gather  # noqa: PLC0415
    from park.definition import FirmDefinition, ParkDefinition, PointDefinition  # noqa: PLC0415
    from park.points import Kind  # noqa: PLC0415
    from store.browse import acting_as  # noqa: PLC0415
    from store.pool import open_pool  # noqa: PLC0415
    from store.registry import apply_definition  # noqa: PLC0415
    from store.tenants import add_tenant  # noqa: PLC0415

    def firm(code: str, points: list[PointDefinition]) -> FirmDefinition:
        return FirmDefinition(code=code, name_zh=code, name_en=code, industry="t", edges=["gw"], points=points)

    meter = PointDefinition(
        code="E", name_zh="电", name_en="E", kind=Kind.REGISTER, carrier="electricity", unit="kWh", edge="gw"
    )
    async with connected(database_url) as connection:
        empty = ParkDefinition(code="empty", name_zh="空", name_en="Empty")
        fresh = ParkDefinition(code="fresh", name_zh="新", name_en="Fresh", firms=[firm("f", [meter]), firm("g", [])])
        for park in (empty, fresh):
            await apply_definition(connection, park)
        roles = [await add_tenant(connection, park, None) for park in ("empty", "fresh")]
    async with open_pool(database_url, application="t", read_only=True) as pool:
        states = []
        for role in roles:
            async with acting_as(pool, role) as connection:
                states.append(await gather(connection, View(), NOW + timedelta(minutes=1)))
    assert all(state is not None for state in states)
    nothing, new = states
    assert nothing["health"]["points"] == 0
    assert nothing["load"]["now"]["reason"] == "no_data"
    assert new["flow"]["day"]["links"] == []
    assert [one["code"] for one in new["flow"]["day"]["unknown"]] == ["E"]
    assert new["flow"]["day"]["supply"] is None
    assert new["tiles"][0]["reason"]["code"] == "no_data"
    assert new["targets"]["items"] == []
    assert new["health"]["newest"] is None
