// The page: starts every part, and passes news from one part to the others.

import { byId, h, setText } from "../parts/dom.js";
import { listenToKeys } from "../parts/keys.js";
import { Sound } from "../parts/sound.js";
import { countWords, isTerminal, noticeWords, placeWords, plural, streamWords, tierWords } from "../parts/words.js";
import { Alerts } from "../state/alerts.js";
import * as api from "../state/api.js";
import { areaNow, fullTime, hearServer, hearTick, isTimed, isWatermark, serverNow, setAreas } from "../state/clock.js";
import { Live } from "../state/live.js";
import { Card } from "./card.js";
import { Filters } from "./filters.js";
import { Health } from "./health.js";
import { List } from "./list.js";
import { AlertMap } from "./map.js";
import { Shift } from "./shift.js";

const USUAL_RETRY_MS = 60_000;
const USUAL_RELOAD_MS = 3_600_000;
const ERROR_SHOWN_MS = 8_000;
/** Largest number of news items that are announced one by one. */
const ANNOUNCED = 3;
/** An older revision is history and not news, in milliseconds. */
const HISTORY_MS = 3_600_000;
const RELOAD_MS = 60_000;
const SHOWN_WITHIN_MS = 30;

class Page {
  constructor(session) {
    this.areas = session.areas;
    this.selected = null;
    this.isLoaded = false;
    this.isCurrent = false;
    this.isAsking = false;
    this.news = [];
    this.late = new Map();
    this.alerts = new Alerts();
    const open = (id) => this.open(id);
    this.list = new List(byId("list"), this.alerts, { open, select: (id) => this.select(id), released: () => this.show() });
    this.endedList = new List(byId("ended"), this.alerts, { open, select: () => {}, released: () => this.show() });
    this.map = new AlertMap(byId("map"), this.alerts, { open });
    this.map.tiles(session.tiles, session.attribution);
    this.card = new Card(byId("card"), this.alerts, session, {
      open, close: () => this.close(), failed: (error) => this.fail(error), cells: (cells, tier) => this.map.showCells(cells, tier),
      announce: (text) => setText(byId("announcements"), text),
    });
    this.filters = new Filters(byId("filters"), this.alerts, session.areas, () => this.show());
    this.health = new Health(byId("health"), byId("banner"), byId("banner-spoken"));
    this.sound = new Sound(byId("sound"));
    this.shift = new Shift(byId("shift"), session.areas);
    this.live = new Live({
      alert: (feature) => this.hear(feature),
      health: (health) => this.hearHealth(health),
      connected: () => this.connected(),
      lost: (since) => { this.health.lostAt = since; this.show(); },
      closed: () => this.isStillSignedIn(),
    });
    byId("open-shift").addEventListener("click", () => this.shift.open());
    byId("open-help").addEventListener("click", () => byId("help").showModal());
    byId("close-help").addEventListener("click", () => byId("help").close());
    listenToKeys({
      move: (step) => this.move(step), open: () => this.selected && this.open(this.selected), close: () => this.close(),
      acknowledge: () => this.respond("acknowledge"), take: () => this.respond("take"), all: () => this.map.showAll(),
      shift: () => this.shift.open(), help: () => byId("help").showModal(),
    });
    this.loadGround(session.layers);
    this.live.connect();
    setInterval(() => this.isCurrent && !this.isAsking && this.loadAlerts(), RELOAD_MS);
    this.show();
  }

  /** Loads layers and usual intensity; the map begins with all of them in view. */
  async loadGround(layers) {
    await Promise.all(layers.map(async (layer) => {
      try {
        this.map.showLayer(await api.layer(layer.name), layer);
      } catch (error) {
        this.fail(error);
      }
    }));
    this.map.showAtFirst();
    for (const area of this.areas) await this.loadUsual(area);
  }

  async loadUsual(area, isFirst = true) {
    try {
      this.map.showUsual(area, await api.usual(area));
      this.show();
      if (isFirst) this.map.showAtFirst();
      setTimeout(() => this.loadUsual(area, false), USUAL_RELOAD_MS);
    } catch (error) {
      if (error.status !== 404) this.fail(error);
      setTimeout(() => this.loadUsual(area, isFirst), USUAL_RETRY_MS); // a worker writes it once it has caught up
    }
  }

  async connected() {
    this.isCurrent = false;
    this.health.isConnected = true;
    this.health.lostAt = 0;
    await this.loadAlerts();
  }

