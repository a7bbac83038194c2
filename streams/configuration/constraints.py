"""What a type accepts, said in words: the half of an error message that tells what would be right."""

from __future__ import annotations

from typing import Any

from msgspec import inspect


def describe(accepted: inspect.Type, given: Any = None) -> str:
    """What a value of this type is, such as ``a number above 0`` or ``a whole number from 1 to 3600``.

    Where ``given`` is a number as it should be, only its bounds: ``above 0``.
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
    """A default or a bound as an operator would write it: ``500``, not ``500.0``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
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
