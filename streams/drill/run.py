"""A drill from its first record to the end of its alert, with the time at each station."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TypeVar

import httpx
import msgspec
from redis import RedisError

from streams.analyst.incident_file import Row
from streams.analyst.replay import feed
from streams.areas.area import Area
from streams.areas.configured import configured_areas
from streams.configuration.load import Configuration
from streams.configuration.reader import ConfigurationError
from streams.drill.invented import invented
from streams.drill.stations import SignIn, Stations
from streams.messages.scan import ScanRecord

POLL_S = 0.1
"""Interval between two checks of a station, in seconds."""

T = TypeVar("T")


class Passed(msgspec.Struct, frozen=True):
    """A station that the drill has passed: its name, the seconds since the cluster was sent, and a detail."""

    station: str
    seconds: float
    detail: str


class Stopped(Exception):
    """The drill stopped at ``station``. The message gives the reason."""

    def __init__(self, station: str, reason: str) -> None:
        super().__init__(f"stopped at {station}: {reason}")
        self.station = station


def drill(
    configuration: Configuration, name: str, console_url: str, sign_in: SignIn | None, limit_s: float
) -> Iterator[Passed]:
    """Send a cluster to an area and yield each station that it passes; ``limit_s``: seconds for each.

    ``console_url``: address of the console; empty to leave it out. The webhook is left out if it has no ``url``.

    Raises:
        Stopped: The drill stopped at a station.
        ConfigurationError: The area is not for exercises, or cannot be used.
        FeedError: Kafka did not take a record.
        KafkaError: Kafka cannot be reached, or a topic is missing.
    """
    if not configuration.areas[name].exercise:
        raise ConfigurationError(f"areas.{name}.exercise = false: must be true; a drill never enters a real area")
    area = configured_areas({name: configuration.areas[name]})[name]
    with closing(Stations(configuration, name, console_url, sign_in)) as stations:
        yield from _Drill(configuration, area, stations, limit_s).run(has_page=bool(console_url))


class _Drill:
    def __init__(self, configuration: Configuration, area: Area, stations: Stations, limit_s: float) -> None:
        self._configuration, self._area, self._stations, self._limit_s = configuration, area, stations, limit_s
        self._sent_s = 0.0

    def run(self, has_page: bool) -> Iterator[Passed]:
        stations = self._stations
        before = stations.scan()
        rows = invented(
            self._area.name, self._area.locations, time.time(), before.checkpoint.clock_s if before else None
        )
        last = self._send(rows.background)
        record = self._until("background", "no worker has put it on record", lambda: self._on_record(last))
        if record.configuration != self._area.configuration_id:
            raise Stopped("background", "the worker has another configuration of the area: give both the same file")
        self._sent_s = time.monotonic()
        yield self._passed("background", f"{len(rows.background)} records are on record, as an exercise")
        last = self._send(rows.cluster)
        yield self._passed("incidents", f"{len(rows.cluster)} records are in Kafka")
        self._until("scan", "the cluster is not on record", lambda: self._on_record(last))
        yield self._passed("scan", "the cluster is on record")
        alerts = self._until("alert", "no alert has its incidents", lambda: stations.published(rows.ids))
        alert = max(alerts, key=lambda each: each.offset)  # what has the last has them all
        if alert.alert.status != "exercise":
            raise Stopped("alert", f"alert {alert.alert.id} is not marked as an exercise")
        yield self._passed("alert", f"alert {alert.alert.id}, tier {alert.alert.tier}")
        self._until("redis", "Redis does not have the alert", lambda: stations.redis_has(alert))
        yield self._passed("redis", "Redis has the alert")
        if has_page:
            status = self._until("page", "the console does not show the alert", lambda: stations.page_status(alert))
            if status != "exercise":
                raise Stopped("page", f"the console shows the alert as {status}, not as an exercise")
            yield self._passed("page", "the console shows it, as an exercise")
        if self._configuration.webhook.url:
            self._until("webhook", "it is not delivered", lambda: stations.webhook_passed(alert))
            if reason := stations.undelivered():
                raise Stopped("webhook", f"the on-call tool did not accept the notification ({reason})")
            yield self._passed("webhook", "the on-call tool has taken it")
        self._send(rows.quiet)
        self._until("end", "its alerts have not ended", lambda: stations.has_ended(rows.ids))
        yield self._passed("end", "its alerts have ended")

    def _send(self, rows: list[Row]) -> int:
        """Send rows; return the offset of the last."""
        written: defaultdict[int, int] = defaultdict(int)

        def on_written(partition: int, offset: int) -> None:
            written[partition] = max(written[partition], offset)

        feed(rows, self._configuration.kafka, on_written=on_written)
        return max(written.values())

    def _on_record(self, offset: int) -> ScanRecord | None:
        """Return the area's last scan record if it covers an offset."""
        record = self._stations.scan()
        return record if record is not None and record.next_offset > offset else None

    def _until(self, station: str, lack: str, ask: Callable[[], T | None]) -> T:
        """Return the first true result of ``ask``. If there is none in time, raise Stopped with the reason."""
        ends_s = time.monotonic() + self._limit_s
        while True:
            reason = lack
            try:
                if found := ask():
                    return found
            except (RedisError, httpx.HTTPError, msgspec.DecodeError) as error:
                reason = f"{lack} ({error})"
            if time.monotonic() > ends_s:
                raise Stopped(station, f"{reason} after {self._limit_s:g} s")
            time.sleep(POLL_S)

    def _passed(self, station: str, detail: str) -> Passed:
        return Passed(station, round(time.monotonic() - self._sent_s, 3), detail)
