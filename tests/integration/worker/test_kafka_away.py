"""Kafka dies or freezes under a worker: the worker reports it, waits, and can still leave."""

from __future__ import annotations

import re
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from streams.local_services.kafka import LocalKafka
from streams.worker.consumer import DONE, FAILED
from streams.worker.engine.publisher import COMMIT_S
from tests.integration.conftest import NewSite
from tests.integration.worker_process import BEGIN, Site, WorkerProcess, incidents, tick

END = BEGIN + timedelta(days=13)
RECOVERY_S = 150.0
"""A transaction that was open when Kafka died is given up after 25 s, and the clients back off besides."""
WATCHDOG_S = 10
"""Less than a transaction or a rebuild waits for Kafka."""
FEW_LINES = 50
STOP_S = 30.0
"""Time limit for leaving, in seconds, below the grace period of docker-compose.yml."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of clients in this process
def test_a_broker_that_dies_is_missed_and_waited_for(tmp_path: Path) -> None:
    """During a replay, the worker reports that it is not ready, resumes on its own, and leaves when stopped."""
    with LocalKafka(tmp_path / "kafka") as broker:
        site = Site(tmp_path, broker.bootstrap, "dies-")
        rows = [*incidents("leeds", 160, 1), tick("leeds", END)]
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        with WorkerProcess(site, environ={"TMPDIR": str(temporary)}) as worker:

            def own(level: str, part: str) -> int:
                watch = "streams.worker.background.kafka_watch"
                return sum(
                    (each["logger"], each["level"]) == (watch, level) and part in each["message"]
                    for each in worker.logged()
                )

            site.produce(rows[:80])
            worker.until(lambda: site.covered()["leeds"] >= 40, "a part is on record")
            site.close()  # before it finds the broker gone
            broker.kill()
            before = len(worker.logged())
            worker.until(lambda: "does not answer" in worker.asked("/readyz")[1], "Kafka is missed")
            assert worker.asked("/readyz") == (503, f"Kafka at {broker.bootstrap} does not answer\n")
            assert worker.asked("/healthz") == (200, "ok\n")
            assert 'hotspots_feed_state{area="leeds",state="kafka_away"} 1.0' in worker.asked("/metrics")[1]
            assert own("error", "does not answer") == 1
            assert len(worker.logged()) - before < FEW_LINES

            broker.start()
            site.produce(rows[80:])
            worker.until(site.is_covered, "every record is on record", RECOVERY_S)
            worker.until(lambda: sum(site.committed().values()) == 161, "every record is acknowledged")
            worker.until(worker.is_ready, "ready again")
            assert own("info", "answers again") == 1
            site.check()
            site.produce([tick("leeds", END + timedelta(days=1))])
            worker.until(site.is_covered, "there is something to acknowledge")
            site.close()

            broker.kill()
            begun_s = time.monotonic()
            assert worker.stop() == DONE
            assert list(temporary.iterdir()) == []
            assert time.monotonic() - begun_s < STOP_S


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of clients in this process
def test_a_broker_that_freezes_in_a_transaction_is_waited_for(tmp_path: Path) -> None:
    """Nothing ends the worker, which is not ready, shows its area, and goes on when the broker does."""
    with LocalKafka(tmp_path / "kafka") as broker:
        site = Site(tmp_path, broker.bootstrap, "freezes-", worker={"watchdog_s": WATCHDOG_S})
        rows = [*incidents("leeds", 160, 1), tick("leeds", END)]
        with WorkerProcess(site, f"freeze-{broker.process.pid}:2") as worker:

            def lines(part: str) -> int:
                return sum(part in each["message"] for each in worker.logged())

            try:
                for start in (0, 80):
                    site.produce(rows[start : start + 80])
                    worker.until(lambda: lines("rebuilt in") == 2, "both partitions are rebuilt")
                worker.until(lambda: "does not answer" in worker.asked("/readyz")[1], "Kafka is missed")
                worker.until(lambda: lines("transaction aborted, rebuilding"), "it is given up", COMMIT_S + 20)
                worker.until(lambda: lines("cannot be rebuilt at the moment"), "the rebuild waits")
                assert worker.asked("/healthz") == (200, "ok\n")
                assert worker.asked("/readyz")[0] == 503
                assert 'hotspots_feed_state{area="leeds",state="kafka_away"} 1.0' in worker.asked("/metrics")[1]
            finally:
                broker.process.send_signal(signal.SIGCONT)
            site.produce(rows[160:])
            worker.until(site.is_covered, "every record is on record", RECOVERY_S)
            worker.until(worker.is_ready, "ready again")
            assert lines("does not answer") == lines("answers again") == lines("cannot be rebuilt at the moment") == 1
            assert worker.stop() == DONE
        site.check()
        site.close()


def test_a_rebuild_that_a_library_cancels_ends_the_worker_in_one_line(new_site: NewSite) -> None:
    site = new_site()
    with WorkerProcess(site, "cancel:1") as worker:
        assert worker.wait() == FAILED
        critical = [each for each in worker.logged() if each["level"] == "critical"]
        (message,) = (each["message"] for each in critical)
        assert re.fullmatch(r"leaving: partition [01]: its rebuild was cancelled", message)
        assert "error" not in critical[0]
