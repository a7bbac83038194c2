"""A metric as it is declared: name, kind, labels, meaning."""

from __future__ import annotations

from typing import Literal

import msgspec


class Declared(msgspec.Struct, frozen=True):
    """One metric. ``at_scrape`` ones are computed from the engine's state, the others are driven."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    meaning: str
    labels: tuple[str, ...] = ("area",)
    buckets: tuple[float, ...] = ()
    at_scrape: bool = False
