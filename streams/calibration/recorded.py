"""Reads records that hold the settings of an area, of this version or an earlier one."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from detectors.area.settings import FORMER
from streams.process.strict_json import StrictDecoder

Record = TypeVar("Record")

_any = StrictDecoder[Any](Any)


def read_recorded(value: bytes | None, kind: type[Record], *path: str) -> Record:
    """Return the record of ``kind`` in some JSON. Settings that it lacks get the values that mean what was done then.

    ``path``: the names that lead to the settings.

    Raises:
        msgspec.DecodeError: The value is not such a record; the text names the field.
    """
    known = settings = _any.decode(value)
    for name in path:
        settings = settings.get(name) if isinstance(settings, dict) else None
    if isinstance(settings, dict):
        settings |= {name: of_then for name, of_then in FORMER.items() if name not in settings}
    return msgspec.convert(known, kind)
