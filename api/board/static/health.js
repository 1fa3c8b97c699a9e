// How good the data are: coverage by hour, who sends, who is silent.
import { age, explained, fill, glyph, h, nothing, percent } from "./dom.js";
import { called, w } from "./words.js";
import { clock } from "./dom.js";

export function health(place, { health: section }) {
  if (!section.points) {
    fill(place, nothing("no_health"));
    return;
  }
  const all = section.hours.map((hour) => (hour.measured ?? 0) + (hour.estimated ?? 0));
  fill(place,
    h("p.line", {}, h("span", {}, w("covered")), h("b", {}, percent(section.measured + section.estimated, 1))),
    h("div.hours", { role: "img", "aria-label": w("hours_label", { p: percent(Math.min(...all)) }) }, section.hours.map((hour, n) =>
      h("i", { title: `${clock(hour.at)}: ${w("measured")} ${percent(hour.measured)}, ${w("est")} ${percent(hour.estimated)}`,
        style: { "--all": Math.min(1, all[n]), "--sure": Math.min(1, hour.measured ?? 0) } }))),
    h("p.ends", {}, h("span", {}, clock(section.hours[0].at)), h("span", {}, `${w("measured")} ${percent(section.measured, 1)} · ${w("est")} ${percent(section.estimated, 1)}`),
      h("span", {}, clock(section.hours.at(-1).at))),
    h("dl.facts", {},
      fact("edges", `${section.online}/${section.edges}`), fact("silent", `${section.silent}/${section.points}`),
      fact("quarantined", section.quarantined), fact("buffered", section.firms.reduce((sum, firm) => sum + firm.buffered, 0))),
    h("ul.firms", {}, section.firms.map(firm)));
}

const fact = (name, value) => h("div", {}, h("dt", {}, w(name)), h("dd", {}, value));

function firm(row) {
  const state = row.online === null ? "unreported" : row.online ? "online" : "offline";
  const tone = { online: "on_pace", offline: "off", unreported: "undefined" }[state];
  const said = [row.silent ? `${w("silent")} ${row.silent}` : null, row.clock_ms !== null && Math.abs(row.clock_ms) >= 1000 ? w("clock_off", { n: Math.round(row.clock_ms / 1000) }) : null].filter(Boolean);
  const label = `${w("measured")} ${percent(row.measured)}, ${w("est")} ${percent(row.estimated)}`;
  return h(`li.${tone}`, {},
    h("span", { title: w(state) }, glyph(state), h("span.sr", {}, w(state))),
    h("span.nm", { title: called(row) }, explained(row.href, `h${row.id}`, called(row), called(row)), said.length ? h("span.soft", {}, ` ${said.join(" · ")}`) : null),
    h("span.bar", { role: "img", "aria-label": label, title: label, style: { "--c": "var(--on_pace)" } },
      h("i", { style: { width: `${100 * (row.measured ?? 0)}%` } }), h("i.est", { style: { width: `${100 * (row.estimated ?? 0)}%` } })),
    h("span.age", {}, age(row.newest)));
}
