"""A firm with a log-in of its own tries to read its neighbour, in every way that SQL and the interface offer."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from api.app import create_app
from api.settings import ApiSettings
from dashboards.build import parsed
from dashboards.lint import queries_of, variables_of
from dashboards.macros import Variable, View, expand, substitute
from store.pool import connected, open_pool
from store.specimen import Planted, plant
from store.tenants import add_token, allow_login, scram_verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.stack

NOW = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)
SECRET_TEXT, SECRET_NUMBER = "Umbrella Secret Works", 987654.25
# Everything of firm b carries a word or a number that stands nowhere else.
MARKS = """
UPDATE firm SET name_zh = 'Umbrella Secret Works', name_en = 'Umbrella Secret Works' WHERE code = 'b';
UPDATE point SET name_zh = 'Umbrella Secret Works', name_en = 'Umbrella Secret Works' WHERE firm_id = {b};
UPDATE reading SET value = 987654.25 WHERE point_id IN (SELECT point_id FROM point WHERE firm_id = {b});
UPDATE latest SET value = 987654.25 WHERE point_id IN (SELECT point_id FROM point WHERE firm_id = {b});
UPDATE consumption SET measured = 987654.25 WHERE point_id IN (SELECT point_id FROM point WHERE firm_id = {b});
UPDATE consumption_period SET measured = 987654.25 WHERE point_id IN (SELECT point_id FROM point WHERE firm_id = {b});
UPDATE consumption_tariff SET measured = 987654.25 WHERE point_id IN (SELECT point_id FROM point WHERE firm_id = {b});
UPDATE indicator_value SET value = 987654.25 WHERE firm_id = {b};
UPDATE indicator_revision SET value = 987654.25 WHERE firm_id = {b};
UPDATE standing SET value = 987654.25, sentence_zh = 'Umbrella Secret Works' WHERE firm_id = {b};
UPDATE episode SET title_zh = 'Umbrella Secret Works', title_en = 'Umbrella Secret Works' WHERE firm_id = {b};
UPDATE balance SET supply = 987654.25 WHERE firm_id = {b};
UPDATE baseline_residual SET actual = 987654.25 WHERE firm_id = {b};
UPDATE edge_status SET version = 'Umbrella Secret Works' WHERE firm_id = {b};
UPDATE quarantine SET detail = 'Umbrella Secret Works' WHERE firm_id = {b};
ANALYZE
"""
# Refused with an error, or answered with nothing of b's; {b} is b's id, {role} b's role, {point} a point of b's.
ATTACKS = {
    "the raw table": "SELECT * FROM greenpark.reading",
    "the ledger's table": "SELECT * FROM greenpark.consumption WHERE point_id = {point}",
    "a chunk of the raw table": "SELECT * FROM {reading_chunk}",
    "a chunk of the ledger": "SELECT * FROM {consumption_chunk}",
    "the newest readings": "SELECT * FROM greenpark.latest WHERE point_id = {point}",
    "the roll-ups": "SELECT * FROM greenpark.consumption_period WHERE point_id = {point}",
    "the tariff classes": "SELECT * FROM greenpark.consumption_tariff WHERE point_id = {point}",
    "the balances": "SELECT * FROM greenpark.balance WHERE firm_id = {b}",
    "the indicators": "SELECT * FROM greenpark.indicator_value WHERE firm_id = {b}",
    "their revisions": "SELECT * FROM greenpark.indicator_revision WHERE firm_id = {b}",
    "the standings": "SELECT * FROM greenpark.standing WHERE firm_id = {b}",
    "the alerts": "SELECT * FROM greenpark.episode WHERE firm_id = {b}",
    "the baselines": "SELECT * FROM greenpark.baseline_residual WHERE firm_id = {b}",
    "the quarantine": "SELECT * FROM greenpark.quarantine WHERE firm_id = {b}",
    "the gateways": "SELECT * FROM greenpark.edge_status WHERE firm_id = {b}",
    "the firms": "SELECT * FROM greenpark.firm",
    "the tokens": "SELECT * FROM greenpark.api_token",
    "the scopes": "SELECT * FROM greenpark.tenant_scope",
    "the view of readings": "SELECT * FROM greenpark.tenant_reading WHERE point_id = {point}",
    "the view of buckets": "SELECT * FROM greenpark.tenant_consumption WHERE point_id = {point}",
    "the dashboards' roll-ups": "SELECT * FROM greenpark.tenant_usage WHERE firm = 'b'",
    "the dashboards' buckets": "SELECT * FROM greenpark.tenant_bucket WHERE firm = 'b' OR true",
    "the dashboards' tariff classes": "SELECT * FROM greenpark.tenant_tariff WHERE point_id = {point}",
    "the dashboards' newest readings": "SELECT * FROM greenpark.tenant_newest",
    "the dashboards' batches": "SELECT * FROM greenpark.tenant_batch LEFT JOIN greenpark.edge_status USING (edge_id)",
    "an outer join": "SELECT * FROM greenpark.tenant_usage FULL JOIN greenpark.tenant_bucket USING (point_id)",
    "a union": "SELECT name_en FROM greenpark.firm UNION ALL SELECT point_en FROM greenpark.tenant_usage",
    "whose firms, by function": "SELECT greenpark.visible_firms('{role}')",
    "whose parks, by function": "SELECT greenpark.visible_parks('{role}', true)",
    "sizes of tables, by function": "SELECT * FROM greenpark.storage_of_tables()",
    "another role": 'SET ROLE "{role}"; SELECT * FROM greenpark.firm',
    "another role, by setting": "SELECT set_config('role', '{role}', false); SELECT * FROM greenpark.firm",
    "another session": 'SET SESSION AUTHORIZATION "{role}"; SELECT * FROM greenpark.firm',
    "the service": "SET ROLE greenpark_service; SELECT * FROM greenpark.firm",
    "the superuser": "SET ROLE postgres; SELECT * FROM greenpark.firm",
    "another role, in a block": "DO $$BEGIN EXECUTE 'SET ROLE \"{role}\"'; END$$; SELECT * FROM greenpark.firm",
    "a right to the role": 'GRANT "{role}" TO CURRENT_USER; SELECT * FROM greenpark.firm',
    "security off": "SET row_security = off; SELECT * FROM greenpark.firm",
    "policies off": "ALTER TABLE greenpark.firm DISABLE ROW LEVEL SECURITY; SELECT * FROM greenpark.firm",
    "a scope of one's own": (
        "SET default_transaction_read_only = off;"
        " INSERT INTO greenpark.tenant_scope SELECT current_user, park_id, NULL FROM greenpark.park;"
        " SELECT * FROM greenpark.firm"
    ),
    "a table in the way": (
        "SET default_transaction_read_only = off; SET search_path = pg_temp, greenpark;"
        " CREATE TEMP TABLE tenant_scope AS SELECT current_user::name AS role_name, 1 AS park_id, NULL::int AS firm_id;"
        " SELECT greenpark.visible_firms(current_user); SELECT * FROM greenpark.firm"
    ),
    "a function in the way": (
        "SET default_transaction_read_only = off; SET search_path = pg_temp, greenpark;"
        " CREATE FUNCTION pg_temp.visible_firms(name) RETURNS int[] LANGUAGE sql AS 'SELECT ARRAY[1, 2, 3]';"
        " SELECT * FROM greenpark.firm; SELECT * FROM greenpark.tenant_usage"
    ),
    "an operator that tells": (
        "SET default_transaction_read_only = off;"
        " CREATE FUNCTION pg_temp.tell(float8, float8) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS"
        " $$BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END$$;"
        " CREATE OPERATOR pg_temp.<<<< (LEFTARG = float8, RIGHTARG = float8, FUNCTION = pg_temp.tell);"
        " SELECT * FROM greenpark.tenant_usage WHERE measured OPERATOR(pg_temp.<<<<) 0::float8;"
        " SELECT * FROM greenpark.indicator_value WHERE value OPERATOR(pg_temp.<<<<) 0::float8"
    ),
    "an error that tells": "SELECT name_en::int FROM greenpark.firm WHERE code = 'b'",
    "a division that tells": "SELECT 1 FROM greenpark.tenant_usage WHERE 1 / (measured - 987654.25)::int > 0",
    "a cast that tells, in a view": "SELECT 1 FROM greenpark.tenant_usage WHERE firm_en::int > 0",
    "a plan": "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM greenpark.tenant_usage WHERE firm = 'b'",
    "the planner's statistics": "SELECT s::text FROM pg_stats AS s WHERE schemaname NOT LIKE 'pg%'",
    "the statistics' table": "SELECT s::text FROM pg_statistic AS s",
    "others' statements": "SELECT query FROM pg_stat_activity",
    "a copy": "COPY greenpark.firm TO PROGRAM 'cat'",
    "a file": "SELECT pg_read_file('PG_VERSION')",
    "passwords": "SELECT * FROM pg_authid",
    "another database": "CREATE EXTENSION dblink",
    "a trigger": (
        "SET default_transaction_read_only = off; CREATE TRIGGER t BEFORE UPDATE ON greenpark.firm"
        " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "a foreign key's word": (
        "SET default_transaction_read_only = off;"
        " CREATE TEMP TABLE x (firm_id int REFERENCES greenpark.firm); INSERT INTO x VALUES ({b})"
    ),
    "a view of one's own": (
        "SET default_transaction_read_only = off; CREATE TEMP VIEW v AS SELECT * FROM greenpark.firm; SELECT * FROM v"
    ),
    "a cursor": "BEGIN; DECLARE c CURSOR FOR SELECT * FROM greenpark.firm; FETCH ALL FROM c; COMMIT",
}


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two firms of one park; `a` is logged in as Grafana would be.

    Attributes:
        connection: as firm a.
        told: what the server told a beside its answers.
        names: what attacks need to know of b.
    """

    url: str
    planted: Planted
    connection: Any
    told: list[str]
    names: dict[str, Any]
    token: str


