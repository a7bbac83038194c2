// The time: the server's for the feed, the area's for its alerts.
//
// An area with a wall clock has the server's time. An area with a watermark clock (a replay, the demo) has the time of
// its records, which can run at hours per second: the page takes the latest tick, and stands still between two of them.

let skew = 0;
let kinds = {};
let zones = {};
const ticks = new Map();

export function setAreas(timeZones, clocks) {
  zones = timeZones ?? {};
  kinds = clocks ?? {};
}

export function hearServer(time) {
  skew = Date.parse(time) - Date.now();
}

export function hearTick(area, time) {
  ticks.set(area, Math.max(ticks.get(area) ?? 0, Date.parse(time)));
}

export const serverNow = () => Date.now() + skew;

export const isWatermark = (area) => kinds[area] === "watermark";

/** Returns whether the area's time is known. */
export const isTimed = (area) => !isWatermark(area) || ticks.has(area);

/** Milliseconds since 1970 on the area's clock, or on the server's while the area's is not known. */
export function areaNow(area) {
  const tick = ticks.get(area) ?? 0;
  return isWatermark(area) && tick ? tick : Math.max(serverNow(), tick);
}

const formats = new Map();

function format(area, options) {
  const key = `${area} ${JSON.stringify(options)}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zones[area] ?? "UTC", hourCycle: "h23", ...options }));
  }
  return formats.get(key);
}

const SHORT = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
const LONG = { weekday: "short", year: "numeric", ...SHORT, timeZoneName: "short" };

/** "3 Jun, 10:09" in the area's time zone. */
export const localTime = (area, time) => format(area, SHORT).format(new Date(time));

/** The same with weekday, year and zone. */
export const fullTime = (area, time) => format(area, LONG).format(new Date(time));

/** Hour of the week in the area's time zone, 0 = Monday 00:00. */
export function hourOfWeek(area, time) {
  const parts = format(area, { weekday: "short", hour: "2-digit" }).formatToParts(new Date(time));
  const part = (type) => parts.find((each) => each.type === type).value;
  return ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].indexOf(part("weekday")) * 24 + Number(part("hour"));
}
