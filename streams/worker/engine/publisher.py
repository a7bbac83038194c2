"""The engine's output, in transactions that only the owner of a partition can commit."""

from __future__ import annotations

from collections.abc import Sequence

from kafka.errors import KafkaError, KafkaTimeoutError

from streams.brokers.broker import KAFKA, Broker
from streams.configuration.kafka import KafkaSettings
from streams.worker.engine.outgoing import OutgoingRecord

DELIVER_S = 25.0
"""Time limit for the delivery of a transaction's records, in seconds."""


class FencedError(Exception):
    """Another worker has taken over the partition; nothing more can be written."""


class AbortedError(Exception):
    """The transaction was not committed; none of its records is visible."""


class Publisher:
    """The transactional producer of one partition. Opening it fences the previous owner of the partition.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """

    def __init__(self, kafka: KafkaSettings, partition: int, broker: Broker = KAFKA) -> None:
        self._partition = partition
        self._producer = broker.writer(kafka, f"{kafka.topic('scans')}.{partition}")
        self._producer.init_transactions()
        self._is_fenced = False

    def commit(self, messages: Sequence[OutgoingRecord]) -> list[int]:
        """Write all messages in one transaction; return their offsets when it is committed.

        Raises:
            FencedError: The partition has another owner.
            AbortedError: Nothing was written; the producer must not be used again.
        """
        taken_over = f"partition {self._partition} was taken over by another worker"
        if self._is_fenced:
            raise FencedError(taken_over)
        try:
            self._producer.begin_transaction()
            sent = [
                self._producer.send(
                    each.topic, each.value, key=each.key, headers=list(each.headers), partition=self._partition
                )
                for each in messages
            ]
            self._producer.flush(timeout=DELIVER_S)
            self._producer.commit_transaction()
            return [each.get(timeout=0).offset for each in sent]
        except KafkaTimeoutError as error:
            # After a broker has died, the library's sender can stop sending for ever. This producer is not used again,
            # and the next one aborts its transaction.
            raise AbortedError(f"partition {self._partition}: not delivered within {DELIVER_S:g} s") from error
        except KafkaError as error:
            if not self._aborts():
                self._is_fenced = True
                raise FencedError(taken_over) from error
            raise AbortedError(f"partition {self._partition}: {error}") from error

    def _aborts(self) -> bool:
        """Abort the transaction; return whether the broker allows it. If not, another producer owns the partition.

        The answer is surer than the error that was raised, which can hide the first one.
        """
        try:
            self._producer.abort_transaction()
        except KafkaError:
            return False
        return True

    def close(self) -> None:
        """Release the partition; the next owner aborts a transaction that is not committed."""
        self._producer.close(timeout=1)
