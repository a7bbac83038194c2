"""From an empty page to an acknowledged alert, on the running demo, as an operator does it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from kafka import KafkaConsumer, TopicPartition
from playwright.sync_api import Page, Route, expect

from streams.demo_source import AREA
from streams.redis_copy import area_key
from tests.browser.conftest import OpenPage, Site
from tests.integration.worker_process import HOTSPOTS, until

pytestmark = pytest.mark.browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LIVELY = "#list .row:not(.easing):not(:has(.responses))"
"""An alert that is neither about to end nor answered yet."""


def test_an_alert_is_acknowledged_and_everybody_sees_it(site: Site, open_page: OpenPage) -> None:
    page, other = open_page(wait=False), open_page(wait=False)
    page.locator(LIVELY).first.click()
    card = page.locator("#card")
    alert = card.get_attribute("data-alert")
    assert alert is not None
    expect(card.locator(".explanation")).to_contain_text("incidents")
    expect(card.locator("section > .timeline li").last).to_contain_text("new alert")
    expect(card.locator(".week")).to_be_visible()
    card.get_by_role("button", name="Acknowledge").click()
    expect(card.locator("#said")).to_contain_text("Acknowledged by local")
    expect(card.locator("section > .timeline")).to_contain_text("acknowledged by local")
    expect(other.locator(f'[data-alert="{alert}"] .responses').first).to_contain_text("acknowledged by local")

    stored = msgspec.json.decode(str(site.redis.hget(area_key(AREA, f"alert:{alert}"), "event")))
    assert stored["data"]["properties"]["response"]["acknowledged_by"] == "local"
    [sent] = [each for each in records(site, "responses") if each["alert"] == alert]
    assert (sent["action"], sent["user"]) == ("acknowledge", "local")
    revisions = [each["data"]["properties"] for each in records(site, "alerts") if each["subject"] == alert]
    [answered] = [each for each in revisions if each["reason"] == "acknowledged"]
    assert (answered["notice"], answered["response"]["acknowledged_by"]) == ("", "local")


def test_outcome_and_taking_are_shown_and_linked_to(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    page.locator(LIVELY).first.click()
    alert = page.locator("#card").get_attribute("data-alert")
    page.locator("#outcome").select_option("venue")
    page.get_by_role("button", name="Note the outcome").click()
    expect(page.locator("#said")).to_contain_text("Outcome: venue, noted by local")
    expect(page.locator("#card :focus")).to_have_count(1)
    page.get_by_role("button", name="Take", exact=True).click()
    expect(page.locator("#said")).to_contain_text("Taken by local")
    linked = open_page(f"{site.url}?alert={alert}", wait=False)
    expect(linked.locator(f'#card[data-alert="{alert}"] .explanation')).to_contain_text("taken by local")


def test_a_row_stays_under_the_pointer_until_the_click_is_done(open_page: OpenPage) -> None:
    page = open_page()
    row = page.locator("#list .row").first
    box = row.bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    pressed = page.evaluate("document.activeElement.dataset.alert")
    held = shown(page)
    page.wait_for_timeout(4_000)  # of the demo's time eight hours: much has changed
    assert shown(page) == held
    page.mouse.up()
    expect(page.locator("#card")).to_have_attribute("data-alert", pressed)
    until(lambda: shown(page) != held, "what came meanwhile is shown", 20)


def test_what_was_chosen_for_one_alert_is_not_for_the_next(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("#list .row").nth(1)).to_be_visible()
    page.locator("#list .row").first.press("Enter")
    expect(page.locator("#card")).to_be_visible()
    before = page.locator("#card").get_attribute("data-alert")
    page.locator("#outcome").select_option("venue")
    page.locator("#figures").evaluate("(details) => { details.open = true; }")
    page.locator("#card h2").focus()
    is_last = page.locator("#list .row").last.get_attribute("data-alert") == before
    page.keyboard.press("k" if is_last else "j")
    expect(page.locator("#card")).not_to_have_attribute("data-alert", str(before))
    expect(page.locator("#outcome")).not_to_have_value("venue")
    assert not page.locator("#figures").evaluate("(details) => details.open")


def test_an_alert_that_cannot_be_loaded_leaves_no_other_in_its_place(site: Site, open_page: OpenPage) -> None:
    page = open_page(f"{site.url}openapi.json", wait=False)
    said, text = page.evaluate(
        """async () => {
          const { Alerts } = await import("/static/alerts.js");
          const { Card } = await import("/static/card.js");
          const [element, said] = [document.createElement("aside"), []];
          element.append(document.createElement("h2"), "another alert");
          const failed = (error) => said.push(error.message);
          await new Card(element, new Alerts(), { user: "x", role: "operator" }, { failed }).open("0".repeat(32));
          return [said, element.textContent];
        }"""
    )
    assert said == ["The server does not know what was asked for."]
    assert text == "✕This alert could not be loaded"


def test_the_keyboard_is_enough(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.wait_for_selector(LIVELY)
    page.keyboard.press("ArrowDown")
    row = page.locator("#list .row[aria-current]")
    expect(row).to_be_focused()
    alert = row.get_attribute("data-alert")
    page.keyboard.press("Enter")
    expect(page.locator("#card")).to_have_attribute("data-alert", str(alert))
    expect(page.locator("#card h2")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator("#card")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#card")).to_be_hidden()
    page.keyboard.press("s")
    expect(page.locator("#shift")).to_contain_text("Opened (")
    page.keyboard.press("Escape")
    expect(page.locator("#shift")).to_be_hidden()
    page.locator("#open-help").press("Enter")
    page.locator("#single-keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.locator("#open-help").press("Enter")  # what was pressed before has had its effect by then
    expect(page.locator("#shift")).to_be_hidden()
    page.locator("#single-keys").check()
    page.keyboard.press("Escape")
    page.locator(LIVELY).first.press("Enter")
    page.keyboard.press("a")
    expect(page.locator("#said")).to_contain_text("Acknowledged by local")


def test_list_and_map_choose_the_same(open_page: OpenPage) -> None:
    page = open_page()
    marker = page.locator(".leaflet-marker-icon.marker").last
    marker.click(force=True)  # another may lie above it
    expect(page.locator("#card")).to_be_visible()
    chosen = page.locator("#card").get_attribute("data-alert")
    expect(page.locator("#list .row[aria-current]")).to_have_attribute("data-alert", str(chosen))
    expect(page.locator(".marker.selected")).to_have_attribute("data-alert", str(chosen))


def test_a_phone_is_wide_enough(open_page: OpenPage) -> None:
    page = open_page()
    page.set_viewport_size({"width": 390, "height": 800})
    row = page.locator("#list .row").first
    for part in (row, page.locator("#map")):
        box = part.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] > 60
    row.press("Enter")
    expect(page.locator("#card .explanation")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_filters_say_what_they_hide(open_page: OpenPage) -> None:
    page = open_page()
    for tier in ("urgent", "alert", "advisory", "watch"):
        page.locator(f'.chip[data-word="{tier}"]').click()
    expect(page.locator("#list .row")).to_have_count(0)
    expect(page.locator("#hidden-by-filters")).to_contain_text("hidden by filters")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#list .row").first).to_be_visible()


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


def test_a_key_that_is_held_answers_once(open_page: OpenPage) -> None:
    page = open_page()
    page.locator(LIVELY).first.click()
    sent: list[str] = []

    def refuse(route: Route) -> None:
        sent.append(route.request.url)
        route.fulfill(status=503)

    page.route("**/take", refuse)
    page.keyboard.down("t")
    expect(page.locator("#errors")).to_contain_text("could not be sent")
    for _ in range(3):
        page.keyboard.down("t")
    page.keyboard.up("t")
    page.keyboard.press("m")  # what was pressed before has had its effect by then
    assert len(sent) == 1


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
    expect(page.locator("#list .changed-mark")).to_have_count(0)


def shown(page: Page) -> list[tuple[str, str]]:
    """Alert and revision of every row."""
    rows = page.locator("#list .row").evaluate_all(
        "(rows) => rows.map(({ dataset }) => [dataset.alert, dataset.revision])"
    )
    return [(alert, revision) for alert, revision in rows]


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
              const { Health } = await import("/static/health.js");
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    serious(page)
    page.locator("#list .row").first.press("Enter")  # a row may move away under a click
    expect(page.locator("#card .timeline li").first).to_be_visible()
    serious(page)
    page.keyboard.press("s")
    expect(page.locator("#shift")).to_contain_text("Opened (")
    serious(page)


def test_a_viewer_looks_and_does_not_answer(site: Site, open_page: OpenPage, behind_login: str) -> None:
    page = open_page(behind_login, wait=False)
    sign_in(page, "vera", "wrong")
    expect(page.locator("#login-error")).to_contain_text("wrong")
    sign_in(page, "vera", "looks only")
    page.locator("#list .row").first.click()
    expect(page.locator("#card .answers")).to_contain_text("answers are for operators")
    expect(page.locator("#acknowledge")).to_have_count(0)
    expect(page.locator("#user")).to_have_text("vera, viewer")


@pytest.fixture
def behind_login(site: Site, tmp_path: Path) -> Iterator[str]:
    """Another console of the same demo, with a user who may only look."""
    line = subprocess.run(
        [HOTSPOTS, "password", "vera"], input="looks only\n", text=True, capture_output=True, check=True
    )
    passwords = tmp_path / "passwords"
    passwords.write_text(line.stdout)
    log = tmp_path / "console.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [HOTSPOTS, "console", "--config", site.configuration, "--port", "0"],
            stdout=output,
            stderr=output,
            env=os.environ | {"HOTSPOTS_CONSOLE__PASSWORD_FILE": str(passwords)},
        )
    try:
        until(lambda: "the console is at " in log.read_text(), "the console answers")
        yield log.read_text().partition("the console is at ")[2].split()[0]
    finally:
        process.terminate()
        process.wait(20)


def sign_in(page: Page, user: str, password: str) -> None:
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def serious(page: Page) -> None:
    """Fails if axe finds something serious or critical."""
    found = Axe().run(page).response["violations"]
    bad = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["help"], [node["html"] for node in each["nodes"]][:3]) for each in bad] == []


def records(site: Site, topic: str) -> list[dict[str, Any]]:
    """All values of a topic up to now, decoded; it has one partition."""
    partition, values = TopicPartition(topic, 0), []
    with closing(KafkaConsumer(bootstrap_servers=site.kafka)) as consumer:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        [end] = consumer.end_offsets([partition]).values()
        while consumer.position(partition) < end:
            values += [each.value for found in consumer.poll(1_000).values() for each in found]
    return [msgspec.json.decode(value) for value in values]


def test_pictures_for_the_documents(open_page: OpenPage, pytestconfig: pytest.Config) -> None:
    """Map, card and dark as they are on the running demo; written with --screenshots only."""
    if not pytestconfig.getoption("--screenshots", default=False):
        pytest.skip("pictures are written with --screenshots")
    page = open_page(color_scheme="light", reduced_motion="reduce")
    expect(page.locator("#list .row").nth(2)).to_be_visible(timeout=60_000)
    page.wait_for_timeout(1_000)
    page.screenshot(path=IMAGES / "console-map.png")
    page.locator(LIVELY).first.click()
    page.wait_for_timeout(1_500)
    page.screenshot(path=IMAGES / "console-card.png")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    page.screenshot(path=IMAGES / "console-dark.png")
