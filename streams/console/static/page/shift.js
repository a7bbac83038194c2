// The shift list: alerts that opened, changed and ended since a time, to hand over or print.

import { h } from "../parts/dom.js";
import {
  artefactWords, countWords, placeWords, reasonWords, responseWords, stateWords, streamWords, tierWords, within,
} from "../parts/words.js";
import * as api from "../state/api.js";
import { areaNow, fullTime, localTime } from "../state/clock.js";

const HOUR_MS = 3_600_000;
const SPANS = { 8: "8 hours", 12: "12 hours", 24: "24 hours", 168: "7 days" };
const PARTS = { opened: "Opened", changed: "Changed", ended: "Ended" };

export class Shift {
  constructor(dialog, areas) {
    this.dialog = dialog;
    this.areas = areas;
    this.hours = 8;
    this.area = areas[0] ?? "";
  }

  async open() {
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.replaceChildren(this.#head(), h("p", {}, "…"));
    const { area } = this;
    const now = areaNow(area);
    const since = new Date(now - this.hours * HOUR_MS).toISOString();
    const asked = (this.asked = Symbol(since));
    let parts;
    try {
      const found = await api.shift(since, area);
      parts = Object.entries(PARTS).map(([part, title]) => this.#part(title, part, found[part]));
    } catch (error) {
      parts = [h("p", { class: "error", role: "alert" }, error.message)];
    }
    if (asked !== this.asked) return; // the user has chosen another area or time span
    const until = `${area}, from ${fullTime(area, since)} to ${fullTime(area, now)}`;
    this.dialog.replaceChildren(this.#head(), h("p", { class: "span" }, until), ...parts);
    this.dialog.querySelector("h2").focus();
  }

  #head() {
    const areas = h("select", { "aria-label": "Area", onchange: (event) => { this.area = event.target.value; this.open(); } },
      this.areas.map((area) => h("option", { value: area, selected: area === this.area }, area)));
    const hours = h("select", { "aria-label": "Since", onchange: (event) => { this.hours = Number(event.target.value); this.open(); } },
      Object.entries(SPANS).map(([value, text]) => h("option", { value, selected: Number(value) === this.hours }, `last ${text}`)));
    return h("header", {}, h("h2", { id: "shift-title", tabindex: "-1" }, "Shift list"),
      h("div", { class: "tools" }, this.areas.length > 1 && areas, hours,
        h("button", { type: "button", onclick: () => print() }, "Print"),
        h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => this.dialog.close() }, "✕")));
  }

  #part(title, part, features) {
    const heading = h("h3", {}, `${title} (${features.length})`);
    if (!features.length) return h("section", {}, heading, h("p", { class: "muted" }, "None."));
    const time = { opened: "opened_at", changed: "updated_at", ended: "ended_at" }[part];
    const rows = features.map((feature) => {
      const alert = feature.properties;
      const remarks = [alert.status === "exercise" && "EXERCISE", artefactWords(alert), ...responseWords(alert.response)].filter(Boolean);
      return h("tr", { class: `tier-${alert.tier}` },
        h("td", {}, localTime(alert.area, alert[time] ?? alert.updated_at)), h("td", {}, h("span", { class: "tier" }, tierWords(alert.tier))),
        h("td", {}, placeWords(feature)), h("td", {}, streamWords(alert.category)), h("td", {}, countWords(alert)),
        h("td", {}, `once in ${alert.recurrence_interval}`), h("td", {}, `${stateWords(alert.state)}: ${within(reasonWords(alert.reason))}`), h("td", {}, remarks.join("; ")));
    });
    const heads = ["Time", "Tier", "Place", "Category", "Observed", "By chance", "State", "Remarks"];
    return h("section", {}, heading, h("table", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows)));
  }
}
