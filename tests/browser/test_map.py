"""The map of the running demo beside its list."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.browser


def test_list_and_map_select_the_same_alert(open_page: OpenPage) -> None:
    page = open_page()
    marker = page.locator(".leaflet-marker-icon.marker").last
    marker.click(force=True)  # another can lie above it
    expect(page.locator("#card")).to_be_visible()
    chosen = page.locator("#card").get_attribute("data-alert")
    expect(page.locator("#list .row[aria-current]")).to_have_attribute("data-alert", str(chosen))
    expect(page.locator(".marker.selected")).to_have_attribute("data-alert", str(chosen))


def test_a_revision_moves_the_zone_that_is_drawn(open_page: OpenPage) -> None:
    page = open_page()
    kept, before, after = page.evaluate(
        """async () => {
          const { AlertMap } = await import("/static/page/map.js");
          const { features: [alert] } = await (await fetch("/api/alerts")).json();
          Object.assign(alert.properties, { observed: 1, radius_m: 500, tier: "watch", cells: ["a"] });
          const element = document.body.appendChild(document.createElement("div"));
          element.style.cssText = "position: fixed; inset: 0";
          const map = new AlertMap(element, { isNew: () => false, isPulsing: () => false }, { open() {} });
          const look = () => ({
            marker: element.querySelector(".marker"),
            number: element.querySelector(".marker").textContent,
            spoken: element.querySelector(".marker").ariaLabel,
            tooltip: element.querySelector(".leaflet-tooltip").textContent,
            place: element.querySelector(".marker").style.transform,
            circle: element.querySelector(".zone").getAttribute("d"),
            looks: element.querySelector(".zone").getAttribute("class"),
            cells: [...element.querySelectorAll(".cell")].map((cell) => cell.getAttribute("class")),
          });
          map.show([alert]);
          map.showAll();
          element.querySelector(".marker").focus();
          const before = look();
          const revised = structuredClone(alert);
          revised.properties.revision += 1;
          Object.assign(revised.properties, { observed: 4711, radius_m: 2500, tier: "urgent" });
          revised.geometry.coordinates[0] += 0.001;
          map.cells.set("a", [[0, 0], [0, 1], [1, 1]]); // the ground came late
          map.show([revised]);
          const after = look();
          const kept = before.marker === after.marker && document.activeElement === after.marker;
          element.remove();
          return [kept, before, after];
        }"""
    )
    assert kept
    assert after["number"] == "4711"
    assert "4711" in after["spoken"] and "4711" in after["tooltip"] and after["spoken"].startswith("Urgent")
    assert "tier-watch" in before["looks"] and before["cells"] == []
    assert "tier-urgent" in after["looks"] and [each.split()[:2] for each in after["cells"]] == [
        ["cell", "tier-urgent"]
    ]
    assert before["place"] != after["place"] and before["circle"] != after["circle"]


def test_the_most_urgent_zone_lies_on_top(open_page: OpenPage) -> None:
    page = open_page()
    drawn = page.evaluate(
        """async () => {
          const { AlertMap } = await import("/static/page/map.js");
          const { features: [alert] } = await (await fetch("/api/alerts")).json();
          const element = document.body.appendChild(document.createElement("div"));
          element.style.cssText = "position: fixed; inset: 0";
          const map = new AlertMap(element, { isNew: () => false, isPulsing: () => false }, { open() {} });
          const named = (tier) => ({ ...alert, id: tier, properties: { ...alert.properties, id: tier, tier } });
          map.show([named("urgent")]);
          map.show([named("urgent"), named("alert"), named("watch")]);
          const drawn = [...element.querySelectorAll(".zone")].map((zone) => zone.getAttribute("class"));
          element.remove();
          return drawn;
        }"""
    )
    assert [next(word for word in each.split() if word.startswith("tier-")) for each in drawn] == [
        "tier-watch",
        "tier-alert",
        "tier-urgent",
    ]
