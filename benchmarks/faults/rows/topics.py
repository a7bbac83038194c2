"""Topics that are deleted or cut, and positions of the group that somebody moves."""

from __future__ import annotations

from contextlib import closing
from typing import get_args

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.structs import OffsetAndMetadata

from benchmarks.faults.fault import Inflict, fault
from benchmarks.faults.recovery import copy_inputs
from benchmarks.faults.stage import SESSION_S, Stage
from streams.brokers.connection import admin_arguments
from streams.brokers.topics import create_topics
from streams.configuration.kafka import Topic
from tests.integration.worker_process import until

COSTS: dict[Topic, str] = {
    "incidents": "the times of arrival, so the alerts of the lost time can differ",
    "alerts": "",
    "scans": "",
    "responses": "the acknowledgements in the topic",
    "settings": "",
    "rejected": "the dead letters in the topic",
    "undelivered": "",
}
COPIED: frozenset[Topic] = frozenset({"incidents", "alerts", "scans", "responses"})
"""Topics after whose loss the inputs are copied."""
GAP_S = 10.0
"""Time for which a deleted topic is missing, in seconds."""


def deleted(topic: Topic) -> Inflict:
    """Return what deletes a topic, later creates it as ``hotspots topics`` does, and then repairs as documented.

    Either the inputs are copied, and the feed sends lost incidents again, or the worker is restarted.
    """

    def inflict(stage: Stage) -> None:
        name = stage.site.kafka.topic(topic)
        with stage.feed.paused(), closing(KafkaAdminClient(**admin_arguments(stage.site.kafka))) as admin:
            stage.keep(topic)
            admin.delete_topics([name])
            until(lambda: name not in admin.list_topics(), f"{name} is gone")
        stage.hold(GAP_S)
        create_topics(stage.site.kafka, stage.site.configuration.longest_window_days)
        stage.hold(stage.form.away_s / 4)
        if topic in COPIED:
            copy_inputs(stage, lost=stage.kept[topic] if topic == "incidents" else ())
        else:
            stage.restart(stage.form.away_s / 4)

    return inflict


def cut(topic: Topic) -> Inflict:
    """Return what removes the older half of a topic, as retention does, and then restarts the worker.

    The feed then sends lost incidents again.
    """

    def inflict(stage: Stage) -> None:
        stage.keep(topic)
        name = stage.site.kafka.topic(topic)
        ends = {each.partition: each.offset + 1 for each in stage.kept[topic]}
        halves = {TopicPartition(name, partition): end // 2 for partition, end in ends.items()}
        with closing(KafkaAdminClient(**admin_arguments(stage.site.kafka))) as admin:
            admin.delete_records(halves)
        stage.hold(stage.form.away_s / 4)
        stage.restart(stage.form.away_s / 4)
        if topic == "incidents":
            with stage.feed.paused():
                stage.feed.repeat([each for each in stage.kept[topic] if each.offset < ends[each.partition] // 2])

    return inflict


def positions(move: str) -> Inflict:
    """Return what moves or deletes the group's positions while no worker runs."""

    def inflict(stage: Stage) -> None:
        kafka = stage.site.kafka
        stage.worker.halt()
        stage.hold(max(SESSION_S + 2.0, stage.form.away_s / 4))
        with closing(KafkaAdminClient(**admin_arguments(kafka))) as admin:
            if move == "deleted":
                admin.delete_groups([kafka.group])
            else:
                ends = {each.partition: each.offset + 1 for each in stage.site.read("incidents")}
                to = {
                    TopicPartition(kafka.topic("incidents"), partition): OffsetAndMetadata(
                        end if move == "latest" else 0, "", -1
                    )
                    for partition, end in ends.items()
                }
                admin.alter_group_offsets(kafka.group, to)
        stage.worker.resume()
        stage.hold_served(stage.form.away_s / 4)

    return inflict


for each in get_args(Topic):
    back = f"created again after {GAP_S:g} s" + (", inputs copied" if each in COPIED else "")
    fault(
        f"topic {each} deleted, {back}",
        rule="HotspotsTopicsFaulty",
        costs=COSTS[each],
        is_exact=each != "incidents",
    )(deleted(each))
fault(
    "topic incidents cut in half by retention, sent again",
    rule="HotspotsRecordsMissed",
    costs="the evidence of earlier alerts; a `retention.ms` of two windows and 7 days keeps it",
    is_exact=False,
)(cut("incidents"))
fault("topic alerts cut in half by retention")(cut("alerts"))
fault("group's offsets reset to the latest", rule="HotspotsNoWorker")(positions("latest"))
fault("group's offsets reset to the earliest", rule="HotspotsNoWorker")(positions("earliest"))
fault("group deleted", rule="HotspotsNoWorker")(positions("deleted"))
