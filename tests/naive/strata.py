"""The stratum of a bucket, read from the clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from detectors.area.strata import Blocks


def of_bucket(blocks: Blocks, bucket: int, zone: ZoneInfo) -> int:
    """Return the stratum: early hours belong to the day before, blocks are counted from the day's first hour."""
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=bucket)).astimezone(zone)
    weekday = wall.weekday() if wall.hour >= blocks.start_hour else (wall.weekday() - 1) % 7
    block = ((wall.hour - blocks.start_hour) % 24) // blocks.hours
    blocks_a_day = 24 // blocks.hours
    return blocks.weekday_class[weekday] * blocks_a_day + block
