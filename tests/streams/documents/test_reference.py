"""The reference pages agree with the code and are complete."""

from __future__ import annotations

import json
from pathlib import Path

from streams.cli import main
from streams.documents.reference import comments, pages
from streams.documents.schemas import schemas

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "reference"
PAGES = pages(main, (ROOT / "config" / "monitor.toml").read_text())


def test_every_field_of_a_message_is_there() -> None:
    for schema in schemas().values():
        for kind in json.loads(schema).get("$defs", {}).values():
            assert all(f"| `{field}` |" in PAGES["messages.md"] for field in kind.get("properties", {}))


def test_every_command_and_option_is_there() -> None:
    for name, command in main.commands.items():
        page = PAGES["commands.md"].split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert all(
            parameter.opts[-1] in page or parameter.param_type_name == "argument" for parameter in command.params
        )


def test_a_comment_can_continue_on_the_next_line() -> None:
    text = "[a.b]\nkey = 1   # one,\n" + " " * 36 + "# two\n# of none\nlist = []\n[areas.default.c]\nkey = '' # three\n"
    assert comments(text) == {"a.b.key": "one, two", "a.b.list": "", "areas.NAME.c.key": "three"}
