"""Data quality: coverage, gaps, estimates, what is held, clocks, gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import BAD, COUNT, GOOD, NOTICE, PERCENT, SECONDS, WARN, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("数据质量", "Data quality")
ABOUT: Final = Text(
    "覆盖率、缺口、估算、待定数量、时钟与网关。",
    "Coverage, gaps, estimates, held quantities, clocks, gateways.",
)


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "quality")
    panels = [
        page.series(
            Text("数据构成", "What the data are made of"),
            Text(
                "全部计量点的时间中实测、估算、缺失各占多少；缺失不是零。",
                "How much of all points' time is measured, estimated and missing; missing is not zero.",
            ),
            "coverage",
            unit=PERCENT,
            style="bars",
            bounds=(0, 100),
            size=(24, 8),
        ),
        page.table(
            Text("各企业", "By firm"),
            Text("所选范围内各企业的数据构成，缺失最多的在前。", "Each firm over the range, the most missing first."),
            "firms",
            "firm firm_code points silent measured_share estimated_share missing_share held_periods",
        ),
        page.timeline(
            Text("网关时间线", "Gateways on a timeline"),
            Text(
                "最多最近两天每小时网关各计量点有实测数据的时间占比，取最差的二十五个网关。",
                "Share of each hour that a gateway's points were measured, the twenty-five worst of the last two days.",
            ),
            "edge_timeline",
            steps=((None, BAD), (50, WARN), (95, NOTICE), (99, GOOD)),
            names={},
            size=(12, 8),
        ).unit(PERCENT),
        page.table(
            Text("当前无读数的计量点", "Points that are silent now"),
            Text(
                "超过三个采集周期没有读数的计量点，最久的在前。",
                "Points without a reading for three intervals, the longest first.",
            ),
            "gaps_now",
            "firm firm_code point carrier newest_at silence",
        ),
        page.table(
            Text("待定数量", "Held quantities"),
            Text(
                "等待人工判定的数量，判定前不计入任何统计。",
                "Quantities that wait for a person and are counted nowhere.",
            ),
            "held",
            "firm firm_code point day held unit",
        ),
        page.table(
            Text("估算最多的计量点", "Points with the most estimates"),
            Text("所选范围内估算时间占比最高的计量点。", "The points of which most of the range is estimated."),
            "estimates",
            "firm firm_code point estimated_share estimated unit",
        ),
        page.table(
            Text("网关", "Gateways"),
            Text(
                "各网关的连接、时钟偏差与尚未提交的缓存。",
                "Whether each gateway is connected, its clock, and what it holds back.",
            ),
            "edges",
            "firm firm_code edge online reported clock_offset buffered_batches buffered_bytes version",
        ),
        page.series(
            Text("网关时钟", "Clocks of the gateways"),
            Text(
                "最多最近七天网关上报的时钟偏差，取最大的十个网关。",
                "Offsets as gateways reported them, the ten largest of at most seven days.",
            ),
            "clocks",
            unit=SECONDS,
        ),
        page.table(
            Text("网关事件", "Gateway events"),
            Text(
                "网关上报的重启、换表、时钟跳变与放弃的批次。",
                "Restarts, meter exchanges, clock steps and lost batches.",
            ),
            "edge_events",
            "time firm firm_code edge event",
        ),
        page.table(
            Text("同时刻异值", "Second values at one instant"),
            Text("同一计量点同一时刻的第二个数值，另行保存，不计入统计。", "Kept aside, counted nowhere."),
            "conflicts",
            "firm firm_code point conflicts newest_at",
        ),
        page.table(
            Text("隔离的消息", "Quarantined messages"),
            Text("未能接收的消息及原因。", "Messages that could not be taken, with the reason."),
            "quarantine",
            "firm firm_code reason quarantine_state messages times_seen newest_at",
        ),
        page.series(
            Text("修订", "Revisions"),
            Text(
                "已公布的指标因迟到数据等而修订的次数，按修订日期。",
                "How often published indicators changed, by day.",
            ),
            "revisions",
            unit=COUNT,
            style="bars",
            size=(24, 6),
        ),
    ]
    return page.board("quality", TITLE, ABOUT, panels)
