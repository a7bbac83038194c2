"""NUMBER real sessions of the console's page in Chromium, in a separate process: ``_pages.py URL NUMBER DRAWN``.

DRAWN of them draw frames all the time. The others load, listen, calculate and change their document as usual, but never
have to render a frame, with its style, layout and painting. Fifty screens belong to fifty machines; drawing all of them
in software on two cores would measure the drawing.

Once all are open, it cuts their network and prints "ready". At a line of input they get it back, and it prints "ready"
once all are live again. At the next line they lose it, and it prints one JSON object. Under "drawn" and "undrawn", for
each alert and revision ("ID REVISION"), that holds the moments at which those pages had it in the list, in seconds
since 1970. A revision overtaken before it was in the list counts when the later one was. This repeats until the input
ends. Every session has a separate browser context, like another person's browser: a browser opens only six connections
to one server, and a page keeps one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import defaultdict
from contextlib import ExitStack, closing

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

OPENED_MS = 180_000
DRESSED = """
  async () => {
    const { areas } = await (await fetch("api/session")).json();
    const asked = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/api/usual?"));
    return asked.filter(({ responseStatus }) => responseStatus === 200).length === areas.length;
  }
"""
"""Whether the page has the ground of the map, by far the largest part of its data."""
SIZE = ViewportSize(width=1280, height=800)
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
    """Return when each page had each revision."""
    found: dict[str, list[float]] = defaultdict(list)
    for page in pages:
        last: dict[str, int] = {}
        for alert, revision, moment in page.evaluate("window.shown"):
            for each in range(last.get(alert, revision - 1) + 1, revision + 1):
                found[f"{alert} {each}"].append(moment)
            last[alert] = max(revision, last.get(alert, 0))
    return found


def cut(pages: list[Page]) -> None:
    """Cut the network of all pages, and their open event streams, which an offline browser would keep."""
    for page in pages:
        page.context.set_offline(True)
        page.evaluate("window.stop()")
    for page in pages:
        page.wait_for_selector(".pill.bad:has-text('lost')")


def undrawn(browser: Browser) -> Page:
    """Return a page in a separate context that draws frames only on request, which never comes."""
    session = browser.new_browser_cdp_session()
    before = session.send("Target.getBrowserContexts")["browserContextIds"]
    context = browser.new_context(viewport=SIZE, reduced_motion="reduce")
    [own] = set(session.send("Target.getBrowserContexts")["browserContextIds"]).difference(before)
    target = {"url": "about:blank", "browserContextId": own, "enableBeginFrameControl": True}
    with context.expect_page() as opened:
        session.send("Target.createTarget", target)
    session.detach()
    return opened.value


def main(url: str, number: int, drawn: int) -> None:
    """Open the pages, and watch between lines of input."""
    # On all cores: fifty browsers are too much for what one core has left.
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    program = shutil.which("chromium-headless-shell")
    assert program, "missing: apt-get install --no-install-recommends chromium-headless-shell"
    with ExitStack() as stack:
        chromium = stack.enter_context(sync_playwright()).chromium
        plain, undrawing = (
            stack.enter_context(closing(chromium.launch(executable_path=program, args=[*arguments, *more])))
            for more in ([], ["--enable-begin-frame-control"])
        )
        pages = [
            plain.new_context(viewport=SIZE, reduced_motion="reduce").new_page() if turn < drawn else undrawn(undrawing)
            for turn in range(number)
        ]
        for page in pages:
            page.set_default_timeout(OPENED_MS)
            page.add_init_script(NOTING)
            page.goto(url, wait_until="commit")
        for page in pages:
            page.wait_for_selector(".pill b")
            page.wait_for_function(DRESSED, polling=1_000)
        cut(pages)
        print("ready", flush=True)
        for _ in sys.stdin:
            for page in pages:
                page.context.set_offline(False)
            for page in pages:
                page.wait_for_selector(".pill.good:has-text('live')")
            print("ready", flush=True)
            sys.stdin.readline()
            cut(pages)
            print(json.dumps({"drawn": moments(pages[:drawn]), "undrawn": moments(pages[drawn:])}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
