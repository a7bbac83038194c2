"""What the errors of a transaction mean."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.errors import (
    InvalidTxnStateError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    ProducerFencedError,
)

from streams.brokers.broker import Broker
from streams.configuration.kafka import KafkaSettings
from streams.worker.engine.outgoing import OutgoingRecord
from streams.worker.engine.publisher import AbortedError, FencedError, Publisher, RefusedError


class FailingWriter:
    """A writer whose record fails with one error, and its commit with another."""

    def __init__(self, of_record: KafkaError, of_commit: KafkaError) -> None:
        self.of_record, self.of_commit = of_record, of_commit

    def __getattr__(self, _: str) -> Any:
        return lambda *args, **arguments: None

    def send(self, *args: Any, **arguments: Any) -> FailingWriter:
        return self

    def get(self, timeout: float) -> Any:
        raise self.of_record

    def commit_transaction(self, timeout: float) -> None:
        raise self.of_commit


class FailingBroker(Broker):
    def __init__(self, writer: FailingWriter) -> None:
        self._writer = writer

    def writer(self, kafka: KafkaSettings, transactional_id: str) -> Any:
        return self._writer


@pytest.mark.parametrize(
    ("of_record", "of_commit", "failure", "is_passing"),
    [
        (NotEnoughReplicasError(), KafkaError("aborted"), AbortedError, True),
        (KafkaTimeoutError(), KafkaTimeoutError(), AbortedError, True),
        (InvalidTxnStateError(), KafkaError("aborted"), AbortedError, False),
        (ProducerFencedError(), KafkaTimeoutError(), FencedError, None),
        (MessageSizeTooLargeError(), KafkaError("aborted"), RefusedError, None),
    ],
)
def test_a_transaction_that_kafka_cannot_write_now_is_told_from_one_that_it_refuses(
    of_record: KafkaError, of_commit: KafkaError, failure: type[Exception], is_passing: bool | None
) -> None:
    publisher = Publisher(KafkaSettings(), 0, FailingBroker(FailingWriter(of_record, of_commit)))
    with pytest.raises(failure) as raised:
        publisher.commit([OutgoingRecord("scans", b"leeds", b"{}")])
    assert getattr(raised.value, "is_passing", None) is is_passing
    publisher.close()
