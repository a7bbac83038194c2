"""Every record sent is counted once, whoever else sends to the area and whatever is rejected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

from detectors.window.admission import Refusal
from detectors.window.intake import Accounts
from streams.area_log import sent_records
from streams.area_log.sent_records import SentRecords, counted
from streams.configuration.kafka import KafkaSettings
from streams.messages.records import Rejection
from tests.streams.brokers.kept_log import KeptLog, kept

HOME = 1
OUTCOMES = ("added", "replaced", "removed", "duplicate", "outside", "rejected", "ticks")


class Scan(msgspec.Struct):
    """What is read of a scan record."""

    next_offset: int
    accounts: Accounts


def accounts(fates: list[str]) -> Accounts:
    return Accounts(read=len(fates), **{outcome: fates.count(outcome) for outcome in OUTCOMES})


def rejection(offset: int, area: str | None) -> Rejection:
    refusal = Refusal("unknown_area" if area is None else "future", "")
    return Rejection.of(refusal, area, "incidents", HOME, offset, b"", b"", 0, False)


records = st.lists(st.tuples(st.booleans(), st.sampled_from((*OUTCOMES, "of no area"))), min_size=1, max_size=40)


@given(records, st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_the_table_balances(log: list[tuple[bool, str]], begins: int, ends: int, elsewhere: int) -> None:
    """``log``: of each record whether it is ours, and what becomes of it. Some of ours go to another partition."""
    begins, ends = min(begins, len(log)), min(max(begins, ends), len(log))
    read = [fate for _, fate in log]
    before: Any = Scan(begins, accounts([each for each in read[:begins] if each in OUTCOMES]))
    last: Any = Scan(ends, accounts([each for each in read[:ends] if each in OUTCOMES]))
    sent = {
        HOME: {offset for offset, (is_ours, _) in enumerate(log) if is_ours and offset >= begins},
        HOME + 1: set(range(elsewhere)),
    }
    rejected = {
        (HOME, offset): rejection(offset, None if fate == "of no area" else "leeds")
        for offset, fate in enumerate(read)
        if fate in ("rejected", "of no area")
    }
    fate = counted(sent, HOME, before, last, rejected)
    assert fate.sent == sum(map(len, sent.values()))
    assert sum(getattr(fate, outcome) for outcome in OUTCOMES) == fate.sent - fate.waiting + fate.others
    others = [each for is_ours, each in log[begins:ends] if not is_ours and each in OUTCOMES]
    assert fate.others == len(others)
    ours = {offset for offset in sent[HOME] if offset < ends or read[offset] == "of no area"}
    assert fate.waiting == fate.sent - len(ours)
    if not others:
        for outcome in OUTCOMES:
            of_no_area = sum(read[each] == "of no area" for each in sent[HOME]) if outcome == "rejected" else 0
            assert getattr(fate, outcome) == sum(read[each] == outcome for each in ours) + of_no_area


def test_an_area_without_scan_records_has_taken_nothing() -> None:
    fate = counted({0: {3, 4}}, 0, None, None, {})
    assert (fate.sent, fate.waiting, fate.waits_from, fate.others, fate.taken) == (2, 2, 3, 0, 0)


def test_a_strangers_dead_letters_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    at = TopicPartition("incidents.rejected", 0)
    log = KeptLog(at)
    monkeypatch.setattr(sent_records, "KafkaConsumer", lambda **_: log)
    following = SentRecords(KafkaSettings(partitions=1), "leeds")
    _, letter = rejection(7, None).encode()
    values = [b"", None, b"{", b"\xff", b"[" * 100_000, b"[]", b"{}", letter[:-1], letter]
    log.records = [kept(at, offset, None, value) for offset, value in enumerate(values)]
    log.end = len(values)
    fate = following.fate({HOME: {7}})
    assert (fate.rejected, fate.waiting, fate.reasons) == (1, 0, {"unknown_area": 1})
