"""Which revisions count, by the partition's own record."""

from __future__ import annotations

import pytest

from streams.area_log.coverage import covers
from streams.messages.scan import PartitionRecord


@pytest.mark.parametrize(
    ("offset", "covered"),
    [(0, True), (4, True), (5, False), (6, False), (7, True), (9, False), (10, True), (11, None), (99, None)],
)
def test_what_is_covered_and_not_torn_counts(offset: int, covered: bool | None) -> None:
    own = PartitionRecord(next_alert=11, torn=((5, 7), (9, 10)))
    assert covers(own, offset) is covered


def test_everything_that_a_former_version_wrote_counts() -> None:
    assert covers(PartitionRecord(), 10**9) is True
