"""The whole configuration. Each rule has a small bad file, named after its fault, with the lines that it must yield."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.areas.configured import faults_of
from streams.configuration.area import AreaTable
from streams.configuration.kafka import KafkaSettings
from streams.configuration.load import Configuration, load
from streams.configuration.reader import ConfigurationError, SettingsReader
from streams.configuration.sources import Secret, add_environment

FOLDER = Path(__file__).parent / "faulty"
SHIPPED = Path(__file__).parents[3] / "config" / "monitor.toml"
BAD = sorted(FOLDER.glob("*.toml"))
LEEDS = "[areas.leeds]\ntimezone = 'Europe/London'\n"


def test_the_shipped_file_is_the_defaults_and_an_example_of_a_boundary() -> None:
    assert Configuration() == load(None, {})
    boundary = str(SHIPPED.parent / "boundary.geojson")
    assert load(SHIPPED, {}) == Configuration(areas={"default": AreaTable(boundary_file=boundary)})
    assert faults_of(SHIPPED, {}) == []


def test_the_shipped_file_shows_every_key() -> None:
    def keys(kind: type[msgspec.Struct]) -> dict[str, object]:
        """Every key that a file may hold, tables within tables."""
        found: dict[str, object] = {}
        for field in msgspec.structs.fields(kind):
            if field.type is not Secret:
                is_struct = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
                found[field.name] = keys(field.type) if is_struct else None
        return found

    def shape(table: object) -> object:
        return {key: shape(value) for key, value in table.items()} if isinstance(table, dict) else None

    expected = keys(Configuration) | {"areas": {"default": keys(AreaTable) | {"categories": {}}}}
    assert shape(tomllib.loads(SHIPPED.read_text())) == expected


@pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])
def test_each_fault_yields_its_line(path: Path) -> None:
    head = [line for line in path.read_text().splitlines() if line.startswith("# expect: ")]
    expected = [line.removeprefix("# expect: ").replace("{folder}", str(FOLDER)) for line in head]
    found = faults_of(path, {})
    assert expected
    assert len(found) == len(expected)
    for line in expected:  # a star stands for the text of a library
        assert any(each.startswith(line[:-1]) if line.endswith("*") else each == line for each in found), found


@pytest.mark.parametrize(("name", "line"), [("syntax_error", 2), ("table_twice", 3), ("unfinished", 3)])
def test_a_syntax_error_names_file_and_line(name: str, line: int) -> None:
    path = FOLDER / "syntax" / f"{name}.toml"
    (found,) = faults_of(path, {})
    assert found.startswith(f"{path}: ")
    assert f"at line {line}," in found


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes("[areas.leeds]\n# caf\xe9".encode("latin-1"))
    assert faults_of(tmp_path / "none.toml", {}) == [f"{tmp_path}/none.toml: cannot be read: No such file or directory"]
    assert faults_of(tmp_path / "latin.toml", {}) == [f"{tmp_path}/latin.toml: must be UTF-8, but byte 19 is not"]


SECTIONS = ["kafka", "redis", "worker", "areas", "leeds", "tiers", "categories", "topics", "Ä-b"]
SETTINGS = ["timezone", "clock", "durations_h", "deny_list", "watch", "cells_file", "partitions"]
SETTINGS += ["password", "password_file", "url"]
KEYS = st.sampled_from(SECTIONS + SETTINGS)
TEXT = st.text("ab1 {}[]=:/@'\"\n\0é", max_size=8)
VALUES = st.booleans() | st.integers() | st.floats() | TEXT | st.datetimes()
TABLES = st.dictionaries(
    KEYS,
    st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5)),
    max_size=5,
)
VARIABLES = st.lists(KEYS, min_size=2, max_size=4).map(lambda parts: "HOTSPOTS_" + "__".join(parts).upper())


@given(TABLES, st.dictionaries(VARIABLES, TEXT | st.sampled_from(["{}", "[1]", "1"]), max_size=4))
def test_any_tables_give_a_configuration_or_faults(tables: dict[str, object], environ: dict[str, str]) -> None:
    add_environment(tables, environ)
    reader = SettingsReader(FOLDER)
    configuration = reader.struct(Configuration, tables)
    assert isinstance(configuration, Configuration)
    assert reader.faults or configuration.kafka.partitions >= 1


def test_load_raises_the_faults_that_the_check_lists() -> None:
    path = FOLDER / "several.toml"
    with pytest.raises(ConfigurationError) as raised:
        load(path, {})
    assert str(raised.value).splitlines() == faults_of(path, {})


def test_several_areas_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "monitor.toml"
    path.write_text(
        "[areas.leeds]\ntimezone = 'Europe/London'\nmax_radius_m = 400\n"
        "[areas.den-ver]\nclock = 'watermark'\n[areas.den-ver.categories]\n'Auto Theft' = 'property'\n"
    )
    areas = load(path, {}).areas
    assert list(areas) == ["leeds", "den-ver"]
    assert areas["leeds"].max_radius_m == 400
    assert areas["den-ver"].category_map["auto-theft"] == "property"


@pytest.mark.parametrize(
    "url", ["redis://h:x/0", "redis://h:99999/0", "redis://h:6379/abc", "redis://[::1/0", "h:6379"]
)
def test_an_impossible_address_of_redis_is_a_fault(url: str) -> None:
    assert faults_of(None, {"HOTSPOTS_REDIS__URL": url}) == [
        f"redis.url = {url!r}: must be redis://host:port/number (default 'redis://127.0.0.1:6379/0')"
    ]


@pytest.mark.parametrize("address", ["h:0", "h:65536", "h:99999", "h", "h:1,h:70000"])
def test_an_impossible_address_of_kafka_is_a_fault(address: str) -> None:
    (fault,) = faults_of(None, {"HOTSPOTS_KAFKA__BOOTSTRAP": address})
    assert fault.startswith(f"kafka.bootstrap = {address!r}")
    assert "must be host:port, several joined by commas" in fault


def test_a_file_without_a_certificate_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate\n")
    for table, more in (("kafka", {"HOTSPOTS_KAFKA__SECURITY_PROTOCOL": "SSL"}), ("redis", {})):
        fault = faults_of(None, {f"HOTSPOTS_{table.upper()}__SSL_CAFILE": str(file), **more})[0]
        assert fault.startswith(f"{table}.ssl_cafile = {str(file)!r}: must be a PEM file")


def test_the_topic_prefix_is_put_before_every_topic() -> None:
    kafka = KafkaSettings(topic_prefix="west.")
    assert [kafka.topic("incidents"), kafka.topic("rejected")] == ["west.incidents", "west.incidents.rejected"]


def test_two_workers_of_one_machine_differ_by_their_ports() -> None:
    ports = [{"HOTSPOTS_METRICS__PORT": port} for port in ("9108", "9109")]
    first, second = (load(None, environ).instance for environ in ports)
    assert first != second
    assert load(None, ports[0] | {"HOTSPOTS_WORKER__INSTANCE_ID": "left"}).instance == "left"
