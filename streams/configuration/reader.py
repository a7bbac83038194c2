"""Makes settings types from the tables of a TOML file and of the environment, with one line for each fault.

Keys, bounds and defaults come from the types; nothing here names a setting.
"""

from __future__ import annotations

import difflib
import enum
import math
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import inspect

from streams.configuration.sources import ENVIRONMENT_PREFIX, Override, Secret, given

S = TypeVar("S", bound=msgspec.Struct)
MAX_SHOWN = 60
"""Largest number of characters of a value that a message repeats."""


class ConfigurationError(ValueError):
    """The configuration cannot be used. The text has one line for each fault."""


def matching(pattern: str, description: str) -> msgspec.Meta:
    """Return the constraint that a whole text must match a pattern. Messages show its description."""
    return msgspec.Meta(pattern=rf"^{pattern}\Z", description=description)


Name = Annotated[str, matching("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 of A-Z a-z 0-9 . _ -, the first no . _ -")]
"""Name of an area: a Kafka key, a part of Redis keys, a metric label. It is ASCII, so that it has one spelling."""


class SettingsReader:
    """Builds settings from tables and collects ``faults``. File names are relative to ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []

    def struct(self, kind: type[S], tables: Any, where: str = "") -> S:
        """Return the settings of ``kind`` from its table. Every wrong value is replaced by its default."""
        settings = self._struct(kind, tables, where)
        return kind() if settings is None else settings

    def _struct(self, kind: type[S], tables: Any, where: str) -> S | None:
        """Return the settings of ``kind``; None if there is no table, a key is missing, or keys contradict."""
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
                if not any(re.search(rf"\b{re.escape(key)}\b", line) for key in at_fault):  # one line for each mistake
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
        for candidate in candidates:  # a text such as "007" looks like a number
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
            self.faults.append(f"{where} = {_shown(where, name)}: must be a file, but {path} is not")
        return str(path)


def _origin(written: Any) -> str:
    return f" (from {written.variable})" if isinstance(written, Override) else ""


def _shown(where: str, value: Any) -> str:
    """Return a value for a message: one short line. A value that may hold a password is hidden."""
    text = repr(value)
    if "@" in text or where.endswith("password"):
        return "(hidden)"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def describe(accepted: inspect.Type, given: Any = None) -> str:
    """Return the description of a type, such as ``a number above 0`` or ``a whole number from 1 to 3600``.

    If ``given`` is a number of this type, the description has only the bounds: ``above 0``.
    """
    match accepted:
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case inspect.Metadata(type=inner):
            return describe(inner, given)
        case inspect.UnionType(types=types):
            return " or ".join(describe(each, given) for each in types if not isinstance(each, inspect.NoneType))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(gt=above, ge=least, lt=below, le=most):
            return _number("a whole number", type(given) is int, above, least, below, most)
        case inspect.FloatType(gt=above, ge=least, lt=below, le=most):
            return _number("a number", type(given) in (int, float), above, least, below, most)
        case inspect.StrType(min_length=least, max_length=most):
            return "text" if most is None else f"text of {least or 0} to {most} characters"
        case inspect.DateTimeType():
            return "an RFC 3339 time with a UTC offset"
        case inspect.LiteralType(values=words):
            return _choice(list(words))
        case inspect.EnumType(cls=members):
            return _choice([member.value for member in members])
        case inspect.VarTupleType(item_type=item):
            return f"a list, each item {describe(item)}"
    return "a table of keys"


def plain(value: Any) -> str:
    """Return a default or a bound in the form that an operator would write: ``500``, not ``500.0``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, enum.Enum):
        return repr(value.value)
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


def _number(kind: str, is_kind: bool, above: Any, least: Any, below: Any, most: Any) -> str:
    ends = [
        f"{word} {plain(end)}"
        for word, end in (("above", above), ("at least", least), ("below", below), ("at most", most))
        if end is not None
    ]
    bounds = f"from {plain(least)} to {plain(most)}" if None not in (least, most) else " and ".join(ends)
    return bounds if is_kind and bounds else f"{kind} {bounds}".rstrip()


def _choice(words: list[Any]) -> str:
    return repr(words[0]) if len(words) == 1 else f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"
