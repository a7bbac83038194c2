"""The examples of the page on reading alerts, on a real Valkey and a real console."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from streams.redis_copy.keys import area_key
from tests.conftest import GivenValkey
from tests.integration.worker_process import until
from tests.streams.console.site import Feed, alert, configured, new_area, serving

ROOT = Path(__file__).parents[3]
LINES = re.findall(r"^(?:redis-cli|curl) .*$", (ROOT / "docs" / "how-to" / "read-alerts.md").read_text(), re.MULTILINE)
ENDLESS = [line for line in LINES if re.search("SUBSCRIBE|XREAD|-N", line)]
SHOWN = "7fa07be1fe6fc33edb57cd6d8a5ac2ea"


def of_tool(tool: str, lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(tool)]


@pytest.fixture
def feed(valkey: GivenValkey) -> Iterator[Feed]:
    made = Feed(valkey.url)
    yield made
    made.close()


def put(feed: Feed, area: str, revision: int) -> None:
    feed.put(alert(1, area, id=SHOWN, revision=revision, longitude=-1.5491, latitude=53.7997))


def keep_on(feed: Feed, area: str, begin: int, ask: Callable[[], bool]) -> None:
    """Put one revision after the other, until ``ask`` is true."""
    for revision in range(begin, begin + 40):
        put(feed, area, revision)
        time.sleep(0.25)
        if ask():
            return
    raise AssertionError("nothing came")


def run(line: str, is_endless: bool, feed: Feed, area: str, begin: int, folder: Path) -> str:
    """The output of a line of shell; an endless one is killed once it has printed the alert."""
    output = folder / "output"
    with output.open("w") as file:
        process = subprocess.Popen(["bash", "-c", f"exec {line}" if "|" not in line else line], stdout=file)
        try:
            if is_endless:
                keep_on(feed, area, begin, lambda: SHOWN in output.read_text())
            else:
                assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
    return output.read_text()


def test_a_control_room_that_crashes_finishes_what_it_had_begun(
    valkey: GivenValkey, feed: Feed, tmp_path: Path
) -> None:
    area, output = new_area(), tmp_path / "output"
    example = [sys.executable, str(ROOT / "docs" / "examples" / "control_room.py"), valkey.url, area, "desk-1"]
    with Redis.from_url(valkey.url) as redis, output.open("w") as file:
        stream, group = area_key(area, "alerts"), "control-room"
        redis.xgroup_create(stream, group, mkstream=True)
        for number in (1, 2):
            feed.put(alert(number, area))
        redis.xreadgroup(group, "desk-1", {stream: ">"}, count=1)  # taken by a consumer that then crashed
        process = subprocess.Popen(example, stdout=file)
        try:
            feed.put(alert(3, area, notice=""))
            feed.put(alert(4, area, tier="urgent"))
            until(lambda: output.read_text().count("\n") == 3, "it has printed all that matters", 20)
            until(lambda: redis.xpending(stream, group)["pending"] == 0, "all is acknowledged", 5)
        finally:
            process.kill()
            process.wait()
    printed = [line.split() for line in output.read_text().splitlines()]
    assert [(words[1], int(words[-1], 16)) for words in printed] == [("alert", 1), ("alert", 2), ("urgent", 4)]


@pytest.mark.debian
@pytest.mark.parametrize("line", of_tool("redis-cli", LINES))
def test_redis_cli(line: str, valkey: GivenValkey, feed: Feed, tmp_path: Path) -> None:
    area = new_area()
    put(feed, area, 1)
    feed.beat(area)
    here = line.replace("redis-cli", f"redis-cli -u {valkey.url}").replace("{leeds}", f"{{{area}}}")
    printed = run(here, line in ENDLESS, feed, area, 2, tmp_path)
    assert ("feed" if ":health" in line else SHOWN) in printed


@pytest.mark.parametrize("line", of_tool("curl", LINES))
def test_curl(line: str, valkey: GivenValkey, feed: Feed, tmp_path: Path) -> None:
    area = new_area()
    with serving(configured(valkey.url, area)) as console:
        put(feed, area, 1)
        put(feed, area, 2)
        here = line.replace("http://127.0.0.1:8080", str(console.base_url).rstrip("/")).replace("leeds", area)
        printed = run(here.replace("curl", "curl --silent --fail", 1), line in ENDLESS, feed, area, 3, tmp_path)
        assert SHOWN in printed
        if "Last-Event-ID" in line:  # it gets what came after that event, not only new changes
            assert re.search(r'"revision": ?2\b', printed)


def test_the_page_shows_every_way() -> None:
    assert len(of_tool("redis-cli", LINES)) >= 6
    assert len(of_tool("curl", LINES)) == 3
    assert len(ENDLESS) == 4
