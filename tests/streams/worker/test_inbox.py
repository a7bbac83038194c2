"""The engine gets each record once, however Faust delivers it, and records are acknowledged in order."""

from __future__ import annotations

import asyncio
import tracemalloc
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from detectors.window.admission import TickMark
from streams.process.clock import MACHINE, Clock
from streams.worker.inbox import BURST, LIMIT_BYTES, SETTLED_S, Inbox, Record
from tests.streams.worker.stopped_clock import StoppedClock

AREAS = ("leeds", "york", None)


def record(offset: int, area: str | None = "leeds") -> Record:
    return Record(offset, 0.0, area, TickMark(0), None, None)


@dataclass
class Log:
    """A partition as Faust delivers it: commits what is acknowledged, and after a rebalance begins there again."""

    areas: list[str | None]
    committed: int = 0
    position: int = 0
    acknowledged: list[int] = field(default_factory=list)

    def inbox(self, limit: int = 100, limit_bytes: int = LIMIT_BYTES, clock: Clock = MACHINE) -> Inbox:
        return Inbox(limit, asyncio.get_running_loop(), self.acknowledged.append, limit_bytes, clock)


def action(name: str, most: int) -> st.SearchStrategy[tuple[str, int]]:
    return st.tuples(st.just(name), st.integers(1, most))


@given(
    areas=st.lists(st.sampled_from(AREAS), min_size=1, max_size=40),
    actions=st.lists(
        st.one_of(
            action("deliver", 8), action("apply", 8), action("scan", 8), action("rebalance", 6), action("abort", 1)
        ),
        max_size=60,
    ),
)
def test_every_record_is_given_once_and_acknowledged_in_order_when_covered(
    areas: list[str | None], actions: list[tuple[str, int]]
) -> None:
    """A scan covers some areas up to what the engine has applied; an abort throws back to what is covered."""

    async def scenario() -> None:
        log = Log(areas)
        inbox = log.inbox(1000)
        covered = dict.fromkeys(AREAS, 0)
        applied: dict[str | None, list[int]] = {area: [] for area in AREAS}
        given = -1

        async def deliver(number: int) -> None:
            for _ in range(min(number, len(areas) - log.position)):
                offset = log.position
                log.position += 1
                await inbox.take(record(offset, areas[offset]))

        def apply(number: int) -> None:
            nonlocal given
            for _ in range(min(number, len(inbox.waiting))):
                taken = inbox.next()
                assert taken.offset > given
                given = taken.offset
                known = applied[taken.area]
                if taken.offset >= covered[taken.area] and (not known or taken.offset > known[-1]):
                    known.append(taken.offset)

        def scan(which: int) -> None:
            area = AREAS[which % len(AREAS)]
            if applied[area]:
                covered[area] = applied[area][-1] + 1
            inbox.cover(dict(covered))

        def rebalance(back: int) -> None:
            log.committed = max(log.committed, log.acknowledged[-1] + 1 if log.acknowledged else 0)
            log.position = log.committed = max(0, log.committed - back + 1)

        def abort() -> None:
            nonlocal given
            given = -1
            for area in AREAS:
                applied[area] = [offset for offset in applied[area] if offset < covered[area]]
            inbox.put_back()

        for name, number in actions:
            if name == "deliver":
                await deliver(number)
            elif name == "apply":
                apply(number)
            elif name == "scan":
                scan(number)
            elif name == "rebalance":
                rebalance(number)
            else:
                abort()
            for offset in log.acknowledged:
                assert offset < covered[areas[offset]]
            reached = max(log.acknowledged, default=-1)
            assert all(offset < covered[areas[offset]] for offset in range(reached))
        await deliver(len(areas))
        apply(len(areas) * 2)
        for which in range(len(AREAS)):
            scan(which)
        for area in AREAS:
            assert applied[area] == [offset for offset, its in enumerate(areas) if its == area]
        assert set(range(log.committed, len(areas))) <= set(log.acknowledged)

    asyncio.run(scenario())


