"""The results of a Monitor: what a closed tick or a response changes, each with a checkpoint."""

from __future__ import annotations

from typing import Literal

import msgspec

from detectors.alerts.alert import Alert
from detectors.alerts.tracking import TrackerState
from detectors.area.settings import Stream
from detectors.clusters.bayes_scorer import BayesState
from detectors.clusters.scorer import NullMaximum
from detectors.window.admission import Refusal
from detectors.window.corrections import Correction
from detectors.window.intake import Accounts, Refused


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a Monitor needs to continue, except the records of its window.

    ``format``: version of this structure. A later program converts checkpoints of an earlier one.
    ``clock_s``: time on the area's clock, in seconds since 1970.
    ``closed_s``, ``bucket``: the last closed tick, in seconds since 1970, and its bucket.
    ``lowest_offset``, ``lowest_clock_s``: offset of the first record to read again, and the area's clock when the
        record arrived.
    ``next_offset``: offset of the first record not yet taken.
    ``heard_s``: the last tick with a record; None before the first.
    ``nulls``: the replicated null distribution by stream index.
    ``corrections``: corrections of the arrival stamps from ``lowest_offset`` on; absent if all stamps are right.
    ``bayes``: state of the Bayesian scan; absent without one.
    """

    format: Literal[2] = 2
    clock_s: int
    closed_s: int
    bucket: int
    lowest_offset: int
    lowest_clock_s: int
    next_offset: int
    heard_s: int | None = None
    scans: int
    accounts: Accounts
    tracker: TrackerState
    nulls: dict[int, NullMaximum]
    corrections: tuple[Correction, ...] | msgspec.UnsetType = msgspec.UNSET
    bayes: BayesState | msgspec.UnsetType = msgspec.UNSET


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a closed tick or a response: new revisions of alerts, and the checkpoint after it.

    ``is_silent``: whether no record has arrived for so long that the feed may be dead.
    ``calibration``: digest of the calibration in use, empty for none.
    """

    changes: tuple[Alert, ...]
    is_silent: bool
    calibration: str
    checkpoint: Checkpoint

    @property
    def tick_s(self) -> int:
        """The closed tick; for a response, the last tick closed before it."""
        return self.checkpoint.closed_s

    @property
    def next_offset(self) -> int:
        """The first incident record after those in the window; a response leaves it as it is."""
        return self.checkpoint.next_offset

    @property
    def accounts(self) -> Accounts:
        """The accounts of every record so far."""
        return self.checkpoint.accounts


class ClosedTick(Result, frozen=True, kw_only=True):
    """The result of a closed tick, with the streams that were scanned and the records that were refused."""

    streams: tuple[Stream, ...]
    refusals: tuple[Refused, ...]


class ResponseResult(Result, frozen=True, kw_only=True):
    """The result of a response.

    ``offset``: the response's offset in the log of responses.
    ``refusal``: why the response was refused, None if it was not.
    """

    offset: int
    refusal: Refusal | None
