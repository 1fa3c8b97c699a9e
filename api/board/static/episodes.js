// What needs somebody now, and the tiles of the present.
import { age, chips, explained, fill, glyph, h, num, percent, said } from "./dom.js";
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
function tile(key, title, big, more) {
  const text = big.textContent;
  const made = h("div.tile", { "data-tile": key }, h("h3", {}, title), h("p.big", {}, big), h("p.more", {}, more));
  if (shown[key] !== undefined && shown[key] !== text) made.classList.add("changed");
  shown[key] = text;
  return made;
}

export function tiles(place, { head, tiles: rows, load, water, health, episodes: open }) {
  const power = load.now;
  const fresh = water.day.in.find((way) => way.id === "fresh_water");
  const found = Object.fromEntries(rows.map((row) => [row.id, row]));
  const value = (row) => tile(row.id, called(row),
    row.v === null ? h("span", {}, "—") : explained(row.href, `tile-${row.id}`, called(row), num(row.v, row.unit)),
    row.v === null ? [called(row.reason)]
      : [chips({ est: row.est, provisional: row.provisional }),
        row.cov !== null && row.cov < 0.95 ? [" ", h("span.chip.gap", {}, w("coverage", { p: percent(row.cov) }))] : null,
        row.before === null ? null : ` ${w("yesterday", { v: said(row.before, row.unit) })}`]);
  const energy = found.comprehensive_energy_equivalent;
  const reuse = found.water_reuse_rate;
  const worst = open.items[0];
  fill(place,
    tile("load", w("power_now"), power.v === null ? h("span", {}, "—") : num(power.v, load.unit),
      power.v === null ? w("no_load") : chips({ provisional: power.provisional })),
    energy ? value(energy) : null,
    tile("fresh", w("fresh_today"), fresh && fresh.v !== null ? explained(fresh.href, "tile-fresh", w("fresh_today"), num(fresh.v, "m3")) : h("span", {}, "—"),
      fresh && fresh.v !== null ? chips({ ...fresh, provisional: true }) : w("no_water")),
    reuse ? value(reuse) : null,
    tile("open", w("open_now"), h("span", {}, open.total),
      worst ? h(`span.state.${worst.severity}`, {}, glyph(worst.severity), w(worst.severity)) : w("no_episodes")),
    tile("newest", w("newest"), health.newest ? age(health.newest) : h("span", {}, w("never")),
      `${w("covered")} ${percent(health.measured === null ? null : health.measured + health.estimated, 1)}`));
  delete shown.newest; // it counts every second: that is no news
  void head;
}
