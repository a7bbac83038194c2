"""Changes of the configuration: partitions, settings, boundary, budget."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import h3
from kafka.admin import KafkaAdminClient

from benchmarks.faults.fault import Inflict, fault
from benchmarks.faults.recovery import copy_inputs
from benchmarks.faults.stage import Stage
from streams.brokers.connection import admin_arguments
from tests.integration.worker_process import CENTRE

MORE = 4
"""Number of partitions after the change."""


@fault("partitions added to the topic incidents, inputs copied", rule="HotspotsTopicsFaulty", is_exact=False)
def partitions_added(stage: Stage) -> None:
    """Two become four; keys move to other partitions than before, until the inputs are copied."""
    with closing(KafkaAdminClient(**admin_arguments(stage.site.kafka))) as admin:
        admin.create_partitions({stage.site.kafka.topic("incidents"): MORE})
    stage.hold(stage.form.away_s)
    copy_inputs(stage, MORE)


def changed(**settings: Any) -> Inflict:
    """Return what restarts the worker with other settings of both areas."""

    def inflict(stage: Stage) -> None:
        stage.hold(stage.form.away_s / 8)
        stage.write_configuration(**settings)
        stage.restart(stage.form.away_s / 4)

    return inflict


@fault("boundary changed: a third of the cells less", is_exact=False)
def boundary(stage: Stage) -> None:
    """Incidents of the other cells are outside from now on."""
    stage.hold(stage.form.away_s / 8)
    (stage.folder / "cells.txt").write_text("\n".join(h3.grid_disk(h3.latlng_to_cell(*CENTRE, 10), 3)))
    stage.restart(stage.form.away_s / 4)


fault("configuration changed: durations and radius", is_exact=False)(
    changed(durations_h=[2, 6, 12], max_radius_m=400.0)
)
fault("budget changed", is_exact=False)(changed(budget="1 per day"))
