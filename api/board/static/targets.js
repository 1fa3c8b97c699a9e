// Standings: what is off comes first; what is undefined says why.
import { chips, explained, fill, glyph, h, nothing, num, said, sized } from "./dom.js";
import { called, short, w } from "./words.js";

const ORDER = ["off", "at_risk", "undefined", "on_pace", "ahead"];
const SIGNS = { ge: "≥", gt: ">", le: "≤", lt: "<" };

export const state = (name) => h(`span.state.${name}`, {}, glyph(name), h("b", {}, w(name)));

export function targets(place, { head, targets: section }) {
  if (!section.items.length) {
    fill(place, head.firm ? nothing("no_targets", "no_targets_firm") : nothing("no_targets", "no_targets_do"));
    return;
  }
  const judged = section.items.filter((item) => item.state !== "undefined");
  const undefined_ = section.items.filter((item) => item.state === "undefined");
  fill(
    place,
    h("p.counts", {}, ORDER.filter((name) => section.counts[name]).map((name) =>
      h(`span.state.${name}`, {}, glyph(name), ` ${w(name)} `, h("b", {}, section.counts[name])))),
    h("ul", {}, judged.map((item) => row(item, head))),
    undefined_.length
      ? h("details.undef", { "data-key": "undefined", open: judged.length <= 3 && place.clientWidth > 420 },
        h("summary", { "data-key": "undefined-summary" }, h("span.state.undefined", {}, glyph("undefined"), w("undefined_n", { n: undefined_.length }))),
        h("ul", {}, grouped(undefined_).map(([reason, items]) => h("li", {}, h("b", {}, `${reason} · ${items.length}`),
          items.flatMap((item, n) => [n ? comma() : null, explained(item.href, `t${item.id}`, called(item), called(item)),
            item.value === null ? null : [" ", explained(item.value_href, `v${item.id}`, called(item), h("strong", {}, num(item.value, item.unit)))]])))))
      : null,
  );
}

const comma = () => (short() === "zh" ? "、" : ", ");

/** What cannot be judged, by why, the commonest reason first. */
function grouped(items) {
  const by = new Map();
  for (const item of items) by.set(called(item.reason), [...(by.get(called(item.reason)) ?? []), item]);
  return [...by].sort((a, b) => b[1].length - a[1].length);
}

function row(item, head) {
  return h(`li.row.${item.state}`, {},
    h("div.head", {}, h("span.name", {}, explained(item.href, `t${item.id}`, called(item), called(item))), state(item.state)),
    bullet(item),
    h("div.figures", {},
      h("span", {}, `${w("now_mark")} `, h("b", {}, explained(item.value_href, `v${item.id}`, called(item), num(item.value, item.unit)))),
      item.projection === null ? null : h("span", {}, `${w("projected")} `, h("b", {}, num(item.projection, item.unit)), range(item)),
      item.required !== null && item.required !== item.goal ? h("span", {}, `${w("path_mark")} `, h("b", {}, num(item.required, item.unit))) : null,
      goal(item),
      item.needed_rate ? h("span", {}, w("needed", { p: said(Math.abs(item.needed_rate), "%") })) : null,
      item.miss_week ? h("span.off", {}, h("b", {}, w("missed", { d: item.miss_week }))) : null,
      firms(item, head)),
    chips(item));
}

/** Between what and what the projection may lie. */
const range = (item) => (item.low === null || item.high === null ? null : ` (${sized(item.low, item.unit).text}–${sized(item.high, item.unit).text})`);

function goal(item) {
  const sign = SIGNS[item.comparator];
  let text = null;
  if (sign && item.stated !== null && item.stated !== undefined) text = `${sign} ${said(item.stated, item.stated_unit)}`;
  else if (item.comparator === "cumulative_decline" && item.stated) text = w("decline", { v: item.stated });
  if (text === null) return null;
  const parts = [`${w("goal_mark")} `, h("b", {}, text), item.year ? ` ${w("by_year", { y: item.year })}` : "", item.binding ? ` · ${w("binding")}` : ""];
  return h("span", {}, parts);
}

function firms(item, head) {
  const states = ORDER.filter((name) => item.firms[name]?.length);
  if (!states.length) return null;
  const names = Object.fromEntries(head.firms.map((firm) => [firm.id, called(firm)]));
  return h("span", {}, `${w("firms_stand")} `, states.map((name) =>
    h(`span.state.${name}`, { title: `${w(name)}: ${item.firms[name].map((id) => names[id]).join(comma())}` },
      glyph(name), h("b", {}, item.firms[name].length), h("span.sr", {}, w(name)), " ")));
}

/** Where we are, where that leads, what the path asks for now, and the target, on one scale. */
function bullet(item) {
  const marks = [item.value, item.projection, item.required, item.goal, item.low, item.high].filter((v) => v !== null && v !== undefined);
  if (item.value === null || item.goal === null) return null;
  let [low, high] = [Math.min(...marks), Math.max(...marks)];
  const room = (high - low || Math.abs(high) || 1) * 0.25;
  low -= room;
  high += room;
  if (item.unit === "%") [low, high] = [Math.max(low, 0), Math.max(Math.min(high, 100), Math.max(...marks))];
  const at = (v) => `${(100 * (v - low)) / (high - low)}%`;
  const up = item.better !== "lower";
  const good = h("span.good", { style: up ? { left: at(item.goal), right: "-.5rem" } : { left: "-.5rem", right: `calc(100% - ${at(item.goal)})` } });
  const [a, b] = item.projection === null ? [item.value, item.value] : [Math.min(item.value, item.projection), Math.max(item.value, item.projection)];
  const label = [`${w("now_mark")} ${said(item.value, item.unit)}`, item.projection === null ? "" : `${w("projected")} ${said(item.projection, item.unit)}`,
    `${w("goal_mark")} ${said(item.goal, item.unit)}`].filter(Boolean).join(", ");
  return h("div.bullet", { role: "img", "aria-label": label }, good,
    item.low === null || item.high === null ? null : h("span.range", { style: { left: at(item.low), width: `calc(${at(item.high)} - ${at(item.low)})` } }),
    h("span.way", { style: { left: at(a), width: `calc(${at(b)} - ${at(a)})` } }),
    item.required !== null && item.required !== item.goal ? h("span.mark.path", { style: { left: at(item.required) } }) : null,
    h("span.mark.goal", { style: { left: at(item.goal) } }),
    item.projection === null ? null : h("span.mark.then", { style: { left: at(item.projection) } }),
    h("span.mark.now", { style: { left: at(item.value) } }));
}

export function legend(place) {
  fill(place, ["now_mark", "projected", "path_mark", "goal_mark"].map((name, n) => h("li", {}, h(`i.${["now", "then", "path", "goal"][n]}`), w(name))));
}
