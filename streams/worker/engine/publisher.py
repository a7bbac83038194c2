"""The engine's output, in transactions that only the owner of a partition can commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from kafka.errors import (
    AuthorizationError,
    InvalidProducerEpochError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
)

from streams.brokers.broker import KAFKA, Broker
from streams.brokers.clients import Sent
from streams.brokers.connection import is_passing
from streams.brokers.transactional_producer import ANSWER_S
from streams.configuration.kafka import KafkaSettings
from streams.worker.engine.outgoing import OutgoingRecord

COMMIT_S = ANSWER_S
"""Time limit for a transaction, in seconds."""

FENCED = (ProducerFencedError, InvalidProducerEpochError)
REFUSED = (AuthorizationError, MessageSizeTooLargeError, RecordListTooLargeError, SaslAuthenticationFailedError)


class FencedError(Exception):
    """Another worker has taken over the partition; nothing more can be written."""


class AbortedError(Exception):
    """The transaction was aborted, or its outcome is unknown. The partition must be rebuilt from its records.

    ``is_passing``: whether the cause is temporary: Kafka could not write at the time.
    """

    def __init__(self, text: str, *, is_passing: bool = False) -> None:
        super().__init__(text)
        self.is_passing = is_passing


class RefusedError(Exception):
    """Kafka refuses the transaction, and would refuse it every time."""


class Publisher:
    """The transactional producer of one partition. Opening it fences the previous owner of the partition.

    ``stamp_s``: the broker's stamp of the last record committed, None before the first.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """

    def __init__(self, kafka: KafkaSettings, partition: int, broker: Broker = KAFKA) -> None:
        self._partition = partition
        self._producer = broker.writer(kafka, f"{kafka.topic('scans')}.{partition}")
        self._is_fenced = False
        self.stamp_s: float | None = None
        try:
            self._producer.init_transactions()
        except BaseException:
            self.close()
            raise

    def commit(
        self, messages: Sequence[OutgoingRecord], closing: Callable[[Sequence[int]], OutgoingRecord] | None = None
    ) -> list[int]:
        """Write all messages in one transaction; return their offsets when it is committed.

        ``closing`` makes the last message from the offsets of the others, which Kafka then has already.

        Raises:
            FencedError: The partition has another owner.
            RefusedError: Kafka refuses a message.
            AbortedError: It was aborted, or its outcome is unknown. The publisher must not be used again.
        """
        deadline_s = time.monotonic() + COMMIT_S
        sent: list[Sent] = []
        try:
            self._producer.begin_transaction()
            sent += map(self._sent, messages)
            if closing is not None:
                self._producer.flush(_left_s(deadline_s))
                sent.append(self._sent(closing(_offsets(sent))))
            self._producer.flush(_left_s(deadline_s))
            self._producer.commit_transaction(_left_s(deadline_s))
            offsets = _offsets(sent)
            self.stamp_s = sent[-1].get(timeout=0).timestamp / 1000
            return offsets
        except KafkaError as error:
            raise self._failure(error, messages, sent) from error

    def _sent(self, message: OutgoingRecord) -> Sent:
        return self._producer.send(
            message.topic, message.value, key=message.key, headers=list(message.headers), partition=self._partition
        )

    def _failure(self, error: KafkaError, messages: Sequence[OutgoingRecord], sent: Sequence[Sent]) -> Exception:
        """Return the meaning of an error: of all known errors, the most specific one."""
        errors = list(map(_error, sent))
        known = [error, *filter(None, errors)]
        self._is_fenced |= any(isinstance(each, FENCED) for each in known)
        if self._is_fenced:
            return FencedError(f"partition {self._partition} was taken over by another worker")
        for each in known:
            if isinstance(each, REFUSED):
                return RefusedError(f"partition {self._partition}: {each}")
        if isinstance(error, KafkaTimeoutError):
            lacking = {message.topic for message, each in zip(messages, errors, strict=False) if each is not None}
            what = f"no answer for {', '.join(sorted(lacking))}" if lacking else error
            late = f"partition {self._partition}: not on record within {COMMIT_S:g} s: {what}"
            return AbortedError(late, is_passing=True)
        return AbortedError(f"partition {self._partition}: {error}", is_passing=any(map(is_passing, known)))

    def close(self) -> None:
        """Release the partition. Its next owner aborts a transaction that is not committed."""
        self._producer.close(timeout=1)


def _left_s(deadline_s: float) -> float:
    return max(0.0, deadline_s - time.monotonic())


def _offsets(sent: Sequence[Sent]) -> list[int]:
    return [each.get(timeout=0).offset for each in sent]


def _error(sent: Sent) -> KafkaError | None:
    try:
        sent.get(timeout=0)
    except KafkaError as error:
        return error
    return None
