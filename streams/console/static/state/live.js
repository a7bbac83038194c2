// The server's events: resumed after a break, and known to be lost when nothing is heard.

/** The server speaks every 5 s; after so long without a word the connection counts as lost. */
const SILENT_MS = 13_000;
/** A browser is back after a break, as the one of each hour, within this; else the connection counts as lost. */
const BREAK_MS = 5_000;
const RETRY_MS = 2_000;

export class Live {
  /** `on`: alert(feature), health(health), connected(), lost(since) again and again while it is, closed() */
  constructor(on) {
    this.on = on;
    this.lastId = "";
    this.heard = Date.now();
    this.isLost = false;
    setInterval(() => this.#watch(), 1_000);
  }

  connect() {
    this.source?.close();
    const url = new URL("api/stream", document.baseURI);
    if (this.lastId) url.searchParams.set("last_event_id", this.lastId);
    const source = (this.source = new EventSource(url));
    this.begun = Date.now();
    source.addEventListener("open", () => {
      this.#hear();
      this.on.connected();
    });
    source.addEventListener("alert", (event) => {
      this.lastId = event.lastEventId || this.lastId;
      this.#hear();
      this.on.alert(JSON.parse(event.data));
    });
    source.addEventListener("health", (event) => {
      this.lastId = event.lastEventId || this.lastId; // the first says where the stream begins
      this.#hear();
      this.on.health(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      // A browser goes on by itself after a break, but not after a refusal.
      if (source.readyState !== EventSource.CLOSED) {
        this.losing ??= setTimeout(() => this.#lose(), BREAK_MS);
        return;
      }
      this.#lose();
      this.#again();
    });
  }

  #hear() {
    this.heard = Date.now();
    this.isLost = false;
    this.#settle();
  }

  #settle() {
    clearTimeout(this.losing);
    this.losing = undefined;
  }

  #lose() {
    this.isLost = true;
    this.#settle();
    this.on.lost(this.heard);
  }

  #watch() {
    if (this.isLost) this.on.lost(this.heard);
    if (!this.source || Date.now() - Math.max(this.heard, this.begun) < SILENT_MS) return;
    this.#lose();
    this.connect();
  }

  #again() {
    this.source = null;
    setTimeout(async () => {
      if (await this.on.closed()) this.connect();
      else if (this.source === null) this.#again();
    }, RETRY_MS);
  }
}
