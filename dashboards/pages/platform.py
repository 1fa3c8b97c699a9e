"""Platform health: arrival, lag, queues, disk. For a park's organisation; a firm sees its own part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.page import Page
from dashboards.words import BAD, COUNT, GOOD, NOTICE, SECONDS, WARN, Locale, Text

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

TITLE: Final = Text("平台运行", "Platform health")
ABOUT: Final = Text("滞后、速率、队列与磁盘。", "Lag, rates, queues, disk.")


def build(locale: Locale) -> Dashboard:
    """Build the page in one language."""
    page = Page(locale, "platform")
    panels = [
        page.stat(
            Text("现在", "Now"),
            Text(
                "等待计算的标记、隔离的消息、在线网关和最新读数。",
                "Marks that wait to be computed, quarantined messages, gateways online and the newest reading.",
            ),
            "numbers",
            "waiting waiting_age quarantined edges_online edges age",
            size=(24, 4),
        ),
        page.series(
            Text("入库速率", "Readings stored"),
            Text(
                "最多最近六小时每分钟的入库读数速率。",
                "Readings a second, minute by minute, over at most the last six hours.",
            ),
            "rate",
            unit=COUNT,
        ),
        page.series(
            Text("传输用时", "Transport"),
            Text(
                "最多最近一小时从网关发送到数据库提交的用时；时钟超前会使其为负。",
                "From an edge sending to the database having it, at most an hour; a fast clock makes it negative.",
            ),
            "transport",
            unit=SECONDS,
        ),
        page.series(
            Text("指标滞后", "Lag of the numbers"),
            Text(
                "最多最近六小时写出指标时最旧的待算读数已等待多久。",
                "Age of the oldest live reading when its indicators were written, over at most the last six hours.",
            ),
            "lag",
            unit=SECONDS,
            steps=((None, GOOD), (10, NOTICE), (60, WARN)),
        ),
        page.table(
            Text("计算", "Computations"),
            Text(
                "最多最近六小时按原因统计的计算次数与用时。",
                "Runs by cause over at most the last six hours, with their time.",
            ),
            "runs",
            "cause runs code_version duration duration_p95 lag_p95 newest_at",
        ),
        page.stat(
            Text("待发消息", "Messages to people"),
            Text("等待发送和发送失败的告警消息。", "Alert messages that wait or that failed."),
            "queues",
            "waiting_messages oldest_message failed_messages",
            size=(8, 5),
        ),
        page.stat(
            Text("网关缓存", "Buffers of the gateways"),
            Text(
                "网关因尚未提交而保留的数据，以及最大的时钟偏差。",
                "What gateways hold back because it is not committed, and the worst clock.",
            ),
            "buffers",
            "buffered_batches buffered_bytes clock_offset",
            size=(10, 5),
        ),
        page.stat(
            Text("数据库", "Database"),
            Text("数据库占用的磁盘。", "Disk that the database takes."),
            "database_size",
            "database_bytes",
            size=(6, 5),
            steps=((None, GOOD), (100e9, NOTICE), (500e9, BAD)),
        ),
        page.table(
            Text("最大的数据表", "The largest tables"),
            Text(
                "各数据表占用的磁盘与估计行数，仅园区管理方可见。",
                "Disk of each table and its estimated rows; for who sees the whole park.",
            ),
            "disk",
            "table bytes row_estimate",
            size=(24, 7),
        ),
    ]
    return page.board("platform", TITLE, ABOUT, panels, since="now-6h")
