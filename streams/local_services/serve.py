"""Both servers for development, on fixed ports."""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from streams.local_services.kafka import LocalKafka
from streams.local_services.kafka_jars import LocalServiceError, prepare
from streams.local_services.valkey import LocalValkey


def serve(kafka_port: int = 9092, valkey_port: int = 6379, directory: Path | None = None) -> None:
    """Run both servers until Ctrl-C or SIGTERM, with their data in `directory` or in a temporary folder.

    Call it from the main thread. Raises LocalServiceError if one cannot start or ends unexpectedly.
    """
    with ExitStack() as stack:
        # From here on SIGTERM has the effect of Ctrl-C: both servers stop and the temporary folder is removed.
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, signal.default_int_handler))
        try:
            prepare(click.echo)
            folder = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-services-")))
            kafka = stack.enter_context(LocalKafka(folder / "kafka", kafka_port))
            valkey = stack.enter_context(LocalValkey(folder / "valkey", valkey_port))
            click.echo(
                f"Kafka   {kafka.bootstrap}\nValkey  {valkey.url}\n"
                f"Data    {folder}\nCtrl-C stops both and deletes the data."
            )
            while True:
                for service in (kafka, valkey):
                    if service.process.poll() is not None:
                        raise LocalServiceError(f"{service.name} ended unexpectedly (log: {service.log})")
                time.sleep(0.5)
        except KeyboardInterrupt:
            click.echo("Stopping.")
