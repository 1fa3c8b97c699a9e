// Elements, numbers with their units, times in the park's zone.
import { lang, w } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: h("p.soft", {title: "…"}, "text", child, [children], null). Text is text, never markup. */
export function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const svg = ["svg", "path", "circle", "line", "g"].includes(tag);
  const made = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  if (classes.length) made.setAttribute("class", classes.join(" "));
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") for (const [property, v] of Object.entries(value)) made.style.setProperty(property, v);
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Put children in place of what is there; who had the focus, what was open and how far it was scrolled stay. */
export function fill(place, ...children) {
  const focus = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const open = new Set([...place.querySelectorAll("details[open]")].map((one) => one.dataset.key));
  const shut = new Set([...place.querySelectorAll("details:not([open])")].map((one) => one.dataset.key));
  const scrolled = place.scrollTop;
  place.replaceChildren(...children.flat(4).filter(Boolean));
  for (const one of place.querySelectorAll("details[data-key]")) {
    if (open.has(one.dataset.key)) one.open = true;
    if (shut.has(one.dataset.key)) one.open = false;
  }
  place.scrollTop = scrolled;
  if (focus) place.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

let zone = "Asia/Shanghai";
export const setZone = (name) => { zone = name; };
export const inZone = () => zone;
const format = (options) => new Intl.DateTimeFormat(lang(), { timeZone: zone, hourCycle: "h23", ...options });
export const clock = (at) => format({ hour: "2-digit", minute: "2-digit" }).format(new Date(at));
export const clockS = (at) => format({ hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(at));
export const dayAndClock = (at) =>
  format({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }).format(new Date(at));
export const day = (at) => format({ year: "numeric", month: "short", day: "numeric", weekday: "short" }).format(new Date(at));
/** A time that is read beside "now": with its day where that is another one. */
export const moment = (at, now) => (day(at) === day(now) ? clockS(at) : dayAndClock(at));

const UNITS = { m3: "m³", "10^4m3": "10⁴ m³", piece: ["件", "pcs"], degC: "°C", kgCO2: "kgCO₂", tCO2: "tCO₂", "10^4CNY": ["万元", "10⁴ CNY"] };
const LARGER = { kgce: ["tce", 1000, 10000], kW: ["MW", 1000, 10000], m3: ["10^4m3", 10000, 100000], kgCO2: ["tCO2", 1000, 10000] };
const written = (unit) => { const found = UNITS[unit] ?? unit; return Array.isArray(found) ? found[lang() === "en" ? 1 : 0] : found; };

/** A number and its unit as people read them: four significant digits, larger units for large numbers. */
export function sized(value, unit) {
  const [name, by, from] = LARGER[unit] ?? [];
  const large = name && Math.abs(value) >= from;
  const v = large ? value / by : value;
  const u = String((large ? name : unit) ?? "").split("/").map(written).join("/");
  const size = Math.abs(v);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
  const options = unit === "%" ? { maximumFractionDigits: 1, minimumFractionDigits: 1 } : { maximumFractionDigits: digits };
  return { text: new Intl.NumberFormat(lang(), options).format(v), unit: u };
}
export const said = (value, unit) => {
  if (value === null || value === undefined) return "—";
  const { text, unit: u } = sized(value, unit);
  return u ? `${text} ${u}` : text;
};
export function num(value, unit) {
  if (value === null || value === undefined) return h("span.num", {}, "—");
  const { text, unit: u } = sized(value, unit);
  return h("span.num", {}, text, u ? h("span.unit", {}, u) : null);
}
export const percent = (share, digits = 0) =>
  share === null || share === undefined
    ? "—"
    : new Intl.NumberFormat(lang(), { style: "percent", maximumFractionDigits: digits }).format(share);

export function lasted(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return w("seconds", { n: s });
  if (s < 5400) return w("minutes", { n: Math.round(s / 60) });
  if (s < 172800) return w("hours", { n: Math.round(s / 3600) });
  return w("days", { n: Math.round(s / 86400) });
}

/** An age that goes on counting: see `tick`. */
export const age = (at, phrase = "ago") =>
  at ? h("span.num", { "data-since": at, "data-phrase": phrase }, "…") : h("span", {}, w("never"));
export function tick(now) {
  for (const one of document.querySelectorAll("[data-since]")) {
    const text = w(one.dataset.phrase, { t: lasted((now - new Date(one.dataset.since)) / 1000) });
    if (one.textContent !== text) one.textContent = text;
  }
}

const GLYPHS = {
  ahead: "M3 12 8 6l5 6M3 7.500 8 1.500l5 6", on_pace: "M2.500 8.500 6.500 12.500 13.500 4", at_risk: "M8 1.500 14.500 14h-13zM8 6v4M8 12v.4",
  off: "M3 3l10 10M13 3 3 13", undefined: "M5 6c0-4 6-4 6 0 0 2.500-3 2.300-3 4.500M8 13.500v.4",
  info: "M8 7v6M8 3v.5", warning: "M8 1.500 14.500 14h-13zM8 6v4M8 12v.4", major: "M8 2v7.500M8 13v.5M1 8a7 7 0 1 0 14 0 7 7 0 1 0-14 0",
  critical: "M5 1h6l4 4v6l-4 4H5l-4-4V5zM8 4v5M8 11.500v.5", online: "M3 8.500 7 12l6-8", offline: "M3 3l10 10M13 3 3 13", unreported: "M3 8h10",
};
/** A sign whose shape says the same as its colour. */
export const glyph = (name) =>
  h("svg.glyph", { viewBox: "0 0 16 16", "aria-hidden": "true" },
    h("path", { d: GLYPHS[name] ?? GLYPHS.undefined, fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linecap": "round", "stroke-linejoin": "round" }));

export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || "#888";

export function nothing(title, what) {
  return h("p.nothing", {}, h("b", {}, w(title)), what ? w(what) : null);
}

/** A number that opens its explanation; without an address it is only a number. */
export function explained(href, key, title, ...children) {
  if (!href) return h("span", {}, ...children);
  return h("a", { href, "data-explain": title, "data-key": key }, ...children);
}

export function chips(value) {
  return [
    value.provisional ? h("span.chip", { title: w("provisional_why") }, w("provisional")) : null,
    value.est > 0.0005 ? h("span.chip.est", {}, w("estimated", { p: percent(value.est, value.est < 0.01 ? 1 : 0) })) : null,
    value.of && value.known < value.of ? h("span.chip.gap", {}, w("partial", { n: value.of - value.known, of: value.of })) : null,
    value.partial && value.known === value.of ? h("span.chip", {}, w("partial_time")) : null,
  ].filter(Boolean).flatMap((chip) => [" ", chip]);
}

/** The same numbers as a table, for who cannot see the chart. */
export function table(key, heads, rows) {
  return h("details.as-table", { "data-key": key }, h("summary", { "data-key": `${key}-summary` }, w("table")),
    h("div", { tabindex: 0, role: "group", "aria-label": w("table") }, h("table.wide-table", {},
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, n) => (n === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell)))))))));
}
