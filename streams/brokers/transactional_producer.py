"""A producer of transactions that no late request can tear."""

from __future__ import annotations

import time

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from streams.brokers.connection import BOOTSTRAP_MS, MAX_REQUEST_BYTES, producer_arguments
from streams.configuration.kafka import KafkaSettings

ANSWER_S = 25.0
"""Time limit for Kafka to answer, in seconds. It is below the 30 s after which the library turns a missing answer into
an error without a type, and below the 60 s after which Kafka ends a transaction."""
POLL_S = 0.001
"""Interval between two checks whether a new epoch has come, in seconds."""


class TransactionalProducer(KafkaProducer):  # type: ignore[misc]  # the library is untyped
    """A producer with a new epoch for every transaction. It waits for Kafka no longer than ``ANSWER_S`` seconds.

    Kafka refuses requests of an earlier epoch. Within one epoch, a late ``EndTxn`` of one transaction would end the
    next one half-way. The library can take a new epoch (KIP-360), but does so only after errors, and it waits without
    limit for a commit. Both changes need private names of the library.
    """

    def __init__(self, kafka: KafkaSettings, transactional_id: str) -> None:
        super().__init__(
            **producer_arguments(kafka),
            transactional_id=transactional_id,
            max_request_size=MAX_REQUEST_BYTES,
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            max_block_ms=int(ANSWER_S * 1000),
        )

    def begin_transaction(self) -> None:
        """Begin a transaction in a new epoch."""
        deadline_s = time.monotonic() + ANSWER_S
        while self._transaction_manager.is_bumping_epoch():
            if time.monotonic() > deadline_s:
                raise KafkaTimeoutError("no answer to the request for an epoch")
            time.sleep(POLL_S)
        try:
            super().begin_transaction()
        except KafkaError as error:
            raise self._cause(error) from error

    def commit_transaction(self, timeout: float = ANSWER_S) -> None:
        """Commit the transaction. After a KafkaTimeoutError it is unknown whether it is committed."""
        try:
            result = self._transaction_manager.begin_commit()
            self._sender.wakeup()
            if not result.wait(timeout_ms=timeout * 1000):
                raise KafkaTimeoutError("no answer to the commit")
        except KafkaError as error:
            raise self._cause(error) from error
        self._renew_epoch()

    def _renew_epoch(self) -> None:
        """Ask Kafka for the epoch of the next transaction. That transaction waits for the answer."""
        self._transaction_manager.bump_producer_id_and_epoch()
        self._sender.wakeup()

    def _cause(self, error: KafkaError) -> KafkaError:
        """Return the error that ended the transaction. The error that the library raises can hide it."""
        last = self._transaction_manager.last_error
        return last if isinstance(last, KafkaError) else error

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """Close the producer and send nothing more. The library itself sets ``null_logger``."""
        try:
            super().close(timeout, null_logger)
        except KafkaTimeoutError:
            # After a broker has died, the library gives up before it ends its own thread. That would send on for ever,
            # take a new epoch when Kafka is back, and fence the owner of the partition at that time.
            self._sender.force_close()
