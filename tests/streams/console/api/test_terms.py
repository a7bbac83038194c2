"""The terms of alerts as the page gets them."""

from __future__ import annotations

import re
from importlib.resources import files

import msgspec

from detectors.scan.significance import TIERS
from streams.messages import wording
from tests.streams.console.site import Client

STATIC = files("streams.console").joinpath("static")
SCRIPTS = [each for folder in ("page", "parts", "state") for each in STATIC.joinpath(folder).iterdir()]


def test_the_script_holds_the_terms_and_is_cached(client: Client) -> None:
    found = client.get("/static/terms.js")
    assert (found.status_code, found.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    terms = msgspec.json.decode(found.text.removeprefix("export default ").removesuffix(";\n"))
    assert list(terms["tiers"]) == list(TIERS)
    assert terms["reasons"] == wording.REASONS
    assert terms["feeds"]["silent"]["level"] == "bad"
    known = {"If-None-Match": found.headers["ETag"]}
    assert client.get("/static/terms.js", headers=known).status_code == 304
    assert client.get("/static/terms.js", headers={"If-None-Match": '"another"'}).status_code == 200


def test_no_script_of_the_page_lists_terms() -> None:
    """A single term can decide how something looks; a list would be a second declaration."""
    kinds = (wording.TIERS, wording.STREAMS, wording.STATES, wording.REASONS, wording.NOTICES, wording.FEEDS)
    lines = [(script.name, line) for script in SCRIPTS for line in script.read_text().splitlines()]
    listed = [each for each in lines for kind in kinds if len(set(re.findall(r'"(\w+)"', each[1])) & set(kind)) > 1]
    assert listed == []