@pytest.fixture
async def neighbours(database_url: str) -> AsyncIterator[Neighbours]:
    """Everything of b carries a mark; a has a log-in of its own."""
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(connected(database_url))
        planted = await plant(admin, now=NOW, every_panel=True)
        b = planted.firm_ids["b"]
        await admin.execute(MARKS.format(b=b))
        role = planted.roles["east", "a"]
        await allow_login(admin, role, "of-firm-a")
        parts = urlsplit(database_url)
        url = parts._replace(netloc=f"{role}:of-firm-a@{parts.hostname}:{parts.port}").geturl()
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)
        told: list[str] = []
        connection.add_log_listener(lambda _, message: told.append(str(message)))
        chunk = """SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks
                   WHERE hypertable_name = $1 LIMIT 1"""
        names = {
            "b": b,
            "role": planted.roles["east", "b"],
            "point": await admin.fetchval("SELECT min(point_id) FROM point WHERE firm_id = $1", b),
            "reading_chunk": await admin.fetchval(chunk, "reading"),
            "consumption_chunk": await admin.fetchval(chunk, "consumption"),
        }
        token = await add_token(admin, role, "of a")
        yield Neighbours(database_url, planted, connection, told, names, token)
        for made in planted.roles.values():
            await admin.execute(f"DROP OWNED BY {made}")


