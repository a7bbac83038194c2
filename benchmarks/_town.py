"""A small area beside the city, in the same partition, whose alerts change all the time, however busy the worker is.

It also notes when each of its revisions reached Redis, by the clock of Redis.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import h3
import msgspec
import numpy as np
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from benchmarks._city import history_s
from detectors.area.incident import Category, Incident
from detectors.area.settings import STREAMS
from streams.analyst.incident_file import Row
from streams.analyst.replay import feed
from streams.configuration.kafka import KafkaSettings
from streams.messages.alert import read_alert
from streams.redis_copy.keys import area_key

TOWN = "town"
"""Key that Kafka's partitioner puts in the city's partition, so that its ticks wait in the same queue."""
HISTORY = 4000
LOCATIONS = 3
CELLS = sorted(h3.grid_disk(h3.latlng_to_cell(53.2, -1.5, 10), 12))


class Revision(NamedTuple):
    """One revision of an alert: when it reached Redis and when the last of its new incidents was sent, since 1970."""

    name: str
    written_s: float
    sent_s: float | None


class Town(threading.Thread):
    """Sends the town's history, then incidents at a few locations in turn until it is stopped."""

    def __init__(self, kafka: KafkaSettings, every_s: float) -> None:
        super().__init__(daemon=True)
        self.is_over = threading.Event()
        self.sent: dict[str, float] = {}
        self._kafka = kafka
        self._every_s = every_s
        self._number = 0

    def settings(self, file: Path) -> dict[str, str]:
        """Return the settings of its area; writes its cells into a file."""
        file.write_text("\n".join(CELLS))
        return {"timezone": "Europe/London", "cells_file": str(file)}

    def load(self) -> None:
        """Send its history."""
        chance = np.random.default_rng(3)
        locations = chance.integers(len(CELLS), size=HISTORY).tolist()
        times = history_s(HISTORY, time.time())
        past = zip(times, locations, range(HISTORY), strict=True)
        feed((self._row(time_s, location, STREAMS[number % 4]) for time_s, location, number in past), self._kafka)

    def run(self) -> None:
        """Send live incidents at their times."""
        feed(self._live(), self._kafka, speed=1.0, on_sent=self._note)

    def _note(self, row: Row) -> None:
        self.sent[msgspec.json.decode(row.value, type=Incident).id] = time.time()

    def _live(self) -> Iterator[Row]:
        begin_s = time.time()
        for turn in itertools.count():
            number = turn % LOCATIONS
            yield self._row(begin_s + turn * self._every_s, 7 * number, STREAMS[number])
            if self.is_over.is_set():
                return

    def _row(self, time_s: float, location: int, category: str) -> Row:
        latitude, longitude = h3.cell_to_latlng(CELLS[location])
        self._number += 1
        incident = Incident(
            id=f"{TOWN}-{self._number}",
            occurred_at=datetime.fromtimestamp(time_s, UTC),
            category=Category(category),
            longitude=longitude,
            latitude=latitude,
        )
        return Row(TOWN.encode(), msgspec.json.encode(incident), time_s)


class Written(threading.Thread):
    """Notes each revision with the time that Redis gives to the command, however late this thread runs."""

    def __init__(self, url: str, town: Town) -> None:
        super().__init__(daemon=True)
        self.revisions: list[Revision] = []
        self._redis = Redis.from_url(url, socket_timeout=None)
        self._town = town

    def run(self) -> None:
        """Watch until Redis ends."""
        with suppress(RedisConnectionError):
            self._watch()

    def _watch(self) -> None:
        stream = area_key(TOWN, "alerts")
        with self._redis.monitor() as monitor:  # type: ignore[no-untyped-call]
            for seen in monitor.listen():
                words = seen["command"].split(" ", 3)
                if words[0].upper() == "XADD" and words[1] == stream:
                    # The library's types leave the result open, since it depends on the connection.
                    [(_, fields)] = cast(list[Any], self._redis.xrange(stream, words[2], words[2]))
                    self.revisions.append(self._revision(fields, seen["time"]))

    def _revision(self, fields: dict[bytes, bytes], written_s: float) -> Revision:
        alert = read_alert(fields[b"event"]).data.properties
        sent = [self._town.sent[each] for each in alert.new_members if each in self._town.sent]
        return Revision(f"{alert.id} {alert.revision}", written_s, max(sent, default=None))
