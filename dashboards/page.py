"""Builds panels in one language: what is common to all pages is decided here once.

Gaps stay gaps, estimates are grey and dashed, a period that is not over is pale blue, targets are dashed; a column is
named, formatted and linked by its name (`dashboards.words.COLUMNS`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from grafana_foundation_sdk.builders import barchart, common, dashboard, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as parts

from dashboards import words
from dashboards.query import SOURCE, Format, SqlQuery
from dashboards.words import COLUMNS, IN_SQL, LANG, STATES, Column, Locale, Text
from park.factors import load_factors
from park.indicators import load_catalogue
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from park.indicators import Indicator

Style = Literal["bars", "beside", "lines"]
Steps = tuple[tuple[float | None, str], ...]
_COMMENT: Final = re.compile(r"^\s*--.*\n?", re.MULTILINE)
_SNIPPET: Final = re.compile(r"\{([a-z_]+)\}")
_TIME_RANGE: Final = "${__url_time_range}"


class Page:
    """Builds the panels of one dashboard in one language.

    Args:
        locale: its language.
        file: its queries stand in `store/sql/dashboards/{file}.sql`, shared ones in `common.sql`.
    """

    def __init__(self, locale: Locale, file: str) -> None:
        self.locale = locale
        both = queries("dashboards/common") | queries(f"dashboards/{file}")
        # Grafana expands macros in comments too, and viewers need none: only the statement goes out.
        self._queries = {name: _COMMENT.sub("", text) for name, text in both.items()}

    def say(self, text: Text) -> str:
        """Return the text in the page's language."""
        return text.of(self.locale)

    def sql(self, name: str, **given: str) -> str:
        """Return a query as Grafana gets it: snippets and words in place, without comments.

        Args:
            name: of the query.
            **given: what stands for `{name}`, before the snippets of the same name.
        """
        text = self._queries[name]
        quoted = {word: self.say(one).replace("'", "''") for word, one in IN_SQL.items()}
        known = quoted | {"lang": LANG[self.locale]} | given

        def one(match: re.Match[str]) -> str:
            snippet = match[1]
            return known[snippet] if snippet in known else self._queries[snippet]

        while _SNIPPET.search(text):
            text = _SNIPPET.sub(one, text)
        return text

    def query(self, name: str, form: Format, ref_id: str = "A", **given: str) -> SqlQuery:
        """Return a target."""
        return SqlQuery(self.sql(name, **given), form, ref_id)

    # Panels ----------------------------------------------------------------------------------------------------------

    def series(
        self,
        title: Text,
        about: Text,
        query: str,
        *,
        unit: str | None = None,
        size: tuple[int, int] = (12, 8),
        style: Style = "lines",
        bounds: tuple[float | None, float | None] = (None, None),
        against: SqlQuery | None = None,
        steps: Steps = (),
        colours: Sequence[str] = (),
        legend: bool = True,
        named: Sequence[str] = (),
        **given: str,
    ) -> timeseries.Panel:
        """Curves, stacked bars or bars beside each other over time.

        Args:
            title: heading.
            about: one sentence.
            query: gives time, metric and value.
            unit: of the values, as Grafana names it.
            size: width and height in Grafana's grid.
            style: how it is drawn.
            bounds: of the axis.
            against: a second query, such as targets.
            steps: thresholds drawn as dashed lines.
            colours: states whose series have a colour by meaning (`words.STATES`).
            legend: whether the series are named below.
            named: indicators whose ids are names of series; people see their names.
            **given: snippets of the query.
        """
        panel: timeseries.Panel = (
            self._begun(timeseries.Panel(), title, about, size)
            .with_target(self.query(query, "time_series", **given))
            .span_nulls(False)  # noqa: FBT003  (a gap stays a gap)
            .show_points(looks.VisibilityMode.AUTO)
            .legend(common.VizLegendOptions().show_legend(legend).placement(looks.LegendPlacement.BOTTOM))
            .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        )
        if unit is not None:
            panel.unit(unit)
        if style in {"bars", "beside"}:
            stacked = looks.StackingMode.NORMAL if style == "bars" else looks.StackingMode.NONE
            panel.draw_style(looks.GraphDrawStyle.BARS).fill_opacity(75).line_width(0)
            panel.stacking(common.StackingConfig().mode(stacked).group("A")).min(0)
        else:
            panel.draw_style(looks.GraphDrawStyle.LINE).fill_opacity(0).line_width(2)
        lowest, highest = bounds
        if lowest is not None:
            panel.min(lowest)
        if highest is not None:
            panel.max(highest)
        if steps:
            panel.thresholds(_steps(steps)).thresholds_style(
                common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED)
            )
        if against is not None:
            panel.with_target(against)
        for one in named:
            indicator = load_catalogue().by_id(one)
            panel.override_by_regexp(f"/^{one}$/", [_property("displayName", _named(indicator, self.locale))])
            for word in ("of_provisional", "of_estimates"):
                full = _named(indicator, self.locale) + self.say(IN_SQL[word])
                panel.override_by_name(one + self.say(IN_SQL[word]), [_property("displayName", full)])
        for state in colours:
            text, colour = STATES[state]
            panel.override_by_name(self.say(text), [_colour(colour)])
        return self._marked(panel)

    def timeline(
        self, title: Text, about: Text, query: str, *, steps: Steps, names: Mapping[int, Text], size: tuple[int, int]
    ) -> statetimeline.Panel:
        """States over time, a row for each series; thresholds give the colour of a value, `names` its word."""
        panel: statetimeline.Panel = (
            self._begun(statetimeline.Panel(), title, about, size)
            .with_target(self.query(query, "time_series"))
            .show_value(looks.VisibilityMode.NEVER)
            .merge_values(True)  # noqa: FBT003
            .row_height(0.8)
            .color_scheme(dashboard.FieldColor().mode(parts.FieldColorModeId.THRESHOLDS))
            .thresholds(_steps(steps))
            .legend(common.VizLegendOptions().show_legend(False).placement(looks.LegendPlacement.BOTTOM))  # noqa: FBT003
        )
        if names:
            options = {
                str(value): parts.ValueMappingResult(text=self.say(text), index=n)
                for n, (value, text) in enumerate(names.items())
            }
            panel.mappings([parts.ValueMap(options=options)])
        return panel

    def stat(
        self,
        title: Text,
        about: Text,
        query: str,
        columns: str,
        *,
        size: tuple[int, int] = (6, 4),
        steps: Steps = ((None, words.ACCENT),),
        **given: str,
    ) -> stat.Panel:
        """One row of numbers, one for each column."""
        panel: stat.Panel = (
            self._begun(stat.Panel(), title, about, size)
            .with_target(self.query(query, "table", **given))
            .graph_mode(looks.BigValueGraphMode.NONE)
            .color_mode(looks.BigValueColorMode.VALUE)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))  # noqa: FBT003
            .thresholds(_steps(steps))
        )
        for name in columns.split():
            panel.override_by_name(name, self._of_column(COLUMNS[name]))
        return panel

    def table(
        self, title: Text, about: Text, query: str, columns: str, *, size: tuple[int, int] = (12, 8), **given: str
    ) -> table.Panel:
        """A table with these columns, in the order of the query."""
        panel: table.Panel = (
            self._begun(table.Panel(), title, about, size)
            .with_target(self.query(query, "table", **given))
            .cell_height(looks.TableCellHeight.SM)
        )
        for name in columns.split():
            panel.override_by_name(name, self._of_column(COLUMNS[name]))
        return panel

    def bars(
        self, title: Text, about: Text, query: str, columns: str, *, by: str, unit: str, size: tuple[int, int] = (12, 8)
    ) -> barchart.Panel:
        """Bars side by side for each value of the column `by`."""
        panel: barchart.Panel = (
            self._begun(barchart.Panel(), title, about, size)
            .with_target(self.query(query, "table"))
            .x_field(by)
            .unit(unit)
            .group_width(0.8)
            .legend(common.VizLegendOptions().show_legend(True).placement(looks.LegendPlacement.BOTTOM))  # noqa: FBT003
        )
        for name in columns.split():
            if name != by:
                panel.override_by_name(name, [_property("displayName", self.say(COLUMNS[name].name))])
        return panel

    def _begun(self, panel: Any, title: Text, about: Text, size: tuple[int, int]) -> Any:
        width, height = size
        begun = panel.title(self.say(title)).description(self.say(about)).datasource(SOURCE)
        return begun.span(width).height(height).no_value("–")

    def _marked(self, panel: timeseries.Panel) -> timeseries.Panel:
        """Give estimates, running periods, the rest and targets the look that they have everywhere."""
        dashed = _property("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})
        fixed = {"estimated": words.ESTIMATE, "provisional": words.PROVISIONAL, "others": words.OTHERS,
                 "missing": words.MISSING, "measured": words.GOOD}  # fmt: skip
        for word, colour in fixed.items():
            properties = [_colour(colour)] + ([dashed] if word in {"estimated", "provisional"} else [])
            panel.override_by_name(self.say(IN_SQL[word]), properties)
        for word, colour in {"of_estimates": words.ESTIMATE, "of_provisional": words.PROVISIONAL}.items():
            ending = f"/{re.escape(self.say(IN_SQL[word]))}$/".replace("\\ ", " ")
            points = [_property("custom.showPoints", "always"), _property("custom.pointSize", 6)]
            panel.override_by_regexp(ending, [_colour(colour), dashed, *points])
        beginning = f"/^{self.say(IN_SQL['target'])}/"
        flat = [
            _property("custom.drawStyle", "line"),
            _property("custom.fillOpacity", 0),
            _property("custom.lineWidth", 1),
        ]
        unstacked = _property("custom.stacking", {"mode": "none", "group": "A"})
        return panel.override_by_regexp(beginning, [_colour(words.TARGET), dashed, *flat, unstacked])

    def _of_column(self, column: Column) -> list[parts.DynamicConfigValue]:
        found = [_property("displayName", self.say(column.name))]
        if column.unit is not None:
            found.append(_property("unit", column.unit))
        if column.decimals is not None:
            found.append(_property("decimals", column.decimals))
        if column.colour is not None:
            found.append(_colour(column.colour))
        if column.look == "state":
            found += [
                _property("mappings", [parts.ValueMap(options=self._states())]),
                _property("custom.cellOptions", looks.TableColorTextCellOptions()),
                _property("custom.width", 100),
            ]
        elif column.look == "bar":
            found += [
                _property("custom.cellOptions", looks.TableBarGaugeCellOptions()),
                _property("min", 0),
                _property("max", 100),
                _property("thresholds", _steps(((None, words.BAD), (80, words.WARN), (95, words.GOOD))).build()),
                _property("color", {"mode": "thresholds"}),
            ]
        elif column.look == "indicator":
            found.append(_property("mappings", [parts.ValueMap(options=self._indicators())]))
            found.append(_property("custom.minWidth", 220))
        elif column.look == "factor_source":
            found.append(_property("mappings", [parts.ValueMap(options=_factor_sources())]))
            found.append(_property("custom.minWidth", 260))
        elif column.look == "hidden":
            # Up to Grafana 11 the first, later the second; each ignores the other.
            found.append(_property("custom.hidden", True))  # noqa: FBT003
            found.append(_property("custom.hideFrom", {"viz": True, "legend": True, "tooltip": True}))
        elif column.look == "wide":
            found.append(_property("custom.minWidth", 260))
        elif column.look in {"firm", "target"}:
            found.append(_property("links", [self._link(column.look)]))
        return found

    def _link(self, to: str) -> dict[str, Any]:
        page, variable, code = {
            "firm": ("firm", "var-firm", "firm_code"),
            "target": ("targets", "var-target", "target_code"),
        }[to]
        heading = self.say(COLUMNS[code].name)
        field = f'${{__data.fields["{heading}"]}}'
        url = f"/d/{uid(page, self.locale)}?${{park:queryparam}}&{variable}={field}&{_TIME_RANGE}"
        return {"title": self.say(Text("打开页面", "Open its page")), "url": url}

    def _indicators(self) -> dict[str, parts.ValueMappingResult]:
        return {
            one.id: parts.ValueMappingResult(text=_named(one, self.locale), index=n)
            for n, one in enumerate(load_catalogue().indicators)
        }

    def _states(self) -> dict[str, parts.ValueMappingResult]:
        return {
            state: parts.ValueMappingResult(text=self.say(text), color=colour, index=n)
            for n, (state, (text, colour)) in enumerate(STATES.items())
        }

    # The frame -------------------------------------------------------------------------------------------------------

    def board(
        self,
        name: str,
        title: Text,
        about: Text,
        panels: Sequence[Any],
        *,
        since: str = "now-7d",
        one_firm: bool = False,
        targets: bool = False,
    ) -> parts.Dashboard:
        """Put panels into a dashboard: variables, links to the other pages that carry the selection, refresh."""
        lang = LANG[self.locale]
        board = (
            dashboard.Dashboard(self.say(title))
            .uid(uid(name, self.locale))
            .description(self.say(about))
            .tags(["greenpark", lang])
            .timezone("")  # the organisation's, which is the park's
            .tooltip(parts.DashboardCursorSync.CROSSHAIR)
            .time(since, "now")
            .refresh("1m")
            .readonly()
            .link(
                dashboard.DashboardLink("GreenPark")
                .type(parts.DashboardLinkType.DASHBOARDS)
                .tags(["greenpark", lang])
                .include_vars(True)  # noqa: FBT003
                .keep_time(True)  # noqa: FBT003
                .as_dropdown(False)  # noqa: FBT003
            )
            .with_variable(self._variable("park", Text("园区", "Park"), many=False))
            .with_variable(self._variable("firm", Text("企业", "Firm"), many=not one_firm))
        )
        if targets:
            board.with_variable(self._variable("target", Text("目标", "Target"), many=False))
        for panel in panels:
            board.with_panel(panel)
        return board.build()

    def _variable(self, name: str, label: Text, *, many: bool) -> dashboard.QueryVariable:
        built = (
            dashboard.QueryVariable(name)
            .label(self.say(label))
            .query(self.sql(f"variable_{name}"))
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


def _factor_sources() -> dict[str, parts.ValueMappingResult]:
    return {one.id: parts.ValueMappingResult(text=one.source, index=n) for n, one in enumerate(load_factors().factors)}


def _named(indicator: Indicator, locale: Locale) -> str:
    return indicator.name_zh if locale == "zh-CN" else indicator.name_en


def quoted(*codes: str) -> str:
    """Return codes of ours as SQL's list of texts."""
    return ", ".join(f"'{code}'" for code in codes)


def uid(page: str, locale: Locale) -> str:
    """Return the uid of a page, by which links find it."""
    return f"greenpark-{page}-{LANG[locale]}"


def _property(name: str, value: object) -> parts.DynamicConfigValue:
    return parts.DynamicConfigValue(id_val=name, value=value)


def _colour(colour: str) -> parts.DynamicConfigValue:
    return _property("color", {"mode": "fixed", "fixedColor": colour})


def _steps(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(parts.ThresholdsMode.ABSOLUTE)
        .steps([parts.Threshold(value=value, color=colour) for value, colour in steps])
    )
