"""The clocks of one partition: its believed time, the correction of its records' stamps, and reports about both."""

from __future__ import annotations

import logging

from streams.areas.health import Clocks
from streams.process.clock import Clock
from streams.worker.engine.believed_time import CLOCKS_S, BelievedTime, Reading
from streams.worker.engine.owned_area import OwnedArea

LEAP_S = 60.0
"""Time for which a clock is reported as wrong after a single wrong stamp, in seconds. More such stamps in that time are
not logged."""

log = logging.getLogger(__name__)


class PartitionClocks:
    """The worker's clock, the broker's and the records' own times. Only the engine calls methods except :meth:`around`.

    ``time``: the believed time when the clocks were last compared.
    """

    def __init__(self, partition: int, clock: Clock) -> None:
        self._partition = partition
        self._clock = clock
        self._believed = BelievedTime()
        self._leapt_s = self._current_s = float("-inf")
        self.time = Reading(clock.now_s())

    def look(self, worker_s: float) -> float:
        """Compare the clocks; return the believed time. ``worker_s``: the worker's clock."""
        was_doubtful = self.time.is_doubtful
        self.time = self._believed.read(worker_s, self._clock.monotonic_s())
        if self.time.is_doubtful and not was_doubtful:
            text = "partition %d: the clocks differ from the believed time: the worker's by %+.0f s, Kafka's by %+.0f s"
            log.warning(text, self._partition, self.time.worker_ahead_s, self.time.broker_ahead_s)
        elif was_doubtful and not self.time.is_doubtful:
            log.warning("partition %d: the clocks agree again", self._partition)
        return self.time.now_s

    def at_end(self, worker_s: float) -> float:
        """Note that nothing is left to read, so that new records have just arrived; return the believed time."""
        self._current_s = self._clock.monotonic_s()
        return self.look(worker_s)

    def ahead_s(self, stamp_s: float, own_s: float | None, worker_s: float) -> int:
        """Return by how many seconds a record's stamp is ahead of the time. A leap of the stamps is logged.

        ``own_s``: the record's own time; None if it has none, or if its area has no wall clock.
        """
        monotonic_s = self._clock.monotonic_s()
        if own_s is not None:
            self._believed.occurred(own_s, stamp_s, worker_s, monotonic_s)
        now_s, time = self.look(worker_s), self.time
        ahead_s = self._believed.ahead_s(stamp_s, own_s, time, monotonic_s - self._current_s < CLOCKS_S)
        if abs(now_s - stamp_s + ahead_s) < CLOCKS_S:
            self._current_s = monotonic_s
        if ahead_s and abs(ahead_s - time.broker_ahead_s) > CLOCKS_S:
            if monotonic_s - self._leapt_s >= LEAP_S:
                text = "partition %d: an arrival is stamped %+d s off the time; it counts as arriving now"
                log.warning(text, self._partition, ahead_s)
            self._leapt_s = monotonic_s
        return ahead_s

    def stamped(self, stamp_s: float) -> None:
        """Note the broker's stamp of a record that the worker has just written."""
        self._believed.stamped(stamp_s, self._clock.monotonic_s())

    def asks(self) -> bool:
        """Return whether the broker's clock should be read again, by writing a record."""
        return self._believed.asks(self.time, self._clock.monotonic_s())

    def asked(self) -> None:
        """Note that the broker's clock is being read."""
        self._believed.asked(self._clock.monotonic_s())

    def around(self, area: OwnedArea, worker_s: float) -> Clocks | None:
        """Return by how much the clocks of an area are off (any thread); None on a watermark clock."""
        if not area.is_wall:
            return None
        time, since_leap_s = self.time, self._clock.monotonic_s() - self._leapt_s
        ahead_s = area.ahead_s(worker_s - time.worker_ahead_s)
        return Clocks(
            area_ahead_s=ahead_s,
            worker_ahead_s=time.worker_ahead_s,
            broker_ahead_s=time.broker_ahead_s,
            is_wrong=time.is_doubtful or ahead_s > CLOCKS_S or since_leap_s < LEAP_S,
        )
