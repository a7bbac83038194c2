"""Tables of a TOML file and of the environment -> settings types, every fault noted in one line.

Nothing here knows which settings there are: keys, bounds and defaults come from the types.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import msgspec
from msgspec import inspect

from streams.configuration.constraints import describe, plain

S = TypeVar("S", bound=msgspec.Struct)

ENVIRONMENT_PREFIX = "HOTSPOTS_"


class Secret:
    """A password: no log, message or traceback can show it; ``reveal`` gives it to a client library."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The password itself; empty if none is set."""
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
    """A value from the environment: its variable and its text, which is TOML if it parses as such."""

    variable: str
    text: str

    def parsed(self) -> Any:
        """The TOML value, else the text."""
        try:
            parsed = tomllib.loads(f"value = {self.text}")
        except tomllib.TOMLDecodeError:
            return self.text
        return parsed["value"] if len(parsed) == 1 else self.text


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ValueError: the file cannot be read or is not TOML; the text names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: must be UTF-8, but byte {error.start} is not") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last = f"at line {text.count(chr(10)) + 1}, the end"
        raise ValueError(f"{path}: must be TOML: {str(error).replace('at end of document', last)}") from None


def add_environment(tables: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Lay ``HOTSPOTS_SECTION__KEY`` variables over the tables, creating what is missing.

    A part of a name means the table or key that it equals without regard to case, with ``-`` and
    ``.`` as ``_``; else it is taken in lower case. Names without ``__`` belong to somebody else,
    and an empty value means not set.
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
                break  # a value where a table belongs: the reader says so
            table = inner
        else:
            table[_named(key, table)] = Override(variable, environ[variable])


def given(value: Any) -> Any:
    """A value as it stands in the tables, from the file or, parsed, from the environment."""
    return value.parsed() if isinstance(value, Override) else value


class SettingsReader:
    """Builds settings from tables and collects ``faults``; file names are relative to ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []

    def struct(self, kind: type[S], tables: Any, where: str = "") -> S:
        """The settings of ``kind``, all with defaults, from its table; these stand in for whatever is at fault."""
        settings = self._struct(kind, tables, where)
        return kind() if settings is None else settings

    def _struct(self, kind: type[S], tables: Any, where: str) -> S | None:
        """The settings of ``kind`` from its table; None where they are no table, lack a key, or contradict."""
        tables = given(tables)
        if not isinstance(tables, dict):
            self.faults.append(f"{where.rstrip('.')} = {_shown(where, tables)}: must be a table of keys")
            return None
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        values: dict[str, Any] = {}
        at_fault: list[str] = []
        for key, value in tables.items():
            before = len(self.faults)
            if key in fields:
                values[key] = self._value(fields[key].type, value, where + key, fields[key].default)
            else:
                nearest = difflib.get_close_matches(key, fields, n=1, cutoff=0.0)[0]
                self.faults.append(f"{where}{key}{_origin(value)}: unknown key; the nearest known is {where}{nearest}")
            if len(self.faults) > before:
                values.pop(key, None)
                at_fault.append(key)
        for key in [key for key, field in fields.items() if field.type is Secret]:
            if values.get(f"{key}_file") and not values.get(key):
                values[key] = self._secret_from(values[f"{key}_file"], f"{where}{key}_file")
        required = [key for key, field in fields.items() if field.required]
        self.faults.extend(f"{where}{key}: missing" for key in required if key not in tables)
        if not values.keys() >= set(required):
            return None
        try:
            return kind(**values)
        except ValueError as error:
            for line in str(error).splitlines():
                if not any(re.search(rf"\b{re.escape(key)}\b", line) for key in at_fault):  # one mistake, one line
                    self.faults.append(where + line)
            return None

    def _value(self, annotation: Any, value: Any, where: str, default: Any = msgspec.NODEFAULT) -> Any:
        if annotation is Secret:
            return self._secret(value, where)
        accepted = inspect.type_info(annotation)
        if isinstance(accepted, inspect.StructType):
            return self.struct(accepted.cls, value, where + ".")
        if isinstance(accepted, inspect.DictType):
            return self._table(annotation, value, where)
        if isinstance(accepted, inspect.VarTupleType) and isinstance(accepted.item_type, inspect.StructType):
            return self._list(accepted.item_type.cls, value, where)
        value = self._scalar(annotation, value, where, default)
        return self._file(value, where) if value and default == "" and where.endswith("file") else value

    def _table(self, annotation: Any, tables: Any, where: str) -> dict[str, Any]:
        tables = given(tables)
        if not isinstance(tables, dict):
            self.faults.append(f"{where} = {_shown(where, tables)}: must be a table of keys")
            return {}
        names, items = get_args(annotation)
        values = {}
        for name, item in tables.items():
            try:
                msgspec.convert(name, names)
            except msgspec.ValidationError:
                self.faults.append(f"{where}.{name}: its name must be {describe(inspect.type_info(names))}")
            values[name] = self._value(items, item, f"{where}.{name}")
        return values

    def _list(self, kind: type[S], tables: Any, where: str) -> tuple[S, ...]:
        tables = given(tables)
        if not isinstance(tables, list):
            self.faults.append(f"{where} = {_shown(where, tables)}: must be a list of tables (default [])")
            return ()
        read = [self._struct(kind, table, f"{where}[{number}].") for number, table in enumerate(tables)]
        return tuple(each for each in read if each is not None)

    def _scalar(self, annotation: Any, written: Any, where: str, default: Any = msgspec.NODEFAULT) -> Any:
        candidates = (given(written), written.text) if isinstance(written, Override) else (written,)
        for candidate in candidates:  # a text such as "007" may look like a number
            try:
                value = msgspec.convert(candidate, annotation)
            except msgspec.ValidationError:
                continue
            if not isinstance(value, float) or math.isfinite(value):
                return value
        infinite = isinstance(candidates[0], float) and not math.isfinite(candidates[0])
        right = "finite" if infinite else describe(inspect.type_info(annotation), candidates[0])
        usual = "" if default is msgspec.NODEFAULT or default == "" else f" (default {plain(default)})"
        self.faults.append(f"{where} = {_shown(where, candidates[0])}{_origin(written)}: must be {right}{usual}")
        return default

    def _secret(self, written: Any, where: str) -> Secret:
        if isinstance(written, Override):
            return Secret(written.text)
        variable = ENVIRONMENT_PREFIX + where.upper().replace(".", "__")
        self.faults.append(f"{where}: must not stand in a file that others read; set {variable} or {where}_file")
        return Secret()

    def _secret_from(self, path: str, where: str) -> Secret:
        try:
            secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            secret = ""
            problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        else:
            problem = "it is empty"
        if not secret:
            self.faults.append(f"{where} = {path!r}: must be a readable file with the password, but {problem}")
        return Secret(secret)

    def _file(self, name: str, where: str) -> str:
        path = self.folder / name
        if not path.is_file():
            self.faults.append(f"{where} = {_shown(where, name)}: must be a file, but {path} is none")
        return str(path)


def _named(part: str, table: Iterable[str]) -> str:
    """The key of the table that this part of a variable's name means."""
    plain_part = part.casefold()
    return next((key for key in table if re.sub(r"[-.]", "_", key).casefold() == plain_part), part.lower())


def _origin(written: Any) -> str:
    return f" (from {written.variable})" if isinstance(written, Override) else ""


def _shown(where: str, value: Any) -> str:
    """A value for a message: one short line, hidden where it may hold a password."""
    text = repr(value)
    if "@" in text or where.endswith("password"):
        return "(hidden)"
    return text if len(text) <= 60 else f"{text[:57]}..."
