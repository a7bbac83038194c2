"""The demo's view while it runs. It shows what a client sees, from Redis and from the scan records.

On a terminal the view is a live picture (rich), elsewhere a line every few seconds.
"""

from __future__ import annotations

import io
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import msgspec
from redis import Redis
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from detectors.alerts.lifecycle import TERMINAL
from detectors.scan.significance import TIERS, Tier
from streams.messages.alert import AlertFeature, read_alert
from streams.messages.scan import ScanRecord
from streams.messages.wording import chance_words, interval_words
from streams.redis_copy.keys import area_key

LINE_S = 5.0
"""Time between two lines of progress if there is no terminal, in seconds."""
RATE_S = 5.0
"""Time over which the rate of incidents is measured, in seconds."""
SHOWN_OPEN = 8
SHOWN_ENDED = 4
CHANGES_READ = 100
"""Number of the latest changes among which ended alerts are looked for."""
PICTURE_WIDTH = 116
"""Width of the saved picture, in characters."""
_TIER_STYLE = {
    Tier.WATCH: "dim",
    Tier.ADVISORY: "yellow",
    Tier.ALERT: "bold red",
    Tier.URGENT: "bold white on red",
}


class Alerts(msgspec.Struct, frozen=True):
    """The alerts of one area in Redis.

    ``open``: the open alerts, rarest first.
    ``ended``: the last ended alerts, latest first.
    """

    open: list[AlertFeature] = []
    ended: list[AlertFeature] = []

    @classmethod
    def read(cls, redis: Redis, area: str) -> Alerts:
        """Read the alerts. Raises redis.RedisError."""
        # The library's types leave the result open, because it depends on the options of the connection.
        ids = cast(list[bytes], redis.zrevrange(area_key(area, "open"), 0, -1))
        with redis.pipeline() as pipeline:
            for id_ in ids:
                pipeline.hget(area_key(area, f"alert:{id_.decode()}"), "event")
            events = pipeline.execute()
        newest = redis.xrevrange(area_key(area, "alerts"), count=CHANGES_READ)
        changes = cast(list[tuple[bytes, dict[bytes, bytes]]], newest)
        ended = [fields[b"event"] for _, fields in changes if fields[b"state"].decode() in TERMINAL]
        return cls(
            [read_alert(event).data for event in events if event is not None],
            [read_alert(event).data for event in ended[:SHOWN_ENDED]],
        )


