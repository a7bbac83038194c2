"""The command that writes the generated documents."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from streams.cli.terminal import EXISTING_FILE


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("docs"))
@click.option(
    "--annotated",
    type=EXISTING_FILE,
    default=Path("config/monitor.toml"),
    show_default=True,
    help="Configuration whose comments explain each key.",
)
@click.pass_context
def documents(context: click.Context, folder: Path, annotated: Path) -> None:
    """Write the generated documents: reference, JSON Schemas, and the pages on alerts and metrics."""
    from streams.documents.write import write

    write(folder, cast(click.Group, context.find_root().command), annotated.read_text(encoding="utf-8"))


COMMANDS = (documents,)
