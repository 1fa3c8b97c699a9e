"""Groups of firms: who belongs when, and how their numbers are put together."""

from __future__ import annotations

from datetime import date
from functools import partial

import pytest

from park.definition import load_definition
from park.errors import DataFileError
from park.indicators import load_catalogue
from park.membership import (
    Group,
    GroupKind,
    Membership,
    belonging,
    group_ratio,
    groups,
    groups_of,
    memberships_of,
    summed,
)
from park.ratios import Ratio, park_ratio
from park.reasons import Undefined

EAST, WEST = Group(GroupKind.ZONE, 1), Group(GroupKind.ZONE, 2)
YEAR = [date(2026, month, 1) for month in range(1, 13)]
INDICATOR = load_catalogue().by_id("water_reuse_rate")
DOCUMENT = """
code: p
name_zh: 园
name_en: Park
zones: [{code: east, name_zh: 东, name_en: East}, {code: west, name_zh: 西, name_en: West}]
groups:
- {kind: chain, code: cars, name_zh: 汽车产业链, name_en: Automotive chain}
- {kind: industry, code: C36, name_zh: 汽车制造业, name_en: Automotive}
firms:
- code: f01
  name_zh: 一
  name_en: One
  industry: C36
  zones: [east, west]
  memberships:
  - {kind: chain, code: cars, valid_from: 2025-01-01}
- code: f02
  name_zh: 二
  name_en: Two
  industry: C13
  above_scale: false
  memberships:
  - {kind: panel, code: above_scale, valid_from: 2026-04-01}
  - {kind: industry, code: C13, valid_to: 2026-01-01}
  - {kind: industry, code: C14, valid_from: 2026-01-01}
  - {kind: zone, code: west, valid_from: 2026-03-15, valid_to: 2026-06-15}
"""


def ratio(firm_id: int, above: float | None, below: float | None, reason: Undefined | None = None) -> Ratio:
    return Ratio(INDICATOR.id, firm_id, above, below, True, 100.0, "%", reason, 1.0, 0.0)


def test_a_firm_in_two_zones_counts_in_both_and_once_in_the_park() -> None:
    """Its numbers are in each zone's sums, and in the park's once: the park is not the sum of its zones."""
    members = [Membership(7, EAST), Membership(7, WEST), Membership(8, WEST)]
    values = {7: ratio(7, 30.0, 100.0), 8: ratio(8, 50.0, 100.0)}
    found = {}
    for group in groups(members):
        inside = belonging(members, group, YEAR)
        found[group] = group_ratio(INDICATOR, group.group_id, {f: values[f] for f in inside}, {})
    assert found[EAST].value == pytest.approx(30.0)
    assert found[WEST].value == pytest.approx(40.0)
    park = park_ratio(INDICATOR, values.values())
    assert (park.numerator, park.denominator) == (80.0, 200.0)


def test_a_group_is_the_ratio_of_sums_not_the_mean_of_ratios() -> None:
    """A large firm weighs more: 10 of 1000 and 90 of 100 are 100 of 1100."""
    found = group_ratio(INDICATOR, 1, {1: ratio(1, 10.0, 1000.0), 2: ratio(2, 90.0, 100.0)}, {})
    assert found.value == pytest.approx(100 * 100 / 1100)


def test_who_belongs_is_settled_on_the_first_day_of_each_month() -> None:
    """A firm that joins in mid-March and leaves in mid-June counts from April to June."""
    members = [Membership(7, EAST, date(2026, 3, 15), date(2026, 6, 15))]
    assert belonging(members, EAST, YEAR) == {7: (date(2026, 4, 1), date(2026, 5, 1), date(2026, 6, 1))}
    assert belonging(members, EAST, [date(2026, 3, 14)]) == {}
    assert belonging(members, EAST, [date(2026, 3, 15)]) == {7: (date(2026, 3, 15),)}


def test_two_stretches_of_one_membership_count_a_firm_once() -> None:
    """A firm that left and came back is one member with the months of both stretches."""
    members = [Membership(7, EAST, date.min, date(2026, 2, 1)), Membership(7, EAST, date(2026, 11, 1))]
    assert belonging(members, EAST, YEAR) == {7: (YEAR[0], YEAR[10], YEAR[11])}


def test_a_firm_that_joined_during_the_year_counts_with_its_months_on_both_sides() -> None:
    """Numerator and denominator cover the same months."""
    parts = {9: [ratio(9, 10.0, 20.0), ratio(9, 30.0, 40.0)]}
    found = group_ratio(INDICATOR, 1, {7: ratio(7, 60.0, 140.0)}, parts)
    assert (found.numerator, found.denominator) == (100.0, 200.0)


