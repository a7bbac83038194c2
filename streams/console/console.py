"""What the console's routes share: settings, layers, users, Redis, the viewers, and the way to Kafka."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from streams.areas.location_files import locations_of
from streams.configuration.area import AreaTable
from streams.configuration.load import Configuration
from streams.console.data.hub import Hub
from streams.console.data.responder import Responder
from streams.console.data.store import Change, Store
from streams.console.ground.cells import UsualCells
from streams.console.ground.layers import Layers, read_layer
from streams.console.metrics import ConsoleMetrics
from streams.console.users import Passwords, read_users


class Console:
    """One console; nothing is connected to before it is needed.

    Raises:
        ConfigurationError: a file that it needs cannot be used.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.settings = configuration.console
        self.areas = configuration.areas
        self.version = importlib.metadata.version("hotspot-monitor")
        self.layers = Layers([read_layer(layer) for layer in self.settings.layers])
        password_file = self.settings.password_file
        self.passwords = Passwords(read_users(Path(password_file))) if password_file else None
        self.places = {name: _places(table) for name, table in self.areas.items()}
        self.usual = {name: UsualCells(places) for name, places in self.places.items()}
        self.store = Store(configuration.redis, tuple(self.areas))
        self.hub = Hub(self.store, self.shown)
        self.responder = Responder(configuration.kafka)
        self.metrics = ConsoleMetrics()

    def shown(self, change: Change) -> dict[str, Any]:
        """A revision as the API shows it."""
        feature = change.feature
        if place := self.layers.place(*feature["geometry"]["coordinates"]):
            feature["properties"]["place"] = place
        return feature

    async def start(self) -> None:
        """Begin to follow Redis, which need not be there yet."""
        self.hub.start()

    async def stop(self) -> None:
        """Let go of viewers and connections."""
        await self.hub.stop()
        await self.store.close()
        self.responder.close()


def _places(table: AreaTable) -> dict[str, tuple[float, float]]:
    """Longitude and latitude of an area's own places; none where it has cells."""
    if not table.places_file:
        return {}
    found = locations_of(table)
    return dict(zip(found.ids, zip(found.longitude.tolist(), found.latitude.tolist(), strict=True), strict=True))
