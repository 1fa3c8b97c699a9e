"""A park document says who stands under whom and what is computed of what, or is refused by file and field."""

from __future__ import annotations

import pytest

from park.definition import dump_definition, load_definition
from park.errors import DataFileError
from park.relations import inputs_of

DOCUMENT = """
code: p
name_zh: 园
name_en: Park
firms:
  - code: f
    name_zh: 厂
    name_en: Firm
    industry: t
    edges: [gw]
    points:
      - {code: E-1, name_zh: a, name_en: a, kind: register, carrier: electricity, unit: kWh, edge: gw, loss_share: 0.02}
      - {code: E-2, name_zh: b, name_en: b, kind: register, carrier: electricity, unit: MWh, edge: gw,
         direction: internal, parents: [{point: E-1, valid_to: 2025-07-01T00:00:00+08:00}]}
      - {code: PV, name_zh: c, name_en: c, kind: register, carrier: electricity, unit: kWh, edge: gw,
         direction: internal, role: generation, parents: [{point: E-1}]}
      - {code: V, name_zh: d, name_en: d, kind: virtual, carrier: electricity, unit: kWh, direction: internal,
         formula: E-1 - E-2}
      - {code: X, name_zh: e, name_en: e, kind: virtual, carrier: electricity, unit: kWh, direction: internal,
         formula: 2 * V + PV}
      - {code: G, name_zh: g, name_en: g, kind: gauge, carrier: electricity, unit: kW, edge: gw, direction: internal}
  - code: g
    name_zh: 邻
    name_en: Guest
    industry: t
    edges: [gw]
    points:
      - {code: E-9, name_zh: h, name_en: h, kind: register, carrier: electricity, unit: kWh, edge: gw,
         parents: [{point: E-1, firm: f}]}
"""


def test_relations_are_read_and_written_back() -> None:
    """Parents within and across firms, roles, losses and formulas survive the way through the document."""
    definition = load_definition(DOCUMENT, "p.yaml")
    assert load_definition(dump_definition(definition), "p.yaml") == definition
    assert inputs_of(definition.firms[0]) == {
        "V": {"E-1": 1.0, "E-2": -1000.0},
        "X": {"E-1": 2.0, "E-2": -2000.0, "PV": 1.0},
    }


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("formula: E-1 - E-2", "formula: E-1 - E-3", "firms[0].points[3].formula", "column 7: no point 'E-3'"),
        ("formula: E-1 - E-2", "formula: E-1 - X", "firms[0].points[3].formula", "circle: V -> X -> V"),
        ("formula: E-1 - E-2", "formula: E-1 - G", "firms[0].points[3].formula", "not convertible"),
        ("formula: 2 * V + PV", "formula: 2 * V +", "firms[0].points[4].formula", "column 8"),
        (
            "unit: kWh, direction: internal,\n         formula: E-1",
            "unit: kWh, direction: in,\n         formula: E-1",
            "firms[0].points[3].formula",
            "counts as in itself",
        ),
        ("kind: virtual, carrier: electricity, unit: kWh, direction: internal,\n         formula: 2",
         "kind: virtual, edge: gw, carrier: electricity, unit: kWh, direction: internal,\n         formula: 2",
         "firms[0].points[4]", "no edge"),
        ("formula: 2 * V + PV", "product: x", "firms[0].points[4].formula", "has a formula"),
        ("edge: gw, loss_share: 0.02", "edge: gw, formula: PV", "firms[0].points[0].formula", "no other point"),
        ("loss_share: 0.02", "loss_share: 1", "firms[0].points[0].loss_share", "below 1"),
        ("loss_share: 0.02", "parents: [{point: E-2}]", "firms[0].points[0].parents", "under f/E-2 under f/E-1"),
        ("[{point: E-1, firm: f}]", "[{point: E-7, firm: f}]", "firms[1].points[0].parents", "f/E-7 is no point"),
        ("[{point: E-1, firm: f}]", "[{point: G, firm: f}]", "firms[1].points[0].parents", "gauge"),
        ("role: generation, parents: [{point: E-1}]", "role: generation", "firms[0].points[2].role", "under a parent"),
        ("2025-07-01T00:00:00+08:00", "2025-07-01T00:00:00", "firms[0].points[1].parents", "need a zone"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_field(old: str, new: str, field: str, says: str) -> None:
    """The message names the points, the field the place in the document."""
    assert old in DOCUMENT
    with pytest.raises(DataFileError, match=says) as caught:
        load_definition(DOCUMENT.replace(old, new, 1), "p.yaml")
    assert caught.value.field == field
