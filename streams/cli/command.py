"""The group ``hotspots``, which collects the commands. A command does its imports when it runs."""

from __future__ import annotations

import click

from streams.cli import calibrate, documents, drill, evidence, incidents, local, processes, study


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hotspot-monitor")
def main() -> None:
    """Watch incidents as they come in, and report where they begin to cluster."""


for module in (processes, local, incidents, calibrate, study, evidence, documents, drill):
    for command in module.COMMANDS:
        main.add_command(command)
