"""Batches are decompressed up to a bound: a small one cannot fill the memory."""

from __future__ import annotations

import logging

import pytest

from streams.brokers import codecs
from streams.brokers.codecs import DECODERS, TooLargeError
from tests.streams.brokers.raw_batches import CODECS, Sent, batch
from tests.streams.brokers.test_batches import Fetch, each_client

LIMIT = 2**20
HEAD = 61
each_codec = pytest.mark.parametrize("compression", CODECS[1:])


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "MAX_BYTES", LIMIT)


@each_client
@each_codec
def test_a_batch_that_inflates_too_far_is_passed_over_and_its_neighbours_are_read(
    fetch: Fetch, compression: str, caplog: pytest.LogCaptureFixture
) -> None:
    bomb = batch([Sent(b"leeds", bytes(64 * LIMIT))] * 2, 1, compression)
    assert len(bomb) < 8 * LIMIT
    data = batch([Sent(b"leeds", b"before")]) + bomb + batch([Sent(b"leeds", b"after")], 3)
    with caplog.at_level(logging.ERROR):
        assert [each[:3] for each in fetch(data, 0).records] == [(0, b"leeds", b"before"), (3, b"leeds", b"after")]
    (line,) = caplog.messages
    assert line.endswith(
        f"offsets 1 to 2 cannot be read and are passed over: more than {LIMIT} bytes without compression"
    )


@each_codec
def test_the_bound_is_exact(compression: str) -> None:
    decode = DECODERS[CODECS.index(compression)]
    overhead = len(batch([Sent(b"leeds", bytes(LIMIT - 100))])) - HEAD - (LIMIT - 100)
    full = batch([Sent(b"leeds", bytes(LIMIT - overhead))], 0, compression)[HEAD:]
    assert len(decode(full)) == LIMIT
    with pytest.raises(TooLargeError):
        decode(batch([Sent(b"leeds", bytes(LIMIT - overhead + 1))], 0, compression)[HEAD:])
