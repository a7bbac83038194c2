"""One table: for each type, a value from an operator and the line that names the fault."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from detectors.area.incident import Category
from streams.configuration.reader import SettingsReader, describe, plain
from streams.configuration.sources import Override, Secret


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A table in a list, with a key that has no default."""

    name: str
    radius_m: Annotated[float, msgspec.Meta(gt=0)] = 100.0


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One key of each kind."""

    whole: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8
    least: Annotated[int, msgspec.Meta(ge=3)] = 3
    number: Annotated[float, msgspec.Meta(gt=0)] = 500.0
    truth: bool = False
    word: Literal["wall", "watermark"] = "wall"
    text: Annotated[str, msgspec.Meta(max_length=5)] = ""
    described: Annotated[str, msgspec.Meta(pattern="^a+$", description="only the letter a")] = "a"
    numbers: tuple[int, ...] = (2, 4)
    password: Secret = Secret()
    password_file: str = ""
    categories: dict[str, Category] = {}
    places: tuple[Place, ...] = ()


def read(tables: dict[str, Any], folder: Path = Path()) -> tuple[Table, list[str]]:
    reader = SettingsReader(folder)
    return reader.struct(Table, tables, "t."), reader.faults


@pytest.mark.parametrize(
    ("key", "written", "line"),
    [
        ("whole", "many", "t.whole = 'many': must be a whole number from 1 to 10000 (default 8)"),
        ("whole", 0, "t.whole = 0: must be from 1 to 10000 (default 8)"),
        ("whole", 2.5, "t.whole = 2.5: must be a whole number from 1 to 10000 (default 8)"),
        ("whole", True, "t.whole = True: must be a whole number from 1 to 10000 (default 8)"),
        ("least", 2, "t.least = 2: must be at least 3 (default 3)"),
        ("number", -5, "t.number = -5: must be above 0 (default 500)"),
        ("number", "far", "t.number = 'far': must be a number above 0 (default 500)"),
        ("number", float("inf"), "t.number = inf: must be finite (default 500)"),
        ("truth", 1, "t.truth = 1: must be true or false (default false)"),
        ("word", "sun", "t.word = 'sun': must be 'wall' or 'watermark' (default 'wall')"),
        ("text", "too long", "t.text = 'too long': must be text of 0 to 5 characters"),
        ("text", 7, "t.text = 7: must be text of 0 to 5 characters"),
        ("described", "b", "t.described = 'b': must be only the letter a (default 'a')"),
        ("numbers", ["x"], "t.numbers = ['x']: must be a list, each item a whole number (default [2, 4])"),
        ("numbers", "x" * 80, f"t.numbers = '{'x' * 56}...: must be a list, each item a whole number (default [2, 4])"),
        ("categories", 1, "t.categories = 1: must be a table of keys"),
        ("password", "1234", "t.password: must not stand in a file that others read; "),
        ("password_file", "none", "t.password_file = 'none': must be a file, but "),
        ("places", [{}], "t.places[0].name: missing"),
        ("place", [], "t.place: unknown key; the nearest known is t.places"),
    ],
)
def test_a_fault_is_one_line_with_the_key_the_value_and_what_would_be_right(
    key: str, written: object, line: str
) -> None:
    settings, faults = read({key: written})
    assert settings == Table()
    assert len(faults) == 1
    assert faults[0] == line or (line.endswith(" ") and faults[0].startswith(line))


def test_every_fault_is_noted_and_the_good_keys_are_kept() -> None:
    settings, faults = read({"whole": 0, "text": "fine", "word": "sun", "places": [{"name": "x"}, 7]})
    assert (settings.text, settings.whole) == ("fine", 8)
    assert [fault.partition(" ")[0] for fault in faults] == ["t.whole", "t.word", "t.places[1]"]


def test_a_variable_is_read_as_toml_and_else_as_text() -> None:
    assert read({"whole": Override("V", "7"), "described": Override("V", "aa")})[0] == Table(whole=7, described="aa")
    assert read({"text": Override("V", "0042")})[0].text == "0042"
    assert read({"whole": Override("V", "x")})[1] == [
        "t.whole = 'x' (from V): must be a whole number from 1 to 10000 (default 8)"
    ]


def test_a_password_comes_from_a_variable_or_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("tell-no-one\n")
    from_file, _ = read({"password_file": "secret.txt"}, tmp_path)
    from_variable, _ = read({"password": Override("V", "1234"), "password_file": "secret.txt"}, tmp_path)
    assert (from_file.password, from_variable.password) == (Secret("tell-no-one"), Secret("1234"))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (Annotated[float, msgspec.Meta(ge=0, lt=1)], "a number at least 0 and below 1"),
        (str, "text"),
        (datetime, "an RFC 3339 time with a UTC offset"),
        (bool | None, "true or false"),
        (Literal["a"], "'a'"),
        (tuple[str, ...], "a list, each item text"),
        (Place, "a table of keys"),
    ],
)
def test_a_type_is_described(kind: Any, words: str) -> None:
    assert describe(msgspec.inspect.type_info(kind)) == words


def test_a_value_is_shown_as_an_operator_would_write_it() -> None:
    assert [plain(each) for each in (500.0, 0.5, True, (1, 2), "x")] == ["500", "0.5", "true", "[1, 2]", "'x'"]
