"""Solid waste: what arises, what is used again, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import TONNE, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("固体废物", "Solid waste")
ABOUT: Final = Text("产生、综合利用与处置。", "What arises, what is used, what is disposed of.")


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "waste")
    apart = Text(
        "估算为灰色，未结束的时段为浅蓝，没有数据的时段为空白。",
        "Estimates are grey, a running period is pale, unknown is a gap.",
    )
    panels = [
        page.series(
            Text("计量的固体废物", "Weighed waste"), apart, "usage_by_firm", unit=TONNE, style="bars", size=(24, 8),
            carriers="'solid_waste'", directions="'out', 'internal'",
        ),
    ]  # fmt: skip
    return page.board("waste", TITLE, ABOUT, panels, since="now-90d")
