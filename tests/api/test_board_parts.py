"""The board's pure parts: what is drawn of what is known, and what is said of what is not."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.board import power
from api.board.files import CSP, assets
from api.board.flow import energy_flow
from api.board.health import health
from api.board.quantity import Span
from api.board.targets import standings, tiles
from api.board.water import water_balance
from store.board import (
    BoardAmount,
    BoardBalance,
    BoardEdge,
    BoardFirm,
    BoardPoint,
    BoardStanding,
    BoardValue,
    Covered,
    LoadBucket,
)

START = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
NOW = START + timedelta(hours=10, minutes=5)
DAY = Span("day", START, START + timedelta(days=1), NOW)
FIRMS = [BoardFirm(1, "a", "甲", "A", industrial=True), BoardFirm(2, "b", "乙", "B", industrial=True)]
WORTH = {"electricity": 0.1229, "natural_gas": 1.2143}


def point(point_id: int, firm_id: int, carrier: str = "electricity", **more: Any) -> BoardPoint:
    unit = {"electricity": "kWh"}.get(carrier, "m3")
    given = {
        "edge_id": firm_id, "code": f"X-{point_id}", "name_zh": f"表{point_id}", "name_en": f"meter {point_id}",
        "kind": "register", "direction": "in", "unit": unit, "interval_s": 60, "role": "load", "parent_id": None,
        "newest": NOW,
    }  # fmt: skip
    return BoardPoint(point_id=point_id, firm_id=firm_id, carrier=carrier, **(given | more))


def amounts(**quantities: float | tuple[float | None, float | None] | None) -> dict[int, BoardAmount]:
    """Amounts by point, `p7=(measured, estimated)`; whole in time."""
    found = {}
    for name, given in quantities.items():
        measured, estimated = given if isinstance(given, tuple) else (given, None)
        found[int(name[1:])] = BoardAmount(int(name[1:]), "day", measured, estimated, DAY.elapsed_s, 0.0, 0.0)
    return found


def worth(points: list[BoardPoint]) -> dict[int, float]:
    return {p.point_id: WORTH[p.carrier] for p in points if p.carrier in WORTH}


def links(drawn: dict[str, Any]) -> dict[tuple[str, str], float]:
    return {(link["s"], link["t"]): link["v"] for link in drawn["links"]}


def test_a_park_flows_from_carriers_to_firms_to_what_leaves_them() -> None:
    """Sub-meters count once, losses and the rest come from balances, exports leave, all in kgce."""
    points = [
        point(1, 1),
        point(2, 1, direction="internal", parent_id=1),
        point(3, 1, direction="internal", parent_id=1, role="generation"),
        point(4, 1, direction="out", parent_id=1),
        point(5, 2, "natural_gas"),
    ]
    balance = BoardBalance(1, "day", 1200.0, 1100.0, 36.0, 64.0, 1.0, [])
    moved = amounts(p1=1000.0, p2=900.0, p3=200.0, p4=200.0, p5=50.0)
    drawn = energy_flow(DAY, points, FIRMS, moved, {1: balance}, worth(points), firm_id=None)
    assert links(drawn) == {
        ("carrier:electricity", "firm:1"): pytest.approx(122.9),
        ("carrier:natural_gas", "firm:2"): pytest.approx(60.715),
        ("onsite:generation", "firm:1"): pytest.approx(24.58),
        ("firm:1", "export"): pytest.approx(24.58),
        ("firm:1", "loss"): pytest.approx(36 * 0.1229, rel=1e-5),
        ("firm:1", "unaccounted"): pytest.approx(64 * 0.1229, rel=1e-5),
    }
    assert drawn["supply"] == pytest.approx(122.9 + 60.715 + 24.58)
    assert drawn["unknown"] == []
    assert not drawn["partial"]
    assert all(link["href"].startswith("/v1/consumption?point_id=") for link in drawn["links"])


def test_a_firm_flows_down_to_its_meters() -> None:
    """The firm's own diagram shows every meter of its graph."""
    points = [point(1, 1), point(2, 1, direction="internal", parent_id=1), point(3, 1, direction="out", parent_id=1)]
    drawn = energy_flow(DAY, points, FIRMS[:1], amounts(p1=100.0, p2=80.0, p3=10.0), {}, worth(points), firm_id=1)
    assert set(links(drawn)) == {
        ("carrier:electricity", "meter:1"),
        ("meter:1", "meter:2"),
        ("meter:1", "export"),
    }


