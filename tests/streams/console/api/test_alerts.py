"""What the API returns, against the alerts that were put into Redis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, get_args

import h3
import msgspec
import pytest
from redis import Redis

from detectors.alerts.alert import Alert
from streams.areas.health import FeedState
from streams.messages.alert import AlertFeature
from streams.messages.explanation import paragraph
from streams.redis_copy.keys import area_key
from tests.streams.console.site import CELL, LATITUDE, LONGITUDE, START_S, Client, Feed, alert

TIERS = ["watch", "advisory", "alert", "urgent"]
STREAMS = ["violence", "property", "drugs", "disorder", "all"]
STATES = ["open", "escalated", "easing", "ended", "withdrawn"]
OPEN = ("open", "escalated", "easing")


def rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def ids(client: Client, **query: Any) -> list[str]:
    response = client.get("/api/alerts", params=query)
    assert response.status_code == 200, response.text
    assert response.json()["type"] == "FeatureCollection"
    return [feature["id"] for feature in response.json()["features"]]


@pytest.fixture
def city(feed: Feed, areas: tuple[str, str]) -> list[Alert]:
    """Forty alerts that differ in everything a filter reads, each with two revisions, of which the second counts."""
    alerts = [
        alert(
            number,
            areas[number % 2],
            revision=2,
            tier=TIERS[number // 2 % 4],
            stream=STREAMS[number % 5],
            state=STATES[number // 3 % 5],
            longitude=LONGITUDE + number / 100,
        )
        for number in range(40)
    ]
    for each in alerts:
        feed.put(alert(int(each.id, 16), each.area, tick_s=each.tick_s - 7, stream=each.stream))
        feed.put(each)
    return alerts


BOX = f"{LONGITUDE - 0.001},{LATITUDE - 1},{LONGITUDE + 0.205},{LATITUDE + 1}"


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({}, lambda each: each.state in OPEN),
        ({"state": "open"}, lambda each: each.state == "open"),
        ({"state": ["easing", "ended"]}, lambda each: each.state in ("easing", "ended")),
        ({"tier": ["alert", "urgent"]}, lambda each: each.state in OPEN and each.tier in ("alert", "urgent")),
        ({"category": "all"}, lambda each: each.state in OPEN and each.stream == "all"),
        ({"bbox": BOX}, lambda each: each.state in OPEN and int(each.id, 16) <= 20),
        ({"bbox": "179,-90,-179,90"}, lambda each: False),
        ({"bbox": "1,-90,-1,90"}, lambda each: each.state in OPEN and abs(each.figures.longitude) >= 1),
        ({"since": rfc3339(START_S + 60 * 17)}, lambda each: each.tick_s >= START_S + 60 * 17),
        (
            {"since": rfc3339(START_S + 60 * 17), "state": "withdrawn", "tier": "watch"},
            lambda each: each.tick_s >= START_S + 60 * 17 and each.state == "withdrawn" and each.tier == "watch",
        ),
    ],
)
def test_filters(client: Client, city: list[Alert], query: dict[str, Any], matches: Any) -> None:
    right = {each.id for each in city if matches(each)}
    assert set(ids(client, **query)) == right


def test_areas(client: Client, city: list[Alert], areas: tuple[str, str]) -> None:
    assert set(ids(client, area=areas[1])) == {e.id for e in city if e.area == areas[1] and e.state in OPEN}
    assert set(ids(client, area=areas)) == set(ids(client))
    assert client.get("/api/alerts", params={"area": "nowhere"}).status_code == 404


def test_the_highest_tier_comes_first_and_ended_alerts_last(client: Client, city: list[Alert]) -> None:
    by_id = {each.id: each for each in city}
    listed = [by_id[each] for each in ids(client, state=STATES)]
    live = [each for each in listed if each.state in OPEN]
    over = listed[len(live) :]
    assert live == sorted(live, key=lambda each: (-TIERS.index(each.tier), -each.figures.recurrence_interval_days))
    assert over == sorted(over, key=lambda each: -each.tick_s)
    assert ids(client, state=STATES, limit=7) == [each.id for each in listed[:7]]


@pytest.mark.parametrize(
    "query",
    [
        {"state": "asleep"},
        {"tier": "red"},
        {"category": "other"},
        {"bbox": "1,2,3"},
        {"bbox": "1,2,3,x"},
        {"bbox": "1,2,3,٤"},
        {"since": "yesterday"},
        {"since": "2026-01-01"},
        {"since": "2026-01-01T00:00:00"},
        {"since": "0"},
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"colour": "red"},
        {"area": "x" * 65},
        {"area": ["x"] * 101},
    ],
)
def test_an_invalid_filter_is_refused(client: Client, query: dict[str, Any]) -> None:
    response = client.get("/api/alerts", params=query)
    assert response.status_code == 422
    assert next(iter(query)) in response.json()["detail"]


def test_a_feature_has_the_properties_of_the_event(
    client: Client, feed: Feed, areas: tuple[str, str], valkey: Any
) -> None:
    """Also those of newer workers."""
    feed.put(alert(1, areas[0]), delayed=True)
    key = area_key(areas[0], f"alert:{1:032x}")
    with Redis.from_url(valkey.url) as redis:
        event = msgspec.json.decode(redis.hget(key, "event"))
        event["data"]["properties"]["trend"] = [0] * 14
        redis.hset(key, "event", msgspec.json.encode(event))
    (feature,) = client.get("/api/alerts").json()["features"]
    assert feature["properties"].pop("delayed") is True
    assert feature["properties"].pop("recurrence_interval") == "401 days"
    assert feature["properties"].pop("by_chance") == "by chance once in 401 days (nominal)"
    assert feature == event["data"]


def test_the_card(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    members = ("1-0", "1-1", "1-2")
    feed.put(alert(1, areas[0], split_from=f"{7:032x}"))
    feed.put(alert(2, areas[0], stream="all", members=(*members[1:], "other")))
    feed.put(alert(3, areas[0]))
    feed.put(alert(4, areas[1], members=members))  # equal ids in another area are other incidents
    card = client.get(f"/api/alerts/{1:032x}").json()
    assert card["related"] == [f"{2:032x}", f"{7:032x}"]
    place = card["alert"]["properties"].get("place", "")
    assert card["explanation"] == paragraph(msgspec.convert(card["alert"], AlertFeature), place)
    cells = card["cells"]["features"]
    assert [cell["properties"] for cell in cells] == [{"id": each} for each in h3.grid_disk(CELL, 1)]
    for cell in cells:
        (ring,) = cell["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        corners = h3.cell_to_boundary(cell["properties"]["id"])
        assert [tuple(corner) for corner in ring[:-1]] == [(round(x, 6), round(y, 6)) for y, x in corners]


def test_revisions_come_oldest_first(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    for revision in range(1, 6):
        feed.put(alert(1, areas[0], revision=revision, tick_s=START_S + revision))
    features = client.get(f"/api/alerts/{1:032x}/revisions").json()["features"]
    assert [feature["properties"]["revision"] for feature in features] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("path", ["", "/revisions"])
def test_an_unknown_alert(client: Client, path: str) -> None:
    assert client.get(f"/api/alerts/{5:032x}{path}").status_code == 404
    assert client.get(f"/api/alerts/nonsense{path}").status_code == 422


def test_the_shift(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    """Each alert has states before and after the requested time."""
    lives = {
        1: (["open"], []),
        2: (["open"], ["open"]),
        3: ([], ["open"]),
        4: ([], ["open", "ended"]),
        5: (["open"], ["easing", "withdrawn"]),
        6: (["open", "ended"], []),
        7: ([], ["open", "escalated"]),
    }
    since_s = START_S + 1000
    revisions = dict.fromkeys(lives, 0)
    for tick_s, part in ((since_s - 1, 0), (since_s, 1)):
        for number, life in lives.items():
            for state in life[part]:
                revisions[number] += 1
                feed.put(alert(number, areas[0], revision=revisions[number], state=state, tick_s=tick_s))
    shift = client.get("/api/shift", params={"since": rfc3339(since_s), "area": areas[0]}).json()
    groups = {name: {int(each["id"], 16) for each in shift[name]} for name in ("opened", "changed", "ended")}
    assert groups == {"opened": {3, 4, 7}, "changed": {2}, "ended": {4, 5}}
    assert all(each["properties"]["revision"] == revisions[int(each["id"], 16)] for each in shift["opened"])
    assert datetime.fromisoformat(shift["since"]).timestamp() == since_s
    assert client.get("/api/shift").status_code == 422


def test_health_shows_dead_and_living_workers(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    feed.beat(areas[0])
    feed.beat(areas[1], datetime.now(UTC) - timedelta(seconds=31))
    health = client.get("/api/health").json()
    assert health["redis"] is True
    found = {each["area"]: each for each in health["areas"]}
    assert [found[area]["worker"] for area in areas] == ["alive", "dead"]
    assert found[areas[0]]["seconds"] < 10 < 31 <= found[areas[1]]["seconds"]
    assert found[areas[0]]["lag"] == 7 and found[areas[0]]["feed"] == "healthy"
    assert datetime.fromisoformat(found[areas[0]]["last_record"]).timestamp() == START_S + 0.5
    assert "last_scan" not in found[areas[0]]


def test_no_clock_but_that_of_redis_says_whether_a_worker_lives(
    client: Client, feed: Feed, areas: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(hours=1)

    feed.beat(areas[0])
    feed.beat(areas[1], datetime.now(UTC) - timedelta(seconds=31))
    monkeypatch.setattr("streams.console.data.health.datetime", Ahead)  # the console's clock
    health = client.get("/api/health").json()
    assert datetime.fromisoformat(health["time"]) > datetime.now(UTC) + timedelta(minutes=59)
    assert [each["worker"] for each in health["areas"]] == ["alive", "dead"]


@pytest.mark.parametrize("state", get_args(FeedState))
def test_every_state_of_a_feed_is_shown(client: Client, feed: Feed, areas: tuple[str, str], state: FeedState) -> None:
    feed.beat(areas[0], feed=state)
    found = client.get("/api/health").json()["areas"][0]
    assert (found["worker"], found["feed"]) == ("alive", state)


def test_each_silent_part_is_a_line_and_none_is_no_field(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    lines = (
        "no drugs since 3 May 14:10: 0 in 12 h, 9.3 usual",
        "no incidents from the north-west since 3 May 15:00: 0",
    )
    feed.beat(areas[0], silent_parts=lines)
    feed.beat(areas[1])
    found = client.get("/api/health").json()["areas"]
    assert found[0]["silent_parts"] == list(lines)
    assert "silent_parts" not in found[1]


def test_an_area_without_a_heartbeat_is_dead(client: Client, areas: tuple[str, str]) -> None:
    found = client.get("/api/health").json()["areas"]
    assert found == [{"area": area, "worker": "dead"} for area in areas]


def test_what_is_usual(client: Client, areas: tuple[str, str], valkey: Any) -> None:
    written = {"written_at": "2026-01-01T00:00:00Z", "resolution": 10, "days": 14, "cells": {CELL: 30}}
    own = written | {"resolution": None, "cells": {"gate": 7}, "places": {"gate": [-1.5, 53.5]}}
    assert client.get("/api/usual", params={"area": areas[0]}).status_code == 404
    with Redis.from_url(valkey.url) as redis:
        redis.set(area_key(areas[0], "usual"), msgspec.json.encode(written))
        redis.set(area_key(areas[1], "usual"), msgspec.json.encode(own))
    (cell,) = client.get("/api/usual", params={"area": areas[0]}).json()["features"]
    assert cell["properties"] == {"id": CELL, "count": 30, "per_week": 15.0}
    assert cell["geometry"]["type"] == "Polygon"
    (place,) = client.get("/api/usual", params={"area": areas[1]}).json()["features"]
    assert place["geometry"] == {"type": "Point", "coordinates": [-1.5, 53.5]}
    assert client.get("/api/usual").status_code == 404  # there are two areas
    with Redis.from_url(valkey.url) as redis:
        redis.set(area_key(areas[0], "usual"), msgspec.json.encode(written | {"cells": {CELL: 31}}))
    (cell,) = client.get("/api/usual", params={"area": areas[0]}).json()["features"]
    assert cell["properties"]["count"] == 31


def test_a_key_of_another_type_is_left_out(client: Client, feed: Feed, areas: tuple[str, str], valkey: Any) -> None:
    """It hides neither the alerts of other areas nor those of its own, and the console stays healthy."""
    feed.put(alert(1, areas[0]))
    feed.put(alert(2, areas[0]))
    feed.put(alert(3, areas[1]))
    names = ("alerts", "health", "usual", f"alert:{1:032x}", f"alert:{2:032x}:revisions")
    with Redis.from_url(valkey.url) as redis:
        for name in names:
            key = area_key(areas[0], name)
            redis.delete(key)
            redis.lpush(key, "x")
        found = [each["id"] for each in client.get("/api/alerts").json()["features"]]
        assert sorted(found) == [f"{2:032x}", f"{3:032x}"]
        assert client.get(f"/api/alerts/{2:032x}").status_code == 200
        assert client.get(f"/api/alerts/{1:032x}").status_code == 404
        health = client.get("/api/health").json()
        assert health["redis"] is True
        assert {each["area"]: each["worker"] for each in health["areas"]}[areas[0]] == "dead"
        redis.delete(area_key(areas[0], "open"))
        redis.lpush(area_key(areas[0], "open"), "x")
        assert [each["id"] for each in client.get("/api/alerts").json()["features"]] == [f"{3:032x}"]
        assert client.get("/healthz").status_code == 200
