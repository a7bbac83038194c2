"""The process of ``hotspots webhook``."""

from __future__ import annotations

import asyncio
import logging
import signal

from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from streams.brokers.batches import report_to
from streams.brokers.connection import error_text
from streams.brokers.topics import check_topics
from streams.configuration.load import Configuration
from streams.configuration.reader import ConfigurationError
from streams.process.logs import LogFormat, set_up_logging
from streams.process.metrics_server import MetricsServer
from streams.webhook.client import WebhookClient
from streams.webhook.metrics import WebhookMetrics
from streams.webhook.sink import DONE, FAILED, WebhookSink

log = logging.getLogger(__name__)


def run_webhook(configuration: Configuration, log_format: LogFormat = "text") -> int:
    """Post alerts from this process until it is stopped; return the exit code."""
    set_up_logging(log_format)
    try:
        faults = check_topics(
            configuration.kafka, configuration.longest_window_days, ("alerts", "scans", "undelivered")
        )
        for fault in faults:
            log.critical("%s", fault)
        return FAILED if faults else asyncio.run(_run(configuration))
    except KafkaError as error:
        log.critical("%s", error_text(error, configuration.kafka))
    except ConfigurationError as error:
        log.critical("%s", error)
    return FAILED


async def _run(configuration: Configuration) -> int:
    registry = CollectorRegistry()
    metrics = WebhookMetrics(registry)
    metrics.unreadable(configuration.kafka.topic("alerts"), 0)
    report_to(metrics.unreadable)
    host, port = configuration.metrics.host, configuration.webhook.metrics_port
    async with WebhookClient(configuration.webhook, metrics) as client:
        sink = WebhookSink(configuration.kafka, configuration.webhook_group, configuration.webhook, client, metrics)
        server = MetricsServer(registry, host=host, port=port, dead=sink.stalled, not_ready=sink.not_ready)
        try:
            server.start()
        except OSError as error:
            raise ConfigurationError(
                f"webhook.metrics_port = {port}: cannot listen there on {host} ({error.strerror})"
            ) from None
        running = asyncio.create_task(sink.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        log.info("alerts from the tier %s on are posted to %s", configuration.webhook.from_tier, client.host)
        try:
            await running
        except asyncio.CancelledError:
            log.info("leaving")
        finally:
            server.stop()
    return DONE
