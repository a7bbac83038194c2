"""The committed documents are the generated ones, without leftovers."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from streams.cli import main
from streams.documents.write import documents

ROOT = Path(__file__).parents[3]
DOCUMENTS = documents(main, (ROOT / "config" / "monitor.toml").read_text())


def test_the_committed_documents_are_the_generated_ones() -> None:
    """`hotspots documents` writes them again."""
    committed = [path for folder in ("reference", "schemas") for path in (ROOT / "docs" / folder).iterdir()]
    committed += [ROOT / "docs" / "alerts.md", ROOT / "docs" / "metrics.md"]
    assert {path.relative_to(ROOT / "docs").as_posix(): path.read_bytes() for path in committed} == DOCUMENTS


def test_one_command_writes_them_all(tmp_path: Path) -> None:
    annotated = str(ROOT / "config" / "monitor.toml")
    result = CliRunner().invoke(main, ["documents", str(tmp_path / "docs"), "--annotated", annotated])
    assert result.exit_code == 0, result.output
    written = {name: (tmp_path / "docs" / name).read_bytes() for name in DOCUMENTS}
    assert written == DOCUMENTS
