"""Common parts of the console's routes: settings, layers, users, Redis, viewers and the connection to Kafka."""

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
from streams.console.data.viewers import Viewers
from streams.console.ground.cells import UsualCells
from streams.console.ground.layers import Layers, read_layer
from streams.console.metrics import ConsoleMetrics
from streams.console.users import Passwords, read_users
from streams.messages.wording import chance_words, interval_words


class Console:
    """One console. It connects to Redis and Kafka when it first needs them.

    Raises:
        ConfigurationError: A file that the configuration names cannot be used.
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
        self.metrics = ConsoleMetrics()
        self.store = Store(configuration.redis, tuple(self.areas), self.metrics.unreadable)
        self.hub = Hub(self.store, self.shown)
        self.viewers = Viewers(
            self.settings.event_streams_per_user, self.settings.connections_per_address // 2, self.settings.proxies
        )
        self.responder = Responder(configuration.kafka)

    def shown(self, change: Change) -> dict[str, Any]:
        """Return a revision in the form that the API shows."""
        alert = change.alert
        days, kind = alert.properties.recurrence_interval_days, alert.properties.interval_kind
        is_lower_bound = alert.properties.interval_is_lower_bound is True
        properties = change.properties | {
            "recurrence_interval": interval_words(days, is_lower_bound),
            "by_chance": chance_words(days, kind, is_lower_bound),
        }
        if place := self.layers.place(*alert.geometry.coordinates):
            properties["place"] = place
        return {"type": "Feature", "id": alert.id, "geometry": alert.geometry, "properties": properties}

    async def start(self) -> None:
        """Begin to follow Redis, which can still be unavailable."""
        self.hub.start()

    async def stop(self) -> None:
        """Disconnect viewers and close connections."""
        await self.hub.stop()
        await self.store.close()
        self.responder.close()


def _places(table: AreaTable) -> dict[str, tuple[float, float]]:
    """Return longitude and latitude of each entry of the area's ``places_file``; empty without one."""
    if not table.places_file:
        return {}
    found = locations_of(table)
    return dict(zip(found.ids, zip(found.longitude.tolist(), found.latitude.tolist(), strict=True), strict=True))
