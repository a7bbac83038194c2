"""Calibrates an area every night from its own log, in a process beside the worker."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from zoneinfo import ZoneInfo

from kafka.errors import KafkaError

from detectors.area.incident import Incident
from detectors.calibration.past import Past
from streams.area_log.contents import entry_of
from streams.area_log.records import LogError
from streams.area_log.sources import KafkaLog
from streams.areas.area import Area, Nightly
from streams.calibration.calibration_file import CalibrationError, CalibrationFile
from streams.calibration.make import NullHistories, make, past_of
from streams.configuration.kafka import KafkaSettings
from streams.process.background_thread import BackgroundThread
from streams.process.clock import MACHINE, Clock
from streams.worker.metrics import Metrics

WINDOWS = 2
"""Length of the past from which a calibration learns, in windows. The log is kept for as long."""
SHORTEST = 0.9
"""Lower bound for the length of that past, as a share of the past of the calibration in use."""
ASK_S = 60.0
"""Interval between two checks for areas that are due, in seconds."""
AGAIN_S = 7200.0
"""Wait before an area is calibrated again, in seconds: longer than the hour after which a new calibration is in use."""
NICENESS = 19
"""Niceness of the process that calibrates: detection goes first."""

log = logging.getLogger(__name__)


def is_due(now: datetime, at: str, zone: ZoneInfo, made_at: datetime | None) -> bool:
    """Return whether the zone's clock has shown ``at`` (HH:MM) since the last calibration.

    Without a calibration, one is due only within the hour after that time, so that a worker does not calibrate at its
    start.
    """
    local = now.astimezone(zone)
    hour, minute = map(int, at.split(":"))
    last = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if last > local:
        last -= timedelta(days=1)
    return now - last < timedelta(hours=1) if made_at is None else made_at < last


def recalibrated(
    kafka: KafkaSettings, max_record_bytes: int, area: Area, nightly: Nightly, now: datetime
) -> CalibrationFile:
    """Return a calibration of an area from the last windows of its log, with the day as its seed.

    Raises:
        CalibrationError: The past allows no calibration.
        LogError, KafkaError: The log cannot be read.
    """
    source = KafkaLog(kafka, area.name, max_record_bytes)
    entries = (entry_of(source.manifest, record) for record in source.read("incidents"))
    past = recent_past((entry for entry in entries if isinstance(entry, Incident)), area, now)
    return make(past, area, nightly.budget, NullHistories(nightly.weeks, seed=now.toordinal()))


def recent_past(incidents: Iterable[Incident], area: Area, now: datetime) -> Past:
    """Return the dense span of an area's events of the last windows.

    Raises:
        CalibrationError: There is none, or it is much shorter than the past of the calibration in use.
    """
    earliest = now - timedelta(days=WINDOWS * area.settings.window_days)
    past = past_of(incidents, area, None, None, within=(earliest, now))
    if area.calibration_file is not None:
        history, length = area.calibration_file.history, timedelta(hours=past.buckets)
        known = history.ends_at - history.begins_at
        if length < SHORTEST * min(known, now - earliest):
            raise CalibrationError(
                f"the log has incidents of {length.days} days, the calibration in use of {known.days}: "
                f"must be at least {SHORTEST:.0%} of that"
            )
    return past


def _run(
    kafka: KafkaSettings, max_record_bytes: int, area: Area, nightly: Nightly, now: datetime, results: Connection
) -> None:
    """Make the calibration in the process beside the worker; send it, or the reason why there is none."""
    os.nice(NICENESS)
    try:
        results.send(recalibrated(kafka, max_record_bytes, area, nightly, now))
    except (CalibrationError, LogError, KafkaError) as error:
        results.send(str(error))


class Recalibrator(BackgroundThread):
    """A thread that starts the calibration of each ``watched`` area when it is due, one area at a time.

    The thread calls ``made`` with each new calibration.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        max_record_bytes: int,
        metrics: Metrics,
        *,
        watched: Callable[[], Mapping[str, Area]],
        made: Callable[[str, CalibrationFile], None],
        clock: Clock = MACHINE,
    ) -> None:
        self._kafka = kafka
        self._max_record_bytes = max_record_bytes
        self._metrics = metrics
        self._watched = watched
        self._made = made
        self._clock = clock
        self._not_before: dict[str, datetime] = {}
        super().__init__("recalibrator")

    def _run(self) -> None:
        while not self._stopping.wait(ASK_S):
            # All are found first: the last of them waits for hours.
            for area, nightly in self._due(self._clock.now()):
                if not self._stopping.is_set():
                    self._recalibrate(area, nightly, self._clock.now())
                    self._not_before[area.name] = self._clock.now() + timedelta(seconds=AGAIN_S)

    def _due(self, now: datetime) -> list[tuple[Area, Nightly]]:
        due = []
        for name, area in self._watched().items():
            if area.nightly is None or now < self._not_before.get(name, now):
                continue
            made_at = area.calibration_file.made_at if area.calibration_file else None
            if is_due(now, area.nightly.at, ZoneInfo(area.settings.timezone), made_at):
                due.append((area, area.nightly))
        return due

    def _recalibrate(self, area: Area, nightly: Nightly, now: datetime) -> None:
        log.info("area %s: calibrating", area.name)
        try:
            result = self._calibrate(area, nightly, now)
        except Exception as error:  # noqa: BLE001 (detection goes on, and it is tried again)
            result = f"{type(error).__name__}: {error}"
        if isinstance(result, CalibrationFile):
            self._metrics.recalibrated(area.name, "made")
            log.info("area %s: a calibration was made in %.0f s", area.name, result.seconds)
            for remark in (*result.history.remarks(), *result.remarks()):
                log.warning("area %s: %s", area.name, remark)
            self._made(area.name, result)
        elif not self._stopping.is_set():
            self._metrics.recalibrated(area.name, "failed")
            log.warning("area %s keeps its calibration, a new one could not be made: %s", area.name, result)

    def _calibrate(self, area: Area, nightly: Nightly, now: datetime) -> CalibrationFile | str:
        """Return the message from the process beside the worker."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        arguments = (self._kafka, self._max_record_bytes, area, nightly, now, there)
        process = context.Process(target=_run, args=arguments, daemon=True)
        process.start()
        there.close()
        try:
            while not self._stopping.is_set():
                if here.poll(1.0):
                    result: CalibrationFile | str = here.recv()
                    return result
        except EOFError:
            return "the process ended without a result"
        finally:
            process.terminate()
            process.join()
            here.close()
        return "the worker is leaving"
