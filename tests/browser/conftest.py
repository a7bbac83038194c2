"""One running demo and one Chromium for all browser tests. No page can send a request to another host."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright
from redis import Redis

from tests.integration.demo.demo_process import Demo

CHROMIUM = "chromium"
SIZE = {"width": 1280, "height": 800}
PACE = ("--speed", "2", "--seconds", "600")
"""Hours of city time per second, few enough that an alert outlives a test, and more seconds than the tests need."""
LIVELY = "#list .row:not(.easing):not(:has(.responses))"
"""Rows of alerts that are not easing and have no response."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write the pictures of docs/images again")


@dataclass(frozen=True)
class Site:
    """Addresses of the demo's parts."""

    url: str
    kafka: str
    redis: Redis
    configuration: Path
    console: psutil.Process


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with closing(Demo(tmp_path_factory.mktemp("demo"), *PACE)) as demo:
        demo.wait_for("Ready after", 240)
        demo.wait_for("Calibrated", 240)  # from then on the worker stays
        page, kafka, redis = (
            match[1]
            for match in (
                re.search(r"(http://127\.0\.0\.1:\d+/) is the console", demo.output),
                re.search(r"Kafka (127\.0\.0\.1:\d+)", demo.output),
                re.search(r"Redis (127\.0\.0\.1:\d+)", demo.output),
            )
            if match is not None
        )
        [file] = demo.temporary.rglob("demo.toml")
        with Redis.from_url(f"redis://{redis}/0", decode_responses=True) as client:
            yield Site(page, kafka, client, file, demo.child("console"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, which resolves no name except loopback."""
    path = shutil.which(CHROMIUM)
    expect.set_options(timeout=20_000)  # a busy machine is slow
    assert path, "chromium is missing: apt-get install --no-install-recommends chromium"
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium has no sandbox for root
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=path, args=arguments)) as browser,
    ):
        yield browser


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(site: Site, chromium: Browser) -> Iterator[OpenPage]:
    """Open the console as a new user. Fails if a page sends a request to another host or has an error."""
    contexts: list[BrowserContext] = []
    foreign: list[str] = []
    errors: list[str] = []

    def guard(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    def make(url: str = site.url, wait: bool = True, **settings: Any) -> Page:
        context = chromium.new_context(viewport=SIZE, **settings)  # type: ignore[arg-type]
        contexts.append(context)
        context.route("**/*", guard)
        page = context.new_page()
        page.set_default_timeout(60_000)  # there can be no alert for a while
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
        page.goto(url)
        if wait:
            page.wait_for_selector("#list .row")
        return page

    yield make
    for context in contexts:
        context.close()
    assert foreign == []
    assert errors == []


def shown(page: Page) -> list[tuple[str, str]]:
    """Return alert and revision of every row."""
    rows = page.locator("#list .row").evaluate_all(
        "(rows) => rows.map(({ dataset }) => [dataset.alert, dataset.revision])"
    )
    return [(alert, revision) for alert, revision in rows]
