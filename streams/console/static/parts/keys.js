// The keyboard. Single keys can be switched off in the help, because speech input can type them by accident.

import { byId, remember, remembered } from "./dom.js";

/** `actions`: move(step), open(), close(), acknowledge(), take(), all(), shift(), help() */
export function listenToKeys(actions) {
  const single = byId("single-keys");
  single.checked = remembered("single-keys", true);
  single.addEventListener("change", () => remember("single-keys", single.checked));

  const letters = {
    j: () => actions.move(1), k: () => actions.move(-1), a: actions.acknowledge, t: actions.take, m: actions.all,
    s: actions.shift, "?": actions.help,
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "Escape") actions.close();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (event.target.closest(".map, .card")) return; // the keys move the map or scroll the card
      actions.move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      if (event.target.closest("button, a, summary, .marker")) return; // Enter presses these
      actions.open();
    } else if (single.checked && letters[event.key] && (!event.repeat || "jk".includes(event.key))) letters[event.key]();
    else return;
    event.preventDefault();
  });
}
