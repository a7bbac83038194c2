"""So many real sessions of the console's page in one Chromium: ``_pages.py URL NUMBER``, in a process of their own.

Says "ready" once all show how the feed is. When its input ends, it prints, as one JSON object, for each alert and
revision ("ID REVISION") the moments at which pages had it in the list, in seconds since 1970; one that was overtaken
before it was drawn counts when the later one was. Every session has a browser context of its own, as if each were
another person's browser: a browser opens only six connections to one server, and a page keeps one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import defaultdict
from contextlib import closing

from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1280, "height": 800}
NOTING = """
  window.shown = [];
  const note = (row) => window.shown.push([row.dataset.alert, Number(row.dataset.revision), Date.now() / 1000]);
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes") note(target);
      for (const node of addedNodes) {
        for (const row of node.querySelectorAll?.(".row[data-revision]") ?? []) note(row);
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-revision"] });
"""


def moments(pages: list[Page]) -> dict[str, list[float]]:
    """When each page had each revision."""
    found: dict[str, list[float]] = defaultdict(list)
    for page in pages:
        last: dict[str, int] = {}
        for alert, revision, moment in page.evaluate("window.shown"):
            for each in range(last.get(alert, revision - 1) + 1, revision + 1):
                found[f"{alert} {each}"].append(moment)
            last[alert] = max(revision, last.get(alert, 0))
    return found


def main(url: str, number: int) -> None:
    """Look until the input ends."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)) as browser,
    ):
        pages = []
        for _ in range(number):
            page = browser.new_context(viewport=SIZE).new_page()  # type: ignore[arg-type]
            page.set_default_timeout(120_000)
            page.add_init_script(NOTING)
            page.goto(url)
            pages.append(page)
        for page in pages:
            page.wait_for_selector(".pill b")
        print("ready", flush=True)
        sys.stdin.read()
        found = moments(pages)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
