// Whether the page can be trusted. No alerts, no data, a dead worker, Redis unavailable and a lost connection differ.

import { h, setAttribute, setText } from "../parts/dom.js";
import { FEEDS, duration, plural } from "../parts/words.js";
import { serverNow } from "../state/clock.js";

const PILLS = 4;
/** The heartbeat is up to 10 s old; the page mentions the last record only after a longer gap, in milliseconds. */
const QUIET_MS = 60_000;
const LEVELS = ["bad", "warning", "good"];
const DEAD = { level: "bad", short: "Worker dead", long: "Nobody is watching {area}. Last sign of its worker: {seen}. Alerts do not change until a worker runs." };
const UNKNOWN = { level: "warning", short: "Not known", long: "The state of the feed of {area} is not known yet." };

/** The state of one area: level is good, warning or bad; `short` for a pill, `long` for the banner. */
function verdict(area) {
  const ago = (time) => (time ? `${duration(serverNow() - Date.parse(time))} ago` : "never");
  const { level, short, long } = area.worker === "dead" ? DEAD : (FEEDS[area.feed] ?? UNKNOWN);
  const values = {
    area: area.area, last_record: ago(area.last_record), seen: area.seconds === undefined ? "never" : `${duration(1000 * area.seconds)} ago`,
    lag: plural(area.lag ?? 0, "record"), missing: duration((area.missing_days ?? 0) * 86_400_000),
  };
  const isQuiet = level === "good" && area.last_record && serverNow() - Date.parse(area.last_record) > QUIET_MS;
  return {
    level, short: isQuiet ? `${short}, last record ${values.last_record}` : short,
    long: long.replaceAll(/\{(\w+)\}/g, (_, name) => values[name]),
  };
}

export class Health {
  constructor(strip, banner, spoken) {
    this.strip = strip;
    this.banner = banner;
    this.spoken = spoken;
    this.latest = null;
    this.lostAt = 0;
    this.isConnected = false;
  }

  /** Reasons not to trust the page, the worst first. */
  problems() {
    const found = [];
    if (this.lostAt) {
      found.push({ level: "bad", long: `This page has lost its connection. It last heard from the server ${duration(Date.now() - this.lostAt)} ago and shows old data. It keeps trying.` });
    } else if (this.latest && !this.latest.redis) {
      found.push({ level: "bad", long: "Redis does not respond. This page shows the last data that it received." });
    } else if (this.latest) {
      found.push(...this.latest.areas.map(verdict).filter((each) => each.level !== "good"));
      for (const { area, unreadable, worker, silent_parts: silent = [], further_records: further } of this.latest.areas) {
        const lines = further ? [...silent, further] : silent;
        if (worker === "alive") found.push(...lines.map((line) => ({ level: "warning", long: `${area}: ${line}.` })));
        if (unreadable) found.push({ level: "warning", long: `${plural(unreadable, "value")} of ${area} in Redis cannot be read: alerts may be missing here.` });
      }
    }
    return found.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
  }

  show() {
    const connection = this.lostAt ? ["bad", "Connection lost"] : this.isConnected ? ["good", "Live"] : ["warning", "Connecting"];
    const pills = [connection];
    if (!this.lostAt && this.latest) {
      if (!this.latest.redis) pills.push(["bad", "Redis unavailable"]);
      else pills.push(...this.#areas(this.latest.areas));
    }
    const key = pills.join("|");
    if (this.strip.dataset.drawn !== key) {
      this.strip.dataset.drawn = key;
      this.strip.replaceChildren(...pills.map(([level, text, name]) =>
        h("span", { class: `pill ${level}` }, h("span", { class: "sign", "aria-hidden": "true" }), name && h("b", {}, name), text)));
    }
    const problems = this.problems();
    const text = problems.map((problem) => problem.long).join(" ");
    this.banner.hidden = !problems.length;
    setAttribute(this.banner, "class", `banner ${problems[0]?.level ?? ""}`);
    setText(this.banner, text);
    // A screen reader announces this element when its text changes: only new words count, not figures.
    const gist = text.replaceAll(/\d+(\.\d+)? (s|min|h|days|records?|usual)\b|\d+ in /g, "");
    if (this.spoken.dataset.gist !== gist) {
      this.spoken.dataset.gist = gist;
      this.spoken.textContent = text;
    }
  }

  #areas(areas) {
    const verdicts = areas.map((area) => ({ name: area.area, ...verdict(area) }));
    verdicts.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
    if (verdicts.length <= PILLS) return verdicts.map(({ level, short, name }) => [level, short, name]);
    const shown = verdicts.filter(({ level }) => level !== "good").slice(0, PILLS - 1);
    const rest = verdicts.length - shown.length;
    const good = verdicts.filter(({ level }) => level === "good").length;
    return [
      ...shown.map(({ level, short, name }) => [level, short, name]),
      rest === good ? ["good", `${good} areas healthy`] : ["bad", `${rest - good} more not healthy, ${good} healthy`],
    ];
  }
}
