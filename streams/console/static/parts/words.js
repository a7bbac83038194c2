// How figures and terms are said.

export const TIERS = ["urgent", "alert", "advisory", "watch"];
export const CATEGORIES = ["violence", "property", "drugs", "disorder", "all"];
export const OUTCOMES = {
  genuine_series: "genuine series",
  venue: "venue",
  data_artefact: "data artefact",
  unknown: "unknown",
};

const REASONS = {
  opened: "opened",
  tier_rose: "rarer than ever before",
  new_members: "new incidents",
  relocated: "its incidents were relocated",
  reminder: "nothing new, still there",
  score_fell: "no longer strong enough, easing",
  score_recovered: "strong again",
  merged: "merged into another alert",
  members_cancelled: "too few of its incidents still stand",
  quiet: "quiet for long enough",
  reconfigured: "its places are not watched any more",
  acknowledged: "acknowledged",
  taken: "taken",
  outcome_noted: "outcome noted",
};

const NOTICES = {
  opened: "new alert",
  escalated: "escalated",
  tier_changed: "strength changed",
  area_changed: "area changed",
  risk_changed: "risk changed",
  reminder: "reminder",
  ended: "ended",
};

const ARTEFACTS = {
  geocoding_stack: "at one coordinate",
  duplicate_calls: "may be duplicate calls",
  denied_place: "at a listed place",
  venue: "at one venue",
};
/** From this share of the incidents on, an artefact is a doubt that catches the eye. */
const DOUBTFUL = 0.3;

const plain = (word) => word.replaceAll("_", " ");
export const reasonWords = (reason) => REASONS[reason] ?? plain(reason);
export const noticeWords = (notice) => NOTICES[notice] ?? plain(notice);
export const categoryWords = (category) => (category === "all" ? "all incidents" : category);
export const isTerminal = (alert) => alert.state === "ended" || alert.state === "withdrawn";

/** "40% may be duplicate calls", or "" if nothing is known that explains it otherwise. */
export function artefactWords(alert) {
  const [first] = alert.artefacts ?? [];
  if (!first) return "";
  const what = first.kind === "denied_place" && first.place ? `at ${first.place}` : (ARTEFACTS[first.kind] ?? plain(first.kind));
  return `${Math.round(first.score * 100)}% ${what}`;
}

export const isDoubtful = (alert) => (alert.artefact_score ?? 0) >= DOUBTFUL;

/** Where it is: its place name, else what tells it apart without one. */
export function placeWords(feature) {
  const alert = feature.properties;
  if (alert.place) return alert.place[0].toUpperCase() + alert.place.slice(1);
  const [longitude, latitude] = feature.geometry.coordinates;
  return `${latitude.toFixed(4)}, ${longitude.toFixed(4)}`;
}

/** Two digits that say something, or whole. */
export const figure = (value) =>
  value >= 99.5 ? Math.round(value).toLocaleString("en-GB") : value >= 1e-3 ? String(Number(value.toPrecision(2))) : "0";

export const riskWords = (alert) => (alert.relative_risk ? `×${figure(alert.relative_risk)}` : "×∞");

/** "9 against 1.2 usual" */
export const countWords = (alert) => `${alert.observed} against ${figure(alert.expected)} usual`;

/** How long it takes chance to show as much: "90 days", "1,000+ years" */
export function intervalWords(days) {
  if (days < 1 / 24) return "less than an hour";
  if (days < 2) return plural(figure(days * 24), "hour");
  if (days < 730) return `${figure(days)} days`;
  const years = days / 365.25;
  return years < 999.5 ? `${figure(years)} years` : "1,000+ years";
}

export const chanceWords = (days) => `once in ${intervalWords(days)}`;

/** "45 s", "12 min", "3 h", "2.5 days" */
export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${(seconds / 86400).toFixed(seconds < 10 * 86400 ? 1 : 0)} days`;
}

export const plural = (number, word) => `${number} ${word}${String(number) === "1" ? "" : "s"}`;

/** "acknowledged by anna, taken by ben, venue" */
export function responseWords(response) {
  const said = [];
  if (response?.acknowledged_by) said.push(`acknowledged by ${response.acknowledged_by}`);
  if (response?.taken_by) said.push(`taken by ${response.taken_by}`);
  if (response?.outcome) said.push(`outcome: ${OUTCOMES[response.outcome] ?? plain(response.outcome)}`);
  return said;
}
