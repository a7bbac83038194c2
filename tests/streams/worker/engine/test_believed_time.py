"""Of two clocks that differ, which is believed, and what is made of the stamps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.worker.engine.believed_time import CLOCKS_S, OWN_AHEAD_S, STAMPS, BelievedTime, Reading

NOW_S = 1_717_200_000.0
SKEWS = st.sampled_from([3480.0, 7200.0, 259_200.0])


def knowing(broker_s: float) -> BelievedTime:
    known = BelievedTime()
    for _ in range(STAMPS):
        known.stamped(broker_s, 0.0)
    return known


@given(skew=SKEWS, is_worker=st.booleans(), delays=st.lists(st.floats(0, 1e6), max_size=20), later_s=st.floats(0, 1e5))
def test_a_clock_ahead_is_never_believed(skew: float, is_worker: bool, delays: list[float], later_s: float) -> None:
    """However late the feed reports; also long after the last stamp."""
    worker_s, broker_s = (NOW_S + skew, NOW_S) if is_worker else (NOW_S, NOW_S + skew)
    known = knowing(broker_s)
    for delay_s in delays:
        known.occurred(NOW_S - delay_s, broker_s, worker_s, 0.0)
    reading = known.read(worker_s + later_s, later_s)
    assert reading.now_s == pytest.approx(NOW_S + later_s, abs=0.01)
    assert reading.is_doubtful


@given(skew=SKEWS, is_worker=st.booleans(), delay_s=st.floats(0, 3000))
def test_a_clock_behind_is_not_believed_once_a_record_shows_it(skew: float, is_worker: bool, delay_s: float) -> None:
    worker_s, broker_s = (NOW_S - skew, NOW_S) if is_worker else (NOW_S, NOW_S - skew)
    known = knowing(broker_s)
    assert known.read(worker_s, 0.0).now_s == NOW_S - skew
    known.occurred(NOW_S - min(delay_s, skew / 2 - 1), broker_s, worker_s, 0.0)
    assert known.read(worker_s, 0.0).now_s == NOW_S


def test_a_single_wrong_stamp_moves_nothing() -> None:
    for wrong_s in (NOW_S + 3480, NOW_S - 3480):
        known = knowing(NOW_S)
        known.stamped(wrong_s, 0.0)
        assert not known.read(NOW_S, 0.0).is_doubtful


def test_a_record_dated_ahead_by_its_source_does_not_speak_for_a_clock_ahead() -> None:
    known = knowing(NOW_S)
    known.occurred(NOW_S + 3000, NOW_S, NOW_S + 7200, 0.0)
    assert known.read(NOW_S + 7200, 0.0).now_s == NOW_S


def test_before_anything_is_written_the_worker_is_believed() -> None:
    assert BelievedTime().read(NOW_S, 5.0) == Reading(NOW_S)


@given(noise=st.lists(st.floats(-CLOCKS_S / 2.1, CLOCKS_S / 2.1), min_size=1, max_size=30), skew=SKEWS)
def test_one_correction_serves_as_long_as_a_clock_is_wrong(noise: list[float], skew: float) -> None:
    known = BelievedTime()
    made = {known.ahead_s(NOW_S + skew, None, Reading(NOW_S, 0.0, skew + each), False) for each in noise}
    assert len(made) == 1
    assert abs(made.pop() - skew) <= CLOCKS_S


def test_old_stamps_are_right_and_those_before_a_records_own_time_are_not() -> None:
    known, right = BelievedTime(), Reading(NOW_S)
    assert known.ahead_s(NOW_S - 86_400, None, right, False) == 0
    assert known.ahead_s(NOW_S - 86_400, NOW_S - 86_400 + OWN_AHEAD_S, right, True) == 0
    assert known.ahead_s(NOW_S - 7200, NOW_S - 5, right, True) == -7200
    assert known.ahead_s(NOW_S - 7200, NOW_S + 3600, right, True) == 0  # dated ahead by its source
    assert known.ahead_s(NOW_S + CLOCKS_S, None, right, True) == 0
    assert known.ahead_s(NOW_S + 3480, None, right, True) == 3480
