"""Faust's consumer, told not to wait long for partitions that have nothing.

While the records of one fetch are being worked through, the client asks the same broker for the other partitions.
Faust lets that request wait up to 1.5 s for records, and until it is answered the busy partition is not fetched.
"""

from __future__ import annotations

from typing import Any

from faust.transport.drivers import aiokafka

FETCH_WAIT_MS = 100


class _Thread(aiokafka.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # Faust has no setting for it
        return consumer


class _Consumer(aiokafka.Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class PromptTransport(aiokafka.Transport):
    """Faust's transport with a consumer whose fetches wait at most ``FETCH_WAIT_MS``."""

    Consumer = _Consumer
