// Filters by area, tier and category. The switches of the tiers count the open alerts, so they also serve as a legend.

import { h, setAttribute, setText } from "../parts/dom.js";
import { STREAMS, TIERS, streamWords, tierWords } from "../parts/words.js";

export class Filters {
  constructor(form, alerts, areas, changed) {
    this.alerts = alerts;
    this.counts = new Map();
    const select = h("select", { "aria-label": "Area", onchange: () => { alerts.filter.area = select.value; changed(); } },
      h("option", { value: "" }, "All areas"), areas.map((area) => h("option", { value: area }, area)));
    const chips = (set, words, name, text) => h("div", { class: "chips", role: "group", "aria-label": name }, words.map((word) => {
      const button = h("button", { type: "button", class: `chip ${name === "Tiers" ? `tier-${word}` : ""}`, "aria-pressed": "true", "data-word": word });
      button.addEventListener("click", () => {
        if (set.has(word)) set.delete(word);
        else set.add(word);
        changed();
      });
      button.append(...text(word));
      return button;
    }));
    const count = (tier) => {
      this.counts.set(tier, h("b", {}, "0"));
      return [h("span", { class: "swatch", "aria-hidden": "true" }), this.counts.get(tier), ` ${tierWords(tier)}`];
    };
    this.sets = [[alerts.filter.tiers, chips(alerts.filter.tiers, TIERS, "Tiers", count)],
      [alerts.filter.streams, chips(alerts.filter.streams, STREAMS, "Categories", (stream) => [streamWords(stream)])]];
    form.addEventListener("submit", (event) => event.preventDefault());
    form.append(...(areas.length > 1 ? [select] : []), ...this.sets.map(([, group]) => group));
    this.reset = () => {
      alerts.filter.area = select.value = "";
      TIERS.forEach((tier) => alerts.filter.tiers.add(tier));
      STREAMS.forEach((stream) => alerts.filter.streams.add(stream));
      changed();
    };
  }

  show() {
    const open = this.alerts.open();
    for (const [tier, element] of this.counts) {
      setText(element, String(open.filter(({ properties }) => properties.tier === tier).length));
    }
    for (const [set, group] of this.sets) {
      for (const button of group.children) setAttribute(button, "aria-pressed", String(set.has(button.dataset.word)));
    }
  }
}
