"""The nightly calibration: when it is due, and that a process beside the worker makes it from the log in Kafka."""

from __future__ import annotations

import dataclasses
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from streams.areas.area import Area, Nightly
from streams.areas.configured import configured_areas
from streams.calibration.calibration_file import CalibrationFile
from streams.configuration.kafka import KafkaSettings
from streams.worker.background import recalibration
from streams.worker.background.recalibration import Recalibrator, is_due
from streams.worker.metrics import Metrics
from tests.integration.conftest import NewSite
from tests.integration.worker_process import Site, incidents, until

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("now", "made", "due"),
    [
        ("2024-07-02T03:30Z", "2024-06-30T04:00Z", True),  # 04:30 in London's summer
        ("2024-07-02T02:30Z", "2024-07-01T04:00Z", False),  # 03:30: last night's still holds
        ("2024-07-02T22:00Z", "2024-07-01T04:00Z", True),  # a night was missed
        ("2024-07-02T22:00Z", "2024-07-02T03:05Z", False),
        ("2024-07-02T03:30Z", None, True),
        ("2024-07-02T22:00Z", None, False),
    ],
)
def test_it_is_due_once_a_night_by_the_area_s_own_clock(now: str, made: str | None, due: bool) -> None:
    made_at = None if made is None else datetime.fromisoformat(made)
    assert is_due(datetime.fromisoformat(now), "04:00", LONDON, made_at) is due


@contextmanager
def running(site: Site, area: Area, monkeypatch: pytest.MonkeyPatch) -> Iterator[queue.Queue[CalibrationFile]]:
    """A running Recalibrator that looks every 50 ms, with one area."""
    monkeypatch.setattr(recalibration, "ASK_S", 0.05)
    made: queue.Queue[CalibrationFile] = queue.Queue()
    registry = CollectorRegistry()
    recalibrator = Recalibrator(
        site.kafka,
        65_536,
        Metrics(registry),
        watched=lambda: {area.name: area},
        made=lambda _, calibration: made.put(calibration),
    )
    recalibrator.start()
    try:
        yield made
    finally:
        recalibrator.stop()


def due_now(site: Site) -> Area:
    """The site's area, due now, with a window of 30 days: near repeats need eight weeks of history."""
    area, at = configured_areas(site.configuration.areas)["leeds"], datetime.now(UTC).strftime("%H:%M")
    settings = msgspec.structs.replace(area.settings, window_days=30)
    return dataclasses.replace(area, settings=settings, nightly=Nightly(at, 78, 3.0))


def test_another_process_makes_a_calibration_from_the_log(new_site: NewSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site = new_site(clock="wall")
    now = datetime.now(UTC)
    site.produce(incidents("leeds", 600, 1, 60.0, now - timedelta(days=60)))
    with running(site, due_now(site), monkeypatch) as made:
        calibration = made.get(timeout=120)
    assert calibration.area == "leeds"
    assert calibration.calibration.budget == 3.0
    assert calibration.seed == now.toordinal()
    assert calibration.history.begins_at >= now - timedelta(days=61)
    assert calibration.history.incidents > 500  # of 600 records, some of the same event


def test_without_history_no_calibration_is_made(
    new_site: NewSite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site = new_site(clock="wall")
    with running(site, due_now(site), monkeypatch) as made:
        until(lambda: "no incident of the four categories" in caplog.text, "the reason is logged")
    assert made.empty()


def test_an_area_that_was_due_is_not_forgotten_while_others_are_calibrated(
    new_site: NewSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Areas without a calibration are due in one hour only, which ends while the first is calibrated."""
    area = due_now(new_site(clock="wall"))
    tried: list[str] = []

    def refuse(_: Recalibrator, area: Area, *__: object) -> str:
        tried.append(area.name)
        return "not now"

    monkeypatch.setattr(recalibration, "ASK_S", 0.05)
    monkeypatch.setattr(recalibration, "is_due", lambda *_: not tried)
    monkeypatch.setattr(Recalibrator, "_calibrate", refuse)
    watched = {name: dataclasses.replace(area, name=name) for name in ("leeds", "york", "hull")}
    recalibrator = Recalibrator(
        KafkaSettings(), 65_536, Metrics(CollectorRegistry()), watched=lambda: watched, made=lambda *_: None
    )
    recalibrator.start()
    try:
        until(lambda: set(tried) == set(watched), "every area was calibrated")
    finally:
        recalibrator.stop()
