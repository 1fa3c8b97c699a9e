"""`greenpark grafana sync` against a double of Grafana's documented interface, and the log-ins it makes for real."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.main import app
from dashboards.build import parsed
from dashboards.errors import GrafanaError, PeopleError
from dashboards.grafana import grafana_at
from dashboards.sync import Database, Person, organisation_name, read_people, role_password, sync
from store.pool import connected
from store.specimen import PARKS, plant
from store.tenants import TenantHome
from tests.dashboards.grafana_double import Double

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE = Database("db", 5432, "greenpark")
SECRET = b"a secret of more than twenty-four characters"
HOMES = [
    TenantHome("gp_db_east_all", "east", None, "Asia/Shanghai"),
    TenantHome("gp_db_east_a", "east", "a", "Asia/Shanghai"),
]
PEOPLE = (Person("li.wei", "李伟", "east"), Person("zhao", "赵", "east", "a", "zhao@example.com", "Editor"))


def run(double: Double, homes: list[TenantHome] = HOMES, people: tuple[Person, ...] = PEOPLE, **more: Any) -> Any:
    """One sync; first passwords are kept in `double.kept`."""
    kept = getattr(double, "kept", {})
    double.kept = kept
    double.calls.clear()
    with grafana_at("http://grafana", *double.log_in, transport=double.transport()) as grafana:
        grafana.version()
        given = {"keep_password": kept.__setitem__} | more
        return sync(grafana, homes, people, given.pop("database", DATABASE), given.pop("secret", SECRET), **given)


def test_each_tenant_gets_an_organisation_of_its_own() -> None:
    """A data source with its own role, both folders, all pages (a firm none about the platform), its time zone."""
    double = Double()
    done = run(double)
    assert set(done.organisations) == {"GreenPark east", "GreenPark east a"}
    park, firm = (double.orgs[done.organisations[organisation_name("east", who)]] for who in (None, "a"))
    assert park.sources["tsdb"]["user"] == "gp_db_east_all"
    assert firm.sources["tsdb"]["user"] == "gp_db_east_a"
    passwords = {org.sources["tsdb"]["secureJsonData"]["password"] for org in (park, firm)}
    assert passwords == {role_password(SECRET, home.role) for home in HOMES}
    assert len(passwords) == 2
    uids = {document["uid"] for document in parsed().values()}
    assert set(park.boards) == uids
    assert uids - set(firm.boards) == {"greenpark-platform-zh", "greenpark-platform-en"}
    assert set(park.folders) == {"greenpark-zh", "greenpark-en"}
    assert park.preferences == {"homeDashboardUID": "greenpark-today-zh", "timezone": "Asia/Shanghai"}
    assert double.orgs[1].sources == {}


def test_a_second_run_changes_nothing() -> None:
    """No call that could change something is made, although Grafana answers with fields of its own."""
    double = Double()
    assert run(double).changes > 0
    again = run(double)
    assert (again.changes, double.calls) == (0, [])


def test_what_somebody_changed_is_mended() -> None:
    """A page edited by hand, a page of an earlier version, a role, a data source, a folder's title."""
    double = Double()
    done = run(double)
    org = double.orgs[done.organisations["GreenPark east"]]
    org.boards["greenpark-water-en"]["dashboard"]["panels"].pop()
    org.boards["old"] = {"meta": {"folderUid": "greenpark-en"}, "dashboard": {"title": "Old", "uid": "old"}}
    org.boards["theirs"] = {"meta": {"folderUid": "elsewhere"}, "dashboard": {"title": "Theirs", "uid": "theirs"}}
    org.sources["tsdb"]["user"] = "somebody"
    org.members["li.wei"] = "Admin"
    org.folders["greenpark-en"]["title"] = "Else"
    counts = run(double).counts
    assert counts["dashboards"]["changed"] == 1
    assert counts["dashboards"]["removed"] == 1
    assert "theirs" in org.boards
    assert org.sources["tsdb"]["user"] == "gp_db_east_all"
    assert (org.members["li.wei"], org.folders["greenpark-en"]["title"]) == ("Viewer", "GreenPark")
    assert run(double).changes == 0


def test_a_new_secret_reaches_the_data_sources() -> None:
    """Grafana does not give passwords back; the fingerprint tells that they differ, and does not tell them."""
    double = Double()
    run(double)
    other = b"another secret of more than twenty-four characters"
    assert run(double, secret=other).counts["data_sources"] == {"changed": 2}
    sources = [org.sources["tsdb"] for org in double.orgs.values() if org.sources]
    assert {s["secureJsonData"]["password"] for s in sources} == {role_password(other, home.role) for home in HOMES}
    assert all(s["secureJsonData"]["password"] not in json.dumps(s["jsonData"]) for s in sources)


def test_people_are_made_once_with_a_password_that_is_kept() -> None:
    """A user gets into the own organisation and no other, with the role asked for; a known one keeps the password."""
    double = Double()
    done = run(double)
    park, firm = (double.orgs[done.organisations[organisation_name("east", who)]] for who in (None, "a"))
    assert (park.members["li.wei"], firm.members["zhao"]) == ("Viewer", "Editor")
    assert "zhao" not in park.members
    assert "li.wei" not in firm.members
    assert {login: double.passwords[login] for login in ("li.wei", "zhao")} == double.kept
    before = dict(double.passwords)
    run(double, people=(Person("li.wei", "李伟二", "east"), PEOPLE[1]))
    assert double.users["li.wei"]["name"] == "李伟二"
    assert double.passwords == before


