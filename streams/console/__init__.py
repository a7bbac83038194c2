"""The control room's web page and HTTP API: a server that reads Redis and writes what operators do to Kafka."""

from __future__ import annotations
