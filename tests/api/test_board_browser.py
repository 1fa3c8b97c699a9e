"""The board in a real browser: what a person sees, presses and reads, on a phone and on a meeting room's screen.

The browser is the machine's, or Debian's, brought like the database. Without one these tests fail;
`GREENPARK_NO_BROWSER=1` leaves them out, for a developer who says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.settings import ApiSettings
from cli.stack.components import bring_browser
from cli.stack.places import open_places
from ingest.commit import Arrival, Writer
from ingest.decode import Registry, decode
from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
from park.points import Direction, Kind
from park.wire import ROOT, Batch, Status, encode
from store.pool import connected
from store.registry import apply_definition, edges
from store.tenants import add_tenant, add_token
from streams.process import run as run_streams
from streams.settings import StreamsSettings
from tests.api.browser import Browser, Page, hosts, started
from tests.api.test_process import free_port, running
from tests.conftest import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(300),  # the first time the browser is downloaded
    pytest.mark.skipif(os.environ.get("GREENPARK_NO_BROWSER") == "1", reason="GREENPARK_NO_BROWSER=1"),
]

FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>"""


@pytest.fixture(scope="session")
def browser_program() -> Any:
    """A headless Chromium; bringing it is no part of a test's time."""
    return bring_browser(open_places(CHECKOUT / "var").components)


