"""Whom an episode is about, with the names that people know it by. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.samples import Subject

if TYPE_CHECKING:
    from alerts.frame import Frame


def subject_of(frame: Frame, scope: str, scope_id: int, part: str = "") -> Subject:
    """Return a subject of one of the frame's firms, or of its park."""
    firm_id: int | None = None
    code: str | None = None
    zh: str | None = None
    en: str | None = None
    if scope == "point":
        row = frame.points.row(scope_id)
        firm_id = int(frame.points.firm_id[row])
        code, zh, en = frame.points.code[row], frame.points.name_zh[row], frame.points.name_en[row]
    elif scope == "edge":
        firm_id, code = frame.edges[scope_id]
        zh, en = f"网关 {code}", f"gateway {code}"
    elif scope == "firm":
        firm_id = scope_id
    firm = None if firm_id is None else frame.firms[firm_id]
    park = frame.park
    return Subject(
        scope=scope,
        scope_id=scope_id,
        park_id=park.park_id,
        firm_id=firm_id,
        time_zone=park.time_zone,
        park_code=park.park_code,
        park_zh=park.park_zh,
        park_en=park.park_en,
        firm_code=None if firm is None else firm.firm_code,
        firm_zh=None if firm is None else firm.firm_zh,
        firm_en=None if firm is None else firm.firm_en,
        point_code=code,
        point_zh=zh,
        point_en=en,
        part=part,
    )
