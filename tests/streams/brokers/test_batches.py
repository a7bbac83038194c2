"""Both clients read what they can and pass over the rest, without a broker."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import aiokafka.consumer.fetcher as aiokafka_fetcher
import kafka.consumer.fetcher as kafka_fetcher
import pytest
import zstandard
from kafka import TopicPartition
from kafka.errors import CorruptRecordError

from streams.brokers import batches
from streams.brokers.batches import FETCHES, HEAD, mended
from tests.streams.brokers.raw_batches import CODECS, RawName, Sent, batch, damaged, with_attributes

Read = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Offset, key, value and headers of a record."""

AT = TopicPartition("incidents", 3)
ODD: list[Sent] = [
    Sent(b"leeds", b"a", [(RawName(b"\xff\xfe\x80"), b"1"), ("tick", b"2"), ("Ort ü", None), ("", b"")]),
    Sent(None, None, [(RawName(b"\xc3"), None)] * 300),
    Sent(b"", b"b", [(RawName(b"\x80" * 70_000), b"x" * 70_000)]),
]
READ: list[Read] = [
    (5, b"leeds", b"a", [("???", b"1"), ("tick", b"2"), ("Ort ü", None), ("", b"")]),
    (6, None, None, [("?", None)] * 300),
    (7, b"", b"b", [("?" * 70_000, b"x" * 70_000)]),
]


class Fetched(NamedTuple):
    """What a client makes of the bytes of one fetch."""

    records: list[Read]
    next_offset: int


def by_kafka(data: bytes, offset: int) -> Fetched:
    part = kafka_fetcher.Fetcher.PartitionRecords(offset, AT, kafka_fetcher.MemoryRecords(data))
    found = []
    while part:
        found += [(each.offset, each.key, each.value, list(each.headers)) for each in part.take(2)]
    return Fetched(found, part.next_fetch_offset)


def by_aiokafka(data: bytes, offset: int) -> Fetched:
    part = aiokafka_fetcher.PartitionRecords(
        AT, aiokafka_fetcher.MemoryRecords(data), None, offset, None, None, True, aiokafka_fetcher.READ_COMMITTED
    )
    found = [(each.offset, each.key, each.value, list(each.headers)) for each in part]
    return Fetched(found, part.next_fetch_offset)


each_client = pytest.mark.parametrize("fetch", [by_kafka, by_aiokafka])
Fetch = Callable[[bytes, int], Fetched]


