"""Corrections of stamps: each offset has the one noted last up to it, also after those before have been forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detectors.window.corrections import Corrections


@given(
    ahead=st.lists(st.sampled_from([0, 0, 3480, -7200]), min_size=1, max_size=30),
    forgotten=st.lists(st.integers(0, 40), max_size=3).map(sorted),
)
def test_each_offset_keeps_its_correction(ahead: list[int], forgotten: list[int]) -> None:
    corrections = Corrections()
    for offset, ahead_s in enumerate(ahead):
        corrections.note(offset, ahead_s)
    first = 0
    for first in forgotten:
        corrections = Corrections(corrections.since(first))
    assert [corrections.at(offset) for offset in range(first, len(ahead))] == ahead[first:]


def test_right_stamps_need_no_room() -> None:
    corrections = Corrections()
    for offset in range(10):
        corrections.note(offset, 0)
    assert corrections.since(0) == ()
    corrections.note(10, 60)
    corrections.note(11, 60)
    corrections.note(12, 0)
    assert corrections.since(5) == ((10, 60), (12, 0))
    assert corrections.since(13) == ()
