"""Rules as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts import rules
from cli import demo
from park.errors import DataFileError

GOOD = """
[[rule]]
id = "r"
kind = "indicator_threshold"
indicator = "water_reuse_rate"
severity = "warning"
open = { below = 88 }
clear = { above = 90 }
title_zh = "{firm}：低于 {limit}"
title_en = "{firm} below {limit}"
"""


@pytest.mark.parametrize("path", [None, Path(demo.__file__).parent / "rules.toml"])
def test_the_rules_that_we_ship_are_right_and_survive_the_database(path: Path | None) -> None:
    """Each shipped rule is read, and comes back the same from what the table holds."""
    shipped = rules.load(path)
    assert shipped
    assert [rules.from_body(rules.to_body(rule)) for rule in shipped] == list(shipped)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('id = "r"', 'id = "ä/ö"', "rule[0].id"),
        ("below = 88", "below = 88, above = 90", "rule[0].open"),
        ("above = 90", "above = 80", "rule[0].clear"),
        ("above = 90", "below = 80", "rule[0].clear"),
        ('"water_reuse_rate"', '"beauty"', "rule[0].indicator"),
        ('"{firm} below {limit}"', '"{firm.__class__}"', "rule[0].title_en"),
        ('"{firm} below {limit}"', '"{firm"', "rule[0].title_en"),
        ('severity = "warning"', 'severity = "loud"', "rule[0].severity"),
        ('severity = "warning"', 'severity = "warning"\nhold_open_s = -1', "rule[0].hold_open_s"),
        ('severity = "warning"', 'severity = "warning"\nmin_coverage = 2', "rule[0].min_coverage"),
        ('severity = "warning"', 'severity = "warning"\nhold_opens = 1', "rule[0]"),
        ('severity = "warning"', 'severity = "warning"\nvalid_from = 2025-01-01T00:00:00', "rule[0].valid_from"),
        ('severity = "warning"', 'severity = "warning"\nwhere = { carriers = ["gold"] }', "rule[0].where.carriers"),
    ],
)
def test_a_wrong_rule_is_refused_by_file_and_field(old: str, new: str, field: str) -> None:
    """The error names the file and the field."""
    assert old in GOOD
    with pytest.raises(DataFileError) as caught:
        rules.parse(GOOD.replace(old, new), "mine.toml")
    assert (caught.value.file, caught.value.field) == ("mine.toml", field)


def test_a_rule_id_stands_once() -> None:
    """Two rules of one id are refused."""
    with pytest.raises(DataFileError, match="used twice"):
        rules.parse(GOOD + GOOD, "mine.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is named in the error."""
    with pytest.raises(DataFileError, match=r"nothing\.toml"):
        rules.load(tmp_path / "nothing.toml")
