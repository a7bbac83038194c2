"""A word of a metric counts if it says that something is wrong now, and was not before."""

from __future__ import annotations

import pytest

from benchmarks.faults.observe import counters, plain, speaking
from streams.worker.declared_metrics import WORKER_METRICS

BEFORE = """\
# TYPE hotspots_kafka_up gauge
hotspots_kafka_up 1.0
# TYPE hotspots_topic_faults gauge
hotspots_topic_faults 0.0
# TYPE hotspots_feed_state gauge
hotspots_feed_state{area="leeds",state="healthy"} 1.0
hotspots_feed_state{area="leeds",state="kafka_away"} 0.0
# TYPE hotspots_redis_feeder_rewinds_total counter
hotspots_redis_feeder_rewinds_total{area="leeds"} 2.0
# TYPE hotspots_transactions_total counter
hotspots_transactions_total{outcome="committed"} 7.0
hotspots_transactions_total{outcome="aborted"} 1.0
"""


@pytest.mark.parametrize(
    ("quiet", "loud", "word"),
    [
        ("kafka_up 1.0", "kafka_up 0.0", "hotspots_kafka_up = 0"),
        ("topic_faults 0.0", "topic_faults 2.0", "hotspots_topic_faults > 0"),
        ('"kafka_away"} 0.0', '"kafka_away"} 1.0', "hotspots_feed_state kafka_away"),
        ("} 2.0", "} 3.0", "hotspots_redis_feeder_rewinds_total grows"),
        ('"aborted"} 1.0', '"aborted"} 2.0', "hotspots_transactions_total grows"),
    ],
)
def test_a_metric_speaks(quiet: str, loud: str, word: str) -> None:
    after = BEFORE.replace(quiet, loud)
    assert after != BEFORE
    assert list(speaking(after, counters(BEFORE))) == [word]


def test_what_is_as_before_and_what_grows_every_day_says_nothing() -> None:
    after = BEFORE.replace("7.0", "8.0").replace('state="healthy"} 1.0', 'state="silent"} 1.0')
    assert list(speaking(after, counters(BEFORE))) == []


def test_metrics_that_are_named_exist() -> None:
    from benchmarks.faults.observe import DOWN, QUIET, RAISED

    declared = {each.name for each in WORKER_METRICS}
    assert {name for name in QUIET if "webhook" not in name and "console" not in name} <= declared
    assert declared >= RAISED
    assert {name for name in DOWN if "console" not in name} <= declared


def test_a_text_loses_what_differs_from_run_to_run() -> None:
    assert plain("Kafka at 127.0.0.1:45173 does not answer\n") == "Kafka at 127.0.0.1 does not answer"
