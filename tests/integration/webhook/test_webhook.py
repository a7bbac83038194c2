"""Alerts from a real Kafka to a real HTTP server: at least once, in order, even if one of the two is away."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from kafka import KafkaProducer

from streams.messages.alert import Provenance
from streams.messages.records import partition_of
from streams.messages.scan import PartitionRecord, encode, partition_key
from tests.integration.conftest import NewSite
from tests.integration.worker_process import Site, WorkerProcess, until
from tests.streams.messages.alert_events import ended, event

TOKEN = "tell-no-one"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str] = {}  # noqa: RUF012 (nobody changes it)


class Desk(http.server.ThreadingHTTPServer):
    """An on-call tool that gives the ``answers`` for an alert's name in order, and then accepts what is posted."""

    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        self.answers: dict[str, deque[Answer]] = defaultdict(deque)
        self.accepted: list[tuple[str, str, str]] = []  # name, status, notice
        self.found_late: list[str] = []
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Desk

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (alert,) = body["alerts"]
        name = bytes.fromhex(alert["labels"]["alert_id"]).rstrip(b"\0").decode(errors="replace")
        self.server.asked.append(name)
        self.server.tokens.add(self.headers["Authorization"])
        answers = self.server.answers[name]
        answer = answers.popleft() if answers else Answer(200)
        if answer.status == 200:
            self.server.accepted.append((name, body["status"], alert["annotations"]["notice"]))
            self.server.found_late += [name] * ("found_late" in alert["annotations"])
        self.send_response(answer.status)
        for header, value in answer.headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def open_desk(port: int = 0) -> Iterator[Desk]:
    with Desk(port) as desk:
        thread = threading.Thread(target=desk.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield desk
        finally:
            desk.shutdown()
            thread.join()


def provenance(*, delayed: bool, latency_s: float = 0.1) -> Provenance:
    return Provenance(version="1", host="h", partition=0, next_offset=1, latency_s=latency_s, delayed=delayed)


def publish(site: Site, *values: bytes, delayed: bool = False) -> None:
    """Send alerts of the area leeds, with their provenance."""
    made = provenance(delayed=delayed)
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all")) as producer:
        headers = [("provenance", made.encode())]
        for value in values:
            producer.send(site.kafka.topic("alerts"), value, key=b"leeds", headers=headers).get(timeout=30)


def scan(site: Site, seconds_late: float) -> None:
    """Send a scan record of the area, as a worker does that is this far behind."""
    value = json.dumps({"area": "leeds", "tick_s": int(time.time() - seconds_late)}).encode()
    made = provenance(delayed=seconds_late > 60, latency_s=seconds_late)
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all")) as producer:
        headers = [("provenance", made.encode())]
        producer.send(site.kafka.topic("scans"), value, key=b"leeds", headers=headers).get(timeout=30)


def own_record(site: Site, record: PartitionRecord) -> None:
    """Send the partition's own record, as a worker does at the end of a transaction."""
    partition = partition_of(b"leeds", site.kafka.partitions)
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all")) as producer:
        topic, key = site.kafka.topic("scans"), partition_key(partition)
        producer.send(topic, encode(record), key=key, partition=partition).get(timeout=30)


def webhook(site: Site, desk_port: int, **settings: str) -> WorkerProcess:
    variables = {
        "url": f"http://127.0.0.1:{desk_port}/secret-path",
        "token": TOKEN,
        "metrics_port": "0",
        **settings,
    }
    environ = {f"HOTSPOTS_WEBHOOK__{key.upper()}": value for key, value in variables.items()}
    return WorkerProcess(site, instance="webhook", environ=environ, command="webhook")


def counted(process: WorkerProcess) -> dict[str, float]:
    """Return the samples that are not 0."""
    lines = [line.rsplit(" ", 1) for line in process.asked("/metrics")[1].splitlines() if line.startswith("hotspots_")]
    return {name.removeprefix("hotspots_webhook_"): float(value) for name, value in lines if float(value)}


def test_alerts_are_delivered_and_a_refusal_stops_nobody(new_site: NewSite) -> None:
    site = new_site("leeds")
    publish(site, event("before"))
    with open_desk() as desk, webhook(site, desk.server_port, give_up_min="0.05") as process:
        process.until(process.is_ready, "it reads alerts")
        desk.answers["fails-once"] += [Answer(500)]
        desk.answers["throttled"] += [Answer(429, {"Retry-After": "1"})]
        desk.answers["refused"] += [Answer(400)]
        desk.answers["moved"] += [Answer(302, {"Location": "http://127.0.0.1:1/"})]
        desk.answers["fails"] += [Answer(503)] * 100
        publish(
            site,
            *(event(name) for name in ("fails", "fails-once", "throttled", "refused", "moved", "good")),
            event("quiet", notice=""),
            event("rare-not", tier="watch"),
            event("fails-once", 2, notice="escalated"),
            b"no alert",
            ended("good", 2),
        )
        publish(site, ended("throttled", 2), ended("before"), delayed=True)  # the tool does not know the second
        expected = {
            ("fails-once", "firing", "opened"),
            ("fails-once", "firing", "escalated"),
            ("throttled", "firing", "opened"),
            ("throttled", "resolved", "ended"),
            ("good", "firing", "opened"),
            ("good", "resolved", "ended"),
        }
        process.until(
            lambda: ("good", "firing", "opened") in desk.accepted, "what comes after one that fails is delivered"
        )
        assert b"server_error" not in b"".join(record.value for record in site.read("undelivered"))  # still being tried
        process.until(lambda: len(desk.accepted) >= len(expected), "all is delivered")
        of_each = {name: [each for each in desk.accepted if each[0] == name] for name, *_ in desk.accepted}
        assert {each for accepted in of_each.values() for each in accepted} == expected
        assert [notice for *_, notice in of_each["fails-once"]] == ["opened", "escalated"]
        assert [status for _, status, _ in of_each["throttled"]] == ["firing", "resolved"]
        letters = process.until(lambda: len(found := site.read("undelivered")) == 4 and found, "dead letters")
        assert letters
        by_reason = {letter["reason"]: letter for letter in map(json.loads, [record.value for record in letters])}
        assert by_reason.keys() == {"refused", "unreadable", "server_error"}
        assert by_reason["refused"]["attempts"] == 1
        assert by_reason["server_error"]["attempts"] > 1
        assert by_reason["server_error"]["detail"] == "HTTP 503 Service Unavailable"
        assert by_reason["server_error"]["notification"]["status"] == "firing"
        assert all(record.key == b"leeds" for record in letters)
        process.until(lambda: "lag_records" not in counted(process), "nothing waits")
        figures = counted(process)
        assert figures.pop('failed_total{reason="server_error"}') >= 3
        assert figures == {
            'delivered_total{state="firing"}': 4,
            'delivered_total{state="resolved"}': 2,
            'failed_total{reason="throttled"}': 1,
            'failed_total{reason="refused"}': 2,
            'dead_letters_total{reason="refused"}': 2,
            'dead_letters_total{reason="unreadable"}': 1,
            'dead_letters_total{reason="server_error"}': 1,
        }
        assert desk.tokens == {f"Bearer {TOKEN}"}
        assert "before" not in desk.asked  # it begins with what comes after its first start
        assert process.stop() == 0
        for secret in (TOKEN, "secret-path"):
            assert secret not in process.log.read_text()


def test_an_end_is_delivered_after_a_restart_and_nothing_is_lost_while_the_desk_or_the_process_is_away(
    new_site: NewSite,
) -> None:
    site = new_site("leeds")
    with open_desk() as desk:
        port = desk.server_port
        with webhook(site, port) as process:
            process.until(process.is_ready, "it reads alerts")
            publish(site, event("first"))
            process.until(lambda: desk.accepted, "the first is delivered")
            assert process.stop() == 0
    publish(site, event("second"), ended("first"))
    with webhook(site, port) as process:
        process.until(lambda: 'failed_total{reason="unreachable"}' in counted(process), "the desk is away")
        process.kill()  # with both still on their way
    publish(site, event("third"))
    with webhook(site, port) as process, open_desk(port) as desk:
        process.until(lambda: len({*desk.accepted}) >= 3, "all is delivered")
        assert {*desk.accepted} == {  # at least once: a busy machine may lose and regain the partition
            ("first", "resolved", "ended"),
            ("second", "firing", "opened"),
            ("third", "firing", "opened"),
        }
        until(lambda: "lag_records" not in counted(process), "nothing waits")
        assert process.stop() == 0


def test_what_is_open_when_the_worker_has_caught_up_is_sent_once_and_only_that_is_resolved(new_site: NewSite) -> None:
    site = new_site("leeds")
    with open_desk() as desk:
        with webhook(site, desk.server_port) as process:
            process.until(process.is_ready, "it reads alerts")
            publish(site, event("open"), event("over"), delayed=True)
            process.until(lambda: counted(process).get("late_alerts") == 2, "both wait for the worker")
            scan(site, 3600)
            publish(site, event("news"))
            process.until(lambda: desk.accepted, "news is delivered meanwhile")
            assert process.stop() == 0  # while the worker is still behind
        with webhook(site, desk.server_port) as process:
            process.until(lambda: counted(process).get("late_alerts") == 2, "both wait again")
            publish(site, event("open", 2, notice="escalated"), ended("over"), delayed=True)
            process.until(lambda: counted(process).get("late_alerts") == 1, "one has ended")

            def sent() -> bool:
                scan(site, 1)  # a worker writes one each second
                return ("open", "firing", "escalated") in desk.accepted

            process.until(sent, "the other is sent once the worker has caught up")
            process.until(lambda: "lag_records" not in counted(process), "nothing waits")
            assert process.stop() == 0
        with webhook(site, desk.server_port) as process:
            process.until(process.is_ready, "it reads alerts")
            publish(site, ended("open", 3))
            process.until(lambda: ("open", "resolved", "ended") in desk.accepted, "its end is sent")
            assert process.stop() == 0
        of_late = [each for each in desk.accepted if each[0] in ("open", "over")]
        assert desk.found_late == ["open"]
        assert of_late == [("open", "firing", "escalated"), ("open", "resolved", "ended")]
        assert {each for each in desk.accepted if each[0] == "news"} == {("news", "firing", "opened")}


def test_a_revision_is_sent_once_a_scan_record_covers_it_and_a_torn_one_never(new_site: NewSite) -> None:
    site = new_site("leeds")
    with open_desk() as desk, webhook(site, desk.server_port) as process:
        process.until(process.is_ready, "it reads alerts")
        own_record(site, PartitionRecord(next_alert=1))
        publish(site, event("covered"), event("torn"), event("later"))
        process.until(lambda: desk.asked and counted(process).get("lag_records") == 2, "one is sent, two wait")
        assert desk.asked == ["covered"]
        own_record(site, PartitionRecord(next_alert=3, torn=((1, 2),)))
        process.until(lambda: "lag_records" not in counted(process), "nothing waits")
        assert desk.asked == ["covered", "later"]
        assert process.stop() == 0