def test_a_firm_without_a_month_of_its_part_is_left_out_and_named() -> None:
    """What one month lacks, the sum of months lacks; the group says who is missing and why."""
    parts = {9: [ratio(9, 10.0, 20.0), ratio(9, 30.0, None, Undefined.NOT_REPORTED)]}
    found = group_ratio(INDICATOR, 1, {7: ratio(7, 60.0, 120.0)}, parts)
    assert found.value == pytest.approx(50.0)
    assert [(left.subject_id, left.reason) for left in found.left_out] == [(9, Undefined.NOT_REPORTED)]
    assert found.coverage == 0.5


def test_a_group_of_nobody_is_undefined() -> None:
    """No member, no number, and never a zero."""
    found = group_ratio(INDICATOR, 1, {}, {})
    assert (found.value, found.reason) == (None, Undefined.NO_DATA)
    with pytest.raises(ValueError, match="no months"):
        summed(INDICATOR, 1, [])


def test_a_document_gives_groups_dated_or_for_ever() -> None:
    """Plain zones, industry and flags hold for ever; a dated industry or panel replaces the plain one."""
    definition = load_definition(DOCUMENT, "p.yaml")
    one, two = definition.firms
    assert {(m.kind, m.code) for m in memberships_of(one)} == {
        (GroupKind.ZONE, "east"), (GroupKind.ZONE, "west"), (GroupKind.CHAIN, "cars"), (GroupKind.INDUSTRY, "C36"),
        (GroupKind.PANEL, "above_scale"),
    }  # fmt: skip
    of_two = {(m.kind, m.code): (m.begin, m.end) for m in memberships_of(two)}
    assert of_two[GroupKind.INDUSTRY, "C14"] == (date(2026, 1, 1), date.max)
    assert of_two[GroupKind.PANEL, "above_scale"] == (date(2026, 4, 1), date.max)
    assert len(of_two) == 4
    names = {(g.kind, g.code): g.name_zh for g in groups_of(definition)}
    assert names[GroupKind.INDUSTRY, "C36"] == "汽车制造业"
    assert names[GroupKind.INDUSTRY, "C14"] == "C14"
    assert names[GroupKind.PANEL, "key_energy_user"] == "重点用能单位"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (
            "{kind: chain, code: cars, valid_from",
            "{kind: chain, code: ships, valid_from",
            "firms[0].memberships[0].code",
        ),
        ("kind: zone, code: west, valid_from: 2026-03-15", "kind: zone, code: north", "firms[1].memberships[3].code"),
        ("valid_to: 2026-06-15", "valid_to: 2026-03-15", "firms[1].memberships[3].valid_to"),
        ("valid_to: 2026-06-15", "valid_to: June", "firms[1].memberships[3].valid_to"),
        ("kind: panel, code: above_scale", "kind: panel, code: top_ten", "firms[1].memberships[0].code"),
        ("- {kind: industry, code: C36", "- {kind: zone, code: C36", "groups[1].kind"),
        ("- {kind: industry, code: C36", "- {kind: chain, code: cars", "groups[1].code"),
        (
            "  - {kind: chain, code: cars, valid_from: 2025-01-01}",
            "  - {kind: zone, code: east}",
            "firms[0].memberships",
        ),
        ("kind: chain, code: cars, valid_from: 2025-01-01", "kind: club, code: cars", "firms[0].memberships[0].kind"),
    ],
)
def test_a_membership_that_cannot_be_names_file_and_field(old: str, new: str, field: str) -> None:
    """Unknown groups, wrong dates, overlaps and double names are told where they stand."""
    assert old in DOCUMENT
    with pytest.raises(DataFileError) as refused:
        load_definition(DOCUMENT.replace(old, new), "p.yaml")
    assert (refused.value.file, refused.value.field) == ("p.yaml", field)


def test_a_product_that_no_counter_counts_cannot_come_from_its_counter() -> None:
    """A declared source must be there."""
    product = "  products: [{code: car, name_zh: 车, name_en: Car, unit: piece, source: %s}]\n  zones: [east, west]\n"
    fits = partial(DOCUMENT.replace, "  zones: [east, west]\n")
    assert load_definition(fits(product % "reported"), "p.yaml").firms[0].products[0].code == "car"
    with pytest.raises(DataFileError, match=r"products\[0\].source"):
        load_definition(fits(product % "counter"), "p.yaml")
