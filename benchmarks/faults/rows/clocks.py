"""Clocks that are wrong: the worker's, and the one that stamps the arrival of records."""

from __future__ import annotations

from contextlib import closing

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from benchmarks.faults.fault import Inflict, fault
from benchmarks.faults.stage import Stage
from streams.brokers.connection import admin_arguments

HOUR_S = 3600
SHIFTS = {
    "an hour ahead": HOUR_S,
    "an hour behind": -HOUR_S,
    "three days ahead": 72 * HOUR_S,
    "three days behind": -72 * HOUR_S,
}
ANY_TIME = dict.fromkeys(("message.timestamp.before.max.ms", "message.timestamp.after.max.ms"), str(2**62))


def worker_is(shift_s: int) -> Inflict:
    """Return what restarts the worker with a wrong clock, and later with the right one."""

    def inflict(stage: Stage) -> None:
        stage.worker.fault = f"clock:{shift_s}"
        stage.restart(stage.form.away_s / 2)
        stage.worker.fault = ""
        stage.restart(0.0)

    return inflict


def stamps_are(shift_s: int) -> Inflict:
    """Return what stamps records as a broker with a wrong clock does."""

    def inflict(stage: Stage) -> None:
        stamp_by(stage, ANY_TIME | {"message.timestamp.type": "CreateTime"})
        stage.feed.stamp_shift_s = shift_s
        stage.hold(stage.form.away_s / 2)
        stage.feed.stamp_shift_s = None
        stamp_by(stage, {"message.timestamp.type": "LogAppendTime"})
        stage.hold(stage.form.away_s / 4)

    return inflict


def stamp_by(stage: Stage, configs: dict[str, str]) -> None:
    """Change who stamps the records of the topic ``incidents``."""
    topic = ConfigResource(ConfigResourceType.TOPIC, stage.site.kafka.topic("incidents"), configs=configs)
    with closing(KafkaAdminClient(**admin_arguments(stage.site.kafka))) as admin:
        admin.alter_configs([topic])


for what, seconds in SHIFTS.items():
    fault(f"worker's clock {what}", rule="HotspotsClockWrong")(worker_is(seconds))
for what, seconds in SHIFTS.items():
    fault(f"broker's clock {what}", rule="HotspotsClockWrong")(stamps_are(seconds))
