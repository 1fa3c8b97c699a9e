"""Alerts: episodes, how fast somebody took them on, which rules make the most noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import BAD, COUNT, NOTICE, UNKNOWN, WARN, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("告警", "Alerts")
ABOUT: Final = Text("告警过程、确认用时与最吵的规则。", "Episodes, time to acknowledge, the noisiest rules.")


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "alerts")
    panels = [
        page.stat(
            Text("告警数", "Alerts"),
            Text(
                "未结束的告警，以及所选范围内新增和已撤回的告警。",
                "Alerts that are not over, and those that opened or were taken back in the range.",
            ),
            "numbers",
            "open acknowledged opened retracted",
            size=(12, 4),
        ),
        page.stat(
            Text("处理用时", "How long it took"),
            Text(
                "所选范围内新增告警从发出到确认、到恢复的用时。",
                "From opening to being taken on, and to the end, of the alerts that opened in the range.",
            ),
            "times",
            "to_acknowledge to_acknowledge_p90 to_end",
            size=(12, 4),
        ),
        page.table(
            Text("告警过程", "Episodes"),
            Text(
                "未结束的在前，其后为所选范围内新增的告警，最新的在前。",
                "What is not over first, then the alerts that opened in the range, the newest first.",
            ),
            "episodes",
            "severity state title subject firm_code rule began opened_at ended lasting acknowledged_by",
            size=(24, 10),
        ),
        page.timeline(
            Text("时间线", "Timeline"),
            Text(
                "出现最多的二十个原因，其告警的起止与级别。",
                "Beginning, end and severity of the twenty noisiest causes.",
            ),
            "timeline",
            steps=((None, "transparent"), (1, UNKNOWN), (2, NOTICE), (3, WARN), (4, BAD)),
            names={
                0: Text("无", "None"),
                1: Text("提示", "Info"),
                2: Text("警告", "Warning"),
                3: Text("重要", "Major"),
                4: Text("紧急", "Critical"),
            },
            size=(14, 9),
        ),
        page.series(
            Text("新增告警", "Opened"),
            Text("每小时或每日新增的告警，按级别。", "How many opened in each hour or day, by severity."),
            "opened",
            unit=COUNT,
            style="bars",
            colours=("critical", "major", "warning", "info"),
            size=(10, 9),
        ),
        page.table(
            Text("最吵的规则", "The noisiest rules"),
            Text(
                "各规则发出的告警数，以及其中撤回、很快结束和无人确认的情况。",
                "How often each rule spoke, how much of it was taken back, over at once, or taken on by nobody.",
            ),
            "rules",
            "rule opened causes retracted short acknowledged_share lasting",
            size=(14, 8),
        ),
        page.table(
            Text("消息送达", "Delivery"),
            Text("所选范围内告警消息的送达情况。", "What became of the messages of the range."),
            "delivery",
            "channel delivered waiting given_up delay",
            size=(10, 8),
        ),
    ]
    return page.board("alerts", TITLE, ABOUT, panels, since="now-30d")
