"""Logs of a long-running process, on standard error: text for a person, JSON lines for a machine."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Literal

import msgspec

LogFormat = Literal["text", "json"]

OWN = "streams"
HARMLESS = (
    "kafka.net.selector",  # when the machine is only busy
    "kafka.producer.transaction_manager",  # at the new epoch of each transaction, which it takes for a recovery
    "kafka.admin._groups",  # at what Faust tells the group about itself, which it cannot decode
)
"""Loggers of a library whose warnings mean nothing here."""
REPEATED_AFTER_S = 60.0
"""Time for which a repeated warning is held back, in seconds."""

log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """One JSON object per line: time (RFC 3339, UTC), level, logger, message, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class NoFlood(logging.Filter):
    """A filter that passes a repeated warning or error only once in ``REPEATED_AFTER_S``, with the number held back.

    Without it, the clients would write hundreds of lines a second while Kafka is away. A repetition has the same text;
    for records of libraries, the same text before formatting.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}  # when one passed, how many were held back

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        if not logging.WARNING <= record.levelno < logging.CRITICAL:
            return True
        with self._lock:
            return self._passes(record)

    def _passes(self, record: logging.LogRecord) -> bool:
        text = record.getMessage() if record.name.split(".")[0] == OWN else str(record.msg)
        kind = record.name, record.lineno, text, record.exc_info and record.exc_info[0]
        passed_s, held_back = self._seen.get(kind, (float("-inf"), 0))
        if record.created - passed_s < REPEATED_AFTER_S:
            self._seen[kind] = passed_s, held_back + 1
            return False
        self._seen = {key: seen for key, seen in self._seen.items() if record.created - seen[0] < 10 * REPEATED_AFTER_S}
        self._seen[kind] = record.created, 0
        if held_back:
            record.msg, record.args = f"{record.getMessage()} (and {held_back} more of this kind before)", ()
        return True


def _log_thread(died: threading.ExceptHookArgs) -> None:
    is_cancelled = isinstance(died.exc_value, asyncio.CancelledError)  # so end Faust's threads when they are stopped
    error = (died.exc_type, died.exc_value, died.exc_traceback) if died.exc_value and not is_cancelled else None
    log.log(
        logging.INFO if is_cancelled else logging.ERROR,
        "thread %s has died: %r",
        died.thread and died.thread.name,
        died.exc_value,
        exc_info=error,
    )


def _log_unraisable(ignored: sys.UnraisableHookArgs) -> None:
    error = (ignored.exc_type, ignored.exc_value, ignored.exc_traceback) if ignored.exc_value else None
    log.warning("%s %r: %r", ignored.err_msg or "ignored in", ignored.object, ignored.exc_value, exc_info=error)


def set_up_logging(log_format: LogFormat) -> None:
    """Log our own messages, the libraries' warnings, and what Python itself would write to standard error."""
    handler = logging.StreamHandler()
    handler.addFilter(NoFlood())
    if log_format == "json":
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(OWN).setLevel(logging.INFO)
    for name in HARMLESS:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(True)
    threading.excepthook, sys.unraisablehook = _log_thread, _log_unraisable
