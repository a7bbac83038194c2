"""Every reader of what comes from outside, with valid documents that were damaged: none fails in another way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import h3
import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from detectors.area.incident import Category
from detectors.monitor import Monitor
from detectors.simulation import InjectedCluster
from streams.analyst.incident_file import IncidentFile, IncidentFileError
from streams.analyst.simulated_city import read_truth
from streams.area_log import last_records
from streams.area_log.records import LogError, LogRecord, Manifest
from streams.area_log.settings import calibrations_on_record
from streams.area_log.sources import MANIFEST, ExportedLog
from streams.areas.area import Area
from streams.areas.location_files import read_boundary, read_cells, read_places
from streams.calibration.calibration_file import CalibrationError, read
from streams.configuration.console import LayerSettings
from streams.configuration.reader import ConfigurationError
from streams.configuration.services import RedisSettings, WebhookSettings
from streams.configuration.sources import Override, read_toml
from streams.console.application import application
from streams.console.console import Console
from streams.console.data import store as console_store
from streams.console.data.store import read_change, read_heartbeat
from streams.console.ground.cells import usual_cells
from streams.console.ground.layers import read_layer
from streams.console.models import AreaHealth, ShownAlert
from streams.console.users import read_users
from streams.messages import scan
from streams.messages.alert import PROVENANCE_HEADER, Provenance, is_delayed, read_alert
from streams.messages.explanation import figures
from streams.messages.incident import decode
from streams.messages.response import ResponseMessage, decode_response
from streams.messages.usual import Usual
from streams.redis_copy.contents import RedisCopy
from streams.webhook.client import UndeliverableError, WebhookClient, retry_after_s
from streams.webhook.known_alerts import KnownAlerts
from streams.webhook.metrics import WebhookMetrics
from streams.webhook.notification import notification
from tests.streams.area_log.recorded import calibration, town
from tests.streams.console.site import configured
from tests.streams.messages.alert_events import ended, event
from tests.streams.mutations import ODD, mutated

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
CELL = h3.latlng_to_cell(53.8, -1.55, 10)
PROVENANCE = Provenance(version="1", host="h", partition=0, next_offset=1, latency_s=0.1, delayed=True).encode()
EVENTS = st.one_of(mutated(event("a")), mutated(ended("a")))
TOWN = town()


@settings(max_examples=600)
@given(EVENTS, st.one_of(st.none(), st.just(PROVENANCE), mutated(PROVENANCE)))
def test_what_is_read_as_an_alert_can_be_sent_shown_and_explained(value: bytes, provenance: bytes | None) -> None:
    with suppress(msgspec.DecodeError):
        feature = read_alert(value).data
        is_delayed(provenance)
        notification(feature, "desk", "https://console.example").encode()
        msgspec.json.encode(figures(feature))


@pytest.fixture(scope="module")
def console() -> Console:
    return Console(configured("redis://127.0.0.1:1/0", "leeds"))


@settings(max_examples=600)
@given(value=EVENTS, provenance=st.one_of(st.none(), st.just(PROVENANCE), mutated(PROVENANCE)))
def test_what_the_console_reads_it_can_show(console: Console, value: bytes, provenance: bytes | None) -> None:
    with suppress(msgspec.DecodeError):
        shown = msgspec.json.encode(console.shown(read_change("leeds", value, provenance)))
        msgspec.json.decode(shown, type=ShownAlert)


@settings(max_examples=300)
@given(EVENTS, st.one_of(st.none(), st.just(PROVENANCE), mutated(PROVENANCE)))
def test_the_feeder_applies_an_alert_or_says_that_it_is_none(value: bytes, provenance: bytes | None) -> None:
    copy = RedisCopy(RedisSettings(url="redis://127.0.0.1:1/0"), 60)
    given_: list[Any] = []

    def apply(keys: list[str], arguments: list[Any]) -> int:
        given_.extend([*keys, *arguments])
        return 1

    copy._apply_change = apply
    record: Any = SimpleNamespace(value=value, headers=[(PROVENANCE_HEADER, provenance)], timestamp=0)
    with suppress(msgspec.DecodeError):
        copy.advance("leeds", 0, 1, 0, record)
    assert not [each for each in given_ if not isinstance(each, str | bytes | int | float)]  # Redis takes no other


BEAT = {
    b"last_record": b"2024-05-01T12:00:00.000+00:00",
    b"last_scan": b"",
    b"clock": b"2024-05-01T12:00:00.000+00:00",
    b"lag": b"7",
    b"feed": b"healthy",
    b"missing_days": b"0.5",
    b"written_at": b"2024-05-01T12:00:00.000+00:00",
}
TEXTS = st.one_of(st.sampled_from([each.strip(b'"') for each in ODD]), st.binary(max_size=40))


@settings(max_examples=300)
@given(st.sampled_from(sorted(BEAT)), TEXTS, st.dictionaries(st.binary(max_size=9), TEXTS, max_size=2))
def test_a_heartbeat_is_read_or_left_out(field: bytes, value: bytes, more: dict[bytes, bytes]) -> None:
    with suppress(ValueError):
        health = read_heartbeat("leeds", BEAT | {field: value} | more)
        msgspec.json.decode(msgspec.json.encode(health), type=AreaHealth)
        assert health.area == "leeds"
        if isinstance(health.written_at, datetime):
            (NOW - health.written_at).total_seconds()


def test_a_whole_heartbeat_is_read() -> None:
    assert read_heartbeat("leeds", BEAT).lag == 7


USUAL = msgspec.json.encode(
    {
        "written_at": "2024-05-01T12:00:00Z",
        "resolution": None,
        "days": 14,
        "cells": {"gate": 7, CELL: 3, "8" * 400: 1, "-1": 1},
        "places": {"gate": [-1.5, 53.5]},
    }
)


@settings(max_examples=300)
@given(mutated(USUAL))
def test_the_usual_intensity_is_shown_or_left_out(value: bytes) -> None:
    with suppress(msgspec.DecodeError):
        msgspec.json.encode(usual_cells(Usual.read(value), {}))


class _Redis:
    """A Redis that holds values of others."""

    def __init__(self, value: bytes) -> None:
        self._fields = {b"event": value, b"provenance": value}

    async def zrevrange(self, *_: Any) -> list[bytes]:
        return [b"\xff", b"a"]

    def pipeline(self, **_: Any) -> Any:
        rows: list[Any] = []

        class Pipeline:
            def hmget(_, *__: Any) -> None:
                rows.append([self._fields[b"event"], self._fields[b"provenance"]])

            def time(_) -> None:
                rows.append((int(NOW.timestamp()), 0))

            def hgetall(_, __: Any) -> None:
                rows.append({b"written_at": self._fields[b"event"], self._fields[b"event"]: b"1"})

            async def execute(_, raise_on_error: bool = True) -> list[Any]:
                return rows

            async def __aenter__(self_) -> Any:
                return self_

            async def __aexit__(_, *__: object) -> None:
                pass

        return Pipeline()

    async def xread(self, streams: dict[str, str], **_: Any) -> list[Any]:
        return [(key.encode(), [(b"%d-0" % number, self._fields) for number in (1, 2)]) for key in streams]


@pytest.mark.parametrize("value", ODD)
def test_what_redis_holds_of_others_is_left_out_counted_and_passed(value: bytes) -> None:
    counted: list[str] = []
    store = console_store.Store(RedisSettings(url="redis://127.0.0.1:1/0"), ("leeds",), counted.append)
    store._redis = store._waiting = _Redis(value)

    async def run() -> None:
        assert await store.open_alerts("leeds") == []
        entries = await store.news({"leeds": "0-0"})
        assert [(entry.id, entry.change) for entry in entries] == [("1-0", None), ("2-0", None)]
        await store.heartbeats()

    asyncio.run(run())
    assert counted[:4] == ["alert", "alert", "change", "change"]
    assert {"a", "\ufffd", "1-0", "2-0"} <= store.unreadable["leeds"] <= {"a", "\ufffd", "1-0", "2-0", "heartbeat"}


INCIDENT = msgspec.json.encode(
    {
        "id": "a",
        "occurred_at": "2024-05-01T12:00:00Z",
        "category": "property",
        "longitude": -1.5,
        "latitude": 53.8,
        "area": "leeds",
        "status": "active",
        "revision": 1,
    }
)
RESPONSE = ResponseMessage(
    id="6f1c2f9e-0b6a-4a57-8a44-2d3f6f0b1c2d",
    alert="0" * 32,
    action="outcome",
    outcome="venue",
    user="u",
    at=NOW,
).encode()
KEYS = st.one_of(st.none(), st.just(b"leeds"), st.binary(max_size=9))


@settings(max_examples=400)
@given(KEYS, st.one_of(st.none(), mutated(INCIDENT)), st.one_of(st.none(), TEXTS))
def test_a_record_of_incidents_is_decoded_or_refused(
    key: bytes | None, value: bytes | None, header: bytes | None
) -> None:
    decode(key, value, [("tick", header)], 0, 1, {"leeds"}, 65_536)


@settings(max_examples=400)
@given(KEYS, st.one_of(st.none(), mutated(RESPONSE)))
def test_a_response_is_decoded_or_refused(key: bytes | None, value: bytes | None) -> None:
    decode_response(key, value, 0, 1, {"leeds"})


def _scan_record() -> bytes:
    monitor: Monitor = TOWN.monitor()
    (tick,) = monitor.put(decode(b"leeds", INCIDENT, (), 0, 1, {"leeds"}, 65_536)[1], 0, int(NOW.timestamp())) or (
        monitor.flush()
    )
    return scan.encode(scan.scan_record("leeds", TOWN.ids, tick, None, ()))


SCAN = _scan_record()


@settings(max_examples=400)
@given(mutated(SCAN), mutated(scan.encode(scan.PartitionRecord(scans={"leeds": 1}))))
def test_a_scan_record_is_read_left_out_or_refused_in_one_line(value: bytes, own: bytes) -> None:
    for each, decoder in ((value, scan.decode_scan), (own, scan.decode_partition)):
        record = SimpleNamespace(topic="scans", partition=0, offset=1, value=each)
        with suppress(LogError):
            last_records._read(record, decoder)


def test_a_scan_record_of_a_later_version_is_refused() -> None:
    later = msgspec.json.decode(SCAN)
    later["checkpoint"]["format"] = 9
    record = SimpleNamespace(topic="scans", partition=0, offset=1, value=msgspec.json.encode(later))
    with pytest.raises(LogError, match="scans, partition 0, offset 1: a scan record of another version"):
        last_records._read(record, scan.decode_scan)


SETTINGS = [value for _, value in TOWN.written_in_full()]
CALIBRATION = calibration(1.0)


@settings(max_examples=150)
@given(mutated(msgspec.json.encode({"area": "leeds", "id": "x", "calibration": CALIBRATION})))
def test_settings_records_are_read_or_left_out(value: bytes) -> None:
    record = LogRecord(offset=0, timestamp_ms=0, key=b"leeds:x", value=value)
    log: Any = SimpleNamespace(read=lambda _: [record])
    list(calibrations_on_record(log))
    with suppress(ValueError, LookupError, TypeError):
        Area.from_written(SETTINGS[0], value)


@settings(max_examples=100)
@given(mutated(SETTINGS[0]))
def test_a_configuration_on_record_is_read_or_refused(value: bytes) -> None:
    with suppress(ValueError, LookupError, TypeError):
        Area.from_written(value, None)


HTTP_TEXT = st.one_of(
    st.sampled_from(
        [
            "Mon, 01 Jan 99999999999 00:00:00 GMT",
            "Mon, 01 Jan 2024 00:00:00 +99999999999999",
            "Wed, 01 May 2024 12:00:07 GMT",
            "Wednesday, 01-May-24 12:00:07 GMT",
            "Wed May  1 12:00:07 2024",
            "9" * 5000,
            "²",
        ]
    ),
    st.text(max_size=60),
)


@settings(max_examples=300)
@given(HTTP_TEXT)
def test_any_retry_after_is_a_number_of_seconds_or_none(header: str) -> None:
    wait_s = retry_after_s(header, NOW)
    assert wait_s is None or wait_s >= 0


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"Retry-After", b"Location", b"Set-Cookie", b"Content-Encoding", b"Content-Type", b"Content-Length"]
        ),
        st.one_of(
            st.sampled_from(
                [
                    b"http://[",
                    b"http://\xff/",
                    b"//:x",
                    b"http:",
                    b"http:///x",
                    b"http://a:99999999/",
                    b"a=b; expires=Mon, 01 Jan 99999999999 00:00:00 GMT; max-age=" + b"9" * 400,
                    b"a=b; domain=.; path=\xff; version=x",
                    b"gzip",
                    b"\xff",
                    b"text/plain; charset=\xff",
                    b"Mon, 01 Jan 99999999999 00:00:00 GMT",
                    b"0",
                ]
            ),
            st.binary(max_size=30).map(lambda text: text.translate(None, b"\r\n\0")),
        ),
    ),
    max_size=4,
)


@settings(max_examples=200)
@given(st.sampled_from([100, 200, 204, 302, 304, 400, 429, 503, 999]), HEADERS)
def test_nothing_that_a_tool_sends_ends_the_webhook(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    async def run() -> None:
        web = WebhookSettings(url="http://tool.example/x", give_up_min=0.00001, timeout_s=5)
        async with WebhookClient(web, WebhookMetrics(CollectorRegistry())) as client:
            answer = lambda _: httpx.Response(status, headers=headers, content=b"\xff")  # noqa: E731
            client._http._transport, client._http._mounts = httpx.MockTransport(answer), {}
            with suppress(UndeliverableError):
                await client.post(b"{}")

    asyncio.run(run())


@given(st.one_of(st.text(max_size=60), st.from_regex(r"told [0-9]{0,20} ([0-9a-f]{16},){0,3}")))
def test_any_metadata_of_an_offset_is_read(metadata: str) -> None:
    known = KnownAlerts.read(metadata, NOW.timestamp())
    assert KnownAlerts.read(known.metadata, 0).metadata == known.metadata


BODIES = {
    "/api/login": b'{"user":"u","password":"secret-word"}',
    f"/api/alerts/{0:032x}/outcome": b'{"outcome":"venue"}',
}


@settings(max_examples=100)
@given(data=st.data())
def test_no_request_is_an_error_of_the_console(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(BODIES)))
    body = data.draw(st.one_of(mutated(BODIES[path]), st.just(b'{"\\ud800":1}')))
    header = data.draw(st.one_of(st.sampled_from([b"\xff", b"[", b"9" * 5000]), st.binary(max_size=9)))
    header = header.translate(None, b"\r\n\0")

    async def run() -> None:
        app = application(configured("redis://127.0.0.1:1/0", "leeds"))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            token = (await client.get("/api/session")).json()["csrf"]
            headers = {b"X-CSRF-Token": token.encode(), b"Content-Type": b"application/json"}
            replies = [await client.post(path, content=body, headers=headers)]
            names = (b"Origin", b"X-CSRF-Token", b"Cookie", b"Content-Type", b"Last-Event-ID", b"If-None-Match")
            replies += [await client.post(path, content=body, headers={**headers, name: header}) for name in names]
            await app.state.console.stop()
        assert [each.status_code for each in replies if each.status_code == 500] == []

    asyncio.run(run())


BOUNDARY = msgspec.json.encode(
    {"type": "Polygon", "coordinates": [[[-1.6, 53.7], [-1.5, 53.7], [-1.5, 53.8], [-1.6, 53.8], [-1.6, 53.7]]]}
)
LAYER = msgspec.json.encode(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {
                    "type": "GeometryCollection",
                    "geometries": [{"type": "LineString", "coordinates": [[-1.6, 53.7], [-1.5, 53.7]]}],
                },
                "properties": {"name": "High Street"},
            }
        ],
    }
)
TRUTH = msgspec.json.encode(
    [
        InjectedCluster(
            id="a",
            category=Category.PROPERTY,
            longitude=-1.5,
            latitude=53.8,
            radius_m=100.0,
            relative_risk=8.0,
            start_s=0,
            end_s=7200,
            third_s=60,
            members=("i", "j", "k"),
        )
    ]
)
LINES = {
    "cells": CELL.encode(),
    "places": b"id,longitude,latitude\ngate,-1.5,53.8\n",
    "users": b"u:operator:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA\n",
    "toml": b'[areas.leeds]\ntimezone = "UTC"\nnumbers = [1, 2.5]\n',
    "csv": b"id,occurred_at,longitude,latitude\n1,2024-05-01T12:00:00Z,-1.5,53.8\n",
}
ODD_LINES = [each.strip(b'"') for each in ODD] + [b"\r", b'"', b",", b":", b"$", b"\xef\xbb\xbf", b"-1", b"x" * 200_000]


@settings(max_examples=300)
@given(data=st.data())
def test_a_file_is_read_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "file"
    expected = (ValueError, OSError, ConfigurationError, CalibrationError, IncidentFileError, LogError)
    layer = LayerSettings(name="x", kind="streets", file=str(path), label="name")
    documents: dict[str, tuple[bytes, Any]] = {
        "boundary": (BOUNDARY, lambda: read_boundary(path, 7)),
        "layer": (LAYER, lambda: read_layer(layer)),
        "calibration": (msgspec.json.encode(CALIBRATION), lambda: read(path, TOWN)),
        "truth": (TRUTH, lambda: read_truth(path)),
    }
    readers: dict[str, Any] = {
        "cells": lambda: read_cells(path),
        "places": lambda: read_places(path, 100.0),
        "users": lambda: read_users(path),
        "toml": lambda: read_toml(path),
        "csv": lambda: IncidentFile.read(path),
    }
    kind = data.draw(st.sampled_from([*documents, *readers]))
    if kind in documents:
        text, use = documents[kind]
        path.write_bytes(data.draw(mutated(text)))
    else:
        text, use = LINES[kind], readers[kind]
        at, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 9))
        path.write_bytes(text[:at] + data.draw(st.sampled_from(ODD_LINES)) + text[at + length :])
    with suppress(*expected):
        use()


@given(st.sampled_from(ODD))
def test_a_variable_of_the_environment_is_a_value_or_its_text(odd: bytes) -> None:
    Override("HOTSPOTS_X__Y", odd.decode(errors="replace")).parsed()


MANIFEST_TEXT = msgspec.json.encode(
    Manifest(area="leeds", partition=0, partitions=1, max_record_bytes=9, begins={"scans": 0}, ends={"scans": 1})
)
RECORD = msgspec.json.encode(LogRecord(offset=0, timestamp_ms=0, key=b"leeds", value=b"x", headers=(("a", b"b"),)))


@settings(max_examples=200)
@given(st.one_of(st.just(MANIFEST_TEXT), mutated(MANIFEST_TEXT)), mutated(RECORD))
def test_an_exported_log_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, manifest: bytes, record: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / MANIFEST).write_bytes(manifest)
    (folder / "scans.jsonl").write_bytes(record.replace(b"\n", b" ") + b"\n")
    with suppress(LogError):
        list(ExportedLog(folder).read("scans"))
