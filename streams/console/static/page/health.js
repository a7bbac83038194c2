// Whether what is shown can be believed: no alerts, no data, a dead worker, Redis away and a lost page are five things.

import { h, setAttribute, setText } from "../parts/dom.js";
import { duration, plural } from "../parts/words.js";
import { serverNow } from "../state/clock.js";

const PILLS = 4;
const QUIET_MS = 60_000;

/** How one area is doing: level is good, warning or bad; `short` for a pill, `long` for the banner. */
function verdict(area) {
  const ago = (time) => (time ? `${duration(serverNow() - Date.parse(time))} ago` : "never");
  const name = area.area;
  if (area.worker === "dead") {
    const since = area.written_at ? `The last sign of its worker was ${ago(area.written_at)}.` : "Its worker was never heard of.";
    return { level: "bad", short: "worker dead", long: `Nobody is watching ${name}. ${since} Alerts do not change until a worker runs.` };
  }
  if (area.feed === "silent") {
    return { level: "bad", short: "no data", long: `No data from ${name}: the last record came ${ago(area.last_record)}. No alerts does not mean that nothing happens.` };
  }
  if (area.feed === "kafka_away") {
    return { level: "bad", short: "Kafka away", long: `The worker of ${name} does not reach Kafka. Nothing new can be seen.` };
  }
  if (area.feed === "catching_up") {
    return { level: "warning", short: "catching up", long: `${name} is catching up, ${plural(area.lag, "record")} behind: alerts come late, some are still missing.` };
  }
  if (area.feed === "learning") {
    const lacking = duration(area.missing_days * 86_400_000);
    return { level: "warning", short: "learning", long: `${name} opens no alerts yet: ${lacking} of history are missing until anything can be called unusual.` };
  }
  if (area.feed === "healthy") {
    // The heartbeat is up to 10 s old; only a gap beyond that says something.
    const isLongAgo = area.last_record && serverNow() - Date.parse(area.last_record) > QUIET_MS;
    return { level: "good", short: isLongAgo ? `healthy, last record ${ago(area.last_record)}` : "healthy", long: "" };
  }
  return { level: "warning", short: area.feed || "not known", long: `How the feed of ${name} is doing is not known yet.` };
}

export class Health {
  constructor(strip, banner, spoken) {
    this.strip = strip;
    this.banner = banner;
    this.spoken = spoken;
    this.told = null;
    this.lostAt = 0;
    this.isConnected = false;
  }

  /** What speaks against what is shown, worst first; empty: nothing. */
  problems() {
    const found = [];
    if (this.lostAt) {
      found.push({ level: "bad", long: `This page has lost its connection; it last heard from the server ${duration(Date.now() - this.lostAt)} ago. What it shows is old. It keeps trying.` });
    } else if (this.told && !this.told.redis) {
      found.push({ level: "bad", long: "Redis does not answer. What this page shows is what it last knew." });
    } else if (this.told) {
      found.push(...this.told.areas.map(verdict).filter((each) => each.level !== "good"));
    }
    return found.sort((a, b) => (a.level > b.level ? 1 : -1));
  }

  show() {
    const connection = this.lostAt ? ["bad", "connection lost"] : this.isConnected ? ["good", "live"] : ["warning", "connecting"];
    const pills = [connection];
    if (!this.lostAt && this.told) {
      if (!this.told.redis) pills.push(["bad", "Redis away"]);
      else pills.push(...this.#areas(this.told.areas));
    }
    const key = pills.join("|");
    if (this.strip.dataset.drawn !== key) {
      this.strip.dataset.drawn = key;
      this.strip.replaceChildren(...pills.map(([level, text, name]) =>
        h("span", { class: `pill ${level}` }, h("span", { class: "sign", "aria-hidden": "true" }), name && h("b", {}, name), text)));
    }
    const problems = this.problems();
    const said = problems.map((problem) => problem.long).join(" ");
    this.banner.hidden = !problems.length;
    setAttribute(this.banner, "class", `banner ${problems[0]?.level ?? ""}`);
    setText(this.banner, said);
    // An alert region speaks when its text changes: it is told new words, and not the figures that go on.
    const gist = said.replaceAll(/\d+(\.\d+)? (s|min|h|days|records?)\b/g, "");
    if (this.spoken.dataset.gist !== gist) {
      this.spoken.dataset.gist = gist;
      this.spoken.textContent = said;
    }
  }

  #areas(areas) {
    const verdicts = areas.map((area) => ({ name: area.area, ...verdict(area) }));
    verdicts.sort((a, b) => ["bad", "warning", "good"].indexOf(a.level) - ["bad", "warning", "good"].indexOf(b.level));
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
