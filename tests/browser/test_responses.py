"""From an empty page to a response, on the running demo, as an operator does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition
from playwright.sync_api import Page, Route, expect

from streams.configuration.load import load
from streams.console.users import password_line
from streams.demo.source import AREA
from streams.messages.wording import TIERS, interval_words
from streams.redis_copy.keys import area_key
from tests.browser.conftest import LIVELY, OpenPage, Site
from tests.streams.console.site import serving

pytestmark = pytest.mark.browser


def test_an_alert_is_acknowledged_and_everybody_sees_it(site: Site, open_page: OpenPage) -> None:
    page, other = open_page(wait=False), open_page(wait=False)
    page.locator(LIVELY).first.click()
    card = page.locator("#card")
    alert = card.get_attribute("data-alert")
    assert alert is not None
    expect(card.locator(".explanation")).to_contain_text("events")
    expect(card.locator("section > .timeline li").last).to_contain_text("New alert")
    expect(card.locator(".week")).to_be_visible()
    tier, shown, days, interval = card.evaluate(
        """(card) => [
          /tier-(\\w+)/.exec(card.className)[1], card.querySelector(".tier").textContent,
          [...card.querySelectorAll("#figures th")].find((name) => name.textContent === "recurrence_interval_days")
            .nextSibling.textContent,
          card.querySelector(".chance b").textContent,
        ]"""
    )
    assert (shown, interval) == (TIERS[tier], interval_words(float(days)))
    card.get_by_role("button", name="Acknowledge").click()
    expect(card.locator("#given")).to_contain_text("Acknowledged by local")
    expect(card.locator("section > .timeline")).to_contain_text("Acknowledged by local")
    expect(other.locator(f'[data-alert="{alert}"] .responses').first).to_contain_text("acknowledged by local")

    stored = msgspec.json.decode(str(site.redis.hget(area_key(AREA, f"alert:{alert}"), "event")))
    assert stored["data"]["properties"]["response"]["acknowledged_by"] == "local"
    [sent] = [each for each in records(site, "responses") if each["alert"] == alert]
    assert (sent["action"], sent["user"]) == ("acknowledge", "local")
    revisions = [each["data"]["properties"] for each in records(site, "alerts") if each["subject"] == alert]
    [acknowledged] = [each for each in revisions if each["reason"] == "acknowledged"]
    assert (acknowledged["notice"], acknowledged["response"]["acknowledged_by"]) == ("", "local")


def test_outcome_and_taking_are_shown_and_linked_to(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    page.locator(LIVELY).first.click()
    alert = page.locator("#card").get_attribute("data-alert")
    page.locator("#outcome").select_option("venue")
    page.get_by_role("button", name="Note the outcome").click()
    expect(page.locator("#given")).to_contain_text("Outcome: venue, noted by local")
    expect(page.locator("#card :focus")).to_have_count(1)
    page.get_by_role("button", name="Take", exact=True).click()
    expect(page.locator("#given")).to_contain_text("Taken by local")
    linked = open_page(f"{site.url}?alert={alert}", wait=False)
    expect(linked.locator(f'#card[data-alert="{alert}"] .explanation')).to_contain_text("taken by local")


def test_a_choice_for_one_alert_does_not_carry_over_to_the_next(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("#list .row").nth(1)).to_be_visible(timeout=60_000)
    page.locator("#list .row").first.press("Enter")
    expect(page.locator("#card")).to_be_visible()
    before = page.locator("#card").get_attribute("data-alert")
    page.locator("#outcome").select_option("venue")
    page.locator("#figures").evaluate("(details) => { details.open = true; }")
    page.locator("#card h2").focus()
    for _ in range(20):  # the list is sorted again whenever an alert changes, also between these two lines
        is_last = page.locator("#list .row").last.get_attribute("data-alert") == before
        page.keyboard.press("k" if is_last else "j")
        if page.locator("#card").get_attribute("data-alert") != before:
            break
    expect(page.locator("#card")).not_to_have_attribute("data-alert", str(before))
    expect(page.locator("#outcome")).not_to_have_value("venue")
    assert not page.locator("#figures").evaluate("(details) => details.open")


def test_a_key_that_is_held_responds_once(open_page: OpenPage) -> None:
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
    page.keyboard.press("m")  # the keys before it have taken effect by then
    assert len(sent) == 1


def test_a_key_responds_to_the_selected_alert_or_to_none(open_page: OpenPage) -> None:
    """The user opens another alert while the card of the first is still loading."""
    page = open_page()
    expect(page.locator(LIVELY).nth(1)).to_be_visible(timeout=60_000)
    sent: list[str] = []
    held: list[Route] = []

    def refuse(route: Route) -> None:
        sent.append(route.request.url)
        route.fulfill(status=503)

    page.route("**/acknowledge", refuse)
    page.route("**/api/alerts/*", lambda route: held.append(route))
    alert = page.locator(LIVELY).first.get_attribute("data-alert")
    page.locator(f'.row[data-alert="{alert}"]').focus()
    page.keyboard.press("a")
    expect(page.locator("#card")).to_have_attribute("data-alert", str(alert))
    page.locator(f'{LIVELY}:not([data-alert="{alert}"])').first.press("Enter")
    expect(page.locator("#card")).not_to_have_attribute("data-alert", str(alert))
    page.unroute("**/api/alerts/*")
    for route in held:
        route.continue_()
    expect(page.locator("#card .explanation")).to_contain_text("events")
    page.keyboard.press("m")  # the keys before it have taken effect by then
    assert sent == []


def test_a_viewer_looks_and_cannot_respond(site: Site, open_page: OpenPage, behind_login: str) -> None:
    page = open_page(behind_login, wait=False)
    sign_in(page, "vera", "wrong")
    expect(page.locator("#login-error")).to_contain_text("wrong")
    sign_in(page, "vera", "looks only")
    page.locator("#list .row").first.click()
    expect(page.locator("#card .responding")).to_contain_text("Only operators can respond")
    expect(page.locator("#acknowledge")).to_have_count(0)
    expect(page.locator("#user")).to_have_text("vera, viewer")


@pytest.fixture
def behind_login(site: Site, tmp_path: Path) -> Iterator[str]:
    """Another console of the same demo, with a user who can only look."""
    passwords = tmp_path / "passwords"
    passwords.write_text(password_line("vera", "viewer", "looks only") + "\n")
    configuration = load(site.configuration, {})
    settings = msgspec.structs.replace(configuration.console, port=0, password_file=str(passwords))
    with serving(msgspec.structs.replace(configuration, console=settings)) as client:
        yield f"{client.base_url}/"


def sign_in(page: Page, user: str, password: str) -> None:
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


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
