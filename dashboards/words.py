"""Words, units and colours that mean the same on every dashboard: columns of tables, states, estimates, gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Locale = Literal["zh-CN", "en"]
LOCALES: Final[tuple[Locale, ...]] = ("zh-CN", "en")
LANG: Final[Mapping[Locale, str]] = {"zh-CN": "zh", "en": "en"}


@dataclass(frozen=True, slots=True)
class Text:
    """One text in both languages."""

    zh: str
    en: str

    def of(self, locale: Locale) -> str:
        """Return the text in this language."""
        return self.zh if locale == "zh-CN" else self.en


# Units, as Grafana names them.
KWH: Final = "kwatth"
KW: Final = "kwatt"
M3: Final = "m3"
TONNE: Final = "masst"
TCE: Final = "suffix: tce"
KGCE: Final = "suffix: kgce"
TCO2: Final = "suffix: tCO2"
PERCENT: Final = "percent"
SECONDS: Final = "s"
BYTES: Final = "bytes"
COUNT: Final = "short"

# Colours, by meaning.
GOOD: Final = "green"
NOTICE: Final = "yellow"
WARN: Final = "orange"
BAD: Final = "red"
UNKNOWN: Final = "#8e8e8e"
ESTIMATE: Final = "#a0a0a0"
PROVISIONAL: Final = "#8ab8ff"
MISSING: Final = "#d64b8a"
OTHERS: Final = "#6e6e6e"
TARGET: Final = "#c15c17"
ACCENT: Final = "#3274d9"

# Words that queries put into names of series. The first group names a series, the second is put behind a name.
IN_SQL: Final[Mapping[str, Text]] = {
    "estimated": Text("估算", "Estimated"),
    "provisional": Text("暂计（本期未结束）", "Provisional, period not over"),
    "others": Text("其他企业", "Other firms"),
    "measured": Text("实测", "Measured"),
    "missing": Text("缺失", "Missing"),
    "of_estimates": Text("（含估算）", " (partly estimated)"),
    "of_provisional": Text("（暂计）", " (provisional)"),
    "target": Text("目标：", "Target: "),
    "value": Text("当前值", "Value"),
    "required": Text("应达到", "Required by then"),
    "projection": Text("预计年末", "Projection"),
    "projection_low": Text("预计下限", "Projection, low"),
    "projection_high": Text("预计上限", "Projection, high"),
    "target_value": Text("规划目标", "Plan's number"),
    "numerator": Text("分子", "Numerator"),
    "denominator": Text("分母", "Denominator"),
    "highest": Text("最高小时平均功率", "Highest hourly mean"),
    "mean": Text("平均功率", "Mean power"),
    "median": Text("中位数", "Median"),
    "p95": Text("95 分位", "95th percentile"),
    "readings_per_s": Text("读数/秒", "Readings a second"),
    "revised": Text("修订", "Revisions"),
    "actual": Text("实际", "Actual"),
    "expected": Text("基准预期", "Expected by the baseline"),
}

# The same word and colour for a state on every panel.
STATES: Final[Mapping[str, tuple[Text, str]]] = {
    "ahead": (Text("超前", "Ahead"), GOOD),
    "on_pace": (Text("达到进度", "On pace"), GOOD),
    "at_risk": (Text("有风险", "At risk"), WARN),
    "off": (Text("落后", "Off"), BAD),
    "undefined": (Text("无法判定", "Undefined"), UNKNOWN),
    "open": (Text("未处理", "Open"), BAD),
    "acknowledged": (Text("已确认", "Acknowledged"), NOTICE),
    "resolved": (Text("已恢复", "Resolved"), GOOD),
    "retracted": (Text("已撤回", "Retracted"), UNKNOWN),
    "critical": (Text("紧急", "Critical"), BAD),
    "major": (Text("重要", "Major"), WARN),
    "warning": (Text("警告", "Warning"), NOTICE),
    "info": (Text("提示", "Info"), UNKNOWN),
    "held": (Text("待处理", "Held"), WARN),
    "replayed": (Text("已重放", "Replayed"), GOOD),
    "discarded": (Text("已丢弃", "Discarded"), UNKNOWN),
    "active": (Text("在产", "Active"), GOOD),
    "stopped": (Text("停产", "Stopped"), NOTICE),
    "closed": (Text("关闭", "Closed"), UNKNOWN),
    "true": (Text("是", "Yes"), GOOD),
    "false": (Text("否", "No"), UNKNOWN),
    "entered": (Text("新入园", "Entered"), NOTICE),
    "left": (Text("退出", "Left"), UNKNOWN),
}

Look = Literal["plain", "state", "bar", "hidden", "firm", "target", "wide", "indicator", "factor_source"]


@dataclass(frozen=True, slots=True)
class Column:
    """How a column of a table, or a number of a stat, is shown.

    Attributes:
        name: its heading.
        unit: Grafana's unit.
        look: `state` in words and colour of `STATES`, `bar` a filled cell, `hidden` for links only, `firm` and `target`
            lead to the page of what is named, `wide` for sentences, `indicator` an id shown by its name,
            `factor_source` an id shown by where the factor is printed.
        colour: of a number in a stat.
        decimals: digits behind the point.
    """

    name: Text
    unit: str | None = None
    look: Look = "plain"
    colour: str | None = None
    decimals: int | None = None


def _plain(zh: str, en: str, unit: str | None = None, *, decimals: int | None = None) -> Column:
    return Column(Text(zh, en), unit, decimals=decimals)


def _share(zh: str, en: str) -> Column:
    return Column(Text(zh, en), PERCENT, decimals=1)


def _state(zh: str, en: str) -> Column:
    return Column(Text(zh, en), look="state")


COLUMNS: Final[Mapping[str, Column]] = {
    # who and what
    "subject": _plain("对象", "Subject"),
    "firm": Column(Text("企业", "Firm"), look="firm"),
    "firm_code": Column(Text("企业代码", "Firm code"), look="hidden"),
    "target_code": Column(Text("目标代码", "Target code"), look="hidden"),
    "target": Column(Text("目标", "Target"), look="target"),
    "plan": _plain("规划", "Plan"),
    "source": Column(Text("出处", "Source"), look="wide"),
    "point": _plain("计量点", "Point"),
    "workshop": _plain("车间/产线", "Workshop or line"),
    "carrier": _plain("品种", "Carrier"),
    "direction": _plain("方向", "Direction"),
    "unit": _plain("单位", "Unit"),
    "indicator": Column(Text("指标", "Indicator"), look="indicator"),
    "indicators": Column(Text("用于指标", "Used by"), look="wide"),
    "rule": _plain("规则", "Rule"),
    "category": _plain("类别", "Category"),
    "miss_week": _plain("预计无法达成的周", "Week of the miss"),
    "edge": _plain("网关", "Gateway"),
    "event": _plain("事件", "Event"),
    "channel": _plain("渠道", "Channel"),
    "cause": _plain("原因", "Cause"),
    "factor": _plain("折算系数", "Factor"),
    "factor_source": Column(Text("来源", "Source"), look="factor_source"),
    "note": Column(Text("说明", "Note"), look="wide"),
    "industry": _plain("行业", "Industry"),
    "uscc": _plain("统一社会信用代码", "Unified social credit code"),
    "flags": _plain("标识", "Flags"),
    "table": _plain("数据表", "Table"),
    "version": _plain("版本", "Version"),
    "code_version": _plain("程序版本", "Code version"),
    "hour": _plain("时刻", "Hour"),
    "grain": _plain("周期", "Grain"),
    # states
    "state": _state("状态", "State"),
    "severity": _state("级别", "Severity"),
    "quarantine_state": _state("状态", "State"),
    "firm_status": _state("状态", "Status"),
    "online": _state("在线", "Online"),
    "binding": _state("约束性", "Binding"),
    "verified": _state("已核对", "Verified"),
    "valid": _state("有效", "Valid"),
    "usable": _state("可用", "Usable"),
    "provisional": _state("暂计", "Provisional"),
    "came": _state("进出", "Came or left"),
    # words
    "sentence": Column(Text("说明", "In words"), look="wide"),
    "reason": _plain("原因", "Reason"),
    "title": Column(Text("告警", "Alert"), look="wide"),
    "unknown": Column(Text("缺数据的计量点", "Points without data"), look="wide"),
    "acknowledged_by": _plain("确认人", "Acknowledged by"),
    "failed_gates": _plain("未通过的检验", "Tests not passed"),
    "made_for": Column(Text("建立原因", "Made because"), look="wide"),
    # instants and durations
    "as_of": _plain("截至", "As of"),
    "began": _plain("开始", "Began"),
    "opened_at": _plain("告警时间", "Opened"),
    "ended": _plain("结束", "Ended"),
    "time": _plain("时间", "Time"),
    "month": _plain("月份", "Month"),
    "day": _plain("日期", "Day"),
    "newest_at": _plain("最近一次", "Newest"),
    "reported": _plain("上报时间", "Reported"),
    "first_used": _plain("首次使用", "First used"),
    "last_used": _plain("最近使用", "Last used"),
    "base_from": _plain("基期起", "Base period from"),
    "base_to": _plain("基期止", "Base period to"),
    "valid_from": _plain("生效", "In force from"),
    "valid_to": _plain("失效", "In force to"),
    "target_year": Column(Text("目标年", "Year"), unit="none", decimals=0),
    "lasting": _plain("持续", "Lasting", SECONDS),
    "age": _plain("距今", "Age", SECONDS),
    "silence": _plain("无读数时长", "Silence", SECONDS),
    "newest": _plain("最新读数距今", "Newest reading", SECONDS),
    "duration": _plain("用时（中位数）", "Time, median", SECONDS),
    "duration_p95": _plain("用时（95 分位）", "Time, 95th percentile", SECONDS),
    "lag_p95": _plain("滞后（95 分位）", "Lag, 95th percentile", SECONDS),
    "delay": _plain("送达用时（95 分位）", "Delay, 95th percentile", SECONDS),
    "to_acknowledge": _plain("确认用时（中位数）", "To acknowledge, median", SECONDS),
    "to_acknowledge_p90": _plain("确认用时（90 分位）", "To acknowledge, 90th percentile", SECONDS),
    "to_end": _plain("恢复用时（中位数）", "To the end, median", SECONDS),
    "clock_offset": _plain("时钟偏差", "Clock offset", SECONDS, decimals=1),
    "waiting_age": _plain("最久等待", "Longest wait", SECONDS),
    "oldest_message": _plain("最久待发", "Oldest message", SECONDS),
    # values
    "value": _plain("当前值", "Value", decimals=2),
    "target_value": _plain("目标值", "Target value", decimals=2),
    "projection": _plain("预计", "Projection", decimals=2),
    "month_before": _plain("上月", "Month before", decimals=2),
    "year_before": _plain("上年同月", "A year before", decimals=2),
    "numerator": _plain("分子", "Numerator", decimals=1),
    "denominator": _plain("分母", "Denominator", decimals=1),
    "measured": _plain("实测", "Measured", decimals=1),
    "estimated": Column(Text("估算", "Estimated"), decimals=1, colour=ESTIMATE),
    "held": _plain("待定数量", "Held", decimals=1),
    "limit": _plain("小时限值", "Hourly limit", decimals=1),
    "supply": _plain("输入", "Supply", decimals=1),
    "load": _plain("下级合计", "Children", decimals=1),
    "loss": _plain("已知损耗", "Known loss", decimals=1),
    "unaccounted": _plain("不明差额", "Unaccounted", decimals=1),
    "fresh": _plain("新水", "Fresh water", M3, decimals=0),
    "fresh_estimated": Column(Text("新水（估算）", "Fresh water, estimated"), M3, colour=ESTIMATE, decimals=0),
    "other_sources": _plain("再生水和雨水", "Reclaimed and rain", M3, decimals=0),
    "reused": _plain("重复利用水", "Reused", M3, decimals=0),
    "discharge": _plain("废水排放", "Discharge", M3, decimals=0),
    "generated": _plain("产生", "Generated", TONNE, decimals=1),
    "utilised": _plain("综合利用", "Utilised", TONNE, decimals=1),
    "disposed": _plain("处置", "Disposed of", TONNE, decimals=1),
    "remaining": _plain("贮存及丢弃", "Stored or discarded", TONNE, decimals=1),
    "scope_1": _plain("范围一", "Scope 1", TCO2, decimals=1),
    "scope_2": _plain("范围二（基于位置）", "Scope 2, location-based", TCO2, decimals=1),
    "scope_2_national": _plain("范围二（全国平均）", "Scope 2, national average", TCO2, decimals=1),
    "effect": _plain("影响", "Effect", decimals=3),
    "activity": _plain("规模", "Activity", decimals=3),
    "structure": _plain("结构", "Structure", decimals=3),
    "intensity": _plain("强度", "Intensity", decimals=3),
    "value_from": _plain("之前", "Before", decimals=2),
    "value_to": _plain("之后", "After", decimals=2),
    "power": _plain("当前负荷", "Load now", KW, decimals=0),
    "energy": _plain("综合能耗", "Energy", TCE, decimals=1),
    "energy_before": Column(Text("上一同长时段", "Same length before"), TCE, colour=UNKNOWN, decimals=1),
    "workday": _plain("工作日", "Monday to Friday", KW),
    "weekend": _plain("周末", "Weekend", KW),
    "median": _plain("中位数", "Median", decimals=2),
    "lowest": _plain("最低", "Lowest", decimals=2),
    "highest": _plain("最高", "Highest", decimals=2),
    "r_squared": _plain("决定系数", "R squared", decimals=3),
    "cv_rmse_percent": _plain("CV(RMSE)", "CV(RMSE)", PERCENT, decimals=1),
    # shares
    "reuse": _share("重复利用率", "Reuse rate"),
    "coverage": _share("覆盖率", "Coverage"),
    "measured_share": Column(Text("实测", "Measured"), PERCENT, look="bar", decimals=1),
    "estimated_share": _share("估算", "Estimated"),
    "missing_share": _share("缺失", "Missing"),
    "unaccounted_share": _share("不明占比", "Unaccounted share"),
    "numerator_share": _share("分子占比", "Share of the numerator"),
    "denominator_share": _share("分母占比", "Share of the denominator"),
    "utilisation": _share("综合利用率", "Utilisation"),
    "utilised_or_disposed": _share("处置利用率", "Utilised or disposed of"),
    "hazardous_disposal": _share("危险废物处置率", "Hazardous, utilised or disposed of"),
    "progress": _share("已完成", "Way done"),
    "elapsed": _share("时间已过", "Time gone"),
    "needed_rate": Column(Text("今后每年需", "Needed a year"), PERCENT, decimals=2),
    "acknowledged_share": _share("确认率", "Acknowledged"),
    # counts
    "off": Column(Text("落后", "Off"), colour=BAD),
    "at_risk": Column(Text("有风险", "At risk"), colour=WARN),
    "on_pace": Column(Text("达到进度", "On pace"), colour=GOOD),
    "undefined": Column(Text("无法判定", "Undefined"), colour=UNKNOWN),
    "critical": Column(Text("紧急", "Critical"), colour=BAD),
    "major": Column(Text("重要", "Major"), colour=WARN),
    "minor": Column(Text("警告和提示", "Warning and info"), colour=NOTICE),
    "open": Column(Text("未处理", "Open"), colour=BAD),
    "acknowledged": Column(Text("已确认", "Acknowledged"), colour=NOTICE),
    "opened": _plain("本时段新增", "Opened in the range"),
    "retracted": Column(Text("已撤回", "Retracted"), colour=UNKNOWN),
    "causes": _plain("不同原因", "Causes"),
    "short": _plain("5 分钟内结束", "Over within 5 min"),
    "points": _plain("计量点", "Points"),
    "silent": _plain("无读数", "Silent"),
    "firms": _plain("企业数", "Firms"),
    "place": _plain("排名（低→高）", "Rank, low to high"),
    "conflicts": _plain("异值", "Conflicts"),
    "held_periods": _plain("待定时段", "Held periods"),
    "messages": _plain("消息", "Messages"),
    "times_seen": _plain("出现次数", "Times seen"),
    "delivered": _plain("已送达", "Delivered"),
    "waiting": _plain("等待计算", "Waiting"),
    "given_up": _plain("未送达", "Given up"),
    "quarantined": Column(Text("隔离消息", "Quarantined"), colour=WARN),
    "edges_online": Column(Text("在线网关", "Gateways online"), colour=GOOD),
    "edges": _plain("网关总数", "Gateways"),
    "runs": _plain("次数", "Runs"),
    "buffered_batches": _plain("缓存批次", "Buffered batches"),
    "buffered_bytes": _plain("缓存大小", "Buffered", BYTES),
    "waiting_messages": _plain("待发消息", "Waiting messages"),
    "failed_messages": Column(Text("发送失败", "Failed messages"), colour=BAD),
    "bytes": _plain("大小", "Size", BYTES),
    "database_bytes": _plain("数据库大小", "Database", BYTES),
    "row_estimate": _plain("行数（估计）", "Rows, estimated", COUNT),
}
