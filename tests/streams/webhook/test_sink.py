"""Alerts found late, without a server: sent once the worker has caught up, across restarts, and ended only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from kafka.errors import KafkaError as CoverageError
from prometheus_client import CollectorRegistry

from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import WebhookSettings
from streams.messages.alert import PROVENANCE_HEADER, Provenance
from streams.webhook.client import UndeliverableError
from streams.webhook.known_alerts import MAX_KNOWN, KnownAlerts
from streams.webhook.late import ScanReader
from streams.webhook.metrics import WebhookMetrics
from streams.webhook.sink import WebhookSink
from tests.streams.brokers.kept_log import kept
from tests.streams.messages.alert_events import OPENED_S, ended, event

HERE, THERE = TopicPartition("alerts", 0), TopicPartition("alerts", 1)
MADE = Provenance(version="1", host="h", partition=0, next_offset=1, latency_s=0.1, delayed=False)
Row = tuple[bytes, bool]
"""A record of alerts: its value, and whether it is delayed."""


def message(at: TopicPartition, offset: int, value: bytes, provenance: bytes | None = None) -> Any:
    """A record of the area, as the library gives it."""
    record = kept(at, offset, b"leeds", value)
    record.headers = () if provenance is None else ((PROVENANCE_HEADER, provenance),)
    return record


class Desk:
    """A partition of the topic, the group's offset in it, and an on-call tool."""

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.committed: tuple[int, str] = (0, KnownAlerts().metadata)
        self.posted: list[tuple[str, str, bool]] = []  # name, status, found late
        self.refuses = False
        self._position = 0

    async def post(self, body: bytes) -> None:
        read = msgspec.json.decode(body)
        if self.refuses:
            raise UndeliverableError("refused", "HTTP 400", 1)
        (alert,) = read["alerts"]
        name = bytes.fromhex(alert["labels"]["alert_id"]).rstrip(b"\0").decode()
        self.posted.append((name, read["status"], alert["annotations"].get("found_late") == "true"))

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({HERE})

    async def position(self, _: TopicPartition) -> int:
        return self._position

    async def end_offsets(self, _: Any) -> dict[TopicPartition, int]:
        return {HERE: len(self.rows)}

    def last_stable_offset(self, _: TopicPartition) -> int:
        return len(self.rows)

    async def commit(self, marks: dict[TopicPartition, tuple[int, str]]) -> None:
        self.committed = marks[HERE]

    async def send_and_wait(self, *_: Any, **__: Any) -> None:
        pass

    def session(self, run: Callable[[Session], Awaitable[None]]) -> None:
        """Run a process from the committed offset on."""

        async def session() -> None:
            one = Session(self)
            await run(one)
            await one.sink._in_flight.cancel()

        asyncio.run(session())


class Session:
    """One run of the webhook."""

    def __init__(self, desk: Desk) -> None:
        settings, metrics = WebhookSettings(url="http://tool.example/"), WebhookMetrics(CollectorRegistry())
        self.desk = desk
        self.sink = WebhookSink(KafkaSettings(), "group", settings, desk, metrics)  # type: ignore[arg-type]
        self.sink._delivery = self.sink._delivery_by(desk)
        self.sink._is_settled = True
        offset, metadata = desk.committed
        self.sink._known = {HERE: KnownAlerts.read(metadata, 2_000_000_000)}
        self.current: dict[str, int] = {}
        self.sink._scans = SimpleNamespace(read=self._read, current=self.current)  # type: ignore[assignment]
        desk._position = offset

    async def _read(self, _: set[int]) -> None:
        pass

    async def go_on(self, upto: int | None = None, caught_up: bool = False) -> None:
        """Read rows up to an offset and do what is due."""
        for offset in range(self.desk._position, len(self.desk.rows) if upto is None else upto):
            value, is_delayed = self.desk.rows[offset]
            header = msgspec.structs.replace(MADE, delayed=is_delayed).encode()
            self.sink._take(message(HERE, offset, value, header))
            self.desk._position = offset + 1
        if caught_up:
            self.current["leeds"] = OPENED_S + 60 * self.desk._position
        await self.sink._deliver_late(self.desk)
        while self.sink._in_flight:
            self.sink._in_flight.check()
            await asyncio.sleep(0)
        await self.sink._commit(self.desk)


