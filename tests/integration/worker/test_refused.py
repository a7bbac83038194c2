"""A worker that could not serve its areas does not take them; one with other settings says so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from streams.local_services.valkey import LocalValkey
from streams.worker.consumer import DONE, FAILED
from tests.integration.conftest import NewSite
from tests.integration.worker_process import BEGIN, Deployment, WorkerProcess, areas_of_one_partition, incidents, tick

END = BEGIN + timedelta(days=13)


@pytest.fixture
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The URL of a Valkey with a password."""
    with LocalValkey(tmp_path_factory.mktemp("guarded")) as server, Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "worker", "on", ">right", "~hotspots:*", "&hotspots:*", "+@all")
        yield server.url


def test_a_worker_that_redis_refuses_leaves_the_areas_to_the_other(new_site: NewSite, guarded: str) -> None:
    areas = areas_of_one_partition(2, 2)
    site = new_site(*areas, redis=guarded)
    right = {"HOTSPOTS_REDIS__USERNAME": "worker", "HOTSPOTS_REDIS__PASSWORD": "right"}
    with WorkerProcess(site, environ=right) as good:
        good.until(good.is_ready, "ready")
        with WorkerProcess(site, instance="w2", environ=right | {"HOTSPOTS_REDIS__PASSWORD": "wrong"}) as other:
            assert other.wait() == FAILED
            last = other.logged()[-1]
        assert last["message"].startswith(f"Redis at {guarded} refuses this worker: invalid username-password pair")
        assert not [line for line in other.logged() if "joined" in line["message"]]
        site.produce([row for area in areas for row in (*incidents(area, 64, 1), tick(area, END))])
        good.until(site.is_covered, "every record on record")
        assert [line["message"] for line in good.logged()].count("assigned partitions [0, 1]") == 1
        assert good.stop() == DONE


def test_a_worker_with_other_settings_says_so_when_it_takes_over(new_site: NewSite) -> None:
    site = new_site()
    site.produce([*incidents("leeds", 64, 1), tick("leeds", END)])
    with WorkerProcess(site) as first:
        first.until(site.is_covered, "every record on record")
        assert 'hotspots_configuration_changes_total{area="leeds"} 0.0' in first.asked("/metrics")[1]
        assert first.stop() == DONE
    site.file.write_text(site.file.read_text().replace("replications = 99", "replications = 199"))
    with WorkerProcess(Deployment.at(Path(site.file), {}), instance="w2") as second:
        second.until(second.is_ready, "ready")
        assert 'hotspots_configuration_changes_total{area="leeds"} 1.0' in second.asked("/metrics")[1]
        said = [line["message"] for line in second.logged() if "taken over with configuration" in line["message"]]
        assert len(said) == 1
        assert said[0].startswith("area leeds: ")
