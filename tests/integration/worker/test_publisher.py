"""Transactions on a network that delays, repeats and reorders requests: each is seen whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from kafka.errors import InvalidProducerEpochError, InvalidTxnStateError, ProducerFencedError

from streams.worker.consumer import DONE
from streams.worker.engine.outgoing import OutgoingRecord
from streams.worker.engine.publisher import Publisher
from tests.integration.wire_proxy import END_TXN, PRODUCE, ProxiedKafka, WireProxy, bad_network
from tests.integration.worker_process import BEGIN, Site, WorkerProcess, incidents, tick, until

REFUSALS = {ProducerFencedError.errno, InvalidProducerEpochError.errno, InvalidTxnStateError.errno}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedKafka]:
    with ProxiedKafka(tmp_path_factory.mktemp("proxied")) as broker:
        yield broker


def half_written(site: Site, publisher: Publisher, proxy: WireProxy) -> tuple[int, list[bytes]]:
    """Commit a tick, repeat its ``EndTxn`` when the next one is half written; return the answer, and what is seen."""
    alerts, scans = (site.kafka.topic(topic) for topic in ("alerts", "scans"))
    publisher.commit([OutgoingRecord(alerts, b"a", b"alert 1"), OutgoingRecord(scans, b"a", b"scan 1")])
    late = proxy.last(END_TXN)
    producer = publisher._producer
    producer.begin_transaction()
    producer.send(alerts, b"alert 2", key=b"a", partition=0)
    producer.flush()
    answer = proxy.repeat(late)
    seen = [record.value for topic in ("alerts", "scans") for record in site.read(topic)]
    producer.send(scans, b"scan 2", key=b"a", partition=0)
    producer.flush()
    producer.commit_transaction()
    return answer, seen


def test_a_late_commit_does_not_end_the_next_transaction(broker: ProxiedKafka, tmp_path: Path) -> None:
    with WireProxy(broker) as proxy:
        site = Site(tmp_path, broker.through, "whole-")
        publisher = Publisher(site.kafka, 0)
        answer, seen = half_written(site, publisher, proxy)
        assert answer in REFUSALS
        assert seen == [b"alert 1", b"scan 1"]
        # Kafka answers a commit before it has written the marks that show the records to readers.
        until(
            lambda: len(site.read("alerts")) >= 2 and len(site.read("scans")) >= 2, "the second commit is visible", 10
        )
        assert [record.value for record in site.read("alerts")] == [b"alert 1", b"alert 2"]
        assert [record.value for record in site.read("scans")] == [b"scan 1", b"scan 2"]
        publisher.close()
        site.close()


def test_without_an_epoch_of_its_own_a_transaction_can_be_torn(
    broker: ProxiedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof that the test above can fail, and that Kafka's protocol is as decision 28 says."""
    with WireProxy(broker) as proxy:
        site = Site(tmp_path, broker.through, "torn-")
        publisher = Publisher(site.kafka, 0)
        monkeypatch.setattr(publisher._producer, "_renew_epoch", lambda: None)
        answer, seen = half_written(site, publisher, proxy)
        assert answer == 0
        assert seen == [b"alert 1", b"alert 2", b"scan 1"]
        publisher.close()
        site.close()


@pytest.mark.parametrize("seed", range(2))
def test_a_worker_loses_and_doubles_nothing_on_a_bad_network(broker: ProxiedKafka, tmp_path: Path, seed: int) -> None:
    rows = [*incidents("leeds", 320, seed), tick("leeds", BEGIN + timedelta(days=13))]
    with WireProxy(broker, bad_network(seed, share=0.35, longest_s=1.0)) as proxy:
        site = Site(tmp_path, broker.through, f"bad-network-{seed}-")
        plain = Site.at(site.file, {"HOTSPOTS_KAFKA__BOOTSTRAP": broker.bootstrap})
        with WorkerProcess(site) as worker:
            for start in range(0, len(rows), 5):
                plain.produce(rows[start : start + 5])
                worker.until(lambda start=start: plain.covered()["leeds"] >= start, "a part is on record")  # type: ignore[misc]
            worker.until(plain.is_covered, "every record is on record")
            assert worker.stop() == DONE
        plain.check()
        plain.close()
        site.close()
    for what in ("delayed", "repeated", "overtaken"):
        assert proxy.done[f"{what} {END_TXN}"] and proxy.done[f"{what} {PRODUCE}"]
