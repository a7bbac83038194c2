"""Log lines that a machine can read, whatever happens."""

from __future__ import annotations

import json
import logging
import sys

from streams.logs import JsonLines


def line(message: str, *arguments: object, error: bool = False) -> str:
    """What is logged."""
    exc_info = sys.exc_info() if error else None
    record = logging.LogRecord("streams.worker", logging.WARNING, __file__, 1, message, arguments, exc_info)
    record.created = 1_709_510_400.25
    return JsonLines().format(record)


def test_a_line_is_one_json_object() -> None:
    assert json.loads(line("partition %d:\n%s", 3, "lost")) == {
        "time": "2024-03-04T00:00:00.250000Z",
        "level": "warning",
        "logger": "streams.worker",
        "message": "partition 3:\nlost",
    }
    assert "\n" not in line("two\nlines")


def test_an_error_brings_its_traceback_in_the_same_line() -> None:
    try:
        raise ValueError("no such thing")
    except ValueError:
        text = line("failed", error=True)
    assert "\n" not in text
    assert json.loads(text)["error"].endswith("ValueError: no such thing")
