"""Log lines that a machine can read, whatever happens."""

from __future__ import annotations

import json
import logging
import sys

from streams.process.logs import REPEATED_AFTER_S, JsonLines, NoFlood


def line(message: str, *arguments: object, error: bool = False) -> str:
    """Return the line that is logged."""
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


def passed(
    flood: NoFlood,
    logger: str,
    text: str,
    at_s: float,
    level: int = logging.WARNING,
    line_of: int = 1,
    arguments: tuple[object, ...] = (),
) -> str | None:
    """Return what is written of a record, None if it is held back."""
    record = logging.LogRecord(logger, level, __file__, line_of, text, arguments, None)
    record.created = at_s
    return record.getMessage() if flood.filter(record) else None


def test_a_library_warns_of_one_thing_once_a_minute() -> None:
    flood = NoFlood()
    assert passed(flood, "aiokafka", "no node %d", 0.0, arguments=(1,)) == "no node 1"
    assert passed(flood, "aiokafka", "no node %d", 1.0, arguments=(2,)) is None
    assert passed(flood, "aiokafka", "another text", 1.0) is not None
    assert passed(flood, "aiokafka", "no node %d", 1.0, line_of=2, arguments=(1,)) is not None
    assert passed(flood, "aiokafka", "no node %d", REPEATED_AFTER_S - 0.1, arguments=(3,)) is None
    text = passed(flood, "aiokafka", "no node %d", REPEATED_AFTER_S, arguments=(4,))
    assert text == "no node 4 (and 2 more of this kind before)"
    assert passed(flood, "aiokafka", "no node %d", 2 * REPEATED_AFTER_S, arguments=(5,)) == "no node 5"


def test_of_our_lines_only_the_same_text_is_held_back_and_information_never() -> None:
    flood = NoFlood()
    assert passed(flood, "streams.worker", "leeds is late", 0.0) is not None
    assert passed(flood, "streams.worker", "hull is late", 0.0) is not None
    assert passed(flood, "streams.worker", "leeds is late", 1.0) is None
    for level in (logging.INFO, logging.CRITICAL):
        assert [passed(flood, "streams.worker", "same", at_s, level) for at_s in (0.0, 1.0)] == [
            "same",
            "same",
        ]
