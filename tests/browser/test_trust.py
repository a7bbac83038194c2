"""Whether what the page shows can be believed: lost connections, answers that fail, what is long past, feed health."""

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
"""A stream that is live and tells of no change."""


def test_a_silent_server_is_a_lost_connection(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    page.clock.install()
    page.reload()
    expect(page.locator("#health")).to_contain_text("live")
    site.console.suspend()
    try:
        page.clock.fast_forward(20_000)
        expect(page.locator("#banner")).to_contain_text("lost its connection")
        expect(page.locator("#health")).to_contain_text("connection lost")
        spoken = page.locator("#banner-spoken").inner_text()
        page.clock.fast_forward(300_000)
        expect(page.locator("#banner")).to_contain_text("5 min ago")
        assert page.locator("#banner-spoken").inner_text() == spoken  # nobody hears of each second
    finally:
        site.console.resume()
    expect(page.locator("#health")).to_contain_text("live", timeout=20_000)
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
    expect(page.locator("#errors")).to_contain_text("Redis is away")
    expect(page.locator("#summary")).to_contain_text("open", timeout=20_000)


def test_an_alert_that_cannot_be_loaded_leaves_no_other_in_its_place(site: Site, open_page: OpenPage) -> None:
    page = open_page(f"{site.url}openapi.json", wait=False)
    said, text = page.evaluate(
        """async () => {
          const { Alerts } = await import("/static/state/alerts.js");
          const { Card } = await import("/static/page/card.js");
          const [element, said] = [document.createElement("aside"), []];
          element.append(document.createElement("h2"), "another alert");
          const failed = (error) => said.push(error.message);
          await new Card(element, new Alerts(), { user: "x", role: "operator" }, { failed }).open("0".repeat(32));
          return [said, element.textContent];
        }"""
    )
    assert said == ["The server does not know what was asked for."]
    assert text == "✕This alert could not be loaded"


def test_what_is_long_past_is_no_news(site: Site, open_page: OpenPage) -> None:
    """As when Redis is filled anew: to a clock on the wall the demo's events are of another year."""
    page, other = open_page(f"{site.url}openapi.json", wait=False), open_page()

    def on_the_wall(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        route.fulfill(response=answer, json=told | {"clocks": dict.fromkeys(told["clocks"], "wall")})

    page.route("**/api/session", on_the_wall)
    page.goto(site.url)
    page.wait_for_selector("#list .row")
    seen = shown(page)
    expect(other.locator("#announcements")).not_to_be_empty()
    until(lambda: shown(page) != seen, "a change has come", 60)
    expect(page.locator("#announcements")).to_be_empty()


def test_changed_is_what_was_pushed_or_looked_at(site: Site, open_page: OpenPage) -> None:
    """Of an alert that somebody else has acknowledged: as it is found it is no change, whatever it last told of."""
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


def test_what_redis_has_lost_and_found_is_shown_again(site: Site, open_page: OpenPage) -> None:
    """The page has asked while Redis was empty; no change tells of what was filled in again."""
    page = open_page(f"{site.url}openapi.json", wait=False)
    page.clock.install()
    page.route("**/api/alerts?*", lambda route: route.fulfill(json={"type": "FeatureCollection", "features": []}))
    page.add_init_script(NOTHING_NEW)
    page.goto(site.url)
    expect(page.locator("#summary")).to_have_text("0 open")
    page.unroute("**/api/alerts?*")
    page.clock.run_for(61_000)
    expect(page.locator("#list .row").first).to_be_visible()


def test_no_alerts_no_data_and_no_worker_differ(site: Site, open_page: OpenPage) -> None:
    page = open_page(f"{site.url}openapi.json", wait=False)
    for area, level, said in (
        ({"worker": "alive", "feed": "healthy"}, "good", ""),
        (
            {"worker": "alive", "feed": "learning", "missing_days": 12.34},
            "warning",
            "opens no alerts yet: 12 days of history are missing",
        ),
        ({"worker": "alive", "feed": "silent"}, "bad", "No data from city"),
        ({"worker": "alive", "feed": "catching_up", "lag": 3}, "warning", "3 records behind"),
        ({"worker": "alive", "feed": "kafka_away"}, "bad", "does not reach Kafka"),
        ({"worker": "dead"}, "bad", "Nobody is watching city"),
    ):
        pill, banner = page.evaluate(
            """async (area) => {
              const { Health } = await import("/static/page/health.js");
              const [strip, banner, spoken] = ["div", "div", "div"].map((tag) => document.createElement(tag));
              const health = new Health(strip, banner, spoken);
              health.isConnected = true;
              health.told = { redis: true, areas: [{ area: "city", ...area }] };
              health.show();
              return [strip.lastChild.className, banner.textContent];
            }""",
            area,
        )
        assert pill == f"pill {level}"
        assert said in banner
        assert bool(banner) is bool(said)
