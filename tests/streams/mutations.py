"""Valid documents with a fault that a stranger, a broken client or a flipped bit could bring."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

ODD = [
    *b"null true -1 0 1.5 1e308 1e400 -0.0 NaN 18446744073709551616".split(),
    b"9" * 400,
    b"9" * 5000,
    b'"\xff"',
    b'"\\ud800"',
    b'"\\u0000"',
    b'""',
    b'"x"',
    b'"-1"',
    b'"' + b"8" * 400 + b'"',
    b'"0001-01-01T00:00:00+23:59"',
    b'"9999-12-31T23:59:59.999999-23:59"',
    b"[]",
    b"{}",
    b"[1]",
    b"[181,1]",
    b"[1,2,3]",
    b'["x","y"]',
    b'{"x":1}',
    b"[" * 300 + b"]" * 300,
    b"[" * 900 + b"]" * 900,
    b"[" * 5000 + b"]" * 5000,
    b'{"x":' * 5000 + b"1" + b"}" * 5000,
]
"""Values of JSON, and some that are none."""


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value within a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in _places(each, (*path, key)))]


def _edited(document: Any, path: tuple[str | int, ...], odd: bytes | None) -> bytes:
    """The document with another value at a path; None removes it there."""
    if not path:
        return odd or b""
    copy = msgspec.json.decode(msgspec.json.encode(document))
    at = copy
    for key in path[:-1]:
        at = at[key]
    if odd is None:
        del at[path[-1]]
    else:
        at[path[-1]] = msgspec.Raw(odd)
    return msgspec.json.encode(copy)


def mutated(document: bytes) -> st.SearchStrategy[bytes]:
    """The document with an odd value, without one, with a new field, or with bytes changed, added or cut off."""
    read = msgspec.json.decode(document)
    places = st.sampled_from(_places(read))
    extended = [(*place, "unknown") for place in _places(read) if isinstance(_at(read, place), dict)]
    cuts = st.tuples(st.integers(0, len(document)), st.integers(0, 4), st.binary(max_size=4))
    return st.one_of(
        st.builds(lambda path, odd: _edited(read, path, odd), places, st.sampled_from(ODD)),
        st.builds(lambda path: _edited(read, path, None), places),
        st.builds(lambda path, odd: _edited(read, path, odd), st.sampled_from(extended), st.sampled_from(ODD)),
        st.builds(lambda cut: document[: cut[0]] + cut[2] + document[cut[0] + cut[1] :], cuts),
        st.builds(lambda at: document[:at], st.integers(0, len(document))),
    )


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        document = document[key]
    return document
