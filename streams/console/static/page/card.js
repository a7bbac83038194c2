// The card of one alert: everything known about it, and the buttons to respond to it.

import { shareBar, trendBars, weekStrip } from "../parts/charts.js";
import { h, setText } from "../parts/dom.js";
import { Press } from "../parts/press.js";
import {
  OUTCOMES, RESPONSES, artefactWords, countWords, duration, figure, isDoubtful, isTerminal, noticeWords, outcomeWords, placeWords, plural,
  reasonWords, riskWords, stateWords, streamWords, tierWords, within,
} from "../parts/words.js";
import * as api from "../state/api.js";
import { areaNow, fullTime, hourOfWeek, localTime } from "../state/clock.js";

/** Time limit for the worker to apply a response, in milliseconds. */
const CONFIRMED_WITHIN_MS = 20_000;
const SENT = "Sent. Waiting for the worker …";
const NOT_SENT = "Not sent: the worker has not applied your last response yet.";
const IDS_SHOWN = 12;
const FIGURES = [
  "llr", "score", "trigger_score", "recurrence_interval_days", "interval_is_lower_bound", "interval_kind", "budget_per_week", "radius_m", "duration_h",
  "completeness", "artefact_score", "interval_times", "reported", "model", "seed", "configuration", "calibration", "centre",
];

