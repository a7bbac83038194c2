"""The incidents of a row: most of them at once, then some during the fault, the rest after it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import stamina
from kafka import KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from tests.integration.worker_process import BEGIN, CENTRE, Deployment, Row, incidents, tick

STEADY, LIVE = "leeds", "york"
"""The two areas. The clock of the first shows the time of its records, so that its alerts can be foretold byte for
byte; the clock of the second is the wall clock."""
NUMBER, DAYS = 320, 12.0
LIVE_DAYS, QUIET_DAYS = 6.0, 0.5
"""Days over which the background of the live area is spread, and days without any before the burst. All of it is in the
window: otherwise the burst is too large a part of what is known, and a scan does not always find it."""
BURST = 40
"""Number of incidents of the burst in the live area: it begins during the fault and ends after it."""
BEFORE, DURING = 0.55, 0.4
"""Shares of the incidents that are sent before the fault and during it."""
DELIVER_S = 900.0
"""Time limit for the delivery of a share, in seconds; no fault lasts as long."""
ACKNOWLEDGE_S = 15.0
"""Time limit for Kafka to acknowledge a record, in seconds, before it is sent again."""


def both_areas() -> list[Row]:
    """Return the incidents of both areas, in turn; the last of the live area are a burst of the last two hours."""
    now = datetime.now(UTC)
    steady = incidents(STEADY, NUMBER, 5, DAYS)
    live = incidents(LIVE, NUMBER - BURST, 7, LIVE_DAYS, now - timedelta(days=LIVE_DAYS + QUIET_DAYS))
    return [row for pair in zip(steady, [*live, *burst(now)], strict=False) for row in pair]


def burst(now: datetime) -> list[Row]:
    """Return incidents at one place of the live area, in the order of their times."""
    rows: list[Row] = []
    for number in range(BURST):
        occurred_at = now - timedelta(minutes=2 + 3 * (BURST - number))
        incident = {
            "id": f"{LIVE}-burst-{number}",
            "occurred_at": occurred_at.isoformat(timespec="milliseconds"),
            "category": "property",
            "longitude": CENTRE[1],
            "latitude": CENTRE[0],
        }
        rows.append((LIVE, json.dumps(incident).encode(), ()))
    return rows


class Feed:
    """Sends the incidents to Kafka and waits for as long as that takes.

    ``site`` has the topic; ``settings`` are those of the producer; ``stamp_shift_s``: how far the arrivals are shifted
    that it claims, or None if the broker stamps them. A fault may change all three.
    """

    def __init__(self, site: Deployment) -> None:
        self.site = site
        self._rows = both_areas()
        self._before = int(BEFORE * len(self._rows))
        self._during = int((BEFORE + DURING) * len(self._rows))
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._pace, name="feed", daemon=True)
        self._over_s = 0.0
        self._hurry = threading.Event()
        self._failure: Exception | None = None
        self._producer: KafkaProducer | None = None
        self._used: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        self.headers: list[tuple[str, bytes]] = []
        self.stamp_shift_s: float | None = None
        self.sent = 0

    def start(self) -> None:
        """Send the first share."""
        self.site.produce(self._rows[: self._before])
        self.sent = self._before

    def pace(self, over_s: float) -> None:
        """Send the second share in the background, spread over this many seconds."""
        self._over_s = over_s
        self._thread.start()

    def repeat(self, records: Sequence[ConsumerRecord]) -> None:
        """Send records of an earlier topic again, with their keys, values and headers. The feed must be paused."""
        self._deliver([(each.key.decode(), each.value, tuple(each.headers)) for each in records])

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Send nothing meanwhile; afterwards go on with the topics of ``site``."""
        with self._sending:
            self._close()
            yield

    def finish(self) -> None:
        """Send what is left, and a tick record that closes the last tick of the steady area."""
        self._hurry.set()
        self._thread.join(DELIVER_S)
        if self._failure is not None or self._thread.is_alive():
            raise RuntimeError(f"the feed was not delivered within {DELIVER_S:g} s") from self._failure
        self._send(self._rows[self._during :])
        self._close_last_tick()
        self._close()

    def _pace(self) -> None:
        rows = self._rows[self._before : self._during]
        try:
            for row in rows:
                self._send([row])
                self._hurry.wait(self._over_s / len(rows))
        except KafkaError as error:
            self._failure = error

    def _send(self, rows: Sequence[Row]) -> None:
        """Send rows in order, all of them again until Kafka has them; those that were there already are duplicates."""
        for attempt in stamina.retry_context(KafkaError, attempts=None, timeout=DELIVER_S, wait_max=1.0):
            with attempt, self._sending:
                self._deliver(rows)
        self.sent += len(rows)

    def _close_last_tick(self) -> None:
        """Send a tick record; one that is sent again announces a later time, or it would leave a tick open."""
        for attempt in stamina.retry_context(KafkaError, attempts=None, timeout=DELIVER_S, wait_max=1.0):
            with attempt:
                self._deliver([tick(STEADY, BEGIN + timedelta(days=DAYS + attempt.num))])
        self.sent += 1

    def _deliver(self, rows: Sequence[Row]) -> None:
        producer, topic = self._opened(), self.site.kafka.topic("incidents")
        stamp = None if self.stamp_shift_s is None else round(1000 * (time.time() + self.stamp_shift_s))
        try:
            futures = [
                producer.send(topic, value, key=area.encode(), headers=[*headers, *self.headers], timestamp_ms=stamp)
                for area, value, headers in rows
            ]
            for future in futures:
                future.get(timeout=ACKNOWLEDGE_S)
        except KafkaError:
            self._close()  # after a broker has died, the library's sender can stop sending for ever
            raise

    def _opened(self) -> KafkaProducer:
        """Return the producer with the settings of now."""
        if self._producer is None or self._used != self.settings:
            self._close()
            arguments = {"bootstrap_servers": self.site.kafka.bootstrap.split(","), "acks": "all"} | self.settings
            self._producer, self._used = KafkaProducer(**arguments), dict(self.settings)
        return self._producer

    def _close(self) -> None:
        if self._producer is not None:
            with contextlib.suppress(KafkaError):
                self._producer.close(timeout=1)
        self._producer = None
