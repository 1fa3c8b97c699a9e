// The water balance: in, out, round and round, and what of it nobody measured.
import { chips, explained, fill, h, nothing, num, percent, said } from "./dom.js";
import { called, w } from "./words.js";

export function water(place, { water: section, tiles, targets }, grain) {
  const now = section[grain];
  const ways = [...now.in, ...now.out, ...now.round];
  if (!ways.some((way) => way.v !== null)) {
    fill(place, nothing("no_water", "no_water_do"), ways.length ? part("water_in", now.in, 1) : null);
    return;
  }
  const scale = Math.max(...[...now.in, ...now.out].map((way) => way.v ?? 0), now.rest ?? 0) || 1;
  const round = Math.max(...now.round.map((way) => way.v ?? 0)) || 1;
  fill(place,
    part("water_in", now.in, scale),
    part("water_out", now.out, scale),
    rest(now, scale),
    now.round.length ? part("water_round", now.round, round) : null,
    grain === "day" ? reuse(tiles, targets) : null,
    nodes(now.nodes));
}

function part(title, ways, scale) {
  if (!ways.length) return null;
  return [h("h3.part", {}, w(title)), h("div.ways", {}, ways.map((way) => h("div.way-row", { style: { "--c": `var(--${way.id})` } },
    h("span", {}, w(way.id)),
    bar(way, scale),
    h("span", {}, explained(way.href, `w-${way.id}`, w(way.id), num(way.v, way.unit)), chips(way)))))];
}

function bar(way, scale) {
  if (way.v === null) return h("span.bar", {}, h("i.gone", { style: { width: "100%" } }));
  const all = (100 * Math.max(way.v, 0)) / scale;
  return h("span.bar", { "aria-hidden": "true" }, h("i", { style: { width: `${all * (1 - way.est)}%` } }), way.est ? h("i.est", { style: { width: `${all * way.est}%` } }) : null);
}

function rest(now, scale) {
  if (now.rest === null) {
    const why = now.unmetered ? w("water_rest_unknown", { n: now.unmetered }) : now.in.length ? w("water_rest_gap") : null;
    return why ? h("p.notes", {}, why) : null;
  }
  return h("div.ways", {}, h("div.way-row", { style: { "--c": "var(--loss)" } },
    h("span", { title: w("water_rest") }, w("water_rest")),
    h("span.bar", { "aria-hidden": "true" }, h("i", { style: { width: `${(100 * Math.max(now.rest, 0)) / scale}%` } })),
    h("span", {}, num(now.rest, "m3"), now.rest_share === null ? null : h("span.soft", {}, ` ${percent(now.rest_share)}`))));
}

function reuse(tiles, targets) {
  const row = tiles.find((one) => one.id === "water_reuse_rate");
  if (!row || row.v === null) return null;
  const target = targets.items.find((item) => item.indicator === "water_reuse_rate" && item.goal !== null);
  const label = `${w("reuse")} ${said(row.v, "%")}${target ? `, ${w("goal_mark")} ${said(target.goal, "%")}` : ""}`;
  return [
    h("h3.part.line", {}, h("span", {}, `${w("reuse")} · ${w("today")}`), target ? h("span", {}, `${w("goal_mark")} ${said(target.goal, "%")}`) : null),
    h("div.way-row", {}, h("b", {}, explained(row.href, "w-reuse", w("reuse"), num(row.v, "%"))),
      h("div.reuse", { role: "img", "aria-label": label }, h("i", { style: { width: `${Math.max(0, Math.min(row.v, 100))}%` } }),
        target ? h("s", { style: { left: `${Math.max(0, Math.min(target.goal, 100))}%` } }) : null),
      h("span", {}, chips({ provisional: row.provisional, est: row.est })))];
}

function nodes(rows) {
  const known = rows.filter((row) => row.rest !== null);
  if (!known.length) return null;
  return [h("h3.part", {}, w("water_nodes")), h("ul", {}, known.slice(0, 4).map((row) =>
    h("li.line", {}, h("span", {}, `${called(row.firm)} · ${called(row)}`), h("span", {}, num(row.rest, "m3"), h("span.soft", {}, ` ${percent(row.share, 1)}`)))))];
}
