"""The words of messages, in Chinese and English."""

from __future__ import annotations

from typing import Final

from alerts.engine import State
from alerts.rules import Severity

LOCALES: Final = ("zh-CN", "en")

SEVERITY: Final = {
    "zh-CN": {"info": "提示", "warning": "警告", "major": "重要", "critical": "紧急"},
    "en": {severity.value: severity.value for severity in Severity},
}
NEWS: Final = {
    "zh-CN": {State.OPEN: "告警", State.RESOLVED: "已恢复", State.RETRACTED: "已撤回"},
    "en": {State.OPEN: "Alert", State.RESOLVED: "Resolved", State.RETRACTED: "Retracted"},
}
GRAIN: Final = {
    "zh-CN": {"bucket": "15分钟", "hour": "小时", "day": "日", "month": "月", "year": "年"},
    "en": {"bucket": "quarter hour", "hour": "hour", "day": "day", "month": "month", "year": "year"},
}
LABELS: Final = {
    "zh-CN": {
        "where": "地点",
        "since": "起始",
        "until": "结束",
        "value": "数值",
        "limit": "限值",
        "target": "目标",
        "source": "依据",
        "worst": "最差",
        "coverage": "数据覆盖率",
        "cost": "影响",
        "covered": "涉及",
        "actual": "实际",
        "usual": "正常应为",
        "mean": "小时均值",
        "permitted": "许可",
        "projection": "预计",
        "carrier": "介质",
        "note": "说明",
        "told": "已通知",
        "waited": "无人确认",
        "chart": "近期走势",
        "open": "查看详情",
        "footer": "本邮件由园区能源与排放监测平台自动发送。",
    },
    "en": {
        "where": "Where",
        "since": "Since",
        "until": "Until",
        "value": "Value",
        "limit": "Limit",
        "target": "Target",
        "source": "By",
        "worst": "Worst",
        "coverage": "Data coverage",
        "cost": "What it costs",
        "covered": "Covers",
        "actual": "Actual",
        "usual": "Expected",
        "mean": "Hourly mean",
        "permitted": "Permitted",
        "projection": "Projection",
        "carrier": "Medium",
        "note": "Note",
        "told": "Told before",
        "waited": "Unacknowledged for",
        "chart": "Recently",
        "open": "Open",
        "footer": "Sent by the park's energy and emissions monitoring.",
    },
}
UNITS: Final = {
    "zh-CN": {
        "intervals": "个采集周期",
        "h": "小时",
        "min": "分钟",
        "s": "秒",
        "batches": "批",
        "sigma": "σ",
        "events": "次",
        "steps": "次",
        "× h": "倍阈值",
        "yuan": "元",
    },
    "en": {"σ": "standard errors", "× h": "thresholds"},
}
"""Units that are words; all others are symbols and the same in every language."""

HOW: Final = {
    # kind of rule, or kind and what it looks at: what its value is of
    "rate": ("平均流量", "flow, averaged"),
    "quantity": ("用量水平", "level of use"),
    "reading": ("读数", "reading"),
    "demand": ("预计 15 分钟需量（占合同需量）", "forecast of the 15-minute demand, of the contract"),
    "standing": ("目标进度状态", "standing against the target"),
    "silence": ("最近一次读数距今", "age of the newest reading"),
    "frozen": ("读数不变已持续", "one and the same reading for"),
    "held": ("待人工处理的表底跳变", "register steps held for a person"),
    "completeness": ("当日数据完整率", "share of the day that is measured"),
    "night_minimum": ("夜间最小流量超出平时", "night minimum, above what is usual"),
    "deviation": ("超出驱动量所能解释的程度", "use beyond what its drivers explain"),
    "baseline": ("相对能源基准的累计偏差", "cumulated deviation from the energy baseline"),
    "balance": ("计量平衡差", "difference in the meter balance"),
    "emission_hourly": ("有效小时均值（占许可限值）", "valid hourly mean, of the permitted one"),
    "occurrence": ("发生次数", "occurrences"),
    "occurrence:late_data": ("迟到时长", "behind later batches by"),
    "edge": ("采集网关状态", "state of the gateway"),
    "edge:offline": ("离线时长", "away for"),
    "edge:buffer": ("积压批次", "batches waiting"),
    "edge:clock": ("时钟偏差", "clock off by"),
}


def pick(locale: str, chinese: str, english: str) -> str:
    """Return the text in the recipient's language."""
    return chinese if locale == "zh-CN" else english


def unit(symbol: str, locale: str) -> str:
    """Return a unit as people of that language write it."""
    return UNITS[locale].get(symbol, symbol)


def duration(seconds: float, locale: str) -> str:
    """Return a span of time in one unit, two where the first is hours or days."""
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} {pick(locale, '分钟', 'min')}"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} {pick(locale, '小时', 'h')}" + (f" {rest} {pick(locale, '分钟', 'min')}" if rest else "")
    days, hours = divmod(hours, 24)
    return f"{days} {pick(locale, '天', 'd')}" + (f" {hours} {pick(locale, '小时', 'h')}" if hours else "")
