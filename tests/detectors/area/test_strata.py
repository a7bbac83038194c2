"""Buckets and strata: half-open hours, operational days, changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.strata import SCHEMES, bucket_of
from tests.naive import strata as naive

LONDON = ZoneInfo("Europe/London")


def bucket_at(*moment: int) -> int:
    return bucket_of(int(datetime(*moment, tzinfo=UTC).timestamp()))  # type: ignore[arg-type, misc]


def stratum_at(scheme: str, *moment: int) -> int:
    return SCHEMES[scheme].of_bucket(bucket_at(*moment), LONDON)


def test_buckets_are_half_open_and_go_on_before_1970():
    assert [bucket_of(second) for second in (-3601, -3600, -1, 0, 3599, 3600)] == [-2, -1, -1, 0, 0, 1]


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    bucket=st.integers(bucket_at(1990, 1, 1), bucket_at(2060, 1, 1)),
    zone=st.sampled_from(["UTC", "Europe/London", "America/Denver", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_a_stratum_follows_the_clock_on_the_wall(scheme: str, bucket: int, zone: str):
    blocks = SCHEMES[scheme]
    assert blocks.of_bucket(bucket, ZoneInfo(zone)) == naive.of_bucket(blocks, bucket, ZoneInfo(zone))


@pytest.mark.parametrize(("scheme", "count"), [("none", 1), ("operational", 12), ("friday_saturday", 24)])
def test_a_week_has_every_stratum(scheme: str, count: int):
    week = range(bucket_at(2024, 6, 3), bucket_at(2024, 6, 10))
    assert {SCHEMES[scheme].of_bucket(bucket, LONDON) for bucket in week} == set(range(count))
    assert SCHEMES[scheme].count == count


def test_each_weekend_day_has_separate_strata():
    # Noon UTC of Monday 3 June 2024 to Sunday is 13:00 in London: the third block of three hours after 06:00.
    assert [stratum_at("each_weekend_day", 2024, 6, day, 12) for day in range(3, 10)] == [2, 2, 2, 2, 10, 18, 26]
    assert SCHEMES["each_weekend_day"].count == 32


def test_the_early_hours_belong_to_the_night_before():
    # In summer London is an hour ahead: the operational day ends at 05:00 UTC.
    saturday_night, sunday_early = (2024, 6, 8, 22), (2024, 6, 9, 4)
    assert stratum_at("operational", *saturday_night) // 6 == stratum_at("operational", *sunday_early) // 6 == 1
    assert stratum_at("operational", 2024, 6, 9, 5) // 6 == 0


def test_both_autumn_hours_are_one_stratum_and_none_is_missing_in_spring():
    # 27 October 2024: 01:00 to 02:00 London passes twice, at 00:00 and 01:00 UTC.
    for scheme in SCHEMES:
        assert stratum_at(scheme, 2024, 10, 27, 0) == stratum_at(scheme, 2024, 10, 27, 1)
    # 31 March 2024: 00:00 UTC is 00:00 in London, 01:00 UTC is 02:00; the last block of the night begins at 02:00.
    assert stratum_at("operational", 2024, 3, 31, 0) == 6 + 4
    assert stratum_at("operational", 2024, 3, 31, 1) == 6 + 5