  /**
   * Loads all open alerts: at the beginning, after a break, when Redis is back, and every minute, because a Redis that
   * lost its alerts and is being filled again can look for a moment as if there were none.
   */
  async loadAlerts() {
    const before = this.alerts.revisions();
    this.isAsking = true;
    try {
      const open = await api.openAlerts();
      if (this.isLoaded) for (const feature of open) this.hear(feature); // opened or changed unnoticed
      this.alerts.replace(open, open.length < api.MOST_ALERTS ? before : []); // a full list may lack some
      const isFirst = !this.isLoaded;
      this.isLoaded = this.isCurrent = true;
      this.show();
      if (isFirst) this.map.showAtFirst();
      if (before.has(this.card.id) && !this.alerts.byId.has(this.card.id)) this.card.refresh(); // it has ended unnoticed
      const linked = new URLSearchParams(location.search).get("alert");
      if (isFirst && linked) {
        this.alerts.put((await api.detail(linked)).alert, false); // it may have ended
        await this.open(linked);
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.isAsking = false;
    }
  }

  hear(feature) {
    const alert = feature.properties;
    // While Redis is filled again, all past revisions come again.
    const isNews = isWatermark(alert.area) || areaNow(alert.area) - Date.parse(alert.updated_at) < HISTORY_MS;
    if (!this.alerts.put(feature, isNews)) return;
    if (isTerminal(alert) || (alert.notice && !alert.delayed)) this.late.delete(alert.id);
    else if (alert.notice) this.late.set(alert.id, { alert, since: serverNow() });
    if (isNews && alert.notice && this.alerts.isShown(alert)) {
      this.sound.hear(alert);
      this.news.push(`${alert.status === "exercise" ? "Exercise: " : ""}${noticeWords(alert.notice)}, ${tierWords(alert.tier)}, ${placeWords(feature)}, ${streamWords(alert.category)}, ${countWords(alert)}`);
    }
    if (alert.id === this.card.id) {
      this.alerts.look(alert.id);
      clearTimeout(this.refreshing);
      this.refreshing = setTimeout(() => this.card.id && this.card.refresh(), 200);
    }
    this.showSoon();
  }

  /** Sounds once for each open alert that was found late, when a heartbeat since then says that its area has caught up. */
  hearLate(areas) {
    const known = new Map(areas.map((each) => [each.area, each]));
    for (const [id, { alert, since }] of this.late) {
      const { worker, feed, seconds } = known.get(alert.area) ?? {};
      const isBehind = feed === "catching_up"
        || feed === "kafka_away";
      if (worker !== "alive" || isBehind || !(serverNow() - 1000 * seconds > since)) continue;
      this.late.delete(id);
      if (this.alerts.isShown(alert)) this.sound.hear({ ...alert, delayed: false });
    }
  }

  /** Takes a health event; they come every few seconds, and ages on the page grow with them. */
  hearHealth(health) {
    hearServer(health.time);
    for (const area of health.areas) if (area.clock) hearTick(area.area, area.clock);
    this.hearLate(health.areas);
    this.health.latest = health;
    this.health.isConnected = true;
    this.health.lostAt = 0;
    if (!health.redis) this.isCurrent = false;
    else if (!this.isCurrent && !this.isAsking) this.loadAlerts();
    this.health.show();
    this.showSoon();
  }

  async isStillSignedIn() {
    try {
      if ((await api.session()).signed_in) return true;
      location.reload();
    } catch { /* the server is unavailable: try again */ }
    return false;
  }

  select(id) {
    if (this.selected === id) return;
    this.selected = id;
    this.show();
  }

  move(step) {
    const ids = this.alerts.listed().map((feature) => feature.id);
    if (!ids.length) return;
    const at = ids.indexOf(this.selected);
    const next = at < 0 ? (step > 0 ? 0 : ids.length - 1) : Math.min(ids.length - 1, Math.max(0, at + step));
    this.list.focus(ids[next]);
    this.select(ids[next]);
    if (this.card.id && this.card.id !== ids[next]) this.open(ids[next]);
  }

  async open(id) {
    this.selected = id;
    this.alerts.look(id);
    this.map.showCells(null);
    const opened = this.card.open(id);
    this.show();
    this.map.goTo(id);
    await opened;
    if (this.card.id === id) this.selected = id; // the page may not have known it before
    this.show();
  }

  close() {
    if (!this.card.id) return;
    const { id } = this.card;
    this.card.close();
    this.map.showCells(null);
    this.show();
    this.list.focus(id);
  }

  /** Responds by key to the alert whose card is open, or else to the selected one, whose card then opens. */
  async respond(action) {
    const id = this.card.id ?? this.selected;
    if (id && !this.card.id) await this.open(id);
    if (id && this.card.id === id) await this.card.respond(action); // the user may have opened another meanwhile
  }

  fail(error) {
    const toast = byId("errors");
    toast.textContent = error.message;
    toast.hidden = false;
    clearTimeout(this.toasting);
    this.toasting = setTimeout(() => { toast.hidden = true; }, ERROR_SHOWN_MS);
    if (!(error instanceof api.Refusal)) throw error;
  }

  /** Shows a tick's revisions together. It uses a timer, because a page in the background gets no animation frames. */
  showSoon() {
    this.waiting ??= setTimeout(() => this.show(), SHOWN_WITHIN_MS);
  }

  show() {
    clearTimeout(this.waiting);
    this.waiting = undefined;
    this.health.show(); // first of all: whether the rest can be trusted
    const listed = this.alerts.listed();
    const ended = this.alerts.ended();
    const areas = this.areas.length;
    if (this.selected && !this.alerts.byId.has(this.selected)) this.selected = null;
    this.list.show(listed, this.selected, areas);
    this.endedList.show(ended, this.selected, areas);
    byId("ended-section").hidden = ended.length === 0;
    this.map.show(listed, this.selected);
    this.filters.show();
    this.card.tick();
    this.#summarise(listed);
    this.#showClock();
    this.#announce();
  }

  #summarise(listed) {
    const open = this.alerts.open();
    const fresh = listed.filter(({ properties }) => this.alerts.isNew(properties)).length;
    const changed = listed.filter(({ properties }) => this.alerts.isChanged(properties)).length;
    const counts = [`${open.length} open`, fresh && `${fresh} new`, changed && `${changed} changed`].filter(Boolean).join(", ");
    setText(byId("summary"), this.isLoaded ? counts : "loading …");
    const title = fresh ? `(${fresh} new) Hotspot monitor` : "Hotspot monitor";
    if (document.title !== title) document.title = title;
    const hidden = open.length - listed.length;
    const note = byId("hidden-by-filters");
    note.hidden = hidden === 0;
    if (note.dataset.hidden !== String(hidden)) {
      note.dataset.hidden = hidden;
      note.replaceChildren(`${plural(hidden, "open alert")} hidden by filters. `, h("button", { type: "button", class: "link", onclick: () => this.filters.reset() }, "Show all"));
    }
    this.#quiet(open.length);
  }

