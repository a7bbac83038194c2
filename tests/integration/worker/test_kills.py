"""Workers that are killed at any moment write what an undisturbed worker writes."""

from __future__ import annotations

import json
import random
import signal
import uuid
from datetime import datetime, timedelta

import msgspec
import pytest
from redis import Redis

from streams.messages.records import Rejection
from streams.redis_copy.keys import area_key
from streams.worker.consumer import DONE
from tests.conftest import GivenValkey
from tests.integration.conftest import NewSite
from tests.integration.worker_process import Row, Site, WorkerProcess, incidents, revisions, tick, until

RECORDS_A_KILL = 20


def slices(area: str, number: int, chance: random.Random) -> list[list[Row]]:
    """The records that arrive before each start of a worker, with a tick record at the end; some are rejected."""
    rows = incidents(area, RECORDS_A_KILL * number, 5)
    cut = [rows[start : start + RECORDS_A_KILL] for start in range(0, len(rows), RECORDS_A_KILL)]
    for each in cut:
        last = datetime.fromisoformat(json.loads(each[-1][1])["occurred_at"])
        each.insert(chance.randrange(len(each)), (area, b"{", ()))
        each.insert(chance.randrange(len(each)), ("nowhere", b"{}", ()))
        each.append(tick(area, last + timedelta(seconds=1)))
    return cut


def faults(number: int, chance: random.Random) -> list[str]:
    """Where each worker is killed: every place equally often. The first worker has nothing to rebuild."""
    places = ["scan", "transaction", "acknowledgement", "rebuild"] * (number // 4)
    while places[0] == "rebuild":
        chance.shuffle(places)
    most = {"scan": RECORDS_A_KILL, "transaction": 1, "acknowledgement": 1, "rebuild": RECORDS_A_KILL}
    return [f"{place}:{chance.randint(1, most[place])}" for place in places]


def killed(site: Site, fault: str) -> bool:
    """Run a worker until it kills itself, or until all is on record; returns whether it killed itself."""
    with WorkerProcess(site, fault) as worker:
        until(lambda: worker.process.poll() is not None or site.is_covered(), f"killed at {fault}")
        by_itself = worker.process.poll() is not None
        worker.kill()
        assert worker.process.returncode == -signal.SIGKILL
        return by_itself


@pytest.mark.parametrize(
    ("seed", "kills"),
    [(1, 4), pytest.param(2, 20, marks=pytest.mark.long), pytest.param(3, 20, marks=pytest.mark.long)],
)
def test_killed_workers_leave_what_an_undisturbed_one_would(
    new_site: NewSite, valkey: GivenValkey, seed: int, kills: int
) -> None:
    chance = random.Random(seed)
    area = f"leeds-{uuid.uuid4().hex[:8]}"
    site = new_site(area, redis=valkey.url)
    *before, last = slices(area, kills + 1, chance)
    by_itself = 0
    for fault, rows in zip(faults(kills, chance), before, strict=True):
        site.produce(rows)
        by_itself += killed(site, fault)
    site.produce(last)
    assert by_itself >= kills * 3 // 4
    with WorkerProcess(site) as worker, Redis.from_url(valkey.url, decode_responses=True) as redis:
        worker.until(site.is_covered, "every record is on record")
        alerts = site.expected()[0]
        worker.until(lambda: redis.xlen(area_key(area, "alerts")) == len(alerts), "every alert is in Redis")
        events = [entry["event"].encode() for _, entry in redis.xrange(area_key(area, "alerts"))]
        worker.until(lambda: sum(site.committed().values()) == len(site.read("incidents")), "all is acknowledged")
        assert worker.stop() == DONE
    assert revisions(site.alerts()) == revisions(alerts)
    assert events == site.check()
    letters = [msgspec.json.decode(record.value, type=Rejection) for record in site.read("rejected")]
    refused = [(record.partition, record.offset) for record in site.read("incidents") if record.value in (b"{", b"{}")]
    assert sorted((letter.partition, letter.offset) for letter in letters) == refused
