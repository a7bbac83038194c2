"""Responses in a partition: each goes on record by itself and once, or is rejected."""

from __future__ import annotations

import msgspec

from detectors.window.admission import Refusal
from streams.messages import scan
from streams.messages.alert import PROVENANCE_HEADER, Provenance, read_alert
from streams.messages.incident import decode
from streams.messages.response import ResponseRecord
from streams.worker.engine.rebuild import Restored
from streams.worker.inbox import Record
from tests.streams.area_log.recorded import AREA, feed, town
from tests.streams.worker.engine.ledger import NOW_S, Ledger, partition_of, response_record, watched, with_an_alert


def test_a_response_goes_on_record_by_itself_and_once() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, town("watermark"), watched("york", "watermark"))
    alert = with_an_alert(partition, "leeds")
    before = ledger.scans()[-1]
    for _ in range(2):  # handed over twice, as after a change of partitions
        partition.respond(response_record(0, "york", alert))
        partition.respond(response_record(3, "leeds", alert))
        partition.respond(response_record(4, "leeds", alert, "bob"))
        partition.respond(response_record(5, "leeds", alert, "bob"))
        partition.respond(response_record(6, "leeds", "0" * 32))
    assert partition.is_due(NOW_S)
    partition.commit(NOW_S + 9 * 3600 + 1)
    of_responses = ledger.scans()[-4:]
    assert [scan.next_offsets for scan in of_responses] == [
        {"incidents": before.next_offset, "responses": following} for following in (4, 5, 6, 7)
    ]
    assert [(scan.number, scan.tick_s, scan.streams) for scan in of_responses] == [
        (before.number + 1 + more, before.tick_s, ()) for more in range(4)
    ]
    assert [len(scan.revisions) for scan in of_responses] == [1, 1, 0, 0]
    undigested = scan.encode(msgspec.structs.replace(of_responses[0], digest=scan.NO_DIGEST))
    raws = [scan.raw(b"leeds", b"y", (), 1_717_232_400_000)]
    assert scan.chained_digest(before.digest, raws, undigested) == of_responses[0].digest
    events = [read_alert(each.value) for each in ledger.of("alerts")[-2:]]
    assert [each.data.properties.reason for each in events] == ["acknowledged", "acknowledged"]
    provenance = msgspec.json.decode(dict(ledger.of("alerts")[-1].headers)[PROVENANCE_HEADER], type=Provenance)
    assert (provenance.latency_s, provenance.delayed) == (1.0, False)
    # Where no tick was ever closed, nothing is open; that goes on record as the partition's own.
    rejected = [each for each in ledger.rejections() if each.topic == "responses"]
    assert sorted((each.area, each.offset, each.reason) for each in rejected) == [
        ("leeds", 6, "no_such_alert"),
        ("york", 0, "no_such_alert"),
    ]
    own = scan.decode_partition(ledger.of("scans")[-1].value)
    assert own.next_response == 7
    again = partition_of(
        ledger,
        restored=Restored(watched={"leeds": watched("leeds")}, monitors={"leeds": watched("leeds").monitor()}, own=own),
    )
    again.respond(response_record(6, "leeds", alert))
    assert not again.is_due(NOW_S)


def test_a_response_of_no_area_is_rejected_at_once() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"))
    partition.respond(ResponseRecord(2, NOW_S, None, Refusal("unknown_area", "key: must be one"), b"hull", b"y"))
    assert partition.is_due(NOW_S)
    partition.commit(NOW_S)
    (rejected,) = ledger.rejections()
    assert (rejected.topic, rejected.offset, rejected.reason) == ("responses", 2, "unknown_area")
    assert scan.decode_partition(ledger.of("scans")[-1].value).next_response == 3


def test_a_response_takes_effect_between_the_copies_that_it_came_between() -> None:
    """It is known from the start; that the reader hands it over as well changes nothing."""
    live = Ledger()
    partition = partition_of(live, town("wall"))
    alert = with_an_alert(partition, "leeds")
    taken = partition.next_offset
    copies = []
    for offset, ((_, value, headers), arrival_ms) in enumerate(feed(100, 5.0)):
        _, entry = decode(AREA.encode(), value, headers, 0, 1, {AREA}, 65_536)
        copies.append(Record(offset, arrival_ms / 1000, "leeds", entry, b"leeds", value, headers))
    came = response_record(0, "leeds", alert)._replace(arrival_s=copies[taken].arrival_s - 0.001)
    area = town("wall")
    restored = Restored(
        watched={"leeds": area},
        monitors={"leeds": area.monitor()},
        own=scan.PartitionRecord(read_from=0, copied=taken + 5),
        early=[came],
    )
    ledger = Ledger()
    again = partition_of(ledger, restored=restored)
    late_s = copies[-1].arrival_s + 1e6
    for copy in copies[: taken + 5]:
        again.respond(came)
        again.put(copy, late_s)
    again.commit(late_s)
    reasons = [read_alert(each.value).data.properties.reason for each in ledger.of("alerts")]
    assert reasons.count("acknowledged") == 1
    assert [each for each in ledger.rejections() if each.topic == "responses"] == []
    at = next(number for number, each in enumerate(ledger.scans()) if each.next_response == 1)
    assert ledger.scans()[at].next_offset <= taken
    assert ledger.scans()[at + 1].next_offset > taken