export class Card {
  /**
   * The session's role decides whether `user` can respond. `on`: open(id), close(), failed(error),
   * cells(collection, tier), announce(text) for screen readers.
   */
  constructor(element, alerts, { user, role }, on) {
    this.element = element;
    this.alerts = alerts;
    this.user = user;
    this.canRespond = role === "operator";
    this.on = on;
    this.id = null;
    this.waiting = null;
    this.press = new Press(element, "button, select, summary", () => this.#draw());
  }

  async open(id) {
    this.id = id;
    this.detail = null;
    this.history = [];
    this.waiting = null;
    this.element.hidden = false;
    this.#draw();
    this.element.querySelector("h2").focus({ preventScroll: true });
    this.element.scrollTop = 0;
    await this.refresh();
  }

  close() {
    this.id = null;
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  /** Loads the alert again, for a new revision. */
  async refresh() {
    const id = this.id;
    this.#draw();
    try {
      const [detail, history] = await Promise.all([api.detail(id), api.revisions(id)]);
      if (this.id !== id) return;
      this.detail = detail;
      this.history = history;
      this.alerts.put(detail.alert, false);
      this.on.cells(detail.cells, detail.alert.properties.tier);
      this.#draw();
    } catch (error) {
      if (this.id !== id) return;
      if (!this.alerts.byId.has(id)) this.#drawUnknown("This alert could not be loaded");
      this.on.failed(error);
    }
  }

  /** Updates the age, which grows between revisions. */
  tick() {
    const alert = this.alerts.byId.get(this.id)?.properties;
    const age = document.getElementById("card-age");
    if (alert && age) setText(age, this.#age(alert));
  }

  /** Sends a response: acknowledge, take, or outcome with its value. */
  async respond(action, outcome) {
    const alert = this.alerts.byId.get(this.id)?.properties;
    if (!alert || !this.canRespond || isTerminal(alert)) return;
    const response = alert.response ?? {};
    if (this.#stands(response, action, outcome)) return;
    if (this.#isBusy()) {
      this.on.announce(NOT_SENT);
      return;
    }
    this.waiting = { action, until: Date.now() + CONFIRMED_WITHIN_MS, before: this.#last(response, action) };
    this.#draw();
    try {
      await api[action](alert.id, outcome);
      this.on.announce(SENT);
      setTimeout(() => this.#draw(), CONFIRMED_WITHIN_MS + 100);
    } catch (error) {
      this.waiting = null;
      this.#draw();
      this.on.failed(error);
    }
  }

  #draw() {
    if (this.press.isHeld) return;
    const feature = this.alerts.byId.get(this.id);
    if (!feature) {
      if (this.id) this.#drawUnknown("Loading this alert …");
      return;
    }
    const alert = feature.properties;
    if (this.waiting && this.#last(alert.response ?? {}, this.waiting.action) !== this.waiting.before) this.waiting = null;
    const hasFocus = this.element.contains(document.activeElement);
    const focus = document.activeElement?.id;
    const isSame = this.element.dataset.alert === alert.id;
    const opened = new Set(isSame ? [...this.element.querySelectorAll("details[open]")].map((each) => each.id) : []);
    const chosen = isSame && this.element.querySelector("#outcome")?.value;
    const top = this.element.scrollTop;
    this.element.className = `card tier-${alert.tier}`;
    this.element.dataset.alert = alert.id;
    this.element.dataset.revision = alert.revision;
    this.element.replaceChildren(...[
      this.#head(feature), this.#numbers(alert), this.#responses(alert), this.#explanation(), this.#timeline(alert),
      this.#profile(alert), this.#breakdown(alert), this.#incidents(alert), this.#lineage(alert), this.#figures(alert),
    ].filter(Boolean));
    for (const each of this.element.querySelectorAll("details")) each.open = opened.has(each.id);
    if (chosen && this.element.querySelector("#outcome")) this.element.querySelector("#outcome").value = chosen;
    this.element.scrollTop = top;
    if (hasFocus) this.#focus(focus);
  }

  /** Draws an alert that has not been loaded yet, such as an ended one. */
  #drawUnknown(text) {
    this.element.className = "card";
    this.element.dataset.alert = this.id;
    this.element.replaceChildren(h("header", {}, h("div", { class: "row-head" }, this.#closing()),
      h("h2", { tabindex: "-1", id: "card-title" }, text)));
  }

  /** Gives the focus back to the element that had it, or to the title if that element can no longer have it. */
  #focus(id) {
    const before = id && document.getElementById(id);
    (before && !before.disabled ? before : this.element.querySelector("h2")).focus({ preventScroll: true });
  }

  #closing() {
    return h("button", { type: "button", id: "close-card", class: "close", "aria-label": "Close the card", onclick: () => this.on.close() }, "✕");
  }

  /** Returns whether a response is still waiting for the worker. */
  #isBusy() {
    return this.waiting !== null && Date.now() < this.waiting.until;
  }

  /** Who gave the last response of a kind, and when. */
  #last(response, action) {
    const { field } = RESPONSES[action];
    return `${response[`${field}_by`]} ${response[`${field}_at`]}`;
  }

  /** Returns whether a response would change nothing. */
  #stands(response, action, outcome) {
    if (action === "acknowledge") return Boolean(response.acknowledged_by);
    if (action === "take") return response.taken_by === this.user;
    return response.outcome === outcome && response.outcome_by === this.user;
  }

  #age(alert) {
    return `${duration(areaNow(alert.area) - Date.parse(alert.opened_at))} old`;
  }

