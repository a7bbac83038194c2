"""What the records of all topics have in common: partitions, and dead letters."""

from __future__ import annotations

import base64
import hashlib
import json

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from detectors.window.admission import Refusal
from streams.messages.records import Rejection, misplaced, partition_of


@given(st.binary(max_size=300), st.integers(1, 500))
def test_the_partition_is_that_of_kafkas_own_partitioner(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_a_record_is_misplaced_in_every_partition_except_its_own(partitions: int) -> None:
    home = partition_of(b"leeds", partitions)
    for partition in range(partitions):
        refusal = misplaced("key", "leeds", partition, partitions, {"leeds"})
        if partition == home:
            assert refusal is None
        else:
            assert refusal is not None and refusal.reason == "wrong_partition"
            assert refusal.detail.startswith(f"key: belongs to partition {home}, not {partition}; ")


def test_an_unknown_area_is_refused_in_any_partition() -> None:
    home = partition_of(b"hull", 2)
    expected = Refusal("unknown_area", "area: must be the name of a configured area")
    assert [misplaced("area", "hull", each, 2, {"leeds"}) for each in (home, 1 - home)] == [expected] * 2


class TestRejection:
    VALUE = b"\x00\xff" * 100

    def of(self, area: str | None = "leeds", max_bytes: int = 50, hash_only: bool = False) -> Rejection:
        refusal = Refusal("malformed_json", "value: must be JSON; it is not at byte 0")
        return Rejection.of(refusal, area, "incidents", 3, 42, b"leeds", self.VALUE, max_bytes, hash_only)

    def test_holds_where_the_record_lay_and_a_capped_copy(self) -> None:
        key, value = self.of().encode()
        assert key == b"leeds"
        found = json.loads(value)
        assert base64.b64decode(found.pop("value")) == self.VALUE[:50]
        assert base64.b64decode(found.pop("key")) == b"leeds"
        assert found == {
            "reason": "malformed_json",
            "detail": "value: must be JSON; it is not at byte 0",
            "topic": "incidents",
            "partition": 3,
            "offset": 42,
            "area": "leeds",
            "value_bytes": 200,
            "value_sha256": hashlib.sha256(self.VALUE).hexdigest(),
        }

    def test_by_option_keeps_the_hash_alone(self) -> None:
        found = json.loads(self.of(hash_only=True).encode()[1])
        assert "value" not in found
        assert "key" not in found
        assert found["value_sha256"] == hashlib.sha256(self.VALUE).hexdigest()

    def test_of_no_area_has_no_key(self) -> None:
        key, value = self.of(area=None).encode()
        assert key is None
        assert "area" not in json.loads(value)

    @given(st.none() | st.binary(max_size=80), st.none() | st.binary(max_size=80), st.integers(0, 60), st.booleans())
    def test_reads_back_as_it_was_written(
        self, key: bytes | None, value: bytes | None, max_bytes: int, hash_only: bool
    ) -> None:
        found = Rejection.of(Refusal("oversize", ""), None, "t", 0, 0, key, value, max_bytes, hash_only)
        assert msgspec.json.decode(found.encode()[1], type=Rejection) == found
