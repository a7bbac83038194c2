"""Sends the rows of a command with a progress bar, and closes the last tick if sending ends early."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from streams.analyst.incident_file import Row, tick_row
from streams.analyst.replay import feed
from streams.cli.terminal import progress
from streams.configuration.kafka import KafkaSettings


def send(
    rows: Sequence[Row], kafka: KafkaSettings, tick_s: int, *, speed: float = 0.0, live_from_s: float | None = None
) -> int:
    """Send rows of one area (as :func:`~streams.analyst.replay.feed` does) until their end, Ctrl-C or SIGTERM.

    Return how many were sent. If sending ends early, a tick record closes the last tick; ``tick_s`` is the length of
    the area's ticks, in seconds. Call it from the main thread.

    Raises:
        FeedError: A record could not be delivered, or the topic does not exist.
    """
    sent: list[Row] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with progress("sent", len(rows)) as step:

        def on_sent(row: Row) -> None:
            sent.append(row)
            step()

        try:
            return feed(rows, kafka, speed=speed, live_from_s=live_from_s, on_sent=on_sent)
        except KeyboardInterrupt:
            if not sent:
                return 0
            closing = tick_row(sent[-1].key, (int(sent[-1].time_s // tick_s) + 1) * tick_s)
            return len(sent) + feed([closing], kafka)
