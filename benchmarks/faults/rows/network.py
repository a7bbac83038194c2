"""Faults of the network between the monitor's processes and Kafka or Redis."""

from __future__ import annotations

from benchmarks.faults.fault import fault
from benchmarks.faults.stage import Stage

DELAY_S = 0.5
TRICKLE_BYTES_S = 20_000.0


@fault("Kafka cut off for {cut_s:.0f} s, both ways", rule="HotspotsKafkaAway")
def kafka_cut(stage: Stage) -> None:
    """Packets vanish; no connection is closed."""
    stage.kafka_link.cut()
    stage.hold(stage.form.cut_s)
    stage.kafka_link.mend()


@fault("Redis cut off for {cut_s:.0f} s, both ways", rule="HotspotsRedisAway")
def redis_cut(stage: Stage) -> None:
    """Packets vanish; no connection is closed."""
    stage.redis_link.cut()
    stage.hold(stage.form.cut_s)
    stage.redis_link.mend()


@fault("Kafka and Redis cut off together for {cut_s:.0f} s", rule="HotspotsKafkaAway")
def all_cut(stage: Stage) -> None:
    """The monitor's machine is alone."""
    for link in (stage.kafka_link, stage.redis_link):
        link.cut()
    stage.hold(stage.form.cut_s)
    for link in (stage.kafka_link, stage.redis_link):
        link.mend()


@fault("connections to Kafka half-open", rule="HotspotsKafkaAway")
def kafka_half_open(stage: Stage) -> None:
    """A firewall has forgotten the connections; new ones work."""
    stage.kafka_link.forget()
    stage.hold(stage.form.away_s)


@fault("connections to Redis half-open")
def redis_half_open(stage: Stage) -> None:
    """A firewall has forgotten the connections; new ones work. The feeder opens one after 2 s, so no alert waits."""
    stage.redis_link.forget()
    stage.hold(stage.form.away_s)


@fault("500 ms more each way to Kafka and Redis")
def slow(stage: Stage) -> None:
    """A round trip takes a second."""
    for link in (stage.kafka_link, stage.redis_link):
        link.delay(DELAY_S)
    stage.hold(stage.form.away_s)
    for link in (stage.kafka_link, stage.redis_link):
        link.mend()


@fault("connections trickle: 20 kB/s each")
def trickle(stage: Stage) -> None:
    """A transaction of the usual size takes a second."""
    for link in (stage.kafka_link, stage.redis_link):
        link.narrow(TRICKLE_BYTES_S)
    stage.hold(stage.form.away_s)
    for link in (stage.kafka_link, stage.redis_link):
        link.mend()
