"""Settings of the webhook, Redis, the metrics port and the worker."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from detectors.area.settings import PositiveFloat, PositiveInt
from detectors.scan.significance import Tier
from streams.configuration.sources import Secret

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
"""A TCP port. 0 is any free port."""


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The on-call tool that ``hotspots webhook`` posts alerts to. Its address may hold a secret and is never shown."""

    url: str = ""
    token: Secret = Secret()
    token_file: str = ""
    ssl_cafile: str = ""
    from_tier: Tier = Tier.ALERT
    receiver: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "hotspots"
    console_url: str = ""
    timeout_s: PositiveFloat = 10.0
    give_up_min: PositiveFloat = 60.0
    group: Annotated[str, msgspec.Meta(max_length=200)] = ""
    metrics_port: Port = 9109

    def __post_init__(self) -> None:
        faults = []
        if self.url and not _is_web_address(self.url):
            faults.append(
                "url: must be http://... or https://..., without user and password; "
                "a bearer token belongs into HOTSPOTS_WEBHOOK__TOKEN or webhook.token_file"
            )
        if self.console_url and not _is_web_address(self.console_url):
            faults.append("console_url: must be http://... or https://..., without user and password")
        if not (self.token.reveal().isascii() and self.token.reveal().isprintable()):
            faults.append("token: must be of printable ASCII characters")
        if faults:
            raise ValueError("\n".join(faults))


def _is_web_address(text: str) -> bool:
    try:
        address = urlsplit(text)
        return (
            address.scheme in ("http", "https")
            and bool(address.hostname)
            and address.port != 0
            and "@" not in address.netloc
            and not re.search(r"[\s#]", text)
        )
    except ValueError:  # not a port, or an unbalanced bracket
        return False


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The address of Redis (or Valkey), and the login. An address with ``rediss://`` uses TLS."""

    url: str = "redis://127.0.0.1:6379/0"
    username: str = ""
    password: Secret = Secret()
    password_file: str = ""
    ssl_cafile: str = ""

    def __post_init__(self) -> None:
        if set(self.url) & set("@?#"):
            raise ValueError(
                "url: must not hold a user, a password or options; use redis.username and HOTSPOTS_REDIS__PASSWORD"
            )
        try:
            address = urlsplit(self.url)
            is_right = (
                address.scheme in ("redis", "rediss")
                and bool(address.hostname)
                and address.port != 0
                and re.fullmatch(r"(/\d{0,9})?", address.path) is not None
            )
        except ValueError:  # not a port, or an unbalanced bracket
            is_right = False
        if not is_right:
            raise ValueError(
                f"url = {self.url!r}: must be redis://host:port/number (default 'redis://127.0.0.1:6379/0')"
            )


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The address at which the worker serves metrics and health checks. Port 0 is any free port."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 9108


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and periods of the worker process."""

    instance_id: Annotated[str, msgspec.Meta(max_length=200)] = ""
    session_timeout_s: Annotated[int, msgspec.Meta(ge=6, le=1800)] = 10
    fetch_bytes: Annotated[int, msgspec.Meta(ge=4096, le=67_108_864)] = 4_194_304
    inbox_records: PositiveInt = 10_000
    watchdog_s: PositiveInt = 120
    max_record_bytes: Annotated[int, msgspec.Meta(ge=256, le=1_048_576)] = 65_536
    rejected_value_bytes: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 16_384
    rejected_hash_only: bool = False
