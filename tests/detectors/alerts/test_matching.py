"""Matching: which cluster continues which alert, and what becomes of the others."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from detectors.alerts.matching import Kinship, Known
from tests.detectors.alerts.scans_by_hand import WATCH, always, cluster

Alerts = list[Known]


def between(
    alerts: dict[str, str],
    *clusters: str,
    above: dict[str, float] | None = None,
    above_with_new: dict[str, float] | None = None,
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """By alert the members of its cluster, by alert the one it merged into, by new cluster its origin."""
    above = above or {}
    with_new = above_with_new or above
    kin = Kinship.between(
        [
            Known(
                name,
                tuple(members),
                name not in above,
                above.get(name, -math.inf),
                with_new.get(name, -math.inf),
                len(members),
            )
            for name, members in alerts.items()
        ],
        [cluster(each, WATCH) for each in clusters],
    )
    continued = {name: "".join(each.members) for name, each in kin.cluster_of.items()}
    return continued, kin.merged_into, {"".join(each.members): origin for each, origin in kin.new}


def test_a_cluster_without_known_members_is_new() -> None:
    assert between({"old": "abc"}, "def") == ({}, {}, {"def": ""})
    assert between({}, "abc", "def") == ({}, {}, {"abc": "", "def": ""})


def test_one_shared_member_is_enough_to_continue() -> None:
    assert between({"old": "abc"}, "cde") == ({"old": "cde"}, {}, {})


def test_a_cluster_continues_the_alert_with_most_shared_members() -> None:
    assert between({"old": "ab", "young": "cdef"}, "abcde") == ({"young": "abcde"}, {"old": "young"}, {})


def test_at_a_tie_the_older_alert_and_the_better_cluster_win() -> None:
    assert between({"old": "abc", "young": "def"}, "abde")[0] == {"old": "abde"}
    assert between({"old": "abcd"}, "abx", "cdy")[0] == {"old": "abx"}


def test_an_alert_merges_only_with_half_of_its_members() -> None:
    assert between({"old": "abcd", "young": "efgh"}, "efghab")[1] == {"old": "young"}
    assert between({"old": "abcde", "young": "fghi"}, "fghiab")[1] == {}


def test_a_further_cluster_is_part_of_the_alert_or_has_split_from_it() -> None:
    """It is part of it if at least half of its members are known."""
    assert between({"old": "abcdef"}, "abcd", "efxy") == ({"old": "abcd"}, {}, {})
    assert between({"old": "abcdef"}, "abcd", "efxyz") == ({"old": "abcd"}, {}, {"efxyz": "old"})


def test_a_cluster_takes_an_alert_of_another_stream_only_if_it_is_stronger() -> None:
    assert between({"other": "abc"}, "abcd", above={"other": WATCH - 0.1}) == ({"other": "abcd"}, {}, {})
    assert between({"other": "abc"}, "abcd", above={"other": WATCH}) == ({}, {}, {})
    merged = between({"other": "abc", "own": "defg"}, "abcdefg", above={"other": WATCH - 0.1})
    assert merged == ({"own": "abcdefg"}, {"other": "own"}, {})


def test_new_members_make_it_easier_to_take_an_alert() -> None:
    limits: dict[str, Any] = {"above": {"other": WATCH}, "above_with_new": {"other": WATCH - 0.1}}
    assert between({"other": "abc"}, "abc", **limits) == ({}, {}, {})
    assert between({"other": "abc"}, "abcd", **limits) == ({"other": "abcd"}, {}, {})


def test_a_cluster_that_a_stronger_alert_of_another_stream_shows_in_part_is_not_new() -> None:
    assert between({"other": "abc"}, "cdefg", above={"other": WATCH}) == ({}, {}, {})
    assert between({"other": "abc", "own": "def"}, "cdefg", above={"other": WATCH}) == ({"own": "cdefg"}, {}, {})
    assert between({"other": "abc", "own": "def"}, "bcdefg", above={"other": WATCH}) == ({}, {"own": "other"}, {})
    third = {"other": WATCH, "third": WATCH - 0.1}  # which its own stream shows: it is no part of that hot spot
    assert between({"other": "abc", "third": "def"}, "bcdefg", above=third) == ({}, {}, {})


@st.composite
def scans(draw: st.DrawFn) -> tuple[Alerts, list[str]]:
    """Alerts that may share members, and clusters that share none."""
    letters = draw(st.permutations("abcdefghijkl"))
    cuts = sorted(draw(st.sets(st.integers(1, 11), max_size=3)))
    clusters = ["".join(letters[begin:end]) for begin, end in zip([0, *cuts], [*cuts, 12], strict=True)]
    members = st.sets(st.sampled_from("abcdefghijklmnop"), min_size=1).map(sorted).map(tuple)
    return [Known(str(age), each) for age, each in enumerate(draw(st.lists(members, max_size=4)))], clusters


@always
@given(scans())
def test_every_cluster_and_every_alert_is_accounted_for_once(scan: tuple[Alerts, list[str]]) -> None:
    alerts, letters = scan
    clusters = [cluster(each, WATCH) for each in letters]
    kin = Kinship.between(alerts, clusters)
    taken = list(kin.cluster_of.values())
    new = [each for each, _ in kin.new]
    assert len({each.members for each in taken}) == len(taken)
    assert not [each for each in new if each in taken]
    assert kin.cluster_of.keys().isdisjoint(kin.merged_into)
    assert set(kin.merged_into.values()) <= kin.cluster_of.keys()
    known = {member for each in alerts for member in each.members}
    for name, members, *_ in alerts:
        if name in kin.cluster_of:
            assert {*members} & {*kin.cluster_of[name].members}
    for each in clusters:
        is_known = 2 * len(known & {*each.members}) >= len(each.members)
        assert (each in new) == (each not in taken and not is_known)
    for each, origin in kin.new:
        assert bool(origin) == bool(known & {*each.members})
