"""The Bayesian scorer continues from a state, also from one that lacks the stream *all*."""

from __future__ import annotations

import h3

from detectors.area.locations import Locations
from detectors.area.neighbours import neighbours
from detectors.area.settings import AreaSettings
from detectors.clusters.bayes_scorer import BayesScorer, BayesState, RatesMark

LOCATIONS = Locations.from_cells(h3.grid_disk(h3.latlng_to_cell(53.8, -1.55, 10), 2))
MARK = RatesMark(bucket=475_000, next_offset=9, lowest_offset=0, lowest_clock_s=1_700_000_000)


def test_a_state_from_before_all_was_scanned_is_continued() -> None:
    near = neighbours(LOCATIONS.points, 300.0)
    for strong in (((1,), (), (2, 3), ()), ((1,), (), (2, 3), (), (4,))):
        scorer = BayesScorer(LOCATIONS, near, AreaSettings(), None, state=BayesState(MARK, strong))
        assert scorer.state == BayesState(MARK, (*strong, ())[:5])
