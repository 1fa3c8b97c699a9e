"""Targets and pace: the plans' numbers, the path to them, and who moves the park."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import BAD, GOOD, UNKNOWN, WARN, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("目标与进度", "Targets and pace")
ABOUT: Final = Text(
    "各规划目标的路径、预测和企业贡献。",
    "Each plan's targets: path, projection, contribution by firm.",
)


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "targets")
    panels = [
        page.table(
            Text("规划目标", "What the plans ask for"),
            Text(
                "园区各规划的全部目标及原文出处；点击目标查看其路径。",
                "Every target of the park's plans with the place where it is printed; follow one to see its path.",
            ),
            "plans",
            "plan target target_code state value target_value projection unit progress elapsed needed_rate miss_week "
            "binding target_year source",
            size=(24, 9),
        ),
        page.series(
            Text("所选目标的路径", "Path of the chosen target"),
            Text(
                "每日判定时的当前值、当时应达到的值、年末预测和规划目标。",
                "What each standing said: value so far, what was required by then, projection, the plan's number.",
            ),
            "path",
            size=(14, 9),
        ),
        page.table(
            Text("所选目标的结论", "The chosen target in words"),
            Text("园区和各企业对所选目标的结论。", "How the park and the firms stand against the chosen target."),
            "sentence",
            "subject state sentence miss_week as_of",
            size=(10, 9),
        ),
        page.series(
            Text("强度（月）", "Intensity, by month"),
            Text(
                "所选目标的指标在园区层面的月度值，为各企业分子之和除以分母之和。",
                "The park's monthly value: the sum of the firms' numerators over the sum of their denominators.",
            ),
            "shares_by_month",
        ),
        page.series(
            Text("总量（月）", "Absolute, by month"),
            Text(
                "同一指标的分子与分母：强度下降时总量仍可能上升。",
                "Numerator and denominator of the same indicator: a ratio can fall while the amount rises.",
            ),
            "absolutes_by_month",
            style="beside",
        ),
        page.table(
            Text("各企业贡献（本年）", "Contribution by firm, this year"),
            Text(
                "所选目标的指标由哪些企业构成：各企业占分子、分母的比重。",
                "Whose sums make the park's value of the chosen indicator this year.",
            ),
            "contribution",
            "firm firm_code value unit numerator_share denominator_share numerator denominator coverage reason",
            size=(14, 9),
        ),
        page.timeline(
            Text("状态变化", "States over time"),
            Text(
                "所选目标在园区和状态最差的企业的状态变化。",
                "How the chosen target's state went, for the park and the firms that stand worst.",
            ),
            "states",
            steps=((None, BAD), (2, WARN), (3, UNKNOWN), (4, GOOD)),
            names={
                1: Text("落后", "Off"),
                2: Text("有风险", "At risk"),
                3: Text("无法判定", "Undefined"),
                4: Text("达到进度", "On pace"),
                5: Text("超前", "Ahead"),
            },
            size=(10, 9),
        ),
        page.table(
            Text("谁推动了园区指标", "Who moved the park"),
            Text(
                "所选目标的两个对比期之间各企业对园区数值的影响（规模、结构、强度），各企业之和等于园区变化。",
                "Each firm's effect on the park's change between the compared periods; effects add up.",
            ),
            "movers",
            "firm firm_code effect unit activity structure intensity value_from value_to came",
            size=(24, 8),
        ),
    ]
    return page.board("targets", TITLE, ABOUT, panels, since="now-90d", targets=True)
