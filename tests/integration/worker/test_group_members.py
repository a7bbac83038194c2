"""Which partitions the group has assigned to a worker, as the worker asks before it opens one."""

from __future__ import annotations

from streams.brokers.groups import unassigned
from tests.integration.conftest import NewSite
from tests.integration.worker_process import WorkerProcess, until


def test_the_group_knows_what_a_worker_has_and_that_others_have_nothing(new_site: NewSite) -> None:
    site = new_site()
    topic = site.kafka.topic("incidents")
    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "it has its partitions")
        assert [unassigned(site.kafka, "w1", topic, number) for number in range(2)] == [None, None]
        for instance, name, number in (("w2", topic, 0), ("w1", "other", 0), ("w1", topic, 2)):
            why = unassigned(site.kafka, instance, name, number) or ""
            assert f"has not assigned partition {number} of {name} to {instance}: its state is Stable" in why
        worker.stop()
    until(lambda: unassigned(site.kafka, "w1", topic, 0), "a worker that is gone has nothing")
