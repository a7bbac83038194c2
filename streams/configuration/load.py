"""Reads all settings from one TOML file and the environment into one frozen Configuration.

The settings types hold the defaults, so no file is needed to start.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from streams.configuration.area import AreaTable
from streams.configuration.console import ConsoleSettings
from streams.configuration.kafka import KafkaSettings
from streams.configuration.reader import ConfigurationError, Name, SettingsReader
from streams.configuration.services import MetricsSettings, RedisSettings, WebhookSettings, WorkerSettings
from streams.configuration.sources import add_environment, given, read_toml


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration. By default all services are on this machine, and there is one area in UTC."""

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    metrics: MetricsSettings = MetricsSettings()
    worker: WorkerSettings = WorkerSettings()
    console: ConsoleSettings = ConsoleSettings()
    webhook: WebhookSettings = WebhookSettings()
    areas: dict[Name, AreaTable] = msgspec.field(default_factory=lambda: {"default": AreaTable()})

    def __post_init__(self) -> None:
        if not self.areas:
            raise ValueError("areas: must hold at least one area, such as [areas.leeds]")

    @property
    def instance(self) -> str:
        """The worker's id within its group: ``worker.instance_id``, by default host and metrics port."""
        return self.worker.instance_id or f"{socket.gethostname()}-{self.metrics.port}"

    @property
    def longest_window_days(self) -> int:
        """The longest time for which any area needs its incidents, in days."""
        return max(area.needed_days for area in self.areas.values())

    @property
    def webhook_group(self) -> str:
        """The consumer group of ``hotspots webhook``: ``webhook.group``, or ``kafka.group`` and ``-webhook``."""
        return self.webhook.group or f"{self.kafka.group}-webhook"


def load(path: Path | None, environ: Mapping[str, str]) -> Configuration:
    """Return the configuration of a TOML file, or the defaults without one.

    Variables ``HOTSPOTS_...`` of ``environ`` override it.

    Raises:
        ConfigurationError: A setting is wrong. There is one line for each fault: key, value and what would be right.
    """
    try:
        tables = read_toml(path) if path is not None else {}
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    add_environment(tables, environ)
    reader = SettingsReader((path.parent if path is not None else Path()).absolute())
    configuration = reader.struct(Configuration, tables)
    reader.faults.extend(
        f"areas.{name}.timezone: missing; clock = 'wall' needs an IANA name such as 'Europe/London' or 'UTC'"
        for name in _without_timezone(tables)
    )
    if reader.faults:
        raise ConfigurationError("\n".join(reader.faults))
    return configuration


def _without_timezone(tables: dict[str, Any]) -> list[str]:
    """Return the areas with a wall clock and no time zone."""
    areas = tables.get("areas")
    return [
        name
        for name, written in (areas.items() if isinstance(areas, dict) else ())
        if isinstance(written, dict) and "timezone" not in written and given(written.get("clock", "wall")) == "wall"
    ]
