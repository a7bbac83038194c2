"""The few fields by which Redis is arranged, read from events of every version."""

from __future__ import annotations

import msgspec
import pytest

from streams.redis_copy.keys import glance
from tests.streams.messages.alert_events import event


@pytest.mark.parametrize("notice", ["opened", None], ids=["present", "absent"])
def test_an_event_from_before_notices_is_read_as_silent(notice: str | None) -> None:
    fields = msgspec.json.decode(event("a"))
    if notice is None:
        del fields["data"]["properties"]["notice"]
    read = glance(msgspec.json.encode(fields))
    assert read.properties.revision == 1
    assert read.properties.notice == (notice or "")
