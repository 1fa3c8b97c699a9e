// What needs somebody now, and the tiles of the present.
import { age, chips, clock, explained, fill, glyph, h, num, percent, said } from "./dom.js";
import { called, w } from "./words.js";

export function episodes(place, { head, episodes: section }) {
  if (!section.items.length) {
    fill(place, h("p.quiet", {}, glyph("on_pace"), w("no_episodes")));
    return;
  }
  const more = section.total - section.items.length;
  fill(place,
    h("ul", {}, section.items.map((item) => h(`li.row.episode.${item.severity}`, {},
      glyph(item.severity),
      h("span.name", {}, h("span.sr", {}, `${w(item.severity)}: `), explained(item.href, `e${item.id}`, called(item), called(item))),
      h("span.sub", {},
        h("span", {}, w(item.severity)),
        item.firm && !head.firm ? h("span", {}, called(item.firm)) : null,
        age(item.began, "lasting"),
        h("span", {}, w(`state_${item.state}`)))))),
    more > 0 ? h("p.soft", {}, w("more_episodes", { n: more })) : null);
}

let shown = {};
/** One number: what it is, how large, how sure, and what to hold beside it. */
function tile(key, title, big, marks, beside) {
  const text = big.textContent;
  const made = h("div.tile", { "data-tile": key }, h("h2", {}, h("span", {}, title), h("small", {}, marks)), h("p.big", {}, big), h("p.more", {}, beside));
  if (shown[key] !== undefined && shown[key] !== text) made.classList.add("changed");
  shown[key] = text;
  return made;
}
const unknown = () => h("span", {}, "—");

export function tiles(place, { tiles: rows, load, water, health, episodes: open }) {
  const power = load.now;
  const fresh = water.day.in.find((way) => way.id === "fresh_water");
  const found = Object.fromEntries(rows.map((row) => [row.id, row]));
  const value = (row, title) => row && tile(row.id, h("span", { title: called(row) }, title),
    row.v === null ? unknown() : explained(row.href, `tile-${row.id}`, called(row), num(row.v, row.unit)),
    row.v === null ? null : [chips({ est: row.est, provisional: row.provisional }),
      row.cov !== null && row.cov < 0.95 ? [" ", h("span.chip.gap", {}, w("coverage", { p: percent(row.cov) }))] : null],
    row.v === null ? called(row.reason) : row.before === null ? null : w("yesterday", { v: said(row.before, row.unit) }));
  const worst = open.items[0];
  const covered = health.measured === null ? null : health.measured + health.estimated;
  fill(place,
    tile("load", w("power_now"), power.v === null ? unknown() : num(power.v, load.unit), chips({ provisional: power.provisional }),
      power.v === null ? w("no_load") : w("quarter", { t: clock(power.at) })),
    value(found.comprehensive_energy_equivalent, w("energy_today")),
    fresh && fresh.v !== null
      ? tile("fresh", w("fresh_today"), explained(fresh.href, "tile-fresh", w("fresh_today"), num(fresh.v, "m3")), chips({ ...fresh, provisional: true }), w("since", { t: clock(water.day.start) }))
      : tile("fresh", w("fresh_today"), unknown(), null, w("no_water")),
    value(found.water_reuse_rate, w("reuse_today")),
    tile("open", w("open_now"), h("span", {}, open.total), null,
      worst ? h(`span.state.${worst.severity}`, {}, glyph(worst.severity), w(worst.severity)) : w("no_episodes")),
    tile("newest", w("newest"), health.newest ? age(health.newest) : h("span", {}, w("never")), null,
      `${w("covered")} ${percent(covered, 1)}`));
  delete shown.newest; // it counts every second: that is no news
}
