// The energy flow as a Sankey diagram; unknown flows are named, not drawn as nothing.
import { chart, hatched, small, textSize, tooltip, without } from "./chart.js";
import { chips, color, explained, fill, h, nothing, num, percent, said, table } from "./dom.js";
import { called, w } from "./words.js";

export function flow(card, { head, flow: section }, grain, visit) {
  const now = section[grain];
  const [place, body] = [card.querySelector(".chart"), card.querySelector(".body")];
  const notes = unknown(now);
  if (!now.links.length) {
    without(place);
    fill(body, nothing("no_flow", "no_flow_do"), notes);
    return;
  }
  const names = Object.fromEntries(now.nodes.map((node) => [node.id, name(node, head)]));
  const label = w("flow_chart", { v: said(now.supply, section.unit), n: now.links.length });
  const drawn = chart(place, option(place, now, names, section.unit), label, (event) => {
    const node = now.nodes.find((one) => one.id === event.name);
    if (event.dataType === "node" && node?.firm_id) visit(node.firm_id);
  });
  drawn.getDom().style.cursor = "default";
  fill(body,
    h("p.notes.line", {}, h("span", {}, h("b", {}, w("supply", { v: said(now.supply, section.unit) })), ` ${w("basis")}`, chips({ provisional: true })),
      now.links.some((link) => link.est > 0.0005) ? h("span", {}, w("hatch")) : null),
    notes,
    table(`flow-${grain}`, [w("from"), w("to"), w("quantity"), ""], now.links.map((link, n) =>
      [names[link.s], names[link.t], explained(link.href, `f${n}`, `${names[link.s]} → ${names[link.t]}`, num(link.v, section.unit)), chips(link)])));
}

function name(node, head) {
  if (node.kind === "carrier") return w(node.carrier);
  if (node.kind === "onsite") return node.zh ? called(node) : w(node.role);
  if (node.kind === "other") return w(head.firm ? "other_meters" : "other", { n: node.count });
  return node.zh ? called(node) : w(node.kind);
}

function tone(node) {
  if (node.kind === "carrier") return color(node.carrier);
  if (node.kind === "firm" || node.kind === "meter" || node.kind === "other") return color("meter");
  return color(node.kind);
}

function option(place, now, names, unit) {
  const narrow = small(place);
  const by = Object.fromEntries(now.nodes.map((node) => [node.id, node]));
  const size = textSize();
  // A label stands right of its node: the last column needs room for its longest.
  const targets = new Set(now.links.map((link) => link.s));
  const longest = Math.max(...now.nodes.filter((node) => !targets.has(node.id)).map((node) => width(names[node.id])));
  const right = Math.min(longest * size * 0.56 + 14, place.clientWidth * (narrow ? 0.32 : 0.26));
  const { wide, tall } = columns(now);
  const room = (place.clientWidth - right) / Math.max(1, wide - 1) - 20;
  return {
    tooltip: tooltip({
      formatter: (event) => event.dataType === "edge"
        ? `${names[event.data.source]} → ${names[event.data.target]}\n${said(event.data.whole, unit)}${event.data.est > 0.0005 ? `\n${w("estimated", { p: percent(event.data.est) })}` : ""}`
        : `${names[event.name]}\n${said(event.value, unit)}`,
    }),
    series: [{
      type: "sankey", left: 4, top: 10, bottom: 14, right, nodeWidth: narrow ? 8 : 12, nodeGap: Math.max(4, Math.min(size + 2, (place.clientHeight * 0.45) / tall)), nodeAlign: "left", draggable: false,
      emphasis: { focus: "adjacency" }, layoutIterations: 48,
      label: { color: color("ink"), fontSize: size, formatter: (event) => names[event.name], width: room, overflow: "truncate", textBorderColor: color("card"), textBorderWidth: 3 },
      data: now.nodes.map((node) => ({ name: node.id, itemStyle: { color: tone(node), borderWidth: 0 }, cursor: node.firm_id ? "pointer" : "default" })),
      // What is estimated of a flow is a hatched band beside what is measured.
      links: now.links.flatMap((link) => {
        const tint = by[link.t].kind === "unaccounted" || by[link.t].kind === "loss" ? tone(by[link.t]) : tone(by[link.s]);
        const band = (share, lineStyle) => ({ source: link.s, target: link.t, value: link.v * share, whole: link.v, est: link.est, lineStyle: { curveness: 0.5, ...lineStyle } });
        const sure = band(1 - link.est, { color: tint, opacity: 0.36 });
        return link.est > 0.0005 ? [sure, band(link.est, { color: hatched(tint), opacity: 0.9 })] : [sure];
      }),
    }],
  };
}

/** How many columns there are, and how many nodes the fullest has. */
function columns(now) {
  const depth = {};
  const column = (id) => (depth[id] ??= Math.max(0, ...now.links.filter((link) => link.t === id).map((link) => 1 + column(link.s))));
  const counts = [];
  for (const node of now.nodes) counts[column(node.id)] = (counts[column(node.id)] ?? 0) + 1;
  return { wide: counts.length, tall: Math.max(...counts) };
}

/** Width in letters; a Chinese one is two. */
const width = (text) => [...text].reduce((sum, letter) => sum + (letter.codePointAt(0) > 0x2e80 ? 2 : 1), 0);

function unknown(now) {
  const lines = [
    ...now.unknown.map((one) => `${called(one.firm)} · ${called(one)}${one.balance ? ` (${w("no_balance")})` : ""}`),
  ];
  const over = now.over.map((one) => h("p.notes", {}, w("over", { p: percent(one.share, 1), w: `${called(one.firm)} · ${called(one)}` })));
  if (!lines.length) return over;
  return [h("details.notes", { "data-key": "unknown" }, h("summary", { "data-key": "unknown-summary" }, w("unknown_flows", { n: lines.length })),
    h("ul", {}, lines.map((line) => h("li", {}, line)))), ...over];
}
