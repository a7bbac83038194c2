"""A writer of the files that tables are read from."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.streams.analyst.incident_files import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*lines: str, name: str = "incidents.csv") -> Path:
        path = tmp_path / name
        content = "\n".join(lines).encode() + b"\n"
        path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        return path

    return write