  /** Explains an empty list: whether it means quiet. */
  #quiet(open) {
    const quiet = byId("quiet");
    quiet.hidden = open > 0 || !this.isLoaded || !this.health.latest;
    const problems = this.health.problems();
    quiet.classList.toggle("doubtful", problems.length > 0);
    const text = problems.length ? "No open alerts are known, but do not rely on this:"
      : this.isCurrent ? "No open alerts. The feed is healthy: it is quiet." : "No open alerts are known. Loading them again …";
    const drawn = text + (problems[0]?.long ?? "");
    if (quiet.dataset.drawn === drawn) return;
    quiet.dataset.drawn = drawn;
    quiet.replaceChildren(h("p", {}, text), ...problems.map((problem) => h("p", {}, problem.long)));
  }

  #showClock() {
    const area = this.alerts.filter.area || this.areas[0];
    if (!area) return;
    setText(byId("clock"), !isTimed(area) ? "" : `${fullTime(area, areaNow(area))}${isWatermark(area) ? ` · clock of ${area}` : ""}`);
  }

  /** Announces news to screen readers: a few one by one, of many only the number. */
  #announce() {
    if (!this.news.length) return;
    byId("announcements").textContent = this.news.length > ANNOUNCED ? `${this.news.length} alerts are new or changed` : this.news.join(". ");
    this.news = [];
  }
}

/** Returns a session that is signed in. */
async function signedIn() {
  for (;;) {
    try {
      const session = await api.session();
      if (session.signed_in) return session;
      if (session.login !== "password") {
        showError("You are not signed in: the proxy in front of this page names no user.");
        return new Promise(() => {});
      }
      await askForPassword();
    } catch (error) {
      if (!(error instanceof api.Refusal)) throw error;
      showError(error.message);
      await new Promise((resolve) => { setTimeout(resolve, 3_000); });
      byId("banner").hidden = true;
    }
  }
}

function showError(text) {
  const banner = byId("banner");
  banner.className = "banner bad";
  banner.textContent = text;
  banner.hidden = false;
  setText(byId("banner-spoken"), text);
}

function askForPassword() {
  const dialog = byId("login");
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => dialog.showModal(); // Esc closes it, but the page is empty without a sign-in
    byId("login-form").onsubmit = async (event) => {
      event.preventDefault();
      const form = new FormData(event.target);
      try {
        await api.login(form.get("user"), form.get("password"));
        event.target.reset();
        dialog.onclose = null;
        dialog.close();
        resolve();
      } catch (error) {
        byId("login-error").textContent = error.status === 401 ? "User or password is wrong." : error.message;
      }
    };
  });
}

const session = await signedIn();
setAreas(session.time_zones, session.clocks);
const page = new Page(session);
if (session.login !== "none") {
  byId("user").textContent = `${session.user}, ${session.role}`;
  byId("sign-out").hidden = session.login !== "password";
  byId("sign-out").addEventListener("click", async () => {
    try {
      await api.logout();
      location.reload();
    } catch (error) {
      page.fail(error);
    }
  });
}