def test_an_unknown_flow_is_named_and_not_drawn_as_zero() -> None:
    """No amount, and an amount without a quantity, both are unknown; a zero is known and has no width."""
    points = [point(1, 1), point(2, 2), point(3, 2, "natural_gas")]
    drawn = energy_flow(DAY, points, FIRMS, amounts(p2=(None, None), p3=0.0), {}, worth(points), firm_id=None)
    assert drawn["links"] == []
    assert [one["code"] for one in drawn["unknown"]] == ["X-1", "X-2"]
    assert drawn["partial"]
    assert drawn["supply"] is None


def test_estimates_and_gaps_in_time_are_marked() -> None:
    """A link says what share of it is estimated, and that a part of the time is missing."""
    points = [point(1, 1), point(2, 2)]
    moved = amounts(p1=(75.0, 25.0), p2=10.0)
    moved[2] = BoardAmount(2, "day", 10.0, None, DAY.elapsed_s / 2, 0.0, 0.0)
    drawn = {
        link["t"]: link for link in energy_flow(DAY, points, FIRMS, moved, {}, worth(points), firm_id=None)["links"]
    }
    assert (drawn["firm:1"]["est"], drawn["firm:1"]["partial"]) == (0.25, False)
    assert (drawn["firm:2"]["est"], drawn["firm:2"]["partial"]) == (0.0, True)


def test_more_out_than_in_is_said_and_not_drawn() -> None:
    """A negative rest is no flow; an unknown balance names the points that leave it so."""
    points = [point(1, 1), point(2, 2)]
    found = {
        1: BoardBalance(1, "day", 100.0, 120.0, 0.0, -20.0, 1.0, []),
        2: BoardBalance(2, "day", None, None, None, None, 0.2, ["b/X-9"]),
    }
    drawn = energy_flow(DAY, points, FIRMS, amounts(p1=100.0, p2=5.0), found, worth(points), firm_id=None)
    assert not any(target == "unaccounted" for _, target in links(drawn))
    assert [(one["code"], one["share"]) for one in drawn["over"]] == [("X-1", 0.2)]
    assert [(one["code"], one["points"]) for one in drawn["unknown"]] == [("X-2", ["b/X-9"])]


def test_a_transfer_reaches_its_firm_through_the_other_and_never_in_a_circle() -> None:
    """What one firm hands to another flows between them; two that hand to each other are drawn one way."""
    points = [point(1, 1), point(2, 2, parent_id=1), point(3, 1, parent_id=2)]
    drawn = energy_flow(DAY, points, FIRMS, amounts(p1=100.0, p2=60.0, p3=5.0), {}, worth(points), firm_id=None)
    assert set(links(drawn)) == {("carrier:electricity", "firm:1"), ("firm:1", "firm:2")}


def test_many_firms_become_one_node_and_nothing_is_lost() -> None:
    """The largest stand alone, the rest is added up."""
    firms = [BoardFirm(n, f"f{n}", f"企{n}", f"F{n}", industrial=True) for n in range(1, 41)]
    points = [point(n, n) for n in range(1, 41)]
    drawn = energy_flow(
        DAY, points, firms, amounts(**{f"p{n}": float(n) for n in range(1, 41)}), {}, worth(points), firm_id=None
    )
    assert len(drawn["nodes"]) == 1 + 12 + 1
    assert sum(links(drawn).values()) == pytest.approx(820 * 0.1229, rel=1e-4)
    assert next(node for node in drawn["nodes"] if node["kind"] == "other")["count"] == 28


def test_the_water_balance_says_its_difference_only_where_all_is_known() -> None:
    """In less out, if every taker has a meter on what it discharges and every meter has data."""
    points = [
        point(1, 1, "fresh_water"),
        point(2, 1, "wastewater", direction="out"),
        point(3, 1, "recirculated_water", direction="internal"),
        point(4, 1, "fresh_water", direction="internal", parent_id=1),
    ]
    moved = amounts(p1=100.0, p2=60.0, p3=900.0, p4=30.0)
    whole = water_balance(DAY, points, FIRMS, moved, {})
    assert (whole["in"][0]["v"], whole["out"][0]["v"], whole["round"][0]["v"]) == (100.0, 60.0, 900.0)
    assert (whole["rest"], whole["rest_share"]) == (40.0, 0.4)
    unmetered = water_balance(DAY, [*points, point(5, 2, "fresh_water")], FIRMS, moved | amounts(p5=1.0), {})
    assert (unmetered["rest"], unmetered["unmetered"]) == (None, 1)
    gap = water_balance(DAY, points, FIRMS, {k: v for k, v in moved.items() if k != 2}, {})
    assert gap["rest"] is None
    assert gap["out"][0]["v"] is None


