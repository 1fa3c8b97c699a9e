"""The dashboard "Park today": what needs me now, in one screen, Chinese and English from one definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from grafana_foundation_sdk.builders import common, dashboard, stat, table, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as parts

from dashboards.query import SOURCE, Format, SqlQuery
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

Locale = Literal["zh-CN", "en"]
_LANG: Final[Mapping[Locale, str]] = {"zh-CN": "zh", "en": "en"}


@dataclass(frozen=True, slots=True)
class Text:
    """One text in both languages."""

    zh: str
    en: str

    def of(self, locale: Locale) -> str:
        """Return the text in this language."""
        return self.zh if locale == "zh-CN" else self.en


TITLE: Final = Text("今日园区", "Park today")
_KGCE: Final = "suffix: kgce"
_GREEN, _YELLOW, _ORANGE, _RED, _GREY = "green", "yellow", "orange", "red", "#8e8e8e"

# The same word and colour for a state on every panel.
_STATES: Final = {
    "ahead": (Text("超前", "Ahead"), _GREEN),
    "on_pace": (Text("达到进度", "On pace"), _GREEN),
    "at_risk": (Text("有风险", "At risk"), _ORANGE),
    "off": (Text("落后", "Off"), _RED),
    "undefined": (Text("无法判定", "Undefined"), _GREY),
    "open": (Text("未处理", "Open"), _RED),
    "acknowledged": (Text("已确认", "Acknowledged"), _YELLOW),
    "critical": (Text("紧急", "Critical"), _RED),
    "major": (Text("重要", "Major"), _ORANGE),
    "warning": (Text("警告", "Warning"), _YELLOW),
    "info": (Text("提示", "Info"), _GREY),
}
_COLUMNS: Final = {
    "subject": Text("对象", "Subject"),
    "target": Text("目标", "Target"),
    "state": Text("状态", "State"),
    "value": Text("当前值", "Value"),
    "target_value": Text("目标值", "Target value"),
    "projection": Text("预计", "Projection"),
    "sentence": Text("说明", "In words"),
    "as_of": Text("截至", "As of"),
    "severity": Text("级别", "Severity"),
    "title": Text("告警", "Alert"),
    "began": Text("开始", "Began"),
    "lasting": Text("持续", "Lasting"),
    "firm": Text("企业", "Firm"),
    "measured": Text("实测", "Measured"),
    "estimated": Text("估算", "Estimated"),
    "missing": Text("缺失", "Missing"),
    "points": Text("计量点", "Points"),
    "silent": Text("无读数", "Silent"),
    "newest": Text("最新读数距今", "Newest reading"),
    "oldest": Text("最旧的最新读数距今", "Longest silence"),
    "off": Text("落后", "Off"),
    "at_risk": Text("有风险", "At risk"),
    "on_pace": Text("达到进度", "On pace"),
    "undefined": Text("无法判定", "Undefined"),
    "episodes": Text("未结束告警", "Open episodes"),
    "age": Text("距今", "Age"),
}


def park_today(locale: Locale) -> parts.Dashboard:
    """Build the dashboard in one language."""
    make = _Maker(locale)
    board = (
        dashboard.Dashboard(TITLE.of(locale))
        .uid(f"greenpark-today-{_LANG[locale]}")
        .description(make.say("现在需要我处理什么：目标、告警、用能、用水与数据质量。", "What needs me now."))
        .tags(["greenpark", _LANG[locale]])
        .timezone("browser")
        .tooltip(parts.DashboardCursorSync.CROSSHAIR)
        .time("now-7d", "now")
        .refresh("1m")
        .readonly()
        .with_variable(make.variable("park", Text("园区", "Park"), many=False))
        .with_variable(make.variable("firm", Text("企业", "Firm"), many=True))
    )
    for panel in (*make.numbers(), *make.lists(), *make.curves(), *make.quality()):
        board.with_panel(panel)
    return board.build()


class _Maker:
    """Builds the panels in one language."""

    def __init__(self, locale: Locale) -> None:
        self._locale = locale

    def say(self, zh: str, en: str) -> str:
        return Text(zh, en).of(self._locale)

    def _sql(self, name: str) -> str:
        text = queries("park_today")[name].replace("{lang}", _LANG[self._locale])
        # Grafana expands macros in comments too, and viewers need none: only the statement goes out.
        return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))

    def _query(self, name: str, form: Format, ref_id: str = "A") -> SqlQuery:
        return SqlQuery(self._sql(name), form, ref_id)

    def variable(self, name: str, label: Text, *, many: bool) -> dashboard.QueryVariable:
        built = (
            dashboard.QueryVariable(name)
            .label(label.of(self._locale))
            .query(self._sql(f"variable_{name}"))
            .datasource(SOURCE)
            .refresh(parts.VariableRefresh.ON_DASHBOARD_LOAD)
            .sort(parts.VariableSort.DISABLED)
            .multi(many)
            .include_all(many)
        )
        if many:
            # Without an own value for All, Grafana sends every option, quoted.
            built.current(parts.VariableOption(selected=True, text=["All"], value=["$__all"]))
        return built

    def numbers(self) -> list[stat.Panel]:
        """The first row: four numbers."""
        return [
            self._stat(Text("目标进展", "Standing"), "standings_off", 8)
            .description(self.say("当前各目标按状态计数。", "How many targets stand in each state now."))
            .color_mode(looks.BigValueColorMode.VALUE)
            .thresholds(_steps((None, _GREY)))
            .override_by_name("off", self._named("off", colour=_RED))
            .override_by_name("at_risk", self._named("at_risk", colour=_ORANGE))
            .override_by_name("on_pace", self._named("on_pace", colour=_GREEN))
            .override_by_name("undefined", self._named("undefined", colour=_GREY)),
            self._stat(Text("未结束告警", "Open episodes"), "open_episodes_count", 4)
            .description(
                self.say("未处理和已确认、尚未结束的告警数。", "Alerts that are open or taken on and not over.")
            )
            .thresholds(_steps((None, _GREEN), (1, _ORANGE), (5, _RED)))
            .override_by_name("episodes", self._named("episodes")),
            self._stat(Text("数据覆盖率（24 小时）", "Data coverage, 24 hours"), "coverage", 8)
            .description(
                self.say(
                    "过去 24 个整点小时中，有实测或估算数据的时间占比；其余为缺失，不是零。",
                    "Share of the last 24 whole hours that is measured or estimated; the rest is missing, not zero.",
                )
            )
            .unit("percent")
            .decimals(1)
            .thresholds(_steps((None, _RED), (80, _ORANGE), (95, _GREEN)))
            .override_by_name("measured", self._named("measured"))
            .override_by_name("estimated", self._named("estimated", colour=_GREY)),
            self._stat(Text("最新读数", "Newest reading"), "newest_reading", 4)
            .description(
                self.say("所选企业最新一次读数距现在多久。", "How old the newest reading of the chosen firms is.")
            )
            .unit("s")
            .thresholds(_steps((None, _GREEN), (1800, _ORANGE), (3600, _RED)))
            .override_by_name("age", self._named("age")),
        ]

    def lists(self) -> list[table.Panel]:
        """Standings and open episodes."""
        return [
            self._table(Text("目标进展明细", "Standing against targets"), "standings", 14, 9)
            .description(
                self.say(
                    "每个目标的当前状态，最需要关注的在前；无法判定的写明原因。",
                    "The state of each target now, the worst first; what is undefined says why.",
                )
            )
            .override_by_name("state", self._state_column("state"))
            .override_by_name("sentence", [*self._named("sentence"), _width(420)])
            .override_by_name("value", self._number("value"))
            .override_by_name("target_value", self._number("target_value"))
            .override_by_name("projection", self._number("projection"))
            .override_by_name("subject", self._named("subject"))
            .override_by_name("target", self._named("target"))
            .override_by_name("as_of", self._named("as_of")),
            self._table(Text("未结束告警", "Open episodes"), "episodes", 10, 9)
            .description(self.say("尚未结束的告警，最严重的在前。", "Alerts that are not over, the most severe first."))
            .override_by_name("severity", self._state_column("severity"))
            .override_by_name("state", self._state_column("state"))
            .override_by_name("title", self._named("title"))
            .override_by_name("subject", self._named("subject"))
            .override_by_name("began", self._named("began"))
            .override_by_name("lasting", [*self._named("lasting"), _property("unit", "s")]),
        ]

    def curves(self) -> list[timeseries.Panel]:
        """Load, energy and water over time."""
        return [
            self._bars(Text("各企业用电（小时）", "Electricity by firm, hourly"), "electricity_hourly", "kwatth")
            .description(
                self.say(
                    "各企业每小时外购电量，实测加估算；没有数据的小时为空白。",
                    "Bought electricity of each firm by hour, measured and estimated; hours without data are gaps.",
                )
            ),
            self._bars(Text("各企业综合能耗（日，当量值）", "Energy by firm, daily, equivalent"), "energy_daily", _KGCE)
            .description(
                self.say(
                    "各企业每日综合能耗（当量值，千克标准煤）；无法计算的日子为空白。",
                    "Comprehensive energy of each firm by day, equivalent value; undefined days are gaps.",
                )
            ),
            self._lines(Text("15 分钟负荷（最近一天）", "Load, 15 minutes, last day"), "load", "kwatt")
            .description(
                self.say(
                    "所选范围最后一天内各企业的平均用电功率；数据不完整的时段为空白。",
                    "Mean electric power of each firm in the last day of the range; incomplete quarters are gaps.",
                )
            ),
            self._lines(Text("工业用水重复利用率", "Water reuse rate"), "water_reuse", "percent")
            .with_target(self._query("water_reuse_target", "time_series", "B"))
            .description(
                self.say(
                    "园区和所选企业每日的重复利用率，与规划目标（虚线）比较。",
                    "Daily reuse rate of the park and the chosen firms beside the plans' targets (dashed).",
                )
            )
            .min(0)
            .max(100)
            .override_by_query(
                "B",
                [
                    _property("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
                    _property("custom.lineInterpolation", "linear"),
                    _property("color", {"mode": "fixed", "fixedColor": _GREY}),
                ],
            ),
        ]  # fmt: skip

    def quality(self) -> list[table.Panel]:
        """Where data are missing or late."""
        percent = [_property("unit", "percent"), _property("decimals", 1)]
        seconds = _property("unit", "s")
        return [
            self._table(Text("各企业数据覆盖率（24 小时）", "Coverage by firm, 24 hours"), "coverage_by_firm", 12, 8)
            .description(
                self.say(
                    "过去 24 个整点小时中各企业数据的实测、估算、缺失占比。",
                    "Shares of measured, estimated and missing data of each firm in the last 24 whole hours.",
                )
            )
            .override_by_name("firm", self._named("firm"))
            .override_by_name("measured", [*self._named("measured"), *percent])
            .override_by_name("estimated", [*self._named("estimated"), *percent])
            .override_by_name("missing", [*self._named("missing"), *percent]),
            self._table(Text("各企业读数", "Readings by firm"), "readings_by_firm", 12, 8)
            .description(
                self.say(
                    "各企业的计量点数、超过三个周期没有读数的点数，以及读数距今多久。",
                    "Points of each firm, how many were silent for three of their intervals, and how old readings are.",
                )
            )
            .override_by_name("firm", self._named("firm"))
            .override_by_name("points", self._named("points"))
            .override_by_name("silent", self._named("silent"))
            .override_by_name("newest", [*self._named("newest"), seconds])
            .override_by_name("oldest", [*self._named("oldest"), seconds]),
        ]

    def _stat(self, title: Text, query: str, width: int) -> stat.Panel:
        return (
            stat.Panel()
            .title(title.of(self._locale))
            .datasource(SOURCE)
            .with_target(self._query(query, "table"))
            .span(width)
            .height(4)
            .no_value("–")
            .graph_mode(looks.BigValueGraphMode.NONE)
            .color_mode(looks.BigValueColorMode.VALUE)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))  # noqa: FBT003
        )

    def _table(self, title: Text, query: str, width: int, height: int) -> table.Panel:
        return (
            table.Panel()
            .title(title.of(self._locale))
            .datasource(SOURCE)
            .with_target(self._query(query, "table"))
            .span(width)
            .height(height)
            .no_value("–")
        )

    def _bars(self, title: Text, query: str, unit: str) -> timeseries.Panel:
        return (
            self._series(title, query, unit)
            .draw_style(looks.GraphDrawStyle.BARS)
            .fill_opacity(70)
            .stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
        )

    def _lines(self, title: Text, query: str, unit: str) -> timeseries.Panel:
        return self._series(title, query, unit).draw_style(looks.GraphDrawStyle.LINE).fill_opacity(0)

    def _series(self, title: Text, query: str, unit: str) -> timeseries.Panel:
        return (
            timeseries.Panel()
            .title(title.of(self._locale))
            .datasource(SOURCE)
            .with_target(self._query(query, "time_series"))
            .unit(unit)
            .span(12)
            .height(8)
            .span_nulls(False)  # noqa: FBT003  (a gap stays a gap)
            .show_points(looks.VisibilityMode.AUTO)
            .legend(common.VizLegendOptions().show_legend(True).placement(looks.LegendPlacement.BOTTOM))  # noqa: FBT003
        )

    def _named(self, column: str, *, colour: str | None = None) -> list[parts.DynamicConfigValue]:
        named = [_property("displayName", _COLUMNS[column].of(self._locale))]
        if colour is not None:
            named.append(_property("color", {"mode": "fixed", "fixedColor": colour}))
        return named

    def _number(self, column: str) -> list[parts.DynamicConfigValue]:
        return [*self._named(column), _property("decimals", 2), _width(100)]

    def _state_column(self, column: str) -> list[parts.DynamicConfigValue]:
        words = {
            state: parts.ValueMappingResult(text=text.of(self._locale), color=colour, index=n)
            for n, (state, (text, colour)) in enumerate(_STATES.items())
        }
        return [
            *self._named(column),
            _property("mappings", [parts.ValueMap(options=words)]),
            _property("custom.cellOptions", looks.TableColorTextCellOptions()),
            _width(110),
        ]


def _property(name: str, value: object) -> parts.DynamicConfigValue:
    return parts.DynamicConfigValue(id_val=name, value=value)


def _width(pixels: int) -> parts.DynamicConfigValue:
    return _property("custom.width", pixels)


def _steps(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(parts.ThresholdsMode.ABSOLUTE)
        .steps([parts.Threshold(value=value, color=colour) for value, colour in steps])
    )
