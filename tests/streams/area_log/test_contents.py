"""The records of a log decoded, an alert looked up, and a log exported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from detectors.alerts.response import Response
from detectors.area.incident import Incident
from detectors.window.admission import Refusal, TickMark
from streams.area_log.audit import audit
from streams.area_log.contents import alert_of, entry_of, export, find, response_of, scan_of
from streams.area_log.records import TOPICS, LogError, LogRecord
from streams.area_log.reproduce import reproduce
from streams.area_log.sources import ExportedLog
from tests.streams.area_log.recorded import AREA, feed, load, save, town, write


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contents") / "log"
    write(folder, town(), feed())
    return folder


def with_foreign_record(log: Path, folder: Path) -> ExportedLog:
    """A copy of the log, with a record of another area among the incidents."""
    folder.mkdir()
    for file in log.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    records = load(log, "incidents")
    save(folder, "incidents", [*records, msgspec.structs.replace(records[0], offset=len(records), key=b"york")])
    return ExportedLog(folder)


def test_incidents_are_decoded_for_their_area(log: Path, tmp_path: Path) -> None:
    source = with_foreign_record(log, tmp_path / "copy")
    entries = [entry_of(source.manifest, record) for record in source.read("incidents")]
    kinds = Counter(map(type, entries))
    assert (kinds[Refusal], kinds[TickMark], kinds[type(None)]) == (1, 1, 1)
    assert kinds[Incident] == len(entries) - 3
    assert entries[-1] is None


def test_responses_are_decoded_for_their_area(log: Path) -> None:
    source = ExportedLog(log)
    records = list(source.read("responses"))
    contents = [response_of(source.manifest, record) for record in records]
    assert {type(each) for each in contents} == {Response, Refusal, type(None)}
    assert [each is None for each in contents] == [record.key == b"york" for record in records]


@pytest.mark.parametrize("value", [None, b"", b"{}", b"\xff"])
def test_a_record_that_is_something_else_is_an_error(value: bytes | None) -> None:
    record = LogRecord(7, 0, AREA.encode(), value)
    with pytest.raises(LogError, match=r"^alerts, offset 7: not a valid alert \("):
        alert_of(record)
    with pytest.raises(LogError, match=r"^scans, offset 7: not a valid scan record \("):
        scan_of(record)


def test_records_of_others_are_left_out_and_counted(
    log: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever else writes into ``scans`` or ``alerts`` stops neither audit nor explain nor reproduce."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in log.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for topic in ("scans", "alerts"):
        mixed = []
        for record in load(log, topic):
            strangers = (b"hello", b"{}", None, b"\xff", b"[" * 5000)
            mixed += [msgspec.structs.replace(record, value=value) for value in strangers]
            mixed.append(record)
        save(folder, topic, mixed)
    strange, right = ExportedLog(folder), ExportedLog(log)
    alert = alert_of(load(log, "alerts")[0]).subject
    assert find(strange, alert, None) == find(right, alert, None)
    found = audit(strange, lambda: None)
    assert found == msgspec.structs.replace(audit(right, lambda: None), left_out=5 * found.scans)
    assert "scans, offset 0: not a valid scan record (" in caplog.text
    assert reproduce(strange, alert, lambda: None) == reproduce(right, alert, lambda: None)


def test_a_scan_record_of_another_version_is_no_stranger(log: Path, tmp_path: Path) -> None:
    source = with_foreign_record(log, tmp_path / "copy")
    records = load(log, "scans")
    newer = msgspec.json.encode({"format": 99, "area": AREA, "digest": "0" * 64})
    save(tmp_path / "copy", "scans", [*records[:3], msgspec.structs.replace(records[3], value=newer)])
    with pytest.raises(LogError, match=r"^scans, offset 3: not a valid scan record \("):
        audit(source, lambda: None)


def test_an_alert_is_found_in_its_last_or_in_a_given_revision(log: Path) -> None:
    source = ExportedLog(log)
    revisions = Counter(alert_of(record).subject for record in load(log, "alerts"))
    ((alert, number),) = revisions.most_common(1)
    assert number > 1
    assert find(source, alert, None).properties.revision == number
    assert find(source, alert, 1).properties.revision == 1
    with pytest.raises(LogError, match=rf"^{AREA} has no alert {alert} with revision {number + 1}$"):
        find(source, alert, number + 1)
    with pytest.raises(LogError, match=rf"^{AREA} has no alert nobody$"):
        find(source, "nobody", None)


def test_an_export_is_the_same_log_without_other_areas(log: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    source = with_foreign_record(log, tmp_path / "copy")
    written = export(source, tmp_path / "new" / "folder", lambda: steps.append(1))
    exported = ExportedLog(tmp_path / "new" / "folder")
    assert exported.manifest == source.manifest
    for topic in TOPICS:
        assert list(exported.read(topic)) == load(log, topic)
        assert written[topic] == len(load(log, topic))
    assert len(steps) == sum(written.values()) + 1
    with pytest.raises(LogError, match="must be a new folder"):
        export(source, tmp_path, lambda: None)
