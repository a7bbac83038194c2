"""An exported log: reading from an offset, and files that are something else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streams.area_log.records import TOPICS, LogError, LogRecord, Manifest
from streams.area_log.settings import settings_on_record
from streams.area_log.sources import MANIFEST, ExportedLog
from tests.streams.area_log.recorded import save

RECORDS = [LogRecord(offset, 1000 * offset, b"leeds:c0ffee", b"value", (("tick", None),)) for offset in (3, 5, 8)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An exported log of three records in each topic."""
    begins, ends = dict.fromkeys(TOPICS, 3), dict.fromkeys(TOPICS, 9)
    manifest = Manifest(area="leeds", partition=0, partitions=1, max_record_bytes=9, begins=begins, ends=ends)
    (tmp_path / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    for topic in TOPICS:
        save(tmp_path, topic, RECORDS)
    return tmp_path


@pytest.mark.parametrize(("start", "left"), [(0, 3), (3, 3), (4, 2), (8, 1), (9, 0)])
def test_a_log_is_read_from_an_offset(folder: Path, start: int, left: int) -> None:
    assert list(ExportedLog(folder).read("alerts", start)) == RECORDS[3 - left :]


def test_a_settings_record_is_found_by_its_hash(folder: Path) -> None:
    log = ExportedLog(folder)
    assert settings_on_record(log, "c0ffee") == b"value"
    with pytest.raises(LogError, match=r"^settings: no record has the key leeds:beef, "):
        settings_on_record(log, "beef")


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]"])
def test_a_folder_without_a_manifest_is_an_error(folder: Path, content: bytes | None) -> None:
    (folder / MANIFEST).unlink()
    if content is not None:
        (folder / MANIFEST).write_bytes(content)
    with pytest.raises(LogError, match=r"manifest\.json: must be the manifest of an exported log "):
        ExportedLog(folder)


def test_a_missing_file_and_a_bad_line_are_named(folder: Path) -> None:
    log = ExportedLog(folder)
    with (folder / "scans.jsonl").open("ab") as file:
        file.write(b"{}\n")
    read = log.read("scans")
    assert [next(read) for _ in RECORDS] == RECORDS
    with pytest.raises(LogError, match=r"scans\.jsonl: line 4: must be a record in JSON "):
        next(read)
    (folder / "alerts.jsonl").unlink()
    with pytest.raises(LogError, match=r"alerts\.jsonl: No such file"):
        next(log.read("alerts"))
