"""Kafka: connections, topics, reading part of a partition. Does not know the meaning of records."""

from __future__ import annotations

import streams.brokers.batches  # noqa: F401 (from here on every consumer of this process reads through it)
