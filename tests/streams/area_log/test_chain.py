"""The chain: which inputs belong to which scan record, what breaks it, and where it goes on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streams.area_log.chain import Link, inputs, links, responses
from streams.area_log.contents import scan_of
from streams.area_log.records import LogError, LogRecord, Manifest
from streams.area_log.sources import MANIFEST, ExportedLog
from streams.messages.scan import NO_DIGEST, chained_digest, encode, without_digest
from tests.streams.area_log.recorded import feed, load, save, town, write


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    write(folder, town(), feed(60, 4.0))
    return folder


def chain(folder: Path) -> list[Link]:
    return list(links(ExportedLog(folder), None))


def set_value(folder: Path, index: int, value: bytes) -> None:
    records = load(folder, "scans")
    save(
        folder, "scans", [*records[:index], msgspec.structs.replace(records[index], value=value), *records[index + 1 :]]
    )


def set_begin(folder: Path, topic: str, offset: int) -> None:
    """As if retention had removed the records before an offset."""
    save(folder, topic, [each for each in load(folder, topic) if each.offset >= offset])  # type: ignore[arg-type]
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    begins = manifest.begins | {topic: offset}
    (folder / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, begins=begins)))


def test_each_record_is_the_input_of_one_link(log: Path) -> None:
    whole = chain(log)
    assert not [link for link in whole if link.fault or link.is_given]
    read = [each.record.offset for link in whole for each in link.inputs]
    assert read == [each.offset for each in load(log, "incidents")][: len(read)]
    assert all(link.inputs[-1].record.offset < link.record.next_offset for link in whole if link.inputs)
    of_responses = [link for link in whole if link.response]
    assert of_responses and not any(link.inputs for link in of_responses)
    assert all(link.response.record.offset == link.record.next_response - 1 for link in of_responses if link.response)


def test_the_digest_is_that_of_the_bytes_as_they_were_written(log: Path) -> None:
    """A program with another order of fields, or with fields that are unknown today, has a chain that holds as well."""
    before = NO_DIGEST
    for index, link in enumerate(chain(log)):
        fields = msgspec.json.decode(link.value)
        del fields["digest"]
        undigested = msgspec.json.encode({"unheard_of": index, **dict(reversed(fields.items()))})
        before = chained_digest(before, link.raw, undigested)
        set_value(log, index, undigested[:-1] + f',"digest":"{before}"}}'.encode())
    again = chain(log)
    assert not any(link.fault for link in again)
    assert all(encode(link.record) != link.value for link in again)


@pytest.mark.parametrize("change", ["space", "field", "digest_first"])
def test_bytes_that_decode_to_the_same_record_break_the_chain(log: Path, change: str) -> None:
    value = load(log, "scans")[3].value or b""
    digest = scan_of(load(log, "scans")[3]).digest
    undigested = without_digest(value, digest)
    assert undigested is not None
    changed = {
        "space": value.replace(b'{"area"', b'{ "area"', 1),
        "field": value.replace(b'{"area"', b'{"more":1,"area"', 1),
        "digest_first": f'{{"digest":"{digest}",'.encode() + undigested[1:],
    }[change]
    set_value(log, 3, changed)
    assert scan_of(load(log, "scans")[3]) == scan_of(LogRecord(3, 0, None, value))
    faults = {index: link.fault for index, link in enumerate(chain(log)) if link.fault}
    assert faults.keys() == {3}
    assert ("last field" in faults[3]) is (change == "digest_first")


def test_after_a_break_the_chain_goes_on_from_the_digest_on_record(log: Path) -> None:
    scans = load(log, "scans")
    save(log, "scans", scans[:4] + scans[5:])
    assert [index for index, link in enumerate(chain(log)) if link.fault] == [4]


def test_a_fault_names_the_inputs_that_it_may_lie_in(log: Path) -> None:
    index, link = next((index, link) for index, link in enumerate(chain(log)) if link.response)
    assert link.response is not None
    records = load(log, "responses")
    position = [each.offset for each in records].index(link.response.record.offset)
    records[position] = msgspec.structs.replace(records[position], timestamp_ms=0)
    save(log, "responses", records)
    assert f"the response at the offset {link.response.record.offset}," in chain(log)[index].fault


def test_a_chain_is_taken_up_after_any_record(log: Path) -> None:
    whole = chain(log)
    for start in (0, len(whole) // 2, len(whole) - 1):
        rest = list(links(ExportedLog(log), (whole[start].offset, whole[start].record)))
        assert rest == whole[start + 1 :]


def test_what_retention_has_removed_is_given_and_the_rest_is_verified(log: Path) -> None:
    whole = chain(log)
    begin = whole[len(whole) // 2].record.next_offset
    set_begin(log, "incidents", begin)
    cut = chain(log)
    assert not any(link.fault for link in cut)
    starts = [0, *(link.record.next_offset for link in whole)]
    assert [link.is_given for link in cut] == [start < begin for start in starts[:-1]]
    with pytest.raises(LogError, match=f"begins at offset {begin}, but is needed from 0"):
        list(inputs(ExportedLog(log), 0))


def test_a_log_without_the_topic_has_no_responses(log: Path) -> None:
    assert list(responses(ExportedLog(log), 0))
    manifest = msgspec.json.decode((log / MANIFEST).read_bytes(), type=Manifest)
    begins = {topic: begin for topic, begin in manifest.begins.items() if topic != "responses"}
    (log / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, begins=begins)))
    assert list(responses(ExportedLog(log), 0)) == []
