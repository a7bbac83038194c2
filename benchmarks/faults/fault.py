"""A fault and the register of all faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tests.integration.wire_proxy import Fate, pass_on

if TYPE_CHECKING:
    from benchmarks.faults.stage import Stage

FAMILIES = ("worker", "broker", "network", "redis", "clocks", "records", "topics", "configuration", "transactions")


class Form(NamedTuple):
    """How long a server is away and the network is cut, in seconds, and how often a worker is killed."""

    away_s: float = 60.0
    cut_s: float = 90.0
    kills: int = 200


FULL, SHORT = Form(), Form(away_s=8.0, cut_s=8.0, kills=4)


class Setting(NamedTuple):
    """What a fault needs: brokers, workers, the size of the broker's disk in MiB (0: the machine's), and what becomes
    of single requests to the broker.
    """

    brokers: int = 1
    workers: int = 1
    disk_mb: int = 0
    fate: Fate = pass_on


PLAIN = Setting()


@dataclass(frozen=True)
class Fault:
    """A fault. ``inflict`` begins it, lets it last and ends it.

    ``rule``: the alert of Prometheus that reports it; empty if the fault needs no report, because every incident is
    scanned as ever. ``costs``: what is lost in any case, and why. ``is_exact``: the alerts are those of an undisturbed
    run, byte for byte; otherwise they are derived again from the log.
    """

    name: str
    family: str
    inflict: Callable[[Stage], None]
    rule: str = ""
    costs: str = ""
    is_exact: bool = True
    setting: Setting = PLAIN


FAULTS: dict[str, Fault] = {}
"""Every fault by its name, in the order of the page."""

Inflict = Callable[["Stage"], None]


def fault(
    name: str, *, rule: str = "", costs: str = "", is_exact: bool = True, setting: Setting = PLAIN
) -> Callable[[Inflict], Inflict]:
    """Register a function of a module in ``rows`` as a fault of the module's family."""

    def register(inflict: Inflict) -> Inflict:
        family = inflict.__module__.rpartition(".")[2]
        assert name not in FAULTS, name
        FAULTS[name] = Fault(name, family, inflict, rule, costs, is_exact, setting)
        return inflict

    return register
