"""What a zone has seen, against incidents that are counted one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.incident import Origin
from detectors.area.settings import STREAMS
from detectors.area.strata import SCHEMES, bucket_of
from detectors.window.sliding import ALL, OTHER, SlidingWindow, Version
from detectors.window.zone_profile import ZoneProfile

PLACES = 4
NOW = datetime(2024, 4, 10, 17, 20, tzinfo=UTC)
"""Ten days after London's clocks went forward."""

Case = tuple[datetime, int, int]
cases = st.tuples(
    st.integers(-60, 35 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    st.integers(0, PLACES - 1),
    st.sampled_from([0, 1, 2, 3, OTHER]),
)


def filled(feed: list[Case], days: int, zone: ZoneInfo) -> SlidingWindow:
    window = SlidingWindow(locations=PLACES, buckets=days * 24, ahead=2, blocks=SCHEMES["operational"], zone=zone)
    window.advance(bucket_of(int(NOW.timestamp())))
    for number, (at, place, category) in enumerate(feed):
        window.put(
            Version(
                id=str(number),
                occurred_s=int(at.timestamp()),
                category=category,
                origin=Origin.REPORTED,
                location=place,
                longitude=0.0,
                latitude=0.0,
                revision=None,
                offset=number,
                clock_s=None,
                is_interval=False,
            )
        )
    return window


@pytest.mark.parametrize("name", ["Europe/London", "Asia/Kolkata"])  # the second is half an hour off
@pytest.mark.parametrize("days", [7, 28])
@settings(max_examples=20, deadline=None)
@given(feed=st.lists(cases, max_size=60), stream=st.integers(0, ALL), zone=st.sets(st.integers(0, PLACES - 1)))
def test_each_incident_counts_on_its_day_and_in_its_local_hour(
    name: str, days: int, feed: list[Case], stream: int, zone: set[int]
) -> None:
    timezone = ZoneInfo(name)
    trend, profile = [0] * 14, [0] * 168
    end = NOW.replace(minute=0) + timedelta(hours=1)  # of the current bucket
    for at, place, category in feed:
        counts = category == stream or (STREAMS[stream] == "all" and category != OTHER)
        if place not in zone or not counts or not end - timedelta(days=days) <= at < end:
            continue
        ago = (end - at - timedelta(microseconds=1)) // timedelta(days=1)
        if ago < 14:
            trend[13 - ago] += 1
        local = at.replace(minute=0).astimezone(timezone)
        profile[local.weekday() * 24 + local.hour] += 1
    found = ZoneProfile.of(filled(feed, days, timezone), stream, np.array(sorted(zone), np.int64), timezone)
    assert found == ZoneProfile(tuple(trend), tuple(profile))
