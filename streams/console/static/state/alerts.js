// The alerts that this page knows: which are new here, which have changed, which are shown.

import { remember, remembered } from "../parts/dom.js";
import { STREAMS, TIERS, isMaterial, isTerminal, plural, tierWords, within } from "../parts/words.js";
import { hearTick } from "./clock.js";

const PULSE_MS = 60_000;
const ENDED_SHOWN = 5;
const SEEN_KEPT = 300;
const ENDED_KEPT = 200;

export class Alerts {
  constructor() {
    this.byId = new Map();
    this.arrived = new Map();
    this.changed = new Set();
    this.seen = remembered("seen", {});
    this.filter = { area: "", streams: new Set(STREAMS), tiers: new Set(TIERS) };
  }

  /** Adds a revision; returns whether it is new to this page. `isLive`: the server has just pushed it. */
  put(feature, isLive) {
    const alert = feature.properties;
    hearTick(alert.area, alert.updated_at);
    const known = this.byId.get(alert.id)?.properties;
    if (known && known.revision >= alert.revision) return false;
    this.byId.set(alert.id, feature);
    if (isLive && alert.notice === "opened") this.arrived.set(alert.id, Date.now());
    const seen = this.seen[alert.id];
    // An alert that was loaded and not opened here has not changed, even if somebody else has acknowledged it.
    if (((isLive || seen) && isMaterial(alert)) || (seen && seen.tier !== alert.tier)) this.changed.add(alert.id);
    if (seen && seen.revision >= alert.revision) this.changed.delete(alert.id);
    if (isTerminal(alert)) this.#forget();
    return true;
  }

  /** Forgets all but the last ended alerts: a page can stay open for months. */
  #forget() {
    const ended = [...this.byId.values()].filter(({ properties }) => isTerminal(properties));
    ended.sort(({ properties: a }, { properties: b }) => b.tick_s - a.tick_s);
    for (const { id } of ended.slice(ENDED_KEPT)) {
      for (const known of [this.byId, this.arrived, this.changed]) known.delete(id);
    }
  }

  /** The revision of each open alert, for `replace`. */
  revisions() {
    return new Map(this.open().map((feature) => [feature.id, feature.properties.revision]));
  }

  /** Sets the open alerts. An alert that was open `before` the request and has not changed since has ended unnoticed. */
  replace(features, before) {
    for (const feature of features) this.put(feature, false);
    const open = new Set(features.map((feature) => feature.id));
    for (const [id, revision] of before) {
      if (!open.has(id) && this.byId.get(id)?.properties.revision === revision) this.byId.delete(id);
    }
  }

  /** Notes that the operator has seen the alert in its latest revision. */
  look(id) {
    const alert = this.byId.get(id)?.properties;
    if (!alert) return;
    delete this.seen[id];
    this.seen[id] = { revision: alert.revision, tier: alert.tier, observed: alert.observed };
    const ids = Object.keys(this.seen);
    for (const old of ids.slice(0, Math.max(0, ids.length - SEEN_KEPT))) delete this.seen[old];
    remember("seen", this.seen);
    this.changed.delete(id);
    this.arrived.delete(id);
  }

  isNew(alert) {
    return !isTerminal(alert) && !this.seen[alert.id] && !alert.response?.acknowledged_by;
  }

  isChanged(alert) {
    return !isTerminal(alert) && !this.isNew(alert) && this.changed.has(alert.id);
  }

  isPulsing(alert) {
    return this.isNew(alert) && Date.now() - (this.arrived.get(alert.id) ?? 0) < PULSE_MS;
  }

  /** What has changed since the operator looked, as text; "" if nothing has. */
  sinceLooked(alert) {
    const seen = this.seen[alert.id];
    if (!seen || seen.revision >= alert.revision) return "";
    const more = alert.observed - seen.observed;
    return [
      seen.tier !== alert.tier && `tier was ${within(tierWords(seen.tier))}`,
      more && `${plural(Math.abs(more), "event")} ${more > 0 ? "more" : "fewer"}`,
    ].filter(Boolean).join(", ");
  }

  isShown(alert) {
    const { area, streams, tiers } = this.filter;
    return (!area || alert.area === area) && streams.has(alert.category) && tiers.has(alert.tier);
  }

  open() {
    return [...this.byId.values()].filter(({ properties }) => !isTerminal(properties));
  }

  /** The open alerts that pass the filters: the highest tier first, then the rarest. */
  listed() {
    return this.open()
      .filter(({ properties }) => this.isShown(properties))
      .sort(
        ({ properties: a }, { properties: b }) =>
          TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier) ||
          b.recurrence_interval_days - a.recurrence_interval_days ||
          b.score - a.score ||
          (a.id < b.id ? -1 : 1),
      );
  }

  /** The last few that ended while this page was open. */
  ended() {
    const ended = [...this.byId.values()].filter(({ properties }) => isTerminal(properties) && this.isShown(properties));
    ended.sort(({ properties: a }, { properties: b }) => b.tick_s - a.tick_s);
    return ended.slice(0, ENDED_SHOWN);
  }
}