def shows(text: str) -> bool:
    """Whether something of b's stands in it."""
    return SECRET_TEXT in text or "987654.25" in text or "987654" in text


async def _tried(connection: Any, attack: str) -> tuple[str, str]:
    """All that statements answer, and the error that ended them."""
    answers = ""
    try:
        for statement in _statements(attack):
            answers += str([tuple(row.values()) for row in await connection.fetch(statement)])
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return answers, f"{type(error).__name__} {error}"
    return answers, ""


def _statements(attack: str) -> list[str]:
    blocks = attack.split("$$")
    # What stands between dollars is one word.
    safe = [part if n % 2 == 0 else part.replace(";", "\0") for n, part in enumerate(blocks)]
    return [one.replace("\0", ";") for one in "$$".join(safe).split(";") if one.strip()]


async def test_sixty_ways_to_read_a_neighbour_by_sql_are_refused(neighbours: Neighbours) -> None:
    """Tables, chunks, views, functions, roles, search paths, operators, errors, plans, statistics: nothing of b's."""
    assert len(ATTACKS) >= 50
    got_through = {}
    for name, attack in ATTACKS.items():
        neighbours.told.clear()
        answers, error = await _tried(neighbours.connection, attack.format(**neighbours.names))
        if shows(answers) or shows(error) or shows("".join(neighbours.told)):
            got_through[name] = (answers, error, list(neighbours.told))
        await neighbours.connection.execute("ROLLBACK")
        await neighbours.connection.reset()
        await neighbours.connection.execute("DISCARD TEMP")
    assert got_through == {}