LATE, NEWS = True, False
OPENED, RISEN, ENDED = (event("a", tier="alert"), LATE), (event("a", 2, notice="escalated"), LATE), ended("a", 3)


def test_what_is_open_when_the_worker_has_caught_up_is_sent_once() -> None:
    desk = Desk(OPENED, RISEN)

    async def run(session: Session) -> None:
        await session.go_on()
        assert (desk.posted, desk.committed[0]) == ([], 0)
        await session.go_on(caught_up=True)
        await session.go_on()
        assert desk.posted == [("a", "firing", True)]
        assert desk.committed[0] == 2
        desk.rows.append((ENDED, NEWS))
        await session.go_on()
        assert desk.posted[1:] == [("a", "resolved", False)]

    desk.session(run)


def test_what_has_ended_by_then_is_not_sent_at_all() -> None:
    desk = Desk(OPENED, (ENDED, LATE))

    async def run(session: Session) -> None:
        await session.go_on(upto=1)
        await session.go_on(upto=1, caught_up=True)  # its end is in the topic already, and not read yet
        assert desk.posted == []
        await session.go_on()
        assert (desk.posted, desk.committed) == ([], (2, KnownAlerts().metadata))

    desk.session(run)


@pytest.mark.parametrize("is_late", [LATE, NEWS])
def test_an_end_of_what_was_never_sent_is_not_sent(is_late: bool) -> None:
    desk = Desk((ENDED, is_late), (event("b"), NEWS))

    async def run(session: Session) -> None:
        await session.go_on()
        assert desk.posted == [("b", "firing", False)]

    desk.session(run)


def test_a_refused_alert_counts_as_unknown() -> None:
    desk = Desk((event("a"), NEWS))

    async def run(session: Session) -> None:
        desk.refuses = True
        await session.go_on()
        desk.refuses = False
        desk.rows.append((ENDED, NEWS))
        await session.go_on()
        assert desk.posted == []

    desk.session(run)


def test_a_restart_forgets_neither_what_waits_nor_what_was_sent() -> None:
    desk = Desk(OPENED, (event("b"), NEWS))

    async def before(session: Session) -> None:
        await session.go_on()
        assert (desk.posted, desk.committed[0]) == ([("b", "firing", False)], 0)

    async def after(session: Session) -> None:
        await session.go_on(caught_up=True)
        assert ("a", "firing", True) in desk.posted
        assert desk.committed[0] == 2

    async def last(session: Session) -> None:
        desk.rows += [(ended("a"), LATE), (ended("b"), LATE), (ended("c"), LATE)]
        await session.go_on()
        assert sorted(desk.posted[-2:]) == [("a", "resolved", False), ("b", "resolved", False)]

    for session in (before, after, last):
        desk.session(session)
    assert desk.committed[1] == KnownAlerts().metadata


def test_a_notice_on_time_tells_a_late_alert() -> None:
    desk = Desk(OPENED, (event("a", 2, notice="escalated"), NEWS))

    async def run(session: Session) -> None:
        await session.go_on()
        await session.go_on(caught_up=True)
        assert desk.posted == [("a", "firing", False)]

    desk.session(run)


def test_a_group_of_a_version_without_the_list_ends_what_it_may_have_sent() -> None:
    desk = Desk((ENDED, NEWS))
    desk.committed = (0, "")

    async def run(session: Session) -> None:
        await session.go_on()
        assert desk.posted == [("a", "resolved", False)]

    desk.session(run)


def test_an_offset_that_another_program_has_set_is_known() -> None:
    assert KnownAlerts.is_kept(KnownAlerts().metadata) and KnownAlerts.is_kept(KnownAlerts(5, ("0" * 16,)).metadata)
    assert not any(map(KnownAlerts.is_kept, ("", "told", "told 5", "mirrored")))


