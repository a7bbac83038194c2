"""Configuration: each rule has a tiny bad file named after the fault, with the lines that it must yield."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import h3
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings, DeniedPlace
from streams.areas.configured import faults_of
from streams.areas.location_files import locations_of
from streams.configuration.area import AreaTable
from streams.configuration.kafka import KafkaSettings
from streams.configuration.load import Configuration, load
from streams.configuration.reader import ConfigurationError, SettingsReader
from streams.configuration.sources import Secret, add_environment

FOLDER = Path(__file__).parent / "faulty"
SHIPPED = Path(__file__).parents[3] / "config" / "monitor.toml"
BAD = sorted(FOLDER.glob("*.toml"))
PASSWORDS = {"HOTSPOTS_KAFKA__PASSWORD": "tell-no-one", "HOTSPOTS_REDIS__PASSWORD": "12345"}
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
    for line in expected:  # a star stands for words of a library
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
def test_whatever_is_written_gives_a_configuration_or_faults(
    tables: dict[str, object], environ: dict[str, str]
) -> None:
    add_environment(tables, environ)
    reader = SettingsReader(FOLDER)
    configuration = reader.struct(Configuration, tables)
    assert isinstance(configuration, Configuration)
    assert reader.faults or configuration.kafka.partitions >= 1


def test_load_raises_what_check_lists() -> None:
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


def test_a_deny_list_is_part_of_what_the_monitor_reads(tmp_path: Path) -> None:
    path = tmp_path / "monitor.toml"
    path.write_text(LEEDS + "[[areas.leeds.deny_list]]\nname = 'Hospital'\nlongitude = -1.52\nlatitude = 53.81\n")
    station = "[{ name = 'Station', longitude = -1.55, latitude = 53.79, radius_m = 150 }]"
    in_file, in_environment = load(path, {}), load(path, {"HOTSPOTS_AREAS__LEEDS__DENY_LIST": station})
    hospital = DeniedPlace(name="Hospital", longitude=-1.52, latitude=53.81, radius_m=100.0)
    assert in_file.areas["leeds"].settings.deny_list == (hospital,)
    assert [place.radius_m for place in in_environment.areas["leeds"].deny_list] == [150.0]
    places = Locations.from_places(["x"], [-1.5], [53.8], 100.0)
    assert in_file.areas["leeds"].digest(places) != in_environment.areas["leeds"].digest(places)


class TestEnvironment:
    def test_goes_before_the_file_and_is_read_as_toml(self, tmp_path: Path) -> None:
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

    def test_an_empty_variable_and_those_of_others_change_nothing(self) -> None:
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
    def test_no_fault_repeats_one(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "monitor.toml").write_text(text)
        found = faults_of(tmp_path / "monitor.toml", {})
        assert len(found) == 1
        assert "tell-no-one" not in found[0]


@pytest.mark.parametrize(
    "url", ["redis://h:x/0", "redis://h:99999/0", "redis://h:6379/abc", "redis://[::1/0", "h:6379"]
)
def test_an_address_that_redis_could_not_be_reached_at_is_a_fault(url: str) -> None:
    assert faults_of(None, {"HOTSPOTS_REDIS__URL": url}) == [
        f"redis.url = {url!r}: must be redis://host:port/number (default 'redis://127.0.0.1:6379/0')"
    ]


@pytest.mark.parametrize("address", ["h:0", "h:65536", "h:99999", "h", "h:1,h:70000"])
def test_an_address_that_kafka_could_not_be_reached_at_is_a_fault(address: str) -> None:
    (fault,) = faults_of(None, {"HOTSPOTS_KAFKA__BOOTSTRAP": address})
    assert fault.startswith(f"kafka.bootstrap = {address!r}")
    assert "must be host:port, several joined by commas" in fault


def test_a_file_that_is_no_certificate_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate\n")
    for table, more in (("kafka", {"HOTSPOTS_KAFKA__SECURITY_PROTOCOL": "SSL"}), ("redis", {})):
        fault = faults_of(None, {f"HOTSPOTS_{table.upper()}__SSL_CAFILE": str(file), **more})[0]
        assert fault.startswith(f"{table}.ssl_cafile = {str(file)!r}: must be a PEM file")


def test_the_topic_prefix_is_put_before_every_topic() -> None:
    kafka = KafkaSettings(topic_prefix="west.")
    assert [kafka.topic("incidents"), kafka.topic("rejected")] == ["west.incidents", "west.incidents.rejected"]


def test_the_monitor_does_not_see_where_an_area_lies() -> None:
    one, other = AreaTable(cells_file="a.txt", seed=3), AreaTable(boundary_file="b.json", seed=3)
    assert one.settings == other.settings
    assert one.settings.seed == 3
    places = Locations.from_places(["x"], [-1.5], [53.8], 100.0)
    assert one.digest(places) == other.digest(places) == one.settings.digest(places)


def test_the_configuration_hash_tells_places_of_the_same_name_apart() -> None:
    at_home = Locations.from_places(["x"], [-1.5], [53.8], 100.0)
    moved = Locations.from_places(["x"], [-1.5], [53.9], 100.0)
    wider = Locations.from_places(["x"], [-1.5], [53.8], 200.0)
    assert len({AreaSettings().digest(places) for places in (at_home, moved, wider)}) == 3


class TestLocations:
    def area(self, folder: Path, keys: str) -> AreaTable:
        (folder / "monitor.toml").write_text(LEEDS + keys)
        return load(folder / "monitor.toml", {}).areas["leeds"]

    def test_of_cells(self, tmp_path: Path) -> None:
        cells = sorted(h3.grid_disk(h3.latlng_to_cell(53.8, -1.54, 9), 1))
        (tmp_path / "cells.txt").write_text("\n".join(reversed(cells)) + "\n\n")
        found = locations_of(self.area(tmp_path, "cells_file = 'cells.txt'"))
        assert list(found.ids) == cells
        assert found.resolution == 9

    @pytest.mark.parametrize("wrap", ["polygon", "multi", "feature", "collection"])
    def test_of_a_boundary(self, tmp_path: Path, wrap: str) -> None:
        ring = [[-1.56, 53.79], [-1.53, 53.79], [-1.53, 53.81], [-1.56, 53.81], [-1.56, 53.79]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        feature = {"type": "Feature", "properties": {"name": "centre"}, "geometry": polygon}
        shape = {
            "polygon": polygon,
            "multi": {"type": "MultiPolygon", "coordinates": [[ring]]},
            "feature": feature,
            "collection": {"type": "FeatureCollection", "features": [feature, feature]},
        }[wrap]
        (tmp_path / "city.geojson").write_text(json.dumps(shape))
        found = locations_of(self.area(tmp_path, "boundary_file = 'city.geojson'\nresolution = 8"))
        assert found.resolution == 8
        assert set(found.ids) == set(h3.geo_to_cells(polygon, 8))

    def test_of_places(self, tmp_path: Path) -> None:
        text = "name,longitude,id,latitude\nA station,-1.5,station,53.7\n,-1.6,market,53.8\n"
        (tmp_path / "places.csv").write_text(text)
        found = locations_of(self.area(tmp_path, "places_file = 'places.csv'\nmax_place_distance_m = 80"))
        assert found.ids == ("market", "station")
        assert found.longitude.tolist() == [-1.6, -1.5]
        assert (found.resolution, found.max_distance_m) == (None, 80)

    def test_an_area_without_a_place_says_so(self) -> None:
        with pytest.raises(ConfigurationError, match="give the area a cells_file, boundary_file or places_file"):
            locations_of(AreaTable())

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("id,longitude\n", "column 'latitude' is missing"),
            ("", "column 'id' is missing"),
            ("id,longitude,latitude\na,nan,1\n", "line 2, longitude = 'nan': must be a number from -180 to 180"),
            ("id,longitude,latitude\na,1\n", "line 2, latitude = None: must be a number"),
            ("id,longitude,latitude\n,1,2\n", "line 2, id: missing"),
            ("id,longitude,latitude\na,1,1\na,2,2\n", "an id is given twice"),
            ("id,longitude,latitude\n", "none given"),
        ],
    )
    def test_bad_places_are_told_in_one_line(self, tmp_path: Path, text: str, problem: str) -> None:
        (tmp_path / "places.csv").write_text(text)
        with pytest.raises(ConfigurationError) as raised:
            locations_of(self.area(tmp_path, "places_file = 'places.csv'"))
        assert str(raised.value).startswith(f"locations: {tmp_path}/places.csv: ")
        assert problem in str(raised.value)
        assert "\n" not in str(raised.value)


def test_two_workers_of_one_machine_are_told_apart_by_their_ports() -> None:
    ports = [{"HOTSPOTS_METRICS__PORT": port} for port in ("9108", "9109")]
    first, second = (load(None, environ).instance for environ in ports)
    assert first != second
    assert load(None, ports[0] | {"HOTSPOTS_WORKER__INSTANCE_ID": "left"}).instance == "left"
