"""Every acknowledged record is on record, in any order in which the areas of a partition close their ticks."""

from __future__ import annotations

from datetime import timedelta

from streams.messages.records import partition_of
from streams.worker.consumer import DONE
from tests.integration.conftest import NewSite
from tests.integration.worker_process import BEGIN, Site, WorkerProcess, areas_of_one_partition, incidents, tick

END = BEGIN + timedelta(days=13)


def nothing_unrecorded_is_acknowledged(site: Site) -> bool:
    """Check it; True, to be combined with another condition."""
    committed, covered = site.committed(), site.covered()
    for record in site.read("incidents"):
        if record.offset < committed.get(record.partition, 0):
            assert record.offset < covered[record.key.decode()]
    return True


def test_an_idle_area_holds_back_the_acknowledgement_of_its_neighbour(new_site: NewSite) -> None:
    idle, busy = areas_of_one_partition(2, 2)
    home = partition_of(idle.encode(), 2)
    site = new_site(idle, busy)
    few, many = incidents(idle, 16, 1), incidents(busy, 160, 2)
    site.produce([*many[:40], *few, *many[40:], tick(busy, END)])
    open_offset = 40 + len(few) - 1
    with WorkerProcess(site) as worker:
        worker.until(
            lambda: nothing_unrecorded_is_acknowledged(site) and site.covered()[busy] == 40 + len(few) + 121,
            "the busy area is on record",
        )
        worker.until(lambda: site.committed().get(home) == open_offset, "acknowledged up to the open tick")
        worker.kill()
    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "ready")
        assert site.committed().get(home) == open_offset
        site.produce([tick(idle, END)])
        worker.until(lambda: nothing_unrecorded_is_acknowledged(site) and site.is_covered(), "all is on record")
        worker.until(lambda: site.committed()[home] == len(site.read("incidents")), "all is acknowledged")
        assert worker.stop() == DONE
    site.check()


def test_areas_that_close_their_ticks_in_another_order_than_their_records_came(new_site: NewSite) -> None:
    """Ten areas of one partition: the first to send records is the last to close its ticks."""
    areas = areas_of_one_partition(2, 10)
    site = new_site(*areas)
    rows = {area: incidents(area, 48, seed) for seed, area in enumerate(areas)}
    for area in areas:
        site.produce(rows[area])
    with WorkerProcess(site) as worker:
        for area in reversed(areas):
            site.produce([tick(area, END)])
            worker.until(lambda area=area: site.covered()[area] > 480, f"{area} is on record")  # type: ignore[misc]
            nothing_unrecorded_is_acknowledged(site)
        worker.until(lambda: sum(site.committed().values()) == 490, "all is acknowledged")
        assert worker.stop() == DONE
    site.check()


def test_rebalances_in_the_middle_of_a_tick_lose_and_double_nothing(new_site: NewSite) -> None:
    """Each rebalance finds open ticks and moves one of two partitions."""
    areas = ("leeds", "york", "hull", "bath")
    assert {partition_of(area.encode(), 2) for area in areas} == {0, 1}
    site = new_site(*areas)
    rows = {area: incidents(area, 96, seed) for seed, area in enumerate(areas)}

    def produce(part: int) -> None:
        for area in areas:
            site.produce(rows[area][part * 32 : (part + 1) * 32])

    def all_but_the_open_ticks_are_on_record() -> bool:
        nothing_unrecorded_is_acknowledged(site)
        lasts = {record.key.decode(): record.offset for record in site.read("incidents")}
        return site.covered() == lasts

    with WorkerProcess(site, instance="w1") as first:
        produce(0)
        first.until(all_but_the_open_ticks_are_on_record, "the first part is on record")
        with WorkerProcess(site, instance="w2") as second:
            second.until(second.is_ready, "the second worker has joined")
            produce(1)
            second.until(all_but_the_open_ticks_are_on_record, "the second part is on record")
            second.kill()
        produce(2)
        site.produce([tick(area, END) for area in areas])
        first.until(lambda: nothing_unrecorded_is_acknowledged(site) and site.is_covered(), "all is on record")
        first.until(lambda: sum(site.committed().values()) == len(site.read("incidents")), "all is acknowledged")
        assert first.stop() == DONE
    site.check()
