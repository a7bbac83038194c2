"""No user and no address holds all event streams, and every one that ends gives its place back."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.console.data import viewers as module
from streams.console.data.viewers import TooManyViewers, Viewers

NAMES = st.sampled_from(("ann", "bob", "cem"))
ADDRESSES = st.sampled_from(("10.0.0.1", "10.0.0.2", "proxy"))


@given(st.lists(st.tuples(NAMES, ADDRESSES, st.booleans())))
def test_the_limits_hold_for_any_order_of_coming_and_leaving(moves: list[tuple[str, str, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_VIEWERS", 6)
        viewers = Viewers(3, 2, ("proxy",))
        present: list[tuple[str, str, ExitStack]] = []
        for user, address, leaves in moves:
            if leaves and present:
                present.pop(0)[2].close()
                continue
            has_room = (
                len(present) < 6
                and sum(each[0] == user for each in present) < 3
                and (address == "proxy" or sum(each[1] == address for each in present) < 2)
            )
            stack = ExitStack()
            with suppress(TooManyViewers):
                stack.enter_context(viewers.entered(user, address))
                present.append((user, address, stack))
                assert has_room
                continue
            assert not has_room


def test_the_reason_is_given() -> None:
    viewers = Viewers(1, 1, ())
    with (
        viewers.entered("ann", "10.0.0.1"),
        pytest.raises(TooManyViewers, match="ann has 1 pages open"),
        viewers.entered("ann", "10.0.0.2"),
    ):
        pass
    with (
        viewers.entered("ann", "10.0.0.1"),
        pytest.raises(TooManyViewers, match=r"1 pages are open at 10\.0\.0\.1"),
        viewers.entered("bob", "10.0.0.1"),
    ):
        pass
