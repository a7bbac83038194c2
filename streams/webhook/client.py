"""Posts one notification to an on-call tool until it is accepted, refused or given up.

An address can hold a secret in its path, so our messages name only its host.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import CookieJar
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import stamina
import stamina.instrumentation

from streams.configuration.services import WebhookSettings
from streams.configuration.tls import webhook_tls
from streams.webhook.dead_letter import UndeliveredReason
from streams.webhook.metrics import WebhookMetrics

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
AT_ONCE = 4
"""Largest number of notifications posted at a time, each of a different alert."""
HTTP_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""The three forms of a date in an HTTP header (RFC 9110); nothing else is read as one."""
LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""HTTP statuses below 500 that ask for another attempt."""

log = logging.getLogger(__name__)


class UndeliverableError(Exception):
    """The tool refused a notification, or did not accept it in time."""

    def __init__(self, reason: UndeliveredReason, detail: str, attempts: int) -> None:
        super().__init__(f"{detail} ({attempts} attempts)")
        self.reason: UndeliveredReason = reason
        self.detail = detail
        self.attempts = attempts


class _NoCookies(CookieJar):
    """A cookie jar that stays empty: some dates in cookies lead to an error in the library."""

    def extract_cookies(self, *_: Any) -> None:
        """Ignore the cookies of a tool."""


async def _stay(response: httpx.Response) -> None:
    """Remove the target of a redirect, which the library would parse although it does not follow it."""
    response.headers.pop("Location", None)


class WebhookClient:
    """A client for the address in the settings; an asynchronous context manager.

    Raises:
        ConfigurationError: The file ``ssl_cafile`` cannot be used.
    """

    def __init__(self, settings: WebhookSettings, metrics: WebhookMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._give_up_s = settings.give_up_min * 60
        self._at_once = asyncio.Semaphore(AT_ONCE)
        headers = {"Content-Type": "application/json", "User-Agent": "hotspot-monitor"}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token.reveal()}"
        self._http = httpx.AsyncClient(
            verify=webhook_tls(settings),
            headers=headers,
            cookies=_NoCookies(),
            event_hooks={"response": [_stay]},
            timeout=settings.timeout_s,
            follow_redirects=False,
        )
        self.host = urlsplit(settings.url).netloc
        stamina.instrumentation.set_on_retry_hooks([])  # they would log what is posted

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def post(self, body: bytes) -> None:
        """Post a body until it is accepted.

        Raises:
            UndeliverableError: The tool refused the body, or did not accept it within ``give_up_min`` minutes.
        """
        attempts = 0
        try:
            async for attempt in stamina.retry_context(
                on=self._wait,
                attempts=None,
                timeout=self._give_up_s,
                wait_initial=FIRST_WAIT_S,
                wait_max=LONGEST_WAIT_S,
                wait_jitter=FIRST_WAIT_S,
            ):
                with attempt:
                    attempts = attempt.num
                    await self._attempt(body)
        except (httpx.HTTPError, TimeoutError) as error:
            reason, detail = _reason(error)
            raise UndeliverableError(reason, detail, attempts) from None  # the error's own text has the address

    async def _attempt(self, body: bytes) -> None:
        try:
            async with (
                self._at_once,
                asyncio.timeout(self._settings.timeout_s),
                self._http.stream("POST", self._settings.url, content=body) as response,  # its body is not read
            ):
                response.raise_for_status()
        except (httpx.HTTPError, TimeoutError) as error:
            reason, detail = _reason(error)
            self._metrics.failed(reason)
            log.warning("the webhook at %s did not accept a notification: %s", self.host, detail)
            raise

    def _wait(self, error: Exception) -> bool | float:
        """Return whether to try again, or after how many seconds."""
        if not isinstance(error, httpx.HTTPStatusError):
            return isinstance(error, httpx.RequestError | TimeoutError)
        status = error.response.status_code
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in LATER:
            return False
        wait_s = retry_after_s(error.response.headers.get("Retry-After", ""), datetime.now(UTC))
        return True if wait_s is None else min(wait_s, self._give_up_s)


def retry_after_s(header: str, now: datetime) -> float | None:
    """Return the seconds to wait by the header ``Retry-After`` (RFC 9110), a number or a date; None for other text."""
    if header.isascii() and header.isdecimal():
        return float(header)
    for form in HTTP_DATES:
        with suppress(ValueError):
            until = datetime.strptime(header, form).replace(tzinfo=UTC)
            return max((until - now).total_seconds(), 0.0)
    return None


def _reason(error: Exception) -> tuple[UndeliveredReason, str]:
    if isinstance(error, httpx.HTTPStatusError):
        status, detail = error.response.status_code, f"HTTP {error.response.status_code} {error.response.reason_phrase}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return "throttled", detail
        return ("server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"), detail
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "timeout", "no answer in time"
    return "unreachable", f"{type(error).__name__}: {error}"