@given(
    deliveries=st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(AREAS), st.integers(0, 12) | st.none()), min_size=1, max_size=60
    ),
    data=st.data(),
)
def test_any_order_of_deliveries_and_scans_acknowledges_what_one_list_of_all_of_them_would(
    deliveries: list[tuple[int, str | None, int | None]], data: st.DataObject
) -> None:
    """Against a list of every delivery, covered or not, from whose head the covered ones are acknowledged.

    The log has holes; a number goes back by so many of its records, as after a rebalance.
    """

    async def scenario() -> None:
        log = Log([])
        inbox = log.inbox(1000)
        known: list[Record] = []
        listed: list[Record] = []
        expected: list[int] = []
        covered: dict[str | None, int] = dict.fromkeys(AREAS, 0)
        position = offset = 0

        def acknowledge() -> None:
            while listed and listed[0].offset < covered[listed[0].area]:
                expected.append(listed.pop(0).offset)

        for step, area, back in deliveries:
            if back is not None:
                position = max(0, position - back)
            if position == len(known):
                offset += step
                known.append(record(offset, area))
            given, position = known[position], position + 1
            if listed and given.offset <= listed[-1].offset:
                listed.clear()
            listed.append(given)
            await inbox.take(given)
            acknowledge()
            assert log.acknowledged == expected
            for name in data.draw(st.sets(st.sampled_from(AREAS))):
                covered[name] = max(covered[name], data.draw(st.integers(0, offset + 1)))
            inbox.cover(dict(covered))
            acknowledge()
            assert log.acknowledged == expected

    asyncio.run(scenario())


def test_what_an_idle_neighbour_holds_back_costs_less_than_a_byte_a_record() -> None:
    """The records themselves are let go of as soon as they are on record."""

    async def scenario() -> None:
        log = Log([])
        inbox = log.inbox()
        await inbox.take(record(0, "york"))
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        number = 50_000
        for offset in range(1, number + 1):
            await inbox.take(Record(offset, 0.0, "leeds", TickMark(0), b"leeds", bytes(300)))
            inbox.next()
            inbox.cover({"leeds": offset + 1})
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert log.acknowledged == []
        assert after - before < number

    asyncio.run(scenario())


def test_what_was_held_back_is_acknowledged_in_bursts() -> None:
    async def scenario() -> None:
        log = Log([])
        inbox = log.inbox(3 * BURST)
        for offset in range(2 * BURST + 2):
            await inbox.take(record(offset, "leeds" if offset else "york"))
        inbox.cover({"leeds": 2 * BURST + 1})
        assert log.acknowledged == []
        inbox.cover({"leeds": 2 * BURST + 1, "york": 1})
        assert log.acknowledged == list(range(BURST))
        while len(log.acknowledged) <= 2 * BURST:
            await asyncio.wait_for(asyncio.sleep(0.01), 10)
        assert log.acknowledged == list(range(2 * BURST + 1))

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_an_abort_in_the_midst_of_a_redelivery_loses_nothing() -> None:
    async def scenario() -> None:
        log = Log(["leeds"] * 8)
        inbox = log.inbox()
        for offset in (*range(8), *range(4)):
            await inbox.take(record(offset))
        inbox.put_back()
        for offset in range(4, 8):
            await inbox.take(record(offset))
        assert [each.offset for each in inbox.waiting] == list(range(8))

    asyncio.run(scenario())


