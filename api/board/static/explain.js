// Where a number comes from: the interface's own answer, readable, with the stored data below.
import { dayAndClock, fill, h, num, percent, said } from "./dom.js";
import { field, HIDDEN } from "./fields.js";
import { lang, short, w } from "./words.js";

const SPOKEN = new Set(["state", "severity", "grain", "scope"]); // values that have words
const TIMES = /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/;
const MOST = 40;

export async function explain(dialog, link) {
  const href = link.getAttribute("href");
  frame(dialog, link.dataset.explain, h("p.soft", {}, w("loading")));
  if (!dialog.open) dialog.showModal();
  try {
    const answer = await fetch(href, { headers: { Accept: "application/json" } });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail ?? answer.status);
    const items = body.items ?? [body];
    frame(dialog, link.dataset.explain, items.length > 3 ? listed(items) : items.map(one),
      h("p", {}, h("a", { href, target: "_blank", rel: "noopener" }, w("open_json"))),
      h("details", {}, h("summary", {}, w("raw")), h("pre", { tabindex: 0 }, JSON.stringify(items.slice(0, MOST), null, 1))));
  } catch (error) {
    frame(dialog, link.dataset.explain, h("p.bad", { role: "alert" }, w("explain_bad", { e: error.message })));
  }
}

function frame(dialog, title, ...content) {
  fill(dialog,
    h("h2", { id: "explain-title" }, title, h("button", { type: "button", "data-key": "close", onclick: () => dialog.close(), autofocus: true }, w("close"))),
    h("p.soft", {}, w("explain_title")), ...content);
}

const label = (name) => field(name, lang());
const other = () => (short() === "zh" ? "_en" : "_zh");

function one(item) {
  const rows = Object.entries(item).filter(([name, value]) => value !== null && value !== "" && !HIDDEN.has(name) && !name.endsWith(other()));
  return h("table.wide-table", {}, h("tbody", {}, rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, label(name)), h("td", {}, cell(name, value, item))))));
}

/** Many rows of one kind, such as the ledger's. */
function listed(items) {
  const names = ["point_id", "period", "measured", "estimated", "unit", "measured_s", "estimated_s", "missing_s", "provisional"].filter((name) => name in items[0]);
  const shown = names.length ? names : Object.keys(items[0]).slice(0, 6);
  return h("div", { tabindex: 0 }, h("table.wide-table", {},
    h("thead", {}, h("tr", {}, shown.map((name) => h("th", { scope: "col" }, label(name))))),
    h("tbody", {}, items.slice(0, MOST).map((item) => h("tr", {}, shown.map((name) => h("td", {}, cell(name, item[name], item))))))));
}

function cell(name, value, item) {
  if (value === null || value === undefined) return "—";
  if (typeof value === "boolean") return w(value ? "yes" : "no");
  if (name === "coverage") return percent(value, 1);
  if (typeof value === "number") return ["value", "target_value", "required", "projection", "measured", "estimated"].includes(name) && item.unit ? num(value, item.unit) : said(Number.isInteger(value) ? value : Number(value.toPrecision(8)), "").trim();
  if (typeof value === "string" && TIMES.test(value)) return dayAndClock(value);
  if (Array.isArray(value)) return value.length ? h("ul", {}, value.slice(0, MOST).map((each) => h("li", {}, typeof each === "object" ? inner(each) : String(each)))) : "—";
  if (typeof value === "object") return inner(value);
  return SPOKEN.has(name) ? w(value === "month" ? "grain_month" : value) : String(value);
}

const inner = (value) => h("dl.notes", {}, Object.entries(value).filter(([, v]) => v !== null && v !== "" && !(Array.isArray(v) && !v.length)).map(([name, v]) =>
  h("div", {}, h("b", {}, `${label(name)} `), Array.isArray(v) && v.every((each) => typeof each !== "object") ? v.join(", ") : cell(name, v, value))));
