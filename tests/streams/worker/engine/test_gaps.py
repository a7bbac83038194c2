"""Which gaps are kept until they are explained."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.worker.engine.gaps import Gap, Gaps

STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(1, 5)), max_size=50)


@given(STEPS, st.booleans())
def test_the_lowest_and_the_largest_of_each_partition_are_kept(
    steps: list[tuple[int, int, int]], is_put_back: bool
) -> None:
    gaps, noted = Gaps(), dict[int, list[Gap]]()
    offset = 0
    for partition, records, size in steps:
        gap = Gap(partition, offset + records, offset + records + size, False)
        offset = gap.following
        noted.setdefault(partition, []).append(gap)
        gaps.note(gap)
        if is_put_back:
            gaps.put_back(gaps.take())
    taken = gaps.take()
    for partition, those in noted.items():
        kept = [gap for gap in taken if gap.partition == partition]
        assert set(kept) == {those[0], max(those, key=lambda gap: gap.size)}
        assert kept[0].size >= kept[-1].size
    assert gaps.take() == []


def test_gaps_where_reading_began_are_all_kept() -> None:
    """A partition can be rebuilt again before the first is explained."""
    gaps = Gaps()
    starts = [Gap(0, 5, 7, True), Gap(0, 9, 20, True), Gap(1, 0, 3, True)]
    for gap in (*starts, *starts, Gap(0, 30, 31, False)):
        gaps.note(gap)
    assert gaps.take() == [*starts, Gap(0, 30, 31, False)]
