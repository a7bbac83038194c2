// The list of open alerts, one row each. A row stays the same element while its alert changes.

import { trendBars } from "../parts/charts.js";
import { h, setAttribute, setText } from "../parts/dom.js";
import { Press } from "../parts/press.js";
import {
  artefactWords, countWords, duration, isDoubtful, isTerminal, placeWords, reasonWords, responseWords, riskWords, stateWords,
  streamWords, tierWords, within,
} from "../parts/words.js";
import { areaNow, fullTime, localTime } from "../state/clock.js";

export class List {
  /** `open(id)`: the user chose a row; `select(id)`: it got the focus; `released()`: show what changed meanwhile. */
  constructor(element, alerts, on) {
    this.element = element;
    this.alerts = alerts;
    this.on = on;
    this.rows = new Map();
    this.press = new Press(element, ".row", on.released);
  }

  show(features, selected, shownAreas) {
    if (this.press.isHeld) return;
    const focused = document.activeElement?.closest?.(".row")?.dataset.alert;
    const wanted = new Set(features.map((feature) => feature.id));
    for (const [id, row] of this.rows) {
      if (!wanted.has(id)) {
        row.remove();
        this.rows.delete(id);
      }
    }
    features.forEach((feature, position) => {
      const row = this.#row(feature, selected, shownAreas);
      if (this.element.children[position] !== row) this.element.insertBefore(row, this.element.children[position] ?? null);
    });
    // A row that moves loses the focus.
    const button = focused && this.rows.get(focused)?.firstElementChild;
    if (button && document.activeElement !== button) button.focus({ preventScroll: true });
  }

  focus(id) {
    const button = this.rows.get(id)?.firstElementChild;
    button?.focus();
    button?.scrollIntoView({ block: "nearest" });
  }

  #row(feature, selected, shownAreas) {
    const alert = feature.properties;
    let row = this.rows.get(alert.id);
    if (!row) {
      const button = h("button", { type: "button", class: "row", "data-alert": alert.id });
      button.addEventListener("click", () => this.on.open(alert.id));
      button.addEventListener("focus", () => this.on.select(alert.id));
      row = h("li", {}, button);
      this.rows.set(alert.id, row);
    }
    const button = row.firstElementChild;
    const marks = this.#marks(alert);
    const drawn = [alert.revision, marks.join(), this.alerts.sinceLooked(alert), shownAreas].join("|");
    setAttribute(button, "class", ["row", `tier-${alert.tier}`, alert.state, ...marks].join(" "));
    if (alert.id === selected) setAttribute(button, "aria-current", "true");
    else button.removeAttribute("aria-current");
    if (button.dataset.drawn !== drawn) {
      button.dataset.drawn = drawn;
      button.dataset.revision = alert.revision;
      button.replaceChildren(...this.#content(feature, marks, shownAreas).filter(Boolean));
    }
    setText(button.querySelector(".age"), this.#age(alert));
    return row;
  }

  #marks(alert) {
    const marks = [];
    if (this.alerts.isNew(alert)) marks.push("new");
    if (this.alerts.isPulsing(alert)) marks.push("pulsing");
    if (this.alerts.isChanged(alert)) marks.push("changed");
    if (alert.status === "exercise") marks.push("exercise");
    return marks;
  }

  #age(alert) {
    const age = duration(areaNow(alert.area) - Date.parse(isTerminal(alert) ? alert.ended_at : alert.opened_at));
    return isTerminal(alert) ? `${within(stateWords(alert.state))} ${age} ago` : `${age} old`;
  }

  #content(feature, marks, shownAreas) {
    const alert = feature.properties;
    const artefact = artefactWords(alert);
    const responses = responseWords(alert.response);
    return [
      h("span", { class: "row-head" },
        h("span", { class: "tier" }, tierWords(alert.tier)),
        marks.includes("exercise") && h("span", { class: "mark exercise-mark" }, "exercise"),
        marks.includes("new") && h("span", { class: "mark new-mark" }, "new"),
        marks.includes("changed") && h("span", { class: "mark changed-mark" }, "changed"),
        alert.state === "easing" && h("span", { class: "mark" }, within(stateWords(alert.state))),
        alert.delayed && h("span", { class: "mark" }, "delayed"),
        h("time", { class: "age", datetime: alert.opened_at, title: `opened ${fullTime(alert.area, alert.opened_at)}` })),
      h("span", { class: "place" }, placeWords(feature), shownAreas > 1 && h("span", { class: "area" }, ` ${alert.area}`)),
      alert.trend && h("span", { class: "trend-box" }, trendBars(alert.trend, 84, 30)),
      h("span", { class: "what" },
        h("span", { class: `category category-${alert.category}` }, streamWords(alert.category)),
        h("b", {}, countWords(alert)), " ", h("span", { class: "risk" }, riskWords(alert))),
      h("span", { class: "chance" }, alert.by_chance,
        artefact && h("span", { class: `artefact ${isDoubtful(alert) ? "doubtful" : ""}` }, within(artefact))),
      h("span", { class: "latest" }, this.#latest(alert)),
      responses.length > 0 && h("span", { class: "responses" }, responses.join(" · ")),
    ];
  }

  #latest(alert) {
    const since = this.alerts.sinceLooked(alert);
    if (since) return `Since you looked: ${since}`;
    const added = alert.new_members.length;
    const what = added && alert.reason !== "opened" ? `${reasonWords(alert.reason)} (+${added})` : reasonWords(alert.reason);
    return `${what}, ${localTime(alert.area, alert.updated_at)}`;
  }
}
