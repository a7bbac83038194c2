"""What a drill reads at its stations, a stranger's records among it."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from kafka import TopicPartition

from streams.configuration.kafka import Topic
from streams.drill import stations
from streams.drill.stations import Published, SignIn, Stations
from streams.messages.alert import read_alert
from tests.streams.brokers.kept_log import KeptLog, kept
from tests.streams.console.site import configured
from tests.streams.messages.alert_events import event

STRANGE = [b"", None, b"{", b"\xff", b"[" * 100_000, b"[]", b"{}"]
IDS = frozenset("ijk")
ALERT = Published(0, read_alert(event("a")).data.properties)


def looking_at(monkeypatch: pytest.MonkeyPatch, topic: Topic, *values: bytes | None) -> Stations:
    """Stations at which a topic has got these values since the drill began."""
    configuration = configured("redis://127.0.0.1:1/0", "leeds")
    at = TopicPartition(configuration.kafka.topic(topic), 0)
    log = KeptLog(at)
    monkeypatch.setattr(stations, "KafkaConsumer", lambda **_: log)
    monkeypatch.setattr(stations, "partition_of", lambda *_: 0)
    found = Stations(configuration, "leeds", "http://127.0.0.1:1", SignIn("ann", "secret"))
    log.records = [kept(at, offset, b"leeds", value) for offset, value in enumerate(values)]
    log.end = len(values)
    return found


def test_an_alert_is_found_between_a_strangers_records(monkeypatch: pytest.MonkeyPatch) -> None:
    found = looking_at(monkeypatch, "alerts", *STRANGE, event("a"), *STRANGE).published(IDS)
    assert [each.offset for each in found] == [len(STRANGE)]


def test_why_the_webhook_gave_up_is_found_between_a_strangers_records(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = b'{"reason":"refused","detail":"HTTP 400","more":1}'
    assert looking_at(monkeypatch, "undelivered", *STRANGE).undelivered() is None
    assert looking_at(monkeypatch, "undelivered", *STRANGE, letter).undelivered() == "refused: HTTP 400"


@pytest.mark.parametrize("content", [each for each in STRANGE if each is not None] + [b'{"csrf":1}', b"<html>"])
def test_another_program_at_the_consoles_address_is_no_console(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    def client(**arguments: Any) -> httpx.Client:
        return plain(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=content)), **arguments)

    plain = httpx.Client
    monkeypatch.setattr(httpx, "Client", client)
    with pytest.raises(msgspec.DecodeError):
        looking_at(monkeypatch, "alerts").page_status(ALERT)
