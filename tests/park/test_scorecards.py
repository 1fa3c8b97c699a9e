"""Composite scorecards: what is known is scored, what is not stays open with its reason."""

from __future__ import annotations

import pytest

from park.errors import DataFileError
from park.indicators import load_catalogue
from park.reasons import Undefined
from park.scorecards import Given, Method, card_ids, load_card, parse_card, score, with_levels


def given(**values: float) -> dict[str, Given]:
    return {name.replace("_", "-"): Given(value) for name, value in values.items()}


def test_all_five_cards_are_there_and_name_their_source() -> None:
    """Green factory 2018 and 2025, green park, eco-industrial park, zero-carbon park, in both languages."""
    assert set(card_ids()) == {
        "green-factory-2018",
        "green-factory-2025",
        "green-park-2016",
        "eco-park-hj274-2015",
        "zero-carbon-park-2025",
    }
    for card_id in card_ids():
        card = load_card(card_id)
        assert card.id == card_id
        assert card.source
        assert all(item.name_en and not item.name_zh.isascii() for item in card.items)
        assert not card.verified, "no card was compared with its standard's text yet"


@pytest.mark.parametrize("card_id", card_ids())
def test_an_empty_card_has_no_total_and_every_item_a_reason(card_id: str) -> None:
    """Nothing known is nothing scored, never a zero."""
    found = score(load_card(card_id), {})
    assert (found.total, found.known, found.known_weight, found.failed) == (None, None, 0.0, ())
    assert all(item.points is None and item.reason is not None for item in found.items)


def test_an_item_whose_table_nobody_has_stays_open_though_its_value_is_known() -> None:
    """The reuse rate is 92 %, but what that is worth is in a table that is not here: the gap says so."""
    found = score(load_card("green-factory-2025"), given(water_reuse=92.0))
    item = next(i for i in found.items if i.item.id == "water-reuse")
    assert (item.value, item.points, item.reason) == (92.0, None, None)
    assert "table" in item.gap
    assert found.total is None


def test_with_a_sectors_table_the_points_are_given() -> None:
    """Base 80 and lead 95: 92 % of reuse are 60 % and four fifths of the rest, of 8 points."""
    card = with_levels(load_card("green-factory-2025"), {"water-reuse": (80, 95)})
    found = score(card, given(water_reuse=92.0))
    assert found.known == pytest.approx(8 * (0.6 + 0.4 * 12 / 15))
    assert (found.known_weight, found.weight) == (8, 100)
    assert found.total is None, "92 points are not known"


def test_an_undefined_indicator_keeps_its_reason() -> None:
    """A value that is missing because nobody reported it says so on the card."""
    values = {"n01": Given(None, Undefined.NOT_REPORTED), "n07": Given(90.0)}
    found = score(load_card("green-park-2016"), values)
    by_id = {item.item.id: item for item in found.items}
    assert by_id["n01"].reason is Undefined.NOT_REPORTED
    assert by_id["n07"].points == pytest.approx(1.0)
    assert by_id["n09"].reason is Undefined.NO_INDICATOR


def full_park(**changed: float) -> dict[str, Given]:
    card = load_card("green-park-2016")
    values = {i.id: Given(1.0 if i.lead is None else i.lead) for i in card.items}
    return values | {name: Given(value) for name, value in changed.items()}


def test_a_park_at_every_reference_has_an_index_of_100() -> None:
    """The mean of 24 ratios, inverse ones turned round, times 100."""
    found = score(load_card("green-park-2016"), full_park())
    assert (found.total, found.weight) == (pytest.approx(100.0), 24)


def test_the_green_index_is_given_open_and_capped() -> None:
    """Twice the energy productivity and half the wastewater lift the open index; capped they are worth 1 each."""
    found = score(load_card("green-park-2016"), full_park(n01=6.0, n23=2.5))
    assert found.total == pytest.approx(100 * 26 / 24)
    assert found.capped == pytest.approx(100.0)


