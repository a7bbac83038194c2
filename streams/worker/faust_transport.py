"""The Faust app of a worker. Its consumer begins at given offsets, fetches often, and makes no tasks per record.

After every rebalance Faust reads each partition from the offset that the group has committed. Anyone can set that
offset, so it only proposes where to begin; the scan records decide.

While the records of one fetch are being worked through, the client asks the same broker for the other partitions.
Faust lets that request wait up to 1.5 s for records, and the busy partition is not fetched before it returns.

Faust passes each record on in a race with the next rebalance. The race takes four tasks, a fifth of Faust's time.
Nearly every record can be passed on at once and needs no race.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka
from faust.types import TP
from mode.services import WaitResults

from streams.brokers.connection import METADATA_MS
from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import WorkerSettings
from streams.configuration.tls import tls

BUFFER_RECORDS = 65_536
"""Room for the records of one fetch between Faust's consumer and the agent. With less, each record waits for its place,
at forty times the cost, and the partition is not fetched before most of them are done."""
FETCH_WAIT_MS = 50
"""Time limit for a fetch to wait for records, in milliseconds."""

Begin = Callable[[Mapping[TP, int | None]], Awaitable[Mapping[TP, int]]]


class _Thread(aiokafka.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # Faust has no setting for the two
        consumer._client._metadata_max_age_ms = METADATA_MS
        return consumer


class _Consumer(aiokafka.Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    transport: PromptTransport
    _ahead: Mapping[TP, int] = {}

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek each partition to where it must be read from, and return these offsets."""
        committed = await super().seek_to_committed()
        starts = await self.transport.begin(committed)
        await self.seek_wait(starts)
        self._ahead = {tp: start for tp, start in starts.items() if start > max(0, committed.get(tp) or 0)}
        return starts

    async def perform_seek(self) -> None:
        """Seek, and let the next commit take what is on record beyond the committed offset.

        A rebalance discards what was acknowledged and not yet committed, and no record comes again for it.
        """
        await super().perform_seek()
        for tp, start in self._ahead.items():
            self._committed_offset[tp] = start - 1
            self._acked_index[tp].add(start - 1)
            self._acked[tp].append(start - 1)

    async def wait_first(self, *waited: Any, timeout: Any = None) -> WaitResults:
        """Return the result that is ready first. A record that can be passed on at once precedes a rebalance."""
        is_free = not (self._stopped.is_set() or self._crashed.is_set() or self.suspend_flow.is_set())
        if len(waited) == 2 and timeout is None and is_free:
            passing, rebalance = waited
            try:
                waits_for = passing.send(None)
            except StopIteration as done:
                rebalance.close()
                return WaitResults([passing], [done.value], False)
            except BaseException:
                rebalance.close()
                raise
            waited = _rest(passing, waits_for), rebalance
        return await super().wait_first(*waited, timeout=timeout)


async def _rest(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    return await _resumed(begun, waits_for)


@types.coroutine
def _resumed(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Continue a coroutine that was begun by hand and waits for something."""
    try:
        while True:
            try:
                answer = yield waits_for
            except BaseException as error:  # noqa: BLE001 (the coroutine decides)
                waits_for = begun.throw(error)
            else:
                waits_for = begun.send(answer)
    except StopIteration as done:
        return done.value


async def _as_committed(committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
    return {tp: offset for tp, offset in committed.items() if offset is not None}


class PromptTransport(aiokafka.Transport):
    """Faust's transport with a consumer whose fetches wait at most ``FETCH_WAIT_MS`` and whose records do not race.

    ``begin`` gets the committed offset of each partition (None without one) and returns the offset to read from; by
    default, the same offset.
    """

    Consumer = _Consumer
    begin: Begin = staticmethod(_as_committed)


def faust_app(kafka: KafkaSettings, settings: WorkerSettings, instance: str, folder: str, begin: Begin) -> faust.App:
    """Return an app without topics and agents. It joins the group as ``instance`` and keeps its files in ``folder``.

    ``begin``: see :class:`PromptTransport`.
    """
    app = faust.App(
        kafka.group,
        **faust_arguments(kafka),
        datadir=folder,
        store="memory://",
        web_enabled=False,
        autodiscover=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=settings.fetch_bytes,
        consumer_group_instance_id=instance,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_request_timeout=max(90, settings.session_timeout_s),
        broker_commit_interval=1.0,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        stream_buffer_maxsize=BUFFER_RECORDS,
    )
    app.transport = PromptTransport(app.conf.broker_consumer, app)
    app.transport.begin = begin
    return app


def faust_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the arguments of a ``faust.App`` for brokers and login."""
    arguments: dict[str, Any] = {"broker": [f"kafka://{address}" for address in kafka.bootstrap.split(",")]}
    context = tls(kafka)
    if kafka.security_protocol == "SSL":
        arguments["broker_credentials"] = SSLCredentials(context)
    elif kafka.security_protocol.startswith("SASL"):
        arguments["broker_credentials"] = SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.password.reveal(),
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return arguments
