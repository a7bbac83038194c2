"""Responses over the wire: good ones are decoded, bad ones refused without being repeated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.alerts import response
from detectors.window.admission import Refusal
from streams.messages.records import partition_of
from streams.messages.response import MAX_BYTES, ResponseMessage, decode_response

AT = datetime(2026, 7, 1, 22, 15, 30, 900_000, tzinfo=timezone(timedelta(hours=1)))
RIGHT = {
    "id": "5f0c9a54-9a6c-4b52-8d3b-0f6f0f8f2c11",
    "alert": "0123456789abcdef" * 2,
    "action": "acknowledge",
    "user": "Ann Example",
    "at": AT.isoformat(),
}


def decoded(fields: dict[str, Any]) -> response.Response | Refusal:
    area, content = decode_response(b"leeds", msgspec.json.encode(fields), 0, 1, {"leeds"})
    assert area == "leeds"
    return content


def test_a_message_is_decoded_as_it_was_encoded() -> None:
    sent = ResponseMessage(id=RIGHT["id"], alert=RIGHT["alert"], action="outcome", user="Zoë", at=AT, outcome="venue")
    at_s = int(datetime(2026, 7, 1, 21, 15, 30, tzinfo=UTC).timestamp())
    content = response.Response(RIGHT["alert"], "outcome", "Zoë", at_s, "venue")
    assert decode_response(b"leeds", sent.encode(), 0, 1, {"leeds"}) == ("leeds", content)
    assert decoded(RIGHT) == response.Response(RIGHT["alert"], "acknowledge", "Ann Example", at_s)
    assert decoded(RIGHT | {"comment": "unknown fields are ignored"}) == decoded(RIGHT)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "5f0c9a54-9a6c-1b52-8d3b-0f6f0f8f2c11"}, "id"),
        ({"alert": "0123"}, "alert"),
        ({"alert": RIGHT["alert"] + "\n"}, "alert"),
        ({"action": "secret"}, "action"),
        ({"action": "outcome"}, "outcome"),
        ({"outcome": "venue"}, "outcome"),
        ({"action": "outcome", "outcome": "secret"}, "outcome"),
        ({"user": ""}, "user"),
        ({"user": "secret" * 17}, "user"),
        ({"user": "secret\n"}, "user"),
        ({"user": "sec\u2028ret"}, "user"),
        ({"user": 7}, "user"),
        ({"at": "2026-07-01T22:15:30"}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "at"),
    ],
)
def test_a_bad_field_is_named_and_not_repeated(change: dict[str, Any], field: str) -> None:
    content = decoded(RIGHT | change)
    assert isinstance(content, Refusal)
    assert content.reason == "bad_response"
    assert content.detail.startswith(f"{field}: ")
    assert "secret" not in content.detail


@pytest.mark.parametrize(
    ("key", "partition", "reason"),
    [
        (None, 0, "no_area"),
        (b"hull", 0, "unknown_area"),
        (b"leeds", 1, "wrong_partition"),
        (b"\xff", 0, "unknown_area"),
    ],
)
def test_a_record_of_no_area_of_the_partition_is_refused(key: bytes | None, partition: int, reason: str) -> None:
    partitions = 1
    if reason == "wrong_partition":
        partitions, partition = 2, 1 - partition_of(b"leeds", 2)
    area, content = decode_response(key, msgspec.json.encode(RIGHT), partition, partitions, {"leeds"})
    assert area is None
    assert isinstance(content, Refusal)
    assert content.reason == reason


@given(
    value=st.none()
    | st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(RIGHT)), inner, max_size=5),
    ).map(msgspec.json.encode)
)
def test_decoding_never_raises(value: bytes | None) -> None:
    area, content = decode_response(b"leeds", value, 0, 1, {"leeds"})
    assert area == "leeds"
    assert isinstance(content, Refusal)
    assert content.reason == "bad_response"


def test_a_message_that_is_too_long_is_not_decoded() -> None:
    content = decoded(RIGHT | {"comment": "x" * MAX_BYTES})
    assert content == Refusal("bad_response", f"value: must be at most {MAX_BYTES} bytes")
