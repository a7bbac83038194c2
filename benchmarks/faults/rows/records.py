"""Records of every kind: compressed, with odd headers, poisoned, and too many."""

from __future__ import annotations

from contextlib import closing

from kafka import KafkaProducer

from benchmarks.faults.fault import fault
from benchmarks.faults.feed import LIVE, STEADY
from benchmarks.faults.stage import Stage
from tests.integration.worker_process import incidents
from tests.streams.brokers.raw_batches import RawName

CODECS = ("gzip", "snappy", "lz4", "zstd")
ODD = [(RawName(b"\xff\xfe"), b"\xff"), (RawName(b""), b""), (RawName(b"\xc3" * 3_000), b"x" * 3_000)]
FLOOD = 100_000
VALUES = (
    b"{",
    b"",
    b"\xff\xfe",
    b"null",
    b"[]",
    b'{"id": 1}',
    b'{"id": "far", "occurred_at": "2024-03-09T00:00:00Z", "category": "x", "longitude": 1e400, "latitude": 0}',
    b'{"id": "late", "occurred_at": "9999-12-31T23:59:59Z", "category": "x", "longitude": 0, "latitude": 0}',
    b'{"id": "deep", "note": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b'{"id": "long", "note": "' + b"x" * 100_000 + b'"}',
    b'{"id": "\\ud800", "occurred_at": "2024-03-09T00:00:00Z"}',
    b'{"occurred_at": "yesterday"}',
    b"\x00" * 1_000,
    b'{"id": "nan", "longitude": NaN}',
    b'{"id": "again", "id": "again", "occurred_at": "2024-02-30T00:00:00Z"}',
)
KEYS = (STEADY.encode(), LIVE.encode(), b"\xff\xfe")


@fault("every codec: gzip, snappy, lz4, zstd")
def codecs(stage: Stage) -> None:
    """The feed's producer changes its codec; batches are of one record."""
    for codec in CODECS:
        stage.feed.settings = {"compression_type": codec}
        stage.hold(stage.form.away_s / 4)
    stage.feed.settings = {}


@fault("odd headers")
def odd_headers(stage: Stage) -> None:
    """Names that are empty, long, or not UTF-8."""
    stage.feed.headers = [*ODD]
    stage.hold(stage.form.away_s / 2)
    stage.feed.headers = []


@fault("45 poison records", rule="HotspotsRecordsRejected")
def poison(stage: Stage) -> None:
    """Fifteen values that are no incidents, for each area and for none."""
    with closing(KafkaProducer(bootstrap_servers=stage.site.kafka.bootstrap, acks="all")) as producer:
        for value in VALUES:
            for key in KEYS:
                producer.send(stage.site.kafka.topic("incidents"), value, key=key).get(timeout=30)
            stage.hold(stage.form.away_s / 2 / len(VALUES))


@fault("flood: 100,000 records of no area, 20,000 repeated ones", rule="HotspotsRecordsUnclaimed")
def flood(stage: Stage) -> None:
    """A stranger's records, which belong to no area, and a sender that repeats all that it has ever sent."""
    sent = incidents(STEADY, 100, 5)
    stranger = [("nowhere", sent[number % len(sent)][1], ()) for number in range(FLOOD)]
    repeated = [sent[number % len(sent)] for number in range(FLOOD // 5)]
    stage.site.produce([*stranger, *repeated], linger_ms=50)
    stage.hold(stage.form.away_s / 2)
