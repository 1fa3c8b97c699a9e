// The live board: who looks, at what, in which language, and what to do when something changes.
import { calm } from "./chart.js";
import { clockS, day, fill, h, inZone, moment, setZone, tick } from "./dom.js";
import { episodes, tiles } from "./episodes.js";
import { explain } from "./explain.js";
import { flow } from "./flow.js";
import { health } from "./health.js";
import { load } from "./load.js";
import { Stream } from "./stream.js";
import { legend, targets } from "./targets.js";
import { water } from "./water.js";
import { called, choose, lang, short, w } from "./words.js";

const $ = (id) => document.getElementById(id);
const CARDS = ["targets", "episodes", "flow", "load", "water", "health"];
const NEEDS = {
  tiles: ["tiles", "load", "water", "health", "episodes", "head"], targets: ["targets", "head"], episodes: ["episodes", "head"],
  flow: ["flow", "head"], load: ["load", "head"], water: ["water", "tiles", "targets"], health: ["health"],
};
const PAINT = {
  tiles: () => tiles($("tiles"), data),
  targets: () => targets($("targets").querySelector(".body"), data),
  episodes: () => episodes($("episodes").querySelector(".body"), data),
  flow: () => flow($("flow"), data, grain, visit),
  load: () => load($("load"), data),
  water: () => water($("water").querySelector(".body"), data, grain),
  health: () => health($("health").querySelector(".body"), data),
};

