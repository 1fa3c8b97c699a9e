"""`greenpark targets`: what the plans ask, for people and machines, without a database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

PLANS = {
    "tongliang-hightech-2027": 15,
    "chongqing-hightech-2025": 15,
    "qianjiang-hightech-2020": 90,
    "tongliang-district-2025": 44,
    "qijiang-district-2025": 88,
}


def greenpark(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def listed() -> dict[str, dict[str, Any]]:
    return {pack["id"]: pack for pack in json.loads(greenpark("targets", "list", "--json"))["packs"]}


def test_the_list_counts_targets_with_and_without_a_number(listed: dict[str, dict[str, Any]]) -> None:
    """`targets`, `with_number` and `without_number` agree with the items, and with what was counted in the plans."""
    assert {pack_id: listed[pack_id]["with_number"] for pack_id in PLANS} == PLANS
    for pack in listed.values():
        assert pack["targets"] == len(pack["items"]) == pack["with_number"] + pack["without_number"]
        assert pack["with_number"] == sum(item["numeric"] for item in pack["items"])


def test_the_list_gives_a_reader_where_each_target_stands(listed: dict[str, dict[str, Any]]) -> None:
    """Chapter, lines, the printed figure, who it binds, from which base, and how it is compared."""
    [energy] = [i for i in listed["qijiang-district-2025"]["items"] if i["id"] == "energy-per-value-added"]
    assert energy["source"] == {"chapter": "表1, 绿色制造", "lines": [268, 269, 270], "as_printed": "【-16】"}
    assert (energy["comparator"], energy["value"], energy["base_year"]) == ("cumulative_decline", 16, 2020)
    assert (energy["binding"], energy["upward"], energy["indicator"]) == (True, False, "energy_per_value_added")


def test_people_see_names_in_their_language() -> None:
    """Chinese unless English is asked for."""
    assert "铜梁高新区" in greenpark("targets", "list")
    assert "Tongliang High-tech Zone" in greenpark("targets", "list", "--lang", "en")
    text = greenpark("targets", "show", "qianjiang-hightech-2020", "--lang", "en")
    assert "≤ 0.6 tce/10^4CNY" in text
    assert "< 0.6 tce/10^4CNY" in text
    assert "conflicts_with" in greenpark("targets", "show", "qianjiang-hightech-2020", "energy-per-value-added")


def test_check_prints_what_is_odd_and_a_wrong_pack_ends_it(tmp_path: Path) -> None:
    """Odd findings are lines and no error; a pack that does not load names its field and ends with 1."""
    text = greenpark("targets", "check")
    assert "green-industry-share: impossible as written" in text
    assert "9 packs are valid" in text
    found = json.loads(greenpark("targets", "check", "qianjiang-hightech-2020", "--json"))
    assert any("below the baseline" in line for line in found["packs"][0]["odd"])
    wrong = tmp_path / "mine.toml"
    wrong.write_text('id = "mine"\nversion = 0\n', encoding="utf-8")
    for name in (str(wrong), "nothing", str(tmp_path / "none.toml")):
        refused = CliRunner().invoke(app, ["targets", "check", name])
        assert refused.exit_code == 1