def test_the_list_of_what_was_sent_fits_into_the_metadata() -> None:
    desk = Desk(*((event(f"{number}"), NEWS) for number in range(2 * MAX_KNOWN)))

    async def run(session: Session) -> None:
        await session.go_on()
        desk.rows += [(ended(f"{number}"), NEWS) for number in range(2 * MAX_KNOWN)]
        await session.go_on()

    desk.session(run)
    assert len(desk.posted) == 4 * MAX_KNOWN
    assert len(desk.committed[1].encode()) <= 4096


class Moving:
    """A consumer of two partitions, which are moved while the first record of a batch is looked up."""

    def __init__(self, sink: WebhookSink, keeps: bool) -> None:
        self.sink, self.keeps = sink, keeps

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({HERE, THERE})

    def resume(self, *_: TopicPartition) -> None:
        pass

    async def getmany(self, **_: int) -> dict[TopicPartition, list[Any]]:
        return {each: [message(each, 100, event("a"))] for each in (HERE, THERE)}

    def covers(self, partition: int, _: int) -> bool:
        """As the coverage does: it takes long enough for a rebalance."""
        if partition == HERE.partition:
            self.sink._unsettle()
            self.sink._known = {HERE: KnownAlerts(), THERE: KnownAlerts()} if self.keeps else {HERE: KnownAlerts()}
            self.sink._is_settled = True
        return True


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "lost"])
def test_what_was_read_before_partitions_moved_is_read_again(keeps: bool) -> None:
    async def run(session: Session) -> None:
        moving: Any = Moving(session.sink, keeps)
        session.sink._coverage = moving
        session.sink._ask = _nothing  # type: ignore[assignment, method-assign]
        session.sink._deliver_late = session.sink._commit = _nothing  # type: ignore[assignment, method-assign]
        await session.sink._round(moving)
        assert len(session.sink._in_flight) == 0

    Desk().session(run)


class Unanswered(Desk):
    """A partition of three alerts, all read at once; Kafka does not say whether the second counts."""

    def __init__(self) -> None:
        super().__init__(*((event(name), NEWS) for name in "abc"))

    def resume(self, *_: TopicPartition) -> None:
        pass

    async def getmany(self, **_: int) -> dict[TopicPartition, list[Any]]:
        self._position = len(self.rows)
        return {HERE: [message(HERE, offset, value, MADE.encode()) for offset, (value, _) in enumerate(self.rows)]}

    def covers(self, _: int, offset: int) -> bool:
        if offset == 1:
            raise self.error
        return True

    error: BaseException = CoverageError("no answer")


@pytest.mark.parametrize("error", [CoverageError("no answer"), asyncio.CancelledError()])
def test_what_was_read_and_not_taken_is_not_committed(error: BaseException) -> None:
    desk = Unanswered()
    desk.error = error

    async def run(session: Session) -> None:
        session.sink._coverage = session.sink._consumer = desk  # type: ignore[assignment]
        with pytest.raises((KafkaError, asyncio.CancelledError)):
            await session.sink._round(desk)
        while session.sink._in_flight:
            await asyncio.sleep(0)
        await session.sink.let_go(desk)
        assert [name for name, *_ in desk.posted] == ["a"]
        assert desk.committed[0] == 1

    desk.session(run)


async def _nothing(_: object) -> None:
    pass


@pytest.mark.parametrize(("is_late", "tick"), [(False, 1_714_766_400), (True, None), (None, None)])
def test_a_scan_record_in_time_shows_that_an_area_is_current_whatever_its_stamp(
    is_late: bool | None, tick: int | None
) -> None:
    header = None if is_late is None else msgspec.structs.replace(MADE, delayed=is_late).encode()
    record = message(HERE, 1, b'{"area":"leeds","tick_s":1714766400}', header)
    reader: Any = SimpleNamespace(current={})
    for stamp_s in (-7200, 0, 7200):
        record.timestamp = (OPENED_S + stamp_s) * 1000
        ScanReader._take(reader, record)
        assert reader.current == ({} if tick is None else {"leeds": tick})
