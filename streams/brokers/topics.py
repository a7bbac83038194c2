"""The topics: their required settings, their creation, and checks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from typing import get_args

import msgspec
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.brokers.batches import READABLE
from streams.brokers.connection import MAX_REQUEST_BYTES, admin_arguments
from streams.configuration.kafka import KafkaSettings, Topic

DAY_MS = 86_400_000
REJECTED_RETENTION_MS = 7 * DAY_MS
"""Upper bound for the retention of dead letters, in milliseconds."""
MARGIN_DAYS = 7
"""Retention beyond two windows, in days, for an outage."""
KEPT_TIMES = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(2**63 - 1)}
"""Settings of a topic whose records keep their senders' times, even times from a clock that was ahead."""
BOUNDS = ("retention.ms", "min.compaction.lag.ms", "max.message.bytes")
"""Settings of a topic that have a bound. The other settings must be equal."""


class TopicPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The required settings of a topic.

    ``keep_ms``: lower bound for the retention of a record in milliseconds, or upper bound if ``short``; ``is_large``:
    whether records can exceed the default size limit of a broker.
    """

    name: str
    keep_ms: int | None = None
    compacted: bool = False
    short: bool = False
    is_large: bool = False

    @property
    def configs(self) -> dict[str, str]:
        """The settings that the topic is created with, by their names in Kafka."""
        configs = {"message.timestamp.type": "LogAppendTime"}
        if self.is_large:
            configs["max.message.bytes"] = str(MAX_REQUEST_BYTES)
        if not self.compacted:
            return configs | {"cleanup.policy": "delete", "retention.ms": str(self.keep_ms)}
        configs["cleanup.policy"] = "compact"
        return configs if self.keep_ms is None else configs | {"min.compaction.lag.ms": str(self.keep_ms)}

    def faults(self, found: dict[str, str]) -> Iterable[str]:
        """Yield one line for each fault of a topic that has the settings ``found``."""
        if (codec := found["compression.type"]) not in READABLE:
            yield f"{self.name}: compression.type = {codec}: must be one of {', '.join(READABLE)}"
        for key, right in self.configs.items():
            value = found[key]
            if key not in BOUNDS:
                if value != right:
                    yield f"{self.name}: {key} = {value}: must be {right}"
                continue
            number = int(value) if int(value) >= 0 else 2**63
            if self.short and number > int(right):
                yield f"{self.name}: {key} = {value}: must be at most {right}: dead letters can be confidential"
            if not self.short and number < int(right):
                why = "long scan records" if key == "max.message.bytes" else f"two windows and {MARGIN_DAYS} days"
                yield f"{self.name}: {key} = {value}: must be at least {right}, for {why}"


def retention_ms(window_days: int) -> int:
    """Return how long records are needed, in milliseconds: twice the longest window, and a margin."""
    return (2 * window_days + MARGIN_DAYS) * DAY_MS


def topics(kafka: KafkaSettings, window_days: int) -> dict[Topic, TopicPlan]:
    """Return the plan of every topic that the monitor reads or writes."""
    name, keep_ms = kafka.topic, retention_ms(window_days)
    return {
        "incidents": TopicPlan(name=name("incidents"), keep_ms=keep_ms),
        "alerts": TopicPlan(name=name("alerts"), keep_ms=keep_ms, is_large=True),
        "responses": TopicPlan(name=name("responses"), keep_ms=keep_ms),
        "scans": TopicPlan(name=name("scans"), keep_ms=keep_ms, compacted=True, is_large=True),
        "settings": TopicPlan(name=name("settings"), compacted=True, is_large=True),
        "rejected": TopicPlan(name=name("rejected"), keep_ms=REJECTED_RETENTION_MS, short=True),
        "undelivered": TopicPlan(name=name("undelivered"), keep_ms=keep_ms),
    }


def create_topics(kafka: KafkaSettings, window_days: int, keep_times: Collection[Topic] = ()) -> list[str]:
    """Create the missing topics and return their names; existing topics stay as they are.

    Records of the topics in ``keep_times`` keep the times that their senders give, until :func:`stamp_arrivals`.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    with closing(KafkaAdminClient(**admin_arguments(kafka))) as admin:
        present = set(admin.list_topics())
        missing = {plan.name: plan for plan in topics(kafka, window_days).values() if plan.name not in present}
        kept = {kafka.topic(topic): KEPT_TIMES for topic in keep_times}
        if missing:
            wanted = {
                name: {
                    "num_partitions": kafka.partitions,
                    "replication_factor": kafka.replication,
                    "configs": plan.configs | kept.get(name, {}),
                }
                for name, plan in missing.items()
            }
            admin.create_topics(wanted, wait_for_metadata=True)
    return sorted(missing)


def stamp_arrivals(kafka: KafkaSettings, names: Collection[Topic]) -> None:
    """Let the broker stamp the records of topics as they arrive.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    configs = {"message.timestamp.type": "LogAppendTime"}
    with closing(KafkaAdminClient(**admin_arguments(kafka))) as admin:
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, kafka.topic(each), configs=configs) for each in names]
        )


def topic_ids(kafka: KafkaSettings, names: Collection[str]) -> dict[str, str]:
    """Return the identities of topics; empty if unknown. A new topic of the same name has another identity.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    with closing(KafkaAdminClient(**admin_arguments(kafka))) as admin:
        return {each["name"]: str(each.get("topic_id") or "") for each in admin.describe_topics(list(names))}


def topic_id(kafka: KafkaSettings, name: str) -> str:
    """Return the identity of one topic: see :func:`topic_ids`.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    return topic_ids(kafka, [name])[name]


def check_topics(kafka: KafkaSettings, window_days: int, needed: Collection[Topic] = get_args(Topic)) -> list[str]:
    """Return one line for each fault of the topics in ``needed``.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    plans = {plan.name: plan for topic, plan in topics(kafka, window_days).items() if topic in needed}
    faults = []
    with closing(KafkaAdminClient(**admin_arguments(kafka))) as admin:
        partitions = {each["name"]: len(each["partitions"]) for each in admin.describe_topics(list(plans))}
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, name, configs=dict.fromkeys(["compression.type", *plan.configs]))
            for name, plan in plans.items()
            if partitions[name]
        ]
        found = admin.describe_configs(resources, config_filter="all").get("topic", {}) if resources else {}
    for name, plan in plans.items():
        if not partitions[name] or not found.get(name):  # it can be deleted between the two requests
            faults.append(f"{name}: topic is missing; `hotspots topics` creates it")
            continue
        if partitions[name] != kafka.partitions:
            right = f"must be {kafka.partitions} (kafka.partitions); `hotspots copy-inputs` changes the number"
            faults.append(f"{name}: has {partitions[name]} partitions: {right}")
        faults.extend(plan.faults({key: entry["value"] for key, entry in found[name].items()}))
    return faults
