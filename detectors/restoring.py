"""Makes a Monitor that begins with the past: from a checkpoint, or with a filled window."""

from __future__ import annotations

from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours
from detectors.area.settings import AreaSettings
from detectors.calibration.result import Calibration
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
        if checkpoint is not None:
            self._intake.applied_next = checkpoint.lowest_offset
            self._intake.clock_s = checkpoint.lowest_clock_s

    def refill(self, entry: Entry, offset: int, stamp_s: int) -> None:
        """Put a record of the past into the window. This closes no tick, scans nothing and makes no revision.

        ``stamp_s``: when the record reached the log, by the stamp in the log, in seconds since 1970.
        """
        self._intake.refill(entry, offset, stamp_s)

    def monitor(self) -> Monitor:
        """Return the finished Monitor; call it once, after the last record."""
        known = self._checkpoint
        if known is not None:
            self._intake.resume(known.bucket, known.accounts, known.clock_s, known.next_offset)
        return Monitor(
            self._area,
            self._settings,
            self._locations,
            self._near,
            self._calibration,
            intake=self._intake,
            checkpoint=known,
            is_reconfigured=self._is_reconfigured,
        )