def test_a_new_user_needs_a_place_for_the_password() -> None:
    """Without one nobody is made, and the message says what to do."""
    double = Double()
    with pytest.raises(PeopleError, match="--passwords"):
        run(double, keep_password=None)
    assert set(double.users) == {"admin"}


def test_whoever_is_faster_is_no_error() -> None:
    """Another run that makes the same things between our look and our call: 409 and 412 are taken as done."""
    double = Double()
    answer = double.answer
    blind = {"armed": True}

    def late(method: str, url: str, headers: dict[str, str], text: str) -> tuple[int, Any]:
        path = urlsplit(url).path
        if blind["armed"] and method == "GET" and path.startswith(("/api/datasources/uid", "/api/folders/")):
            return 404, {"message": "not yet"}
        return answer(method, url, headers, text)

    run(double)
    double.answer = late  # type: ignore[method-assign]
    assert run(double).counts["data_sources"] == {"unchanged": 2}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda d: setattr(d, "log_in", ("admin", "other")), "server administrator"),
        (lambda d: d.provisioned.add("tsdb"), "changed in the file"),
    ],
)
def test_a_refusal_says_what_to_do(damage, told: str) -> None:
    """A wrong log-in, or a data source that a file provisions."""
    double = Double()
    run(double)
    for org in double.orgs.values():
        for source in org.sources.values():
            source["user"] = "x"
    transport = double.transport()
    log_in = double.log_in
    damage(double)

    def again() -> None:
        with grafana_at("http://grafana", *log_in, transport=transport) as grafana:
            grafana.version()
            sync(grafana, HOMES, (), DATABASE, SECRET)

    with pytest.raises(GrafanaError, match=told):
        again()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"user": [{"login": "x", "name": "X", "park": "east", "firm": "nobody"}]}, "greenpark park show"),
        ({"user": [{"login": "x", "name": "X", "park": "east", "role": "Admin"}]}, "Viewer or Editor"),
        ({"user": [{"name": "X", "park": "east"}]}, "login"),
        ({"user": [{"login": "x", "name": "X", "park": "east", "colour": "red"}]}, "colour"),
    ],
)
def test_a_wrong_list_of_people_is_refused_with_the_place(document: dict[str, Any], told: str) -> None:
    """An unknown firm, a role that could change the data source, a missing or unknown field."""
    with pytest.raises(PeopleError, match=told):
        read_people(document, HOMES)


@pytest.fixture
def server() -> Iterator[tuple[str, Double]]:
    """The double behind a real socket."""
    double = Double()

    class Handler(BaseHTTPRequestHandler):
        def _go(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode() or "null"
            status, body = double.answer(self.command, self.path, dict(self.headers), text)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _go  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", double
        http.shutdown()
        thread.join()


@pytest.mark.stack
async def test_the_command_makes_log_ins_that_see_their_own_and_nothing_else(
    database_url: str, server: tuple[str, Double], tmp_path: Path, monkeypatch
) -> None:
    """From the command line to a query as Grafana would send it, with the user and password of the data source."""
    url, double = server
    async with connected(database_url) as connection:
        await plant(connection, now=datetime(2026, 3, 5, 10, 0, tzinfo=UTC))
    (tmp_path / "users.toml").write_text(
        '[[user]]\nlogin = "li.wei"\nname = "李伟"\npark = "east"\nfirm = "a"\n', "utf-8"
    )
    monkeypatch.setenv("GREENPARK_DATABASE_URL", database_url)
    monkeypatch.setenv("GREENPARK_GRAFANA_PASSWORD", "secret")
    arguments = [
        "grafana", "sync", "--url", url, "--secret-file", str(tmp_path / "secret"), "--sslmode", "disable", "--json",
        "--users", str(tmp_path / "users.toml"), "--passwords", str(tmp_path / "passwords"),
    ]  # fmt: skip
    first = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert set(told["organisations"]) == {
        organisation_name(park, firm) for park, firms in PARKS.items() for firm in (None, *firms)
    }
    again = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert json.loads(again.stdout)["changes"] == 0
    for file in ("secret", "passwords"):
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o600
    login, password = (tmp_path / "passwords").read_text().split()
    assert (login, double.passwords["li.wei"]) == ("li.wei", password)
    source = double.orgs[told["organisations"]["GreenPark east a"]].sources["tsdb"]
    host, port = source["url"].split(":")
    viewer = await asyncpg.connect(
        host=host, port=int(port), user=source["user"], password=source["secureJsonData"]["password"],
        database=source["jsonData"]["database"],
    )  # fmt: skip
    try:
        assert [row["code"] for row in await viewer.fetch("SELECT code FROM greenpark.firm")] == ["a"]
        assert await viewer.fetchval("SHOW default_transaction_read_only") == "on"
        assert await viewer.fetchval("SHOW statement_timeout") == "15s"
        assert await viewer.fetchval("SHOW jit") == "off"
    finally:
        await viewer.close()
    async with connected(database_url) as connection:
        for row in await connection.fetch("SELECT DISTINCT role_name FROM tenant_scope"):
            await connection.execute(f"DROP OWNED BY {row['role_name']}; DROP ROLE {row['role_name']}")