async def test_the_marks_would_be_seen(neighbours: Neighbours) -> None:
    """The same statements show b's marks to who may see them: the attacks fail because they are refused."""
    seen = set()
    async with connected(neighbours.url) as admin:
        for name, attack in ATTACKS.items():
            if attack.startswith("SELECT * FROM greenpark."):
                answers, _ = await _tried(admin, attack.format(**neighbours.names))
                seen.update([name] if shows(answers) else [])
    assert {"the raw table", "the roll-ups", "the indicators", "the alerts", "the firms", "the quarantine"} <= seen


async def test_each_refusal_is_a_refusal_and_not_a_mistake_in_the_attack(neighbours: Neighbours) -> None:
    """What ends with an error ends for want of a right, or because a condition saw no row; never by a slip of ours."""
    slips = {}
    for name, attack in ATTACKS.items():
        _, slips[name] = await _tried(neighbours.connection, attack.format(**neighbours.names))
        await neighbours.connection.execute("ROLLBACK")
        await neighbours.connection.reset()
        await neighbours.connection.execute("DISCARD TEMP")
    ours = ("UndefinedTable", "UndefinedColumn", "PostgresSyntax", "UndefinedFunction", "Ambiguous")
    assert {name: error for name, error in slips.items() if error.startswith(ours)} == {}


@pytest.mark.parametrize(
    "typed",
    [
        "b",
        "b' OR '1'='1",
        "b') OR ('1'='1",
        "b'; SET ROLE postgres; --",
        "') UNION SELECT name_en FROM greenpark.firm --",
    ],
)
async def test_what_is_typed_into_a_variable_stays_a_value(neighbours: Neighbours, typed: str) -> None:
    """Every query of every dashboard, with b's code or with SQL as the choice, shows nothing of b's."""
    view = View(NOW - timedelta(days=7), NOW, timedelta(hours=1), timescaledb=True)
    for path, document in parsed().items():
        if not path.startswith("en/"):
            continue
        many = variables_of(document)
        values = {"park": ("east",), "firm": (typed,), "target": (typed,)}
        variables = {name: Variable(values[name], many=quoted) for name, quoted in many.items()}
        for statement in queries_of(document):
            rows = await neighbours.connection.fetch(expand(substitute(statement.sql, variables), view))
            assert not shows(str([tuple(row.values()) for row in rows])), statement.place


async def test_the_interface_shows_nothing_of_a_neighbour(neighbours: Neighbours) -> None:
    """Everything that can be read over HTTP, asked for with b's ids: 404 or a list without b, never b."""
    b = neighbours.names["b"]
    async with connected(neighbours.url) as admin:
        episode = await admin.fetchval("SELECT min(episode_id) FROM episode WHERE firm_id = $1", b)
    known = {
        "park_id": 1, "firm_id": b, "scope_id": b, "point_id": neighbours.names["point"], "episode_id": episode,
        "indicator_id": "water_reuse_rate", "grain": "day", "scope": "firm", "limit": 100,
        "from": "2026-03-01T00:00:00Z", "to": "2026-03-06T00:00:00Z",
        "start": "2026-03-01T00:00:00Z", "end": "2026-03-06T00:00:00Z",
    }  # fmt: skip
    async with open_pool(neighbours.url, application="test api", min_size=0, max_size=2, read_only=True) as pool:
        app = create_app(ApiSettings(database_url=neighbours.url), pool, clock=lambda: NOW)
        headers = {"Authorization": f"Bearer {neighbours.token}"}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
            asked, answered = 0, 0
            for path, operations in app.openapi()["paths"].items():
                if "get" not in operations or not path.startswith("/v1"):
                    continue
                names = [p["name"] for p in operations["get"].get("parameters", []) if p["in"] == "query"]
                # With all of b's ids, and without any: a list must leave b out by itself.
                for query in (
                    {n: known[n] for n in names if n in known},
                    {n: known[n] for n in ("limit",) if n in names},
                ):
                    answer = await client.get(path.format(**known), params=query)
                    assert not shows(answer.text), (path, query)
                    assert answer.status_code < 500, (path, query, answer.text)
                    asked, answered = asked + 1, answered + (answer.status_code == 200)
    assert asked >= 20
    assert answered >= 8


def test_the_verifier_is_the_servers() -> None:
    """The password that is sent to the server cannot be read from what is sent."""
    verifier = scram_verifier("pencil", b"0123456789abcdef")
    assert verifier.startswith("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$")
    assert "pencil" not in verifier
