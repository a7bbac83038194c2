"""Generated requests: every HTTP response must be one that the OpenAPI document describes.

The event stream never ends, so it has its own tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from streams.configuration.console import LayerSettings
from streams.console import users
from streams.console.users import password_line
from streams.redis_copy.keys import area_key
from tests.streams.console.api.test_session import Sent
from tests.streams.console.known_alerts import KNOWN, LAYER
from tests.streams.console.site import CELL, Client, Feed, alert, configured, serving

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def described(valkey: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A console with a signed-in user, open and ended alerts, a layer, and no Kafka."""
    folder: Path = tmp_path_factory.mktemp("described")
    (folder / "users").write_text(password_line("ann", "operator", "correct horse"))
    (folder / "streets.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    layer = LayerSettings(name=LAYER, file=str(folder / "streets.geojson"))
    area = "described"
    feed = Feed(valkey.url)
    for number in range(KNOWN):
        feed.put(alert(number, area, state="ended" if number % 3 == 2 else "open"))
    feed.beat(area)
    with Redis.from_url(valkey.url) as redis:
        redis.set(area_key(area, "usual"), f'{{"resolution": 10, "days": 7, "cells": {{"{CELL}": 3}}}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "FAILED_S", 0.0)
        settings: dict[str, Any] = {"password_file": str(folder / "users"), "layers": (layer,)}
        with serving(configured(valkey.url, area, **settings)) as client:
            patch.setattr(client.app.state.console, "responder", Sent())
            client.sign_in("ann", "correct horse")
            yield client
    feed.close()


def run(client: Client, folder: Path, *options: str) -> int:
    """Run Schemathesis as the signed-in user with every check. Return its number of cases."""
    token = client.get("/api/session").json()["csrf"]
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{client.base_url}/openapi.json"]
    command += ["--checks", "all", "--seed", "1", "--generation-deterministic", "--no-color", "--max-failures", "5"]
    command += ["--generation-with-security-parameters", "false"]  # the cookie is given below
    command += ["--exclude-path", "/api/stream", "--header", f"X-CSRF-Token: {token}", "--header", f"Cookie: {cookies}"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.streams.console.known_alerts"}
    result = subprocess.run(
        [*command, *options],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = re.search(r"([\d,]+) generated", result.stdout)
    assert found is not None, result.stdout
    return int(found[1].replace(",", ""))


def test_every_http_response_is_as_described(described: Client, tmp_path: Path) -> None:
    assert run(described, tmp_path, "--max-examples", "8", "--phases", "fuzzing") >= 100


@pytest.mark.long
def test_two_thousand_http_responses_are_as_described(described: Client, tmp_path: Path) -> None:
    assert run(described, tmp_path, "--max-examples", "180") >= 2000
