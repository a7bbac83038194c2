"""The intake of an area: records wait here until their tick closes, and then enter the window."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.area.strata import BUCKET_S, SCHEMES, bucket_of
from detectors.kernels.events import Same
from detectors.window.admission import UNPLACED, Admission, Entry, Judged, Refusal, TickMark
from detectors.window.corrections import Correction, Corrections
from detectors.window.sliding import UNMAPPED, Outcome, SlidingWindow

OUTCOMES = ("added", "replaced", "removed", "duplicate", "outside", "rejected", "ticks")
"""The seven outcomes of a record, as :class:`Accounts` names them."""

Refused = tuple[int, Refusal]
"""The offset of a refused record, and the refusal."""


class Accounts(msgspec.Struct):
    """The accounts: what became of the records. ``read`` is the sum of the seven numbers after it.

    ``unmapped`` is not part of the sum. It counts incidents whose category the settings do not know.
    """

    read: int = 0
    added: int = 0
    replaced: int = 0
    removed: int = 0
    duplicate: int = 0
    outside: int = 0
    rejected: int = 0
    ticks: int = 0
    unmapped: int = 0


class Intake:
    """The window of an area, and the records that wait to enter it.

    ``clock_s``: the area's clock, in seconds since 1970, None before the first record.
    ``expected_next``: the offset after the last record that was taken.
    ``applied_next``: the offset after the last record that entered the window or was refused.
    ``corrections``: corrections of the log's arrival stamps, which a wall clock shows.
    """

    def __init__(self, settings: AreaSettings, locations: Locations, corrections: tuple[Correction, ...] = ()) -> None:
        self.window = SlidingWindow(
            locations=len(locations),
            buckets=settings.window_days * 24,
            ahead=settings.max_ahead_s // BUCKET_S + 1,
            blocks=SCHEMES[settings.strata],
            zone=ZoneInfo(settings.timezone),
            same_event=Same(settings.same_event.within_m, settings.same_event.within_s),
        )
        self.accounts = Accounts()
        self.corrections = Corrections(corrections)
        self.clock_s: int | None = None
        self.expected_next = 0
        self.applied_next = 0
        self._admission = Admission(settings, locations)
        self._waiting: list[tuple[int, Judged]] = []

    def judge(self, entry: Entry, offset: int, arrival_s: int) -> tuple[Judged, int | None]:
        """Return the judgement on a record as of now, and the area's clock after it. Nothing changes."""
        return self._admission.judge(entry, offset, arrival_s, self.clock_s)

    def take(self, judged: Judged, offset: int, clock_s: int | None) -> None:
        """Let a record wait for its tick, and set the area's clock."""
        self._waiting.append((offset, judged))
        self.expected_next = offset + 1
        self.clock_s = clock_s

    def refill(self, entry: Entry, offset: int, stamp_s: int) -> None:
        """Put a past record into the window at once, without a tick."""
        judged, clock_s = self.judge(entry, offset, stamp_s - self.corrections.at(offset))
        self.take(judged, offset, clock_s)
        # A tick record does not advance the window: its tick may lie in the bucket before the time that it announces.
        if clock_s is not None and not isinstance(judged, TickMark):
            self.window.advance(bucket_of(clock_s))
        if self.window.has_time:
            self.apply()

    def resume(self, bucket: int, accounts: Accounts, clock_s: int, next_offset: int) -> None:
        """Continue from a checkpoint once the window is refilled."""
        self._waiting.clear()
        self.window.advance(bucket)
        self.window.touched[:] = False
        self.accounts = msgspec.structs.replace(accounts)
        self.clock_s = clock_s
        self.applied_next = self.expected_next = next_offset

    @property
    def has_news(self) -> bool:
        """Whether any record other than a tick record waits."""
        return any(not isinstance(judged, TickMark) for _, judged in self._waiting)

    def apply(self) -> list[Refused]:
        """Put the waiting records into the window and count them. Return those that are refused."""
        refused = [(offset, refusal) for offset, judged in self._waiting if (refusal := self._apply(offset, judged))]
        self._waiting.clear()
        return refused

    def _apply(self, offset: int, judged: Judged) -> Refusal | None:
        self.applied_next = offset + 1
        self.accounts.read += 1
        if isinstance(judged, TickMark):
            self.accounts.ticks += 1
            return None
        if isinstance(judged, Refusal):
            self.accounts.rejected += 1
            return judged
        outcome = self.window.put(judged)
        if outcome is Outcome.UNPLACED:
            self.accounts.rejected += 1
            return UNPLACED[judged.location]
        setattr(self.accounts, outcome, getattr(self.accounts, outcome) + 1)
        self.accounts.unmapped += judged.category == UNMAPPED
        return None
