"""Which errors of Kafka's clients pass by themselves."""

from __future__ import annotations

import aiokafka.errors
import kafka.errors

from streams.brokers.connection import is_passing

PASSING = [
    kafka.errors.KafkaTimeoutError("no answer"),
    kafka.errors.KafkaConnectionError("refused"),
    kafka.errors.RequestTimedOutError(),
    kafka.errors.NodeNotReadyError("1"),
    kafka.errors.CoordinatorNotAvailableError(),
    kafka.errors.NotEnoughReplicasError(),
    kafka.errors.KafkaStorageError(),
    aiokafka.errors.KafkaConnectionError("refused"),
    aiokafka.errors.KafkaTimeoutError("no answer"),
    aiokafka.errors.LeaderNotAvailableError(),
]
LASTING = [
    kafka.errors.UnknownTopicOrPartitionError(),
    kafka.errors.TopicAuthorizationFailedError("alerts"),
    kafka.errors.SaslAuthenticationFailedError("password"),
    kafka.errors.ProducerFencedError(),
    kafka.errors.MessageSizeTooLargeError(),
    aiokafka.errors.UnknownTopicOrPartitionError(),
    aiokafka.errors.TopicAuthorizationFailedError(),
    ValueError("not of Kafka"),
]


def test_what_the_broker_may_do_later_passes() -> None:
    assert [each for each in PASSING if not is_passing(each)] == []


def test_what_somebody_must_mend_does_not_pass() -> None:
    assert [each for each in LASTING if is_passing(each)] == []
