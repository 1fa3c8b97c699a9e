"""The demonstration's live view fits the terminal it is shown in, and says what happens in both languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from cli.demo.scene import FAULT_EVERY_S, FAULT_LASTS_S
from cli.demo.screen import View, render
from store.overview import Counts

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
ALARMED = 9


def view(**changes: Any) -> View:
    """A park of ten firms in full swing, an alert of the ninth firm open."""
    day = {}
    for scope, scope_id in (("park", 1), *(("firm", k) for k in range(1, 11))):
        row = {"value": 12_345.6, "unit": "kgce", "reason": None}
        day[scope, scope_id, "comprehensive_energy_equivalent"] = row
        day[scope, scope_id, "comprehensive_energy_equal"] = row
        day[scope, scope_id, "energy_per_product"] = {"value": 155.507, "unit": "kgce/piece", "reason": None}
        day[scope, scope_id, "water_reuse_rate"] = {"value": 91.01, "unit": "%", "reason": None}
    standing = {"scope": "park", "scope_id": 1, "target_id": "reuse", "state": "undefined"}
    standing |= {
        "sentence_zh": "工业用水重复利用率：无法判断，尚无基期值",
        "sentence_en": "Industrial water reuse rate: undefined, because no baseline yet",
    }
    episode = {"firm_id": ALARMED, "state": "open", "began": NOW - timedelta(seconds=12)}
    episode |= {"title_zh": "循环用水骤降", "title_en": "recirculated water has collapsed"}
    given: dict[str, Any] = {
        "urls": {"API": "http://127.0.0.1:24493/", "token": "var/demo/token"},
        "firms": {k: (f"企业{k}", f"Firm number {k} of the park") for k in range(1, 11)},
        "rate_per_s": 82.0,
        "stored": 5248,
        "lag_s": 0.23,
        "lag_indicator_s": 1.35,
        "counts": Counts(0, 0, 53_000, 12, 1, 1),
        "day": day,
        "bucket": day,
        "standings": [standing] * 3,
        "episodes": [episode],
        "fault_in_s": 11.0,
        "zone": ZoneInfo("Asia/Shanghai"),
        "now": NOW,
        "started": NOW - timedelta(seconds=65),
    }
    return View(**given | changes)


def lines(shown: View, lang: str, width: int, height: int | None) -> list[str]:
    """The lines that a terminal of this size gets."""
    console = Console(width=width, height=height, file=StringIO(), color_system=None)
    drawn = console.render_lines(render(shown, lang, console, height=height), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in drawn]


@pytest.mark.parametrize("lang", ["zh-CN", "en"])
@pytest.mark.parametrize(("width", "height"), [(120, 50), (120, 30), (100, 24), (80, 24), (80, 20)])
def test_it_fits_and_what_matters_is_always_there(lang: str, width: int, height: int) -> None:
    """No line is left out at the bottom: rates, the park, targets, the alarmed firm, the alert, the way out."""
    got = lines(view(), lang, width, height)
    text = "\n".join(got)
    assert len(got) <= height
    park, firm, alert = (
        ("全园区", "企业9", "循环用水骤降")
        if lang == "zh-CN"
        else ("whole park", "Firm number 9", "recirculated water")
    )
    for wanted in ("82", "5,248", park, firm, alert, "10:59:48", "24493", "var/demo/token", "Ctrl-C"):
        assert wanted in text, wanted
    assert "…" not in text or width == 80


def test_where_there_is_room_every_firm_is_shown_and_where_not_it_says_how_many_are_not() -> None:
    """A small window names the number of firms that it leaves out."""
    assert all(f"企业{k}" in "\n".join(lines(view(), "zh-CN", 80, None)) for k in range(1, 11))
    small = lines(view(), "zh-CN", 80, 16)
    [said] = [line for line in small if line.startswith("另有")]
    assert sum(line.startswith("企业") for line in small) - 1 + int(said.split()[1]) == 10  # less the heading


def test_a_state_is_said_once() -> None:
    """The coloured word stands before the sentence and not again in it."""
    assert "无法判断  工业用水重复利用率：尚无基期值" in "\n".join(lines(view(), "zh-CN", 80, 24))
    assert "undefined  Industrial water reuse rate: no baseline yet" in "\n".join(lines(view(), "en", 80, 24))


@pytest.mark.parametrize(
    ("fault_in_s", "said"),
    [
        (11.0, "comes in 11 s"),
        (-5.0, "stopped 5 s ago"),
        (-FAULT_LASTS_S - 1, f"comes in {FAULT_EVERY_S - FAULT_LASTS_S - 1:.0f} s"),
        (-FAULT_EVERY_S - 5, "stopped 5 s ago"),
    ],
)
def test_it_says_when_the_staged_fault_comes_and_that_it_is_on(fault_in_s: float, said: str) -> None:
    """Whoever watches knows what to wait for."""
    assert said in "\n".join(lines(view(fault_in_s=fault_in_s), "en", 100, 40))


def test_a_process_that_ended_is_named_with_the_time_of_the_park() -> None:
    """Troubles stand beside the alerts, in the viewer's language."""
    troubles = [(NOW, "ingest", "ended"), (NOW + timedelta(seconds=1), "ingest", "restarted")]
    got = "\n".join(lines(view(troubles=troubles), "zh-CN", 80, 50))
    assert "11:00:00  ingest" in got
    assert "11:00:01  ingest" in got
    assert "已重新启动" in got


def test_it_shows_before_anything_is_known() -> None:
    """The first picture, before the first query, has no numbers and no errors."""
    assert "–" in "\n".join(lines(View(), "zh-CN", 80, 24))
