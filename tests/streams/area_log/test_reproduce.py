"""What is on record can be derived once more from the log, and no byte of it changes unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.area_log.audit import audit
from streams.area_log.contents import alert_of, scan_of
from streams.area_log.records import LogError, LogRecord, LogTopic, Manifest
from streams.area_log.reproduce import reproduce
from streams.area_log.sources import MANIFEST, ExportedLog
from streams.cli import main
from streams.messages.scan import ScanRecord
from tests.streams.area_log.recorded import AREA, feed, load, save, town, write


def nothing() -> None:
    """No progress is shown."""


@pytest.fixture(scope="module", params=["watermark", "wall", "recalibrated", "stamped ahead"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "log"
    is_recalibrated = request.param == "recalibrated"
    # Two single stamps that leap ahead, and a broker that is two hours ahead for a while, then three days behind.
    wrong = {30: 3480, 90: 3 * 86_400} | dict.fromkeys(range(40, 70), 7200) | dict.fromkeys(range(100, 120), -259_200)
    ahead = wrong if request.param == "stamped ahead" else {}
    write(folder, town("watermark" if request.param == "watermark" else "wall"), feed(), is_recalibrated, ahead=ahead)
    assert any(scan_of(record).checkpoint.corrections for record in load(folder, "scans")) is bool(ahead)
    assert len({scan_of(record).calibration for record in load(folder, "scans")}) == (3 if is_recalibrated else 1)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a short time, to be spoiled."""
    folder = tmp_path_factory.mktemp("small") / "log"
    write(folder, town(), feed(100, 5.0))
    return folder


def alerts(folder: Path) -> list[str]:
    return sorted({alert_of(record).subject for record in load(folder, "alerts")})


def test_every_alert_is_derived_once_more(recorded: Path) -> None:
    """All of them in one pass, and the ticks between them with them."""
    log = ExportedLog(recorded)
    result = reproduce(log, None, nothing)
    assert result.differences == []
    assert result.alerts == alerts(recorded)
    assert len(result.alerts) >= 2
    assert result.revisions == len(load(recorded, "alerts"))
    first = next(i for i, each in enumerate(load(recorded, "scans")) if scan_of(each).revisions)
    last = max(i for i, each in enumerate(load(recorded, "scans")) if scan_of(each).revisions)
    assert result.scans == last - first + 1


def test_each_alert_is_derived_from_its_own_stretch_of_the_log(recorded: Path) -> None:
    log = ExportedLog(recorded)
    revisions = [alert_of(record) for record in load(recorded, "alerts")]
    for alert in alerts(recorded)[:3]:
        result = reproduce(log, alert, nothing)
        assert result.differences == []
        assert result.alerts == [alert]
        assert result.revisions == sum(each.subject == alert for each in revisions)


def test_the_chain_is_whole(recorded: Path) -> None:
    result = audit(ExportedLog(recorded), nothing)
    assert (result.breaks, result.given, result.area) == ([], 0, AREA)
    inputs = len(load(recorded, "incidents")) + len(responses_of(recorded))
    assert (result.scans, result.inputs) == (len(load(recorded, "scans")), inputs)


def responses_of(folder: Path) -> dict[int, ScanRecord]:
    """By offset, the responses that have a scan record, with it."""
    scans = [scan_of(record) for record in load(folder, "scans")]
    pairs = zip([0, *(scan.next_response for scan in scans)], scans, strict=False)
    return {scan.next_response - 1: scan for before, scan in pairs if scan.next_response > before}


def test_responses_have_scan_records_that_name_what_came_of_them(recorded: Path) -> None:
    by_name = {
        f"{each.subject}.{each.data.properties.revision}": each for each in map(alert_of, load(recorded, "alerts"))
    }
    scans = responses_of(recorded)
    reasons = [by_name[name].data.properties.reason for scan in scans.values() for name in scan.revisions]
    assert set(reasons) == {"acknowledged", "taken", "outcome_noted"}
    assert all(scan.streams == () and len(scan.revisions) <= 1 for scan in scans.values())
    assert len(reasons) < len(scans)  # some were refused, or changed nothing


def spoiled(folder: Path, topic: LogTopic, index: int, change: Callable[[LogRecord], LogRecord]) -> Path:
    """A copy of a log in which one record is changed."""
    copy = folder.with_name("spoiled")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    records = load(copy, topic)
    records[index] = change(records[index])
    save(copy, topic, records)
    return copy


def with_other_byte(position: int, by: int) -> Callable[[LogRecord], LogRecord]:
    """Changes one byte of a record's value."""

    def change(record: LogRecord) -> LogRecord:
        value = bytearray(record.value or b"")
        value[position % len(value)] ^= by
        return msgspec.structs.replace(record, value=bytes(value))

    return change


