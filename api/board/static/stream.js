// The board's events: opens them, notices when they stop, and says honestly how fresh the data are.
const QUIET_MS = 16000; // three beats
const LONGEST_MS = 30000;

export class Stream {
  /** `on` gets state(sections), beat(beat), status(), gone(why). */
  constructor(on) {
    this.on = on;
    this.source = null;
    this.tries = 0;
    this.last = null; // id of the newest state
    this.offset = 0; // the server's clock minus ours
    this.beat = null;
    this.open = false;
    this.timer = null;
    this.address = null;
    setInterval(() => this.watch(), 1000);
    addEventListener("online", () => this.again(0));
  }

  /** Look at a subject; what was seen of another means nothing. */
  look(query) {
    this.query = query;
    this.last = null;
    this.beat = null;
    this.tries = 0;
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    this.source?.close();
    const query = new URLSearchParams(this.query);
    if (this.last) query.set("after", this.last);
    const source = new EventSource(`/board/live?${query}`);
    this.source = source;
    this.heard = performance.now();
    source.addEventListener("state", (event) => {
      this.last = event.lastEventId;
      this.on.state(JSON.parse(event.data));
    });
    source.addEventListener("beat", (event) => {
      this.open = true;
      this.tries = 0;
      this.heard = performance.now();
      this.beat = JSON.parse(event.data);
      this.offset = new Date(this.beat.now) - Date.now();
      this.on.beat(this.beat);
      this.on.status();
    });
    source.addEventListener("gone", (event) => {
      this.stop();
      this.on.gone(JSON.parse(event.data).why);
    });
    source.addEventListener("bye", () => this.lost());
    source.addEventListener("error", () => this.lost());
  }

  /** The connection is gone: come back after a while that grows and that differs from page to page. */
  lost() {
    if (this.timer !== null || this.source === null) return;
    this.source.close();
    this.open = false;
    this.on.status();
    this.again(Math.min(1000 * 2 ** this.tries++, LONGEST_MS) * (0.5 + Math.random() / 2));
  }

  again(wait) {
    if (this.source === null || (this.open && wait === 0)) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      if (await this.on.allowed()) this.connect();
      else this.timer = null;
    }, wait);
  }

  watch() {
    if (this.open && performance.now() - this.heard > QUIET_MS) this.lost();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.source?.close();
    this.source = null;
    this.open = false;
  }

  /** The time now by the server's clock. */
  now() {
    return Date.now() + this.offset;
  }
}
