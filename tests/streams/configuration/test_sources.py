"""The sources of settings: a TOML file, the environment over it, and secrets."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from streams.areas.configured import faults_of
from streams.configuration.load import Configuration, load
from streams.configuration.sources import Override, Secret, add_environment, given, read_toml

PASSWORDS = {"HOTSPOTS_KAFKA__PASSWORD": "tell-no-one", "HOTSPOTS_REDIS__PASSWORD": "12345"}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("7", 7),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("'x'", "x"),
        ("plain", "plain"),
        ("1 # one", 1),
        ("1\nb = 2", None),
    ],
)
def test_a_variable_is_toml_if_it_parses_as_one_value_and_else_text(text: str, parsed: object) -> None:
    assert Override("HOTSPOTS_A__B", text).parsed() == (text if parsed is None else parsed)
    assert given(Override("HOTSPOTS_A__B", text)) == Override("HOTSPOTS_A__B", text).parsed()
    assert given(text) == text


def test_a_variable_finds_its_key_in_any_case_and_with_underscores_for_dots_and_hyphens() -> None:
    tables = tomllib.loads("[areas.West-York.s]\ntick_s = 2")
    add_environment(tables, {"HOTSPOTS_AREAS__WEST_YORK__S__TICK_S": "5", "HOTSPOTS_AREAS__HULL__TICK_S": "6"})
    west, hull = (tables["areas"][name] for name in ("West-York", "hull"))
    assert west == {"s": {"tick_s": Override("HOTSPOTS_AREAS__WEST_YORK__S__TICK_S", "5")}}
    assert hull == {"tick_s": Override("HOTSPOTS_AREAS__HULL__TICK_S", "6")}


def test_a_variable_below_a_value_leaves_the_value() -> None:
    tables = {"kafka": {"group": "one"}}
    add_environment(tables, {"HOTSPOTS_KAFKA__GROUP__X": "1"})
    assert tables == {"kafka": {"group": "one"}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a = ", "must be TOML: "),
        (b"a = 1\n[b", "at line 2, the end"),
        (b"\xff", "must be UTF-8, but byte 0 is not"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "monitor.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"monitor\.toml: ") as raised:
        read_toml(path)
    assert problem in str(raised.value)


class TestEnvironment:
    def test_overrides_the_file_and_is_read_as_toml(self, tmp_path: Path) -> None:
        path = tmp_path / "monitor.toml"
        path.write_text("[kafka]\nbootstrap = 'kafka:9092'\npartitions = 4\n[areas.West-Yorks]\ntimezone = 'UTC'\n")
        configuration = load(
            path,
            {
                "HOTSPOTS_KAFKA__BOOTSTRAP": "a:1,b:2",
                "HOTSPOTS_KAFKA__TOPICS__ALERTS": '"alarms"',
                "HOTSPOTS_WORKER__REJECTED_HASH_ONLY": "true",
                "HOTSPOTS_AREAS__WEST_YORKS__DURATIONS_H": "[3, 6]",
                "HOTSPOTS_AREAS__WEST_YORKS__TIERS": "{ watch = 20 }",
                "HOTSPOTS_AREAS__WEST_YORKS__TIERS__ADVISORY": "50",
            },
        )
        assert (configuration.kafka.bootstrap, configuration.kafka.partitions) == ("a:1,b:2", 4)
        assert configuration.kafka.topic("alerts") == "alarms"
        assert configuration.worker.rejected_hash_only is True
        assert list(configuration.areas) == ["West-Yorks"]
        area = configuration.areas["West-Yorks"]
        assert (area.durations_h, area.tiers.watch, area.tiers.advisory) == ((3, 6), 20, 50)

    def test_can_name_an_area_without_any_file(self) -> None:
        areas = load(None, {"HOTSPOTS_AREAS__LEEDS__TIMEZONE": "Europe/London"}).areas
        assert {name: area.timezone for name, area in areas.items()} == {"leeds": "Europe/London"}

    def test_text_that_looks_like_a_number_stays_text(self) -> None:
        environ = {"HOTSPOTS_KAFKA__SASL_USERNAME": "0042", "HOTSPOTS_KAFKA__GROUP": "7"}
        kafka = load(None, environ).kafka
        assert (kafka.sasl_username, kafka.group) == ("0042", "7")

    def test_empty_variables_and_those_of_other_programs_change_nothing(self) -> None:
        environ = {"HOTSPOTS_KAFKA__GROUP": "", "HOTSPOTS_PORT": "tcp://10.0.0.1:9108", "KAFKA__GROUP": "x", "": ""}
        assert load(None, environ) == Configuration()

    @pytest.mark.parametrize(
        ("variable", "text", "line"),
        [
            (
                "HOTSPOTS_KAFKA__PARTITIONS",
                "many",
                "kafka.partitions = 'many' (from HOTSPOTS_KAFKA__PARTITIONS): must be a whole number "
                "from 1 to 10000 (default 8)",
            ),
            ("HOTSPOTS_KAFKA__PARTITIONS", "4\ngroup = 'x'", None),
            (
                "HOTSPOTS_KAFKA__BOOTSTRP",
                "a:1",
                "kafka.bootstrp (from HOTSPOTS_KAFKA__BOOTSTRP): unknown key; the nearest known is kafka.bootstrap",
            ),
            ("HOTSPOTS_KAFKA__BOOTSTRAP__X", "1", None),
            ("HOTSPOTS_KAFKA__", "1", None),
            ("HOTSPOTS_AREAS__LEEDS", "nonsense", "areas.leeds = 'nonsense': must be a table of keys"),
        ],
    )
    def test_a_fault_is_one_line_that_names_the_variable_or_the_key(
        self, variable: str, text: str, line: str | None
    ) -> None:
        found = faults_of(None, {variable: text})
        assert len(found) == 1
        assert line is None or found == [line]


class TestSecrets:
    def test_come_from_the_environment_and_hide(self) -> None:
        configuration = load(None, PASSWORDS)
        assert configuration.kafka.password.reveal() == "tell-no-one"
        assert configuration.redis.password.reveal() == "12345"
        for shown in (repr(configuration), str(configuration.kafka.password), f"{configuration.kafka}"):
            assert "tell-no-one" not in shown
            assert "12345" not in shown
        with pytest.raises(TypeError):
            msgspec.json.encode(configuration)

    def test_come_from_a_file_relative_to_the_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "secret.txt").write_text("tell-no-one\n")
        (tmp_path / "monitor.toml").write_text("[redis]\npassword_file = 'secret.txt'\n")
        assert load(tmp_path / "monitor.toml", {}).redis.password == Secret("tell-no-one")
        assert load(tmp_path / "monitor.toml", PASSWORDS).redis.password == Secret("12345")

    def test_a_useless_file_is_a_fault(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        for name, problem in (("empty", "it is empty"), ("binary", "it is not UTF-8")):
            path = str(tmp_path / name)
            assert faults_of(None, {"HOTSPOTS_REDIS__PASSWORD_FILE": path}) == [
                f"redis.password_file = {path!r}: must be a readable file with the password, but {problem}"
            ]

    @pytest.mark.parametrize(
        "text",
        [
            "[kafka]\npassword = 'tell-no-one'",
            "[kafka]\npassword = ['tell-no-one']",
            "[kafka]\npasword = 'tell-no-one'",
            "[kafka]\nbootstrap = 'control:tell-no-one@localhost:9092'",
            "[redis]\nurl = 'redis://:tell-no-one@localhost:6379'",
            "[redis]\nurl = ['redis://u:tell-no-one@localhost:6379']",
            "[redis]\nurl = 'http://u:tell-no-one@localhost'",
            "[redis]\nurl = 'user:tell-no-one@localhost:6379/0'",
            "[redis]\nurl = ':tell-no-one@localhost:6379'",
            "[redis]\nurl = 'redis:/u:tell-no-one@localhost'",
            "[redis]\nurl = 'redis://localhost/0?password=tell-no-one'",
            "[webhook]\ntoken = 'tell-no-one'",
            "[webhook]\nurl = 'https://u:tell-no-one@localhost/'",
            "[webhook]\nurl = 'ftp://localhost/tell-no-one'",
            "[webhook]\nurl = 'localhost:80/tell-no-one'",
            "[webhook]\nurl = 'https://localhost:99999/tell-no-one'",
            "[webhook]\nurl = 'https://localhost/tell-no-one #'",
            "[webhook]\nconsole_url = 'https://u:tell-no-one@localhost/'",
        ],
    )
    def test_no_fault_shows_one(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "monitor.toml").write_text(text)
        found = faults_of(tmp_path / "monitor.toml", {})
        assert len(found) == 1
        assert "tell-no-one" not in found[0]
