// Filters by area, tier and category; the tiers' switches count what is open, and so are the legend as well.

import { h, setAttribute, setText } from "../parts/dom.js";
import { CATEGORIES, TIERS, categoryWords } from "../parts/words.js";

export class Filters {
  constructor(form, alerts, areas, changed) {
    this.alerts = alerts;
    this.counts = new Map();
    const select = h("select", { "aria-label": "Area", onchange: () => { alerts.filter.area = select.value; changed(); } },
      h("option", { value: "" }, "all areas"), areas.map((area) => h("option", { value: area }, area)));
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
      return [h("span", { class: "swatch", "aria-hidden": "true" }), this.counts.get(tier), ` ${tier}`];
    };
    this.sets = [[alerts.filter.tiers, chips(alerts.filter.tiers, TIERS, "Tiers", count)],
      [alerts.filter.categories, chips(alerts.filter.categories, CATEGORIES, "Categories", (word) => [categoryWords(word)])]];
    form.addEventListener("submit", (event) => event.preventDefault());
    form.append(...(areas.length > 1 ? [select] : []), ...this.sets.map(([, group]) => group));
    this.reset = () => {
      alerts.filter.area = select.value = "";
      TIERS.forEach((tier) => alerts.filter.tiers.add(tier));
      CATEGORIES.forEach((category) => alerts.filter.categories.add(category));
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
