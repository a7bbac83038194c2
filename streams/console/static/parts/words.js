// Words for terms, figures and durations. Terms and their words come from the server.

import terms from "../terms.js";

/** Tiers, the highest first. */
export const TIERS = Object.keys(terms.tiers).reverse();
export const STREAMS = Object.keys(terms.streams);
export const OUTCOMES = Object.entries(terms.outcomes);
export const FEEDS = terms.feeds;
/** Of each response the reason of its revision, and the prefix of its fields in the alert. */
export const RESPONSES = terms.responses;
/** From this share of the events on, an artefact is marked as a doubt. */
const DOUBTFUL = 0.3;

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
/** A term's words within a sentence. */
export const within = (words) => words.charAt(0).toLowerCase() + words.slice(1);

/** A newer worker may have terms that this console does not know. */
const wordsOf = (kind) => (term) => terms[kind][term] ?? capital(term.replaceAll("_", " "));
export const tierWords = wordsOf("tiers");
export const streamWords = wordsOf("streams");
export const stateWords = wordsOf("states");
export const reasonWords = wordsOf("reasons");
export const noticeWords = wordsOf("notices");
export const outcomeWords = wordsOf("outcomes");
const artefactKindWords = wordsOf("artefacts");

export const isTerminal = (alert) => terms.terminal.includes(alert.state);
/** Whether the revision changed something that matters; a reminder and an end did not. */
export const isMaterial = (alert) => terms.material.includes(alert.notice);
/** Rank of the tier among those that sound, from 0; -1 for the others. */
export const soundRank = (alert) => terms.speaking.indexOf(alert.tier);

/** "Possible duplicate calls (40%)", or "" without a known artefact. */
export function artefactWords(alert) {
  const [first] = alert.artefacts ?? [];
  if (!first) return "";
  return `${artefactKindWords(first.kind)}${first.place ? ` ${first.place}` : ""} (${Math.round(first.score * 100)}%)`;
}

export const isDoubtful = (alert) => (alert.artefact_score ?? 0) >= DOUBTFUL;

/** The name of the place, or else the coordinates. */
export function placeWords(feature) {
  const alert = feature.properties;
  if (alert.place) return capital(alert.place);
  const [longitude, latitude] = feature.geometry.coordinates;
  return `${latitude.toFixed(4)}, ${longitude.toFixed(4)}`;
}

/** A figure with two significant digits, or whole. */
export const figure = (value) =>
  value >= 99.5 ? Math.round(value).toLocaleString("en-GB") : value >= 1e-3 ? String(Number(value.toPrecision(2))) : "0";

export const riskWords = (alert) => (alert.relative_risk ? `×${figure(alert.relative_risk)}` : "×∞");

/** "9 against 1.2 usual" */
export const countWords = (alert) => `${alert.observed} against ${figure(alert.expected)} usual`;

/** "45 s", "12 min", "3 h", "2.5 days" */
export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${(seconds / 86400).toFixed(seconds < 10 * 86400 ? 1 : 0)} days`;
}

export const plural = (number, word) => `${number} ${word}${String(number) === "1" ? "" : "s"}`;

/** ["acknowledged by anna", "taken by ben", "outcome: venue"] */
export function responseWords(response) {
  return [
    response?.acknowledged_by && `acknowledged by ${response.acknowledged_by}`,
    response?.taken_by && `taken by ${response.taken_by}`,
    response?.outcome && `outcome: ${within(outcomeWords(response.outcome))}`,
  ].filter(Boolean);
}
