"""Concurrent work: in order for each key, and a position below which nothing is missing."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.webhook.deliveries import InFlight

HERE = TopicPartition("alerts", 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12))
def test_keys_keep_their_order_and_the_position_has_no_gap(work: list[tuple[str, int]]) -> None:
    """``work``: each record's key, and the number of turns of the loop that it takes."""
    done: list[int] = []

    async def run() -> None:
        in_flight = InFlight()
        for offset, (key, turns) in enumerate(work):

            async def one(offset: int = offset, turns: int = turns) -> None:
                for _ in range(turns):
                    await asyncio.sleep(0)
                done.append(offset)

            in_flight.begin(HERE, offset, key, one)
        while in_flight:
            missing = [offset for offset in range(len(work)) if offset not in done]
            assert in_flight.position(HERE, len(work)) <= min(missing, default=len(work))
            await asyncio.sleep(0)
        in_flight.check()
        assert in_flight.position(HERE, len(work)) == len(work)

    asyncio.run(run())
    for key in "abc":
        of_key = [offset for offset in done if work[offset][0] == key]
        assert of_key == sorted(of_key)
    assert sorted(done) == list(range(len(work)))


def test_a_key_does_not_wait_for_another() -> None:
    async def run() -> None:
        in_flight, held, ran = InFlight(), asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            await held.wait()

        async def run_at_once() -> None:
            ran.set()

        in_flight.begin(HERE, 5, "a", hold)
        in_flight.begin(HERE, 6, "b", run_at_once)
        await asyncio.wait_for(ran.wait(), 5)
        assert in_flight.position(HERE, 7) == 5
        held.set()
        while in_flight:
            await asyncio.sleep(0)
        assert in_flight.position(HERE, 7) == 7

    asyncio.run(run())


def test_what_fails_is_raised_and_nothing_of_its_key_overtakes_it() -> None:
    ran: list[str] = []

    async def run() -> None:
        in_flight = InFlight()

        async def fail() -> None:
            raise OSError("gone")

        async def after() -> None:
            ran.append("after")

        in_flight.begin(HERE, 0, "a", fail)
        in_flight.begin(HERE, 1, "a", after)
        await asyncio.sleep(0.01)
        assert in_flight.position(HERE, 2) == 0
        with pytest.raises(OSError, match="gone"):
            in_flight.check()
        await in_flight.cancel()
        assert in_flight.position(HERE, 2) == 2

    asyncio.run(run())
    assert ran == []


def test_what_is_cancelled_is_forgotten() -> None:
    async def run() -> None:
        in_flight = InFlight()
        for offset in range(3):
            in_flight.begin(HERE, offset, "a", asyncio.Event().wait)  # type: ignore[arg-type]  # for ever
        await in_flight.cancel()
        assert not in_flight

    asyncio.run(run())
