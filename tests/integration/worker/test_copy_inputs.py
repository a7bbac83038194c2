"""Topics that were lost, or have another number of partitions: refused, and derived again from copied inputs."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError

from streams.area_log.audit import audit
from streams.area_log.copy_inputs import INPUTS, CopyError
from streams.area_log.copy_inputs import copy_inputs as copy
from streams.area_log.reproduce import reproduce
from streams.area_log.sources import KafkaLog
from streams.brokers.connection import admin_arguments, consumer_arguments, producer_arguments
from streams.brokers.topics import check_topics, create_topics
from streams.configuration.kafka import Topic
from streams.messages.scan import decode_scan
from streams.worker.consumer import DONE, FAILED
from tests.integration.conftest import NewSite
from tests.integration.worker.test_responses import FED, open_alert, response, responses_of, send
from tests.integration.worker_process import (
    HOTSPOTS,
    Deployment,
    Site,
    WorkerProcess,
    incidents,
    until,
)

MOVING = ("leeds", "york", "hull")
"""Areas of which some have another home among three partitions than among two."""
ADVICE = "`hotspots copy-inputs` makes topics from which a worker derives everything again"


def delete(site: Site, topic: Topic) -> None:
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        admin.delete_topics([site.kafka.topic(topic)])
        until(lambda: site.kafka.topic(topic) not in admin.list_topics(), "the topic is gone")


def delete_and_create(site: Site, topic: Topic) -> None:
    """Lose everything that a topic held."""
    delete(site, topic)
    window_days = site.configuration.longest_window_days
    create_topics(site.kafka, window_days)
    until(lambda: check_topics(site.kafka, window_days) == [], "the broker knows the new topic")
    site.close()


def knows_groups(site: Site) -> bool:
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        try:
            admin.describe_groups([site.kafka.group])
        except CoordinatorNotAvailableError:
            return False
    return True


def settle(site: Site, worker: WorkerProcess) -> None:
    """Wait until everything is on record except the open ticks."""
    right = {area: decode_scan(values[-1]).next_offset for area, values in site.expected()[1].items()}
    right = dict.fromkeys(site.configuration.areas, 0) | right
    worker.until(lambda: site.covered() == right, "the feed is on record")


def copy_inputs(site: Site, prefix: str, partitions: int) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [
        HOTSPOTS,
        "copy-inputs",
        "--config",
        site.file,
        "--to-prefix",
        prefix,
        "--partitions",
        str(partitions),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=site.folder)


def moved(site: Site, prefix: str, partitions: int) -> Deployment:
    """The deployment with the settings that ``copy-inputs`` prints."""
    text = site.file.read_text()
    text = text.replace(f'topic_prefix = "{site.kafka.topic_prefix}"', f'topic_prefix = "{prefix}"')
    text = text.replace(f"partitions = {site.kafka.partitions}\n", f"partitions = {partitions}\n")
    folder = site.folder / "moved"
    folder.mkdir()
    return Deployment(folder, text)


def refusal(site: Deployment, instance: str) -> str:
    """The line with which a worker leaves."""
    with WorkerProcess(site, instance=instance) as worker:
        assert worker.wait() == FAILED
    lines = [each["message"] for each in worker.logged()]
    return next(line.removeprefix("leaving: ") for line in lines if line.startswith("leaving: "))


@pytest.mark.parametrize("lost", ["scans", "alerts"])
def test_a_worker_derives_everything_again_from_copied_inputs(new_site: NewSite, lost: Topic) -> None:
    """With another number of partitions, the responses included; a worker that lacks ``scans`` says what to run."""
    site = new_site("leeds", "york")
    rows = incidents("leeds", 160, 1), incidents("york", 160, 2)
    with WorkerProcess(site) as worker:
        site.produce([*rows[0][:FED], *rows[1]])
        settle(site, worker)
        alert = open_alert(site)
        send(site, [response(alert, "ann"), response(alert, "bob", "take")])
        worker.until(lambda: len(responses_of(site, alert)) == 2, "the responses are on record")
        site.produce(rows[0][FED:])
        settle(site, worker)
        assert worker.stop() == DONE
    alerts = Counter(site.alerts())
    delete_and_create(site, lost)
    if lost == "scans":
        line = refusal(site, "w2")
        assert line.startswith(f"{site.kafka.topic('scans')}, partition ") and line.endswith(ADVICE)
        assert f"the group {site.kafka.group} has read {site.kafka.topic('incidents')} up to offset" in line
    prefix = f"{site.kafka.topic_prefix}v2-"
    done = copy_inputs(site, prefix, 3)
    assert done.returncode == 0, done.stderr
    assert f"copied {160 * 2} incidents, 2 responses" in done.stdout
    again = copy_inputs(site, prefix, 3)
    assert again.returncode == 2 and "already exists" in again.stderr
    with closing(moved(site, prefix, 3)) as there, WorkerProcess(there, instance="w3") as worker:
        worker.until(lambda: len(there.alerts()) >= alerts.total(), "every revision is there again")
        worker.until(worker.is_ready, "ready")
        assert worker.stop() == DONE
        assert Counter(there.alerts()) == alerts
        for area in ("leeds", "york"):
            log = KafkaLog(there.kafka, area, 65_536)
            assert audit(log, lambda: None).breaks == []
            assert reproduce(log, None, lambda: None).differences == []
        assert {record.timestamp for record in there.read("incidents")} == {
            record.timestamp for record in site.read("incidents")
        }


def test_an_incident_that_comes_while_other_topics_are_copied_is_noticed(new_site: NewSite) -> None:
    """The incidents are copied first; a feed that was not stopped must not lose what it sends after that."""
    site = new_site()
    rows = incidents("leeds", 20, 1)
    site.produce(rows[:-1])
    send(site, [response("0" * 32, "ann")])
    until(lambda: knows_groups(site), "a new broker has a coordinator of groups")
    target = msgspec.structs.replace(site.kafka, topic_prefix=f"{site.kafka.topic_prefix}v2-")
    steps: list[None] = []

    def step() -> None:
        steps.append(None)
        if len(steps) == len(rows):  # the response is being copied
            site.produce(rows[-1:])

    topic = re.escape(site.kafka.topic("incidents"))
    with pytest.raises(CopyError, match=f"^{topic}: records arrived meanwhile"):
        copy(site.kafka, target, {"leeds"}, site.configuration.longest_window_days, 65_536, step)
    assert len(steps) == len(rows)
    with closing(KafkaConsumer(**consumer_arguments(target))) as consumer:
        homes = [TopicPartition(target.topic("scans"), number) for number in range(target.partitions)]
        assert set(consumer.end_offsets(homes).values()) == {0}  # a worker refuses them


def test_stamps_of_a_clock_that_was_ahead_are_copied(new_site: NewSite) -> None:
    site = new_site()
    windows, hours_s = site.configuration.longest_window_days, 3 * 3600
    source, target = (
        msgspec.structs.replace(site.kafka, topic_prefix=f"{site.kafka.topic_prefix}{name}-") for name in ("a", "b")
    )
    create_topics(source, windows, keep_times=INPUTS)
    until(lambda: knows_groups(site), "a new broker has a coordinator of groups")
    ahead_ms = round((time.time() + hours_s) * 1000)
    with closing(KafkaProducer(**producer_arguments(site.kafka))) as producer:
        sent = producer.send(source.topic("incidents"), b"{}", key=b"leeds", timestamp_ms=ahead_ms)
        sent.get(timeout=30)
    copied = copy(source, target, {"leeds"}, windows, 65_536, lambda: None)
    assert copied["incidents"] == 1
    assert check_topics(target, windows) == []


def test_partitions_that_are_added_are_said_and_their_records_come_back(new_site: NewSite) -> None:
    """What the feed sends to the new partition is rejected, and counts again once the inputs are copied."""
    site = new_site(*MOVING)
    rows = [row for area in MOVING for row in incidents(area, 100, len(area))]
    incidents_, fault = site.kafka.topic("incidents"), "has 3 partitions: must be 2 (kafka.partitions)"
    with WorkerProcess(site) as worker:
        site.produce(rows[:150])
        settle(site, worker)
        worker.until(worker.is_ready, "ready")
        with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
            admin.create_partitions({incidents_: 3})
        began_s = time.monotonic()
        worker.until(lambda: fault in worker.asked("/readyz")[1], "the worker is not ready and says why")
        assert time.monotonic() - began_s < 60
        assert "hotspots_topic_faults 1.0" in worker.asked("/metrics")[1]
        assert any(each["level"] == "error" and fault in each["message"] for each in worker.logged())
        site.produce(rows[150:])
        assert worker.stop() == DONE
    with WorkerProcess(site, instance="w2") as worker:
        assert worker.wait() == FAILED
    line = worker.logged()[-1]
    assert line["level"] == "critical" and fault in line["message"] and "hotspots copy-inputs" in line["message"]
    check = subprocess.run(
        [HOTSPOTS, "topics", "--check", "--config", site.file], capture_output=True, text=True, timeout=60, check=False
    )
    assert check.returncode == 1 and fault in check.stderr
    prefix = f"{site.kafka.topic_prefix}v3-"
    done = copy_inputs(site, prefix, 3)
    assert done.returncode == 0 and f"copied {len(rows)} incidents" in done.stdout, done.stderr
    with closing(moved(site, prefix, 3)) as there, WorkerProcess(there, instance="w3") as worker:
        right = {area: decode_scan(values[-1]).next_offset for area, values in there.expected()[1].items()}
        worker.until(lambda: there.covered() == right, "every record of every area is on record")
        assert worker.stop() == DONE
        there.check()
        assert sum(decode_scan(values[-1]).accounts.read for values in there.scans().values()) > 290


@pytest.mark.parametrize("topic", ["incidents", "scans"])
def test_a_topic_that_is_created_again_under_a_running_worker_ends_it(new_site: NewSite, topic: Topic) -> None:
    site = new_site()
    rows = incidents("leeds", 160, 1)
    with WorkerProcess(site) as worker:
        site.produce(rows[:100])
        worker.until(lambda: site.covered()["leeds"] == 99, "the first are on record")
        delete_and_create(site, topic)
        site.produce(rows[100:])
        assert worker.wait() == FAILED
    lines = [each["message"] for each in worker.logged() if each["message"].startswith("leaving: ")]
    assert len(lines) == 1 and site.kafka.topic(topic) in lines[0], lines
    assert refusal(site, "w2").endswith(ADVICE)


def test_settings_that_were_lost_are_written_again(new_site: NewSite) -> None:
    site = new_site()
    site.produce(incidents("leeds", 160, 1))
    with WorkerProcess(site) as worker:
        settle(site, worker)
        assert worker.stop() == DONE
    keys = [record.key for record in site.read("settings")]
    delete_and_create(site, "settings")
    with WorkerProcess(site, instance="w2") as worker:
        worker.until(worker.is_ready, "ready")
        assert worker.stop() == DONE
    assert [record.key for record in site.read("settings")] == keys
    assert reproduce(KafkaLog(site.kafka, "leeds", 65_536), None, lambda: None).differences == []
