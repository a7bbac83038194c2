"""The control room's web page and HTTP API: a server that reads Redis and writes responses to Kafka."""

from __future__ import annotations
