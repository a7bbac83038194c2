"""Everything an operator can set: one TOML file and the environment make one frozen Configuration.

Defaults live in the types below and in ``detectors.area.settings``, so no file is needed to start.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings, PositiveFloat, PositiveInt
from streams.areas.location_files import read_boundary, read_cells, read_places
from streams.configuration.console import ConsoleSettings
from streams.configuration.reader import Secret, SettingsReader, add_environment, given, read_toml
from streams.configuration.services import WebhookSettings


def _text(pattern: str, description: str) -> msgspec.Meta:
    return msgspec.Meta(pattern=rf"^{pattern}\Z", description=description)


Name = Annotated[str, _text("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 of A-Z a-z 0-9 . _ -, the first no . _ -")]
"""Of an area: a Kafka key, a part of Redis keys, a metric's label; in ASCII, so that it is spelt in one way only."""

TopicName = Annotated[str, _text("[A-Za-z0-9._-]{1,200}", "1 to 200 of A-Z a-z 0-9 . _ -")]
TopicPrefix = Annotated[str, _text("[A-Za-z0-9._-]{0,40}", "at most 40 of A-Z a-z 0-9 . _ -")]
_ADDRESS = r"[^\s,@]+:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
Addresses = Annotated[str, _text(f"{_ADDRESS}(,{_ADDRESS})*", "host:port, several joined by commas")]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Topic = Literal["incidents", "alerts", "responses", "scans", "settings", "rejected", "undelivered"]


DEFAULT_BUDGET = "2 per week"
_BUDGET = "such as '2 per week', also per day or month"
Budget = Annotated[str, _text(r"\d{1,4}(\.\d{1,4})? per (day|week|month)", _BUDGET)]
"""How many alerts chance may open in an area, over all its streams."""
WEEKS_OF = {"day": 1 / 7, "week": 1.0, "month": 365.25 / 12 / 7}

TimeOfDay = Annotated[str, _text(r"(([01]\d|2[0-3]):[0-5]\d)?", "such as '04:00', or empty for never")]
"""A time of the area's own clock."""

MAX_LOCATIONS = 200_000
"""So many places of one area fit into a record of the topic ``settings``."""


class ConfigurationError(ValueError):
    """The configuration cannot be used; its text holds one line for each fault."""


class TopicNames(msgspec.Struct, frozen=True, kw_only=True):
    """Names of the topics before the prefix; :meth:`KafkaSettings.topic` gives them whole."""

    incidents: TopicName = "incidents"
    alerts: TopicName = "alerts"
    responses: TopicName = "responses"
    scans: TopicName = "scans"
    settings: TopicName = "settings"
    rejected: TopicName = "incidents.rejected"
    undelivered: TopicName = "alerts.undelivered"

    def __post_init__(self) -> None:
        names = msgspec.structs.asdict(self)
        for key, name in names.items():
            if list(names.values()).count(name) > 1:
                raise ValueError(f"{key} = {name!r}: must differ from the other topics")


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Kafka is, how to log in, and what the topics are called."""

    bootstrap: Addresses = "127.0.0.1:9092"
    group: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "hotspots"
    partitions: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8
    replication: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    topic_prefix: TopicPrefix = ""
    topics: TopicNames = TopicNames()
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str = ""
    password: Secret = Secret()
    password_file: str = ""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""

    def __post_init__(self) -> None:
        if self.security_protocol.startswith("SASL"):
            if not self.sasl_username:
                raise ValueError(f"sasl_username: missing; security_protocol = {self.security_protocol!r} needs it")
            if not self.password:
                raise ValueError("password: missing; set HOTSPOTS_KAFKA__PASSWORD or kafka.password_file")

    def topic(self, topic: Topic) -> str:
        """The whole name of a topic, prefix included."""
        name: str = getattr(self.topics, topic)
        return self.topic_prefix + name


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Redis (or Valkey) is and how to log in; ``rediss://`` means TLS."""

    url: str = "redis://127.0.0.1:6379/0"
    username: str = ""
    password: Secret = Secret()
    password_file: str = ""
    ssl_cafile: str = ""

    def __post_init__(self) -> None:
        if set(self.url) & set("@?#"):
            raise ValueError(
                "url: must hold neither user nor password nor options; use redis.username and HOTSPOTS_REDIS__PASSWORD"
            )
        try:
            address = urlsplit(self.url)
            is_right = (
                address.scheme in ("redis", "rediss")
                and bool(address.hostname)
                and address.port != 0
                and re.fullmatch(r"(/\d{0,9})?", address.path) is not None
            )
        except ValueError:  # a port that is none, or half a bracket
            is_right = False
        if not is_right:
            raise ValueError(
                f"url = {self.url!r}: must be redis://host:port/number (default 'redis://127.0.0.1:6379/0')"
            )


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the worker answers for Prometheus and for health checks; port 0 takes a free one."""

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


class Area(AreaSettings, frozen=True, kw_only=True):
    """One area: what its Monitor reads (:attr:`settings`), the file that says where it is, and what it was promised."""

    cells_file: str = ""
    boundary_file: str = ""
    resolution: Annotated[int, msgspec.Meta(ge=0, le=15)] = 10
    places_file: str = ""
    max_place_distance_m: PositiveFloat = 500.0
    budget: Budget = DEFAULT_BUDGET
    calibration_file: str = ""
    recalibrate_at: TimeOfDay = "04:00"
    recalibrate_weeks: Annotated[int, msgspec.Meta(ge=78, le=10_000)] = 624

    def __post_init__(self) -> None:
        faults = []
        try:
            super().__post_init__()
        except ValueError as error:
            faults.append(str(error))
        if self.min_baseline_days > self.window_days:
            faults.append(
                f"min_baseline_days = {self.min_baseline_days}: must not exceed window_days = {self.window_days}, "
                "or no alert could ever open (default 28 and 91)"
            )
        if sum(map(bool, (self.cells_file, self.boundary_file, self.places_file))) > 1:
            faults.append("cells_file, boundary_file, places_file: give only one of them")
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def settings(self) -> AreaSettings:
        """What the Monitor reads, without the files."""
        return AreaSettings(**{name: getattr(self, name) for name in AreaSettings.__struct_fields__})

    def digest(self, locations: Locations) -> str:
        """That of the :attr:`settings`: the names of the files do not count."""
        return self.settings.digest(locations)


def alerts_per_week(budget: str) -> float:
    """The number of alerts a week that a budget such as "2 per week" means.

    Raises:
        ConfigurationError: it is none, or nothing.
    """
    try:
        msgspec.convert(budget, Budget)
    except msgspec.ValidationError:
        raise ConfigurationError(f"budget = {budget!r}: must be {_BUDGET}") from None
    number, _, period = budget.split()
    if not float(number):
        raise ConfigurationError(f"budget = {budget!r}: must be more than nothing")
    return float(number) / WEEKS_OF[period]


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration; without a file: loopback services and one area in UTC."""

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    metrics: MetricsSettings = MetricsSettings()
    worker: WorkerSettings = WorkerSettings()
    console: ConsoleSettings = ConsoleSettings()
    webhook: WebhookSettings = WebhookSettings()
    areas: dict[Name, Area] = msgspec.field(default_factory=lambda: {"default": Area()})

    def __post_init__(self) -> None:
        if not self.areas:
            raise ValueError("areas: must hold at least one area, such as [areas.leeds]")

    @property
    def instance(self) -> str:
        """What tells this worker from the others of its group: ``worker.instance_id``, else host and metrics port."""
        return self.worker.instance_id or f"{socket.gethostname()}-{self.metrics.port}"

    @property
    def webhook_group(self) -> str:
        """The consumer group of ``hotspots webhook``: ``webhook.group``, else that of the workers and ``-webhook``."""
        return self.webhook.group or f"{self.kafka.group}-webhook"