@pytest.fixture
async def browser(browser_program: Any, tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser of this test's own."""
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    if browser_program.fonts is not None:
        (tmp_path / "fonts.conf").write_text(FONTS.format(fonts=browser_program.fonts, cache=tmp_path / "fonts"))
        environ["FONTCONFIG_FILE"] = str(tmp_path / "fonts.conf")
    async with started(browser_program.program, environ) as found:
        yield found


def point(code: str, name: str, carrier: str, unit: str, direction: Direction = Direction.IN) -> PointDefinition:
    meter = InstallationDefinition(serial=code, valid_from=datetime(2025, 1, 1, tzinfo=UTC), multiplier=1.0)
    return PointDefinition(
        code=code, name_zh=name, name_en=f"{carrier} of {code}", kind=Kind.REGISTER, carrier=carrier, unit=unit,
        direction=direction, edge="gw1", interval_s=300, installations=[meter],
    )  # fmt: skip


def firm(code: str, zh: str, en: str) -> FirmDefinition:
    return FirmDefinition(
        code=code, name_zh=zh, name_en=en, industry="test", edges=["gw1"],
        points=[
            point("E", "总电表", "electricity", "kWh"),
            point("W", "新水表", "fresh_water", "m3"),
            point("D", "排水表", "wastewater", "m3", Direction.OUT),
            point("R", "循环水表", "recirculated_water", "m3", Direction.INTERNAL),
        ],
    )  # fmt: skip


LONG = "甲厂，名字很长的一家新能源材料有限责任公司", "A Rather Long Name for a Firm of New Materials Ltd"
PARK = ParkDefinition(
    code="p",
    name_zh="测试园区",
    name_en="Test Park",
    target_packs=["tongliang-district-2025"],
    firms=[firm("a", *LONG), firm("b", "乙厂", "Firm B")],
)
FLOWS = {"E": 1200.0, "W": 40.0, "D": 25.0, "R": 500.0}
"""Per hour."""


@dataclass
class World:
    """A park whose readings go the real way: ingest's writer, the streams process, the API process."""

    url: str
    database_url: str
    tokens: dict[str, str]
    firm_ids: dict[str, int]
    registry: Registry
    seq: int = 0

    async def send(self, *firms: str, until: datetime, hours: float = 0.0, extra_kwh: float = 0.0) -> None:
        """Let the firms' gateways send readings of the hours before an instant, one in five minutes."""
        minutes = [until - timedelta(minutes=m) for m in range(int(hours * 60) // 5 * 5, -1, -5)]
        origin = datetime(2026, 1, 1, tzinfo=UTC)
        arrivals = []
        for code in firms:
            self.seq += 1
            names = list(FLOWS)
            rows = [
                (n, t, per_h * (t - origin).total_seconds() / 3600 + (extra_kwh if name == "E" else 0.0))
                for t in minutes
                for n, (name, per_h) in enumerate(FLOWS.items())
            ]
            batch = Batch(
                points=names,
                i=[n for n, _, _ in rows],
                t=[int(t.timestamp() * 1000) for _, t, _ in rows],
                v=[v for _, _, v in rows],
                boot="boot",
                seq=self.seq,
            )
            status = Status(boot="boot", at=int(until.timestamp() * 1000), online=True)
            arrivals += [self._arrival(code, "data", batch, until), self._arrival(code, "status", status, until)]
        writer = Writer(self.database_url, random.Random(0), transaction_limit_s=20, name="test")
        try:
            await writer.write(arrivals, self.registry.firm_of)
        finally:
            await writer.close()

    def _arrival(self, code: str, channel: str, message: Any, at: datetime) -> Arrival:
        topic, payload = f"{ROOT}/p/{code}/gw1/{channel}", encode(message)
        decoded = decode(topic, payload, None, self.registry, int(at.timestamp() * 1000), future_limit_ms=600_000)
        return Arrival(topic, payload, None, decoded)


@asynccontextmanager
async def world_of(database_url: str, park: ParkDefinition, **settings: Any) -> AsyncIterator[World]:
    async with connected(database_url) as connection:
        await apply_definition(connection, park)
        registry = Registry(await edges(connection))
        tokens = {
            name: await add_token(connection, await add_tenant(connection, "p", code), f"board of {name}")
            for name, code in {"park": None, **{f.code: f.code for f in park.firms}}.items()
        }
        rows = await connection.fetch("SELECT code, firm_id FROM firm")
    firm_ids = {row["code"]: row["firm_id"] for row in rows}
    port = free_port()
    stop = asyncio.Event()
    streams = StreamsSettings(database_url, min_pass_s=0.05)
    computing = asyncio.create_task(run_streams(streams, stop=stop))
    try:
        async with running(ApiSettings(database_url, port=port, board_gap_s=0.1, **settings)):
            yield World(f"http://127.0.0.1:{port}/", database_url, tokens, firm_ids, registry)
    finally:
        stop.set()
        await asyncio.wait_for(computing, 20)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A park with a day of readings up to now, whose board opens without a token on this machine."""
    file = tmp_path / "token"
    async with world_of(database_url, PARK, board_token_file=file) as found:
        file.write_text(found.tokens["park"])
        await found.send("a", "b", until=datetime.now(UTC), hours=25)
        yield found


EPISODE = """
    INSERT INTO episode (park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began,
                         opened, title_zh, title_en, evidence, seen)
    SELECT park_id, firm_id, 'r', 1, 'c', 'firm', firm_id, 'open', 'critical', now(), now(), '泵停', 'A pump stopped',
           '{}', now() FROM firm WHERE code = 'b'
"""
STANDING = """
    INSERT INTO standing (park_id, scope, scope_id, pack_id, pack_version, target_id, as_of, state, sentence_zh,
                          sentence_en, value, target_value, required, projection, run_id)
    SELECT park_id, 'park', park_id, 'own', 1, 'own-target', now(), 'at_risk', '', '', 91, 90, 90, 89, 1 FROM park
"""
LIVE = "document.querySelector('#live').dataset.state === 'live'"
TEXT = "document.querySelector('{}')?.innerText ?? ''"
NO_SIDEWAYS = """(() => {
  const wide = document.documentElement.scrollWidth > innerWidth;
  const out = [...document.querySelectorAll('main *')].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !one.closest('dialog, .as-table, svg');
  });
  return wide ? 'the page' : out.length ? out[0].outerHTML.slice(0, 200) : '';
})()"""


def calm(page: Page, url: str) -> None:
    """Nothing was complained of, and nobody else was asked."""
    assert page.complaints == []
    assert hosts(page.requests) == {url.split("/")[2]}


async def text(page: Page, selector: str) -> str:
    return await page.run(TEXT.format(selector))


async def test_it_opens_shows_a_park_and_follows_a_reading_as_it_arrives(browser: Browser, world: World) -> None:
    """Loads without a token being typed, and a new reading changes a number without anybody reloading."""
    async with browser.page(1920, 1080) as page:
        await page.open(world.url + "?lang=en")
        await page.until(LIVE)
        await page.until("document.querySelector('[data-tile=load] .big').textContent.includes('2,400')")
        assert await text(page, "#subject") == "Test Park"
        await page.until("document.querySelector('#targets').innerText.includes('too little of the period')")
        await page.until("document.querySelector('[data-tile=water_reuse_rate] .big').textContent.startsWith('92.6')")
        assert "Fresh water" in await text(page, "#water")
        assert "Difference" in await text(page, "#water")
        assert "2/2" in await text(page, "#health")
        assert "Nothing needs attention" in await text(page, "#episodes")
        assert await page.run("document.querySelectorAll('#flow canvas, #load canvas').length") == 2
        await page.run("window.still = true")
        energy = await text(page, "[data-tile=comprehensive_energy_equivalent] .big")
        now = datetime.now(UTC)
        await world.send("a", "b", until=now + timedelta(seconds=1), extra_kwh=90.0)
        shown = "document.querySelector('[data-tile=comprehensive_energy_equivalent] .big').innerText"
        await page.until(f"{shown} !== {json.dumps(energy)}")
        async with connected(world.database_url) as connection:
            await connection.execute(EPISODE)
            await connection.execute(STANDING)
            await connection.execute("SELECT pg_notify('greenpark_standing', park_id::text) FROM park")
        await page.until("document.querySelector('#episodes').innerText.includes('A pump stopped')")
        assert "A pump stopped" in await text(page, "#news")  # said aloud, too
        row = await text(page, "#targets .row")
        assert [word for word in ("own-target", "at risk", "91", "89") if word not in row] == []
        assert await page.run("document.querySelectorAll('#targets .bullet .mark').length") == 3
        assert await page.run("window.still") is True
        calm(page, world.url)


@pytest.mark.parametrize(("width", "height", "phone"), [(390, 844, True), (1920, 1080, False), (1024, 768, False)])
async def test_it_fits_its_screen_in_both_languages(
    browser: Browser, world: World, width: int, height: int, phone: bool
) -> None:
    """Nothing hangs over the edge; a meeting room's screen shows all without scrolling; canvases have a size."""
    async with browser.page(width, height, phone=phone) as page:
        for lang in ("zh-CN", "en"):
            await page.open(f"{world.url}?lang={lang}")
            await page.until(LIVE)
            await page.until("document.querySelector('#flow canvas')?.height > 100")
            assert await page.run(NO_SIDEWAYS) == ""
            if width == 1920:
                assert await page.run("document.documentElement.scrollHeight <= innerHeight")
        calm(page, world.url)


async def test_the_language_changes_everywhere_and_is_remembered(browser: Browser, world: World) -> None:
    """A key, a button or the address chooses; the next visit keeps it; no word of the other language is left."""
    async with browser.page() as page:
        await page.open(world.url + "?lang=zh-CN")
        await page.until(LIVE)
        assert await page.run("document.documentElement.lang") == "zh-CN"
        assert await text(page, "#live") == "实时"
        await page.press("l")
        await page.until("document.querySelector('#subject').textContent === 'Test Park'")
        assert await page.run("document.documentElement.lang") == "en"
        assert await page.run("/[\\u4e00-\\u9fff]/.test(document.querySelector('main').innerText)") is False
        assert await page.run("new URLSearchParams(location.search).get('lang')") == "en"
        await page.open(world.url)
        await page.until(LIVE)
        assert await text(page, "#targets-title") == "Targets"
        await page.run("document.querySelector('#lang').click()")
        assert await text(page, "#targets-title") == "目标进展"
        calm(page, world.url)


async def test_a_firms_token_opens_the_firms_own_board_and_no_other(browser: Browser, world: World) -> None:
    """Typed once, kept in a cookie that scripts cannot read; the other firm is nowhere on the page."""
    async with browser.page() as page:
        host = world.url.replace("127.0.0.1", "board.localhost")  # no name of this machine that the token file is for
        await page.open(host + "?lang=en")
        await page.until("!document.querySelector('#sign').hidden")
        await page.write("gp_wrong")
        await page.press("Enter")
        await page.until("document.querySelector('#sign-bad').textContent.includes('unknown')")
        assert len(page.complaints) == 1  # the browser tells of the 401
        page.complaints.clear()
        await page.run("document.querySelector('#token').value = ''; document.querySelector('#token').focus()")
        await page.write(world.tokens["a"])
        await page.press("Enter")
        await page.until(LIVE)
        await page.until("document.querySelector('#subject').textContent.startsWith('A Rather Long')")
        assert "Firm B" not in await page.run("document.body.innerText")
        assert await page.run("document.cookie") == ""
        await page.open(f"{host}?lang=en&firm={world.firm_ids['b']}")
        await page.until("document.querySelector('#notice').innerText.includes('may not see')")
        calm(page, host)


async def test_a_number_opens_its_explanation_and_the_keyboard_does_it_all(browser: Browser, world: World) -> None:
    """Tab reaches the numbers in the order they are seen, Enter explains, Escape returns to where one was."""
    async with browser.page(1920, 1080) as page:
        await page.open(world.url + "?lang=en")
        await page.until(LIVE)
        await page.until("document.querySelector('[data-key=tile-water_reuse_rate]')")
        seen = []
        for _ in range(60):
            await page.press("Tab")
            place = "document.activeElement.closest('section')?.id ?? document.activeElement.id"
            if (where := await page.run(place)) not in seen:
                seen.append(where)
        order = ["tiles", "targets", "episodes", "flow", "load", "water", "health"]
        assert [name for name in seen if name in order] == order
        await page.run("document.querySelector('[data-key=tile-water_reuse_rate]').focus()")
        await page.press("Enter")
        await page.until("document.querySelector('#explain[open] table')")
        explained = await text(page, "#explain")
        for word in ("numerator", "denominator", "rests on", "program version"):
            assert word in explained
        await page.press("Escape")
        await page.until("!document.querySelector('#explain').open")
        assert await page.run("document.activeElement.dataset.key") == "tile-water_reuse_rate"
        await page.press("?")
        await page.until("document.querySelector('#keys').open")
        await page.press("Escape")
        await page.press("g")
        assert await page.run("document.querySelector('[data-grain=month]').ariaPressed") == "true"
        await page.press("3")
        assert await page.run("document.activeElement.id") == "flow"
        nameless = [
            role for role, name in await page.names() if role in {"button", "link", "image", "combobox"} and not name
        ]
        assert nameless == []
        calm(page, world.url)


async def test_it_says_when_it_has_lost_the_server_and_comes_back_by_itself(
    browser: Browser, database_url: str, tmp_path: Path
) -> None:
    """Never "live" over old numbers: reconnecting with the time of the data, then live again, without a reload."""
    file = tmp_path / "token"
    settings = ApiSettings(database_url, port=free_port(), board_token_file=file)
    url = f"http://127.0.0.1:{settings.port}/?lang=en"
    async with world_of(database_url, PARK) as world, browser.page() as page:
        file.write_text(world.tokens["park"])
        await world.send("a", "b", until=datetime.now(UTC), hours=1)
        await page.media(prefers_reduced_motion="reduce")
        async with running(settings):
            await page.open(url)
            await page.until(LIVE)
            assert await page.run("getComputedStyle(document.querySelector('.dot')).animationName") == "none"
            await page.run("window.still = true")
        await page.until("document.querySelector('#live').dataset.state === 'reconnecting'")
        assert "data as of" in await text(page, "#live")
        assert await page.run("document.body.classList.contains('faded')")
        async with running(settings):
            await page.until(LIVE)
            assert await page.run("window.still") is True
            assert not await page.run("document.body.classList.contains('faded')")


async def test_the_first_minutes_and_old_readings_are_told_as_what_they_are(
    browser: Browser, database_url: str, tmp_path: Path
) -> None:
    """A park without readings shows no zero and says what to do; readings of an hour ago are stale, not live."""
    file = tmp_path / "token"
    async with world_of(database_url, PARK, board_token_file=file) as world, browser.page(390, 844, phone=True) as page:
        file.write_text(world.tokens["park"])
        await page.open(world.url + "?lang=en")
        await page.until("document.querySelector('#live').dataset.state === 'stale'")
        assert await text(page, "#live") == "No readings yet"
        for card, word in {"targets": "target_packs", "flow": "No energy data", "load": "No electricity data"}.items():
            assert word in await text(page, f"#{card}"), card
        tiles = await page.run("[...document.querySelectorAll('.tile .big')].map((one) => one.textContent)")
        assert tiles == ["—", "—", "—", "—", "0", "never"]
        assert await page.run(NO_SIDEWAYS) == ""
        await world.send("a", until=datetime.now(UTC) - timedelta(hours=1), hours=1)
        await page.until("document.querySelector('#live-text').textContent.startsWith('Stale since')")
        assert "60 min ago" in await text(page, "[data-tile=newest]")
        calm(page, world.url)
