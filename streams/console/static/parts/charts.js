// Small charts in SVG. The style sheets have their colours.

import { svg } from "./dom.js";

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const NAMES = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/** Bars of events per day; the last bar is the latest 24 hours. */
export function trendBars(trend, width, height) {
  const step = width / trend.length;
  const most = Math.max(1, ...trend);
  const bars = trend.map((count, day) => {
    const tall = count ? Math.max(2, (count / most) * (height - 1)) : 1;
    return svg("rect", {
      x: (day * step).toFixed(1), y: (height - tall).toFixed(1), width: (step - 1.5).toFixed(1), height: tall.toFixed(1),
      class: `${count ? "bar" : "bar none"}${day === trend.length - 1 ? " last" : ""}`,
    });
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "trend", "aria-hidden": "true" }, bars);
}

/** 168 counts by local hour of the week, 7 rows of 24; the current hour has a frame. */
export function weekStrip(profile, current) {
  const [cell, left, top] = [14, 30, 14];
  const most = Math.max(1, ...profile);
  const parts = [];
  for (const hour of [0, 6, 12, 18]) {
    parts.push(svg("text", { x: left + hour * cell, y: 10 }, `${String(hour).padStart(2, "0")}`));
  }
  DAYS.forEach((day, row) => parts.push(svg("text", { x: 0, y: top + row * cell + 11 }, day)));
  profile.forEach((count, hour) => {
    const [row, column] = [Math.floor(hour / 24), hour % 24];
    const title = svg("title", {}, `${NAMES[row]} ${String(column).padStart(2, "0")}:00: ${count}`);
    parts.push(svg("rect", {
      x: left + column * cell, y: top + row * cell, width: cell - 1, height: cell - 1,
      class: count ? "hour" : "hour none", "fill-opacity": count ? (0.15 + (0.85 * count) / most).toFixed(2) : 1,
    }, title));
  });
  const [row, column] = [Math.floor(current / 24), current % 24];
  parts.push(svg("rect", { x: left + column * cell - 0.5, y: top + row * cell - 0.5, width: cell, height: cell, class: "now" }));
  const busiest = profile.indexOf(Math.max(...profile));
  const label = `Events by hour of the week, most on ${NAMES[Math.floor(busiest / 24)]} at ${busiest % 24}:00`;
  return svg("svg", {
    viewBox: `0 0 ${left + 24 * cell} ${top + 7 * cell}`, class: "week", role: "img", "aria-label": label,
  }, parts);
}

/** One bar of a breakdown; its length is the share. */
export function shareBar(share) {
  return svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", class: "share", "aria-hidden": "true" },
    svg("rect", { width: 100, height: 8, class: "track" }),
    svg("rect", { width: (100 * share).toFixed(1), height: 8, class: "bar" }));
}