def test_a_delivery_from_before_a_rebalance_does_not_pass_those_that_come_again() -> None:
    """The reader held record 4 when the rebalance came; its area is on record before the one of record 0."""

    async def scenario() -> None:
        areas = ["york", "leeds", "leeds", "leeds", "leeds"]
        log = Log(list(areas))
        inbox = log.inbox()
        for offset in (0, 1, 2, 3):
            await inbox.take(record(offset, areas[offset]))
        inbox.cover({"york": 0, "leeds": 0})
        for offset in (4, 0, 1, 2, 3, 4):
            await inbox.take(record(offset, areas[offset]))
        inbox.cover({"york": 0, "leeds": 5})
        assert log.acknowledged == []
        inbox.cover({"york": 1, "leeds": 5})
        assert log.acknowledged == [0, 1, 2, 3, 4]

    asyncio.run(scenario())


def test_what_is_on_record_is_acknowledged_at_once_when_it_comes_again() -> None:
    async def scenario() -> None:
        log = Log(["leeds"] * 3)
        inbox = log.inbox()
        inbox.cover({"leeds": 2})
        for offset in range(3):
            await inbox.take(record(offset))
        assert log.acknowledged == [0, 1]

    asyncio.run(scenario())


def test_a_full_inbox_holds_the_reader_until_the_engine_has_taken_half() -> None:
    async def scenario() -> None:
        log = Log(["leeds"] * 8)
        inbox = log.inbox(4)
        for offset in range(4):
            await inbox.take(record(offset))
        held = asyncio.create_task(inbox.take(record(4)))
        await asyncio.sleep(0)
        inbox.next()
        inbox.drained()
        await asyncio.sleep(0)
        assert inbox.is_full
        assert not held.done()
        inbox.next()
        inbox.drained()
        await asyncio.wait_for(held, 1)
        assert [each.offset for each in inbox.waiting] == [2, 3, 4]

    asyncio.run(scenario())


def test_an_inbox_that_holds_enough_bytes_is_full() -> None:
    async def scenario() -> None:
        log = Log(["leeds"] * 8)
        inbox = log.inbox(limit_bytes=1000)
        for offset in range(4):
            await inbox.take(Record(offset, 0.0, "leeds", TickMark(0), b"leeds", b"x" * 300))
        held = asyncio.create_task(inbox.take(record(4)))
        await asyncio.sleep(0)
        for left in (3, 2):
            inbox.next()
            inbox.drained()
            await asyncio.sleep(0)
            assert inbox.is_full and len(inbox.waiting) == left
        inbox.next()
        inbox.drained()
        await asyncio.wait_for(held, 1)
        assert [each.offset for each in inbox.waiting] == [3, 4]

    asyncio.run(scenario())


def test_a_reader_that_is_held_when_the_partition_is_lost_lets_go_of_its_record() -> None:
    async def scenario() -> None:
        log = Log(["leeds"] * 2)
        inbox = log.inbox(1)
        await inbox.take(record(0))
        held = asyncio.create_task(inbox.take(record(1)))
        await asyncio.sleep(0)
        inbox.close()
        await asyncio.wait_for(held, 1)
        inbox.cover({"leeds": 2})
        assert [each.offset for each in inbox.waiting] == [0]
        assert log.acknowledged == []

    asyncio.run(scenario())


def test_the_end_is_reached_when_every_record_was_taken() -> None:
    async def scenario() -> None:
        clock = StoppedClock(1000.0)
        log = Log(["leeds"] * 3)
        inbox = log.inbox(clock=clock)
        inbox.observe(0, 2, is_held=False)
        assert not inbox.is_at_end
        await inbox.take(record(0))
        inbox.observe(1, 2, is_held=False)
        assert not inbox.is_at_end
        await inbox.take(record(1))
        inbox.observe(2, 2, is_held=False)
        assert inbox.is_at_end
        inbox.observe(3, 3, is_held=False)  # the mark of a transaction, or a record on its way
        assert not inbox.is_at_end
        clock.time_s += SETTLED_S + 0.1
        inbox.observe(3, 3, is_held=True)  # by the full inbox of another partition
        assert not inbox.is_at_end
        inbox.observe(3, 3, is_held=False)
        assert inbox.is_at_end

    asyncio.run(scenario())
