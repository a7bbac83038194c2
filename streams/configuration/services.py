"""What an operator sets of the webhook: where alerts are posted, which, and for how long it is tried."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from detectors.area.settings import PositiveFloat
from streams.configuration.reader import Secret


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where ``hotspots webhook`` posts alerts for on-call tools; the address may hold a secret and is never shown."""

    url: str = ""
    token: Secret = Secret()
    token_file: str = ""
    ssl_cafile: str = ""
    from_tier: Literal["watch", "advisory", "alert", "urgent"] = "alert"
    receiver: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "hotspots"
    console_url: str = ""
    timeout_s: PositiveFloat = 10.0
    give_up_min: PositiveFloat = 60.0
    group: Annotated[str, msgspec.Meta(max_length=200)] = ""
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 9109

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
    except ValueError:  # a port that is none, or half a bracket
        return False