  #head(feature) {
    const alert = feature.properties;
    return h("header", {},
      h("div", { class: `row-head ${alert.state}` },
        h("span", { class: "tier" }, tierWords(alert.tier)),
        this.alerts.isNew(alert) && h("span", { class: "mark new-mark" }, "new"),
        h("span", { class: "mark" }, within(stateWords(alert.state))),
        alert.delayed && h("span", { class: "mark" }, "delayed"),
        this.#closing()),
      alert.status === "exercise" && h("p", { class: "exercise-banner" }, "Exercise: a drill, nothing has happened"),
      h("h2", { tabindex: "-1", id: "card-title" }, placeWords(feature)),
      h("p", { class: "under-title" },
        `${alert.area} · ${streamWords(alert.category)} · opened `,
        h("time", { datetime: alert.opened_at, title: fullTime(alert.area, alert.opened_at) }, localTime(alert.area, alert.opened_at)), " · ",
        isTerminal(alert) ? `${within(stateWords(alert.state))} ${localTime(alert.area, alert.ended_at)}` : h("span", { id: "card-age" }, this.#age(alert))));
  }

  #numbers(alert) {
    const artefact = artefactWords(alert);
    const number = (value, text, extra = "") => h("div", { class: `number ${extra}` }, h("b", {}, value), h("span", {}, text));
    return h("div", { class: "numbers" },
      number(String(alert.observed), `observed in ${alert.duration_h} h`),
      number(figure(alert.expected), "usual here"),
      number(riskWords(alert), "as many as usual"),
      number(alert.recurrence_interval, `until chance shows as much${alert.interval_kind === "nominal" ? " (nominal)" : ""}`, "chance"),
      h("p", { class: `verdict ${isDoubtful(alert) ? "doubtful" : ""}` }, artefact ? `Artefact: ${within(artefact)}` : "No artefact found"),
      alert.trend && h("figure", { class: "trend-figure", role: "img", "aria-label": `Events a day, last 14 days: ${alert.trend.join(", ")}` },
        trendBars(alert.trend, 150, 34), h("figcaption", {}, "a day, last 14 days")));
  }

  #responses(alert) {
    const response = alert.response ?? {};
    const when = (time) => localTime(alert.area, time);
    const given = [
      response.acknowledged_by && `Acknowledged by ${response.acknowledged_by}, ${when(response.acknowledged_at)}`,
      response.taken_by && `Taken by ${response.taken_by}, ${when(response.taken_at)}`,
      response.outcome && `Outcome: ${within(outcomeWords(response.outcome))}, noted by ${response.outcome_by}, ${when(response.outcome_at)}`,
    ].filter(Boolean);
    const list = given.length > 0 && h("ul", { class: "given", id: "given" }, given.map((text) => h("li", {}, text)));
    const closed = isTerminal(alert) ? "This alert is over. Nobody can respond to it any more."
      : !this.canRespond && "You are signed in as a viewer. Only operators can respond.";
    if (closed) return h("section", { class: "responding" }, list, h("p", { class: "muted" }, closed));
    const busy = this.#isBusy();
    const isMine = this.#stands(response, "take");
    const select = h("select", { id: "outcome" },
      OUTCOMES.map(([value, text]) => h("option", { value }, text)));
    return h("section", { class: "responding", "aria-label": "Responses" }, list,
      h("div", { class: "buttons" },
        h("button", { type: "button", id: "acknowledge", class: response.acknowledged_by ? "" : "primary", disabled: busy || Boolean(response.acknowledged_by), onclick: () => this.respond("acknowledge") }, response.acknowledged_by ? "Acknowledged" : "Acknowledge"),
        h("button", { type: "button", id: "take", disabled: busy || isMine, onclick: () => this.respond("take") }, isMine ? "Taken" : response.taken_by ? "Take over" : "Take"),
        h("span", { class: "outcome" }, h("label", { for: "outcome" }, "Outcome"), select,
          h("button", { type: "button", id: "note-outcome", "aria-label": "Note the outcome", disabled: busy, onclick: () => this.respond("outcome", select.value) }, "Note"))),
      this.waiting !== null && h("p", { class: "muted" }, busy ? SENT : "Sent, but the worker has not applied it yet."));
  }

  #explanation() {
    return h("section", {}, h("h3", {}, "In plain English"), h("p", { class: "explanation" }, this.detail?.explanation ?? "…"));
  }

  #timeline(alert) {
    const notable = [];
    const silent = [];
    let before = null;
    for (const { properties: each } of this.history) {
      (each.notice || this.#responseOf(each) ? notable : silent).push(this.#revision(each, before));
      before = each;
    }
    const rowsOf = (rows) => h("ol", { class: "timeline" }, rows.reverse());
    return h("section", {}, h("h3", {}, `Timeline, revision ${alert.revision}`), rowsOf(notable),
      silent.length > 0 && h("details", { id: "silent" }, h("summary", {}, `${plural(silent.length, "more revision")} with new figures only`), rowsOf(silent)));
  }

