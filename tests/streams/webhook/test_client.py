"""A notification is posted until it is accepted, refused or given up, and no text of ours holds the address."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from streams.configuration.services import WebhookSettings
from streams.webhook import client
from streams.webhook.client import UndeliverableError, WebhookClient, retry_after_s
from streams.webhook.metrics import WebhookMetrics

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
SECRET = "secret-path"
Reply = int | dict[str, str] | Exception


def post(replies: Iterable[Reply], give_up_s: float = 5.0, timeout_s: float = 5.0) -> tuple[int, CollectorRegistry]:
    """Post one body to a tool that gives these replies, then accepts; the attempts and the metrics."""
    registry, left, attempts = CollectorRegistry(), list(replies), 0

    async def tool(_: httpx.Request) -> httpx.Response:
        nonlocal attempts
        attempts += 1
        reply = left.pop(0) if left else 200
        if isinstance(reply, TimeoutError):
            await asyncio.sleep(60)
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(429, headers=reply) if isinstance(reply, dict) else httpx.Response(reply)

    async def run() -> None:
        settings = WebhookSettings(url=f"http://tool.example/{SECRET}", give_up_min=give_up_s / 60, timeout_s=timeout_s)
        async with WebhookClient(settings, WebhookMetrics(registry)) as posting:
            posting._http = httpx.AsyncClient(transport=httpx.MockTransport(tool))
            await posting.post(b"{}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "FIRST_WAIT_S", 0.001)
        asyncio.run(run())
    return attempts, registry


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (408, "refused"),
        (425, "refused"),
        (429, "throttled"),
        (500, "server_error"),
        (503, "server_error"),
        (httpx.ConnectError("no"), "unreachable"),
        (httpx.ReadTimeout("slow"), "timeout"),
    ],
)
def test_what_may_pass_is_tried_again_and_counted(reply: Reply, reason: str) -> None:
    attempts, registry = post([reply, reply])
    assert attempts == 3
    assert registry.get_sample_value("hotspots_webhook_failed_total", {"reason": reason}) == 2


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 410, 422])
def test_a_refusal_is_final(status: int) -> None:
    with pytest.raises(UndeliverableError) as given_up:
        post([status])
    assert (given_up.value.reason, given_up.value.attempts) == ("refused", 1)
    assert given_up.value.detail.startswith(f"HTTP {status} ")


def test_a_tool_that_never_accepts_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "streams")
    with pytest.raises(UndeliverableError) as given_up:
        post([503] * 1000, give_up_s=0.1)
    assert given_up.value.reason == "server_error"
    assert given_up.value.attempts > 1
    assert SECRET not in caplog.text + str(given_up.value)
    assert "tool.example" in caplog.text


def test_a_tool_that_does_not_answer_is_left_after_the_timeout() -> None:
    attempts, registry = post([TimeoutError()], timeout_s=0.05)
    assert attempts == 2
    assert registry.get_sample_value("hotspots_webhook_failed_total", {"reason": "timeout"}) == 1


def test_the_wait_that_a_tool_asks_for_is_kept_up_to_the_time_of_giving_up() -> None:
    begun_s = time.monotonic()
    assert post([{"Retry-After": "1"}])[0] == 2
    assert time.monotonic() - begun_s >= 1
    begun_s = time.monotonic()
    assert post([{"Retry-After": "86400"}], give_up_s=0.2)[0] == 2
    assert time.monotonic() - begun_s < 60


@given(st.integers(0, 10**6))
def test_retry_after_is_a_number_of_seconds_or_a_date(seconds: int) -> None:
    assert retry_after_s(str(seconds), NOW) == seconds
    assert retry_after_s(format_datetime(NOW + timedelta(seconds=seconds), usegmt=True), NOW) == seconds
    assert retry_after_s(format_datetime(NOW - timedelta(seconds=seconds), usegmt=True), NOW) == 0


@pytest.mark.parametrize("header", ["", "soon", "-1", "1.5", "²", "Wed, 99 May 2024 12:00:00 GMT"])
def test_another_retry_after_is_none(header: str) -> None:
    assert retry_after_s(header, NOW) is None
