"""The page of the running demo: list, keys, filters, a narrow screen, accessibility."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import LIVELY, OpenPage, Site, shown
from tests.integration.worker_process import until

pytestmark = pytest.mark.browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def test_a_row_stays_under_the_pointer_until_the_click_is_done(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    row = page.locator("#list .row").first
    box = row.bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    pressed = page.evaluate("document.activeElement.dataset.alert")
    held = shown(page)
    until(lambda: latest(page, site) != dict(held), "an alert has changed", 7)
    page.wait_for_timeout(300)  # for the event to reach the page
    assert shown(page) == held
    page.mouse.up()
    expect(page.locator("#card")).to_have_attribute("data-alert", pressed)
    until(lambda: shown(page) != held, "the page shows what came meanwhile", 20)


def latest(page: Page, site: Site) -> dict[str, str]:
    """Return the revision of each open alert, by the API."""
    alerts = [each["properties"] for each in page.request.get(f"{site.url}api/alerts").json()["features"]]
    return {each["id"]: str(each["revision"]) for each in alerts}


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
    page.locator("#open-help").press("Enter")  # the keys before it have taken effect by then
    expect(page.locator("#shift")).to_be_hidden()
    page.locator("#single-keys").check()
    page.keyboard.press("Escape")
    page.locator(LIVELY).first.press("Enter")
    page.keyboard.press("a")
    expect(page.locator("#given")).to_contain_text("Acknowledged by local")


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


def test_the_page_states_what_filters_hide(open_page: OpenPage) -> None:
    page = open_page()
    for tier in ("urgent", "alert", "advisory", "watch"):
        page.locator(f'.chip[data-word="{tier}"]').click()
    expect(page.locator("#list .row")).to_have_count(0)
    expect(page.locator("#hidden-by-filters")).to_contain_text("hidden by filters")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#list .row").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    serious(page)
    page.locator("#list .row").first.press("Enter")  # a row can move away under a click
    expect(page.locator("#card .timeline li").first).to_be_visible()
    serious(page)
    page.keyboard.press("s")
    expect(page.locator("#shift")).to_contain_text("Opened (")
    serious(page)


def serious(page: Page) -> None:
    """Fails if axe finds something serious or critical."""
    found = Axe().run(page).response["violations"]
    bad = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["help"], [node["html"] for node in each["nodes"]][:3]) for each in bad] == []


def test_pictures_for_the_documents(open_page: OpenPage, pytestconfig: pytest.Config) -> None:
    """Map, card and dark theme on the running demo; written with --screenshots only."""
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