class LiveView:
    """A view of one area; a context manager that shows it until its end."""

    def __init__(self, console: Console, area: str, title: str) -> None:
        self._console = console
        self._area = area
        self._title = title
        self._addresses: dict[str, str] = {}
        self._page = ""
        self._promise = ""
        self._redis: Redis | None = None
        self._live = Live(console=console, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False)
        self._counted: deque[tuple[float, int]] = deque()
        self._line_at = 0.0
        self._best: tuple[int, RenderableType | None] = (-1, None)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if self._redis is not None:
            self._redis.close()

    def connect(self, kafka: str, redis_url: str, metrics: str, console: str | None, configuration: Path) -> None:
        """Set the addresses of the processes. From now on the view reads Redis."""
        self._addresses = {
            "Kafka": kafka,
            "Redis": redis_url,
            "metrics": f"http://{metrics}/metrics",
            "--config": str(configuration),
        }
        self._page = "" if console is None else f"the console: http://{console}/"
        self._redis = Redis.from_url(redis_url, socket_timeout=5)

    def say(self, news: str) -> None:
        """Show one line of progress, before there are alerts to show."""
        if self._console.is_terminal:
            self._live.update(Panel(news, title=self._title, title_align="left"))
        else:
            self._console.print(news, soft_wrap=True)

    def promise(self, text: str) -> None:
        """Set the line that says what the alerts promise, and show it from now on."""
        self._promise = text
        if not self._console.is_terminal:
            self._console.print(text, soft_wrap=True)

    def show(self, newest: ScanRecord, lag: int, left_s: float | None) -> None:
        """Update the picture.

        ``newest``: the area's last scan record.
        ``lag``: number of records that no scan record covers.
        ``left_s``: seconds until the end, None without an end.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        incidents = newest.accounts.added
        alerts = Alerts() if self._redis is None else Alerts.read(self._redis, self._area)
        now_s = time.monotonic()
        self._counted.append((now_s, incidents))
        while now_s - self._counted[0][0] > RATE_S:
            self._counted.popleft()
        begun_s, before = self._counted[0]
        rate = (incidents - before) / max(now_s - begun_s, 0.1)
        clock = datetime.fromtimestamp(newest.checkpoint.clock_s, UTC)
        head = f"{clock:%a %d %b %Y %H:%M} UTC   incidents {incidents:,}   {rate:.0f}/s   lag {lag}   "
        head += f"scans {newest.number:,}   open {len(alerts.open)}"
        picture = self._picture(head, clock, left_s, alerts)
        self._live.update(picture)
        self._best = max(self._best, (_worth(alerts), picture), key=lambda pair: pair[0])
        if not self._console.is_terminal and now_s >= self._line_at:
            self._line_at = now_s + LINE_S
            self._console.print(head + "".join(f"\n    {_line(each, clock)}" for each in alerts.open), soft_wrap=True)

    def save_picture(self, path: Path) -> None:
        """Write the fullest picture so far as SVG. Raises OSError."""
        console = Console(record=True, width=PICTURE_WIDTH, file=io.StringIO(), force_terminal=True)
        console.print(self._best[1] or Text("nothing was shown"))
        path.parent.mkdir(parents=True, exist_ok=True)
        console.save_svg(str(path), title="hotspots demo")

    def _picture(self, head: str, clock: datetime, left_s: float | None, alerts: Alerts) -> RenderableType:
        opened = _table("open alerts", "state", "age")
        for each in alerts.open[:SHOWN_OPEN]:
            now = each.properties
            opened.add_row(*_cells(each), now.state, _duration(clock - now.opened_at), style=_TIER_STYLE[now.tier])
        ended = _table("recently ended", "state", "ended")
        for each in alerts.ended:
            now = each.properties
            ended.add_row(*_cells(each), now.state, _duration(clock - (now.ended_at or clock)) + " ago", style="dim")
        footer = "   ".join(f"{name} {where}" for name, where in self._addresses.items())
        left = "Ctrl-C ends it" if left_s is None else f"{max(0, left_s):.0f} s left"
        foot = Text(f"{self._page}\n" if self._page else "").append(footer, style="dim")
        parts = (Text(head, style="bold"), Text(self._promise), Text(), opened, Text(), ended, Text(), foot)
        return Panel(Group(*parts), title=self._title, title_align="left", subtitle=left, subtitle_align="right")


def _worth(alerts: Alerts) -> int:
    """Return how much a picture shows: first by its alerts of the highest tiers, then by its ended alerts."""
    return sum(1 << 2 * TIERS.index(each.properties.tier) for each in alerts.open) * 10 + len(alerts.ended)


def _table(title: str, *last: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, collapse_padding=True
    )
    for heading, width in (("place", 24), ("category", 9), ("tier", 8)):
        table.add_column(heading, width=width)
    for heading, width in (("observed", 8), ("expected", 8), ("by chance once in", 24)):
        table.add_column(heading, width=width, justify="right")
    for heading in last:
        table.add_column(heading, width=12)
    return table


def _cells(alert: AlertFeature) -> tuple[str, ...]:
    now = alert.properties
    interval = interval_words(now.recurrence_interval_days, now.interval_is_lower_bound is True)
    return _place(alert), now.category, now.tier, str(now.observed), f"{now.expected:.1f}", interval


def _line(alert: AlertFeature, clock: datetime) -> str:
    place, category, tier, observed, expected, _ = _cells(alert)
    now = alert.properties
    chance = chance_words(now.recurrence_interval_days, now.interval_kind, now.interval_is_lower_bound is True)
    age = _duration(clock - now.opened_at)
    return f"{tier}: {category} at {place}, {observed} against {expected} expected, {chance}, {age} old"


def _place(alert: AlertFeature) -> str:
    longitude, latitude = alert.geometry.coordinates
    return f"{latitude:.4f}, {longitude:.4f} +{alert.properties.radius_m:.0f} m"


def _duration(time_: timedelta) -> str:
    hours = time_.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.1f} days"
