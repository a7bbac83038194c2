"""Real sessions of the console's page in one Chromium, and when each of them showed a revision.

Every session has a browser context of its own, as if each were another person's browser: a browser opens only six
connections to one server, and a page keeps one.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Self

from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1280, "height": 800}
NOTING = """
  window.shown = [];
  const note = (row) => window.shown.push([row.dataset.alert, Number(row.dataset.revision), Date.now()]);
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes") note(target);
      for (const node of addedNodes) {
        for (const row of node.querySelectorAll?.(".row[data-revision]") ?? []) note(row);
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-revision"] });
"""


class Pages:
    """So many sessions, open until the context manager is left."""

    def __init__(self, url: str, number: int) -> None:
        self._url, self._number = url, number
        self._stack = ExitStack()
        self.pages: list[Page] = []

    def __enter__(self) -> Self:
        playwright = self._stack.enter_context(sync_playwright())
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
        browser = self._stack.enter_context(
            closing(playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments))
        )
        for _ in range(self._number):
            page = browser.new_context(viewport=SIZE).new_page()  # type: ignore[arg-type]
            page.add_init_script(NOTING)
            page.goto(self._url)
            page.wait_for_selector(".pill.good")
            self.pages.append(page)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def delays_s(self, written: dict[tuple[str, int], float]) -> list[float]:
        """For each page and revision, seconds from its moment in ``written`` (alert, revision -> s since 1970).

        A revision that was overtaken before it was drawn counts when the later one was; one that never was is infinite.
        """
        delays = []
        for page in self.pages:
            shown = sorted((alert, revision, at / 1000) for alert, revision, at in page.evaluate("window.shown"))
            for (alert, revision), since in written.items():
                at = min((t for a, r, t in shown if a == alert and r >= revision), default=float("inf"))
                delays.append(at - since)
        return delays