def test_of_alternatives_the_best_count() -> None:
    """Two of 8 to 11, the best two; one that is not known gives way to one that is."""
    values = full_park(n08=60.0, n10=0.0)
    del values["n09"]
    found = score(load_card("green-park-2016"), values)
    assert found.total == pytest.approx(100 * 25 / 24)


@pytest.mark.parametrize(
    ("tce", "intensity", "met"),
    [(300_000, 0.20, 1.0), (300_000, 0.21, 0.0), (1_000_000, 0.30, 1.0), (2e6, 0.31, 0.0), (100_000, 0.1, None)],
)
def test_the_zero_carbon_core_goes_by_the_parks_size(tce: float, intensity: float, met: float | None) -> None:
    """0.20 from 200 000 tce, 0.30 from a million; below 200 000 no limit is stated, and that is said."""
    found = score(load_card("zero-carbon-park-2025"), given(energy_carbon=intensity), energy_tce=tce)
    core = found.items[0]
    assert core.points == met
    assert (core.gap == "no limit for this size") == (met is None)
    assert found.failed == (("energy-carbon",) if met == 0.0 else ())
    assert found.total == (0.0 if met == 0.0 else None), "a veto decides alone; without one the rest is needed"


def test_a_card_of_gates_passes_only_when_all_is_known() -> None:
    """Five of six gates met are not a pass."""
    card = load_card("zero-carbon-park-2025")
    values = given(energy_carbon=0.1, clean_energy=95.0, solid_waste=85.0, waste_heat=55.0, water_reuse=90.0)
    assert score(card, values, energy_tce=5e5).total is None
    assert score(card, values, energy_tce=5e5).known == 5


def test_every_indicator_of_a_card_is_in_the_catalogue_in_the_cards_unit() -> None:
    """What a card asks for is computed in the unit of its numbers, for its scope."""
    same = {"t/10^4CNY": "m3/10^4CNY", "kgce": "kgce/{product}"}
    for card_id in card_ids():
        card = load_card(card_id)
        for item in card.items:
            if item.indicator is not None:
                found = load_catalogue().by_id(item.indicator)
                assert found.unit in {item.unit, same.get(item.unit)}, (card_id, item.id)
                assert card.scope in found.scopes
                assert item.better is found.better


GOOD = """
id = "mine"
version = 1
name_zh = "甲"
name_en = "Mine"
source = "s"
method = "weighted"
verified = false
scope = "firm"
[[sections]]
id = "a"
name_zh = "甲"
name_en = "A"
[[items]]
id = "one"
section = "a"
name_zh = "一"
name_en = "One"
better = "higher"
weight = 1
base = 1
lead = 2
"""


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD.replace("lead = 2", "lead = 0.5"), "items[0].lead"),
        (GOOD.replace("lead = 2", ""), "items[0].gap"),
        (GOOD.replace('section = "a"', 'section = "b"'), "items[0].section"),
        (GOOD + 'indicator = "wine"\n', "items[0].indicator"),
        (GOOD + GOOD[GOOD.index("[[items]]") :], "items[1].id"),
        (GOOD + "colour = 1\n", "items[0]"),
    ],
)
def test_a_wrong_card_is_named_with_its_field(text: str, field: str) -> None:
    """Whatever is wrong in a card is reported with the file and the field."""
    assert parse_card(GOOD, "mine.toml").method is Method.WEIGHTED
    with pytest.raises(DataFileError) as caught:
        parse_card(text, "mine.toml")
    assert caught.value.field == field


def test_an_unknown_card_or_item_is_named() -> None:
    """The message lists the cards there are, and the item that is not."""
    with pytest.raises(DataFileError, match="green-park-2016"):
        load_card("green")
    with pytest.raises(DataFileError, match="no item wine"):
        with_levels(load_card("green-factory-2025"), {"wine": (1, 2)})