  /** The response that made a revision, if one did. */
  #responseOf(each) {
    return Object.values(RESPONSES).find(({ reason }) => reason === each.reason);
  }

  #revision(each, before) {
    const given = this.#responseOf(each);
    const who = given && each.response?.[`${given.field}_by`];
    const what = each.notice ? noticeWords(each.notice) : reasonWords(each.reason);
    const why = each.notice && each.reason !== each.notice ? within(reasonWords(each.reason)) : "";
    const added = before && each.new_members.length ? `, ${each.new_members.length} new` : "";
    return h("li", { class: `tier-${each.tier} ${each.state}` },
      h("time", { datetime: each.updated_at }, localTime(each.area, each.updated_at)),
      h("span", { class: "tier" }, tierWords(each.tier)),
      h("span", {}, h("b", {}, what), why && ` · ${why}`, who && ` by ${who}`, given === RESPONSES.outcome && `: ${within(outcomeWords(each.response?.outcome ?? ""))}`,
        h("span", { class: "muted figures-then" }, `${each.observed} against ${figure(each.expected)}${added}`)));
  }

  #profile(alert) {
    if (!alert.profile) return null;
    return h("section", {}, h("h3", {}, "Usual hours of this zone"), weekStrip(alert.profile, hourOfWeek(alert.area, alert.updated_at)),
      h("p", { class: "muted" }, "Events by hour of the week, local time, over the whole window. The frame marks the hour of this revision."));
  }

  #breakdown(alert) {
    const total = Object.values(alert.breakdown).reduce((sum, count) => sum + count, 0) || 1;
    const rows = Object.entries(alert.breakdown).sort(([, a], [, b]) => b - a);
    return h("section", {}, h("h3", {}, "Categories"), h("table", { class: "breakdown" },
      h("tbody", {}, rows.map(([category, count]) => h("tr", {}, h("th", { scope: "row" }, streamWords(category)), h("td", {}, shareBar(count / total)), h("td", {}, String(count)))))),
    alert.also_in && h("p", { class: "also-in" }, "Also stands out in ", alert.also_in.map((each) =>
      `${streamWords(each.category)}: ${countWords(each)} in ${each.duration_h} h`).join("; "), "."));
  }

  #incidents(alert) {
    const fresh = new Set(alert.new_members);
    const ids = [...alert.members].sort((a, b) => Number(fresh.has(b)) - Number(fresh.has(a)));
    const item = (id) => h("li", { class: fresh.has(id) ? "fresh" : "" }, id, fresh.has(id) && h("span", { class: "mark" }, "new"));
    return h("section", {}, h("h3", {}, `${plural(ids.length, "incident")}, ${fresh.size} new in this revision`),
      h("ul", { class: "ids" }, ids.slice(0, IDS_SHOWN).map(item)),
      ids.length > IDS_SHOWN && h("details", { id: "more-ids" }, h("summary", {}, `${ids.length - IDS_SHOWN} more`), h("ul", { class: "ids" }, ids.slice(IDS_SHOWN).map(item))));
  }

  #lineage(alert) {
    const named = [["Split from", alert.split_from], ["Merged into", alert.merged_into]];
    const related = (this.detail?.related ?? []).filter((id) => id !== alert.split_from && id !== alert.merged_into);
    const entries = [...named.filter(([, id]) => id), ...related.map((id) => ["Shares incidents with", id])];
    if (!entries.length) return null;
    return h("section", {}, h("h3", {}, "Related alerts"), h("ul", { class: "lineage" }, entries.map(([how, id]) => {
      const other = this.alerts.byId.get(id);
      const name = other ? `${tierWords(other.properties.tier)}, ${streamWords(other.properties.category)}, ${placeWords(other)}` : id.slice(0, 8);
      return h("li", {}, `${how} `, h("button", { type: "button", class: "link", onclick: () => this.on.open(id) }, name));
    })));
  }

  #figures(alert) {
    const rows = FIGURES.filter((name) => alert[name] !== undefined).map((name) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, String(alert[name]))));
    return h("details", { class: "figures", id: "figures" }, h("summary", {}, "All figures"),
      h("table", {}, h("tbody", {}, h("tr", {}, h("th", { scope: "row" }, "id"), h("td", {}, alert.id)), rows)));
  }
}
