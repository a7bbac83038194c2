"""The engine's output, in transactions that only the owner of a partition can commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from kafka import KafkaProducer
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

from streams.brokers.connection import BOOTSTRAP_MS, MAX_REQUEST_BYTES, producer_arguments
from streams.configuration.kafka import KafkaSettings
from streams.worker.engine.outgoing import OutgoingRecord

COMMIT_S = 25.0
"""Time limit for a transaction, and for opening a partition, in seconds. It is below the 30 s after which the library
makes a request without an answer an error without a type, and below the 60 s after which Kafka ends a transaction."""
EPOCH_POLL_S = 0.001
"""Time between two looks at whether a new epoch has come, in seconds."""

FENCED = (ProducerFencedError, InvalidProducerEpochError)
REFUSED = (AuthorizationError, MessageSizeTooLargeError, RecordListTooLargeError, SaslAuthenticationFailedError)


class FencedError(Exception):
    """Another worker has taken over the partition; nothing more can be written."""


class AbortedError(Exception):
    """The transaction may not be committed. The partition must be rebuilt from what is on record."""


class RefusedError(Exception):
    """Kafka refuses the transaction, and would refuse it again."""


class TransactionalProducer(KafkaProducer):  # type: ignore[misc]  # the library has no types
    """A producer that has a new epoch for every transaction, and waits no longer than a deadline.

    Kafka refuses requests of a former epoch. Within one epoch, a late ``EndTxn`` of an earlier transaction would end a
    later one half-way. The library has the step that brings a new epoch (KIP-360), but takes it only after errors, and
    it waits without limit for a commit. Both need its private names.
    """

    def __init__(self, kafka: KafkaSettings, transactional_id: str) -> None:
        super().__init__(
            **producer_arguments(kafka),
            transactional_id=transactional_id,
            max_request_size=MAX_REQUEST_BYTES,
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            max_block_ms=int(COMMIT_S * 1000),
        )

    @property
    def last_error(self) -> Exception | None:
        """The error that has ended the transaction or the producer; what its methods raise can hide it."""
        error: Exception | None = self._transaction_manager.last_error
        return error

    def renew_epoch(self) -> None:
        """Ask for the epoch of the next transaction, which waits for it."""
        self._transaction_manager.bump_producer_id_and_epoch()
        self._sender.wakeup()

    def begin_transaction(self, within_s: float = COMMIT_S) -> None:
        """Begin a transaction, in an epoch of its own."""
        deadline_s = time.monotonic() + within_s
        while self._transaction_manager.is_bumping_epoch():
            if time.monotonic() > deadline_s:
                raise KafkaTimeoutError("no answer to the request for an epoch")
            time.sleep(EPOCH_POLL_S)
        super().begin_transaction()

    def commit_transaction(self, within_s: float = COMMIT_S) -> None:
        """Commit the transaction. Whether it is committed is unknown after a KafkaTimeoutError."""
        result = self._transaction_manager.begin_commit()
        self._sender.wakeup()
        if not result.wait(timeout_ms=within_s * 1000):
            raise KafkaTimeoutError("no answer to the commit")

    def end(self) -> None:
        """Close the producer, and send nothing more."""
        try:
            self.close(timeout=1)
        except KafkaTimeoutError:
            # After a broker has died, the library gives up before it ends its own thread. That would send on for ever,
            # take a new epoch when Kafka is back, and fence the owner of the partition at that time.
            self._sender.force_close()


class Publisher:
    """The transactional producer of one partition. Opening it fences the previous owner of the partition.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """

    def __init__(self, kafka: KafkaSettings, partition: int) -> None:
        self._partition = partition
        self._producer = TransactionalProducer(kafka, f"{kafka.topic('scans')}.{partition}")
        self._is_fenced = False
        try:
            self._producer.init_transactions()
        except BaseException:
            self._producer.end()
            raise

    def commit(
        self, messages: Sequence[OutgoingRecord], closing: Callable[[Sequence[int]], OutgoingRecord] | None = None
    ) -> list[int]:
        """Write all messages in one transaction; return their offsets when it is committed.

        ``closing`` makes the last message from the offsets of the others, which Kafka then has before.

        Raises:
            FencedError: The partition has another owner.
            RefusedError: Kafka refuses a message.
            AbortedError: The transaction may not be committed; the publisher must not be used again.
        """
        deadline_s = time.monotonic() + COMMIT_S
        sent: list[Any] = []
        try:
            self._producer.begin_transaction()
            sent += map(self._sent, messages)
            if closing is not None:
                self._producer.flush(_left_s(deadline_s))
                sent.append(self._sent(closing(_offsets(sent))))
            self._producer.flush(_left_s(deadline_s))
            self._producer.commit_transaction(_left_s(deadline_s))
            offsets = _offsets(sent)
        except KafkaError as error:
            raise self._failure(error, sent) from error
        self._producer.renew_epoch()
        return offsets

    def _sent(self, message: OutgoingRecord) -> Any:
        where = {"key": message.key, "headers": list(message.headers), "partition": self._partition}
        return self._producer.send(message.topic, message.value, **where)

    def _failure(self, error: KafkaError, sent: Sequence[Any]) -> Exception:
        """Return what an error means: of all that are known, the one that says most."""
        known = [error, self._producer.last_error, *(each.exception for each in sent)]
        self._is_fenced |= any(isinstance(each, FENCED) for each in known)
        if self._is_fenced:
            return FencedError(f"partition {self._partition} was taken over by another worker")
        for each in known:
            if isinstance(each, REFUSED):
                return RefusedError(f"partition {self._partition}: {each}")
        if isinstance(error, KafkaTimeoutError):
            return AbortedError(f"partition {self._partition}: not on record within {COMMIT_S:g} s ({error})")
        return AbortedError(f"partition {self._partition}: {self._producer.last_error or error}")

    def close(self) -> None:
        """Release the partition; the next owner aborts a transaction that is not committed."""
        self._producer.end()


def _left_s(deadline_s: float) -> float:
    return max(0.0, deadline_s - time.monotonic())


def _offsets(sent: Sequence[Any]) -> list[int]:
    return [each.get(timeout=0).offset for each in sent]