def rows(count: int, *, until: datetime, series: int = 0, points: int = 2, **more: Any) -> list[LoadBucket]:
    given = {"power": 50.0, "estimated_s": 0.0, "covered_s": 1800.0, "points": points, "full": points} | more
    return [LoadBucket(bucket=until - k * power.STEP, series=series, **given) for k in range(count)]


def test_a_bucket_with_a_silent_meter_has_no_sum() -> None:
    """A gap is a gap: what the others drew is told apart from the sum."""
    running = START + timedelta(hours=10)
    found = [(1, 1.0, 0), (2, 1.0, 0)]
    given = rows(5, until=running)
    given[2] = LoadBucket(given[2].bucket, 0, 20.0, 0.0, 900.0, 1, 1)
    drawn = power.curve(NOW, found, given, {})
    assert drawn["v"][-5:] == [50.0, 50.0, None, 50.0, 50.0]
    assert drawn["part"][-3] == 20.0
    assert drawn["v"][-6] is None
    assert drawn["now"] == {"v": 50.0, "at": running, "provisional": True, "reason": None}


def test_the_first_minute_of_a_quarter_hour_shows_the_one_before() -> None:
    """A few seconds tell little; without any data the present is unknown with a reason."""
    running = START + timedelta(hours=10)
    early = power.curve(running + timedelta(seconds=20), [(1, 1.0, 0)], rows(3, until=running, points=1), {})
    assert (early["now"]["at"], early["now"]["provisional"]) == (running - power.STEP, False)
    none = power.curve(NOW, [(1, 1.0, 0)], [], {})
    assert none["now"] == {"v": None, "at": None, "provisional": False, "reason": "no_data"}
    assert set(none["v"]) == {None}


def test_the_load_is_what_came_over_the_boundary() -> None:
    """Sub-meters are no part of the sum, exports are taken off, MWh become kWh."""
    points = [
        point(1, 1),
        point(2, 1, direction="internal", parent_id=1),
        point(3, 1, direction="out", parent_id=1, unit="MWh"),
        point(4, 2, parent_id=1),
        point(5, 2, "natural_gas"),
    ]
    assert power.members(points, firm_id=None) == [(1, 1.0, 0), (1, 1.0, 1), (3, -1000.0, 0), (3, -1000.0, 1)]
    mine = [p for p in points if p.firm_id == 2]
    assert power.members(mine, firm_id=2) == [(4, 1.0, 0)]


def standing(**more: Any) -> BoardStanding:
    given = {
        "standing_id": 1, "firm_id": None, "scope": "park", "scope_id": 1, "pack_id": "p", "pack_version": 1,
        "target_id": "t", "as_of": NOW, "state": "off", "reason": None, "sentence_zh": "", "sentence_en": "",
        "value": 88.0, "target_value": 90.0, "required": 90.0, "unit": None, "projection_low": 88.0,
        "projection_high": 89.0, "needed_rate": 1.5, "miss_week": None, "projection": 88.5,
        "pack_zh": None, "pack_en": None,
        "target": {"id": "t", "indicator": "water_reuse_rate", "name_zh": "率", "name_en": "Rate", "comparator": "ge",
                   "value": 90, "unit": "%", "target_year": 2025},
    }  # fmt: skip
    return BoardStanding(**(given | more))


def test_standings_come_with_the_worst_first_and_undefined_with_its_reason() -> None:
    """States are counted, firms are counted under their park's target, a target that is not kept keeps its id."""
    year = Span("year", START, START + timedelta(days=365), NOW)
    given = [
        standing(standing_id=1, state="on_pace"),
        standing(standing_id=2, target_id="u", state="undefined", reason="no_baseline", value=None, target={}),
        standing(standing_id=3, target_id="v", state="off"),
        standing(standing_id=4, scope="firm", firm_id=2, scope_id=2, state="at_risk"),
    ]
    shown = standings(given, FIRMS, firm_id=None, year=year)
    assert [item["id"] for item in shown["items"]] == [3, 2, 1]
    assert shown["counts"] == {"off": 1, "at_risk": 0, "undefined": 1, "on_pace": 1, "ahead": 0}
    assert shown["items"][1]["zh"] == "u"
    assert shown["items"][1]["reason"] == {"code": "no_baseline", "zh": "尚无基期值", "en": "no baseline yet"}
    assert shown["items"][2]["firms"] == {"at_risk": [2]}
    assert "/v1/indicators/water_reuse_rate/values?scope=park" in shown["items"][2]["value_href"]
    own = standings(given, FIRMS[1:], firm_id=2, year=year)
    assert [item["id"] for item in own["items"]] == [4]