def load(path: Path | None, environ: Mapping[str, str]) -> Configuration:
    """The configuration of a TOML file, if one is given, under the ``HOTSPOTS_...`` variables of ``environ``.

    Raises:
        ConfigurationError: something is wrong; one line for each fault, with key, value and what would be right.
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
    """The areas that were written down for a wall clock without saying where on earth it hangs."""
    areas = tables.get("areas")
    return [
        name
        for name, written in (areas.items() if isinstance(areas, dict) else ())
        if isinstance(written, dict) and "timezone" not in written and given(written.get("clock", "wall")) == "wall"
    ]


def locations(area: Area) -> Locations:
    """The frozen locations of an area, from the file that it names.

    Raises:
        ConfigurationError: it names none, or the file cannot be used.
    """
    source = area.cells_file or area.boundary_file or area.places_file
    if not source:
        raise ConfigurationError("locations: missing; give the area a cells_file, boundary_file or places_file")
    path = Path(source)
    try:
        if area.cells_file:
            places = read_cells(path)
        elif area.boundary_file:
            places = read_boundary(path, area.resolution)
        else:
            places = read_places(path, area.max_place_distance_m)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"locations: {source}: {error}") from None
    if len(places) > MAX_LOCATIONS:
        raise ConfigurationError(
            f"locations: {source}: {len(places)} places; must be at most {MAX_LOCATIONS}: "
            "take larger cells, or make several areas of it"
        )
    return places


def tls(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """What a connection to Kafka is encrypted with, from the files that are named; None for one in the open.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    if not kafka.security_protocol.endswith("SSL"):
        return None
    context = _trusting("kafka", kafka.ssl_cafile)
    try:
        if kafka.ssl_certfile:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile or None)
    except OSError as error:
        files = f"{kafka.ssl_certfile!r}, kafka.ssl_keyfile = {kafka.ssl_keyfile!r}"
        raise ConfigurationError(f"kafka.ssl_certfile = {files}: must be PEM files that match ({error})") from None
    return context


def webhook_tls(webhook: WebhookSettings) -> ssl.SSLContext:
    """What the webhook's certificate is verified with.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    return _trusting("webhook", webhook.ssl_cafile)


def _trusting(table: str, cafile: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile or None)
    except OSError as error:
        raise ConfigurationError(f"{table}.ssl_cafile = {cafile!r}: must be a PEM file ({error})") from None


def check(path: Path | None, environ: Mapping[str, str]) -> list[str]:
    """Every fault that would keep a worker from starting, one line each, those of named files too; empty if none."""
    try:
        configuration = load(path, environ)
    except ConfigurationError as error:
        return str(error).splitlines()
    lines = []
    try:
        tls(configuration.kafka)
        _trusting("redis", configuration.redis.ssl_cafile)
        webhook_tls(configuration.webhook)
    except ConfigurationError as error:
        lines.append(str(error))
    for name, area in configuration.areas.items():
        try:
            locations(area)
        except ConfigurationError as error:
            lines.append(f"areas.{name}.{error}")
    return lines
