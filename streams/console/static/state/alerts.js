// The alerts that this page knows, what of them is new here, and which are shown.

import { remember, remembered } from "../parts/dom.js";
import { CATEGORIES, TIERS, isTerminal } from "../parts/words.js";
import { hearTick } from "./clock.js";

const PULSE_MS = 60_000;
const ENDED_SHOWN = 5;
const SEEN_KEPT = 300;
const ENDED_KEPT = 200;
/** Notices of a change that is material; a reminder and an end are none. */
const MATERIAL = ["escalated", "tier_changed", "area_changed", "risk_changed"];

export class Alerts {
  constructor() {
    this.byId = new Map();
    this.arrived = new Map();
    this.changed = new Set();
    this.seen = remembered("seen", {});
    this.filter = { area: "", categories: new Set(CATEGORIES), tiers: new Set(TIERS) };
  }

  /** Takes a revision; true if it was not known. `isLive`: it has just been pushed. */
  put(feature, isLive) {
    const alert = feature.properties;
    hearTick(alert.area, alert.updated_at);
    const known = this.byId.get(alert.id)?.properties;
    if (known && known.revision >= alert.revision) return false;
    this.byId.set(alert.id, feature);
    if (isLive && alert.notice === "opened") this.arrived.set(alert.id, Date.now());
    const seen = this.seen[alert.id];
    // What was neither looked at nor pushed here is as it was found, also if somebody else has acknowledged it.
    const isMaterial = (isLive || seen) && MATERIAL.includes(alert.notice);
    if (isMaterial || (seen && seen.tier !== alert.tier)) this.changed.add(alert.id);
    if (seen && seen.revision >= alert.revision) this.changed.delete(alert.id);
    if (isTerminal(alert)) this.#forget();
    return true;
  }

  /** Ended alerts, but for the last: a page may be open for months. */
  #forget() {
    const ended = [...this.byId.values()].filter(({ properties }) => isTerminal(properties));
    ended.sort(({ properties: a }, { properties: b }) => b.tick_s - a.tick_s);
    for (const { id } of ended.slice(ENDED_KEPT)) {
      for (const known of [this.byId, this.arrived, this.changed]) known.delete(id);
    }
  }

  /** Revision of each open alert: what `replace` compares with. */
  revisions() {
    return new Map(this.open().map((feature) => [feature.id, feature.properties.revision]));
  }

  /** The open alerts are these. What was open `before` they were asked for, and has not moved since, has ended unheard. */
  replace(features, before) {
    for (const feature of features) this.put(feature, false);
    const open = new Set(features.map((feature) => feature.id));
    for (const [id, revision] of before) {
      if (!open.has(id) && this.byId.get(id)?.properties.revision === revision) this.byId.delete(id);
    }
  }

  /** The operator has looked at it as it now stands. */
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

  /** What is different from when the operator looked, in words; "" if nothing is. */
  sinceLooked(alert) {
    const seen = this.seen[alert.id];
    if (!seen || seen.revision >= alert.revision) return "";
    const said = [];
    if (seen.tier !== alert.tier) said.push(`was ${seen.tier}`);
    const more = alert.observed - seen.observed;
    if (more) said.push(`${Math.abs(more)} incident${Math.abs(more) === 1 ? "" : "s"} ${more > 0 ? "more" : "fewer"}`);
    return said.join(", ");
  }

  isShown(alert) {
    const { area, categories, tiers } = this.filter;
    return (!area || alert.area === area) && categories.has(alert.category) && tiers.has(alert.tier);
  }

  open() {
    return [...this.byId.values()].filter(({ properties }) => !isTerminal(properties));
  }

  /** Open and not filtered out: the highest tier first, then the rarest. */
  listed() {
    return this.open()
      .filter(({ properties }) => this.isShown(properties))
      .sort(
        ({ properties: a }, { properties: b }) =>
          TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier) ||
          b.recurrence_interval_days - a.recurrence_interval_days ||
          (a.id < b.id ? -1 : 1),
      );
  }

  /** The last few that ended while this page looked. */
  ended() {
    const ended = [...this.byId.values()].filter(({ properties }) => isTerminal(properties) && this.isShown(properties));
    ended.sort(({ properties: a }, { properties: b }) => b.tick_s - a.tick_s);
    return ended.slice(0, ENDED_SHOWN);
  }
}
