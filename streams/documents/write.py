"""Writes all generated documents into one folder."""

from __future__ import annotations

from pathlib import Path

import click

from streams.documents import alert_page, metrics_page, reference, schemas


def documents(main: click.Group, annotated: str) -> dict[str, bytes]:
    """Return the file name, relative to ``docs``, and the content of every generated document.

    ``annotated``: the text of ``config/monitor.toml``, whose comments explain each key.
    """
    pages = {"alerts.md": alert_page.document(), "metrics.md": metrics_page.document()}
    pages |= {f"reference/{name}": page for name, page in reference.pages(main, annotated).items()}
    encoded = {name: page.encode() for name, page in pages.items()}
    return encoded | {f"schemas/{name}": schema for name, schema in schemas.schemas().items()}


def write(folder: Path, main: click.Group, annotated: str) -> None:
    """Write every generated document into a folder, which is created if needed."""
    for name, content in documents(main, annotated).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
