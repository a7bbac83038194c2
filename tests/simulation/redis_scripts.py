"""The Lua scripts of the feeder, run as Redis runs them: by Lua 5.1, with calls that reach the simulated server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from typing import Any

from lupa.lua51 import LuaRuntime, lua_type
from redis.exceptions import ResponseError

Call = Callable[..., Any]
"""Does a command and returns its answer; raises ResponseError."""

_lua = LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
_calls: list[Call] = []  # of the script that runs
_table = _lua.eval("function(...) return {...} end")  # for a few parts, this takes a third of the time
FEW = 100
"""Largest number of parts of an answer that are handed over one by one."""

BEGIN = b"local KEYS, ARGV, redis = ...; "
"""What makes a script a function; without a line of its own, so that errors name the right lines."""


def run_script(source: bytes, keys: Sequence[bytes], arguments: Sequence[bytes], call: Call) -> Any:
    """Run a script to its end, and return its answer as Redis sends it.

    Raises:
        ResponseError: A command that the script calls is refused.
    """
    _calls.append(call)
    try:
        return _answer(_function(source)(_lua.table_from(keys), _lua.table_from(arguments), _library()))
    finally:
        _calls.pop()


@cache
def _function(source: bytes) -> Any:
    return _lua.compile(BEGIN + source)


@cache
def _library() -> Any:
    return _lua.table_from({b"call": _call, b"pcall": _pcall, b"sha1hex": _sha1hex})


def _call(name: bytes, *arguments: bytes | float) -> Any:
    answer = _calls[-1](name, *[each if isinstance(each, bytes) else _text(each) for each in arguments])
    return answer if type(answer) is bytes or type(answer) is int else _for_lua(answer)


def _pcall(name: bytes, *arguments: bytes | float) -> Any:
    try:
        return _call(name, *arguments)
    except ResponseError as error:
        return _lua.table_from({b"err": str(error).encode()})


def _sha1hex(text: bytes) -> bytes:
    return sha1(text, usedforsecurity=False).hexdigest().encode()


def _text(number: float) -> bytes:
    """A number as Lua hands it to Redis."""
    return b"%.17g" % number


def _for_lua(answer: Any) -> Any:
    if answer is None:
        return False
    if isinstance(answer, list):
        parts = [each if type(each) is bytes else _for_lua(each) for each in answer]
        return _table(*parts) if len(parts) <= FEW else _lua.table_from(parts)
    return _lua.table_from(answer) if isinstance(answer, dict) else answer


def _answer(value: Any) -> Any:
    """What a script returns, as Redis sends it: numbers without fractions, tables up to their first hole."""
    if lua_type(value) == "table":
        return [_answer(value[index]) for index in range(1, len(value) + 1)]
    if isinstance(value, int | float):
        return int(value)
    return value