def test_a_tile_without_a_value_says_why() -> None:
    """Nothing computed is no data; an undefined value keeps its own reason; a running day is provisional."""
    value = BoardValue(
        "water_reuse_rate", "day", START, 1.0, 0.0, None, "%", 0.0, "zero_denominator", closed=False, revision=0,
        estimated_share=None, computed=NOW,
    )  # fmt: skip
    energy, reuse = tiles([value], "park", 1, DAY, START - timedelta(days=1))
    assert energy["reason"]["code"] == "no_data"
    assert (reuse["v"], reuse["reason"]["code"], reuse["provisional"]) == (None, "zero_denominator", True)


def test_health_counts_silence_and_puts_the_worst_first() -> None:
    """A point is silent after three of its intervals; an hour without a row covers nothing."""
    start = START + timedelta(hours=10) - timedelta(hours=24)
    points = [
        point(1, 1, newest=NOW - timedelta(seconds=170)),
        point(2, 2, newest=NOW - timedelta(seconds=190)),
        point(3, 2, newest=None),
        point(4, 2, kind="virtual", newest=None),
    ]
    edges = [BoardEdge(1, 1, "gw", True, NOW, NOW, 0, 0, 5), BoardEdge(2, 2, "gw", False, NOW, NOW, 7, 0, -2000)]
    covered = [Covered(start, None, 3 * 3600.0, 0.0), Covered(None, 1, 43200.0, 43200.0)]
    found = health(NOW, start, points, FIRMS, edges, covered, 3)
    assert [(firm["id"], firm["silent"], firm["online"]) for firm in found["firms"]] == [(2, 2, False), (1, 0, True)]
    assert [hour["measured"] for hour in found["hours"]] == [1.0] + [0.0] * 23
    assert (found["firms"][1]["measured"], found["firms"][1]["estimated"]) == (0.5, 0.5)
    assert (found["points"], found["silent"], found["online"], found["edges"]) == (3, 2, 1, 2)
    assert (found["firms"][0]["buffered"], found["firms"][0]["clock_ms"]) == (7, -2000)
    assert found["newest"] == NOW - timedelta(seconds=170)


def test_the_page_names_no_other_host_and_holds_no_script() -> None:
    """Of our own files none names another host; the policy allows only our own files, and no inline script or style."""
    for name, asset in assets().items():
        if not name.startswith("echarts."):
            text = asset.body.decode()
            assert (
                re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text.replace("http://www.w3.org/2000/svg", "")) == []
            ), name
            assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b", text), name
    page = assets()["index.html"].body.decode()
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert not re.search(r"\s(style|on\w+)=", page)
    assert "default-src 'self'" in CSP
    assert "unsafe" not in CSP
    for name in re.findall(r'/board/files/([^"]+)"', page):
        assert name in assets()


def test_the_chart_library_is_the_one_that_its_licence_names() -> None:
    """The vendored file is unchanged: its hash stands beside the licence."""
    said = re.search(r"sha256 of the file: (\w+)", assets()["echarts.LICENSE.txt"].body.decode())
    assert said is not None
    assert hashlib.sha256(assets()["echarts.min.js"].body).hexdigest() == said[1]


def test_every_word_stands_in_two_languages_and_every_word_used_is_there() -> None:
    """No name in the page's code is without words, and no word is without its translation."""
    words = assets()["words.js"].body.decode()
    known = set(re.findall(r"^  (\w+): \[", words, flags=re.MULTILINE))
    pairs = re.findall(r'^  (\w+): \[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\],', words, flags=re.MULTILINE)
    assert {name for name, _, _ in pairs} == known
    for name, zh, en in pairs:
        assert set(re.findall(r"{\w+}", zh)) == set(re.findall(r"{\w+}", en)), name
        assert zh, name
        assert en, name
    used: set[str] = set(re.findall(r'data-(?:word|label)="(\w+)"', assets()["index.html"].body.decode()))
    for name, asset in assets().items():
        if name.endswith(".js") and not name.startswith("echarts"):
            used |= set(re.findall(r'\bw\("(\w+)"', asset.body.decode()))
            used |= set(re.findall(r'\bnothing\("(\w+)"', asset.body.decode()))
            used |= set(re.findall(r'\bfact\("(\w+)"', asset.body.decode()))
    assert used - known == set()
