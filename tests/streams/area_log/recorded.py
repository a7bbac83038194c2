"""A small town's log in a folder, as a worker writes it, without a broker."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import h3
import msgspec

from detectors.alerts.response import Action
from detectors.area.locations import Locations
from detectors.area.settings import STREAMS, AreaSettings, TierSettings
from detectors.calibration.margins import Margins
from detectors.calibration.result import Calibration, NearRepeats
from detectors.monitor import Monitor
from detectors.results import ClosedTick, ResponseResult
from detectors.scan.significance import TIERS
from streams.area_log.records import TOPICS, LogRecord, LogTopic, Manifest
from streams.area_log.sources import MANIFEST
from streams.areas.area import Area
from streams.calibration.calibration_file import CalibrationFile, places_hash
from streams.calibration.history import History
from streams.messages.incident import decode
from streams.messages.response import ResponseMessage, decode_response
from streams.messages.scan import ScanRecord, encode, raw, scan_record
from tests.integration.worker_process import BEGIN, CENTRE, Row, incidents, tick

AREA = "leeds"
NONE_AHEAD: Mapping[int, int] = {}
LOW = TierSettings(watch=1.0, advisory=5.0, alert=30.0, urgent=365.0)


def town(clock: str = "watermark", seed: int = 0, **settings: object) -> Area:
    """An area of 61 cells, with a window of a week and low tiers."""
    chosen = AreaSettings(
        clock=clock,  # type: ignore[arg-type]
        window_days=7,
        min_baseline_days=3,
        durations_h=(2, 4, 8, 24),
        replications=99,
        tiers=LOW,
        seed=seed,
        **settings,  # type: ignore[arg-type]
    )
    places = Locations.from_cells(h3.grid_disk(h3.latlng_to_cell(*CENTRE, 10), 4))
    return Area.of(AREA, chosen, places)


def feed(number: int = 160, days: float = 6.0, seed: int = 1) -> list[tuple[Row, int]]:
    """Rows with their arrival, milliseconds since 1970: incidents, a bad record, a cancellation, a tick record."""
    rows = incidents(AREA, number, seed, days)
    chance = random.Random(seed)
    arrived = []
    for row in rows:
        occurred = msgspec.json.decode(row[1])["occurred_at"]
        arrived.append((row, int(msgspec.convert(occurred, type(BEGIN)).timestamp() * 1000) + chance.randrange(900)))
    half = len(rows) // 2
    cancelled = msgspec.json.encode({"id": msgspec.json.decode(rows[half - 3][1])["id"], "status": "cancelled"})
    arrived.insert(half, ((AREA, cancelled, ()), arrived[half][1]))
    arrived.insert(half, ((AREA, b"{", ()), arrived[half][1]))
    end_ms = arrived[-1][1] + 3_600_000
    end = tick(AREA, BEGIN.fromtimestamp(end_ms // 1000, BEGIN.tzinfo))
    return [*arrived, (end, end_ms)]


def calibration(lowest: float) -> CalibrationFile:
    """A calibration whose scores are LLRs and whose tiers begin at ``lowest``."""
    made = Calibration(
        budget=2.0,
        scores=dict(zip(TIERS, (lowest, lowest + 1, lowest + 2, lowest + 4), strict=True)),
        margins=(Margins.flat(),) * len(STREAMS),
        curve=((lowest, 20.0), (lowest + 2, 2.0)),
        rate=2.0,
        rate_low=1.8,
        rate_high=2.2,
        dispersion=1.0,
        near_repeats=NearRepeats(followers={}, within_m=(), by_ring=(), within_h=(), by_lag=()),
    )
    watched = town()
    return CalibrationFile(
        id=made.digest,
        area=AREA,
        calibration=made,
        settings=watched.settings,
        places=places_hash(watched.locations),
        history=History(begins_at=BEGIN, ends_at=BEGIN, incidents=0),
        weeks=0,
        seed=0,
        with_near_repeats=False,
        made_at=BEGIN,
        seconds=0.0,
    )


def next_response(monitor: Monitor, number: int) -> bytes | None:
    """A message to an open alert or an unknown one, or one that cannot be read; None without open alerts."""
    if number % 9 == 7:
        return b"{"
    if not monitor.alerts:
        return None
    alert = "0" * 32 if number % 9 == 5 else monitor.alerts[number % len(monitor.alerts)].id
    action: Action = ("acknowledge", "take", "outcome")[number % 3]
    response = ResponseMessage(
        id=f"00000000-0000-4000-8000-{number:012}",
        alert=alert,
        action=action,
        user=("ann", "bob")[number % 2],
        at=BEGIN,
        outcome="venue" if action == "outcome" else msgspec.UNSET,
    )
    return response.encode()


def ticks(
    watched: Area,
    rows: list[tuple[Row, int]],
    seed: int,
    recalibrates: bool,
    responses: list[LogRecord] | None,
    ahead: Mapping[int, int],
) -> Iterator[tuple[Area, ClosedTick | ResponseResult]]:
    """The ticks that a worker closes: a wall clock sometimes falls behind, and time passes without records.

    Sometimes a response is added to ``responses``. ``ahead``: by offset, the seconds by which a stamp is ahead.
    """
    by = {"": watched}
    monitor: Monitor = watched.monitor()
    coming = {len(rows) // 2: calibration(3.0), len(rows) * 3 // 4: calibration(4.0)} if recalibrates else {}
    chance, responding = random.Random(seed), random.Random(seed + 1)
    for offset, ((area, value, headers), arrival_ms) in enumerate(rows):
        if offset in coming:
            monitor.recalibrate(coming[offset].calibration)
            by[coming[offset].id] = replace(watched, calibration_file=coming[offset])
        _, entry = decode(area.encode(), value, headers, 0, 1, {AREA}, 65_536)
        if watched.settings.clock == "wall" and chance.random() < 0.3:
            for closed in monitor.advance(arrival_ms // 1000 - 2):
                yield by[closed.calibration], closed
        merge = watched.settings.clock == "wall" and chance.random() < 0.3
        ahead_s = ahead.get(offset, 0)
        for closed in monitor.put(entry, offset, arrival_ms // 1000 + ahead_s, merge, ahead_s=ahead_s):
            yield by[closed.calibration], closed
        if ahead_s and chance.random() < 0.3:
            for closed in monitor.flush():  # early, as where an area's clock is ahead
                yield by[closed.calibration], closed
        if responses is None or responding.random() > 0.3:
            continue
        message = next_response(monitor, len(responses) // 2)
        if message is not None:
            # Another area's response lies before it, in the same partition.
            responses.append(LogRecord(len(responses), arrival_ms, b"york", message))
            responses.append(LogRecord(len(responses), arrival_ms, AREA.encode(), message))
            _, response = decode_response(AREA.encode(), message, 0, 1, {AREA})
            applied = monitor.respond(response, len(responses) - 1)
            if applied is not None:
                yield by[applied.calibration], applied
    for closed in monitor.flush():
        yield by[closed.calibration], closed


def write(
    folder: Path,
    watched: Area,
    rows: list[tuple[Row, int]],
    recalibrates: bool = False,
    with_responses: bool = True,
    ahead: Mapping[int, int] = NONE_AHEAD,
) -> None:
    """The log of the town in a folder, as ``hotspots export`` writes it.

    ``ahead``: by offset, the seconds by which a wrong clock stamps an arrival ahead.
    """
    log: dict[LogTopic, list[LogRecord]] = {topic: [] for topic in TOPICS}

    def add(topic: LogTopic, key: bytes, value: bytes) -> None:
        log[topic].append(LogRecord(len(log[topic]), 0, key, value))

    for offset, ((area, value, headers), arrival_ms) in enumerate(rows):
        stamp_ms = arrival_ms + ahead.get(offset, 0) * 1000
        log["incidents"].append(LogRecord(offset, stamp_ms, area.encode(), value, headers))
    last: ScanRecord | None = None
    waiting = list(log["incidents"])
    for by, closed in ticks(watched, rows, 0, recalibrates, log["responses"] if with_responses else None, ahead):
        if last is None or by.ids != last.ids:
            for key, value in by.written_in_full():
                add("settings", key, value)
        mine = [each for each in waiting if each.offset < closed.next_offset]
        waiting = waiting[len(mine) :]
        read = [log["responses"][closed.offset]] if isinstance(closed, ResponseResult) else mine
        raws = [raw(each.key, each.value, each.headers, each.timestamp_ms) for each in read]
        record = scan_record(AREA, by.ids, closed, last, raws)
        last = record
        add("scans", AREA.encode(), encode(record))
        for alert in closed.changes:
            add("alerts", AREA.encode(), by.event(alert))
    folder.mkdir()
    begins: dict[LogTopic, int] = dict.fromkeys(log, 0)
    ends = {topic: len(records) for topic, records in log.items()}
    manifest = Manifest(area=AREA, partition=0, partitions=1, max_record_bytes=65_536, begins=begins, ends=ends)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    for topic, records in log.items():
        save(folder, topic, records)


def load(folder: Path, topic: LogTopic) -> list[LogRecord]:
    """The records of a topic in such a folder."""
    return [msgspec.json.decode(line, type=LogRecord) for line in (folder / f"{topic}.jsonl").read_bytes().splitlines()]


def save(folder: Path, topic: LogTopic, records: list[LogRecord]) -> None:
    """Replace the records of a topic in such a folder."""
    (folder / f"{topic}.jsonl").write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in records))
