"""Records of the same event: the kernel against its twin, and what a control room would call one event."""

from __future__ import annotations

import random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.incident import Origin
from detectors.area.strata import SCHEMES
from detectors.kernels import events
from detectors.kernels.events import Records, Same, further_records
from detectors.window import sliding
from detectors.window.sliding import NOWHERE, SlidingWindow, Version
from tests.naive import events as naive

LIMITS = naive.Limits(50.0, 600)
PLAIN = Version(
    id="a",
    occurred_s=1_700_000_000,
    category=0,
    origin=Origin.REPORTED,
    location=0,
    longitude=-1.55,
    latitude=53.8,
    revision=None,
    offset=0,
    clock_s=None,
    is_interval=False,
)
STEP = 0.0006
"""Degrees of longitude that are 39 m at this latitude: one step is near, two are not."""


def record(**changes: Any) -> Version:
    return msgspec.structs.replace(PLAIN, **changes)


def at(second: int, steps: int = 0, **changes: Any) -> Version:
    return record(occurred_s=1_700_000_000 + second, longitude=round(-1.55 + steps * STEP, 7), **changes)


def further(records: list[Version], limits: naive.Limits = LIMITS) -> list[int]:
    columns = Records(
        np.array([each.occurred_s for each in records], np.int64),
        np.array([each.location for each in records], np.int32),
        np.array([each.category for each in records], np.int8),
        np.array([round(each.longitude * 1e7) for each in records], np.int32),
        np.array([round(each.latitude * 1e7) for each in records], np.int32),
        np.array([each.origin is Origin.DISCOVERED for each in records], np.bool_),
        np.array([each.is_interval for each in records], np.bool_),
        np.zeros(len(records), np.bool_),
    )
    return np.flatnonzero(further_records(columns, Same(*limits))).tolist()


records_ = st.builds(
    at,
    st.sampled_from([0, 0, 300, 600, 601, 900, 1500, 3600]),
    st.integers(0, 3),
    category=st.integers(0, 1),
    location=st.integers(0, 1),
    origin=st.sampled_from(Origin),
    is_interval=st.booleans(),
) | st.builds(
    lambda second, location: record(occurred_s=second, location=location, longitude=0.0, latitude=0.0),
    st.sampled_from([1_700_000_000, 1_700_000_300]),
    st.integers(0, 1),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(records=st.lists(records_, min_size=1, max_size=12), limits=st.sampled_from([LIMITS, naive.Limits(80.0, 3600)]))
def test_the_kernel_is_its_twin(records: list[Version], limits: naive.Limits):
    named = {str(number): each for number, each in enumerate(records)}
    # Records that are alike can stand for each other, so only their contents are compared.
    expected = sorted(str(naive.order(named[name])) for name in naive.further(named, limits))
    assert sorted(str(naive.order(records[number])) for number in further(records, limits)) == expected


def test_three_calls_about_one_fight_are_one_event():
    assert further([at(0), at(240, 1), at(590)]) == [1, 2]


def test_an_event_is_never_longer_than_the_limit_however_many_call():
    assert further([at(300 * number) for number in range(9)]) == [1, 2, 4, 5, 7, 8]


def test_another_kind_another_place_or_another_hour_is_another_event():
    assert further([at(0), at(0, category=1), at(0, 2), at(601)]) == []


def test_hourly_times_are_taken_as_they_come():
    assert further([at(0), at(0), at(3600), at(3600)]) == [1, 3]


def test_cars_broken_into_in_one_night_in_one_street_are_several_events():
    night = {"is_interval": True}
    assert further([at(0, **night), at(0, 1, **night), at(300, **night), at(0)]) == []


def test_two_records_of_one_burglary_are_one_event():
    assert further([at(0, is_interval=True), at(0, is_interval=True)]) == [1]


def test_records_on_both_sides_of_the_date_line_can_be_of_one_event():
    assert further([record(longitude=179.9999, latitude=-17.0), record(longitude=-179.9999, latitude=-17.0)]) == [0]


def test_a_record_by_patrol_does_not_take_the_place_of_a_report_of_the_same_second():
    assert further([record(origin=Origin.DISCOVERED), record()]) == [0]


@pytest.mark.parametrize("order", ["oldest first", "newest first", "shuffled"])
@pytest.mark.parametrize("within_s", [60, 600])
def test_the_work_for_a_crowd_grows_with_its_square_at_most(monkeypatch: pytest.MonkeyPatch, order: str, within_s: int):
    """Twice the records take up to four times the comparisons, whether they come in order or not, and leave likewise.

    A cubic rule would take eight times as many.
    """
    number = 0

    def counted(compare: Any) -> Any:
        def compare_and_count(*arguments: Any) -> bool:
            nonlocal number
            number += 1
            return bool(compare(*arguments))

        return compare_and_count

    for name in ("_is_before", "_are_same"):
        monkeypatch.setattr(events, name, counted(getattr(events, name)))
    any_same, settle = (getattr(each, "py_func", each) for each in (events._is_any_same, events.settle))
    monkeypatch.setattr(events, "_is_any_same", any_same)
    monkeypatch.setattr(sliding, "settle", settle)

    def work(crowd: int) -> int:
        nonlocal number
        number = 0
        window = SlidingWindow(1, 24, 2, SCHEMES["none"], ZoneInfo("UTC"), Same(50.0, within_s))
        window.advance(1_700_000_000 // 3600)
        records = [at(each * 600 // crowd, id=str(each)) for each in range(crowd)]
        if order == "newest first":
            records.reverse()
        elif order == "shuffled":
            random.Random(1).shuffle(records)
        for each in records:
            window.put(each)
        for each in records:
            window.put(msgspec.structs.replace(each, location=NOWHERE))
        return number

    assert work(80) < 5 * work(40)