@pytest.fixture
def passed_over(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """Topic and number of offsets of each report."""
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(batches, "_counts", [])
    batches._fetches.clear()
    batches.report_to(lambda topic, number: found.append((topic, number)))
    yield found
    assert not batches._fetches


@each_client
@pytest.mark.parametrize("compression", CODECS)
def test_every_codec_is_read_also_beyond_a_mebibyte(fetch: Fetch, compression: str, passed_over: Any) -> None:
    chance = random.Random(1)
    sent = [Sent(b"leeds", bytes(chance.choices(b"abc ", k=50)) * 40) for _ in range(1_000)]
    data = batch(sent, 5, compression)
    assert compression == "uncompressed" or len(data) < 2_000 * len(sent)
    records, following = fetch(data, 5)
    assert [(key, value) for _, key, value, _ in records] == [(each.key, each.value) for each in sent]
    assert (records[0][0], following, passed_over) == (5, 1_005, [])


@each_client
def test_a_zstd_batch_is_read_whose_producer_does_not_state_its_size(fetch: Fetch) -> None:
    plain = batch([Sent(b"leeds", b"x" * 3_000) for _ in range(1_000)])
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(plain[HEAD.size :])
    head = list(HEAD.unpack_from(plain))
    head[1] += len(packed) - len(plain[HEAD.size :])
    assert len(fetch(with_attributes(HEAD.pack(*head) + packed, CODECS.index("zstd")), 0).records) == 1_000


@each_client
@pytest.mark.parametrize("compression", CODECS)
def test_odd_headers_cost_no_record(fetch: Fetch, compression: str, passed_over: Any) -> None:
    data = batch(ODD, 5, compression) + batch([Sent(b"leeds", b"after")], 8, compression)
    assert fetch(data, 5) == Fetched([*READ, (8, b"leeds", b"after", [])], 9)
    assert fetch(data, 6).records[0] == READ[1]
    assert passed_over == []


def test_a_mended_batch_differs_in_the_names_alone() -> None:
    good = batch([Sent(b"k", b"v", [("tick", b"1")])])
    assert mended(good) == good
    assert len(mended(batch(ODD))) == len(batch(ODD))


@each_client
@pytest.mark.parametrize("fault", ["unknown codec", "no such compression", "cut records"])
def test_a_batch_that_cannot_be_decoded_is_passed_over(
    fetch: Fetch, fault: str, passed_over: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bad = batch([Sent(b"leeds", b"lost")] * 3, 1)
    spoilt = {
        "unknown codec": with_attributes(bad, 5),
        "no such compression": with_attributes(bad, CODECS.index("zstd")),
        "cut records": with_attributes(bad[:70] + b"\xff" * (len(bad) - 70), 0),
    }[fault]
    data = batch([Sent(b"leeds", b"before")]) + spoilt + batch([Sent(b"leeds", b"after")], 4)
    with caplog.at_level(logging.ERROR):
        assert [each[:3] for each in fetch(data, 0).records] == [(0, b"leeds", b"before"), (4, b"leeds", b"after")]
    assert passed_over == [("incidents", 3)]
    (line,) = caplog.messages
    assert line.startswith("incidents, partition 3: offsets 1 to 3 cannot be read and are passed over: ")


@each_client
def test_a_wrong_checksum_is_fetched_again_and_then_passed_over(fetch: Fetch, passed_over: Any) -> None:
    before, after = batch([Sent(b"leeds", b"before")]), batch([Sent(b"leeds", b"after")], 3)
    bad = damaged(batch([Sent(b"leeds", b"lost")] * 2, 1))
    assert [each[2] for each in fetch(before + bad + after, 0).records] == [b"before"]
    for _ in range(FETCHES - 2):
        assert fetch(bad + after, 1) == Fetched([], 1)
    assert passed_over == []
    assert [each[0] for each in fetch(bad + after, 1).records] == [3]
    assert passed_over == [("incidents", 2)]
    for _ in range(FETCHES):  # the last of the log
        last = fetch(bad, 2)
    assert (last, passed_over) == (Fetched([], 3), [("incidents", 2), ("incidents", 1)])


@each_client
def test_a_checksum_that_is_right_on_the_second_fetch_costs_nothing(fetch: Fetch, passed_over: Any) -> None:
    good = batch([Sent(b"leeds", b"a")] * 2, 1)
    assert fetch(damaged(good), 2) == Fetched([], 2)
    assert [each[0] for each in fetch(good, 2).records] == [2]
    assert passed_over == []
    batches._fetches.clear()


@each_client
def test_a_head_that_nothing_confirms_is_left_to_the_client(fetch: Fetch, passed_over: Any) -> None:
    bad = bytearray(batch([Sent(b"leeds", b"lost")], 1))
    bad[23:27] = b"\x7f\xff\xff\xff"  # the last offset
    for _ in range(FETCHES - 1):
        assert fetch(bytes(bad), 1) == Fetched([], 1)
    with pytest.raises((CorruptRecordError, aiokafka_fetcher.Errors.CorruptRecordException)):
        fetch(bytes(bad), 1)
    after = batch([Sent(b"leeds", b"after")], 2)
    assert [each[0] for each in fetch(bytes(bad) + after, 1).records] == [2]
    assert passed_over == [("incidents", 1)]


@each_client
def test_any_damage_ends_and_gives_no_wrong_record(fetch: Fetch, passed_over: Any) -> None:
    sent = [Sent(b"leeds", b"%d" % index, [("tick", b"1")]) for index in range(5)]
    good, after = batch(sent, 0, "zstd"), batch([Sent(b"leeds", b"after")], 5)
    right = [each[:3] for each in fetch(good + after, 0).records]
    chance = random.Random(5)
    for _ in range(200):
        data = bytearray(good + after)
        data[chance.randrange(17, len(good))] ^= 1 << chance.randrange(8)
        for _ in range(FETCHES):
            found = fetch(bytes(data), 0)
        assert [each[:3] for each in found.records] == right[5:]
