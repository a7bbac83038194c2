"""Files that cannot be read as incidents say why, in one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from streams.analyst.incident_file import IncidentFile, IncidentFileError


def check(path: Path, content: bytes, message: str) -> None:
    """A file with this content is refused in one line with this beginning."""
    path.write_bytes(content)
    with pytest.raises(IncidentFileError) as raised:
        IncidentFile.read(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"id,occurred_at,category,longitude,latitude\n", "no row has a time"),
        (b"occurred_at,longitude,latitude\n", "no column id; its columns are occurred_at, longitude, latitude"),
        (b"id,longitude,latitude\n", "no column occurred_at (or occurred_from and occurred_to)"),
        (b"id,reported_at,longitude,latitude\n", "no column occurred_at"),
        (b"id,occurred_at,latitude\n", "no column longitude (or location)"),
        (b"id,occurred_at,longitude\n", "no column latitude (or location)"),
        (b"id,occurred_at,longitude,latitude\na,2024-03-01,-1.5,53.8\n", "no row has a time with an offset"),
        (b"id,occurred_at,longitude,latitude\n\xff\xfe\n", "not UTF-8 text (invalid start byte)"),
        (b"id,occurred_at,longitude,latitude\n" + b"x" * 140_000, "line 2: must be CSV (field larger than field limit"),
        (gzip.compress(b"id", mtime=0), "not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_used_says_so_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    check(tmp_path / "bad.csv", content, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,occurred_at\n", "not gzip data, although the name ends in .gz"),
        (b"", "the file is empty"),
        (gzip.compress(bytes(range(97, 123)) * 99, mtime=0)[:-9], "the gzip data are damaged or cut short"),
        (gzip.compress(b"id", mtime=0)[:-8] + bytes(8), "not gzip data"),
    ],
)
def test_a_broken_gzip_file_says_so_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    check(tmp_path / "bad.csv.gz", content, message)


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(IncidentFileError, match=r"none\.csv: No such file"):
        IncidentFile.read(tmp_path / "none.csv")
    with pytest.raises(IncidentFileError, match="Is a directory"):
        IncidentFile.read(tmp_path)