def is_noticed(look: Callable[[], bool]) -> bool:
    """Whether something is found to be wrong: a difference, or a log that cannot be read."""
    try:
        return look()
    except LogError:
        return True


def rests_on(folder: Path, alert: str) -> tuple[range, range]:
    """The input records that lie in the window of any of an alert's revisions, and its scan records; by index."""
    scans = [scan_of(record) for record in load(folder, "scans")]
    named = [i for i, each in enumerate(scans) if any(name.startswith(alert) for name in each.revisions)]
    lowest = scans[named[0] - 1].lowest_offset
    return range(lowest, scans[named[-1]].next_offset), range(named[0], named[-1] + 1)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_byte_that_an_alert_rests_on_is_noticed(small: Path, data: st.DataObject) -> None:
    """Of an input record in its window, of a response while it is open, or of one of its scan records."""
    alert = data.draw(st.sampled_from(alerts(small)))
    of_inputs, of_scans = rests_on(small, alert)
    scans = [scan_of(record) for record in load(small, "scans")[of_scans.start : of_scans.stop]]
    of_responses = [offset for offset, scan in responses_of(small).items() if scan in scans]
    topic: LogTopic = data.draw(st.sampled_from(["incidents", "scans", *["responses"][: len(of_responses)]]))
    indices = {"incidents": of_inputs, "scans": of_scans, "responses": of_responses}
    index = data.draw(st.sampled_from(indices[topic]))
    change = with_other_byte(data.draw(st.integers(0, 5000)), data.draw(st.integers(1, 255)))
    if topic == "incidents" and not load(small, "incidents")[index].value:
        return  # a tick record has no bytes there
    copy = ExportedLog(spoiled(small, topic, index, change))
    assert is_noticed(lambda: bool(reproduce(copy, alert, nothing).differences))
    assert is_noticed(lambda: bool(audit(copy, nothing).breaks))


@pytest.mark.parametrize(
    "change",
    [
        lambda record: msgspec.structs.replace(record, key=b"york"),
        lambda record: msgspec.structs.replace(record, timestamp_ms=record.timestamp_ms + 1),
        lambda record: msgspec.structs.replace(record, value=None),
    ],
    ids=["key", "arrival", "value"],
)
def test_its_key_and_its_arrival_are_noticed_too(small: Path, change: Callable[[LogRecord], LogRecord]) -> None:
    alert = alerts(small)[-1]
    copy = ExportedLog(spoiled(small, "incidents", rests_on(small, alert)[0][5], change))
    assert is_noticed(lambda: bool(reproduce(copy, alert, nothing).differences))
    assert is_noticed(lambda: bool(audit(copy, nothing).breaks))


def test_the_time_that_a_tick_record_announces_is_noticed(small: Path) -> None:
    records = load(small, "incidents")
    other = msgspec.structs.replace(records[-1], headers=(("tick", b"2024-03-20T00:00:00+00:00"),))
    copy = ExportedLog(spoiled(small, "incidents", len(records) - 1, lambda _: other))
    assert audit(copy, nothing).breaks


def test_a_missing_response_is_noticed_and_the_next_is_found(small: Path) -> None:
    first, *others = responses_of(small)
    copy = spoiled(small, "alerts", 0, lambda record: record)
    save(copy, "responses", [each for each in load(small, "responses") if each.offset != first])
    assert others
    (broken,) = audit(ExportedLog(copy), nothing).breaks
    assert broken.tick.timestamp() == responses_of(small)[first].tick_s
    assert reproduce(ExportedLog(copy), None, nothing).differences


def test_a_log_from_before_there_were_responses_is_whole(tmp_path: Path) -> None:
    quiet = tmp_path / "log"
    write(quiet, town(), feed(100, 5.0), with_responses=False)
    (quiet / "responses.jsonl").unlink()
    manifest = msgspec.json.decode((quiet / MANIFEST).read_bytes(), type=Manifest)
    begins = {topic: begin for topic, begin in manifest.begins.items() if topic != "responses"}
    (quiet / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, begins=begins)))
    assert audit(ExportedLog(quiet), nothing).breaks == []
    assert reproduce(ExportedLog(quiet), None, nothing).differences == []
    assert all(scan_of(record).next_offsets.keys() == {"incidents"} for record in load(quiet, "scans"))


def test_an_altered_alert_is_noticed_with_the_figure_that_was_altered(small: Path) -> None:
    def change(record: LogRecord) -> LogRecord:
        event = msgspec.json.decode(record.value or b"")
        event["data"]["properties"]["observed"] += 1
        return msgspec.structs.replace(record, value=msgspec.json.encode(event))

    alert = alert_of(load(small, "alerts")[0]).subject
    result = reproduce(ExportedLog(spoiled(small, "alerts", 0, change)), alert, nothing)
    assert [(each.where, each.field) for each in result.differences] == [(f"revision {alert}.1", "observed")]


