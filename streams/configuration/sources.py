"""The sources of settings: a TOML file, and the environment, which overrides it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ENVIRONMENT_PREFIX = "HOTSPOTS_"


class Secret:
    """A password that no log, message or traceback can show. ``reveal`` returns it for a client library."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the password itself; empty if none is set."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Override(NamedTuple):
    """A value from the environment.

    ``variable``: name of the variable.
    ``text``: text of the variable, which is TOML if it parses as TOML.
    """

    variable: str
    text: str

    def parsed(self) -> Any:
        """Return the TOML value, or the text if it is not TOML."""
        try:
            parsed = tomllib.loads(f"value = {self.text}")
        except (ValueError, RecursionError):  # not TOML, or a number with thousands of digits
            return self.text
        return parsed["value"] if len(parsed) == 1 else self.text


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        ValueError: The file cannot be read or is not TOML; the text names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: must be UTF-8, but byte {error.start} is not") from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"{path}: must be TOML: nested too deeply") from None
    except ValueError as error:
        last = f"at line {text.count(chr(10)) + 1}, the end"
        raise ValueError(f"{path}: must be TOML: {str(error).replace('at end of document', last)}") from None


def add_environment(tables: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Override values of the tables with the variables ``HOTSPOTS_SECTION__KEY``. Missing tables are created.

    Each part of a variable's name is matched to a table or key. Case does not matter, and ``_`` also matches ``-`` and
    ``.``. A part without a match is used in lower case. Names without ``__`` belong to other programs. A variable with
    an empty value counts as not set.
    """
    for variable in sorted(environ):
        *sections, key = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")
        if not variable.startswith(ENVIRONMENT_PREFIX) or not sections or not environ[variable]:
            continue
        table = tables
        for section in sections:
            name = _named(section, table)
            inner = table.setdefault(name, {})
            if isinstance(inner, Override):
                inner = table[name] = given(inner)
            if not isinstance(inner, dict):
                break  # a value where a table belongs; the reader reports it
            table = inner
        else:
            table[_named(key, table)] = Override(variable, environ[variable])


def given(value: Any) -> Any:
    """Return a value of the tables. A value from the environment is parsed first."""
    return value.parsed() if isinstance(value, Override) else value


def _named(part: str, table: Iterable[str]) -> str:
    """Return the key of the table that matches a part of a variable's name."""
    plain_part = part.casefold()
    return next((key for key in table if re.sub(r"[-.]", "_", key).casefold() == plain_part), part.lower())
