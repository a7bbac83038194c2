"""Calibrates an area anew every night, from its own log, in a process of its own beside the worker."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from zoneinfo import ZoneInfo

from kafka.errors import KafkaError

from detectors.area.incident import Incident
from streams.area_log.contents import entry_of
from streams.area_log.records import LogError
from streams.area_log.sources import KafkaLog
from streams.areas.area import Area, Nightly
from streams.brokers.reading import StalledError
from streams.calibration.calibration_file import CalibrationError, CalibrationFile
from streams.calibration.make import NullHistories, make, past_of
from streams.configuration.kafka import KafkaSettings
from streams.process.background_thread import BackgroundThread
from streams.worker.metrics import Metrics

WINDOWS = 2
"""So many windows of the past are learnt from: the log is kept for as long."""
SHORTEST = 0.9
"""A past that is shorter than so much of the one that the calibration in use was learnt from does not replace it."""
ASK_S = 60.0
AGAIN_S = 7200.0
"""So long after a calibration was to be made none is made again: by then a new one holds, an hour after it was made."""
KINDEST = 19
"""Detection goes first: the niceness of the process that calibrates."""

log = logging.getLogger(__name__)


def is_due(now: datetime, at: str, zone: ZoneInfo, made_at: datetime | None) -> bool:
    """Whether the last time that the clock of a zone showed ``at`` (HH:MM) lies after the last calibration.

    Without one, it is due within the hour after that time only, so that no start of a worker begins with it.
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
    """An area's calibration by what its log holds of the last windows, with the day as its seed.

    Raises:
        CalibrationError: the past does not allow it.
        LogError, StalledError, KafkaError: the log cannot be read.
    """
    source = KafkaLog(kafka, area.name, max_record_bytes)
    entries = (entry_of(source.manifest, record) for record in source.read("incidents"))
    incidents = [entry for entry in entries if isinstance(entry, Incident)]
    past = past_of(incidents, area, _begin(incidents, area, now), now)
    return make(past, area, nightly.budget, NullHistories(nightly.weeks, seed=now.toordinal()))


def _begin(incidents: Sequence[Incident], area: Area, now: datetime) -> datetime:
    """Since when the log holds the area's incidents: one in a hundred may be older and have come late."""
    earliest = now - timedelta(days=WINDOWS * area.settings.window_days)
    times = sorted(each.occurred for each in incidents if each.occurred and earliest <= each.occurred < now)
    if not times:
        raise CalibrationError("the log holds no incident of the last windows")
    begin = times[len(times) // 100]
    if area.calibration_file is not None:
        history = area.calibration_file.history
        known = history.ends_at - history.begins_at
        if now - begin < SHORTEST * min(known, now - earliest):
            raise CalibrationError(
                f"the log goes back {(now - begin).days} days only, the calibration in use {known.days}"
            )
    return begin


def _run(
    kafka: KafkaSettings, max_record_bytes: int, area: Area, nightly: Nightly, now: datetime, answer: Connection
) -> None:
    """The process: sends the calibration, or why there is none."""
    os.nice(KINDEST)
    try:
        answer.send(recalibrated(kafka, max_record_bytes, area, nightly, now))
    except (CalibrationError, LogError, StalledError, KafkaError) as error:
        answer.send(str(error))


class Recalibrator(BackgroundThread):
    """A thread that looks every minute which of the ``watched`` areas is due, and has it calibrated.

    ``made`` is told of each new calibration, in this thread. One area is calibrated at a time.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        max_record_bytes: int,
        metrics: Metrics,
        *,
        watched: Callable[[], Mapping[str, Area]],
        made: Callable[[str, CalibrationFile], None],
    ) -> None:
        self._kafka = kafka
        self._max_record_bytes = max_record_bytes
        self._metrics = metrics
        self._watched = watched
        self._made = made
        self._not_before: dict[str, datetime] = {}
        super().__init__("recalibrator")

    def _run(self) -> None:
        while not self._stopping.wait(ASK_S):
            # All are found first: those that come last wait for the others for hours.
            for area, nightly in self._due(datetime.now(UTC)):
                if not self._stopping.is_set():
                    self._recalibrate(area, nightly, datetime.now(UTC))
                    self._not_before[area.name] = datetime.now(UTC) + timedelta(seconds=AGAIN_S)

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
        log.info("area %s is calibrated anew", area.name)
        try:
            answer = self._calibrate(area, nightly, now)
        except Exception as error:  # noqa: BLE001 (whatever it is, detection goes on, and it is tried again)
            answer = f"{type(error).__name__}: {error}"
        if isinstance(answer, CalibrationFile):
            self._metrics.recalibrated(area.name, "made")
            log.info("area %s: a calibration was made in %.0f s", area.name, answer.seconds)
            self._made(area.name, answer)
        elif not self._stopping.is_set():
            self._metrics.recalibrated(area.name, "failed")
            log.warning("area %s goes on as it is, no calibration could be made: %s", area.name, answer)

    def _calibrate(self, area: Area, nightly: Nightly, now: datetime) -> CalibrationFile | str:
        """What a process of its own sends."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        arguments = (self._kafka, self._max_record_bytes, area, nightly, now, there)
        process = context.Process(target=_run, args=arguments, daemon=True)
        process.start()
        there.close()
        try:
            while not self._stopping.is_set():
                if here.poll(1.0):
                    answer: CalibrationFile | str = here.recv()
                    return answer
        except EOFError:
            return "the process has ended without an answer"
        finally:
            process.terminate()
            process.join()
            here.close()
        return "the worker leaves"