def test_a_missing_revision_and_a_missing_input_are_noticed(small: Path) -> None:
    alert = alert_of(load(small, "alerts")[0]).subject
    copy = spoiled(small, "alerts", 0, lambda record: record)
    save(copy, "alerts", load(small, "alerts")[1:])
    assert reproduce(ExportedLog(copy), alert, nothing).differences
    copy = spoiled(small, "alerts", 0, lambda record: record)
    records = load(small, "incidents")
    del records[rests_on(small, alert)[0][3]]
    save(copy, "incidents", records)
    assert reproduce(ExportedLog(copy), alert, nothing).differences
    assert audit(ExportedLog(copy), nothing).breaks


def test_the_audit_says_where_the_chain_breaks_and_goes_on(small: Path) -> None:
    copy = spoiled(small, "incidents", 40, with_other_byte(9, 1))
    (broken,) = audit(ExportedLog(copy), nothing).breaks
    covering = next(scan_of(each) for each in load(small, "scans") if scan_of(each).next_offset > 40)
    assert broken.tick.timestamp() == covering.tick_s


def test_a_log_that_begins_in_the_middle_is_said_to(small: Path) -> None:
    copy = spoiled(small, "alerts", 0, lambda record: record)
    first = rests_on(small, alerts(small)[0])[1][0]
    save(copy, "scans", load(small, "scans")[first - 1 :])
    result = audit(ExportedLog(copy), nothing)
    assert (result.given, result.breaks) == (1, [])
    with pytest.raises(LogError, match="begins too late"):
        reproduce(ExportedLog(copy), alerts(small)[0], nothing)


def test_retention_is_not_taken_for_tampering(small: Path) -> None:
    """The first input records are gone, and the scan records that covered them are still there."""
    copy = spoiled(small, "alerts", 0, lambda record: record)
    save(copy, "incidents", load(small, "incidents")[20:])
    manifest = msgspec.json.decode((copy / MANIFEST).read_bytes(), type=Manifest)
    begins = manifest.begins | {"incidents": 20}
    (copy / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, begins=begins)))
    result = audit(ExportedLog(copy), nothing)
    unverified = [each for each in load(small, "scans") if scan_of(each).next_offset < 20]
    assert result.breaks == []
    assert len(unverified) <= result.given <= len(unverified) + 2
    records = load(copy, "incidents")
    save(copy, "incidents", [*records[:-1], msgspec.structs.replace(records[-1], timestamp_ms=0)])
    assert audit(ExportedLog(copy), nothing).breaks


def test_what_a_worker_writes_meanwhile_is_left_out(small: Path) -> None:
    """The log is opened while it grows: the last scan record is not seen, its inputs and revisions are."""
    scans = load(small, "scans")
    last = next(i for i in range(len(scans) - 1, 0, -1) if scan_of(scans[i]).revisions)
    copy = spoiled(small, "alerts", 0, lambda record: record)
    save(copy, "scans", scans[:last])
    assert audit(ExportedLog(copy), nothing).breaks == []
    assert reproduce(ExportedLog(copy), None, nothing).differences == []


@pytest.mark.parametrize(("field", "now"), [("digest", "g"), ("tick_s", "9")])
def test_no_changed_field_of_a_scan_record_is_more_than_a_break(small: Path, field: str, now: str) -> None:
    """A digest that is none, and a time that jumps."""
    alert = alerts(small)[0]
    index = rests_on(small, alert)[1][0]

    def change(record: LogRecord) -> LogRecord:
        value = (record.value or b"").decode()
        at = value.rindex(f'"{field}":') + len(field) + 3 + (field == "digest")
        return msgspec.structs.replace(record, value=(value[:at] + now + value[at + 1 :]).encode())

    copy = ExportedLog(spoiled(small, "scans", index, change))
    assert is_noticed(lambda: bool(reproduce(copy, alert, nothing).differences))
    assert is_noticed(lambda: bool(audit(copy, nothing).breaks))


def hotspots(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_the_commands_say_what_they_found_and_exit_by_it(small: Path) -> None:
    alert = alerts(small)[0]
    assert hotspots("audit", "--log", small).output.strip().endswith("unbroken")
    assert hotspots("reproduce", alert, "--log", small).output.strip().endswith("every figure is as recorded")
    explained = hotspots("explain", alert, "--log", small)
    assert explained.exit_code == 0
    assert "usual for this place and these hours" in " ".join(explained.output.split())
    copy = spoiled(small, "incidents", rests_on(small, alert)[0][5], with_other_byte(9, 1))
    for command in (("audit",), ("reproduce", alert), ("reproduce",)):
        failed = hotspots(*command, "--log", copy)
        assert failed.exit_code == 1
        assert "does not fit" in failed.output
    unknown = hotspots("reproduce", "0" * 32, "--log", small)
    assert unknown.exit_code == 2
    assert "names" in unknown.output
