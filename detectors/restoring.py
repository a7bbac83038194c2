"""Makes a Monitor that begins with the past: from a checkpoint, or with a filled window."""

from __future__ import annotations

from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours, neighbours
from detectors.area.settings import AreaSettings
from detectors.calibration.result import Calibration
from detectors.clusters.bayes_scorer import BayesScorer, RatesMark
from detectors.monitor import Monitor
from detectors.results import Checkpoint
from detectors.window.admission import Entry
from detectors.window.intake import Intake


class Restoring:
    """A Monitor in preparation: call :meth:`refill` for each record of the past, then :meth:`monitor`.

    From a ``checkpoint``, refill every record of the area from ``checkpoint.lowest_offset`` to before
    ``checkpoint.next_offset``, in order. Without a checkpoint the Monitor is new, and any records can fill its window.

    ``is_reconfigured``: whether the checkpoint was made under other settings or locations. Then its alerts continue,
    and the null distribution is learnt again.
    """

    def __init__(
        self,
        area: str,
        settings: AreaSettings,
        locations: Locations,
        near: Neighbours | None = None,
        calibration: Calibration | None = None,
        *,
        checkpoint: Checkpoint | None = None,
        is_reconfigured: bool = False,
    ) -> None:
        self._area, self._settings, self._locations, self._near = area, settings, locations, near
        self._calibration = calibration
        self._checkpoint, self._is_reconfigured = checkpoint, is_reconfigured
        self._intake = Intake(settings, locations, (checkpoint and checkpoint.corrections) or ())
        self._scorer: BayesScorer | None = None
        self._mark: RatesMark | None = None
        if settings.is_bayesian:
            self._near = near = near or neighbours(locations.points, settings.max_radius_m)
            state = (checkpoint and checkpoint.bayes) or None
            state = None if is_reconfigured else state
            self._scorer = BayesScorer(locations, near, settings, calibration, state=state)
            self._mark = state.rates if state else None
        if checkpoint is not None:
            self._intake.applied_next = checkpoint.lowest_offset
            self._intake.clock_s = checkpoint.lowest_clock_s

    def refill(self, entry: Entry, offset: int, stamp_s: int) -> None:
        """Put a record of the past into the window. This closes no tick, scans nothing and makes no revision.

        ``stamp_s``: when the record reached the log, by the stamp in the log, in seconds since 1970.
        """
        if self._mark is not None and offset >= self._mark.next_offset:
            self._make_rates(self._mark)
        self._intake.refill(entry, offset, stamp_s)

    def monitor(self) -> Monitor:
        """Return the finished Monitor; call it once, after the last record."""
        known = self._checkpoint
        if self._mark is not None:
            self._make_rates(self._mark)
        if known is not None:
            self._intake.resume(known.bucket, known.accounts, known.clock_s, known.next_offset)
        return Monitor(
            self._area,
            self._settings,
            self._locations,
            self._near,
            self._calibration,
            intake=self._intake,
            scorer=self._scorer,
            checkpoint=known,
            is_reconfigured=self._is_reconfigured,
        )

    def _make_rates(self, mark: RatesMark) -> None:
        """Make the usual rates from the window as it was when they were made."""
        self._intake.window.advance(mark.bucket)
        if self._scorer is not None:
            self._scorer.renew(self._intake.window, mark)
        self._mark = None
