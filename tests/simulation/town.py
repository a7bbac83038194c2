"""Three small areas, and what their feeds send in a day: a thin background, bursts that open alerts, odd records."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import h3
import msgspec

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings, TierSettings
from streams.areas.area import Area
from streams.configuration.area import AreaTable
from streams.configuration.kafka import KafkaSettings
from streams.configuration.load import Configuration
from streams.configuration.services import RedisSettings, WebhookSettings, WorkerSettings
from streams.messages.records import partition_of

PARTITIONS = 2
CELLS = tuple(sorted(h3.grid_disk(h3.latlng_to_cell(53.80, -1.55, 10), 3)))
POINTS = tuple(h3.cell_to_latlng(cell) for cell in CELLS)
BEGIN_S = 1_709_510_400.0
"""Monday, 4 March 2024, 00:00 UTC: the first of the days before the one that is simulated."""
DAY_S = 86_400.0
PAST_DAYS = 7
CATEGORIES = ("violence", "property", "drugs")
CLOCKS: dict[str, Literal["wall", "watermark"]] = {"leeds": "wall", "york": "watermark", "hull": "wall"}
"""The areas and their clocks; two share a partition."""
BAYESIAN = ("york", "hull")
"""The areas that are scanned by Bayes factors, one on each clock."""
DAILY = {"leeds": 20, "york": 16, "hull": 5}
"""Incidents of a day."""


class Sending(NamedTuple):
    """A record that a feed sends at a time."""

    at_s: float
    area: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def settings(area: str) -> AreaSettings:
    """Return settings with a window of a week, under which a burst opens an alert and an hour's quiet ends it."""
    return AreaSettings(
        clock=CLOCKS[area],
        statistic="bayes" if area in BAYESIAN else "permutation",
        window_days=7,
        min_baseline_days=3,
        durations_h=(3,),
        max_radius_m=200,
        replications=99,
        end_after_h=2,
        cool_down_h=4,
        tiers=TierSettings(watch=1.0, advisory=4.0, alert=20.0, urgent=100.0),
    )


def areas() -> dict[str, Area]:
    """Return the areas."""
    return {name: Area.of(name, settings(name), Locations.from_cells(CELLS)) for name in CLOCKS}


def configuration(instance: str, redis_url: str) -> Configuration:
    """Return the configuration of a worker."""
    return Configuration(
        kafka=KafkaSettings(partitions=PARTITIONS, group="hotspots"),
        redis=RedisSettings(url=redis_url),
        worker=WorkerSettings(instance_id=instance),
        webhook=WebhookSettings(url="http://tool.example/hook"),
        areas={name: AreaTable(**msgspec.structs.asdict(settings(name))) for name in CLOCKS},
    )


def home(area: str) -> int:
    """Return the partition of an area."""
    return partition_of(area.encode(), PARTITIONS)


def incident(id_: str, at_s: float, place: int, category: str, **more: Any) -> bytes:
    """Return the value of an incident's record."""
    latitude, longitude = POINTS[place]
    fields = {
        "id": id_,
        "occurred_at": time(at_s),
        "category": category,
        "longitude": round(longitude, 6),
        "latitude": round(latitude, 6),
    }
    return msgspec.json.encode(fields | more)


def time(at_s: float) -> str:
    """Return a moment as RFC 3339 has it."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


def day(chance: random.Random, name: str, begin_s: float, daily: int, bursts: int) -> list[Sending]:
    """Return what the feed of an area sends in a day, in order of time."""
    prefix = f"{name}-{int(begin_s // DAY_S)}"
    made: list[Sending] = []

    def send(at_s: float, value: bytes | None, key: bytes | None = name.encode(), **more: Any) -> None:
        made.append(Sending(at_s, name, key, value, **more))

    moments = [(chance.uniform(0, DAY_S - 1800), chance.randrange(len(CELLS)), "") for _ in range(daily)]
    for _ in range(bursts):
        at_s, place, category = chance.uniform(0, DAY_S - 7200), chance.randrange(len(CELLS)), chance.choice(CATEGORIES)
        moments += [(at_s + chance.uniform(0, 5400), place, category) for _ in range(chance.randint(4, 6))]
    for number, (after_s, place, category) in enumerate(sorted(moments)):
        at_s = begin_s + after_s
        delay_s = chance.choice([0.5, 1.0, 5.0, 60.0, 600.0]) if chance.random() < 0.8 else chance.uniform(0, 4 * 3600)
        category = category or chance.choice(CATEGORIES)
        id_ = f"{prefix}-{number}"
        send(at_s, incident(id_, at_s - delay_s, place, category, revision=0))
        later_s = at_s + chance.uniform(1, 3 * 3600)
        kind = chance.random()
        if later_s >= begin_s + DAY_S - 1800:
            continue
        if kind < 0.05:
            send(later_s, incident(id_, at_s - delay_s, chance.randrange(len(CELLS)), category, revision=1))
        elif kind < 0.08:
            send(later_s, msgspec.json.encode({"id": id_, "status": "cancelled"}))
        elif kind < 0.10:
            send(later_s, incident(id_, at_s - delay_s, place, category, revision=0))  # sent twice
        elif kind < 0.11:
            send(later_s, b"{")
        elif kind < 0.12:
            send(later_s, incident(id_ + "x", at_s, place, category), b"nowhere")
    if CLOCKS[name] == "watermark":
        for hour in range(1, 25):
            at_s = begin_s + hour * 3600 - 20
            send(at_s, b"", headers=(("tick", time(at_s).encode()),))
    made.sort(key=lambda each: each.at_s)
    return made
