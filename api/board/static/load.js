// The electric load: today's curve beside yesterday's; a gap stays a gap, what is estimated is dashed.
import { chart, small, textSize, tooltip, without } from "./chart.js";
import { clock, color, fill, h, nothing, num, said, table } from "./dom.js";
import { called, w } from "./words.js";

export function load(card, { head, load: section }) {
  const [place, side, body] = [card.querySelector(".chart"), card.querySelector(".side"), card.querySelector(".body")];
  const drawn = [...section.v, ...section.part, ...section.before].some((v) => v !== null);
  if (!drawn) {
    without(place);
    fill(side);
    fill(body, nothing("no_load", "no_load_do"));
    return;
  }
  const start = new Date(section.start).getTime();
  const times = section.v.map((_, n) => clock(start + n * section.step_s * 1000));
  const known = section.v.filter((v) => v !== null);
  const label = w("load_chart", {
    v: said(section.now.v, section.unit), m: said(known.length ? Math.max(...known) : null, section.unit), g: section.v.length - known.length,
  });
  chart(place, option(place, section, times), label);
  fill(side, section.top.length ? [h("h3.part", {}, w(head.firm ? "meters" : "largest")), h("ul.tops", {}, section.top.map((one) => top(one, section.unit)))] : null);
  fill(body,
    table("load", [w("time"), w("load_today"), w("load_before")], section.v.map((v, n) =>
      [times[n], v === null && section.part[n] !== null ? `≥ ${said(section.part[n], section.unit)} (${w("load_part")})` : said(v, section.unit), said(section.before[n], section.unit)]).reverse()));
}

const ICONS = {
  line: "path://M0 4h24v3h-24z", "2,4": "path://M0 5h3v2h-3zM7 5h3v2h-3zM14 5h3v2h-3zM21 5h3v2h-3z",
  "5,4": "path://M0 4h6v3h-6zM9 4h6v3h-6zM18 4h6v3h-6z", emptyTriangle: "triangle",
};

function option(place, section, times) {
  const last = times.length - 1;
  const narrow = small(place);
  const [blue, soft, line] = [color("electricity"), color("soft"), color("line")];
  // A stretch with estimates is drawn dashed, joined to its neighbours; the full line leaves it out.
  const estimated = section.v.map((v, n) => (v !== null && section.est[n] > 0.005 ? v : null));
  const joined = section.v.map((v, n) => (estimated[n] !== null || (v !== null && (estimated[n - 1] ?? estimated[n + 1] ?? null) !== null) ? v : null));
  const sure = section.v.map((v, n) => (estimated[n] === null ? v : null));
  const plain = { type: "line", showSymbol: false, connectNulls: false, symbol: "none" };
  const series = [
    { ...plain, name: w("load_before"), data: section.before, lineStyle: { color: soft, width: 1.2, type: [2, 4] }, itemStyle: { color: soft } },
    { ...plain, name: w("load_today"), data: sure, lineStyle: { color: blue, width: 2.4 }, itemStyle: { color: blue }, areaStyle: { color: blue, opacity: 0.14 } },
  ];
  if (estimated.some((v) => v !== null)) {
    series.push({ ...plain, name: w("load_est"), data: joined, lineStyle: { color: blue, width: 2, type: [5, 4] }, itemStyle: { color: blue } });
  }
  if (section.part.some((v) => v !== null)) {
    series.push({ type: "scatter", name: w("load_part"), data: section.part, symbol: "emptyTriangle", symbolSize: 7, itemStyle: { color: color("off") } });
  }
  if (section.v[last] !== null) {
    series.push({ type: "scatter", name: w("load_running"), data: section.v.map((v, n) => (n === last ? v : null)), symbol: "emptyCircle", symbolSize: 10, itemStyle: { color: blue, borderWidth: 2 } });
  }
  const size = textSize();
  return {
    grid: { left: 4, right: 12, top: 36, bottom: 2, containLabel: true },
    legend: { top: 0, left: 0, itemWidth: 20, itemHeight: 8, data: series.filter((one) => one.name !== w("load_running")).map((one) => ({ name: one.name, icon: ICONS[one.type === "scatter" ? one.symbol : String(one.lineStyle.type ?? "line")] })), textStyle: { color: soft, fontSize: size }, inactiveColor: line, itemGap: 8 },
    tooltip: tooltip({
      trigger: "axis",
      formatter: (found) => [times[found[0].dataIndex], ...found.filter((one) => one.value !== null && one.value !== undefined && one.seriesName !== w("load_running"))
        .map((one) => `${one.seriesName} ${said(one.value, section.unit)}`)].join("\n"),
    }),
    xAxis: { type: "category", data: times, boundaryGap: false, axisLine: { lineStyle: { color: line } }, axisTick: { show: false },
      axisLabel: { color: soft, fontSize: size, interval: (n, text) => text.endsWith(":00") && Number(text.slice(0, 2)) % (narrow ? 6 : 3) === 0 } },
    yAxis: { type: "value", splitNumber: 4, splitLine: { lineStyle: { color: line } }, axisLabel: { color: soft, fontSize: size } },
    series,
  };
}

function top(one, unit) {
  return h("li", {}, h("span.nm", { title: called(one) }, called(one)), spark(one.spark), h("b", {}, num(one.now.v, unit)));
}

/** A small curve; where a value is unknown it is broken. */
function spark(values) {
  const known = values.filter((v) => v !== null);
  const high = Math.max(...known, 1e-9);
  const low = Math.min(...known, high * 0.8);
  let path = "";
  values.forEach((v, n) => {
    if (v === null) return;
    const joined = n > 0 && values[n - 1] !== null;
    path += `${joined ? "L" : "M"}${(100 * n) / (values.length - 1)} ${18 - (16 * (v - low)) / (high - low)}${joined ? "" : "h.01"}`;
  });
  return h("svg", { viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("path", { d: path || "M0 0", fill: "none", stroke: "currentColor", "stroke-width": 1.6, "vector-effect": "non-scaling-stroke", "stroke-linecap": "round" }));
}
