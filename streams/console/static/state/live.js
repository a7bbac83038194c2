// The server's event stream: it resumes after a break, and a silent one counts as lost.

/** The server sends an event every 5 s; the connection counts as lost after this time without one. */
const SILENT_MS = 13_000;
/** Time limit for the browser to reconnect, as after each hour; then the connection counts as lost. */
const BREAK_MS = 5_000;
const RETRY_MS = 2_000;

export class Live {
  /** `on`: alert(feature), health(health), connected(), lost(since) repeatedly while it is lost, closed() */
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
      this.lastId = event.lastEventId || this.lastId; // the first has the position at which the event stream begins
      this.#hear();
      this.on.health(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      // A browser reconnects automatically after a break, but not after a refusal.
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
