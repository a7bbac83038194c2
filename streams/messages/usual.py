"""How many events the window of an area holds at each location, for maps."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from detectors.monitor import Monitor
from detectors.window.sliding import ALL
from streams.messages.alert import Latitude, Longitude
from streams.process.strict_json import Count, StrictDecoder

Days = Annotated[float, Meta(ge=0, le=100_000)]


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """The events of the four categories in an area's window, by location. Locations without any are left out."""

    written_at: Annotated[datetime | UnsetType, Meta(description="by the machine's clock")] = UNSET
    resolution: Annotated[int | None, Meta(description="of the H3 cells; null for the entries of a `places_file`")]
    days: Annotated[Days, Meta(description="days of the window that have incidents")]
    cells: Annotated[dict[str, Count], Meta(description="events by the id of their location")]
    places: Annotated[
        dict[str, tuple[Longitude, Latitude]] | UnsetType,
        Meta(description="longitude and latitude of each entry of the `places_file`; absent for H3 cells"),
    ] = UNSET

    @classmethod
    def of(cls, monitor: Monitor) -> Usual | None:
        """Return an area's figures as of now; None before its first incident. Call it from the Monitor's own thread."""
        window, locations = monitor.window, monitor.locations
        begins = window.baseline_begins() if window.has_time else None
        if begins is None:
            return None
        cases = window.by_stratum[ALL].sum(axis=1)
        (busy,) = np.nonzero(cases)
        places: dict[str, tuple[float, float]] | UnsetType = UNSET
        if locations.resolution is None:
            degrees = zip(locations.longitude.tolist(), locations.latitude.tolist(), strict=True)
            places = dict(zip(locations.ids, degrees, strict=True))
        return cls(
            resolution=locations.resolution,
            days=round((window.now + 1 - begins) / 24, 2),
            cells={locations.ids[location]: int(cases[location]) for location in busy.tolist()},
            places=places,
        )

    @staticmethod
    def read(value: bytes) -> Usual:
        """Return the figures in the value of the key in Redis; raise msgspec.DecodeError if it holds none."""
        return _decoder.decode(value)

    def encode(self, now: datetime) -> bytes:
        """Return the value of the key in Redis, JSON."""
        return msgspec.json.encode(msgspec.structs.replace(self, written_at=now))


_decoder = StrictDecoder[Usual](Usual)