const kept = { // a browser that keeps nothing still shows the board
  get: (name) => { try { return localStorage.getItem(`greenpark.${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`greenpark.${name}`, value); } catch { /* private window */ } },
};

const query = new URLSearchParams(location.search);
let data = {};
let session = null;
let grain = kept.get("grain") === "month" ? "month" : "day";
let said = "";
let told = null; // the newest alert that was there or has been told

const stream = new Stream({
  state(sections) {
    data = { ...data, ...sections };
    if (sections.head) head();
    paint(Object.keys(sections));
  },
  beat: asOf,
  status,
  gone(why) { if (why === "token") signIn(); else notice(session?.parks.length ? "not_here" : "nothing_here"); },
  async allowed() {
    try {
      const found = await ask();
      if (!found.signed_in) signIn();
      return found.signed_in;
    } catch { return true; } // the server is away: go on trying
  },
});

async function ask() {
  const answer = await fetch("/board/session");
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

async function begin() {
  $("sign").hidden = true;
  try {
    session = await ask();
  } catch {
    status();
    setTimeout(begin, 2000);
    return;
  }
  if (session.signed_in) look(); else signIn();
}

function look() {
  data = {};
  told = null;
  $("notice").hidden = true;
  const wanted = new URLSearchParams();
  for (const name of ["park", "firm"]) if (query.get(name)) wanted.set(name, query.get(name));
  stream.look(wanted.toString());
  status();
}

function visit(firm) {
  if (firm) query.set("firm", firm); else query.delete("firm");
  history.pushState(null, "", `?${query}`);
  look();
}
addEventListener("popstate", () => {
  const now = new URLSearchParams(location.search);
  for (const name of ["park", "firm"]) if (now.get(name)) query.set(name, now.get(name)); else query.delete(name);
  look();
});

function signIn() {
  stream.stop();
  session = null;
  data = {};
  $("board").hidden = true;
  $("notice").hidden = true;
  $("sign").hidden = false;
  $("token").focus();
  status();
}
$("sign").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("sign-bad").textContent = "";
  try {
    const answer = await fetch("/board/session", { method: "POST", headers: { Authorization: `Bearer ${$("token").value.trim()}` } });
    if (answer.ok) { $("token").value = ""; begin(); } else $("sign-bad").textContent = w(answer.status === 401 ? "sign_bad" : "sign_away");
  } catch { $("sign-bad").textContent = w("sign_away"); }
});
async function signOut() {
  await fetch("/board/session", { method: "DELETE" });
  $("keys").close();
  begin();
}

function notice(name) {
  $("board").hidden = true;
  $("notice").hidden = false;
  fill($("notice"), w(name), query.get("firm") ? h("p", {}, h("button", { type: "button", onclick: () => visit(null) }, w("to_park"))) : null);
}

function head() {
  const { park, firm, firms, whole } = data.head;
  setZone(park.zone);
  $("board").hidden = false;
  $("subject").textContent = firm ? `${called(firm)} · ${called(park)}` : called(park);
  document.title = `${$("subject").textContent} · GreenPark`;
  $("pick").hidden = !whole && firms.length < 2;
  fill($("firm"), whole ? h("option", { value: "" }, w("whole")) : null, firms.map((one) => h("option", { value: one.id, selected: firm?.id === one.id }, called(one))));
}
$("firm").addEventListener("change", () => visit($("firm").value));

function paint(changed) {
  if (!data.head) return;
  for (const [name, draw] of Object.entries(PAINT)) {
    if (NEEDS[name].some((need) => changed.includes(need)) && NEEDS[name].every((need) => data[need])) draw();
  }
  if (changed.includes("episodes")) tell();
  tick(stream.now());
}

/** Say a new alert aloud, for who does not see it appear. */
function tell() {
  const newest = Math.max(0, ...data.episodes.items.map((item) => item.id));
  if (told !== null && newest > told) $("news").textContent = `${w("news")}: ${called(data.episodes.items.find((item) => item.id === newest))}`;
  told = newest;
}

let widened = 0;
addEventListener("widened", () => {
  cancelAnimationFrame(widened);
  widened = requestAnimationFrame(() => paint(["flow", "load"]));
});

function asOf(beat) {
  if (!beat.computed) return;
  for (const place of document.querySelectorAll(".asof")) {
    const text = w("as_of", { t: clockS(beat.computed) });
    if (place.textContent !== text) place.textContent = text;
  }
}

/** Live only while events come, the database answers, and readings arrive. */
function status() {
  const beat = stream.beat;
  const at = (when) => moment(when, stream.now());
  let [state, text] = ["connecting", w("connecting")];
  if (session === null) [state, text] = ["connecting", $("sign").hidden ? w("connecting") : w("sign_title")];
  else if (!stream.open && beat) [state, text] = ["reconnecting", w("reconnecting", { t: at(beat.computed ?? beat.now) })];
  else if (!stream.open && stream.tries) [state, text] = ["reconnecting", w("reconnecting_first")];
  else if (beat?.failing_since) [state, text] = ["stale", w("stale_db", { t: at(beat.failing_since) })];
  else if (data.health) {
    const { newest, stale_after_s: limit } = data.health;
    if (!newest) [state, text] = ["stale", w("stale_never")];
    else if (stream.now() - new Date(newest) > limit * 1000) [state, text] = ["stale", w("stale", { t: at(newest) })];
    else [state, text] = ["live", w("live")];
  }
  if (text === said && $("live").dataset.state === state) return;
  said = text;
  $("live").dataset.state = state;
  $("live-text").textContent = text;
  document.body.classList.toggle("faded", state === "reconnecting" || (state === "stale" && Boolean(beat?.failing_since)));
}

function words() {
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = w(place.dataset.word);
  for (const place of document.querySelectorAll("[data-label]")) place.setAttribute("aria-label", w(place.dataset.label));
  $("lang").textContent = short() === "zh" ? "EN" : "中文";
  $("lang").lang = short() === "zh" ? "en" : "zh-CN";
  $("lang").setAttribute("aria-label", short() === "zh" ? "English" : "中文");
  $("marks").textContent = w("marks");
  legend($("bullet-legend"));
  themed();
}

function setLang(name) {
  choose(name);
  kept.set("lang", lang());
  if (query.has("lang")) {
    query.set("lang", lang());
    history.replaceState(null, "", `?${query}`);
  }
  words();
  if (data.head) { head(); paint(Object.keys(data)); }
  if (stream.beat) asOf(stream.beat);
  said = "";
  status();
  second();
}

const dark = () => document.documentElement.dataset.theme === "dark";
function themed() {
  $("theme").textContent = dark() ? "☀" : "☾";
  $("theme").setAttribute("aria-label", w(dark() ? "light" : "dark"));
}
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  themed();
  if (data.head) paint(["flow", "load"]);
}
function flipTheme() {
  setTheme(dark() ? "light" : "dark");
  kept.set("theme", document.documentElement.dataset.theme);
}

function setGrain(name) {
  grain = name;
  kept.set("grain", name);
  for (const button of document.querySelectorAll("[data-grain]")) button.setAttribute("aria-pressed", String(button.dataset.grain === grain));
  if (data.head) paint(["flow", "water"]);
}

const shortcuts = () => kept.get("keys") !== "off";
function showKeys() {
  const rows = [["l", "keys_lang"], ["t", "keys_theme"], ["g", "keys_grain"], ["1 – 6", "keys_cards"], ["p", "keys_park"], ["f", "keys_full"], ["?", "keys_help"]];
  fill($("keys"),
    h("h2", { id: "keys-title" }, w("keys_title"), h("button", { type: "button", onclick: () => $("keys").close(), autofocus: true }, w("close"))),
    h("p", {}, w("marks")),
    h("dl.keys", {}, rows.map(([key, name]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, w(name))])),
    h("p", {}, h("label", {}, h("input", { type: "checkbox", checked: shortcuts(), onchange: (event) => kept.set("keys", event.target.checked ? "on" : "off") }), ` ${w("keys_on")}`)),
    session ? h("p", {}, `${w("seen_as")}: ${session.label} `, h("button", { type: "button", onclick: signOut }, w("sign_out"))) : null);
  $("keys").showModal();
}

const KEYS = {
  l: () => setLang(short() === "zh" ? "en" : "zh-CN"),
  t: flipTheme,
  g: () => setGrain(grain === "day" ? "month" : "day"),
  p: () => { if (query.get("firm")) visit(null); },
  f: () => { if (document.fullscreenElement) document.exitFullscreen(); else document.documentElement.requestFullscreen?.(); },
  "?": showKeys,
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea, dialog[open]")) return;
  if (event.key !== "?" && !shortcuts()) return;
  const card = CARDS[Number(event.key) - 1];
  if (card) {
    $(card).focus({ preventScroll: true });
    $(card).scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" });
  } else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-explain]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    explain($("explain"), link);
  }
  const button = event.target.closest("[data-grain]");
  if (button) setGrain(button.dataset.grain);
});
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}
$("lang").addEventListener("click", KEYS.l);
$("theme").addEventListener("click", flipTheme);
$("help").addEventListener("click", showKeys);

function second() {
  const now = stream.now();
  $("clock").textContent = clockS(now);
  $("clock").dateTime = new Date(now).toISOString();
  $("zone").textContent = `${day(now)} · ${inZone()}`;
  tick(now);
  status();
}

const night = matchMedia("(prefers-color-scheme: dark)");
night.addEventListener("change", () => { if (!kept.get("theme")) setTheme(night.matches ? "dark" : "light"); });
choose(query.get("lang") ?? kept.get("lang") ?? navigator.language);
if (query.get("lang")) kept.set("lang", lang());
setTheme(query.get("theme") ?? kept.get("theme") ?? (night.matches ? "dark" : "light"));
setGrain(grain);
words();
second();
setInterval(second, 1000);
begin();
