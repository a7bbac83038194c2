"""Whether the page can be trusted: lost connections, requests that fail, old revisions, the health of feeds."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import OpenPage, Site, shown
from tests.integration.worker_process import until

pytestmark = pytest.mark.browser

NOTHING_NEW = """
  window.EventSource = class extends EventTarget {
    constructor() {
      super();
      setTimeout(() => this.dispatchEvent(new Event("open")));
      const health = () => JSON.stringify({ time: new Date().toISOString(), redis: true, areas: [] });
      setInterval(() => this.dispatchEvent(new MessageEvent("health", { data: health() })), 1_000);
    }
    close() {}
  };
"""
"""An event stream that is live and carries no alert."""


def test_a_silent_server_is_a_lost_connection(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    page.clock.install()
    page.reload()
    expect(page.locator("#health")).to_contain_text("Live")
    site.console.suspend()
    try:
        page.clock.fast_forward(20_000)
        expect(page.locator("#banner")).to_contain_text("lost its connection")
        expect(page.locator("#health")).to_contain_text("Connection lost")
        spoken = page.locator("#banner-spoken").inner_text()
        page.clock.fast_forward(300_000)
        expect(page.locator("#banner")).to_contain_text("5 min ago")
        assert page.locator("#banner-spoken").inner_text() == spoken  # a screen reader does not announce each second
    finally:
        site.console.resume()
    expect(page.locator("#health")).to_contain_text("Live", timeout=20_000)
    expect(page.locator("#banner")).to_be_hidden()


def test_a_page_that_could_not_load_the_alerts_tries_again(site: Site, open_page: OpenPage) -> None:
    page = open_page(f"{site.url}openapi.json", wait=False)
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=503, body="Redis is away")

    page.route("**/api/alerts?*", refuse_once)
    page.goto(site.url)
    expect(page.locator("#errors")).to_contain_text("Redis is unavailable")
    expect(page.locator("#summary")).to_contain_text("open", timeout=20_000)


def test_an_alert_that_cannot_be_loaded_leaves_no_other_in_its_place(site: Site, open_page: OpenPage) -> None:
    page = open_page(f"{site.url}openapi.json", wait=False)
    errors, text = page.evaluate(
        """async () => {
          const { Alerts } = await import("/static/state/alerts.js");
          const { Card } = await import("/static/page/card.js");
          const [element, errors] = [document.createElement("aside"), []];
          element.append(document.createElement("h2"), "another alert");
          const failed = (error) => errors.push(error.message);
          await new Card(element, new Alerts(), { user: "x", role: "operator" }, { failed }).open("0".repeat(32));
          return [errors, element.textContent];
        }"""
    )
    assert errors == ["The server does not have what this page asked for."]
    assert text == "✕This alert could not be loaded"


def test_an_old_revision_is_not_news(site: Site, open_page: OpenPage) -> None:
    """As while Redis is filled again: by a wall clock the demo's events are of another year."""
    page, other = open_page(f"{site.url}openapi.json", wait=False), open_page()

    def on_the_wall(route: Route) -> None:
        response = route.fetch()
        session = response.json()
        route.fulfill(response=response, json=session | {"clocks": dict.fromkeys(session["clocks"], "wall")})

    page.route("**/api/session", on_the_wall)
    page.goto(site.url)
    page.wait_for_selector("#list .row")
    seen = shown(page)
    expect(other.locator("#announcements")).not_to_be_empty()
    until(lambda: shown(page) != seen, "a change has come", 60)
    expect(page.locator("#announcements")).to_be_empty()


def test_only_pushed_or_opened_alerts_are_marked_as_changed(site: Site, open_page: OpenPage) -> None:
    """An alert that somebody else has acknowledged has not changed when the page loads it, whatever its last notice."""
    page = open_page(f"{site.url}openapi.json", wait=False)
    found, pushed, after_a_look = page.evaluate(
        """async () => {
          const { Alerts } = await import("/static/state/alerts.js");
          const revision = (number, notice) => ({ id: "x", properties: {
            id: "x", area: "city", revision: number, notice, tier: "alert", state: "open", observed: 5,
            updated_at: "2026-01-01T00:00:00Z", response: { acknowledged_by: "somebody" },
          } });
          const isChanged = (alerts) => alerts.isChanged(alerts.byId.get("x").properties);
          const alerts = new Alerts();
          alerts.put(revision(2, "escalated"), false);
          const found = isChanged(alerts);
          alerts.put(revision(3, "area_changed"), true);
          const pushed = isChanged(alerts);
          alerts.look("x");
          const looked = isChanged(alerts);
          alerts.put(revision(4, "risk_changed"), false);
          return [found, pushed && !looked, isChanged(alerts)];
        }"""
    )
    assert (found, pushed, after_a_look) == (False, True, True)


def test_alerts_that_redis_lost_and_got_back_are_shown_again(site: Site, open_page: OpenPage) -> None:
    """The page has loaded while Redis was empty; no event announces what came back."""
    page = open_page(f"{site.url}openapi.json", wait=False)
    page.clock.install()
    page.route("**/api/alerts?*", lambda route: route.fulfill(json={"type": "FeatureCollection", "features": []}))
    page.add_init_script(NOTHING_NEW)
    page.goto(site.url)
    expect(page.locator("#summary")).to_have_text("0 open")
    page.unroute("**/api/alerts?*")

    def is_shown() -> bool:  # an alert of the city can end between two looks
        page.clock.run_for(61_000)
        return page.locator("#list .row").count() > 0

    until(is_shown, "the page shows an alert of the city")


def test_no_alerts_no_data_and_no_worker_differ(site: Site, open_page: OpenPage) -> None:
    page = open_page(f"{site.url}openapi.json", wait=False)
    for area, level, text in (
        ({"worker": "alive", "feed": "healthy"}, "good", ""),
        (
            {"worker": "alive", "feed": "learning", "missing_days": 12.34},
            "warning",
            "It needs 12 days more of history",
        ),
        ({"worker": "alive", "feed": "silent"}, "bad", "No data from city"),
        (
            {"worker": "alive", "feed": "healthy", "silent_parts": ["no drugs since 3 May"]},
            "good",
            "city: no drugs since",
        ),
        ({"worker": "alive", "feed": "catching_up", "lag": 3}, "warning", "3 records behind"),
        ({"worker": "alive", "feed": "kafka_away"}, "bad", "cannot reach Kafka"),
        ({"worker": "alive", "feed": "clock"}, "bad", "A clock around city is wrong"),
        ({"worker": "dead"}, "bad", "Nobody is watching city"),
    ):
        pill, banner = page.evaluate(
            """async (area) => {
              const { Health } = await import("/static/page/health.js");
              const [strip, banner, spoken] = ["div", "div", "div"].map((tag) => document.createElement(tag));
              const health = new Health(strip, banner, spoken);
              health.isConnected = true;
              health.latest = { redis: true, areas: [{ area: "city", ...area }] };
              health.show();
              return [strip.lastChild.className, banner.textContent];
            }""",
            area,
        )
        assert pill == f"pill {level}"
        assert text in banner
        assert bool(banner) is bool(text)
