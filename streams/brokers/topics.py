"""The topics, with their retention: plan, create, check."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from typing import get_args

import msgspec
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.brokers.connection import MAX_REQUEST_BYTES, admin_arguments
from streams.configuration.kafka import KafkaSettings, Topic

DAY_MS = 86_400_000


REJECTED_RETENTION_MS = 7 * DAY_MS


MARGIN_DAYS = 7  # over two windows, for an outage


AT_LEAST = ("retention.ms", "min.compaction.lag.ms", "max.message.bytes")


class TopicPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic must be like.

    ``keep_ms``: how long each record is kept at least (or at most, if ``short``); ``is_large``: whether a record may
    be longer than brokers take by themselves.
    """

    name: str
    keep_ms: int | None = None
    compacted: bool = False
    short: bool = False
    is_large: bool = False

    @property
    def configs(self) -> dict[str, str]:
        """The settings that the topic is created with."""
        configs = {"message.timestamp.type": "LogAppendTime"}
        if self.is_large:
            configs["max.message.bytes"] = str(MAX_REQUEST_BYTES)
        if not self.compacted:
            return configs | {"cleanup.policy": "delete", "retention.ms": str(self.keep_ms)}
        configs["cleanup.policy"] = "compact"
        return configs if self.keep_ms is None else configs | {"min.compaction.lag.ms": str(self.keep_ms)}

    def faults(self, found: dict[str, str]) -> Iterable[str]:
        """What is wrong with a topic that has these settings, one line for each."""
        for key, right in self.configs.items():
            value = found[key]
            if key not in AT_LEAST:
                if value != right:
                    yield f"{self.name}: {key} = {value}: must be {right}"
                continue
            number = int(value) if int(value) >= 0 else 2**63
            if self.short and number > int(right):
                yield f"{self.name}: {key} = {value}: must be at most {right}; it may hold what must not be kept"
            if not self.short and number < int(right):
                why = "long scan records" if key == "max.message.bytes" else f"two windows and {MARGIN_DAYS} days"
                yield f"{self.name}: {key} = {value}: must be at least {right}, for {why}"


def retention_ms(window_days: int) -> int:
    """How long records are needed, in milliseconds: two windows of the area with the longest one, and a margin."""
    return (2 * window_days + MARGIN_DAYS) * DAY_MS


def topics(kafka: KafkaSettings, window_days: int) -> dict[Topic, TopicPlan]:
    """Every topic that the monitor reads or writes."""
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


def create_topics(kafka: KafkaSettings, window_days: int) -> list[str]:
    """Create the topics that are missing; returns their names. Those that exist are left as they are.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    with closing(KafkaAdminClient(**admin_arguments(kafka))) as admin:
        present = set(admin.list_topics())
        missing = {plan.name: plan for plan in topics(kafka, window_days).values() if plan.name not in present}
        if missing:
            wanted = {
                name: {
                    "num_partitions": kafka.partitions,
                    "replication_factor": kafka.replication,
                    "configs": plan.configs,
                }
                for name, plan in missing.items()
            }
            admin.create_topics(wanted, wait_for_metadata=True)
    return sorted(missing)


def check_topics(kafka: KafkaSettings, window_days: int, needed: Collection[Topic] = get_args(Topic)) -> list[str]:
    """What is wrong with the topics that are needed, one line for each fault; empty if nothing is.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    plans = {plan.name: plan for topic, plan in topics(kafka, window_days).items() if topic in needed}
    faults = []
    with closing(KafkaAdminClient(**admin_arguments(kafka))) as admin:
        partitions = {each["name"]: len(each["partitions"]) for each in admin.describe_topics(list(plans))}
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, name, configs=dict.fromkeys(plan.configs))
            for name, plan in plans.items()
            if partitions[name]
        ]
        found = admin.describe_configs(resources, config_filter="all").get("topic", {}) if resources else {}
    for name, plan in plans.items():
        if not partitions[name] or not found.get(name):  # it may go while it is looked at
            faults.append(f"{name}: topic is missing; `hotspots topics` creates it")
            continue
        if partitions[name] != kafka.partitions:
            right = f"must be {kafka.partitions}, as kafka.partitions says"
            faults.append(f"{name}: has {partitions[name]} partitions; {right}")
        faults.extend(plan.faults({key: entry["value"] for key, entry in found[name].items()}))
    return faults
